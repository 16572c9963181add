"""Range novelty against a twin that keeps every value and looks through all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.detect import novelty
from tests.central.detect.saved import saved

NAN = math.nan


def slow(values: list[float], length: int, blocks: int) -> list[float]:
    """How far outside each value is, with every value kept as it taught, by block of ticks."""
    kept: list[list[float]] = [[]]
    found = []
    for value in values:
        past = [each for block in kept for each in block]
        new = 0.0
        if abs(value) <= novelty.FARTHEST:
            taught = value
            if len(past) >= novelty.LEAST:
                top, bottom = max(past), min(past)
                scale = top - bottom
                beyond = max(value - top, bottom - value, 0.0)
                if scale > 0:
                    new = beyond / scale if beyond > 1e-9 * scale else 0.0
                    taught = min(max(value, bottom - 2 * scale), top + 2 * scale)
                else:
                    new = 1.0 if beyond > 0 else 0.0
            kept[-1].append(taught)
        found.append(new)
        # A block is as long in ticks, absent ones included.
        if len(found) % length == 0:
            kept = [*kept, []][-blocks:]
    return found


def run(state: novelty.State, values: list[float], length: int = novelty.BLOCK) -> list[float]:
    out = np.zeros(1)
    found = []
    for value in values:
        novelty.tick(state, np.array([value]), out, length)
        found.append(float(out[0]))
    return found


VALUES = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3),
    st.sampled_from([1e12, -1e12, NAN, math.inf, -math.inf, 1e151]),
)


@given(st.lists(VALUES, max_size=200), st.integers(1, 60), st.integers(1, 5))
@settings(deadline=None)
def test_equals_looking_through_all_values(values: list[float], length: int, blocks: int) -> None:
    found = run(novelty.empty_state(1, blocks), values, length)
    np.testing.assert_allclose(found, slow(values, length, blocks), rtol=1e-9)


def test_a_wild_value_does_not_hide_the_next() -> None:
    ordinary = list(np.random.default_rng(0).normal(10, 1, 300))
    found = run(novelty.empty_state(1), [*ordinary, 1e12, *ordinary, 1e6])
    assert found[300] > 1e10
    assert found[-1] > 1e4


def test_an_old_range_is_forgotten() -> None:
    low, high = [1.0, 2.0] * 50, [11.0, 12.0] * 300
    found = run(novelty.empty_state(1, 2), [*low, *high, 2.0], 100)
    assert found[100] > 0
    assert found[-1] > 0


def test_series_absent_for_all_blocks_begin_anew() -> None:
    found = run(novelty.empty_state(1, 2), [1.0, 2.0] * 20 + [NAN] * 30 + [50.0] * 30, 10)
    assert found[70:] == [0.0] * 30


@pytest.mark.parametrize("value", [0.0, -4.0, 0.1])
def test_a_constant_past_has_no_range(value: float) -> None:
    found = run(novelty.empty_state(1), [value] * 100 + [value + 1e-6, value])
    assert found[:100] == [0.0] * 100
    assert found[100] == 1.0
    assert found[101] == 0.0


def test_series_do_not_touch_each_other() -> None:
    values = np.random.default_rng(1).standard_t(2, (400, 3))
    values[5:60, 1] = NAN
    together, out = novelty.empty_state(3, 3), np.zeros(3)
    found = []
    for row in values:
        novelty.tick(together, row, out, 50)
        found.append(out.copy())
    for series in range(3):
        alone = run(novelty.empty_state(1, 3), list(values[:, series]), 50)
        np.testing.assert_array_equal(np.array(found)[:, series], alone)


def test_a_restored_state_goes_on_with_the_same_bits() -> None:
    values = list(np.random.default_rng(2).standard_t(2, 500))
    whole = run(novelty.empty_state(1, 3), values, 40)
    state = novelty.empty_state(1, 3)
    run(state, values[:210], 40)
    assert run(saved(state), values[210:], 40) == whole[210:]


@pytest.mark.parametrize(("series", "blocks"), [(0, 1), (1, 0)])
def test_refuses_sizes_that_cannot_be(series: int, blocks: int) -> None:
    with pytest.raises(ValueError, match="series"):
        novelty.empty_state(series, blocks)


def test_compiles_all() -> None:
    novelty.compile_all()
    assert run(novelty.empty_state(1), [1.0]) == [0.0]
