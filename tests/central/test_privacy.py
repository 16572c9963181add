"""The k-gate: no sum, difference or snapshot of what is released is a small group."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.privacy import LEVELS, Cell, Integers, corrects, finest, release

HOURS_A_PART, PARTS_A_DAY, DAYS_A_WEEK = 3, 2, 2
A_WEEK = HOURS_A_PART * PARTS_A_DAY * DAYS_A_WEEK
"""A small calendar, so that all sums and differences can be tried."""


def tree(hours: Integers) -> Integers:
    """What holds each hour of the small calendar."""
    part = hours // HOURS_A_PART
    day = part // PARTS_A_DAY
    return np.stack([hours, part, day, day // DAYS_A_WEEK], 1)


def slow_finest(nodes: Integers, counts: Integers, k: Integers) -> list[int]:
    """As the words say it: level by level, sum what no finer cell holds."""
    level = [-1] * len(nodes)
    for depth in range(nodes.shape[1]):
        rest = [n for n in range(len(nodes)) if level[n] < 0]
        for n in rest:
            alike = [m for m in rest if nodes[m, depth] == nodes[n, depth]]
            sums = [sum(int(counts[m, limit]) for m in alike) for limit in range(len(k))]
            if all(total >= need for total, need in zip(sums, k, strict=True)):
                level[n] = depth
    return level


@st.composite
def tables(draw: st.DrawFn) -> tuple[Integers, Integers, Integers]:
    """Hours of up to three weeks, in any order, their counts of two limits, and k."""
    hours = draw(st.lists(st.integers(0, 3 * A_WEEK - 1), unique=True, max_size=20))
    pair = st.tuples(st.integers(0, 12), st.integers(0, 12))
    counts = draw(st.lists(pair, min_size=len(hours), max_size=len(hours)))
    k = draw(st.tuples(st.integers(1, 10), st.integers(1, 10)))
    return np.array(hours, np.int64), np.array(counts, np.int64).reshape(-1, 2), np.array(k)


@given(tables())
def test_the_finest_level_is_what_the_words_say(table: Any) -> None:
    hours, counts, k = table
    assert finest(tree(hours), counts, k).tolist() == slow_finest(tree(hours), counts, k)


@given(tables())
def test_every_cell_has_k_and_no_hour_is_in_two(table: Any) -> None:
    hours, counts, k = table
    cells = release(hours, tree(hours), counts, k, k, [])
    row = {hour: n for n, hour in enumerate(hours.tolist())}
    for cell in cells:
        sums = counts[[row[hour] for hour in cell.hours]].sum(0)
        assert cell.counts == tuple(sums)
        assert (sums >= k).all() == (cell.level >= 0)
    assert sorted(hour for cell in cells for hour in cell.hours) == sorted(hours.tolist())


@given(tables(), st.randoms())
def test_the_order_of_the_rows_does_not_matter(table: Any, random: Any) -> None:
    hours, counts, k = table
    order = list(range(len(hours)))
    random.shuffle(order)
    shuffled = release(hours[order], tree(hours[order]), counts[order], k, k, [])
    assert shuffled == release(hours, tree(hours), counts, k, k, [])


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[list[int]], int, list[bool]]:
    """The hours of the people who come to be known in each run, k, and whether the week is over."""
    runs = draw(st.lists(st.lists(st.integers(0, A_WEEK - 1), max_size=14), max_size=4))
    over = draw(st.lists(st.booleans(), min_size=len(runs), max_size=len(runs)))
    return runs, draw(st.integers(2, 5)), over


def run_all(runs: list[list[int]], k: int, over: list[bool]) -> list[tuple[Cell, frozenset[int]]]:
    """Run after run: what was told, and which people (numbered as they came) are in it."""
    people: list[int] = []
    told: list[tuple[Cell, frozenset[int]]] = []
    hours = np.arange(A_WEEK)
    for arrived, whole in zip(runs, over, strict=True):
        people += arrived
        counts = np.bincount(people, minlength=A_WEEK)[:, None]
        nodes = tree(hours)[:, : len(LEVELS) if whole else 3]
        for cell in release(
            hours, nodes, counts, np.array([k]), np.array([k]), [cell for cell, _ in told]
        ):
            inside = frozenset(n for n, hour in enumerate(people) if hour in cell.hours)
            told.append((cell, inside))
    return told


@given(arrivals())
def test_no_sum_or_difference_of_what_was_told_is_a_small_group(drawn: Any) -> None:
    runs, k, over = drawn
    groups = [inside for cell, inside in run_all(runs, k, over) if cell.level >= 0]
    groups = groups[-7:]
    people = sorted(set().union(*groups))
    member = np.array([[person in group for person in people] for group in groups], np.int64)
    for weights in product((-1, 0, 1), repeat=len(groups)):
        left = np.array(weights, np.int64) @ member.reshape(len(groups), len(people))
        if left.size and (left >= 0).all() and (left <= 1).all() and left.any():
            assert left.sum() >= k


@given(arrivals())
def test_a_frozen_cell_never_changes_by_fewer_than_k(drawn: Any) -> None:
    runs, k, over = drawn
    told: dict[tuple[int, ...], list[Cell]] = {}
    for cell, _ in run_all(runs, k, over):
        if cell.level >= 0:
            told.setdefault(cell.hours, []).append(cell)
    for snapshots in told.values():
        assert [cell.snapshot for cell in snapshots] == list(range(1, len(snapshots) + 1))
        counts = [cell.counts[0] for cell in snapshots]
        assert all(abs(a - b) >= k for n, a in enumerate(counts) for b in counts[:n])


@given(arrivals())
def test_the_fewest_are_those_of_the_cell_or_of_a_difference(drawn: Any) -> None:
    told: dict[tuple[int, ...], list[frozenset[int]]] = {}
    for cell, inside in run_all(*drawn):
        if cell.level >= 0:
            earlier = told.setdefault(cell.hours, [])
            assert cell.fewest == min(map(len, (inside, *(inside ^ each for each in earlier))))
            earlier.append(inside)


def test_the_fewest_are_of_the_limit_that_has_least() -> None:
    hours, k = np.arange(1), np.array([10, 10])
    first = release(hours, tree(hours), np.array([[50, 40]]), k, k, [])
    (second,) = release(hours, tree(hours), np.array([[80, 52]]), k, k, first)
    assert [cell.fewest for cell in (*first, second)] == [40, 12]


@given(arrivals())
def test_a_run_without_news_tells_nothing(drawn: Any) -> None:
    runs, k, over = drawn
    if runs:
        twice = run_all([*runs, []], k, [*over, over[-1]])
        assert len(twice) == len(run_all(runs, k, over))


@pytest.mark.parametrize(
    ("counts", "levels"),
    [
        ([10] * 12, [0] * 12),
        ([10, 9, 1] + [10] * 9, [0, 1, 1] + [0] * 9),
        ([10, 9, 0] + [10, 1, 0] + [10] * 6, [0, 2, 2, 0, 2, 2] + [0] * 6),
        ([9] + [10] * 10 + [1], [3] + [0] * 10 + [3]),
        ([1] + [0] * 10 + [1], [-1] * 12),
    ],
)
def test_what_passes_is_told_fine_and_the_rest_together(
    counts: list[int], levels: list[int]
) -> None:
    rows = np.array(counts)[:, None]
    assert finest(tree(np.arange(12)), rows, np.array([10])).tolist() == levels


@pytest.mark.parametrize(
    ("now", "earlier", "may"),
    [
        ((30, 30), [(20, 20)], True),
        ((29, 30), [(20, 20)], False),
        ((10, 10), [(20, 20)], True),
        ((9, 10), [(20, 20)], False),
        ((30, 10), [(20, 20)], False),
        ((20, 20), [(20, 20)], False),
        ((21, 21), [(20, 20), (31, 31)], False),
        ((42, 42), [(20, 20), (31, 31)], True),
    ],
)
def test_a_correction_is_k_away_from_every_snapshot(
    now: tuple[int, int], earlier: list[tuple[int, int]], may: bool
) -> None:
    k = np.array([10, 10])
    assert corrects(np.array(now), np.array(earlier), k, k) is may


@pytest.mark.parametrize(
    ("earlier", "now", "may"),
    [
        ([19], 29, True),
        ([19], 28, False),
        ([20], 39, False),
        ([20], 40, True),
        ([10, 20], 39, False),
        ([30], 10, True),
        ([30], 11, False),
    ],
)
def test_a_correction_of_a_large_cell_needs_more(earlier: list[int], now: int, may: bool) -> None:
    k, again = np.array([10]), np.array([20])
    assert corrects(np.array([now]), np.array(earlier)[:, None], k, again) is may


def test_hours_that_came_late_are_a_cell_of_their_own_once_they_are_enough() -> None:
    hours, k = np.arange(A_WEEK), np.array([10])
    first = np.array([10] * (A_WEEK - 1) + [0])[:, None]
    told = release(hours, tree(hours), first, k, k, [])
    assert [cell.level for cell in told] == [0] * (A_WEEK - 1) + [-1]
    later = first + np.array([9] * (A_WEEK - 1) + [12])[:, None]
    assert release(hours, tree(hours), later, k, k, told) == [Cell(0, (A_WEEK - 1,), (12,))]
