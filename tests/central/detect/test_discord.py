"""The left discord against a twin that compares every stretch anew, in floating point."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.detect import discord
from tests.central.detect.saved import saved

NAN = math.nan


def slow(values: list[float], length: int, lags: int) -> list[tuple[float, int]]:
    """Distance to the nearest earlier stretch and how much earlier it began, after each value."""
    kept: list[float] = []
    run = 0
    found = []
    for value in values:
        if not math.isfinite(value):
            run = 0
            found.append((NAN, 0))
            continue
        kept.append(min(max(float(round(value)), 0.0), 4095.0))
        run += 1
        near = math.ceil(length / 4)
        best = (math.inf, 0)
        for lag in range(near + 1, near + lags + 1):
            begin = len(kept) - length
            if run >= length and begin - lag >= 0:
                pairs = zip(kept[begin:], kept[begin - lag : begin - lag + length], strict=True)
                best = min(best, (math.dist(*zip(*pairs, strict=True)), lag))
        found.append(best if best[1] else (NAN, 0))
    return found


def run(state: discord.State, values: Sequence[float]) -> list[tuple[float, int]]:
    out = np.zeros(1)
    found = []
    for value in values:
        discord.tick(state, np.array([value]), out)
        found.append((float(out[0]), discord.nearest(state, 0)))
    return found


COUNTS = st.one_of(st.integers(0, 9), st.integers(-5, 5000), st.just(10**12)).map(float)
ODD = st.sampled_from([NAN, math.inf, -math.inf])


@given(
    st.lists(st.one_of(COUNTS, COUNTS, COUNTS, ODD), max_size=120),
    st.integers(1, 9),
    st.integers(1, 40),
)
@settings(deadline=None)
def test_equals_comparing_every_stretch_anew(values: list[float], length: int, lags: int) -> None:
    found = run(discord.empty_state(1, length, lags), values)
    expected = slow(values, length, lags)
    assert [lag for _, lag in found] == [lag for _, lag in expected]
    distances = np.array([distance for distance, _ in found])
    np.testing.assert_allclose(distances, [distance for distance, _ in expected], rtol=1e-9)


def test_finds_the_day_without_a_lunch_hour() -> None:
    random = np.random.default_rng(0)
    day = np.array([0, 2, 8, 20, 25, 40, 25, 20, 22, 10, 4, 0], np.float64)
    values = np.tile(day, 40) + random.poisson(2, 480)
    values[30 * 12 + 4 : 30 * 12 + 7] = 2.0
    found = run(discord.empty_state(1, 12, 120), list(values))
    distances = np.array([distance for distance, _ in found])
    assert 30 * 12 + 4 <= np.nanargmax(distances[200:]) + 200 < 31 * 12 + 7


def test_longest_stretch_of_greatest_differences_fits() -> None:
    length = discord.LONGEST
    values = [0.0] * (2 * length) + [1e12] * length
    state = discord.empty_state(1, length, 2 * length)
    assert run(state, values)[-1] == (4095.0 * math.sqrt(33), 33)
    assert state.sums.max() == length * 4095**2


def test_series_do_not_touch_each_other() -> None:
    random = np.random.default_rng(1)
    values = random.poisson(5, (200, 3)).astype(np.float64)
    values[random.random(values.shape) < 0.02] = NAN
    together, out = discord.empty_state(3, 6, 30), np.zeros(3)
    found = []
    for row in values:
        discord.tick(together, row, out)
        found.append(out.copy())
    for series in range(3):
        alone = run(discord.empty_state(1, 6, 30), list(values[:, series]))
        np.testing.assert_array_equal(np.array(found)[:, series], [each for each, _ in alone])


@pytest.mark.parametrize("value", [0.0, 7.0, 1e12, -3.0])
def test_a_constant_series_is_like_itself(value: float) -> None:
    found = run(discord.empty_state(1, 4, 10), [value] * 50)
    assert all(math.isnan(distance) and lag == 0 for distance, lag in found[:5])
    assert found[5:] == [(0.0, 2)] * 45


def test_a_restored_state_goes_on_with_the_same_bits() -> None:
    values = np.random.default_rng(2).poisson(4, 300).astype(np.float64)
    whole = run(discord.empty_state(1, 8, 50), list(values))
    state = discord.empty_state(1, 8, 50)
    run(state, list(values[:170]))
    assert run(saved(state), list(values[170:])) == whole[170:]


@pytest.mark.parametrize(
    ("series", "length", "lags"), [(0, 4, 4), (1, 0, 4), (1, 128, 4), (1, 4, 0)]
)
def test_refuses_sizes_that_cannot_be(series: int, length: int, lags: int) -> None:
    with pytest.raises(ValueError, match="series"):
        discord.empty_state(series, length, lags)


def test_compiles_all() -> None:
    discord.compile_all()
    values: NDArray[np.float64] = np.zeros(1)
    discord.tick(discord.empty_state(1, 1, 1), values, values)
    assert math.isnan(values[0])


def test_sums_stay_exact_however_long_they_slide() -> None:
    random = np.random.default_rng(3)
    values = random.poisson(30, 20_000).astype(np.float64)
    values[random.random(20_000) < 0.01] = 1e12
    state, out = discord.empty_state(1, 24, 100), np.zeros(1)
    for value in values:
        discord.tick(state, np.array([value]), out)
    expected = slow(list(values[-130:]), 24, 100)[-1]
    assert (float(out[0]), discord.nearest(state, 0)) == expected
