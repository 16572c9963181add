"""The scoring of the Numenta Anomaly Benchmark, written from its published description.

Lavin & Ahmad 2015, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
Benchmark" (arXiv 1510.03336), standard profile. Every point of a file has a worth, which an alarm
there earns or costs:

* inside a labelled window of w points, the i-th (from 0) is worth σ(-(w - i) / w) / σ(-1): from 1
  at the first point down to nearly 0 at the last;
* after a window of w points, the n-th point (from 1) costs 0.11 · |σ(n / (w - 1))|, and 0.11 from
  three widths on; before the first window it costs 0.11;
* the first 15 % of a file, at most 750 points, are worth nothing,

where σ(y) = 2 / (1 + e^5y) - 1. A window earns what its best alarm is worth, and costs 1 without
one; alarms outside windows all cost. One threshold is taken for all files, the one with the most in
sum, and the sum is told between that of no alarm (0) and that of one alarm at the first point of
every window and no other (100).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIT, FALSE, MISS = 1.0, 0.11, 1.0
"""Weights of the standard profile."""
FAR = 3.0
"""Widths of the window before after which a false alarm costs all."""
PROBATION, PROBATION_OF = 0.15, 5000
"""Share of a file that is not scored, and of how many points at most."""


@dataclass(frozen=True)
class File:
    """What alarms in one file are worth.

    worth: (n,) what an alarm at each point earns, or costs where it is below zero.
    window: (n,) number of the labelled window a point is in, from 0; -1 where none.
    probation: points at the start that are not scored.
    windows: how many windows there are.
    """

    worth: NDArray[np.float64]
    window: NDArray[np.int64]
    probation: int
    windows: int


def sigmoid(position: float) -> float:
    """What an alarm is worth by its place: 0 at a window's end, towards 1 before, -1 after.

    position: in widths of the window, from its end.

    >>> round(sigmoid(-1.0), 4), sigmoid(0.0), sigmoid(3.1)
    (0.9866, 0.0, -1.0)
    """
    return -1.0 if position > FAR else 2.0 / (1.0 + float(np.exp(5.0 * position))) - 1.0


def label(points: int, windows: Sequence[tuple[int, int]]) -> File:
    """The worth of every point of a file.

    windows: first and last index of each, in order and apart. Raises ValueError where they are
    not.
    """
    worth = np.full(points, -FALSE)
    window = np.full(points, -1)
    before = -1
    for number, (first, last) in enumerate(windows):
        if not before < first <= last < points:
            raise ValueError(f"window {number} from {first} to {last} of {points} points")
        width = last - first + 1
        window[first : last + 1] = number
        for index in range(first, last + 1):
            position = -(last - index + 1) / width
            worth[index] = HIT * sigmoid(position) / sigmoid(-1.0)
        for index in range(last + 1, points):
            past = (index - last) / (width - 1) if width > 1 else np.inf
            worth[index] = FALSE * sigmoid(past)
        before = last
    probation = int(PROBATION * min(points, PROBATION_OF))
    return File(worth, window, probation, len(windows))


def best(files: Sequence[File], scores: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The standard score, from below 0 to 100, and the threshold it is reached with.

    scores: (n,) of each file, an alarm where it is at or above the threshold; NaN is none.
    Raises ValueError where lengths differ, or where no window is to be found.
    """
    total = sum(file.windows for file in files)
    if total == 0:
        raise ValueError("no window to find")
    gains, levels = [], []
    for file, score in zip(files, scores, strict=True):
        level, gain = changes(file, score)
        levels.append(level)
        gains.append(gain)
    level, gain = np.concatenate(levels), np.concatenate(gains)
    order = np.argsort(-level, kind="stable")
    level, gain = level[order], np.cumsum(gain[order])
    ends = np.flatnonzero(np.append(level[1:] != level[:-1], True)) if level.size else np.array([])
    null = -MISS * total
    if ends.size == 0 or gain[ends].max() <= 0.0:
        return 0.0, np.inf
    top = ends[np.argmax(gain[ends])]
    return 100.0 * float(gain[top]) / (HIT * total - null), float(level[top])


def at(files: Sequence[File], scores: Sequence[NDArray[np.float64]], threshold: float) -> float:
    """The standard score with a threshold that is given."""
    total = sum(file.windows for file in files)
    earned = 0.0
    for file, score in zip(files, scores, strict=True):
        level, gain = changes(file, score)
        earned += float(gain[level >= threshold].sum())
    return 100.0 * earned / ((HIT + MISS) * total)


def changes(
    file: File, score: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the sum over one file changes as the threshold falls, from that of no alarm.

    Returns levels and what each adds when the threshold reaches it: the cost of every point
    outside windows; and of a window's points those that are worth more than any with a higher
    level, the first of them together with the miss that is none any more.
    """
    if score.shape != file.worth.shape:
        raise ValueError(f"{score.size} scores of {file.worth.size} points")
    scored = np.isfinite(score)
    scored[: file.probation] = False
    outside = np.flatnonzero(scored & (file.window < 0))
    levels, gains = [score[outside]], [file.worth[outside]]
    for number in range(file.windows):
        inside = np.flatnonzero(scored & (file.window == number))
        # Of one level the best first, so that the others add nothing.
        order = inside[np.lexsort((-file.worth[inside], -score[inside]))]
        record = np.maximum.accumulate(file.worth[order])
        levels.append(score[order])
        gains.append(np.diff(record, prepend=-MISS))
    return np.concatenate(levels), np.concatenate(gains)


def alarms(
    files: Sequence[File], scores: Sequence[NDArray[np.float64]], threshold: float
) -> tuple[int, int]:
    """How many windows a threshold finds, and how many alarms lie outside all of them."""
    hits = false = 0
    for file, score in zip(files, scores, strict=True):
        raised = np.flatnonzero(score >= threshold)
        where = file.window[raised[raised >= file.probation]]
        hits += np.unique(where[where >= 0]).size
        false += int((where < 0).sum())
    return hits, false
