"""What becomes of those who queue."""

from datetime import UTC, datetime, timedelta

import pytest

from edge import wire
from edge.queues import Outcome, Queues

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUEUE, TILL, SHELF = 0, 1, 2


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
    queues = Queues(["queue", "service", "display"])
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
