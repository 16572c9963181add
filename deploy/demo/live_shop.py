"""The demo's live shop: the agent as it is, and a preview of its own on localhost.

The picture and its boxes beside the same people as dots on the floor. Pictures are shown of
files, `sim://` and a webcam only, never of a network camera, and only to this machine; nothing
is written anywhere. `passerby-edge run` has no such thing.
"""

import argparse
import contextlib
import json
import logging
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
COLOURS = np.array(
    [(66, 133, 244), (219, 68, 55), (244, 160, 0), (15, 157, 88), (171, 71, 188), (0, 172, 193)]
)


@dataclass
class View:
    """The newest look at one camera."""

    camera: CameraConfig
    image: npt.NDArray[np.uint8] | None = None
    boxes: npt.NDArray[np.float32] | None = None
    ids: tuple[int, ...] = ()
    floor: tuple[tuple[float, float], ...] = ()
    people: dict[str, int] | None = None

    @property
    def shows_pictures(self) -> bool:
        """Files, rendered scenes and webcams; a network camera shows its dots alone."""
        source = self.camera.source
        return "://" not in source or source.startswith("sim://")


class Preview:
    """Views by camera, filled by the agent's threads and read by the page's."""

    def __init__(self, config: AgentConfig) -> None:
        self.views = {camera.id: View(camera) for camera in config.cameras}

    def look(self, camera: str, image: npt.NDArray[np.uint8], pipeline: CameraPipeline) -> None:
        """Keep what the agent sees now."""
        view = self.views[camera]
        if view.shows_pictures:
            view.image, view.boxes = image, pipeline.tracks.boxes
        view.ids = tuple(int(number) for number in pipeline.tracks.ids)
        view.floor = tuple((float(x), float(y)) for x, y in pipeline.positions)
        view.people = dict(pipeline.people)

    def jpeg(self, camera: str) -> bytes | None:
        """The picture with its boxes."""
        view = self.views[camera]
        if view.image is None or view.boxes is None:
            return None
        scale = WIDTH / view.image.shape[1]
        picture = cv2.resize(view.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for number, box in zip(view.ids, view.boxes, strict=False):
            left, top, right, bottom = (int(value) for value in box * scale)
            colour = tuple(int(part) for part in COLOURS[number % len(COLOURS)][::-1])
            cv2.rectangle(picture, (left, top), (right, bottom), colour, 2, cv2.LINE_AA)
            cv2.circle(picture, ((left + right) // 2, bottom), 5, colour, -1, cv2.LINE_AA)
        return bytes(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 80))[1])

    def dots(self) -> dict[str, Any]:
        """Everybody's place on the floor now."""
        return {
            name: {
                "dots": [
                    {"x": x, "y": y, "colour": _css(number)}
                    for number, (x, y) in zip(view.ids, view.floor, strict=False)
                ],
                "people": view.people or {},
            }
            for name, view in self.views.items()
        }

    def plan(self) -> list[dict[str, Any]]:
        """Cameras, zones and lines to draw."""
        return [
            {
                "id": view.camera.id,
                "name": view.camera.name,
                "pictures": view.shows_pictures,
                "metres": view.camera.homography is not None,
                "zones": [
                    {"id": zone.id, "name": zone.name, "points": zone.polygon}
                    for zone in view.camera.zones
                ],
                "lines": [{"name": line.name, "points": line.points} for line in view.camera.lines],
            }
            for view in self.views.values()
        ]


def _css(number: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLOURS[number % len(COLOURS)])


def server(preview: Preview, bind: str, port: int, console: str) -> ThreadingHTTPServer:
    """The preview's page."""
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
            elif kind == "picture" and camera in preview.views:
                self._stream(camera)
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, camera: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            while True:
                picture = preview.jpeg(camera)
                if picture:
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
    except EdgeError as error:
        print(f"live shop: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
