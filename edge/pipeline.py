"""One camera's way from frames to admitted events; replay and the agent use this same one."""

import hashlib
import logging
import secrets
import time
from collections import deque
from concurrent.futures import Executor, Future
from datetime import datetime

import numpy as np

from edge import floor, wire
from edge.camera import Frame, Lost, Signal
from edge.config import CameraConfig
from edge.detector import Detections, Detector
from edge.privacy import Gate
from edge.stillness import Stillness
from edge.tracker import Tracker, Tracks
from edge.visits import Observer

UNSURE = 0.6
"""Detections down to this part of `min_confidence` may carry on a track, though begin none."""
NOBODY = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))

log = logging.getLogger(__name__)


class CameraPipeline:
    """Detector, tracker, floor, visits and gate of one camera.

    One thread at a time, but for `begin` and `detect`.

    Args:
        camera: what is watched.
        detector: may be shared with other cameras' threads.
        gate: what every event passes.
        fps: frames a second that are expected.
        seed: None for random track ids; a number for ids that follow from it, the camera and the
            track's number, so that a replay repeats itself to the byte.

    Attributes: `tracks` and `positions` (m, 2), the same tracks on the floor, are of the last
    frame; `frames` counts those followed, `still` those of them that the motion gate kept from the
    detector, and `dropped` those that were damaged or came too fast; `inference` holds the last 600
    detections' times in milliseconds; `state` is `ok` or why no frames come.
    """

    def __init__(
        self,
        camera: CameraConfig,
        detector: Detector,
        gate: Gate,
        fps: float,
        seed: int | None = None,
    ) -> None:
        pairs = camera.homography
        matrix = (
            floor.fit_homography([p.pixel for p in pairs], [p.floor for p in pairs])
            if pairs
            else None
        )
        self._plan = floor.plan(
            matrix,
            [line.points for line in camera.lines],
            [zone.polygon for zone in camera.zones],
        )
        self._camera, self._detector, self._gate, self._seed = camera, detector, gate, seed
        self._unsure = UNSURE * camera.min_confidence
        self._tracker = Tracker(fps, camera.min_confidence, self._unsure)
        self._observer = Observer(camera, self._plan, fps, self._name)
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

    def _name(self, number: int) -> str:
        if self._seed is None:
            return secrets.token_hex(8)
        text = f"{self._seed}/{self._camera.id}/{number}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def track_ids(self) -> list[str]:
        """The ids, in events, of `tracks`."""
        return [self._observer.track_id(number) for number in self.tracks.ids.tolist()]

    @property
    def people(self) -> dict[str, int]:
        """People in each zone now."""
        return self._observer.people

    @property
    def through(self) -> datetime | None:
        """Every event dated before this has been returned; None before the first frame."""
        through = self._observer.through
        return through and self._gate.floor(through)

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
        feet = floor.foot_points(self.tracks.boxes, width, height)
        self.positions = floor.project(self._plan, feet)
        self.state = "ok"
        self.frames += 1
        self.dropped += max(frame.index - self._index, 0)
        self._index = frame.index + 1
        return events + self._admit(
            self._observer.observe(
                frame.time, self.tracks.ids, self.positions, self.tracks.ended.tolist()
            )
        )

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
        return self._admit(self._observer.forget(frame.time))

    def lost(self, time: datetime, cause: wire.Cause = "offline") -> list[wire.Event]:
        """No frames come: all tracks end. To be told about every second while that lasts."""
        self.state = cause
        self._forget()
        return self._admit(self._observer.lost(time, cause))

    def restart(self, time: datetime) -> list[wire.Event]:
        """A looped file begins again: all tracks end."""
        self._index = 0
        self._forget()
        return self._admit(self._observer.forget(time))

    def close(self, time: datetime) -> list[wire.Event]:
        """The end: what is open is closed as `shutdown`, and so are the periods."""
        self._forget()
        return self._admit(self._observer.close(time))

    def _admit(self, events: list[wire.Event]) -> list[wire.Event]:
        return [self._gate.admit(event) for event in events]
