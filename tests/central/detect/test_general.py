"""The general score against a twin that keeps all points and looks at plain lists."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.detect import general
from central.detect.general import SETTINGS, Settings
from tests.central.detect.saved import saved

NAN = math.nan
SMALL = Settings(short=3, long=10, floor=4, block=15, blocks=3, hold=6)


class Range:
    """What a view has shown, all of it, by block of points."""

    def __init__(self, size: Settings) -> None:
        self.size = size
        self.blocks: list[list[float]] = [[]]

    def outside(self, value: float, scale: float) -> float:
        past = list(itertools.chain(*self.blocks))
        if len(past) < 24:
            return 0.0
        beyond = max(value - max(past), min(past) - value, 0.0)
        if scale == 0:
            return float(beyond > 0)
        return beyond / scale if beyond > 1e-9 * scale else 0.0

    def clip(self, value: float, scale: float) -> float:
        past = list(itertools.chain(*self.blocks))
        if len(past) < 24 or scale == 0:
            return value
        return min(max(value, min(past) - 2 * scale), max(past) + 2 * scale)

    def teach(self, value: float, scale: float) -> None:
        self.blocks[-1].append(self.clip(value, scale))

    def scale(self) -> float:
        past = list(itertools.chain(*self.blocks))
        return max(past) - min(past) if past else 0.0


def mean(values: list[float]) -> Fraction:
    return sum(map(Fraction, values), Fraction()) / len(values)


def slow(times: list[float], values: list[float], size: Settings) -> list[float]:
    """The score of every point."""
    kept: list[float] = []
    last = -math.inf
    value_view, level_view, floor_view = (Range(size) for _ in range(3))
    passed: tuple[float, int] = (0.0, 0)
    found = []
    for time, value in zip(times, values, strict=True):
        found.append(0.0)
        if not abs(value) <= 1e150 or not time > last:
            continue
        last = time
        scale = value_view.scale()
        new = value_view.outside(value, scale)
        kept.append(value_view.clip(value, scale))
        if len(kept) >= size.long:
            floor = min(kept[-size.floor :])
            new = max(new, floor_view.outside(floor, scale) if scale > 0 else 0.0)
            floor_view.teach(floor, scale)
            level = float(mean(kept[-size.short :]) - mean(kept[-size.long :]))
            new = max(new, level_view.outside(level, scale) if scale > 0 else 0.0)
            level_view.teach(level, scale)
        value_view.teach(value, scale)
        if len(kept) % size.block == 0:
            for view in (value_view, level_view, floor_view):
                view.blocks = [*view.blocks, []][-size.blocks :]
        if len(kept) - passed[1] > size.hold:
            passed = (0.0, passed[1])
        if new > passed[0]:
            passed = (new, len(kept))
            found[-1] = new / (1 + new)
    return found


def clock(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.arange(values.size, dtype=np.float64) * 60.0


def fresh(values: NDArray[np.float64], size: Settings = SETTINGS) -> NDArray[np.float64]:
    return general.score(general.empty_state(size), clock(values), values, size)


VALUES = st.one_of(
    st.integers(-3, 3).map(float),
    st.integers(0, 1000).map(lambda hundredths: hundredths / 100),
    st.sampled_from([1e6, -1e6, NAN, math.inf, -math.inf, 1e151]),
)
STEPS = st.sampled_from([60.0, 60.0, 60.0, 1.0, 86400.0, 0.0, -3600.0, NAN])


@given(st.lists(st.tuples(STEPS, VALUES), max_size=200))
@settings(deadline=None)
def test_equals_looking_through_all_points(points: list[tuple[float, float]]) -> None:
    times, now = [], 0.0
    for step, _ in points:
        now = now + step if math.isfinite(step) else now
        times.append(now if math.isfinite(step) else NAN)
    values = [value for _, value in points]
    found = general.score(general.empty_state(SMALL), np.array(times), np.array(values), SMALL)
    np.testing.assert_allclose(found, slow(times, values, SMALL), rtol=1e-9, atol=1e-9)


def test_equals_looking_through_all_points_with_its_own_sizes() -> None:
    random = np.random.default_rng(0)
    values = random.standard_t(3, 1500)
    values[700:] += 4.0
    found = fresh(values)
    expected = slow(list(clock(values)), list(values), SETTINGS)
    assert np.count_nonzero(found) > 3
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_knows_nothing_of_the_future_and_goes_on_with_the_same_bits(cut: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_t(2, 450)
    whole = fresh(values)
    np.testing.assert_array_equal(fresh(values[:cut]), whole[:cut])
    state = general.empty_state()
    general.score(state, clock(values)[:cut], values[:cut])
    restored = saved(state)
    rest = [
        general.score(restored, np.array([time]), np.array([value]))[0]
        for time, value in zip(clock(values)[cut:], values[cut:], strict=True)
    ]
    np.testing.assert_array_equal(rest, whole[cut:])


def test_a_level_that_shifts_within_the_range_is_seen() -> None:
    # Half-and-half at random before, nearly always high after: no value is new, the level is.
    random = np.random.default_rng(3)
    values = np.concatenate([random.random(2000) < 0.3, random.random(200) < 0.95]).astype(float)
    found = fresh(values)
    assert found[2000:2060].max() > found[600:2000].max()


def test_a_floor_that_rises_is_seen() -> None:
    values = np.concatenate([np.tile([0.0, 5, 9, 5], 250), np.tile([5.0, 9], 20)])
    found = fresh(values)
    assert not found[100:1000].any()
    assert found[1000:1015].max() > 0.2


def test_an_episode_alarms_once() -> None:
    values = np.random.default_rng(4).random(1000)
    values[600:630] = 5.0
    found = fresh(values)
    assert np.flatnonzero(found[590:640] > 0.5).tolist() == [10]


@pytest.mark.parametrize("value", [0.0, 0.1, -1e12, 7.0])
def test_a_constant_series_is_no_news_until_it_moves(value: float) -> None:
    values = np.full(2000, value)
    values[1900] = value + 1.0
    found = fresh(values)
    assert not found[:1900].any()
    assert found[1900] == 0.5


def test_nothing_and_a_single_point_are_no_news() -> None:
    assert fresh(np.zeros(0)).size == 0
    for value in (0.0, 1e12, NAN, math.inf, -5.0):
        assert fresh(np.array([value])).tolist() == [0.0]


def test_one_wild_spike_is_news_and_hides_the_next_for_no_longer_than_held() -> None:
    values = np.random.default_rng(5).random(1200)
    values[600], values[800] = 1e12, 1e6
    found = fresh(values)
    assert found[600] > 0.999999
    assert found[800] > 0.999


def test_a_small_change_on_a_huge_value_keeps_its_digits() -> None:
    random = np.random.default_rng(6)
    small = random.integers(0, 8, 1200).astype(float)
    np.testing.assert_allclose(fresh(small + 2.0**40), fresh(small), rtol=1e-9, atol=1e-9)


def test_times_that_do_not_rise_and_absent_values_teach_nothing() -> None:
    values = np.random.default_rng(7).random(500)
    clean = fresh(values)
    times = np.repeat(clock(values), 3)
    tripled = np.repeat(values, 3)
    tripled[1::3] = 1e9  # a second value at a time that is taken
    tripled[2::3] = NAN
    found = general.score(general.empty_state(), times, tripled)
    np.testing.assert_array_equal(found[::3], clean)
    assert not found[1::3].any()
    assert not found[2::3].any()
    back = general.score(general.empty_state(), -clock(values), values)
    assert not back.any()


def test_ten_years_of_minutes_end_within_bounds() -> None:
    minutes = 10 * 365 * 24 * 60
    time = np.arange(minutes, dtype=np.float64)
    values = 50 + 40 * np.sin(time * (2 * np.pi / 1440)) + (time * 7919 % 101) / 10
    found = general.score(general.empty_state(), time * 60.0, values)
    assert found.min() >= 0
    assert found.max() < 1
    assert np.count_nonzero(found[20000:] > 0.05) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"short": 0},
        {"short": 300},
        {"floor": 0},
        {"floor": 300},
        {"block": 0},
        {"blocks": 0},
        {"hold": -1},
    ],
)
def test_refuses_sizes_that_do_not_fit(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"points|blocks"):
        general.empty_state(SETTINGS._replace(**wrong))


def test_refuses_times_of_other_lengths() -> None:
    with pytest.raises(ValueError, match="values"):
        general.score(general.empty_state(), np.zeros(2), np.zeros(3))


def test_compiles_all() -> None:
    general.compile_all()
    assert fresh(np.zeros(1)).tolist() == [0.0]
