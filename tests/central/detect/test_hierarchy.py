"""Sums over stores, what sisters say of a store, and which of many are discoveries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.detect import hierarchy

P = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def discoveries(p: list[float], rate: float) -> list[bool]:
    """The procedure as it is written: the greatest k whose k-th least p is at most k/n · rate."""
    ordered, limit = sorted(p), -1.0
    for k, each in enumerate(ordered, 1):
        if each <= k / len(p) * rate:
            limit = each
    return [each <= limit for each in p]


@given(P, st.sampled_from([0.05, 0.1, 0.5]))
def test_discoveries_are_those_of_the_procedure(p: list[float], rate: float) -> None:
    found = hierarchy.benjamini_hochberg(np.array(p), rate).tolist()
    # The k-th bound is computed in another order: both may differ by the last bit of a p.
    wide, narrow = discoveries(p, rate * (1 + 1e-9)), discoveries(p, rate * (1 - 1e-9))
    assert all(n <= f <= w for n, f, w in zip(narrow, found, wide, strict=True))


def test_few_of_the_discoveries_are_false() -> None:
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(400):
        p = rng.random(200)
        p[:20] = 1e-6 * rng.random(20)
        found = hierarchy.benjamini_hochberg(p, 0.1)
        shares.append(found[20:].sum() / max(1, found.sum()))
    assert 0.06 < np.mean(shares) < 0.1


def test_no_series_has_no_discoveries() -> None:
    assert hierarchy.benjamini_hochberg(np.zeros(0), 0.1).size == 0


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 500), st.just(np.nan)),
            st.integers(1, 500),
            st.sampled_from([-1, 0, 1]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_sisters_are_all_others_of_the_group(rows: list[tuple[float, int, int]]) -> None:
    values, expected = (np.array([row[k] for row in rows], np.float64) for k in (0, 1))
    group = np.array([row[2] for row in rows])
    found = hierarchy.ratio_of_sisters(values, expected, 2.0 * expected, group)
    for i, mine in enumerate(group):
        members = [j for j, g in enumerate(group) if g == mine and np.isfinite(values[j])]
        if mine < 0 or not members:
            assert found[i] == 1.0
            continue
        total, middle = 0.0, 0.0
        for j in sorted(members, key=lambda j: values[j] / expected[j]):
            total, middle = total + expected[j], values[j] / expected[j]
            if 2 * total >= sum(expected[j] for j in members):
                break
        seen = usual = hierarchy.BELIEF
        for other in members:
            if other != i:
                near = middle * expected[other]
                width = hierarchy.CLIP * np.sqrt(2.0 * near + 1.0)
                seen += min(max(values[other], near - width), near + width)
                usual += expected[other]
        assert found[i] == pytest.approx(max(seen / usual, 0.0), rel=1e-6)


def test_one_sister_that_fails_moves_the_others_little() -> None:
    expected, variance = np.full(8, 100.0), np.full(8, 225.0)
    values = expected.copy()
    values[0] = 0.0
    ratio = hierarchy.ratio_of_sisters(values, expected, variance, np.zeros(8, np.int64))
    assert ratio[0] == 1.0
    assert np.all(ratio[1:] > 0.95)


def test_what_all_share_is_no_matter_how_deep() -> None:
    expected, group = np.full(8, 100.0), np.zeros(8, np.int64)
    ratio = hierarchy.ratio_of_sisters(0.3 * expected, expected, 2.0 * expected, group)
    assert np.allclose(ratio, (0.3 * 700 + 50) / 750)


def test_sums_leave_out_what_is_absent() -> None:
    members = np.array([[True, True, False], [False, False, True]])
    found = hierarchy.sums(np.array([2.0, np.nan, np.nan]), members)
    assert found[0] == 2.0
    assert np.isnan(found[1])
