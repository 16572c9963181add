"""Quantiles of many histograms at once are those of each by itself, and of the people in it."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from central import durations
from central.metrics import DWELL_EDGES

EDGES = np.array(DWELL_EDGES, np.float64)
counts = st.lists(st.integers(0, 5), min_size=len(EDGES), max_size=len(EDGES))


def quantile(
    share: float, edges: Sequence[float], ended: Mapping[int, float], censored: Mapping[int, float]
) -> float | None:
    """The time that `share` do not outlast, interpolated in its bin; None where it is not known.

    edges: lower edges of the bins; the last has no upper edge, and stands for itself.
    ended: by bin, how many lasted so long. censored: how many were seen so long and no longer.

    By the life table (Cutler and Ederer, 1958): who is censored in a bin is at risk for half of it.
    """
    at_risk = sum(ended.values()) + sum(censored.values())
    lasting = 1.0
    for place, (low, high) in enumerate(pairwise((*edges, edges[-1]))):
        here, unknown = ended.get(place, 0.0), censored.get(place, 0.0)
        if here:
            beyond = lasting * (1 - here / (at_risk - unknown / 2))
            if beyond <= 1 - share + 1e-12:
                return low + (high - low) * (lasting - (1 - share)) / (lasting - beyond)
            lasting = beyond
        at_risk -= here + unknown
    return None


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=4), st.floats(0.05, 0.95))
def test_each_quantile_is_that_of_the_life_table(
    tables: list[tuple[list[int], ...]], share: float
) -> None:
    ended, censored = (np.array(side, np.float64) for side in zip(*tables, strict=True))
    values, low, high = durations.quantile(durations.survival(ended, censored), EDGES, share)
    for n in range(len(ended)):
        one = quantile(
            share, EDGES.tolist(), dict(enumerate(ended[n])), dict(enumerate(censored[n]))
        )
        if one is None:
            assert np.isnan([values[n], low[n], high[n]]).all()
        else:
            assert values[n] == pytest.approx(one)
            assert low[n] <= values[n] <= high[n]


@pytest.mark.parametrize(
    ("bins", "fine", "told"),
    [
        ({4: 2}, True, (38, 30, 45)),
        ({4: 2}, False, (60, 30, 120)),
        ({0: 1, 6: 2}, False, (60, 30, 120)),
        ({13: 2}, True, (3600, 3600, np.inf)),
        ({13: 2}, False, (600, 600, np.inf)),
    ],
)
def test_a_quantile_is_told_to_the_second_or_as_the_middle_of_a_wide_bin(
    bins: dict[int, int], fine: bool, told: tuple[float, ...]
) -> None:
    ended = np.array([bins.get(n, 0) for n in range(len(EDGES))], np.float64)
    lasting = durations.survival(ended, np.zeros(len(EDGES)))
    wide = durations.WIDE["dwell"]
    found = durations.told(lasting, EDGES, wide, 0.5, fine=fine)
    assert [float(each) for each in found] == list(told)


times = st.lists(st.floats(5, 5000), min_size=1, max_size=60)
shares = st.sampled_from([0.1, 0.5, 0.9])


def binned(seconds: list[float]) -> Counter[int]:
    return Counter(bisect_right(DWELL_EDGES, each) - 1 for each in seconds)


def fast(share: float, ended: Mapping[int, float], censored: Mapping[int, float]) -> float | None:
    both = [np.array([side.get(n, 0.0) for n in range(len(EDGES))]) for side in (ended, censored)]
    value, _, _ = durations.quantile(durations.survival(*both), EDGES, share)
    return None if np.isnan(value) else float(value)


@given(times, shares)
def test_a_quantile_lies_in_the_bin_of_the_person_whose_time_it_is(
    seconds: list[float], share: float
) -> None:
    found = fast(share, binned(seconds), {})
    person = sorted(seconds)[math.ceil(share * len(seconds) - 1e-9) - 1]
    place = bisect_right(DWELL_EDGES, person) - 1
    low, high = DWELL_EDGES[place], (*DWELL_EDGES, DWELL_EDGES[-1])[place + 1]
    assert found is not None
    assert low - 1e-6 <= found <= high + 1e-6


@given(times, times, shares)
def test_who_is_censored_makes_no_time_shorter(
    ended: list[float], censored: list[float], share: float
) -> None:
    short = fast(share, binned([*ended, *censored]), {})
    found = fast(share, binned(ended), binned(censored))
    assert short is not None
    assert found is None or found >= short - 1e-6


def test_nobody_has_no_time() -> None:
    assert fast(0.5, {}, {}) is None
    assert fast(0.5, {}, {3: 5}) is None


def test_the_last_bin_stands_for_its_edge() -> None:
    assert fast(0.5, {13: 4}, {}) == 3600


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=1), shares)
def test_whoever_is_censored_is_so_in_the_middle_of_a_bin_and_then_it_is_kaplan_meier(
    tables: list[tuple[list[int], ...]], share: float
) -> None:
    """As statsmodels has it, with half of a bin's censored before those who end in it."""
    ended, censored = (np.array(side) for side in tables[0])
    censored = 2 * (censored // 2)
    if not ended.any():
        return
    times, status = [], []
    for place, (ends, unknown) in enumerate(zip(ended, censored, strict=True)):
        for moment, number, known in (
            (place + 0.2, unknown // 2, 0),
            (place + 0.5, ends, 1),
            (place + 0.8, unknown // 2, 0),
        ):
            times += [moment] * number
            status += [known] * number
    found = durations.survival(ended.astype(np.float64), censored.astype(np.float64))
    peer = SurvfuncRight(np.array(times), np.array(status))
    at = np.searchsorted(peer.surv_times, np.arange(len(ended)) + 0.9) - 1
    lasting = np.where(at >= 0, peer.surv_prob[at], 1.0)
    np.testing.assert_allclose(found, lasting, atol=1e-12)
    passed = np.flatnonzero(1 - lasting >= share - 1e-12)
    value, low, _ = durations.quantile(found, EDGES, share)
    assert np.isnan(value) if not len(passed) else low == EDGES[passed[0]]
