"""What becomes of those who queue."""

from datetime import UTC, datetime, timedelta

import pytest

from edge import wire
from edge.config import ZoneConfig
from edge.queues import Outcome, Queues, tills

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUEUE, TILL, SHELF, OTHER, NEXT = range(5)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def outcome(waits: dict[int, int] | None = None, **counts: int) -> Outcome:
    bins = [0] * (len(wire.WAIT_EDGES) + 1)
    for place, count in (waits or {}).items():
        bins[place] = count
    return Outcome(**counts, waits=bins)


Step = tuple[str, int, float] | tuple[str, int, float, float, wire.Ended]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(
            [("leave", QUEUE, 0, 40, "left"), ("enter", TILL, 41)],
            outcome({2: 1}, joined=1, served=1),
            id="served",
        ),
        pytest.param(
            [("enter", TILL, 38), ("leave", QUEUE, 0, 40, "left")],
            outcome({2: 1}, joined=1, served=1),
            id="at the till before the queue is left",
        ),
        pytest.param(
            [("leave", QUEUE, 0, 40, "left"), ("enter", SHELF, 41)],
            outcome(joined=1, abandoned=1),
            id="goes elsewhere",
        ),
        pytest.param(
            [("leave", QUEUE, 0, 40, "left"), ("enter", TILL, 50)],
            outcome(joined=1, abandoned=1),
            id="comes to the till too late",
        ),
        pytest.param(
            [("enter", TILL, -50), ("leave", QUEUE, 0, 40, "left")],
            outcome(joined=1, abandoned=1),
            id="was served before",
        ),
        pytest.param(
            [("leave", QUEUE, 0, 40, "lost")], outcome(joined=1, lost=1), id="nobody saw where"
        ),
        pytest.param([("leave", QUEUE, 0, 2, "left")], outcome(), id="walks through"),
        pytest.param([("leave", QUEUE, 0, 40, "shutdown")], outcome(joined=1), id="still waits"),
        pytest.param([("leave", SHELF, 0, 40, "left")], outcome(), id="another zone"),
        pytest.param(
            [("leave", QUEUE, 0, 15, "left"), ("enter", TILL, 16)],
            outcome({0: 1}, joined=1, served=1),
            id="an edge belongs to the bin below it",
        ),
    ],
)
def test_what_becomes_of_one(steps: list[Step], expected: Outcome) -> None:
    queues = Queues({QUEUE: {TILL}, OTHER: set()})
    for kind, zone, *rest in steps:
        if kind == "enter":
            queues.go_on(at(float(rest[0])))
            queues.enter(7, zone, at(float(rest[0])))
        else:
            entered, left, ended = rest
            queues.leave(7, zone, at(float(entered)), at(float(left)), ended)  # type: ignore[arg-type]
    queues.go_on(at(100))
    assert queues.take(QUEUE) == expected
    assert queues.take(QUEUE) == outcome()


def test_without_a_till_in_sight_nobody_is_said_to_have_given_up() -> None:
    queues = Queues({QUEUE: {TILL}, OTHER: set()})
    queues.leave(7, OTHER, at(0), at(40), "left")
    queues.enter(7, TILL, at(41))
    queues.go_on(at(100))
    assert queues.take(OTHER) == outcome(joined=1, lost=1)
    assert queues.take(QUEUE) == outcome()


def test_somebody_else_s_till_serves_nobody_here() -> None:
    queues = Queues({QUEUE: {TILL}, OTHER: {NEXT}})
    queues.enter(7, NEXT, at(39))
    queues.leave(7, QUEUE, at(0), at(40), "left")
    queues.enter(7, NEXT, at(41))
    queues.go_on(at(100))
    assert queues.take(QUEUE) == outcome(joined=1, abandoned=1)


def test_who_turns_out_to_be_somebody_else_is_served_as_that() -> None:
    queues = Queues({QUEUE: {TILL}})
    queues.leave(7, QUEUE, at(0), at(40), "left")
    queues.merge(7, 3)
    queues.enter(3, TILL, at(41))
    queues.enter(8, TILL, at(50))
    queues.merge(8, 4)
    queues.leave(4, QUEUE, at(20), at(51), "left")
    queues.go_on(at(100))
    assert queues.take(QUEUE) == outcome({2: 2}, joined=2, served=2)


def test_a_queue_is_served_by_the_tills_beside_it() -> None:
    def zone(name: str, role: wire.ZoneRole, left: float, top: float) -> ZoneConfig:
        corners = ((left, top), (left + 1, top), (left + 1, top + 1), (left, top + 1))
        return ZoneConfig(id=name, name=name, role=role, polygon=corners)

    zones = [
        zone("queue", "queue", 0, 0),
        zone("own", "service", 0, 1),
        zone("near", "service", 1.4, 1),
        zone("far", "service", 1.6, 1),
        zone("shelf", "display", 0, -1),
        zone("alone", "queue", 9, 9),
        zone("around", "service", 8.9, 8.9),
    ]
    assert tills(zones, calibrated=True) == {0: {1, 2}, 5: {6}}
    assert tills(zones, calibrated=False) == {0: {1, 2, 3, 6}, 5: {1, 2, 3, 6}}
