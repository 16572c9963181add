"""The gate: what is not in the contract does not pass, and what passes is coarse."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge import wire
from edge.privacy import Gate, PrivacyError

TIME = datetime(2026, 1, 1, 12, 34, 56, 789012, tzinfo=UTC)
slug = st.sampled_from(["a", "till-1"])
cameras = st.lists(slug, min_size=1, max_size=3).map(tuple)
track = st.just("0123456789abcdef")
time = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
seconds = st.floats(0, 1e6)
count = st.integers(0, 10**6)
coordinate = st.floats(-1e4, 1e4)

STRATEGIES: dict[type, st.SearchStrategy[Any]] = {
    wire.Crossing: st.builds(
        wire.Crossing,
        slug,
        slug,
        cameras,
        time,
        st.sampled_from(["in", "out"]),
        track,
        st.booleans(),
    ),
    wire.Visit: st.builds(
        wire.Visit,
        slug,
        slug,
        cameras,
        track,
        time,
        time,
        seconds,
        st.integers(1, 9),
        st.sampled_from(["left", "lost", "occluded", "shutdown"]),
    ),
    wire.Path: st.builds(
        wire.Path,
        slug,
        cameras,
        track,
        time,
        seconds,
        seconds,
        st.lists(st.tuples(seconds, coordinate, coordinate), max_size=9).map(tuple),
        st.lists(slug, max_size=3).map(tuple),
    ),
    wire.Occupancy: st.builds(wire.Occupancy, slug, slug, time, time, count, seconds, count),
    wire.Queue: st.builds(
        wire.Queue,
        slug,
        slug,
        time,
        time,
        seconds,
        count,
        count,
        count,
        count,
        count,
        count,
        st.lists(count, min_size=9, max_size=9).map(tuple),
    ),
    wire.Coverage: st.builds(
        wire.Coverage, slug, time, time, count, count, st.sampled_from(["ok", "offline"])
    ),
}


def test_every_event_of_the_contract_is_tried_here() -> None:
    assert set(STRATEGIES) == set(wire.EVENTS)


def on_grid(value: float, step: float) -> bool:
    return math.isclose(value / step, round(value / step), abs_tol=1e-4)


@given(
    st.one_of(*STRATEGIES.values()),
    st.sampled_from([0.02, 0.25, 1.0]),
    st.sampled_from([1.0, 2.0, 15.0]),
)
def test_nothing_is_finer_than_the_steps(event: wire.Event, metres: float, step: float) -> None:
    admitted = Gate(metres, step).admit(event)
    assert type(admitted) is type(event)
    for name in event.__struct_fields__:
        before, after = getattr(event, name), getattr(admitted, name)
        if isinstance(before, datetime):
            limit = 60.0 if name == "start" and isinstance(event, wire.Path) else step
            assert after.timestamp() % limit == 0
            assert timedelta(0) <= before - after < timedelta(seconds=limit)
        elif name in ("dwell", "duration"):
            assert on_grid(after, step)
            assert abs(after - before) <= step / 2 + 1e-6
        elif name == "distance":
            assert on_grid(after, metres)
        elif name == "points":
            for (t, x, y), (u, v, w) in zip(before, after, strict=True):
                assert on_grid(u, step)
                assert on_grid(v, metres)
                assert on_grid(w, metres)
                assert abs(t - u) <= step / 2 + 1e-6
                assert max(abs(x - v), abs(y - w)) <= metres / 2 + 1e-6
        elif isinstance(before, float):
            assert after == round(before, 3)
        else:
            assert after == before


@given(st.one_of(*STRATEGIES.values()))
def test_what_passed_passes_again_unchanged_and_is_readable(event: wire.Event) -> None:
    gate = Gate(0.25)
    admitted = gate.admit(event)
    assert gate.admit(admitted) == admitted
    assert msgspec.json.decode(wire.encode(admitted), type=type(event)) == admitted


@given(time, time)
def test_flooring_keeps_the_order(a: datetime, b: datetime) -> None:
    assume(a <= b)
    gate = Gate(0.25, 7.0)
    assert gate.floor(a) <= gate.floor(b)


class Embedded(wire.Crossing, tag="crossing", frozen=True):
    embedding: tuple[float, ...] = ()


class Lookalike(msgspec.Struct, tag="crossing", frozen=True):
    floor: str
    picture: bytes


CROSSING = wire.Crossing("ground", "door", ("a",), TIME, "in", "0123456789abcdef")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            Embedded("ground", "door", ("a",), TIME, "in", "0123456789abcdef", embedding=(0.5,)),
            "Embedded is no event of the contract",
        ),
        (Lookalike("ground", b"\x89PNG"), "Lookalike is no event of the contract"),
        ({"type": "crossing"}, "dict is no event"),
        (b"\x89PNG", "bytes is no event"),
        (msgspec.structs.replace(CROSSING, line="Jane Doe"), r"Crossing: .*\$\.line"),
        (msgspec.structs.replace(CROSSING, track="0123"), r"\$\.track"),
        (msgspec.structs.replace(CROSSING, direction="up"), r"\$\.direction"),
        (msgspec.structs.replace(CROSSING, cameras=()), r"\$\.cameras"),
        (msgspec.structs.replace(CROSSING, staff="yes"), r"\$\.staff"),
        (msgspec.structs.replace(CROSSING, time=TIME.replace(tzinfo=None)), r"\$\.time"),
        (msgspec.structs.replace(CROSSING, floor=object()), "Crossing: "),
        (
            wire.Path("g", ("a",), "0" * 16, TIME, 1.0, 1.0, ((0.0, math.nan, 0.0),), ()),
            "nan is no number",
        ),
        (wire.Occupancy("g", "z", TIME, TIME, 0, math.inf, 1), "inf is no number"),
        (wire.Occupancy("g", "z", TIME, TIME, -1, 0.0, 1), r"\$\.min"),
    ],
)
def test_what_the_contract_does_not_name_is_refused(event: Any, words: str) -> None:
    with pytest.raises(PrivacyError, match=words):
        Gate(0.25).admit(event)
