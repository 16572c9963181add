"""Quantiles of many histograms at once are those of each by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import durations
from central.histograms import quantile
from central.metrics import DWELL_EDGES

EDGES = np.array(DWELL_EDGES, np.float64)
counts = st.lists(st.integers(0, 5), min_size=len(EDGES), max_size=len(EDGES))


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
