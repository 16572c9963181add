"""Stores that are unlike the others: planted ones are named first, by what was changed."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.detect import peers
from central.detect.peers import Compared

Reals = NDArray[np.float64]
DAYS, STORES = 91, 24
NAMES = [f"store-{n}" for n in range(STORES)]


def chain(seed: int, stores: int = STORES) -> dict[str, Reals]:
    """Stores of all sizes, in which a day may be busier for all; sums by day, (days, stores)."""
    rng = np.random.default_rng(seed)
    week = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 1.1])[np.arange(DAYS) % 7, None]
    weather = np.exp(rng.normal(0.0, 0.2, (DAYS, 1)))
    own = np.exp(rng.normal(0.0, 0.05, (DAYS, stores)))
    footfall = rng.poisson(rng.uniform(400, 2000, stores) * week * weather * own).astype(float)
    orders = rng.binomial(footfall.astype(int), rng.uniform(0.2, 0.4, stores)).astype(float)
    revenue = orders * rng.uniform(20, 40, stores) * np.exp(rng.normal(0, 0.05, orders.shape))
    return {
        "footfall": footfall,
        "orders": orders,
        "revenue": revenue,
        "returns": rng.poisson(0.1 * orders).astype(float),
        "passing": footfall + rng.poisson(4 * footfall),
        "dwell_p50": rng.uniform(60, 300, stores) * np.exp(rng.normal(0, 0.05, orders.shape)),
    }


PLANTED: dict[str, Mapping[str, float]] = {
    "footfall": dict.fromkeys(("footfall", "orders", "revenue", "returns", "passing"), 0.4),
    "conversion": dict.fromkeys(("orders", "revenue", "returns"), 0.4),
    "transaction_value": {"revenue": 0.4},
    "returns_share": {"returns": 6.0},
    "capture": {"passing": 2.0},
    "dwell_p50": {"dwell_p50": 2.0},
}
"""What is changed of a store's day, by the metric that it shows in."""


@pytest.mark.parametrize("metric", PLANTED)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_planted_store_is_named_first_and_by_its_metric(metric: str, seed: int) -> None:
    sums = chain(seed)
    for name, factor in PLANTED[metric].items():
        sums[name][-1, 5] *= factor
    first, *others = peers.compare(NAMES, sums)
    assert first.store == "store-5"
    assert first.parts[0].metric == metric
    assert abs(first.parts[0].deviations) >= peers.NAMED_FROM
    assert abs(first.parts[0].peers) < 0.5
    assert sum(part.share for part in first.parts) <= 1 + 1e-9
    assert len(others) == STORES - 1


def test_ordinary_days_name_hardly_anybody() -> None:
    named = [each for seed in range(12) for each in peers.compare(NAMES, chain(seed)) if each.parts]
    assert len(named) <= 3


def test_what_all_stores_do_names_none() -> None:
    sums = chain(3)
    for name in PLANTED["footfall"]:
        sums[name][-1] *= 0.3
    assert not any(each.parts for each in peers.compare(NAMES, sums))


def test_a_store_that_is_always_different_is_not_named() -> None:
    sums = chain(4)
    sums["revenue"][:, 5] *= 10.0
    found = next(each for each in peers.compare(NAMES, sums) if each.store == "store-5")
    assert found.parts == ()


def test_fewer_than_eight_are_not_compared() -> None:
    sums = chain(5, 8)
    assert len(peers.compare(NAMES[:8], sums)) == 8
    for name in sums:
        sums[name][-1, 0] = np.nan
    assert peers.compare(NAMES[:8], sums) == []
    assert peers.compare([], {}) == []


def test_what_is_absent_says_nothing_of_a_store() -> None:
    sums = chain(6)
    sums["orders"][-1, 7] = np.nan
    for name in ("passing", "dwell_p50"):
        sums[name][:, 7] = np.nan
    without = {name: each.copy() for name, each in sums.items()}
    sums["footfall"][-1, 7] *= 0.3
    found = {each.store: each for each in peers.compare(NAMES, without)}
    assert found["store-7"].parts == ()
    first = peers.compare(NAMES, sums)[0]
    assert first.store == "store-7"
    told = {part.metric for part in first.parts}
    assert "footfall" in told
    assert not told & {"orders", "conversion", "capture", "dwell_p50", "transaction_value"}


def test_a_store_of_which_all_is_absent_is_not_compared() -> None:
    sums = chain(7)
    for each in sums.values():
        each[-1, 3] = np.nan
    found = [each.store for each in peers.compare(NAMES, sums)]
    assert "store-3" not in found
    assert len(found) == STORES - 1


def test_a_metric_that_few_have_is_left_out() -> None:
    sums = chain(8)
    sums["dwell_p50"][:, 6:] = np.nan
    sums["dwell_p50"][-1, 5] *= 3.0
    assert not any(
        part.metric == "dwell_p50" for each in peers.compare(NAMES, sums) for part in each.parts
    )


def test_the_same_day_gives_the_same_answer_whatever_the_measures_order() -> None:
    sums = chain(9)
    sums["revenue"][-1, 2] *= 0.2
    assert peers.compare(NAMES, sums) == peers.compare(NAMES, dict(reversed(sums.items())))


def test_a_ratio_is_the_day_by_the_four_weeks_before() -> None:
    sums = {"footfall": np.arange(1.0, 37.0)[:, None] * [1.0, 2.0]}
    found = peers.log_ratios(sums, 2)
    for day, store in ((35, 0), (35, 1), (20, 0), (13, 1)):
        before = [sums["footfall"][day - 7 * n, store] for n in range(1, 5) if day >= 7 * n]
        usual = np.log((sums["footfall"][day, store] + 0.5) / (np.mean(before) + 0.5))
        assert found[day, store, 0] == pytest.approx(
            usual if len(before) > 1 else np.nan, nan_ok=True
        )
    assert np.isnan(found[..., 1:]).all()


@settings(max_examples=10)
@given(st.integers(0, 999), st.floats(0.0, 0.8))
def test_whatever_is_absent_a_comparison_comes_to_an_end(seed: int, share: float) -> None:
    rng, sums = np.random.default_rng(seed), chain(1)
    for each in sums.values():
        each[rng.random(each.shape) < share] = np.nan
    found: list[Compared] = peers.compare(NAMES, sums)
    assert all(np.isfinite(each.score) for each in found)
    assert all(np.isfinite(part.change) for each in found for part in each.parts)
    named = [bool(each.parts) for each in found]
    assert named == sorted(named, reverse=True)


def test_what_never_moves_is_no_wonder() -> None:
    sums = {"footfall": np.full((DAYS, 9), 100.0)}
    assert not any(each.parts for each in peers.compare(NAMES[:9], sums))
    sums["footfall"][-1, 4] = 90.0
    assert peers.compare(NAMES[:9], sums)[0].store == "store-4"


def test_columns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"footfall .* is not of 2 stores"):
        peers.compare(NAMES[:2], {"footfall": np.zeros((9, 3))})
