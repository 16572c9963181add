"""`get`, with a real server on this machine."""

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models import fetch, zoo

WHOLE = bytes(range(256)) * 1024
DIGEST = hashlib.sha256(WHOLE).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """A server that does well at /good and badly elsewhere."""

    def do_GET(self) -> None:
        """Answer."""
        bodies = {
            "/good": WHOLE,
            "/other": WHOLE[::-1],
            "/short": WHOLE[:1000],
            "/long": WHOLE + b"!",
            "/unsized": WHOLE,
        }
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if self.path == "/silent":
            threading.Event().wait(1.0)
            return
        if self.path == "/nonsense":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            return
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(WHOLE)))
            self.end_headers()
            self.wfile.write(WHOLE[: len(WHOLE) // 2])
            return
        if self.path not in bodies:
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(bodies[self.path])))
        self.end_headers()
        self.wfile.write(bodies[self.path])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(autouse=True)
def _nothing_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PASSERBY_MODELS", str(tmp_path / "kept"))
    monkeypatch.setenv("PASSERBY_SHARED", str(tmp_path / "shared"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetch, "TIME_OUT", 0.3)


def model(download: str | None, licence: str = "MIT") -> zoo.Model:
    return zoo.Model.model_validate(
        {
            "name": "tiny",
            "family": "yolox",
            "input": "64x64",
            "classes": 80,
            "licence": licence,
            "source": "https://example.org/tiny",
            "download": download,
            "get": "Ask the makers.",
            "sha256": DIGEST,
            "bytes": len(WHOLE),
        }
    )


@pytest.mark.parametrize("path", ["good", "unsized", "moved"])
def test_a_good_file_is_downloaded_whole(server: str, tmp_path: Path, path: str) -> None:
    told: list[str] = []
    out = fetch.get(model(f"{server}/{path}"), tmp_path / "a/b", tell=told.append)
    assert out == tmp_path / "a/b/tiny.onnx"
    assert out.read_bytes() == WHOLE
    assert [each.name for each in out.parent.iterdir()] == ["tiny.onnx"]
    assert told[-1] == "tiny: 100 %"
    assert out.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("other", f"has the SHA-256 .* was tested has {DIGEST}: it was deleted"),
        ("short", f"has the SHA-256 .* {DIGEST}: it was deleted"),
        ("long", "more than the 262144 bytes"),
        ("cut", "the connection ended after 131072 of 262144 bytes: try again"),
        ("missing", "the server answered 404 .*: look for the file at https://example.org/tiny"),
        ("silent", "cannot be reached .*: look at the network"),
        ("nonsense", "cannot be reached .*: look at the network"),
    ],
)
def test_a_bad_download_leaves_nothing(server: str, tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(fetch.FetchError, match=words):
        fetch.get(model(f"{server}/{path}"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_a_network_it_says_so(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/good"
        with pytest.raises(fetch.FetchError, match=r"cannot be reached .*refused.*: look at"):
            fetch.get(model(address), tmp_path)


def test_a_name_that_nobody_knows_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match=r"host\.invalid/a: cannot be reached"):
        fetch.get(model("http://host.invalid/a"), tmp_path)


def test_what_stops_it_midway_leaves_nothing(server: str, tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if "50 %" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.get(model(f"{server}/good"), tmp_path / "out", tell=stop)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full: tiny needs 0.3 MB; make room"),
        (errno.EIO, "Input/output error: give --out a folder"),
    ],
)
def test_a_disk_that_fails_leaves_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(fetch.FetchError, match=words):
        fetch.get(model(f"{server}/good"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_is_refused(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(fetch.FetchError, match="give --out a folder that can be written to"):
            fetch.get(model(f"{server}/good"), folder)


def test_a_file_that_is_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(WHOLE)
    before = (tmp_path / "tiny.onnx").stat()
    assert fetch.get(model(None), tmp_path) == tmp_path / "tiny.onnx"
    assert (tmp_path / "tiny.onnx").stat() == before


def test_another_file_of_that_name_is_not_replaced(server: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"mine")
    with pytest.raises(fetch.FetchError, match="another file than the one that was tested"):
        fetch.get(model(f"{server}/good"), tmp_path)
    assert (tmp_path / "tiny.onnx").read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["kept", "shared/models"])
def test_a_file_is_copied_from_where_the_zoo_is_kept(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "tiny.onnx").write_bytes(WHOLE)
    assert fetch.get(model(None), tmp_path / "out").read_bytes() == WHOLE


def test_a_changed_file_is_passed_over(server: str, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/tiny.onnx").write_bytes(WHOLE[::-1])
    with pytest.raises(fetch.FetchError, match=r"in none of .*kept, .*models\. Ask the makers\."):
        fetch.get(model(None), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert fetch.get(model(f"{server}/good"), tmp_path / "out").read_bytes() == WHOLE


def test_the_agpl_has_to_be_accepted(server: str, tmp_path: Path) -> None:
    copyleft = model(f"{server}/good", zoo.COPYLEFT)
    with pytest.raises(
        fetch.FetchError, match=r"offer .* the source of the whole work .*or buy .*--accept-agpl"
    ):
        fetch.get(copyleft, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert fetch.get(copyleft, tmp_path / "out", accept_agpl=True).exists()
