"""From people on a floor to events: crossings, visits, paths.

An `Observer` is told where the people of one floor are, frame by frame, and answers with the
events that have become certain. What it keeps of a person is small: where they were, what they are
in, and a simplified way. Distances in its rules are metres; where a floor is not calibrated, a
metre is what a person's height on the picture makes it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from math import hypot

import numpy as np
import numpy.typing as npt

from edge import floor, wire
from edge.config import LineConfig, ZoneConfig
from edge.layout import Watchers
from edge.queues import Queues, tills

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CLEAR = 0.15
"""Metres beyond a line that make a crossing certain, if somebody is seen there twice in a row: one
wrong box makes none."""
HOLD = timedelta(seconds=5)
"""A crossing counts at the latest after this time on the other side, however near the line."""
SETTLE = timedelta(seconds=2)
"""For so long a crossing waits: by then two people who are one have been found to be one."""
BAND = 0.3
"""Metres: who is no farther outside a zone than this has not left it, for whoever stands at its
edge seems to go in and out. A visit ends with the last moment within the zone itself."""
GRACE = timedelta(seconds=1)
"""Who is farther outside, but back within this time, has not left it either."""
MIN_DWELL = timedelta(seconds=1)
STEP = 0.25
STEP_UNCALIBRATED = 0.01
"""The least step of a path, in metres or in fractions of the picture."""
MAX_WAY = 512
MAX_POINTS = 256


@dataclass(frozen=True)
class Watched:
    """A floor's lines and zones, and which cameras watch each."""

    floor: str
    calibrated: bool
    lines: Sequence[LineConfig]
    zones: Sequence[ZoneConfig]
    cameras: Watchers


@dataclass
class _Stay:
    entered: datetime
    last: datetime
    stitched: int = 0


@dataclass
class _Person:
    """Who is on the floor: where and when seen last, open stays by zone, and the way so far.

    Crossings are of a line, with direction and time: `pending` those that may be taken back, of
    which the last sight was clear `beyond`; `certain` those that are not told yet; `passed` those
    told of late.
    """

    first: datetime
    last: datetime
    point: tuple[float, float]
    way: list[tuple[float, float, float]]
    cameras: dict[str, None] = field(default_factory=dict)
    stays: dict[int, _Stay] = field(default_factory=dict)
    visits: dict[int, int] = field(default_factory=dict)
    pending: dict[int, tuple[int, datetime]] = field(default_factory=dict)
    beyond: set[int] = field(default_factory=set)
    certain: list[tuple[int, int, datetime]] = field(default_factory=list)
    passed: list[tuple[int, int, datetime]] = field(default_factory=list)
    zones: list[int] = field(default_factory=list)
    staff: bool = False
    hidden: bool = False


class Observer:
    """The events of one floor's people.

    Args:
        watched: its lines and zones.
        name: a person's id in events, from their number; asked once a person.
        staff_after: who is on the floor for longer is staff; None: nobody is for that.

    Attributes: `queues` counts what becomes of those who queue.
    """

    def __init__(
        self, watched: Watched, name: Callable[[int], str], staff_after: timedelta | None = None
    ) -> None:
        self._watched, self._name, self._staff_after = watched, name, staff_after
        self._plan = floor.plan(
            [line.points for line in watched.lines], [zone.polygon for zone in watched.zones]
        )
        self._step = STEP if watched.calibrated else STEP_UNCALIBRATED
        self._people: dict[int, _Person] = {}
        self._names: dict[int, str] = {}
        self.queues = Queues(tills(watched.zones, watched.calibrated))

    def track_id(self, number: int) -> str:
        """A person's id in events."""
        if number not in self._names:
            self._names[number] = self._name(number)
        return self._names[number]

    @property
    def counts(self) -> list[int]:
        """How many people are in each zone now, those at its edge and those unseen with them."""
        counts = [0] * len(self._watched.zones)
        for person in self._people.values():
            for zone in person.stays:
                counts[zone] += 1
        return counts

    @property
    def pending(self) -> datetime | None:
        """The earliest date of an event that may still come of what has been observed."""
        times = [
            time
            for person in self._people.values()
            for time in (
                *(stay.last for stay in person.stays.values()),
                *(since for _, since in person.pending.values()),
                *(since for _, _, since in person.certain),
            )
        ]
        return min(times, default=None)

    def observe(
        self,
        time: datetime,
        camera: str,
        numbers: Rows,
        points: Floats,
        metres: Floats,
        hidden: npt.NDArray[np.bool_],
    ) -> list[wire.Event]:
        """The people whom a camera's frame shows.

        Args:
            numbers: (n,) who.
            points: (n, 2) where on the floor.
            metres: (n,) what a metre is there, in the floor's unit.
            hidden: (n,) who is mostly behind somebody else.

        Who is not among them is waited for where they were.
        """
        events: list[wire.Event] = []
        before = np.array(
            [
                self._people[number].point if number in self._people else point
                for number, point in zip(numbers.tolist(), points.tolist(), strict=True)
            ]
        ).reshape(-1, 2)
        crossed = floor.crossings(self._plan, before, points)
        clear = floor.line_distances(self._plan, points) >= CLEAR * metres[:, None]
        depth = floor.zone_depths(self._plan, points) / metres[:, None]
        for row, number in enumerate(numbers.tolist()):
            x, y = points[row].tolist()
            person = self._people.get(number)
            if person is None:
                person = self._people[number] = _Person(time, time, (x, y), [(0.0, x, y)])
            person.cameras[camera], person.hidden = None, bool(hidden[row])
            self._walk(person, time, x, y)
            if self._staff_after and time - person.first > self._staff_after:
                person.staff = True
            events.extend(self._cross(number, person, time, crossed[row], clear[row]))
            events.extend(self._stay(number, person, time, depth[row]))
        self.queues.go_on(time)
        return events

    def came_back(self, number: int) -> None:
        """Somebody who was lost has been found again: a gap in their stays is bridged."""
        person = self._people.get(number)
        for stay in person.stays.values() if person else ():
            stay.stitched += 1

    def merge(self, number: int, into: int) -> None:
        """Two people were one all the time; what both did counts once, as the second's."""
        gone = self._people.pop(number, None)
        self._names.pop(number, None)
        self.queues.merge(number, into)
        person = self._people.get(into)
        if gone is None or person is None:
            return
        for zone, stay in gone.stays.items():
            known = person.stays.setdefault(zone, stay)
            known.entered = min(known.entered, stay.entered)
            known.last = max(known.last, stay.last)
        told = person.certain + person.passed
        told += [(line, *pending) for line, pending in person.pending.items()]
        for line, direction, since in gone.certain:
            if not _known((line, direction, since), told):
                person.certain.append((line, direction, since))
        person.certain = [each for each in person.certain if not _known(each, gone.passed)]
        person.passed += gone.passed
        person.cameras |= gone.cameras
        person.staff = person.staff or gone.staff

    def end(self, number: int, ended: wire.Ended = "lost") -> Iterator[wire.Event]:
        """Somebody is gone for good: open visits and the path end where they were seen last."""
        person = self._people.pop(number, None)
        if person is None:
            self._names.pop(number, None)
            return
        if ended == "lost" and person.hidden:
            ended = "occluded"
        for crossing in person.certain:
            yield self._crossing(number, person, *crossing)
        # Someone who goes through a door is last seen just beyond the line.
        for line, (direction, since) in person.pending.items():
            yield self._crossing(number, person, line, direction, since)
        for zone, stay in person.stays.items():
            left = stay.last < person.last
            yield from self._visit(number, person, zone, stay, "left" if left else ended)
        duration = (person.last - person.first).total_seconds()
        points = floor.simplify([*person.way, (duration, *person.point)], self._step, MAX_POINTS)
        yield wire.Path(
            self._watched.floor,
            tuple(person.cameras),
            self.track_id(number),
            person.first,
            duration,
            sum(hypot(c - a, d - b) for (_, a, b), (_, c, d) in pairwise(points)),
            tuple(points),
            tuple(self._watched.zones[zone].id for zone in person.zones[:MAX_POINTS]),
        )
        self.queues.end(number)
        self._names.pop(number, None)

    def end_all(self, ended: wire.Ended = "lost") -> list[wire.Event]:
        """Everybody is gone for good."""
        return [event for number in list(self._people) for event in self.end(number, ended)]

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
        crossed: Rows,
        clear: npt.NDArray[np.bool_],
    ) -> Iterator[wire.Event]:
        """Crossings, once somebody is well over the line; who turns back has not crossed."""
        for line in np.flatnonzero(crossed).tolist():
            direction = int(crossed[line])
            if line not in person.pending:
                person.pending[line] = direction, time
            elif person.pending[line][0] != direction:
                del person.pending[line]
        before, person.beyond = person.beyond, {line for line in person.pending if clear[line]}
        for line, (direction, since) in list(person.pending.items()):
            if line in before & person.beyond or time - since >= HOLD:
                del person.pending[line]
                person.certain.append((line, direction, since))
        while person.certain and time - person.certain[0][2] >= SETTLE:
            passed = person.certain.pop(0)
            person.passed = [*person.passed[-3:], passed]
            yield self._crossing(number, person, *passed)

    def _crossing(
        self, number: int, person: _Person, line: int, direction: int, time: datetime
    ) -> wire.Crossing:
        name = self._watched.lines[line].id
        return wire.Crossing(
            self._watched.floor,
            name,
            self._watched.cameras["line", name],
            time,
            "in" if direction > 0 else "out",
            self.track_id(number),
            person.staff,
        )

    def _stay(
        self, number: int, person: _Person, time: datetime, depth: Floats
    ) -> Iterator[wire.Event]:
        for zone in np.flatnonzero(depth >= 0).tolist():
            if zone not in person.stays:
                person.stays[zone] = _Stay(time, time)
                self.queues.enter(number, zone, time)
            person.stays[zone].last = time
            person.staff = person.staff or self._watched.zones[zone].role == "staff"
        for zone, stay in list(person.stays.items()):
            if depth[zone] < -BAND and time - stay.last > GRACE:
                del person.stays[zone]
                yield from self._visit(number, person, zone, stay, "left")

    def _visit(
        self, number: int, person: _Person, zone: int, stay: _Stay, ended: wire.Ended
    ) -> Iterator[wire.Event]:
        if not person.staff:
            self.queues.leave(number, zone, stay.entered, stay.last, ended)
        if stay.last - stay.entered < MIN_DWELL:
            return
        person.visits[zone] = person.visits.get(zone, 0) + 1
        if person.zones[-1:] != [zone]:
            person.zones.append(zone)
        name = self._watched.zones[zone].id
        yield wire.Visit(
            self._watched.floor,
            name,
            self._watched.cameras["zone", name],
            self.track_id(number),
            stay.entered,
            stay.last,
            (stay.last - stay.entered).total_seconds(),
            person.visits[zone],
            ended,
            stay.stitched,
            person.staff,
        )


def _known(crossing: tuple[int, int, datetime], others: list[tuple[int, int, datetime]]) -> bool:
    """Whether a crossing is among others, as another camera saw it."""
    line, direction, time = crossing
    return any(
        (line, direction) == (other, way) and abs(time - when) <= SETTLE
        for other, way, when in others
    )
