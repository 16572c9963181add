"""The self-audit: how far a whole hour's counts can be believed, judged without a picture.

Nobody counts the store a second time, but what is known of its people has to agree with itself.
Each check gives the share of a line's or zone's count that nothing speaks against, 0 to 1:

- `ends`: people do not come out of nothing. Who is first or last seen within `BESIDE` of a line or
  in a zone, neither at the picture's rim nor on the way through a line, has been lost or invented
  there, and so has who leaps. Each may be one who was not counted, or was counted twice.
- `balance`: in - out of the entrance lines is the change in the people behind them. It can only be
  otherwise by those who begin or end there out of nothing: as many of the one as of the other are
  broken ways, and the difference has come in or gone out uncounted.
- `round`: who gets past an entrance line round one of its ends has not been counted.
- `adjacent`: who crosses a line that is a side of a zone enters the zone, and the other way round.
- `cameras`: how many of those whom the others saw did each of its cameras see; see `completeness`.
- `coverage`: the share of the hour that was seen at all.

The confidence is the least of them, since one good reason for doubt is enough and two checks often
find the same fault. It is None where there is nothing to check but the coverage. What no check can
see, no confidence tells: who is never detected at all by the only camera there is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import hypot, sqrt

import numpy as np
import numpy.typing as npt

from edge import floor, wire
from edge.config import LineConfig, ZoneConfig

Floats = npt.NDArray[np.float64]
HOUR = timedelta(hours=1)
KEPT = 3
"""So many whole hours are reported; an older one is no longer changed by who leaves only now."""
BESIDE, EDGE, STEP_IN = 2.0, 0.3, 0.75
"""Metres: beside a line; about a zone; and as far from a line is the first place in its zone."""
AROUND = timedelta(seconds=0.5)
"""Who is seen at the rim within this time of their beginning or end came or left by it."""
WITNESS = timedelta(seconds=1)
"""A camera that sees somebody later than this before a crossing has seen them cross."""
THROUGH = timedelta(seconds=2)
"""And who crosses a line within this time of it came or left by the door."""
TOGETHER = timedelta(seconds=5)
"""A crossing and the entrance into the zone behind the line are not farther apart than this."""
OPENING = timedelta(seconds=2)
"""Whoever is seen first when a camera begins to see has been there before."""
LEAP, FASTEST = 2.0, 3.0
"""Nobody gets farther than so many metres, and so many more a second unseen."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def beyond_chance(number: float) -> float:
    """What of a number of faults is more than a Poisson count's own standard deviation.

    >>> [beyond_chance(number) for number in (0, 1, 4, 100)]
    [0.0, 0.0, 2.0, 90.0]
    """
    return max(number - sqrt(number), 0.0)


def agreement(count: float, missing: float) -> float | None:
    """The share of what should have been counted that was; None where there was nothing to count.

    >>> agreement(90, 10), agreement(0, 0)
    (0.9, None)
    """
    return count / (count + missing) if count + missing else None


def balance(flow: int, begun: int, ended: int) -> float | None:
    """In - out against people: `flow` crossed, `begun` and `ended` out of nothing behind the lines.

    Broken ways make as many of the one as of the other, but for chance.
    """
    return agreement(flow, max(abs(begun - ended) - sqrt(begun + ended), 0.0))


def completeness(seen: Mapping[frozenset[str], int], cameras: Set[str]) -> float | None:
    """The share of all people that at least one camera saw, by who saw whom.

    Capture and recapture (Lincoln 1930): of those whom others saw, a camera saw a share, and that
    is its share of everybody, if it misses people on its own account; by Laplace's rule of
    succession, so that few people prove little. One person who is taken for two, each seen by one
    camera, counts against both. None of fewer than two cameras, or where nobody was seen.

    Args:
        seen: numbers of people by the cameras that saw them.
        cameras: those that should have.
    """
    if len(cameras) < 2 or not any(seen.values()):
        return None
    missed = 1.0
    for camera in cameras:
        others = sum(number for who, number in seen.items() if who - {camera})
        both = sum(number for who, number in seen.items() if camera in who and len(who) > 1)
        missed *= 1 - (both + 1) / (others + 2)
    return 1 - missed


def newest(audits: Iterable[wire.Audit]) -> tuple[wire.Audit, ...]:
    """As many of the audits of several floors as the contract lets one message hold."""
    return tuple(sorted(audits, key=lambda audit: audit.start)[-wire.MAX_AUDITS :])


@dataclass
class Tally:
    """A line or zone in an hour: crossings or visits, and what speaks for and against them."""

    count: int = 0
    broken: int = 0
    rounded: int = 0
    matched: int = 0
    unmatched: int = 0
    seen: Counter[frozenset[str]] = field(default_factory=Counter)

    def checks(self, cameras: Set[str]) -> dict[str, float]:
        """What can be checked of it alone."""
        found = {
            "ends": agreement(self.count, beyond_chance(self.broken)),
            "round": agreement(self.count, beyond_chance(self.rounded)) if self.rounded else None,
            "adjacent": agreement(self.matched, beyond_chance(self.unmatched)),
            "cameras": completeness(self.seen, cameras),
        }
        return {name: share for name, share in found.items() if share is not None}


@dataclass
class _Hour:
    tallies: dict[wire.Place, Tally]
    begun: int = 0
    ended: int = 0
    covered: dict[str, float] = field(default_factory=dict)
    """Seconds that each camera saw."""


@dataclass
class _Person:
    first: datetime
    start: tuple[float, float]
    last: datetime
    point: tuple[float, float]
    metre: float
    came: bool
    """Whether they came into sight in a way that needs no other reason."""
    rim: datetime | None = None
    cameras: dict[str, datetime] = field(default_factory=dict)
    crossings: list[tuple[str, str, datetime]] = field(default_factory=list)
    visits: list[tuple[str, datetime]] = field(default_factory=list)
    round: Counter[str] = field(default_factory=Counter)

    def crossed(self, time: datetime) -> bool:
        """Whether they went through a line about then."""
        return any(abs(time - crossed) <= THROUGH for _, _, crossed in self.crossings)


class Audit:
    """The audit of one floor, told of its people frame by frame, and of its events.

    Args:
        lines, zones: those of the floor.
        cameras: which cameras watch each.
        hour: what is audited at a time.
    """

    def __init__(
        self,
        lines: Sequence[LineConfig],
        zones: Sequence[ZoneConfig],
        cameras: Mapping[wire.Place, Iterable[str]],
        hour: timedelta = HOUR,
    ) -> None:
        self._lines, self._zones, self._hour = lines, zones, hour
        self._cameras = {place: frozenset(who) for place, who in cameras.items()}
        self._plan = floor.plan([line.points for line in lines], [zone.polygon for zone in zones])
        self._places: list[wire.Place] = [("line", line.id) for line in lines]
        self._places += [("zone", zone.id) for zone in zones]
        self._entrances = [line for line in lines if line.role == "entrance"]
        self._round = floor.plan([way for line in self._entrances for way in _beyond(line)], [])
        self._adjacent = [
            (line, zone) for line in lines for zone in zones if _leads_into(line, zone)
        ]
        self._people: dict[str, _Person] = {}
        self._hours: dict[datetime, _Hour] = {}
        self._now = self._opened = _EPOCH

    def interrupt(self, time: datetime, people: Iterable[str] | None = None) -> None:
        """A camera stops or begins: these people, or all, end by that; who is first was there."""
        self._opened = time
        for name in self._people if people is None else people:
            if person := self._people.get(name):
                person.rim = person.last

    def see(
        self,
        time: datetime,
        camera: str,
        people: Sequence[str],
        points: Floats,
        metres: Floats,
        rim: npt.NDArray[np.bool_],
    ) -> None:
        """The people whom a camera's frame shows.

        Args:
            people: (n) who.
            points: (n, 2) where on the floor.
            metres: (n,) what a metre is there, in the floor's unit.
            rim: (n,) who is at the rim of the picture.
        """
        before = [
            self._people[name].point if name in self._people else (x, y)
            for name, (x, y) in zip(people, points.tolist(), strict=True)
        ]
        round_ = floor.crossings(self._round, np.array(before).reshape(-1, 2), points)
        for row, name in enumerate(people):
            x, y = points[row].tolist()
            metre = float(metres[row])
            person = self._people.get(name)
            if person is None:
                came = time - self._opened <= OPENING
                person = _Person(time, (x, y), time, (x, y), metre, came)
                self._people[name] = person
            unseen = (time - person.last).total_seconds()
            away = hypot(x - person.point[0], y - person.point[1])
            if away > (LEAP + FASTEST * unseen) * metre:
                self._break(person.last, person.point, person.metre, "ended")
                self._break(time, (x, y), metre, "begun")
            if rim[row]:
                person.rim = time
                person.came = person.came or time - person.first <= AROUND
            for way in np.flatnonzero(round_[row]).tolist():
                person.round[self._entrances[way // 2].id] += int(round_[row, way])
            person.cameras[camera] = time
            person.last, person.point, person.metre = time, (x, y), metre

    def merge(self, gone: str, into: str) -> None:
        """Two people were one all the time."""
        person, other = self._people.get(into), self._people.pop(gone, None)
        if person and other:
            person.cameras = {
                name: max(person.cameras.get(name, _EPOCH), other.cameras.get(name, _EPOCH))
                for name in person.cameras | other.cameras
            }

    def tell(self, events: Iterable[wire.Event]) -> None:
        """The floor's events, before the gate, each after its people have been seen."""
        for event in events:
            match event:
                case wire.Crossing():
                    self._count(("line", event.line), event.time, event.time - WITNESS, event.track)
                    if event.track in self._people:
                        crossing = event.line, event.direction, event.time
                        self._people[event.track].crossings.append(crossing)
                case wire.Visit():
                    self._count(("zone", event.zone), event.exited, event.entered, event.track)
                    if event.track in self._people:
                        self._people[event.track].visits.append((event.zone, event.entered))
                case wire.Path():
                    self._end(event)
                case wire.Coverage():
                    self._now = max(self._now, event.stop)
                    seconds = (event.stop - event.start).total_seconds()
                    if event.expected and (hour := self._of(event.start)):
                        covered = seconds * min(event.seen / event.expected, 1.0)
                        hour.covered[event.camera] = hour.covered.get(event.camera, 0) + covered

    def hours(self) -> list[wire.Audit]:
        """The audits of the last whole hours, the oldest first."""
        return [
            audit
            for start, hour in sorted(self._hours.items())
            if start + self._hour <= self._now
            for audit in self._audits(start, hour)
        ]

    def _audits(self, start: datetime, hour: _Hour) -> Iterator[wire.Audit]:
        entrances: list[wire.Place] = [("line", line.id) for line in self._entrances]
        flow = sum(hour.tallies[place].count for place in entrances)
        net = balance(flow, hour.begun, hour.ended)
        for place, tally in hour.tallies.items():
            cameras = self._cameras[place]
            checks = tally.checks(cameras)
            if net is not None and place in entrances:
                checks["balance"] = net
            if checks:
                seen = max(hour.covered.get(camera, 0.0) for camera in cameras)
                checks["coverage"] = min(seen / self._hour.total_seconds(), 1.0)
                checks = {check: round(share, 3) for check, share in checks.items()}
                yield wire.Audit(*place, start, tally.count, min(checks.values()), checks)

    def _of(self, time: datetime) -> _Hour | None:
        """The hour of a moment, if it is not over for long."""
        start = time - (time - _EPOCH) % self._hour
        if start not in self._hours:
            if start < max(self._hours, default=start):
                return None
            self._hours[start] = _Hour({place: Tally() for place in self._places})
            for old in sorted(self._hours)[: -KEPT - 1]:
                del self._hours[old]
        return self._hours[start]

    def _count(self, place: wire.Place, time: datetime, since: datetime, track: str) -> None:
        """One more of a line or zone, and which of its cameras have seen them since a time."""
        if hour := self._of(time):
            tally = hour.tallies[place]
            tally.count += 1
            if person := self._people.get(track):
                saw = {camera for camera, last in person.cameras.items() if last >= since}
                tally.seen[frozenset(saw & self._cameras[place])] += 1

    def _end(self, path: wire.Path) -> None:
        person = self._people.pop(path.track, None)
        if person is None:
            return
        if not person.came and not person.crossed(person.first):
            self._break(person.first, person.start, person.metre, "begun")
        by_rim = person.rim is not None and person.last - person.rim <= AROUND
        if not by_rim and not person.crossed(person.last):
            self._break(person.last, person.point, person.metre, "ended")
        for name, net in person.round.items():
            if net and (hour := self._of(person.last)):
                hour.tallies["line", name].rounded += 1
        for line, zone in self._adjacent:
            self._match(person, path, line, zone)

    def _match(self, person: _Person, path: wire.Path, line: LineConfig, zone: ZoneConfig) -> None:
        """Crossings into a zone and visits that begin behind the line, one against the other."""
        times, xs, ys = np.array(path.points).T
        crossed = [time for name, way, time in person.crossings if name == line.id and way == "in"]
        entered = []
        for name, time in person.visits:
            if name == zone.id:
                t = (time - path.start).total_seconds()
                place = np.array([[np.interp(t, times, xs), np.interp(t, times, ys)]])
                away = floor.line_distances(self._plan, place)[0, self._lines.index(line)]
                if away <= STEP_IN * person.metre:
                    entered.append(time)
        for ones, others in ((crossed, entered), (entered, crossed)):
            for time in ones:
                match = any(abs(time - other) <= TOGETHER for other in others)
                if (hour := self._of(time)) and (ones is crossed or not match):
                    for tally in (hour.tallies["line", line.id], hour.tallies["zone", zone.id]):
                        tally.matched += match
                        tally.unmatched += not match

    def _break(self, time: datetime, point: tuple[float, float], metre: float, what: str) -> None:
        """Somebody begins or ends out of nothing."""
        hour = self._of(time)
        if hour is None:
            return
        place = np.array([point])
        beside = floor.line_distances(self._plan, place)[0] <= BESIDE * metre
        within = floor.zone_depths(self._plan, place)[0] >= -EDGE * metre
        for where, near in zip(self._places, (*beside.tolist(), *within.tolist()), strict=True):
            hour.tallies[where].broken += near
        if self._behind(place):
            hour.begun += what == "begun"
            hour.ended += what == "ended"

    def _behind(self, place: Floats) -> bool:
        """Whether a place (1, 2) is on the inner side of the nearest entrance line."""
        if not self._entrances:
            return False
        plan = floor.plan([line.points for line in self._entrances], [])
        line = self._entrances[int(floor.line_distances(plan, place)[0].argmin())]
        (ax, ay), (bx, by) = line.points[0], line.points[-1]
        x, y = place[0].tolist()
        return bool((bx - ax) * (y - ay) - (by - ay) * (x - ax) < 0)


def _beyond(line: LineConfig) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The ways round both ends of a line, each as long as it is across, with its direction."""
    (ax, ay), (bx, by) = line.points[0], line.points[-1]
    yield (2 * ax - bx, 2 * ay - by), (ax, ay)
    yield (bx, by), (2 * bx - ax, 2 * by - ay)


def _leads_into(line: LineConfig, zone: ZoneConfig) -> bool:
    """Whether who crosses a line inwards anywhere steps into a zone, and nobody from within it."""
    polygon = floor.plan([], [zone.polygon])
    for (ax, ay), (bx, by) in pairwise(line.points):
        middle, length = np.array([ax + bx, ay + by]) / 2, hypot(bx - ax, by - ay)
        inwards = np.array([by - ay, ax - bx]) / length * min(EDGE, length)
        within, without = floor.inside(polygon, np.array([middle + inwards, middle - inwards]))
        if not within[0] or without[0]:
            return False
    return True
