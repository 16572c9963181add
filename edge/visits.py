"""From tracks on the floor to events: crossings, visits, paths, occupancy, coverage.

An `Observer` follows one camera. It is told the floor points of the tracks that are seen, frame by
frame, and answers with the events that have become certain. What a track keeps is small: where it
was, what it is in, and a simplified way.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import hypot

import numpy as np
import numpy.typing as npt

from edge import floor, wire
from edge.config import CameraConfig

Floats = npt.NDArray[np.float64]

PERIOD = timedelta(seconds=60)
MIN_DWELL = timedelta(seconds=1)
GRACE = timedelta(seconds=1)
"""A visit goes on if its track is back in the zone within this time."""
HOLD = timedelta(seconds=5)
"""A crossing counts at the latest after this time on the other side, however near the line."""
LEAP = timedelta(hours=1)
"""Without a word for longer than this, the clock was set or the box slept: all begins anew."""
METRES = (0.25, 0.15)
FRACTIONS = (0.01, 0.01)
"""Calibrated and not: the least step of a path, and the distance from a line that makes a crossing
certain."""
MAX_WAY = 512
MAX_POINTS = 256


@dataclass
class _Stay:
    entered: datetime
    last: datetime


@dataclass
class _Person:
    """A track: its last point, open stays by zone, uncertain crossings by line, and its way."""

    first: datetime
    last: datetime
    point: tuple[float, float]
    way: list[tuple[float, float, float]]
    stays: dict[int, _Stay] = field(default_factory=dict)
    visits: dict[int, int] = field(default_factory=dict)
    pending: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    zones: list[int] = field(default_factory=list)
    staff: bool = False


@dataclass
class _Count:
    """People in a zone over the running period."""

    now: int = 0
    least: int = 0
    most: int = 0
    seconds: float = 0.0


class Observer:
    """The events of one camera.

    Args:
        camera: its lines and zones.
        plan: the same on the floor.
        fps: frames a second that coverage expects.
        name: a track's id in events, from its number; asked once a track.
    """

    def __init__(
        self, camera: CameraConfig, plan: floor.Plan, fps: float, name: Callable[[int], str]
    ) -> None:
        self._camera, self._plan, self._fps, self._name = camera, plan, fps, name
        self._step, self._margin = FRACTIONS if plan.matrix is None else METRES
        self._people: dict[int, _Person] = {}
        self._names: dict[int, str] = {}
        self._counts = [_Count() for _ in camera.zones]
        self._cause: wire.Cause = "ok"
        self._seen = 0
        self._begun: datetime | None = None
        self._told: datetime | None = None

    @property
    def people(self) -> dict[str, int]:
        """People in each zone now."""
        return {
            zone.id: count.now for zone, count in zip(self._camera.zones, self._counts, strict=True)
        }

    def track_id(self, number: int) -> str:
        """A track's id in events."""
        if number not in self._names:
            self._names[number] = self._name(number)
        return self._names[number]

    @property
    def through(self) -> datetime | None:
        """No event dated before this will come; None before the first frame.

        A crossing has its time, a visit its exit, a period its stop.
        """
        if self._told is None:
            return None
        times = [self._told]
        for person in self._people.values():
            times.extend(stay.last for stay in person.stays.values())
            times.extend(since for _, since in person.pending.values())
        return min(times)

    def observe(
        self,
        time: datetime,
        numbers: npt.NDArray[np.int64],
        points: Floats,
        ended: Iterable[int] = (),
    ) -> list[wire.Event]:
        """One frame: tracks (n,) at floor points (n, 2), and those that are given up.

        Tracks that are neither seen nor ended are waited for where they were.
        """
        events = self._go_on(time, "ok")
        # A clock that is set back must not make a stay shorter than nothing.
        time = max(time, self._told or time)
        self._seen += 1
        for number in ended:
            events.extend(self._end(number, "lost"))
        known = np.isfinite(points).all(axis=1)
        numbers, points = numbers[known], points[known]
        inside = floor.inside(self._plan, points)
        before = np.array(
            [
                self._people[number].point if number in self._people else point
                for number, point in zip(numbers.tolist(), points.tolist(), strict=True)
            ]
        ).reshape(-1, 2)
        crossed = floor.crossings(self._plan, before, points)
        clear = floor.line_distances(self._plan, points) >= self._margin
        for row, number in enumerate(numbers.tolist()):
            x, y = points[row].tolist()
            person = self._people.get(number)
            if person is None:
                person = self._people[number] = _Person(time, time, (x, y), [(0.0, x, y)])
            self._walk(person, time, x, y)
            events.extend(self._cross(number, person, time, crossed[row], clear[row]))
            events.extend(self._stay(number, person, time, inside[row]))
        self._count()
        return events

    def lost(self, time: datetime, cause: wire.Cause) -> list[wire.Event]:
        """The camera gives no frames; told again while that lasts, for the periods' sake."""
        events = self.forget(time) if self._cause == "ok" else []
        return [*events, *self._go_on(time, cause)]

    def forget(self, time: datetime) -> list[wire.Event]:
        """All tracks are gone for good, as where a looped file begins again."""
        events = self._go_on(time, self._cause)
        for number in list(self._people):
            events.extend(self._end(number, "lost"))
        self._names.clear()
        self._count()
        return events

    def close(self, time: datetime, ended: wire.Ended = "shutdown") -> list[wire.Event]:
        """The end of all: open visits and paths, then the periods as far as they went."""
        events = self._go_on(time, self._cause)
        for number in list(self._people):
            events.extend(self._end(number, ended))
        events.extend(self._period(time))
        self._begun = self._told = None
        self._count()
        return events

    def _go_on(self, time: datetime, cause: wire.Cause) -> list[wire.Event]:
        """Bring the periods up to a time; they break at clock minutes and where the cause turns."""
        events: list[wire.Event] = []
        if self._told and time - self._told > LEAP:
            events = self.close(self._told, "lost")
        if self._begun is None or self._told is None:
            self._begun = self._told = time
            self._cause = cause
            return events
        time = max(time, self._told)
        while (stop := _minute(self._begun) + PERIOD) <= time:
            events.extend(self._period(stop))
        if cause != self._cause:
            events.extend(self._period(time))
            self._cause = cause
        self._weigh(time)
        return events

    def _weigh(self, time: datetime) -> None:
        if self._told is not None and time > self._told:
            for count in self._counts:
                count.seconds += count.now * (time - self._told).total_seconds()
            self._told = time

    def _period(self, stop: datetime) -> list[wire.Event]:
        """What was counted from the period's begin to `stop`, where the next begins."""
        self._weigh(stop)
        begun, self._begun = self._begun, stop
        seen, self._seen = self._seen, 0
        if begun is None or begun == stop:
            return []
        seconds = (stop - begun).total_seconds()
        expected = max(round(self._fps * seconds), seen)
        cause = self._cause
        if cause == "ok" and seen < expected / 2:
            cause = "overloaded"
        events: list[wire.Event] = [
            wire.Coverage(self._camera.id, begun, stop, seen, expected, cause)
        ]
        for zone, count in zip(self._camera.zones, self._counts, strict=True):
            if self._cause == "ok":
                events.append(
                    wire.Occupancy(
                        self._camera.floor,
                        zone.id,
                        begun,
                        stop,
                        min=count.least,
                        mean=count.seconds / seconds,
                        max=count.most,
                    )
                )
            count.least = count.most = count.now
            count.seconds = 0.0
        return events

    def _count(self) -> None:
        for index, count in enumerate(self._counts):
            count.now = sum(index in person.stays for person in self._people.values())
            count.least, count.most = min(count.least, count.now), max(count.most, count.now)

    def _walk(self, person: _Person, time: datetime, x: float, y: float) -> None:
        _, last_x, last_y = person.way[-1]
        if hypot(x - last_x, y - last_y) >= self._step:
            person.way.append(((time - person.first).total_seconds(), x, y))
            if len(person.way) > MAX_WAY:
                person.way = floor.simplify(person.way, self._step, MAX_WAY // 2)
        person.last, person.point = time, (x, y)

    def _cross(
        self,
        number: int,
        person: _Person,
        time: datetime,
        crossed: npt.NDArray[np.int64],
        clear: npt.NDArray[np.bool_],
    ) -> Iterator[wire.Event]:
        """Crossings, once the track is well over the line; one that turns back has not crossed."""
        for line in np.flatnonzero(crossed).tolist():
            direction = int(crossed[line])
            if line not in person.pending:
                person.pending[line] = direction, time
            elif person.pending[line][0] != direction:
                del person.pending[line]
        for line, (direction, since) in list(person.pending.items()):
            if clear[line] or time - since >= HOLD:
                del person.pending[line]
                yield self._crossing(number, person, line, direction, since)

    def _crossing(
        self, number: int, person: _Person, line: int, direction: int, time: datetime
    ) -> wire.Crossing:
        return wire.Crossing(
            self._camera.floor,
            self._camera.lines[line].id,
            (self._camera.id,),
            time,
            "in" if direction > 0 else "out",
            self.track_id(number),
            person.staff,
        )

    def _stay(
        self, number: int, person: _Person, time: datetime, inside: npt.NDArray[np.bool_]
    ) -> Iterator[wire.Event]:
        for zone in np.flatnonzero(inside).tolist():
            person.stays.setdefault(zone, _Stay(time, time)).last = time
            person.staff = person.staff or self._camera.zones[zone].role == "staff"
        for zone, stay in list(person.stays.items()):
            if time - stay.last > GRACE:
                del person.stays[zone]
                yield from self._visit(number, person, zone, stay, "left")

    def _visit(
        self, number: int, person: _Person, zone: int, stay: _Stay, ended: wire.Ended
    ) -> Iterator[wire.Event]:
        if stay.last - stay.entered < MIN_DWELL:
            return
        person.visits[zone] = person.visits.get(zone, 0) + 1
        if person.zones[-1:] != [zone]:
            person.zones.append(zone)
        yield wire.Visit(
            self._camera.floor,
            self._camera.zones[zone].id,
            (self._camera.id,),
            self.track_id(number),
            stay.entered,
            stay.last,
            (stay.last - stay.entered).total_seconds(),
            person.visits[zone],
            ended,
            staff=person.staff,
        )

    def _end(self, number: int, ended: wire.Ended) -> Iterator[wire.Event]:
        person = self._people.pop(number, None)
        if person is None:
            self._names.pop(number, None)
            return
        # Someone who goes through a door is last seen just beyond the line.
        for line, (direction, since) in person.pending.items():
            yield self._crossing(number, person, line, direction, since)
        for zone, stay in person.stays.items():
            left = stay.last < person.last
            yield from self._visit(number, person, zone, stay, "left" if left else ended)
        duration = (person.last - person.first).total_seconds()
        points = floor.simplify([*person.way, (duration, *person.point)], self._step, MAX_POINTS)
        yield wire.Path(
            self._camera.floor,
            (self._camera.id,),
            self.track_id(number),
            person.first,
            duration,
            sum(hypot(c - a, d - b) for (_, a, b), (_, c, d) in pairwise(points)),
            tuple(points),
            tuple(self._camera.zones[zone].id for zone in person.zones[:MAX_POINTS]),
        )
        self._names.pop(number, None)


def _minute(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(second=0, microsecond=0)
