"""Frames: from a file as fast as they are read, from a file in real time, or from a live camera.

`read` serves replay, `watch` the agent. A source that ends or is stopped ends the iteration. A
rendered store, sim://NAME, is read like a file; see `edge.simulator`.
"""

import logging
import math
import os
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
DECODING = (cv2.CAP_PROP_N_THREADS, 1)
"""One thread a camera decodes: more would cost more in all, hold frames back, and take the cores
from the detector's."""
SLACK_FRAMES = 2
"""A sound file may hold this many frames fewer than its header says."""
OFF_GRID = 0.05
"""A file's frames are of variable rate once one is off by this part of a frame."""
GAP_SECONDS = 600.0
"""A file's time that leaps by more is wrong, and is not followed."""

# FFmpeg has a line for every block that is damaged; what matters is counted and said here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """A picture (height, width, 3), BGR uint8, and when it was taken, in UTC.

    A number that `index` leaves out is a frame that was damaged, or that nobody took in time.
    """

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
Dated = tuple[int, float, npt.NDArray[np.uint8]]
"""Index, seconds since the first, and picture of a frame."""


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
    fps = _stated_rate(capture, path)
    capture.release()
    return fps


def _stated_rate(capture: cv2.VideoCapture, path: Path) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    if not math.isfinite(fps) or not 0 < fps <= 240:
        raise CameraError(
            f"{path}: the file does not say how many frames a second it has; set fps: in the "
            "camera's configuration"
        )
    return fps


def read(source: str | Path, start: datetime, fps: float | None = None) -> Iterator[Frame]:
    """Every frame of a file or a rendered store.

    Frame n is dated start + n / fps, or, where `fps` is not given and a file's frames come at a
    variable rate, as the file says.

    Raises:
        CameraError: no file, no video, or, after its last frame, fewer frames than it announces.
        ConfigError: a rendered store that there is not.
    """
    for index, seconds, image in (
        _rendered(str(source), fps) if _is_rendered(source) else _decoded(Path(source), fps)
    ):
        yield Frame(index, start + timedelta(seconds=seconds), image)


def _rendered(source: str, fps: float | None) -> Iterator[Dated]:
    scene = simulator.parse(source)
    for index, image in enumerate(simulator.pictures(scene)):
        yield index, index / (fps or scene.fps), image


def _decoded(path: Path, fps: float | None) -> Iterator[Dated]:
    """A file's frames; its own times count unless `fps` is given."""
    # Opening decodes some frames, so it is done once.
    capture = _open_file(path)
    announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    clock = _Clock(fps or _stated_rate(capture, path))
    count = index = 0
    try:
        while (image := _next(capture)) is not None:
            stamp = math.nan if fps else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            index, seconds = clock.date(stamp)
            yield index, seconds, image
            count += 1
    finally:
        capture.release()
    if count == 0 or index + 1 < announced - SLACK_FRAMES:
        raise CameraError(
            f"{path}: only {count} of {announced:.0f} frames can be read; "
            "the file is cut off or damaged, copy it again"
        )
    if count <= index:
        log.warning(
            "%s: %d of %d frames are missing or damaged", path, index + 1 - count, index + 1
        )


class _Clock:
    """When a file's frames were taken: by its own time where that makes sense, else by its rate.

    As long as the file's times lie on the grid of its rate, frames are numbered by that grid, so
    that missing ones leave their numbers out.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._index, self._seconds = -1, -1 / fps
        self._ahead = math.nan
        self._on_grid = True

    def date(self, stamp: float) -> tuple[int, float]:
        """Index and seconds of the next frame, whose file says `stamp` seconds, or NaN."""
        due = self._seconds + 1 / self._fps
        seconds = stamp - self._ahead
        if not self._seconds < seconds < self._seconds + GAP_SECONDS:
            # The first frame; or two recordings in one file, each with a time of its own.
            self._ahead, seconds = stamp - due, due
        place = round(seconds * self._fps)
        self._on_grid &= place > self._index and abs(seconds * self._fps - place) < OFF_GRID
        self._index = place if self._on_grid else self._index + 1
        self._seconds = self._index / self._fps if self._on_grid else seconds
        return self._index, self._seconds


def watch(camera: CameraConfig, stop: threading.Event) -> Iterator[Signal]:
    """What a camera gives from now on, until `stop` is set or its file is over.

    A file comes in real time, every frame however late; with `loop` it begins again. Of a live
    camera `frame_rate` frames a second are wanted, each until a newer one comes; it is opened again
    for ever.

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
        for frame in read(camera.source, begin, camera.fps):
            due = origin + (frame.time - begin).total_seconds()
            if stop.wait(max(due - time.monotonic(), 0.0)):
                return
            yield frame
        if not camera.loop or frame is None:
            return
        length = frame.time - begin + timedelta(seconds=1 / fps)
        begin, origin = begin + length, origin + length.total_seconds()
        yield Restarted(begin)


def _live(camera: CameraConfig, stop: threading.Event) -> Iterator[Signal]:
    latest = _Latest()
    ended = threading.Event()
    reader = threading.Thread(
        target=_fill,
        args=(camera.source, frame_rate(camera), latest, ended),
        name=f"read {camera.id}",
        daemon=True,
    )
    reader.start()
    tell = time.monotonic() + STALE_SECONDS
    try:
        while not stop.is_set():
            frame = latest.take(POLL_SECONDS)
            if frame is not None:
                tell = time.monotonic() + STALE_SECONDS
                yield frame
            elif time.monotonic() > tell:
                tell = time.monotonic() + 1.0
                yield Lost(datetime.now(UTC), "offline")
    finally:
        ended.set()
        # A reader that hangs in a dead connection ends with its time-out, not with us.
        reader.join(timeout=1.0)


class _Latest:
    """One place for the newest frame: a frame that nobody took is replaced, never queued."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._changed = threading.Condition()

    def put(self, frame: Frame) -> None:
        with self._changed:
            self._frame = frame
            self._changed.notify()

    def take(self, timeout: float) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, timeout)
            frame, self._frame = self._frame, None
            return frame


def _fill(source: str, fps: float, latest: _Latest, ended: threading.Event) -> None:
    """Put `fps` frames a second, numbered in turn; what comes in between is not even unpacked."""
    retry = RETRY_SECONDS[0]
    index, due = 0, time.monotonic()
    while not ended.is_set():
        if source.isdecimal():
            capture = cv2.VideoCapture(int(source))
        else:
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, TIME_OUTS + DECODING)
        while not ended.is_set() and capture.grab():
            retry = RETRY_SECONDS[0]
            now = time.monotonic()
            if now < due:
                continue
            due = max(due + 1 / fps, now - 1 / fps)
            image = _unpacked(capture)
            if image is not None:
                latest.put(Frame(index, datetime.now(UTC), image))
            index += 1
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
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, DECODING)
    if not capture.isOpened():
        raise CameraError(
            f"{path}: not a video that can be read; it is cut off, damaged or something else"
        )
    return capture


def _next(capture: cv2.VideoCapture) -> npt.NDArray[np.uint8] | None:
    """The next picture that can be decoded, or None at the end."""
    while capture.grab():
        image = _unpacked(capture)
        if image is not None:
            return image
    return None


def _unpacked(capture: cv2.VideoCapture) -> npt.NDArray[np.uint8] | None:
    """The picture that was grabbed (height, width, 3), or None if it is damaged."""
    try:
        there, image = capture.retrieve()
    except cv2.error:
        return None
    if not there or image is None or not image.size:
        return None
    pixels = np.asarray(image, np.uint8)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels[:, :, :3]
