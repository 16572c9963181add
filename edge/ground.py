"""One floor: what its cameras see becomes admitted events.

Cameras that are calibrated and name the same floor share it, and so the people on it. One that is
not calibrated has its picture for a floor, all to itself.
"""

import hashlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from edge import wire
from edge.audit import HOUR, Audit
from edge.config import CameraConfig, LineConfig, ZoneConfig
from edge.layout import watchers
from edge.people import People
from edge.periods import CameraPeriods, ZonePeriods
from edge.privacy import Gate
from edge.visits import Observer, Watched

Floats = npt.NDArray[np.float64]

LEAP = timedelta(hours=1)
"""Without a word for longer than this, the clock was set or the box slept: all begins anew."""
BACK = timedelta(seconds=10)
"""The same where a camera's times go back by more; by less, time stands until it is made up for."""


@dataclass(frozen=True)
class Sight:
    """Whom a camera sees in a frame.

    `tracks` (n,) are its tracks, at `points` (n, 2) on the floor, where a metre is `metres` (n,) in
    the floor's unit; `hidden` (n,) are mostly behind somebody else, `rim` (n,) at the picture's
    rim. `ended` (k,) it has given up.
    """

    time: datetime
    tracks: npt.NDArray[np.int64]
    points: Floats
    metres: Floats
    hidden: npt.NDArray[np.bool_]
    rim: npt.NDArray[np.bool_]
    ended: npt.NDArray[np.int64]


def floors(cameras: Sequence[CameraConfig]) -> list[list[CameraConfig]]:
    """The cameras by the floor that they share."""
    shared: dict[tuple[str, str], list[CameraConfig]] = {}
    for camera in cameras:
        alone = "" if camera.homography else camera.id
        shared.setdefault((camera.floor, alone), []).append(camera)
    return list(shared.values())


class Ground:
    """The people of one floor; threads may share it, one for each of its cameras.

    Args:
        cameras: those of the floor.
        gate: what every event passes.
        fps: frames a second that are expected, by camera.
        seed: None for random track ids; a number for ids that follow from it, the floor and the
            person's number, so that a replay repeats itself to the byte.
        hour: what is audited at a time.
    """

    def __init__(
        self,
        cameras: Sequence[CameraConfig],
        gate: Gate,
        fps: Mapping[str, float],
        seed: int | None = None,
        hour: timedelta = HOUR,
    ) -> None:
        self._watched = watched(cameras)
        self._gate, self._seed = gate, seed
        after = [camera.staff_after for camera in cameras if camera.staff_after]
        self._observer = Observer(
            self._watched, self._name, timedelta(minutes=min(after)) if after else None
        )
        self._people = People()
        self._cameras = {each.id: CameraPeriods(each.id, fps[each.id]) for each in cameras}
        self._open = set(self._cameras)
        self._zones = ZonePeriods(self._watched, self._observer.queues)
        self._audit = Audit(self._watched.lines, self._watched.zones, self._watched.cameras, hour)
        self._told: datetime | None = None
        self._lock = threading.Lock()

    def _name(self, number: int) -> str:
        if self._seed is None:
            return secrets.token_hex(8)
        cameras = ",".join(self._cameras)
        text = f"{self._seed}/{cameras}/{number}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def people(self) -> dict[str, int]:
        """People in each zone now."""
        return self._zones.people

    def track_ids(self, camera: str, tracks: npt.NDArray[np.int64]) -> list[str]:
        """The ids in events of a camera's tracks (n,); empty for one not on the floor."""
        with self._lock:
            numbers = [self._people.number(camera, track) for track in tracks.tolist()]
            return [self._observer.track_id(number) if number else "" for number in numbers]

    def through(self, camera: str) -> datetime | None:
        """Every event of a camera dated before this has been returned; None before its first frame.

        A crossing has its time, a visit its exit, a period its stop.
        """
        with self._lock:
            times = [self._cameras[camera].told, self._told, self._observer.pending]
            known = [time for time in times if time]
            return self._gate.floor(min(known)) if times[0] and known else None

    def audits(self) -> list[wire.Audit]:
        """How far the counts of the last whole hours can be believed."""
        with self._lock:
            return self._audit.hours()

    def see(self, camera: str, sight: Sight) -> list[wire.Event]:
        """The events that a camera's frame makes certain."""
        with self._lock:
            events, time = self._go_on(camera, sight.time, "ok")
            self._cameras[camera].saw()
            known = np.isfinite(sight.points).all(axis=1)
            moved = self._people.update(
                camera,
                time,
                sight.tracks[known],
                sight.points[known],
                sight.metres[known],
                sight.ended.tolist(),
            )
            for number in moved.ended:
                events.extend(self._observer.end(number))
            for number, into in moved.merged:
                self._audit.merge(*map(self._observer.track_id, (number, into)))
                self._observer.merge(number, into)
            for number in moved.found:
                self._observer.came_back(number)
            events.extend(
                self._observer.observe(
                    time,
                    camera,
                    moved.numbers,
                    moved.points,
                    sight.metres[known],
                    sight.hidden[known],
                )
            )
            names = [self._observer.track_id(number) for number in moved.numbers.tolist()]
            self._audit.see(
                time, camera, names, moved.points, sight.metres[known], sight.rim[known]
            )
            return self._admit(events)

    def lost(self, camera: str, time: datetime, cause: wire.Cause) -> list[wire.Event]:
        """A camera gives no frames; told again while that lasts, for the periods' sake."""
        with self._lock:
            events = self._leave(camera) if self._cameras[camera].cause == "ok" else []
            return self._admit(events + self._go_on(camera, time, cause)[0])

    def restart(self, camera: str, time: datetime) -> list[wire.Event]:
        """A camera's looped file begins again: whoever it alone saw is gone."""
        with self._lock:
            events, _ = self._go_on(camera, time, self._cameras[camera].cause)
            return self._admit(events + self._leave(camera))

    def close(self, camera: str, time: datetime) -> list[wire.Event]:
        """A camera's end. With the last one all open visits, paths and periods end."""
        with self._lock:
            events, _ = self._go_on(camera, time, self._cameras[camera].cause)
            events += self._leave(camera, "shutdown")
            events += self._cameras[camera].close()
            self._open.discard(camera)
            if not self._open:
                events += self._close("shutdown")
            return self._admit(events)

    def _go_on(
        self, camera: str, time: datetime, cause: wire.Cause
    ) -> tuple[list[wire.Event], datetime]:
        """Bring the periods up to a time, which is returned as this floor's clock has it."""
        events: list[wire.Event] = []
        before = self._cameras[camera].told
        if (self._told and time - self._told > LEAP) or (before and before - time > BACK):
            for periods in self._cameras.values():
                events.extend(periods.close())
            events += self._close("lost")
        # A clock that is set back must not make a stay shorter than nothing.
        self._told = time = max(time, self._told or time)
        periods = self._cameras[camera]
        if periods.told is None or periods.cause != cause:
            self._audit.interrupt(time, ())
        events.extend(periods.go_on(time, cause))
        seeing = [name for name in self._open if self._cameras[name].cause == "ok"]
        events.extend(self._zones.go_on(time, seeing))
        return events, time

    def _leave(self, camera: str, ended: wire.Ended = "lost") -> list[wire.Event]:
        gone = self._people.leave(camera)
        if self._told:
            self._audit.interrupt(self._told, map(self._observer.track_id, gone))
        events = [event for number in gone for event in self._observer.end(number, ended)]
        self._zones.count(self._observer.counts)
        return events

    def _close(self, ended: wire.Ended) -> list[wire.Event]:
        if self._told:
            self._audit.interrupt(self._told)
        events = self._observer.end_all(ended)
        self._people.clear()
        events += self._zones.close()
        self._told = None
        self._zones.count(self._observer.counts)
        return events

    def _admit(self, events: list[wire.Event]) -> list[wire.Event]:
        self._zones.count(self._observer.counts)
        self._audit.tell(events)
        return [self._gate.admit(event) for event in events]


def watched(cameras: Sequence[CameraConfig]) -> Watched:
    """The lines and zones of a floor's cameras, each once."""
    lines: dict[str, LineConfig] = {}
    zones: dict[str, ZoneConfig] = {}
    for camera in cameras:
        lines |= {line.id: line for line in camera.lines}
        zones |= {zone.id: zone for zone in camera.zones}
    return Watched(
        cameras[0].floor,
        cameras[0].homography is not None,
        tuple(lines.values()),
        tuple(zones.values()),
        watchers(cameras),
    )
