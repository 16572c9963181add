"""Stores among their sisters, regions and the chain: pure functions over arrays.

A region and the chain are nodes above the stores. A node's series is the sum over those of its
stores that were seen, held against the sum of what was expected of the same stores, so that a
store without a count is missing on both sides.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLIP = 2.0
"""Standard deviations beyond which a store says no more of what its sisters are to expect."""
BELIEF = 50.0
"""Counts' worth of belief that a region does as usual, before its stores are asked."""
DISCOVERY_RATE = 0.1
"""Of the stores named beside a node, the share that may be named wrongly."""


def ratio_of_sisters(
    values: NDArray[np.float64],
    expected: NDArray[np.float64],
    variance: NDArray[np.float64],
    group: NDArray[np.int64],
) -> NDArray[np.float64]:
    """What the others of a store's group count over what was expected of them, (n,).

    values, expected, variance: (n,) of one window, NaN where absent. group: (n,) from 0, or -1
    for a store without sisters, whose ratio is 1. Weather and holidays are common to a region, so
    that a store is judged given how its sisters do. No store counts for itself, and each counts no
    further than `CLIP` standard deviations from the group's median (one step of Huber's
    M-estimator, 1964, Annals of Mathematical Statistics 35), so that one that fails says little.

    >>> one, usual = np.array([80.0, 80.0, 10.0]), np.full(3, 100.0)
    >>> ratio_of_sisters(one, usual, np.full(3, 25.0), np.zeros(3, np.int64)).round(2).tolist()
    [0.8, 0.8, 0.84]
    """
    known = np.isfinite(values) & np.isfinite(variance) & (expected > 0.0) & (group >= 0)
    ratio = np.ones(len(values))
    for each in np.unique(group[known]).tolist():
        mine = known & (group == each)
        count, usual = values[mine], expected[mine]
        middle = weighted_median(count / usual, usual) * usual
        width = CLIP * np.sqrt(variance[mine] * middle / usual + 1.0)
        seen = np.clip(count, middle - width, middle + width)
        ratio[group == each] = max(0.0, (seen.sum() + BELIEF) / (usual.sum() + BELIEF))
        others = (seen.sum() - seen + BELIEF) / (usual.sum() - usual + BELIEF)
        ratio[mine] = np.maximum(others, 0.0)
    return ratio


def weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The least of (n,) values that half of the weight does not exceed; n is at least 1.

    >>> weighted_median(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 3.0]))
    2.0
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(below, 0.5 * below[-1])]])


def sums(values: NDArray[np.float64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The nodes' sums, (nodes,), of (n,) values; NaN where none of the members is known.

    members: (nodes, n).
    """
    known = np.isfinite(values)
    total = members.astype(np.float64) @ np.where(known, values, 0.0)
    return np.where((members & known).any(axis=1), total, np.nan)


def benjamini_hochberg(p: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """Which of (n,) p-values are discoveries of which at most a share `rate` is false.

    Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    >>> benjamini_hochberg(np.array([0.03, 0.9, 0.001, 0.04]), 0.05).tolist()
    [False, False, True, False]
    """
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    found = np.zeros(len(p), np.bool_)
    if len(below):
        found[order[: below[-1] + 1]] = True
    return found


def groups(names: Sequence[str]) -> NDArray[np.int64]:
    """The group of each name, numbered as the names come.

    >>> groups(["north", "south", "north"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
