"""Frames: from a file as fast as they are read, from a file in real time, or from a live camera.

`read` serves replay, `watch` the agent. A source that ends or is stopped ends the iteration. A
rendered store, sim://NAME, is read like a file; see `edge.simulator`.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge import simulator
from edge.config import CameraConfig, CameraError
from edge.wire import Cause

LIVE_FPS = 10.0
"""Frames a second that are taken from a live camera, unless `fps:` says otherwise."""
STALE_SECONDS = 5.0
RETRY_SECONDS = (1.0, 60.0)
POLL_SECONDS = 0.25
TIME_OUTS = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5000)
SLACK_FRAMES = 2
"""A sound file may hold this many frames fewer than its header says."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """A picture (height, width, 3), BGR uint8, and when it was taken, in UTC."""

    index: int
    time: datetime
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Lost:
    """No frames come; told again about every second while that lasts."""

    time: datetime
    cause: Cause


@dataclass(frozen=True)
class Restarted:
    """A looped file begins again: whoever was in the picture is gone."""

    time: datetime


Signal = Frame | Lost | Restarted


def frame_rate(camera: CameraConfig) -> float:
    """Frames a second that a camera is expected to give.

    Raises:
        CameraError: a file that cannot be opened or does not say.
    """
    if camera.fps is not None:
        return camera.fps
    return LIVE_FPS if _is_live(camera.source) else file_rate(camera.source)


def file_rate(source: str | Path) -> float:
    """Frames a second that a video file or a rendered store says it has.

    Raises:
        CameraError: a file that cannot be opened or does not say.
        ConfigError: a rendered store that there is not.
    """
    if _is_rendered(source):
        return simulator.parse(str(source)).fps
    path = Path(source)
    capture = _open_file(path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if not math.isfinite(fps) or not 0 < fps <= 240:
        raise CameraError(
            f"{path}: the file does not say how many frames a second it has; set fps: in the "
            "camera's configuration"
        )
    return fps


def read(source: str | Path, start: datetime, fps: float | None = None) -> Iterator[Frame]:
    """Every frame of a file or a rendered store; frame n is dated start + n / fps.

    Raises:
        CameraError: no file, no video, or, after its last frame, fewer frames than it announces.
        ConfigError: a rendered store that there is not.
    """
    fps = fps or file_rate(source)
    if _is_rendered(source):
        pictures = simulator.pictures(simulator.parse(str(source)))
    else:
        pictures = _decoded(Path(source))
    for index, image in enumerate(pictures):
        yield Frame(index, start + timedelta(seconds=index / fps), image)


def _decoded(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    capture = _open_file(path)
    announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    count = 0
    try:
        while True:
            there, image = capture.read()
            if not there:
                break
            yield _pixels(image)
            count += 1
    finally:
        capture.release()
    if count == 0 or count < announced - SLACK_FRAMES:
        raise CameraError(
            f"{path}: only {count} of {announced:.0f} frames can be read; "
            "the file is cut off or damaged, copy it again"
        )


def watch(camera: CameraConfig, stop: threading.Event) -> Iterator[Signal]:
    """What a camera gives from now on, until `stop` is set or its file is over.

    A file comes in real time, every frame however late; with `loop` it begins again. A live
    camera gives its latest frame at most `frame_rate` times a second and is opened again for ever.

    Raises:
        CameraError: a file that cannot be read. A live camera is never given up.
        ConfigError: a rendered store that there is not.
    """
    return _live(camera, stop) if _is_live(camera.source) else _paced(camera, stop)


def _paced(camera: CameraConfig, stop: threading.Event) -> Iterator[Signal]:
    fps = frame_rate(camera)
    # A whole second, so that events are dated by the same grid as a replay's.
    begin, origin = datetime.now(UTC).replace(microsecond=0), time.monotonic()
    while True:
        frame = None
        for frame in read(camera.source, begin, fps):
            due = origin + (frame.time - begin).total_seconds()
            if stop.wait(max(due - time.monotonic(), 0.0)):
                return
            yield frame
        if not camera.loop or frame is None:
            return
        length = timedelta(seconds=(frame.index + 1) / fps)
        begin, origin = begin + length, origin + length.total_seconds()
        yield Restarted(begin)


def _live(camera: CameraConfig, stop: threading.Event) -> Iterator[Signal]:
    fps = frame_rate(camera)
    latest = _Latest()
    ended = threading.Event()
    reader = threading.Thread(
        target=_fill, args=(camera.source, latest, ended), name=f"read {camera.id}", daemon=True
    )
    reader.start()
    index, due = 0, time.monotonic()
    tell = due + STALE_SECONDS
    try:
        while not stop.is_set():
            taken = latest.take(POLL_SECONDS)
            if taken is None:
                if time.monotonic() > tell:
                    tell = time.monotonic() + 1.0
                    yield Lost(datetime.now(UTC), "offline")
                continue
            tell = time.monotonic() + STALE_SECONDS
            yield Frame(index, taken[0], taken[1])
            index += 1
            due = max(due + 1 / fps, time.monotonic() - 1 / fps)
            stop.wait(max(due - time.monotonic(), 0.0))
    finally:
        ended.set()
        # A reader that hangs in a dead connection ends with its time-out, not with us.
        reader.join(timeout=1.0)


class _Latest:
    """One place for the newest frame: a frame that nobody took is replaced, never queued."""

    def __init__(self) -> None:
        self._frame: tuple[datetime, npt.NDArray[np.uint8]] | None = None
        self._changed = threading.Condition()

    def put(self, image: npt.NDArray[np.uint8]) -> None:
        with self._changed:
            self._frame = datetime.now(UTC), image
            self._changed.notify()

    def take(self, timeout: float) -> tuple[datetime, npt.NDArray[np.uint8]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, timeout)
            frame, self._frame = self._frame, None
            return frame


def _fill(source: str, latest: _Latest, ended: threading.Event) -> None:
    retry = RETRY_SECONDS[0]
    while not ended.is_set():
        if source.isdecimal():
            capture = cv2.VideoCapture(int(source))
        else:
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, TIME_OUTS)
        while not ended.is_set():
            there, image = capture.read()
            if not there:
                break
            retry = RETRY_SECONDS[0]
            latest.put(_pixels(image))
        capture.release()
        if not ended.is_set():
            log.warning("camera gives no frames; trying again in about %.0f s", retry)
            # Jitter keeps a shop's cameras from all calling at once after a power cut.
            ended.wait(retry * random.uniform(0.5, 1.5))
            retry = min(retry * 2, RETRY_SECONDS[1])


def _is_live(source: str) -> bool:
    return source.isdecimal() or ("://" in source and not _is_rendered(source))


def _is_rendered(source: str | Path) -> bool:
    return str(source).startswith(simulator.SCHEME)


def _open_file(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise CameraError(f"{path}: no such file; give the path of a video file")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise CameraError(
            f"{path}: not a video that can be read; it is cut off, damaged or something else"
        )
    return capture


def _pixels(image: object) -> npt.NDArray[np.uint8]:
    pixels = np.asarray(image, np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
