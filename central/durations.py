"""What is told of a histogram of durations: as fine as the people in it allow.

From 50 people up a quantile is interpolated in its bin. Below that a wide bin alone is told,
since in which narrow bin the median of few people lies says too much of each of them: what three
attackers make of it decides how wide (`passerby-central privacy attack`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

FINE = 50
"""People in a cell, and in its difference from each earlier snapshot, from whom on a quantile is
told to the second, and a share to the hundredth."""
WIDE = {"dwell": (0, 4, 8, 11), "wait": (0, 3, 6)}
"""The bins of each histogram that begin a wide bin: for dwell from 5 s, 30 s, 2 and 10 min on, for
waits from 0, 1 and 5 min on."""


def survival(ended: Reals, censored: Reals) -> Reals:
    """The share that lasts beyond each bin, (…, bins), by Kaplan and Meier (1958).

    ended, censored: those whose duration is known, and those of whom it is known to be longer than
    they were seen, (…, bins). Who is censored in a bin is at risk for half of it.
    """
    at_risk = np.flip(np.cumsum(np.flip(ended + censored, -1), -1), -1) - censored / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        hazard = np.where(at_risk > 0, ended / at_risk, 0.0)
    return np.cumprod(1 - hazard, -1)


def quantile(lasting: Reals, edges: Reals, share: float) -> tuple[Reals, Reals, Reals]:
    """The duration that `share` do not outlast, and the lower and upper edge of its bin, (…).

    lasting: from `survival`. edges: the bins' lower edges, (bins,); the last bin has no upper edge:
    its upper edge is infinite, and in it the duration is its lower edge. All three are NaN where
    too many are censored to know.
    """
    passed = 1 - lasting >= share - 1e-12
    known = passed.any(-1)
    at = passed.argmax(-1)
    low, high = edges[at], np.append(edges[1:], np.inf)[at]
    beyond = np.take_along_axis(lasting, at[..., None], -1)[..., 0]
    before = np.where(
        at > 0, np.take_along_axis(lasting, np.maximum(at - 1, 0)[..., None], -1)[..., 0], 1.0
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.where(before > beyond, (before - (1 - share)) / (before - beyond), 0.0)
        value = np.where(np.isinf(high), low, low + np.clip(within, 0, 1) * (high - low))
    unknown = np.where(known, 0.0, np.nan)
    return value + unknown, low + unknown, high + unknown


def told(
    lasting: Reals, edges: Reals, wide: Sequence[int], share: float, *, fine: bool
) -> tuple[Reals, Reals, Reals]:
    """A quantile as it is told, and the lower and upper edge of the bin that is told, (…).

    wide: the bins that begin a wide bin. Where `fine`, the quantile is in whole seconds; else it is
    the (geometric) middle of its wide bin, or of the last one the lower edge.
    """
    if fine:
        value, low, high = quantile(lasting, edges, share)
        return np.round(value), low, high
    last = [*(start - 1 for start in wide[1:]), lasting.shape[-1] - 1]
    _, low, high = quantile(lasting[..., last], edges[list(wide)], share)
    middle = np.sqrt(np.maximum(low, 1.0) * np.where(np.isinf(high), low, high))
    return np.round(middle), low, high


def part(some: Reals, all_of_them: Reals, *, fine: bool) -> Reals:
    """A share as it is told, (…)."""
    return np.round(some / all_of_them, 2 if fine else 1)
