"""The benchmark's scoring against hand-made tables, and its description taken by the letter."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from tests.bench import nab_score
from tests.bench.nab_score import File

WINDOWS = [(40, 49), (70, 74)]


def slow(points: int, windows: list[tuple[int, int]], alarms: set[int]) -> float:
    """What the alarms of one file earn, from that of no alarm, windows and alarms one by one."""
    scored = {alarm for alarm in alarms if alarm >= math.floor(0.15 * min(points, 5000))}
    earned = 0.0
    for first, last in windows:
        inside = [alarm for alarm in scored if first <= alarm <= last]
        if inside:
            # The first alarm is the earliest, and the earliest is worth the most.
            position = -(last - min(inside) + 1) / (last - first + 1)
            most = 2 / (1 + math.exp(-5)) - 1
            earned += 1 + (2 / (1 + math.exp(5 * position)) - 1) / most
    for alarm in scored:
        if any(first <= alarm <= last for first, last in windows):
            continue
        before = [(first, last) for first, last in windows if last < alarm]
        cost = -1.0
        if before:
            first, last = before[-1]
            position = (alarm - last) / (last - first)
            if position <= 3:
                cost = 2 / (1 + math.exp(5 * position)) - 1
        earned += 0.11 * cost
    return earned


def alarms_at(points: int, alarms: set[int]) -> NDArray[np.float64]:
    return np.isin(np.arange(points), list(alarms)).astype(np.float64)


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        (set(), 0.0),
        ({40, 70}, 4.0),
        # The last point of ten is a tenth of the width from the end: σ(-0.1) = .2449.
        ({49}, 1 + 0.244919 / 0.986614),
        ({45}, 1 + 0.848284 / 0.986614),
        # Only the first alarm in a window counts.
        ({45, 46, 49}, 1 + 0.848284 / 0.986614),
        # Before any window all of it; behind one by place: σ(1/9) = -.2708, σ(9/9) = -.9866.
        ({39}, -0.11),
        ({50}, -0.11 * 0.270847),
        ({58}, -0.11 * 0.986614),
        # Three widths (of four: the last point less the first) behind, and farther.
        ({86}, -0.11 * 0.999999),
        ({87}, -0.11),
        ({14}, 0.0),
        ({15}, -0.11),
    ],
)
def test_a_table_made_by_hand(alarms: set[int], expected: float) -> None:
    file = nab_score.label(100, WINDOWS)
    earned = nab_score.at([file], [alarms_at(100, alarms)], 1.0) / 100 * 4
    assert earned == pytest.approx(expected, abs=1e-6)


def test_points_are_worth_what_the_benchmarks_own_results_tell() -> None:
    # The column S(t)_standard of speed_7578.csv, around its first window, which has 29 points.
    worth = nab_score.label(1127, [(200, 228)]).worth
    begin = [-0.11, 1.0, 0.9974673237743696, 0.9944663453837748, 0.9909122971351696]
    end = [0.1730417302911223, 0.08716068383412914, -0.009795412917274829, -0.019436697459237925]
    far = [-0.1099999195441033, -0.10999993270151008, -0.11, -0.11]
    np.testing.assert_allclose(worth[199:204], begin, rtol=1e-12)
    np.testing.assert_allclose(worth[227:231], end, rtol=1e-12)
    np.testing.assert_allclose(worth[311:315], far, rtol=1e-12)


def test_probation_is_fifteen_percent_of_at_most_5000_points() -> None:
    assert nab_score.label(1243, []).probation == 186
    assert nab_score.label(5000, []).probation == 750
    assert nab_score.label(22695, []).probation == 750


@given(
    some.lists(some.tuples(some.integers(2, 30), some.integers(0, 30)), min_size=1, max_size=4),
    some.integers(0, 2**32 - 1),
    some.integers(1, 12),
)
def test_best_is_the_most_of_all_thresholds(
    spans: list[tuple[int, int]], seed: int, levels: int
) -> None:
    windows, end = [], 20
    for width, gap in spans:
        windows.append((end + gap, end + gap + width - 1))
        end = windows[-1][1] + 1
    sizes = (end + 10, 60)
    files = [nab_score.label(sizes[0], windows), nab_score.label(sizes[1], [])]
    random = np.random.default_rng(seed)
    scores = [random.integers(0, levels, size).astype(np.float64) for size in sizes]
    scores[0][random.random(sizes[0]) < 0.1] = np.nan
    earned = {
        threshold: sum(
            slow(size, where, set(np.flatnonzero(score >= threshold).tolist()))
            for size, where, score in zip(sizes, (windows, []), scores, strict=True)
        )
        for threshold in [*map(float, range(levels)), np.inf]
    }
    best, threshold = nab_score.best(files, scores)
    expected = 100 * max(earned.values()) / (2 * len(windows))
    assert best == pytest.approx(expected, abs=1e-9)
    assert 100 * earned[threshold] / (2 * len(windows)) == pytest.approx(best, abs=1e-9)
    assert nab_score.at(files, scores, threshold) == pytest.approx(best, abs=1e-9)


def test_no_alarm_is_zero_and_the_first_point_of_every_window_a_hundred() -> None:
    files = [nab_score.label(100, WINDOWS), nab_score.label(300, [(200, 249)])]
    none = [np.full(100, np.nan), np.full(300, np.nan)]
    assert nab_score.best(files, none) == (0.0, np.inf)
    perfect = [alarms_at(100, {40, 70}), alarms_at(300, {200})]
    best, threshold = nab_score.best(files, perfect)
    assert best == pytest.approx(100.0)
    assert threshold == 1.0


def test_counts_windows_found_and_alarms_outside() -> None:
    files = [nab_score.label(100, WINDOWS)]
    assert nab_score.alarms(files, [alarms_at(100, {3, 20, 41, 42, 60})], 1.0) == (1, 2)


@pytest.mark.parametrize("windows", [[(9, 4)], [(-1, 4)], [(40, 50), (50, 60)], [(90, 100)]])
def test_refuses_windows_that_cannot_be(windows: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="window"):
        nab_score.label(100, windows)


def test_refuses_scores_of_other_lengths_and_nothing_to_find() -> None:
    file: File = nab_score.label(100, WINDOWS)
    with pytest.raises(ValueError, match="scores"):
        nab_score.best([file], [np.zeros(99)])
    with pytest.raises(ValueError, match="no window"):
        nab_score.best([nab_score.label(100, [])], [np.zeros(100)])
