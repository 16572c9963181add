"""The demo's live shop: the agent as it is, and a preview of its own on localhost.

The picture and its boxes beside the same people as dots on the floor. Pictures are shown of
files, `sim://` and a webcam only, never of a network camera, and only to this machine; nothing
is written anywhere. `passerby-edge run` has no such thing.
"""

import argparse
import contextlib
import json
import logging
import math
import signal
import sys
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge import agent
from edge.config import AgentConfig, CameraConfig, EdgeError, load_agent
from edge.pipeline import CameraPipeline

WIDTH = 640
FRAMES_PER_SECOND = 10
STALE_SECONDS = 3.0
MARGIN_METRES = 1.0
COLOURS = (
    (0x2A, 0x78, 0xD6),
    (0xC2, 0x3B, 0x32),
    (0x15, 0x80, 0x4A),
    (0x9C, 0x3F, 0xB0),
    (0xB8, 0x5C, 0x00),
    (0x00, 0x7F, 0x92),
    (0xD1, 0x36, 0x7F),
    (0x5B, 0x50, 0xC8),
)
"""RGB; white figures can be read on each."""


@dataclass(frozen=True)
class View:
    """A look at one camera: tracks `ids` with `boxes` (n, 4) in pixels at `floor` (n, 2).

    `image` is None for a camera whose picture is never shown; `people` counts by zone; `time` is
    of the monotonic clock.
    """

    time: float
    image: npt.NDArray[np.uint8] | None
    boxes: npt.NDArray[np.float32]
    ids: tuple[int, ...]
    floor: npt.NDArray[np.float64]
    people: dict[str, int]


def shows_pictures(camera: CameraConfig) -> bool:
    """Files, rendered scenes and webcams; a network camera shows its dots alone."""
    return "://" not in camera.source or camera.source.startswith("sim://")


class Preview:
    """The newest view of each camera, put there by the agent's threads; drawn when asked for."""

    def __init__(self, config: AgentConfig) -> None:
        self.cameras = {camera.id: camera for camera in config.cameras}
        self.views: dict[str, View] = {}

    def look(self, camera: str, image: npt.NDArray[np.uint8], pipeline: CameraPipeline) -> None:
        """Keep what the agent sees now."""
        self.views[camera] = View(
            time.monotonic(),
            image if shows_pictures(self.cameras[camera]) else None,
            pipeline.tracks.boxes.copy(),
            tuple(pipeline.tracks.ids.tolist()),
            pipeline.positions.copy(),
            pipeline.people,
        )

    def dots(self) -> dict[str, Any]:
        """Everybody's place on the floor now; nobody's where the camera gives no frames."""
        now = time.monotonic()
        return {
            name: {
                "dots": [
                    {"id": number, "x": x, "y": y, "colour": css(number)}
                    for number, (x, y) in zip(view.ids, view.floor.tolist(), strict=True)
                    if math.isfinite(x) and math.isfinite(y)
                ],
                "people": view.people,
            }
            for name, view in self.views.items()
            if now - view.time < STALE_SECONDS
        }

    def plan(self) -> list[dict[str, Any]]:
        """Cameras, zones and lines to draw; `extent` is left, top, right, bottom."""
        return [
            {
                "id": camera.id,
                "name": camera.name,
                "pictures": shows_pictures(camera),
                "metres": camera.homography is not None,
                "extent": extent(camera),
                "zones": [
                    {"id": zone.id, "name": zone.name, "points": zone.polygon}
                    for zone in camera.zones
                ],
                "lines": [{"name": line.name, "points": line.points} for line in camera.lines],
            }
            for camera in self.cameras.values()
        ]


def extent(camera: CameraConfig) -> list[float]:
    """The part of the floor to draw: left, top, right, bottom."""
    if camera.homography is None:
        return [0.0, 0.0, 1.0, 1.0]
    points = [pair.floor for pair in camera.homography]
    points += [point for line in camera.lines for point in line.points]
    points += [point for zone in camera.zones for point in zone.polygon]
    low, high = np.min(points, 0) - MARGIN_METRES, np.max(points, 0) + MARGIN_METRES
    return [*low.tolist(), *high.tolist()]


def css(number: int) -> str:
    """A track's colour, the same for its box and its dot."""
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[number % len(COLOURS)])


def jpeg(view: View) -> bytes | None:
    """The picture with its boxes, if it may be shown."""
    if view.image is None:
        return None
    scale = WIDTH / view.image.shape[1]
    picture = cv2.resize(view.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for number, box in zip(view.ids, view.boxes, strict=True):
        left, top, right, bottom = (int(value) for value in box * scale)
        colour = COLOURS[number % len(COLOURS)][::-1]
        cv2.rectangle(picture, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
        words, font = str(number % 100), cv2.FONT_HERSHEY_SIMPLEX
        width = 8 + 11 * len(words)
        cv2.rectangle(picture, (left, top), (left + width, top + 20), colour, cv2.FILLED)
        white, place = (255, 255, 255), (left + 4, top + 15)
        cv2.putText(picture, words, place, font, 0.55, white, 1, cv2.LINE_AA)
        cv2.circle(picture, ((left + right) // 2, bottom), 5, colour, cv2.FILLED, cv2.LINE_AA)
    return bytes(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 80))[1])


def server(preview: Preview, bind: str, port: int, console: str) -> ThreadingHTTPServer:
    """The preview's page; `console` is the address of central's."""
    page = Path(__file__).with_name("live_shop.html").read_text(encoding="utf-8")
    page = page.replace("$PLAN", json.dumps(preview.plan()).replace("<", "\\u003c"))
    page = page.replace("$CONSOLE", console)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A page of another site must not reach the picture by a name of its own.
            if (self.headers.get("host") or "").split(":")[0] not in ("127.0.0.1", "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN)
                return
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._answer()

        def _answer(self) -> None:
            kind, _, camera = self.path.strip("/").partition("/")
            if not kind:
                self._send("text/html; charset=utf-8", page.encode())
            elif kind == "dots":
                self._send("application/json", json.dumps(preview.dots()).encode())
            elif kind == "picture" and camera in preview.cameras:
                if shows_pictures(preview.cameras[camera]):
                    self._stream(camera)
                else:
                    self.send_error(HTTPStatus.NOT_FOUND, "no picture of a network camera")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _start(self, kind: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Cache-Control", "no-store")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("X-Frame-Options", "DENY")

        def _send(self, kind: str, body: bytes) -> None:
            self._start(kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, camera: str) -> None:
            self._start("multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            shown = None
            while True:
                view = preview.views.get(camera)
                if view is not None and view is not shown and (picture := jpeg(view)):
                    shown = view
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + picture + b"\r\n")
                time.sleep(1 / FRAMES_PER_SECOND)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    listening = ThreadingHTTPServer((bind, port), Handler)
    listening.daemon_threads = True
    return listening


def main() -> int:
    """Run the agent with its preview until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--bind", default="127.0.0.1", help="in a container, 0.0.0.0")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--console", required=True, help="address of central's page")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = load_agent(options.config)
        preview = Preview(config)
        listening = server(preview, options.bind, options.port, options.console)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        agent.run(config, stop, preview.look)
        listening.shutdown()
        listening.server_close()
    except EdgeError as error:
        print(f"live shop: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
