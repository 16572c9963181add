"""Quantiles from bins, against the people themselves."""

import math
from bisect import bisect_right
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from central.histograms import quantile
from central.metrics import DWELL_EDGES

times = st.lists(st.floats(5, 5000), min_size=1, max_size=60)
shares = st.sampled_from([0.1, 0.5, 0.9])


def binned(seconds: list[float]) -> Counter[int]:
    return Counter(bisect_right(DWELL_EDGES, each) - 1 for each in seconds)


@given(times, shares)
def test_a_quantile_lies_in_the_bin_of_the_person_whose_time_it_is(
    seconds: list[float], share: float
) -> None:
    found = quantile(share, DWELL_EDGES, binned(seconds), {})
    person = sorted(seconds)[math.ceil(share * len(seconds) - 1e-9) - 1]
    place = bisect_right(DWELL_EDGES, person) - 1
    low, high = DWELL_EDGES[place], (*DWELL_EDGES, DWELL_EDGES[-1])[place + 1]
    assert found is not None
    assert low - 1e-6 <= found <= high + 1e-6


@given(times, times, shares)
def test_who_is_censored_makes_no_time_shorter(
    ended: list[float], censored: list[float], share: float
) -> None:
    short = quantile(share, DWELL_EDGES, binned([*ended, *censored]), {})
    found = quantile(share, DWELL_EDGES, binned(ended), binned(censored))
    assert short is not None
    assert found is None or found >= short - 1e-6


def test_nobody_has_no_time() -> None:
    assert quantile(0.5, DWELL_EDGES, {}, {}) is None
    assert quantile(0.5, DWELL_EDGES, {}, {3: 5}) is None


def test_the_last_bin_stands_for_its_edge() -> None:
    assert quantile(0.5, DWELL_EDGES, {13: 4}, {}) == 3600
