"""Commands that need the files: run here, or, while `serve` has them open, by `serve`.

DuckDB admits one process. `serve` listens on a socket in the data folder that its own user alone
may open.
"""

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException

from central import export
from central.config import CentralError, Config
from central.intake import files
from central.store import LockedError, Store

SOCKET = "central.sock"
Arguments = dict[str, Any]


class LocalError(CentralError):
    """`serve` has the files open and could not run the command."""


def _import_orders(store: Store, config: Config, arguments: Arguments) -> str:
    site = arguments["site"]
    done = files.import_orders(
        store,
        Path(arguments["file"]),
        site=site,
        channel=arguments["channel"],
        currency=config.site(site).currency,
        shift=timedelta(seconds=arguments["shift"]),
    )
    return (
        f"{done.lines:,} lines read ({done.repeated:,} repeat another): {done.orders:,} orders and"
        f" {done.returns:,} returns, {done.known:,} of them known before"
    )


def _import_windows(store: Store, config: Config, arguments: Arguments) -> str:
    return f"{files.import_windows(store, Path(arguments['file'])):,} values taken"


def _export_features(store: Store, config: Config, arguments: Arguments) -> str:
    fresh = export.release(store, config, datetime.now(UTC))
    folder = Path(arguments["folder"]) if arguments["folder"] else config.data / "features"
    rows = export.write(store, config, folder)
    return f"{rows:,} rows in {folder / 'in_store'}; {len(fresh)} dates have got new ones"


COMMANDS: dict[str, Callable[[Store, Config, Arguments], str]] = {
    "import-orders": _import_orders,
    "import-windows": _import_windows,
    "export-features": _export_features,
}


def run(config: Config, command: str, arguments: Arguments) -> str:
    """Run a command and return its words. Raises CentralError."""
    try:
        store = Store(config.data)
    except LockedError:
        return _ask(config, command, arguments)
    try:
        return COMMANDS[command](store, config, arguments)
    finally:
        store.close()


def _ask(config: Config, command: str, arguments: Arguments) -> str:
    path = config.data / SOCKET
    transport = httpx.HTTPTransport(uds=str(path))
    try:
        with httpx.Client(transport=transport, timeout=None) as client:
            answer = client.post(f"http://local/{command}", json=arguments)
    except httpx.TransportError as error:
        raise LocalError(
            f"{config.data}: in use by another process that does not answer at {path}; stop it"
        ) from error
    if answer.status_code == 400:
        raise LocalError(answer.json()["detail"])
    answer.raise_for_status()
    words: str = answer.json()
    return words


class LocalServer:
    """Listens for commands in a thread of its own."""

    def __init__(self, store: Store, config: Config) -> None:
        self._path = config.data / SOCKET
        app = FastAPI(openapi_url=None)

        @app.post("/{command}")
        def command(command: str, arguments: Arguments) -> str:
            if command not in COMMANDS:
                raise HTTPException(404)
            try:
                return COMMANDS[command](store, config, arguments)
            except CentralError as error:
                raise HTTPException(400, str(error)) from error

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
