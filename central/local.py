"""Commands that need the files: run here, or, while `serve` has them open, by `serve`.

DuckDB admits one process. `serve` listens on a socket in the data folder that its own user alone
may open.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from central import forget
from central.config import CentralError, Config
from central.intake import files, imports, till
from central.store import LockedError, Store

SOCKET = "central.sock"
Arguments = dict[str, Any]
Words = str | Iterator[str]
"""What a command says: one that takes long says how far it is, and its result last."""


class LocalError(CentralError):
    """`serve` has the files open and could not run the command."""


def _import_orders(store: Store, config: Config, arguments: Arguments) -> Iterator[str]:
    site = arguments["site"]
    done = yield from files.order_import(
        store,
        Path(arguments["file"]),
        site=site,
        channel=arguments["channel"],
        currency=config.site(site).currency,
        shift=timedelta(seconds=arguments["shift"]),
    )
    yield str(done)


def _import_till(store: Store, config: Config, arguments: Arguments) -> Iterator[str]:
    done = yield from till.till_import(
        store, config, Path(arguments["file"]), Path(arguments["mapping"])
    )
    yield str(done)


def _import_online(store: Store, config: Config, arguments: Arguments) -> Iterator[str]:
    mapping = arguments["mapping"]
    done = yield from imports.online_import(
        store,
        config,
        Path(arguments["file"]),
        site=arguments["site"],
        channel=arguments["channel"],
        mapping=Path(mapping) if mapping else None,
    )
    yield str(done)


def _forget(store: Store, config: Config, arguments: Arguments) -> Words:
    return (str(words) for words in forget.forget(store, config.data, arguments["id"]))


def _import_windows(store: Store, config: Config, arguments: Arguments) -> str:
    return f"{files.import_windows(store, Path(arguments['file'])):,} values taken"


COMMANDS: dict[str, Callable[[Store, Config, Arguments], Words]] = {
    "import-orders": _import_orders,
    "import-till": _import_till,
    "import-online": _import_online,
    "import-windows": _import_windows,
    "forget": _forget,
}


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
        return _last(_said(COMMANDS[command](store, config, arguments)), progress)
    finally:
        store.close()


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

    def __init__(self, store: Store, config: Config) -> None:
        self._path = config.data / SOCKET
        app = FastAPI(openapi_url=None)

        @app.post("/{command}")
        def command(command: str, arguments: Arguments) -> StreamingResponse:
            if command not in COMMANDS:
                raise HTTPException(404)
            lines = _lines(lambda: COMMANDS[command](store, config, arguments))
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
        self._thread.start()

    def stop(self) -> None:
        """Finish the command that runs, and stop."""
        self._server.should_exit = True
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
