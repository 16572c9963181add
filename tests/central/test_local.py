"""Commands that reach `serve` while it starts."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from central import local
from central.commands import Scope
from central.config import Config
from central.intake.events import Intake
from central.intake.online import OnlineIntake
from central.store import Store


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Scope]:
    config = Config(data=tmp_path)
    store = Store(tmp_path)
    yield Scope(store, config, Intake(store), OnlineIntake(store, config))
    store.close()


@pytest.fixture
def may_run(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The server's thread waits for this before it serves."""
    event, serve = threading.Event(), uvicorn.Server.run

    def later(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        assert event.wait(30)
        serve(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", later)
    return event


def test_who_comes_while_it_starts_waits_and_is_answered(
    scope: Scope, may_run: threading.Event
) -> None:
    server = local.LocalServer(scope)
    server.start()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(scope.config.data / local.SOCKET))
            client.sendall(
                b"POST /nothing HTTP/1.1\r\nHost: local\r\nContent-Type: application/json\r\n"
                b"Content-Length: 2\r\n\r\n{}"
            )
            may_run.set()
            assert client.recv(100).startswith(b"HTTP/1.1 404")
    finally:
        may_run.set()
        server.stop()
