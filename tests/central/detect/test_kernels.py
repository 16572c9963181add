"""A tick against its slow twin, on ordinary weeks and on anything."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


def compare(
    state: State, family: Family, out: Out, twins: list[Slow], slot: int, values: Floats,
    exposures: Floats, ready: Flags,
) -> None:  # fmt: skip
    kernels.tick(state, family, slot, values, exposures, ready, out)
    for i, twin in enumerate(twins):
        score = twin.tick(slot, float(values[i]), float(exposures[i]), bool(ready[i]))
        for name, array, expected in zip(out._fields, out, score, strict=True):
            np.testing.assert_allclose(array[i], expected, rtol=1e-9, atol=0, err_msg=name)


def compare_states(state: State, twins: list[Slow]) -> None:
    for i, twin in enumerate(twins):
        np.testing.assert_allclose(state.rate[:, i], twin.rate, rtol=1e-9)
        np.testing.assert_allclose(state.mass[:, i], twin.mass, rtol=1e-9)
        for name in ("squares", "units", "drift", "threshold", "excess", "excess_squares"):
            now = getattr(state, name)[:, i]
            np.testing.assert_allclose(now, getattr(twin, name), rtol=1e-9, err_msg=name)
        assert state.silence[i] == pytest.approx(float(twin.silence), rel=1e-9)


def drawn(
    family: Family, rng: np.random.Generator, level: Floats, exposures: Floats
) -> Floats:
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
