"""Every series' baseline, and what the newest window is worth against it.

A series is one measure of one subject at one site. A tick is one window of 15 minutes of all of
them; the history is replayed, tick by tick, at the start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from central.detect import kernels

Key = tuple[str, str, str]
"""(site, measure, subject)"""

LEARNING_WEEKS = 3
BAND_95 = 1.959964
BAND_80 = 1.281552


@dataclass(frozen=True)
class Scores:
    """One window of every series, each array (series,).

    expected, variance: of the count, NaN where this quarter of the day was never seen.
    lower, upper: the band that holds 95 % of ordinary windows.
    p_low, p_high: how likely so low, or so high, a sum over the last windows is, corrected for
        the four looks; 1 where the window is absent or not ready.
    windows: how many windows the sum with the smaller of the two covers, 0 where both are 1.
    learning: whether the slot has seen fewer than three weeks.
    """

    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    windows: NDArray[np.int64]
    learning: NDArray[np.bool_]


class Detector:
    """The state of all series, in the order given."""

    def __init__(self, series: Sequence[Key]) -> None:
        self.series = tuple(series)
        self.state = kernels.empty_state(len(self.series))
        self._scratch = kernels.empty_out(len(self.series))

    def tick(
        self,
        slot: int,
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        exposure: NDArray[np.float64] | None = None,
        learn: NDArray[np.bool_] | None = None,
    ) -> Scores:
        """Score a window, then learn from it.

        slot: local day of the week × 96 + quarter of the day. values: (series,) counts, NaN where
        absent. ready: (series,), False where nothing must be learned or scored.

        Raises ValueError for a slot outside 0 to 671 and for arrays of another length.
        """
        shape = (len(self.series),)
        if not 0 <= slot < kernels.SLOTS:
            raise ValueError(f"slot {slot} is not one of 0 to {kernels.SLOTS - 1}")
        if values.shape != shape or ready.shape != shape:
            raise ValueError(f"values {values.shape} and ready {ready.shape} must be {shape}")
        learning = self.state.seen[slot] < LEARNING_WEEKS
        out = kernels.empty_out(len(self.series))
        if exposure is None:
            exposure = np.ones(shape)
        if learn is None:
            learn = ready
        kernels.tick(self.state, slot, np.asarray(values, np.float64), exposure, ready, learn, out)
        lower, upper = band(out.expected, out.variance, BAND_95)
        windows = np.where(out.p_low <= out.p_high, out.windows_low, out.windows_high)
        return Scores(
            out.expected, out.variance, lower, upper, out.p_low, out.p_high, windows, learning
        )

    def learn(self, slot: int, values: NDArray[np.float64], ready: NDArray[np.bool_]) -> None:
        """As `tick`, without the scores: for the replay of a long history."""
        kernels.tick(self.state, slot, values, np.ones(len(values)), ready, ready, self._scratch)


def band(
    expected: NDArray[np.float64], variance: NDArray[np.float64], deviations: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The counts so many standard deviations below and above, after Anscombe's root; all (n,)."""
    root = np.sqrt(expected + 0.375)
    step = 0.5 * deviations * np.sqrt(variance / np.where(expected > 0.0, expected, np.inf))
    return (
        np.maximum(0.0, np.maximum(0.0, root - step) ** 2 - 0.375),
        (root + step) ** 2 - 0.375,
    )


def usual_range(expected_sum: float, variance_sum: float) -> tuple[int, int]:
    """The whole counts between which four in five ordinary sums lie ("usual 35-50").

    Both arguments are sums over the episode's windows. Raises ValueError where they are not
    finite.

    >>> usual_range(42.0, 50.0)
    (33, 52)
    """
    if not (math.isfinite(expected_sum) and math.isfinite(variance_sum)):
        raise ValueError(f"no usual range of {expected_sum} ± √{variance_sum}")
    lower, upper = band(np.array([expected_sum]), np.array([variance_sum]), BAND_80)
    return round(float(lower[0])), round(float(upper[0]))


def threshold(budget_per_store_week: float, ticks_per_week: int, series_per_store: int) -> float:
    """The p at or below which a window alarms, for a budget of false alarms per store and week.

    Either side of every tick of every series is one occasion to be wrong. Neighbouring alarms
    belong to one episode, so the budget is an upper bound. Raises ValueError where an argument
    is not above zero.
    """
    if budget_per_store_week <= 0 or ticks_per_week <= 0 or series_per_store <= 0:
        raise ValueError("budget, ticks and series must be above zero")
    return min(1.0, budget_per_store_week / (2.0 * ticks_per_week * series_per_store))
