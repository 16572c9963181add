"""Every series' baseline, and what the newest window is worth against it.

A series is one measure of one subject at one site. A tick is one window of all of them; the history
is replayed, tick by tick, at the start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from central.detect import kernels, season
from central.detect.season import LEARNED
from central.detect.state import COUNT, SLOTS, Family, State, empty_out, empty_state

Key = tuple[str, str, str]
"""(site, measure, subject)"""

Reals = NDArray[np.float64]
BAND_95 = 1.959964
BAND_80 = 1.281552


@dataclass(frozen=True)
class Scores:
    """One window of every series, each array (series,); every p is 1 where absent or not ready.

    expected, variance: of the value, NaN where this quarter of the day was never seen.
    p_low, p_high: how likely so low, or so high, a sum over the last 1 to 16 windows is, corrected
        for the looks.
    windows: how many windows the sum with the smaller of the two covers, 0 where it is ordinary.
    learning: whether the slot has seen fewer than three weeks.
    drift_low, drift_high: the p of a lasting shift, small but ever to the same side.
    silence: the p of so long a run of zeros.
    peak_low, peak_high: the p of so extreme a sum among this series' own; 1 but for the outer 2 %.
    """

    expected: NDArray[np.float32]
    variance: NDArray[np.float32]
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    windows: NDArray[np.int8]
    learning: NDArray[np.bool_]
    drift_low: NDArray[np.float32]
    drift_high: NDArray[np.float32]
    silence: NDArray[np.float32]
    peak_low: NDArray[np.float64]
    peak_high: NDArray[np.float64]


class Detector:
    """The state of all series, in the order given, all of one family."""

    def __init__(self, series: Sequence[Key], family: Family = COUNT, slots: int = SLOTS) -> None:
        self.series = tuple(series)
        self.family = family
        self.state = empty_state(len(self.series), family, slots)
        self._scratch = empty_out(len(self.series))
        self._one = np.ones(len(self.series))

    def tick(
        self,
        slot: int,
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        exposures: NDArray[np.float64] | None = None,
    ) -> Scores:
        """Score a window, then learn from it.

        slot: local slot of the week. values: (series,), NaN where absent. ready: (series,), False
        where a series stays as it is. exposures: (series,), what each value is a total over, 1
        where left out; a value whose exposure is 0 or NaN is absent.

        Raises ValueError for a slot outside the week and for arrays of another length.
        """
        exposures = self._one if exposures is None else exposures
        self._check(slot, values, ready, exposures)
        learning = self.state.mass[slot] < LEARNED * exposures
        out = empty_out(len(self.series))
        kernels.tick(self.state, self.family, slot, values, exposures, ready, out)
        return Scores(
            expected=out.expected,
            variance=out.variance,
            p_low=out.p_low,
            p_high=out.p_high,
            windows=np.where(out.p_low <= out.p_high, out.windows_low, out.windows_high),
            learning=learning,
            drift_low=out.drift_low,
            drift_high=out.drift_high,
            silence=out.silence,
            peak_low=out.peak_low,
            peak_high=out.peak_high,
        )

    def learn(
        self,
        slot: int,
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        exposures: NDArray[np.float64] | None = None,
    ) -> None:
        """As `tick`, without the scores: for the replay of a long history."""
        exposures = self._one if exposures is None else exposures
        self._check(slot, values, ready, exposures)
        kernels.tick(self.state, self.family, slot, values, exposures, ready, self._scratch)

    def expectation(self, slot: int) -> tuple[Reals, Reals, Reals]:
        """What a slot is to show before it does: rate, variance at exposure 1, evidence.

        Each (series,); rate and variance are NaN where this quarter of the day was never seen, and
        evidence is the exposure that the slot itself has seen of late.
        """
        count = len(self.series)
        phi, rate, weight = np.empty((3, count), np.float32), *np.empty((2, count), np.float32)
        season.measure_dispersion(self.state, self.family, slot, 0, phi)
        season.smooth(self.state, self.family, slot, 0, phi[0], rate, weight)
        family = self.family
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = family.constant + rate * (family.linear - family.quadratic * rate)
            variance = phi[0] * np.maximum(unit, 0) * (1 + 1 / weight)
        return (
            rate.astype(np.float64),
            variance.astype(np.float64),
            self.state.mass[slot].astype(np.float64),
        )

    def rest(self, closed: NDArray[np.bool_]) -> None:
        """Let a window pass in which nothing is to be expected of some; closed: (series,)."""
        if closed.any():
            self.learn(0, np.full(len(self.series), np.nan), closed)

    def restart(self, which: NDArray[np.bool_]) -> None:
        """Begin cumulative sums and runs of zeros again, as after a fault was dealt with."""
        self.state.drift[:, which] = 0.0
        self.state.silence[which] = 0.0

    def save(self, path: Path) -> None:
        """Write all that is known to a file, by numpy."""
        with path.open("wb") as file:
            np.savez(
                file,
                series=np.array(self.series, np.str_).reshape(-1, 3),
                family=np.array(self.family),
                **self.state._asdict(),
            )

    @classmethod
    def load(cls, path: Path) -> "Detector":
        """What `save` wrote: it scores as the one that was saved, bit for bit.

        Raises OSError where there is no such file, ValueError and KeyError where it is another.
        """
        with np.load(path, allow_pickle=False) as arrays:
            family = Family(*arrays["family"])
            series = [(str(a), str(b), str(c)) for a, b, c in arrays["series"]]
            state = State(*(arrays[name] for name in State._fields))
        detector = cls(series, family, len(state.rate))
        detector.state = state
        return detector

    def _check(
        self,
        slot: int,
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        exposures: NDArray[np.float64],
    ) -> None:
        shape = (len(self.series),)
        if not 0 <= slot < len(self.state.rate):
            raise ValueError(f"slot {slot} is not one of 0 to {len(self.state.rate) - 1}")
        if values.shape != shape or ready.shape != shape or exposures.shape != shape:
            raise ValueError(
                f"values {values.shape}, ready {ready.shape} and exposures {exposures.shape}"
                f" must be {shape}"
            )


def band(
    expected: NDArray[np.floating], variance: NDArray[np.floating], deviations: float = BAND_95
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
