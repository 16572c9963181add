"""Events from walks on the floor whose truth is known."""

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import floor, wire
from edge.config import CameraConfig
from edge.ground import watched
from edge.visits import Observer

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
FPS = 10.0
Place = tuple[float, float] | None
Kind = TypeVar("Kind", bound=wire.Event)

CAMERA = CameraConfig.model_validate(
    {
        "id": "door",
        "source": "0",
        "zones": [
            {
                "id": "till",
                "name": "Till",
                "role": "service",
                "polygon": [(0.6, 0.0), (1.0, 0.0), (1.0, 1.0), (0.6, 1.0)],
            },
            {
                "id": "desk",
                "name": "Desk",
                "role": "staff",
                "polygon": [(0.0, 0.8), (0.2, 0.8), (0.2, 1.0), (0.0, 1.0)],
            },
        ],
        "lines": [
            {
                "id": "entrance",
                "name": "Entrance",
                "role": "entrance",
                "points": [(0.0, 0.5), (1.0, 0.5)],
            }
        ],
    }
)


METRE = 0.05
"""Of the picture, as it is not calibrated."""


def observer(staff_after: timedelta | None = None) -> Observer:
    return Observer(watched([CAMERA]), lambda number: f"{number:016x}", staff_after)


def see(
    watcher: Observer, time: datetime, there: dict[int, tuple[float, float]], hidden: bool = False
) -> list[wire.Event]:
    points = np.array(list(there.values()), np.float64).reshape(-1, 2)
    count = len(there)
    return watcher.observe(
        time,
        CAMERA.id,
        np.array(list(there), np.int64),
        points,
        np.full(count, METRE),
        np.full(count, hidden),
    )


def at(frame: float) -> datetime:
    return START + timedelta(seconds=frame / FPS)


def watch(*walks: list[Place], close: bool = True, of: Observer | None = None) -> list[wire.Event]:
    """The events of walks, a place a frame; None is unseen, and a walk that is over has ended."""
    watcher = of or observer()
    events: list[wire.Event] = []
    for frame in range(max(map(len, walks))):
        for number, walk in enumerate(walks, 1):
            if frame == len(walk):
                events += watcher.end(number)
        seen = {n: walk[frame] for n, walk in enumerate(walks, 1) if frame < len(walk)}
        events += see(watcher, at(frame), {n: spot for n, spot in seen.items() if spot})
    return events + (watcher.end_all("shutdown") if close else [])


def only(events: list[wire.Event], kind: type[Kind]) -> list[Kind]:
    return [event for event in events if isinstance(event, kind)]


def line(start: tuple[float, float], stop: tuple[float, float], frames: int) -> list[Place]:
    return [(x, y) for x, y in np.linspace(start, stop, frames).tolist()]


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        pytest.param(line((0.3, 0.9), (0.3, 0.1), 20), ["in"], id="in"),
        pytest.param(line((0.3, 0.1), (0.3, 0.9), 20), ["out"], id="out"),
        pytest.param(
            line((0.3, 0.9), (0.3, 0.1), 20) + line((0.3, 0.1), (0.3, 0.9), 20),
            ["in", "out"],
            id="in and out",
        ),
        pytest.param(
            line((0.3, 0.9), (0.3, 0.503), 9)
            + [(0.3, 0.497), (0.3, 0.503)] * 10
            + line((0.3, 0.497), (0.3, 0.1), 9),
            ["in"],
            id="dithers on the line and enters",
        ),
        pytest.param(
            line((0.3, 0.9), (0.3, 0.497), 9) + line((0.3, 0.503), (0.3, 0.9), 9),
            [],
            id="touches it and turns back",
        ),
        pytest.param(line((0.3, 0.9), (0.3, 0.497), 9), ["in"], id="last seen just beyond"),
        pytest.param(
            [(0.3, 0.55)] * 5 + [(0.3, 0.45)] + [(0.3, 0.55)] * 5, [], id="one wrong box beyond"
        ),
        pytest.param(
            [(0.3, 0.55)] * 5 + [(0.3, 0.45)] * 2 + [(0.3, 0.55)] * 5,
            ["in", "out"],
            id="seen beyond twice",
        ),
        pytest.param([(0.3, 0.9), (0.3, 0.1)], ["in"], id="seen beyond once, and last"),
        pytest.param(
            line((0.3, 0.9), (0.3, 0.6), 5) + [None] * 8 + line((0.3, 0.4), (0.3, 0.1), 5),
            ["in"],
            id="unseen while crossing",
        ),
        pytest.param([(0.3, 0.1)] * 20, [], id="begins inside"),
    ],
)
def test_a_passage_is_one_crossing(walk: list[Place], expected: list[str]) -> None:
    crossings = only(watch(walk, [(0.1, 0.1)] * 60), wire.Crossing)
    assert [crossing.direction for crossing in crossings] == expected
    assert {crossing.track for crossing in crossings} <= {f"{1:016x}"}


def test_a_crossing_is_dated_when_the_line_was_crossed() -> None:
    walk: list[Place] = [*[(0.3, 0.6)] * 5, *[(0.3, 0.495)] * 10, *[(0.3, 0.2)] * 5]
    assert [each.time for each in only(watch(walk), wire.Crossing)] == [at(5)]


def test_who_lingers_just_beyond_the_line_has_crossed_all_the_same() -> None:
    walk: list[Place] = [*[(0.3, 0.6)] * 5, *[(0.3, 0.497)] * 80]
    assert len(only(watch(walk, close=False), wire.Crossing)) == 1


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        pytest.param(
            [(0.3, 0.3)] * 5 + [(0.7, 0.3)] * 31 + [(0.3, 0.3)] * 20,
            [(0.5, 3.5, 1, "left")],
            id="left",
        ),
        pytest.param([(0.7, 0.3)] * 31 + [(0.3, 0.3)] * 3, [(0.0, 3.0, 1, "left")], id="just left"),
        pytest.param([(0.7, 0.3)] * 31 + [None] * 20, [(0.0, 3.0, 1, "lost")], id="lost"),
        pytest.param([(0.7, 0.3)] * 100, [(0.0, 9.9, 1, "shutdown")], id="shutdown"),
        pytest.param([(0.7, 0.3)] * 9 + [(0.3, 0.3)] * 20, [], id="too short"),
        pytest.param(
            ([(0.7, 0.3)] * 5 + [(0.59, 0.3)] * 5) * 4 + [(0.3, 0.3)] * 20,
            [(0.0, 3.4, 1, "left")],
            id="on the edge",
        ),
        pytest.param(
            ([(0.7, 0.3)] * 21 + [(0.3, 0.3)] * 19) * 2,
            [(0.0, 2.0, 1, "left"), (4.0, 6.0, 2, "left")],
            id="comes again",
        ),
    ],
)
def test_a_stay_is_one_visit(
    walk: list[Place], expected: list[tuple[float, float, int, str]]
) -> None:
    visits = only(watch(walk, [(0.1, 0.1)] * 100), wire.Visit)
    seconds = [
        ((v.entered - START).total_seconds(), (v.exited - START).total_seconds(), v.nth, v.ended)
        for v in visits
    ]
    assert seconds == expected
    assert all(v.dwell == (v.exited - v.entered).total_seconds() for v in visits)


def test_who_stood_behind_the_desk_is_staff_from_then_on() -> None:
    walk = [(0.1, 0.9)] * 20 + line((0.1, 0.9), (0.7, 0.2), 20) + [(0.7, 0.2)] * 20
    events = watch(walk, line((0.4, 0.9), (0.4, 0.1), 60))
    staff = {
        (type(e).__name__, e.track): e.staff
        for e in events
        if isinstance(e, wire.Crossing | wire.Visit)
    }
    assert staff == {
        ("Visit", f"{1:016x}"): True,
        ("Crossing", f"{1:016x}"): True,
        ("Crossing", f"{2:016x}"): False,
    }


def test_a_path_tells_way_zones_and_time() -> None:
    walk = line((0.1, 0.1), (0.7, 0.1), 30) + [(0.7, 0.1)] * 20 + line((0.7, 0.1), (0.7, 0.7), 30)
    (path,) = only(watch(walk), wire.Path)
    assert path.start == START
    assert path.duration == pytest.approx(7.9)
    assert path.distance == pytest.approx(1.2, abs=0.05)
    assert path.zones == ("till",)
    assert path.points[0] == (0.0, 0.1, 0.1)
    assert path.points[-1] == pytest.approx((7.9, 0.7, 0.7))
    assert 4 <= len(path.points) <= 8


def test_who_is_there_too_long_is_staff_where_that_is_wished() -> None:
    spots: list[tuple[Place, int]] = [((0.7, 0.3), 100), ((0.3, 0.3), 50), ((0.7, 0.3), 50)]
    walk = [spot for spot, frames in spots for _ in range(frames)]
    for after, expected in ((None, [False, False]), (timedelta(seconds=12), [False, True])):
        visits = only(watch(walk, of=observer(after)), wire.Visit)
        assert [visit.staff for visit in visits] == expected


def test_a_visit_says_whether_somebody_else_was_in_the_way() -> None:
    for hidden, expected in ((False, "lost"), (True, "occluded")):
        watcher = observer()
        for frame in range(20):
            see(watcher, at(frame), {1: (0.7, 0.3)}, hidden and frame == 19)
        (visit,) = only([*watcher.end(1)], wire.Visit)
        assert visit.ended == expected


def test_a_gap_is_bridged_and_counted() -> None:
    watcher = observer()
    for frame in (*range(20), *range(80, 100)):
        if frame == 80:
            watcher.came_back(1)
        see(watcher, at(frame), {1: (0.7, 0.3)})
    (visit,) = only([*watcher.end(1)], wire.Visit)
    assert (visit.dwell, visit.stitched) == (9.9, 1)


def test_two_who_were_one_are_one_visit() -> None:
    watcher = observer()
    for frame in range(50):
        there = {1: (0.7, 0.3)} if frame < 30 else {}
        see(watcher, at(frame), there | ({2: (0.7, 0.31)} if frame >= 20 else {}))
    watcher.merge(1, 2)
    assert watcher.counts == [1, 0]
    (visit,) = only(watcher.end_all(), wire.Visit)
    assert (visit.entered, visit.dwell, visit.track) == (at(0), 4.9, f"{2:016x}")


def moments(event: wire.Event) -> list[datetime]:
    match event:
        case wire.Crossing():
            return [event.time]
        case wire.Visit():
            return [event.exited]
        case _:
            return []


# Never along the picture's edge, where the line ends.
place = st.tuples(st.floats(0.01, 0.99), st.floats(0, 1))
walks = st.lists(
    st.lists(st.tuples(place, st.integers(1, 30)), min_size=1, max_size=6), min_size=1, max_size=3
)


@given(walks)
def test_the_books_balance(routes: list[list[tuple[tuple[float, float], int]]]) -> None:
    """Whatever people do: net crossings, visits and `pending` agree with where they were."""
    stays: list[list[Place]] = [[spot for spot, n in route for _ in range(n)] for route in routes]
    watcher = observer()
    events: list[wire.Event] = []
    for frame in range(max(map(len, stays)) + 1):
        pending = min([at(frame - 1), *filter(None, [watcher.pending])])
        now = [e for n, walk in enumerate(stays, 1) if frame == len(walk) for e in watcher.end(n)]
        there = {n: walk[frame] for n, walk in enumerate(stays, 1) if frame < len(walk)}
        now += see(watcher, at(frame), {n: spot for n, spot in there.items() if spot})
        for event in now:
            assert all(moment >= pending for moment in moments(event))
        events += now
    events += watcher.end_all()
    for number, walk in enumerate(stays, 1):
        track = f"{number:016x}"
        net = sum(
            1 if c.direction == "in" else -1
            for c in only(events, wire.Crossing)
            if c.track == track
        )
        first, last = walk[0], walk[-1]
        assert first is not None
        assert last is not None
        assert net == int(first[1] >= 0.5) - int(last[1] >= 0.5)
        visits = [v for v in only(events, wire.Visit) if v.track == track]
        assert sum(v.dwell for v in visits if v.zone == "till") <= len(walk) / FPS
        assert all(v.dwell >= 1 for v in visits)
        (path,) = (p for p in only(events, wire.Path) if p.track == track)
        assert path.duration == pytest.approx((len(walk) - 1) / FPS)


way = st.lists(st.tuples(st.integers(1, 20), place), min_size=1, max_size=60)


@given(way, st.floats(0.01, 0.3))
def test_a_simplified_way_is_nowhere_off_by_more_than_the_tolerance(
    steps: list[tuple[int, tuple[float, float]]], tolerance: float
) -> None:
    times = np.cumsum([step for step, _ in steps])
    full = [(float(t), x, y) for t, (_, (x, y)) in zip(times, steps, strict=True)]
    short = floor.simplify(full, tolerance, 1000)
    assert set(short) <= set(full)
    assert (short[0], short[-1]) == (full[0], full[-1])
    t, x, y = np.array(full).T
    u, v, w = np.array(short).T
    off = np.hypot(np.interp(t, u, v) - x, np.interp(t, u, w) - y)
    assert off.max() <= tolerance + 1e-9
    assert len(floor.simplify(full, tolerance, 5)) <= 5


def test_memory_of_a_track_stays_small() -> None:
    rng = np.random.default_rng(0)
    wander: list[Place] = [(x, y) for x, y in rng.random((3000, 2)).tolist()]
    events: list[Any] = watch(wander)
    (path,) = only(events, wire.Path)
    assert len(path.points) <= 256
    assert len(wire.encode(path)) < wire.MAX_BYTES / 2
