"""The score of people-flow: right on what can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.bench.people_flow import WEEK, recall, runs


@given(some.lists(some.booleans(), max_size=30), some.integers(1, 4))
def test_runs_are_marks_that_are_near(marks: list[bool], apart: int) -> None:
    rows = [row for row, marked in enumerate(marks) if marked]
    wanted: list[list[int]] = []
    for row in rows:
        if wanted and row - wanted[-1][1] <= apart:
            wanted[-1][1] = row
        else:
            wanted.append([row, row])
    assert runs(np.array(marks, bool), apart) == [(a, b) for a, b in wanted]


def test_recall_by_hand() -> None:
    """Two weeks; the highest score is a row after an event, the next is false, then the other."""
    event = np.zeros(2 * WEEK, bool)
    event[[100, 101, 300]] = True
    score = np.zeros(event.size)
    score[[102, 200, 203, 300]] = [9.0, 8.0, 8.0, 7.0]
    score[400] = 6.0
    assert recall(score, event, [0.0, 0.5, 1.0], warm_up=0) == [0.5, 1.0, 1.0]
    assert recall(score, event, [0.5], warm_up=0, apart=2) == [0.5]
    score[203] = 0.0
    score[204] = 8.0
    assert recall(score, event, [0.0, 0.5, 1.0], warm_up=0) == [0.5, 0.5, 1.0]


def test_what_is_learnt_from_or_not_scored_never_alarms() -> None:
    event = np.zeros(2 * WEEK, bool)
    event[[100, 500]] = True
    score = np.full(event.size, np.nan)
    score[100] = 9.0
    assert recall(score, event, [4.0], warm_up=200) == [0.0]


def test_a_detector_that_always_alarms_finds_nothing() -> None:
    event = np.zeros(2 * WEEK, bool)
    event[[100, 500]] = True
    score = np.random.default_rng(0).uniform(size=event.size)
    assert recall(score, event, [0.5], warm_up=0)[0] <= 0.5


@pytest.mark.parametrize("allowed", [0.5, 1.0])
def test_more_allowed_is_never_less_found(allowed: float) -> None:
    random = np.random.default_rng(1)
    event = random.uniform(size=4 * WEEK) < 0.01
    score = random.uniform(size=event.size) + event
    low, high = recall(score, event, [allowed, 2 * allowed], warm_up=WEEK)
    assert low <= high
