"""A tick against its slow twin, on ordinary weeks and on anything."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray

from central.detect import kernels
from central.detect.state import (
    COUNT,
    GAUGE,
    SLOTS,
    SUBSET,
    Family,
    Out,
    State,
    empty_out,
    empty_state,
)
from tests.central.detect.slow import Slow

NAN = math.nan
FAMILIES = {"count": COUNT, "subset": SUBSET, "gauge": GAUGE}
families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def arrays(parts: State | Out) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(part) for name, part in parts._asdict().items()}


def bits(parts: State | Out) -> list[bytes]:
    return [part.tobytes() for part in arrays(parts).values()]


def compare(
    state: State, family: Family, out: Out, twins: list[Slow], slot: int, values: Floats,
    exposures: Floats, ready: Flags,
) -> None:  # fmt: skip
    kernels.tick(state, family, slot, values, exposures, ready, out)
    for i, twin in enumerate(twins):
        score = twin.tick(slot, float(values[i]), float(exposures[i]), bool(ready[i]))
        for (name, array), expected in zip(arrays(out).items(), score, strict=True):
            np.testing.assert_allclose(array[i], expected, rtol=1e-9, atol=0, err_msg=name)


def compare_states(state: State, twins: list[Slow]) -> None:
    for i, twin in enumerate(twins):
        np.testing.assert_allclose(state.rate[:, i], twin.rate, rtol=1e-9)
        np.testing.assert_allclose(state.mass[:, i], twin.mass, rtol=1e-9)
        for name in ("squares", "units", "drift", "threshold", "excess", "excess_squares"):
            now = getattr(state, name)[:, i]
            np.testing.assert_allclose(now, getattr(twin, name), rtol=1e-9, err_msg=name)
        assert state.silence[i] == pytest.approx(float(twin.silence), rel=1e-9)


def drawn(family: Family, rng: np.random.Generator, level: Floats, exposures: Floats) -> Floats:
    if family == COUNT:
        return rng.poisson(level * exposures).astype(np.float64)
    if family == SUBSET:
        return rng.binomial(exposures.astype(int), level / (level + 4)).astype(np.float64)
    return exposures * level + np.sqrt(exposures) * rng.normal(size=len(level))


@families
def test_a_tick_equals_its_twin_over_weeks(family: Family) -> None:
    rng = np.random.default_rng(7)
    levels = np.array([0.1, 2.0, 15.0, 60.0])
    state, out = empty_state(4, family), empty_out(4)
    twins = [Slow(family) for _ in levels]
    far = 0
    for week in range(6):
        for slot in range(28, 40):
            for day in (0, 1, 5):
                exposures = rng.integers(1, 9, 4).astype(float)
                level = levels * (1 + day + 3 * (slot > 31)) * (1 + 0.4 * (week == 5))
                values = drawn(family, rng, level, exposures)
                values[rng.random(4) < 0.05] = NAN
                values[rng.random(4) < 0.05] = 0.0
                exposures[rng.random(4) < 0.02] = 0.0
                ready = rng.random(4) < 0.95
                compare(state, family, out, twins, day * 96 + slot, values, exposures, ready)
                far += int((out.windows_low + out.windows_high).max() > 0)
    compare_states(state, twins)
    assert far > 10


numbers = st.one_of(
    st.integers(0, 30).map(float),
    st.sampled_from([NAN, math.inf, -math.inf, -3.0, 0.0, 1e12, 2.5, 9000.0, 1e300]),
)
exposures = st.sampled_from([1.0, 1.0, 1.0, 7.0, 40.0, 0.0, -1.0, NAN, math.inf])
ticks = st.tuples(
    st.sampled_from([0, 1, 2, 4, 5, 13]),
    st.tuples(numbers, numbers),
    st.tuples(exposures, exposures),
    st.tuples(*[st.sampled_from([True, True, True, False])] * 2),
)
Tick = tuple[int, tuple[float, float], tuple[float, float], tuple[bool, bool]]


@families
@given(series=st.lists(ticks, min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_a_tick_equals_its_twin_on_anything(family: Family, series: list[Tick]) -> None:
    """Of a week of 14 slots."""
    state, out = empty_state(2, family, 14), empty_out(2)
    twins = [Slow(family, 14), Slow(family, 14)]
    for slot, values, exposed, ready in series:
        compare(
            state, family, out, twins, slot, np.array(values), np.array(exposed), np.array(ready)
        )
    compare_states(state, twins)


def steady(series: int, family: Family, weeks: int = 3) -> tuple[State, np.random.Generator]:
    """A state that has seen weeks of 14 slots, of level 9 a slot."""
    rng = np.random.default_rng(1)
    state, out, every = empty_state(series, family, 14), empty_out(series), np.ones(series, bool)
    exposures = np.full(series, 13.0 if family == SUBSET else 1.0)
    for tick in range(weeks * 14):
        values = drawn(family, rng, np.full(series, 9.0), exposures)
        kernels.tick(state, family, tick % 14, values, exposures, every, out)
    return state, rng


def copied(state: State) -> State:
    return State._make(array.copy() for array in arrays(state).values())


def test_the_bits_are_the_same_however_many_threads_share_the_work() -> None:
    series = 5000
    state, rng = steady(series, COUNT)
    values = [rng.poisson(9.0, series) * rng.choice([1.0, 4.0, NAN], series) for _ in range(20)]
    ready = [rng.random(series) < 0.9 for _ in range(20)]
    answers = []
    for threads in (1, 2, 3):
        mine, out = copied(state), empty_out(series)
        said = []
        for tick in range(20):
            kernels.tick(
                mine, COUNT, tick % 14, values[tick], np.ones(series), ready[tick], out, threads
            )
            said += bits(out)
        answers.append((said, bits(mine)))
    assert answers[0] == answers[1] == answers[2]


def test_bits_do_not_depend_on_the_other_series() -> None:
    state, rng = steady(300, COUNT)
    alone = State._make(
        part.copy() if name == "newest" else part[..., 7:8].copy()
        for name, part in arrays(state).items()
    )
    out, one = empty_out(300), empty_out(1)
    for tick in range(30):
        values = rng.poisson(9.0 + tick, 300).astype(float)
        kernels.tick(state, COUNT, tick % 14, values, np.ones(300), np.ones(300, bool), out)
        kernels.tick(alone, COUNT, tick % 14, values[7:8], np.ones(1), np.ones(1, bool), one)
        assert [part[7:8].tobytes() for part in arrays(out).values()] == bits(one)


def test_not_ready_leaves_a_series_as_it_is() -> None:
    state, rng = steady(2, COUNT)
    with_pause, without = copied(state), copied(state)
    out, other = empty_out(2), empty_out(2)
    for tick in range(40):
        values = rng.poisson(9.0, 2).astype(float)
        for _ in range(tick % 3):
            kernels.tick(with_pause, COUNT, 3, values, np.ones(2), np.array([False, False]), out)
            assert (out.p_low == 1.0).all()
        ready = np.array([True, True])
        kernels.tick(with_pause, COUNT, tick % 14, values, np.ones(2), ready, out)
        kernels.tick(without, COUNT, tick % 14, values, np.ones(2), ready, other)
        assert bits(out) == bits(other)


@families
def test_absent_scores_and_teaches_nothing_but_time_passes(family: Family) -> None:
    state, _ = steady(4, family)
    before, out = copied(state), empty_out(4)
    values, exposed = np.array([NAN, math.inf, 5.0, 5.0]), np.array([1.0, 1.0, 0.0, NAN])
    for _ in range(16):
        kernels.tick(state, family, 5, values, exposed, np.ones(4, bool), out)
        for name, array in list(arrays(out).items())[2:]:
            np.testing.assert_array_equal(array, 0 if name.startswith("windows") else 1)
    for name in set(State._fields) - {"residual", "spread", "value", "exposure", "newest"}:
        np.testing.assert_array_equal(getattr(state, name), getattr(before, name))
    for ring in (state.residual, state.spread, state.value, state.exposure):
        assert not ring.any()


@families
@pytest.mark.parametrize("value", [0.0, 7.0, -2.0, 1e12, 1e300])
def test_a_constant_series_never_alarms_and_stays_finite(family: Family, value: float) -> None:
    state, out = empty_state(1, family, 14), empty_out(1)
    one = np.ones(1)
    usual = min(value if family == GAUGE else max(0.0, value), 1.0 if family == SUBSET else 1e15)
    for tick in range(14 * 60):
        kernels.tick(state, family, tick % 14, value * one, one, one > 0, out)
        assert min(p[0] for p in out[2:4] + out[6:]) > 1e-4
        if tick > 14 * 3:
            assert out.expected[0] == pytest.approx(usual, rel=1e-5, abs=1e-6)
    assert all(np.isfinite(array).all() for array in arrays(state).values())


def test_negative_counts_are_zero() -> None:
    state, _ = steady(1, COUNT)
    same, out, other = copied(state), empty_out(1), empty_out(1)
    one = np.ones(1)
    for tick in range(4):
        kernels.tick(state, COUNT, tick, -5.0 * one, one, one > 0, out)
        kernels.tick(same, COUNT, tick, 0.0 * one, one, one > 0, other)
        assert bits(out) == bits(other)
    assert out.p_low[0] < 1e-6


@given(st.floats(0.0, 1e15))
@settings(deadline=None, max_examples=30)
def test_a_single_point_scores_nothing(value: float) -> None:
    state, out = empty_state(1), empty_out(1)
    one = np.ones(1)
    kernels.tick(state, COUNT, 5, value * one, one, one > 0, out)
    assert math.isnan(out.expected[0])
    assert (out.p_low[0], out.p_high[0], out.drift_low[0], out.silence[0]) == (1.0, 1.0, 1.0, 1.0)
    kernels.tick(state, COUNT, 5, NAN * one, one, one > 0, out)
    assert out.expected[0] == pytest.approx(value)


@families
@pytest.mark.parametrize("week", [0, 1, 2, 5])
def test_one_wild_value_does_not_last(family: Family, week: int) -> None:
    rng = np.random.default_rng(3)
    state, out, every = empty_state(8, family), empty_out(8), np.ones(8, bool)
    exposures = np.full(8, 40.0 if family == SUBSET else 1.0)
    level = 10.0
    for tick in range(9 * SLOTS):
        values = drawn(family, rng, np.full(8, level), exposures)
        wild = tick == week * SLOTS + 300
        if wild:
            values = np.full(8, 1e12)
        kernels.tick(state, family, tick % SLOTS, values, exposures, every, out)
        if wild and week > 1:
            assert out.p_high.max() < 1e-4
    usual = level / (level + 4) if family == SUBSET else level
    assert np.abs(state.rate / usual - 1).max() < 0.8
    dispersion = state.squares / state.units
    assert dispersion.max() < 1.7
    assert np.median(out.p_low) > 0.05


def test_opening_hours_stay_an_edge() -> None:
    rng = np.random.default_rng(5)
    state, out, every = empty_state(50), empty_out(50), np.ones(50, bool)
    for tick in range(4 * SLOTS):
        opened = 36 <= tick % 96 < 80
        values = rng.poisson(20.0 * opened, 50).astype(float)
        kernels.tick(state, COUNT, tick % SLOTS, values, np.ones(50), every, out)
        if tick > 3 * SLOTS and tick % 96 in (35, 36):
            assert np.abs(out.expected - 20.0 * opened).max() < 8.0


def test_zeros_in_a_row_are_found_by_day_and_silent_by_night() -> None:
    rng = np.random.default_rng(5)
    rates = np.array([0.5, 0.5, 0.0])
    state, out, every = empty_state(3), empty_out(3), np.ones(3, bool)
    least = np.ones(3)
    for tick in range(5 * SLOTS + 75):
        opened = 36 <= tick % 96 < 80
        values = rng.poisson(rates * opened).astype(float)
        if tick >= 5 * SLOTS:
            values[0] = 0.0
        kernels.tick(state, COUNT, tick % SLOTS, values, np.ones(3), every, out)
        if tick >= 4 * SLOTS:
            least = np.minimum(least, out.silence)
    # 0.5 a quarter for almost ten hours: exp(-19.5), in the dispersion and with the doubt there is.
    assert least[0] < 1e-5
    assert least[1] > 1e-5
    assert least[2] > 0.1


def test_a_small_lasting_shift_shows_as_drift_and_begins_again() -> None:
    rng = np.random.default_rng(8)
    state, out, every = empty_state(200, slots=168), empty_out(200), np.ones(200, bool)
    for tick in range(6 * 168):
        values = rng.poisson(25.0, 200).astype(float)
        kernels.tick(state, COUNT, tick % 168, values, np.ones(200), every, out)
    assert (out.drift_low < 1e-3).mean() < 0.03
    found = np.zeros(200, bool)
    for tick in range(40):
        values = rng.poisson(20.0, 200).astype(float)
        kernels.tick(state, COUNT, tick % 168, values, np.ones(200), every, out)
        found |= out.drift_low < 1e-4
        assert state.drift.max() < 12.0
    assert found.mean() > 0.9


def test_a_week_may_have_slots_of_any_length() -> None:
    rng = np.random.default_rng(2)
    for slots in (7, 168, 336, 2016):
        state, out, every = empty_state(20, slots=slots), empty_out(20), np.ones(20, bool)
        for tick in range(4 * slots):
            rate = 5.0 + 20.0 * (tick % slots >= slots * 5 // 7)
            values = rng.poisson(rate, 20).astype(float)
            kernels.tick(state, COUNT, tick % slots, values, np.ones(20), every, out)
        assert out.expected.mean() == pytest.approx(25.0, rel=0.1)


def test_orders_are_judged_by_the_entries_they_came_from() -> None:
    rng = np.random.default_rng(2)
    state, out, every = empty_state(100), empty_out(100), np.ones(100, bool)
    for tick in range(5 * SLOTS):
        entries = rng.integers(0, 60, 100).astype(float)
        orders = rng.poisson(0.3 * entries).astype(float)
        kernels.tick(state, COUNT, tick % SLOTS, orders, entries, every, out)
    # Half the people and half the orders are ordinary; all the people and half the orders are not.
    for slot in range(4):
        entries = np.where(np.arange(100) < 50, 20.0, 60.0)
        orders = rng.poisson(np.full(100, 6.0)).astype(float)
        kernels.tick(state, COUNT, slot, orders, entries, every, out)
    assert np.median(out.p_low[:50]) > 0.1
    assert (out.p_low[50:] < 1e-4).mean() > 0.95


@families
def test_a_series_holds_less_than_six_kilobytes(family: Family) -> None:
    state = empty_state(10, family)
    assert (
        sum(array.nbytes for array in arrays(state).values()) - state.newest.nbytes
    ) / 10 <= 6000


def test_ten_years_of_minutes() -> None:
    minutes = 7 * 1440
    state, out = empty_state(1, slots=minutes), empty_out(1)
    rng = np.random.default_rng(4)
    values = rng.poisson(3.0, 3652 * 1440).astype(float)
    values[rng.integers(0, values.size, 1000)] = NAN
    values[rng.integers(0, values.size, 200)] = 1e12
    lows = many_ticks(state, values, np.ones(1), np.ones(1, bool), out)
    assert all(np.isfinite(array).all() for array in arrays(state).values())
    assert float(state.rate.mean()) == pytest.approx(3.0, abs=0.3)
    assert lows / values.size < 1e-4


@njit(error_model="numpy")
def many_ticks(state: State, values: Floats, one: Floats, ready: Flags, out: Out) -> int:
    """Ticks of one series; how many p_low are below 1e-4."""
    lows = 0
    slots = state.rate.shape[0]
    for tick in range(values.size):
        state.newest[0] = (state.newest[0] + 1) % 16
        now = values[tick : tick + 1]
        kernels.tick_range(state, COUNT, tick % slots, 0, 1, now, one, ready, out)
        lows += out.p_low[0] < 1e-4
    return lows
