"""One camera's way from frames to its floor; replay and the agent use this same one."""

import logging
import time
from collections import deque
from concurrent.futures import Executor, Future
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge import wire
from edge.calibration import STATURE, foot_points, stand
from edge.camera import Frame, Lost, Signal
from edge.config import CameraConfig
from edge.detector import Detections, Detector
from edge.ground import Ground, Sight
from edge.stillness import Stillness
from edge.tracker import Tracker, Tracks

UNSURE = 0.6
"""Detections down to this part of `min_confidence` may carry on a track, though begin none."""
NOBODY = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))
HIDDEN = 0.5
"""Somebody is hidden of whose box this share lies behind nearer ones."""
RIM, WALK = 0.1, 2.0
"""In widths of their box: who is so near to the picture's rim is at it, and how far they walk in a
second."""

log = logging.getLogger(__name__)


class CameraPipeline:
    """Detector, tracker and calibration of one camera, before its floor.

    One thread at a time, but for `begin` and `detect`.

    Args:
        camera: what is watched.
        detector: may be shared with other cameras' threads.
        ground: the floor, which may be shared with other cameras' threads.
        fps: frames a second that are expected.

    Attributes: `tracks` and `positions` (m, 2), the same tracks on the floor, are of the last
    frame; `frames` counts those followed, `still` those of them that the motion gate kept from the
    detector, and `dropped` those that were damaged or came too fast; `inference` holds the last 600
    detections' times in milliseconds; `state` is `ok` or why no frames come.
    """

    def __init__(
        self, camera: CameraConfig, detector: Detector, ground: Ground, fps: float
    ) -> None:
        self._camera, self._detector, self._ground, self._fps = camera, detector, ground, fps
        self._unsure = UNSURE * camera.min_confidence
        self._tracker = Tracker(fps, camera.min_confidence, self._unsure)
        self._calibration = lru_cache(maxsize=1)(camera.calibration)
        self._forget()
        self._stillness = Stillness() if camera.motion_gate else None
        self._size: tuple[int, ...] = ()
        self._index = 0
        self.state: wire.Cause = "ok"
        self.frames = self.still = self.dropped = 0
        self.inference: deque[float] = deque(maxlen=600)

    def _forget(self) -> None:
        self._tracker.reset()
        nobody = np.empty(0, np.int64)
        self.tracks = Tracks(nobody, np.empty((0, 4), np.float32), np.empty(0, np.float32), nobody)
        self.positions = np.empty((0, 2))

    @property
    def track_ids(self) -> list[str]:
        """The ids, in events, of `tracks`."""
        return self._ground.track_ids(self._camera.id, self.tracks.ids)

    @property
    def people(self) -> dict[str, int]:
        """People in each zone of the floor now."""
        return self._ground.people

    @property
    def through(self) -> datetime | None:
        """Every event dated before this has been returned; None before the first frame."""
        return self._ground.through(self._camera.id)

    def begin(self, signal: Signal, crew: Executor) -> Future[Detections] | None:
        """Let the crew begin what `handle` will most likely need; frames ahead of it."""
        if not isinstance(signal, Frame) or (self._stillness and not self._stillness.open):
            return None
        return crew.submit(self.detect, signal)

    def handle(self, signal: Signal, ahead: Future[Detections] | None = None) -> list[wire.Event]:
        """The events that a signal makes certain; `ahead` is what `begin` gave for it."""
        if isinstance(signal, Lost):
            return self.lost(signal.time, signal.cause)
        if not isinstance(signal, Frame):
            return self.restart(signal.time)
        # The order of frames alone decides, and never what was begun, so that a replay repeats
        # itself.
        if self._stillness and not self._stillness.must_look(signal.time, signal.image):
            self.still += 1
            if ahead:
                ahead.cancel()
            return self.follow(signal, NOBODY)
        found = ahead.result() if ahead else self.detect(signal)
        events = self.follow(signal, found)
        sure = (found.scores >= self._camera.min_confidence).any()
        if self._stillness and (sure or len(self.tracks.ids)):
            self._stillness.saw(signal.time)
        return events

    def process(self, frame: Frame) -> list[wire.Event]:
        """The events that a frame makes certain, whether or not anything moves in it."""
        return self.follow(frame, self.detect(frame))

    def detect(self, frame: Frame) -> Detections:
        """The people in a frame; from any threads, of several frames at once."""
        began = time.perf_counter()
        found = self._detector.detect(frame.image, self._unsure)
        self.inference.append((time.perf_counter() - began) * 1000)
        return found

    def follow(self, frame: Frame, found: Detections) -> list[wire.Event]:
        """The events that a frame makes certain, given the people in it; in the order of frames."""
        events = self._resized(frame)
        self.tracks = self._tracker.update(found.boxes, found.scores)
        height, width = frame.image.shape[:2]
        boxes = self.tracks.boxes
        calibration = self._calibration(width / height)
        if calibration:
            self.positions = stand(calibration, boxes, width, height)
            metres = np.ones(len(boxes))
        else:
            self.positions = foot_points(boxes, width, height)
            # A metre is of another part of the picture's width than of its height.
            metres = (boxes[:, 3] - boxes[:, 1]) / (STATURE * np.sqrt(width * height))
        self.state = "ok"
        self.frames += 1
        self.dropped += max(frame.index - self._index, 0)
        self._index = frame.index + 1
        sight = Sight(
            frame.time,
            self.tracks.ids,
            self.positions,
            metres,
            hidden(boxes),
            at_rim(boxes, width, height, self._fps),
            self.tracks.ended,
        )
        return events + self._ground.see(self._camera.id, sight)

    def _resized(self, frame: Frame) -> list[wire.Event]:
        """Tracks are in pixels: where those are others, all tracks end."""
        before, self._size = self._size, frame.image.shape[:2]
        if before in ((), self._size):
            return []
        log.warning(
            "camera %s: the picture is %d x %d now, and was %d x %d: all tracks begin anew",
            self._camera.id,
            *self._size[::-1],
            *before[::-1],
        )
        self._forget()
        return self._ground.restart(self._camera.id, frame.time)

    def lost(self, time: datetime, cause: wire.Cause = "offline") -> list[wire.Event]:
        """No frames come: all tracks end. To be told about every second while that lasts."""
        self.state = cause
        self._forget()
        return self._ground.lost(self._camera.id, time, cause)

    def restart(self, time: datetime) -> list[wire.Event]:
        """A looped file begins again: all tracks end."""
        self._index = 0
        self._forget()
        return self._ground.restart(self._camera.id, time)

    def close(self, time: datetime) -> list[wire.Event]:
        """The end: what is open is closed as `shutdown`, and so are the periods."""
        self._forget()
        return self._ground.close(self._camera.id, time)


def hidden(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """(n,) which people with boxes (n, 4) in xyxy are mostly behind another, who stands nearer.

    From a camera above the floor, who is nearer has their feet lower on the picture.
    """
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=2)
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    return np.asarray(((common >= HIDDEN * own[:, None]) & nearer).any(axis=1))


def at_rim(
    boxes: npt.NDArray[np.float32], width: int, height: int, fps: float
) -> npt.NDArray[np.bool_]:
    """(n,) which people with boxes (n, 4) in xyxy pixels are at the rim, or out in a frame."""
    near = (RIM + WALK / fps) * (boxes[:, 2] - boxes[:, 0])
    room = np.minimum(boxes[:, :2], np.array([width, height], np.float32) - boxes[:, 2:])
    return np.asarray(room.min(axis=1) <= near)
