"""What the kernels of every tick know of each series, and what they answer.

State lies in arrays shaped [slot, series], so that a tick walks through contiguous rows.

A value is a total over an exposure: a count (exposure 1), orders given the entries they came from,
how many of so many joined left unserved, the sum of so many log durations. Its mean is
rate × exposure, one rate per slot of the local week, and its variance follows from the mean by the
family (quasi-likelihood, McCullagh & Nelder 1989, chapter 9), times a dispersion per series.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DAYS = 7
SLOTS = DAYS * 96
LOOKS = 16
WIDTHS = (1, 4, 16)
"""The sums whose dispersion is measured; that of others lies on a line between."""
PRIOR = np.float32(20)
"""Counts' worth of belief in Poisson before dispersion is measured; a gauge has none to offer."""

Real = NDArray[np.float32]
_f = np.float32


class Family(NamedTuple):
    """How the variance of a value follows from its mean μ and exposure n.

    In units of dispersion: constant · n + linear · μ - quadratic · μ²/n. `least` is the least
    dispersion, `relative` the same in squares of the level; `known` is the evidence on
    dispersion, in units of variance, before which nothing is scored; `again` the part of the
    dispersion below which a square starts it anew, as long as it is not known.
    """

    constant: np.float32
    linear: np.float32
    quadratic: np.float32
    least: np.float32
    relative: np.float32
    known: np.float32
    again: np.float32


COUNT = Family(_f(0), _f(1), _f(0), _f(1 + 1e-6), _f(0), _f(0), _f(0))
"""Counts over an exposure: negative binomial."""
SUBSET = Family(_f(0), _f(1), _f(1), _f(1 + 1e-6), _f(0), _f(0), _f(0))
"""How many of so many: beta-binomial. The exposure is the number out of which."""
GAUGE = Family(_f(1), _f(0), _f(0), _f(1e-12), _f(1e-6), PRIOR, _f(1e-4))
"""Anything else that has a level, log durations too: normal. A thousandth of it is no change."""


class State(NamedTuple):
    """What a tick reads and teaches; all float32 but `newest`.

    rate, mass: (slots a week, series), value per exposure, and the exposure it rests on, of
        the last eight weeks or so.
    squares, units: (3, series), decayed sums over ticks of squared residuals, and of what they
        would be at dispersion 1, of the sums over the last 1, 4 and 16 ticks.
    residual, spread, value, exposure: (16, series) rings of ticks: value less its expectation, its
        variance at dispersion 1, and itself; zeros where absent.
    newest: (1,) int64, the row of the rings that the last tick wrote.
    drift: (2, series), cumulative sums, low and high.
    silence: (series,), minus the log likelihood of the zeros in a row up to now.
    threshold, excess, excess_squares: (2, series), of peaks, low and high, in half squared standard
        deviations.
    """

    rate: Real
    mass: Real
    squares: Real
    units: Real
    residual: Real
    spread: Real
    value: Real
    exposure: Real
    newest: NDArray[np.int64]
    drift: Real
    silence: Real
    threshold: Real
    excess: Real
    excess_squares: Real


class Out(NamedTuple):
    """What a tick writes, each (series,): see `tick`."""

    expected: Real
    variance: Real
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    windows_low: NDArray[np.int8]
    windows_high: NDArray[np.int8]
    drift_low: Real
    drift_high: Real
    silence: Real
    peak_low: NDArray[np.float64]
    peak_high: NDArray[np.float64]


def empty_state(series: int, family: Family = COUNT, slots: int = SLOTS) -> State:
    """A state that has seen nothing, of a week of so many slots."""
    prior = PRIOR if family.known == 0 else _f(0)
    return State(
        rate=np.zeros((slots, series), _f),
        mass=np.zeros((slots, series), _f),
        squares=np.full((len(WIDTHS), series), prior),
        units=np.full((len(WIDTHS), series), prior),
        residual=np.zeros((LOOKS, series), _f),
        spread=np.zeros((LOOKS, series), _f),
        value=np.zeros((LOOKS, series), _f),
        exposure=np.zeros((LOOKS, series), _f),
        newest=np.zeros(1, np.int64),
        drift=np.zeros((2, series), _f),
        silence=np.zeros(series, _f),
        threshold=np.full((2, series), 4, _f),
        excess=np.full((2, series), 1, _f),
        excess_squares=np.full((2, series), 2, _f),
    )


def empty_out(series: int) -> Out:
    """Room for what a tick writes."""
    return Out(
        expected=np.zeros(series, _f),
        variance=np.zeros(series, _f),
        p_low=np.ones(series),
        p_high=np.ones(series),
        windows_low=np.zeros(series, np.int8),
        windows_high=np.zeros(series, np.int8),
        drift_low=np.ones(series, _f),
        drift_high=np.ones(series, _f),
        silence=np.ones(series, _f),
        peak_low=np.ones(series),
        peak_high=np.ones(series),
    )
