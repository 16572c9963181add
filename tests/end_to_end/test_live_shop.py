"""The demo's preview: pictures for this machine alone, dots for the page, and none in `run`."""

import http.client
import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest

from deploy.demo import live_shop
from deploy.demo.live_shop import Preview
from edge.config import AgentConfig
from edge.pipeline import CameraPipeline

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
CONSOLE = "http://127.0.0.1:8080"


def camera(name: str, source: str) -> dict[str, Any]:
    zone = {"id": f"{name}-zone", "name": "A </script> zone", "role": "area", "polygon": SQUARE}
    return {"id": name, "name": name.title(), "source": source, "zones": [zone]}


def agent(*cameras: dict[str, Any]) -> AgentConfig:
    settings = {
        "site": "live",
        "device": "live-1",
        "name": "Live shop",
        "model": "m.onnx",
        "state": "state",
        "broker": {"host": "127.0.0.1"},
        "cameras": list(cameras),
    }
    return AgentConfig.model_validate(settings)


@pytest.fixture
def preview() -> Preview:
    cameras = [camera("file", "shop.mp4"), camera("network", "rtsp://127.0.0.1/1")]
    cameras += [camera("webcam", "0"), camera("silent", "other.mp4")]
    preview = Preview(agent(*cameras))
    image = np.full((120, 160, 3), 200, np.uint8)
    for name in ("file", "network", "webcam"):
        preview.look(name, image, seen(name))
    return preview


def seen(name: str) -> CameraPipeline:
    """What the agent hands out: two people, of whom one stands beyond the horizon."""
    boxes = np.array([[10, 20, 40, 100], [90, 10, 120, 60]], np.float32)
    tracks = SimpleNamespace(ids=np.array([3, 104]), boxes=boxes)
    positions = np.array([[0.15, 0.8], [np.nan, np.nan]])
    found = SimpleNamespace(tracks=tracks, positions=positions, people={f"{name}-zone": 1})
    return cast(CameraPipeline, found)


@pytest.fixture
def listening(preview: Preview) -> Iterator[ThreadingHTTPServer]:
    server = live_shop.server(preview, "127.0.0.1", 0, CONSOLE)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(
    server: ThreadingHTTPServer, path: str, host: str = "127.0.0.1", size: int | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", path, headers={"Host": host})
    with connection.getresponse() as response:
        answer = response.status, response.headers, response.read(size)
    connection.close()
    return answer


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:8081", ""])
@pytest.mark.parametrize("path", ["/", "/dots", "/picture/file"])
def test_another_host_name_is_refused(listening: ThreadingHTTPServer, path: str, host: str) -> None:
    status, _, body = ask(listening, path, host)
    assert status == 403
    assert b"Live shop" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:8081", "127.0.0.1:1"])
def test_this_machine_is_answered(listening: ThreadingHTTPServer, host: str) -> None:
    status, headers, body = ask(listening, "/", host)
    assert status == 200
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert f'<iframe src="{CONSOLE}"'.encode() in body
    # A name must not end the script that it stands in.
    assert body.count(b"</script>") == 1
    assert b"A \\u003c/script> zone" in body


@pytest.mark.parametrize("name", ["file", "webcam"])
def test_a_picture_with_boxes(listening: ThreadingHTTPServer, name: str) -> None:
    status, headers, body = ask(listening, f"/picture/{name}", size=2000)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert b"image/jpeg" in body


def test_boxes_and_dots_share_their_colour(preview: Preview) -> None:
    data = live_shop.jpeg(preview.views["file"])
    assert data is not None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    scale = live_shop.WIDTH / 160
    # In the middle of the dot at a person's feet.
    blue, green, red = (int(part) for part in picture[int(100 * scale), int(25 * scale)])
    (dot,) = preview.dots()["file"]["dots"]
    wanted = [int(dot["colour"][i : i + 2], 16) for i in (1, 3, 5)]
    assert np.abs(np.array([red, green, blue]) - wanted).max() < 30


def test_a_network_camera_has_dots_and_no_picture(
    preview: Preview, listening: ThreadingHTTPServer
) -> None:
    assert preview.views["network"].image is None
    assert live_shop.jpeg(preview.views["network"]) is None
    status, _, body = ask(listening, "/picture/network")
    assert status == 404
    assert b"network camera" in body
    assert ask(listening, "/picture/nobody")[0] == 404
    assert ask(listening, "/picture/")[0] == 404
    pictures = {camera["id"]: camera["pictures"] for camera in preview.plan()}
    assert pictures == {"file": True, "network": False, "webcam": True, "silent": True}
    assert len(preview.dots()["network"]["dots"]) == 1


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "rtmp", "file"])
def test_no_address_of_a_network_shows_a_picture(scheme: str) -> None:
    (config,) = agent(camera("c", f"{scheme}://x")).cameras
    assert not live_shop.shows_pictures(config)


def test_dots_are_json_that_a_browser_reads(listening: ThreadingHTTPServer) -> None:
    status, headers, body = ask(listening, "/dots")
    assert (status, headers["Content-Type"]) == (200, "application/json")

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    found = json.loads(body, parse_constant=refuse)
    assert set(found) == {"file", "network", "webcam"}
    dot = {"id": 3, "x": 0.15, "y": 0.8, "colour": live_shop.css(3)}
    assert found["file"] == {"dots": [dot], "people": {"file-zone": 1}}


def test_a_camera_that_has_stopped_shows_nobody(
    preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = live_shop.STALE_SECONDS + preview.views["file"].time
    monkeypatch.setattr("time.monotonic", lambda: later)
    assert "file" not in preview.dots()


def test_the_extent_holds_all_that_is_drawn() -> None:
    pairs = [
        {"pixel": [0.1, 0.1], "floor": [-5.0, 2.0]},
        {"pixel": [0.9, 0.1], "floor": [5.0, 2.0]},
        {"pixel": [0.9, 0.9], "floor": [3.0, 9.0]},
        {"pixel": [0.1, 0.9], "floor": [-3.0, 9.0]},
    ]
    (config,) = agent(camera("c", "x.mp4") | {"homography": pairs}).cameras
    left, top, right, bottom = live_shop.extent(config)
    assert left < -5 < 5 < right
    assert top < 0 < 9 < bottom
    assert all(map(math.isfinite, (left, top, right, bottom)))


def test_the_agent_has_no_option_for_a_picture() -> None:
    command = [sys.executable, "-m", "edge", "run", "--help"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    options = {word.strip("[],") for word in words.split() if word.strip("[").startswith("--")}
    assert options == {"--help", "--config"}
