"""What becomes of those who queue: served, abandoned, lost.

Somebody has joined a queue who has been in a zone with role `queue` for `JOINED`; who only walks
through it has not. They are served if they come to a zone with role `service` beside it within
`SERVED` of leaving the queue, abandoned if they do not, and lost if nobody saw where they went:
also where no such zone is watched, for then nobody can tell. The wait is the time in the queue's
zone.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from edge import floor, wire
from edge.config import ZoneConfig

JOINED = timedelta(seconds=3)
SERVED = timedelta(seconds=5)
BESIDE = 0.5
"""Metres: a service zone that is no farther from a queue's zone serves that queue."""


@dataclass
class Outcome:
    """A queue's people since the last call of `take`; `waits` are those of the served, by
    `wire.WAIT_EDGES`."""

    joined: int = 0
    served: int = 0
    abandoned: int = 0
    lost: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * (len(wire.WAIT_EDGES) + 1))


def tills(zones: Sequence[ZoneConfig], calibrated: bool) -> dict[int, Set[int]]:
    """The service zones of each queue's zone, by their places in `zones`.

    Where nothing is in metres, every service zone is one of every queue.
    """
    service = {place for place, zone in enumerate(zones) if zone.role == "service"}
    return {
        place: {each for each in service if not calibrated or _apart(zone, zones[each]) <= BESIDE}
        for place, zone in enumerate(zones)
        if zone.role == "queue"
    }


def _apart(one: ZoneConfig, other: ZoneConfig) -> float:
    """How far two zones are from each other, which is how far a corner is from the other zone."""
    depths = [
        floor.zone_depths(floor.plan([], [zone.polygon]), np.array(corners.polygon)).max()
        for zone, corners in ((one, other), (other, one))
    ]
    return max(-float(max(depths)), 0.0)


class Queues:
    """The queues of a floor, each by its zone with the service zones beside it; see `tills`."""

    def __init__(self, tills: Mapping[int, Set[int]]) -> None:
        self._tills = tills
        self._service = {zone for zones in tills.values() for zone in zones}
        self._outcomes = {zone: Outcome() for zone in tills}
        self._open: dict[int, tuple[int, timedelta, datetime]] = {}
        """Who left a queue and may yet be served: its zone, their wait, and when they left."""
        self._served: dict[int, dict[int, datetime]] = {}
        """Who is or was to be served, where and since when: the edges of both zones may overlap."""

    def enter(self, number: int, zone: int, time: datetime) -> None:
        """Somebody steps into a zone."""
        if zone not in self._service:
            return
        self._served.setdefault(number, {})[zone] = time
        if number in self._open and zone in self._tills[self._open[number][0]]:
            queue, wait, _ = self._open.pop(number)
            self._serve(queue, wait)

    def leave(
        self, number: int, zone: int, entered: datetime, left: datetime, ended: wire.Ended
    ) -> None:
        """Somebody's stay in a zone is over."""
        outcome = self._outcomes.get(zone)
        if outcome is None or left - entered < JOINED:
            return
        outcome.joined += 1
        wait, tills = left - entered, self._tills[zone]
        since = [at for till, at in self._served.get(number, {}).items() if till in tills]
        # They may stand at the till already, while they are still near the queue.
        if since and max(since) > entered:
            self._serve(zone, wait)
        elif ended in ("lost", "occluded") or (ended == "left" and not tills):
            outcome.lost += 1
        elif ended == "left":
            self._open[number] = zone, wait, left

    def merge(self, number: int, into: int) -> None:
        """Two people were one all the time."""
        if number in self._open:
            self._open.setdefault(into, self._open.pop(number))
        if number in self._served:
            self._served.setdefault(into, {}).update(self._served.pop(number))

    def end(self, number: int) -> None:
        """Somebody is gone for good; whether they abandoned the queue `go_on` will say."""
        self._served.pop(number, None)

    def go_on(self, time: datetime) -> None:
        """Whoever has left a queue and is not served by now has abandoned it."""
        for number, (zone, _, left) in list(self._open.items()):
            if time - left > SERVED:
                del self._open[number]
                self._outcomes[zone].abandoned += 1

    def take(self, zone: int) -> Outcome:
        """What became of a queue's people since the last call."""
        outcome, self._outcomes[zone] = self._outcomes[zone], Outcome()
        return outcome

    def _serve(self, zone: int, wait: timedelta) -> None:
        outcome = self._outcomes[zone]
        outcome.served += 1
        outcome.waits[bisect_left(wire.WAIT_EDGES, wait.total_seconds())] += 1
