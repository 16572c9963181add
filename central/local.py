"""Commands that need the files: run here, or, while `serve` has them open, by `serve`.

DuckDB admits one process. `serve` listens on a socket in the data folder that its own user alone
may open.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from central.commands import COMMANDS, Arguments, Scope, Words
from central.config import CentralError, Config
from central.intake.events import Intake
from central.intake.online import OnlineIntake
from central.store import LockedError, Store

SOCKET = "central.sock"


class LocalError(CentralError):
    """`serve` has the files open and could not run the command."""


def run(
    config: Config,
    command: str,
    arguments: Arguments,
    progress: Callable[[str], object] = lambda words: None,
) -> str:
    """Run a command and return its words; what it says before goes to `progress`.

    Raises CentralError.
    """
    try:
        store = Store(config.data)
    except LockedError:
        return _last(_ask(config, command, arguments), progress)
    try:
        return _last(_said(COMMANDS[command](_scope(store, config), arguments)), progress)
    finally:
        store.close()


def _scope(store: Store, config: Config) -> Scope:
    return Scope(store, config, Intake(store), OnlineIntake(store, config))


def _said(words: Words) -> Iterator[str]:
    return iter([words]) if isinstance(words, str) else words


def _last(words: Iterator[str], progress: Callable[[str], object]) -> str:
    last = ""
    for number, said in enumerate(words):
        if number:
            progress(last)
        last = said
    return last


def _ask(config: Config, command: str, arguments: Arguments) -> Iterator[str]:
    path = config.data / SOCKET
    transport = httpx.HTTPTransport(uds=str(path))
    try:
        with (
            httpx.Client(transport=transport, timeout=None) as client,
            client.stream("POST", f"http://local/{command}", json=arguments) as answer,
        ):
            answer.raise_for_status()
            for line in answer.iter_lines():
                failed, words = json.loads(line)
                if failed:
                    raise LocalError(words)
                yield words
    except httpx.TransportError as error:
        raise LocalError(
            f"{config.data}: in use by another process that does not answer at {path}; stop it"
        ) from error


def _lines(words: Callable[[], Words]) -> Iterator[str]:
    """A line of JSON for each thing said: whether it is what went wrong, and the words."""
    try:
        for said in _said(words()):
            yield json.dumps([False, said]) + "\n"
    except CentralError as error:
        yield json.dumps([True, str(error)]) + "\n"


class LocalServer:
    """Listens for commands in a thread of its own."""

    def __init__(self, scope: Scope) -> None:
        self._path = scope.config.data / SOCKET
        app = FastAPI(openapi_url=None)

        @app.post("/{command}")
        def command(command: str, arguments: Arguments) -> StreamingResponse:
            if command not in COMMANDS:
                raise HTTPException(404)
            lines = _lines(lambda: COMMANDS[command](scope, arguments))
            return StreamingResponse(lines, media_type="application/x-ndjson")

        self._server = uvicorn.Server(
            uvicorn.Config(app, loop="asyncio", log_config=None, access_log=False)
        )
        self._thread = threading.Thread(target=self._run, name="local", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(before)
        # Before the thread is there: a command that comes meanwhile waits, and is not refused.
        self._socket.listen()
        self._thread.start()

    def stop(self) -> None:
        """Finish the command that runs, and stop."""
        self._server.should_exit = True
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
