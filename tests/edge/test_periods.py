"""Minutes: occupancy, queues and coverage."""

from datetime import UTC, datetime, timedelta

import pytest

from edge import wire
from edge.config import ZoneConfig
from edge.periods import CameraPeriods, ZonePeriods
from edge.queues import Queues
from edge.visits import Watched

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
ZONES = (
    ZoneConfig(id="till", name="Till", role="service", polygon=SQUARE),
    ZoneConfig(id="line", name="Line", role="queue", polygon=SQUARE),
)
WATCHED = Watched(
    "ground", True, (), ZONES, {("zone", "till"): ("left", "right"), ("zone", "line"): ("left",)}
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def periods() -> tuple[ZonePeriods, Queues]:
    queues = Queues({1: {0}})
    return ZonePeriods(WATCHED, queues), queues


def test_occupancy_is_weighted_by_time_and_breaks_at_the_minute() -> None:
    zones, _ = periods()
    events: list[wire.Event] = []
    for seconds, now in ((0, 2), (30, 1), (90, 0), (125, 0)):
        events += zones.go_on(at(seconds), ["left"])
        zones.count([now, 0])
    events += zones.close()
    told = [
        (o.start, o.stop, o.min, o.mean, o.max)
        for o in events
        if isinstance(o, wire.Occupancy) and o.zone == "till"
    ]
    assert told == [
        (at(0), at(60), 0, pytest.approx(1.5), 2),
        (at(60), at(120), 0, pytest.approx(0.5), 1),
        (at(120), at(125), 0, 0.0, 0),
    ]


def test_a_zone_is_counted_while_one_of_its_cameras_sees() -> None:
    zones, _ = periods()
    events: list[wire.Event] = []
    for seconds, seeing in ((0, ["left", "right"]), (20, ["right"]), (40, []), (50, ["left"])):
        events += zones.go_on(at(seconds), seeing)
    events += zones.go_on(at(60), ["left"])
    told = {
        zone.id: [
            (o.start, o.stop) for o in events if isinstance(o, wire.Occupancy) and o.zone == zone.id
        ]
        for zone in ZONES
    }
    assert told == {
        "till": [(at(0), at(40)), (at(50), at(60))],
        "line": [(at(0), at(20)), (at(50), at(60))],
    }


def test_a_queue_s_minute_says_what_became_of_it() -> None:
    zones, queues = periods()
    events = list(zones.go_on(at(0), ["left"]))
    zones.count([0, 3])
    queues.leave(1, 1, at(-20), at(10), "left")
    queues.enter(1, 0, at(11))
    queues.leave(2, 1, at(-20), at(12), "lost")
    events += zones.go_on(at(30), ["left"])
    zones.count([0, 1])
    events += zones.go_on(at(60), ["left"])
    (queue,) = (each for each in events if isinstance(each, wire.Queue))
    assert queue == wire.Queue(
        "ground",
        "line",
        at(0),
        at(60),
        length_mean=2.0,
        length_max=3,
        joined=2,
        served=1,
        abandoned=0,
        lost=1,
        waiting=1,
        wait_histogram=(0, 1, 0, 0, 0, 0, 0, 0, 0),
    )


def test_coverage_counts_what_was_seen_and_says_why_not_more() -> None:
    camera = CameraPeriods("left", 10.0)
    events: list[wire.Event] = []
    for frame in range(300):
        events += camera.go_on(at(frame / 10), "ok")
        camera.saw()
    for second in range(35, 130):
        events += camera.go_on(at(second), "offline")
    events += camera.go_on(at(130), "ok")
    camera.saw()
    events += camera.go_on(at(140), "ok")
    events += camera.close()
    told = [
        ((c.start - START).seconds, (c.stop - START).seconds, c.seen, c.expected, c.cause)
        for c in events
        if isinstance(c, wire.Coverage)
    ]
    assert told == [
        (0, 35, 300, 350, "ok"),
        (35, 60, 0, 250, "offline"),
        (60, 120, 0, 600, "offline"),
        (120, 130, 0, 100, "offline"),
        (130, 140, 1, 100, "overloaded"),
    ]
