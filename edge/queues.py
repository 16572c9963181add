"""What becomes of those who queue: served, abandoned, lost.

Somebody has joined a queue who has been in a zone with role `queue` for `JOINED`; who only walks
through it has not. They are served if they come to a zone with role `service` within `SERVED` of
leaving the queue, abandoned if they do not, and lost if nobody saw where they went. The wait is the
time in the queue's zone.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from edge import wire

JOINED = timedelta(seconds=3)
SERVED = timedelta(seconds=5)


@dataclass
class Outcome:
    """A queue's people since the last call of `take`; `waits` are those of the served, by
    `wire.WAIT_EDGES`."""

    joined: int = 0
    served: int = 0
    abandoned: int = 0
    lost: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * (len(wire.WAIT_EDGES) + 1))


class Queues:
    """The queues among a floor's zones, whose roles are given in their order."""

    def __init__(self, roles: Sequence[wire.ZoneRole]) -> None:
        self._roles = roles
        self._outcomes = {zone: Outcome() for zone, role in enumerate(roles) if role == "queue"}
        self._open: dict[int, tuple[int, timedelta, datetime]] = {}
        """Who left a queue and may yet be served: its zone, their wait, and when they left."""
        self._served: dict[int, datetime] = {}
        """Who came to be served, and when: the edges of both zones may overlap."""

    def enter(self, number: int, zone: int, time: datetime) -> None:
        """Somebody steps into a zone."""
        if self._roles[zone] != "service":
            return
        self._served[number] = time
        if number in self._open:
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
        wait = left - entered
        # They may stand at the till already, while they are still near the queue.
        if self._served.get(number, entered) > entered:
            self._serve(zone, wait)
        elif ended in ("lost", "occluded"):
            outcome.lost += 1
        elif ended == "left":
            self._open[number] = zone, wait, left

    def go_on(self, time: datetime) -> None:
        """Whoever has left a queue and is not served by now has abandoned it."""
        for number, (zone, _, left) in list(self._open.items()):
            if time - left > SERVED:
                del self._open[number]
                self._outcomes[zone].abandoned += 1
        for number, since in list(self._served.items()):
            if time - since > timedelta(minutes=30):
                del self._served[number]

    def take(self, zone: int) -> Outcome:
        """What became of a queue's people since the last call."""
        outcome, self._outcomes[zone] = self._outcomes[zone], Outcome()
        return outcome

    def _serve(self, zone: int, wait: timedelta) -> None:
        outcome = self._outcomes[zone]
        outcome.served += 1
        outcome.waits[bisect_left(wire.WAIT_EDGES, wait.total_seconds())] += 1
