"""What takes longer to show: cumulative sums, zeros in a row, and each series' own tail."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import tails
from central.detect.state import Family, Real

_f = np.float32
_ZERO, _HALF, _ONE, _TWO, _THREE, _FOUR, _SIX = (_f(n) for n in (0, 0.5, 1, 2, 3, 4, 6))
_THIRD, _TWELFTH, _TINY = _f(1 / 3), _f(1 / 12), _f(1e-30)
OVERSHOOT = _f(0.583)
"""By how much a random walk passes its limit, in steps (Siegmund 1985, Sequential Analysis, X)."""
RESET = _f(12)
"""Where a cumulative sum has said what it had to say (p = 3e-6), and begins again."""
BEYOND = _f(0.02)
"""The part of ticks that lies beyond the threshold of peaks."""
STEP = _f(0.02)
"""How far a tick moves that threshold: a few weeks to find it."""
PEAK = _f(1 / 128)
"""What a peak changes in the moments of peaks."""
PEAK_CLIP = _f(8)
"""Mean excesses beyond which a peak teaches no more."""


@njit(cache=True, error_model="numpy", nogil=True)
def accumulate(
    drift: Real,
    sign: np.float32,
    phi: Real,
    residual: Real,
    spread: Real,
    skew: Real,
    scored: Real,
    p: Real,
) -> None:
    """Add to one side's cumulative sums (block,), and write how likely they are so high.

    The sum is of log likelihood ratios against a shift θ of one standard deviation, less for
    small counts: θr - log E exp θr, to the third cumulant. So exp(sum) is a martingale whatever
    the means, and the sum is above h in exp(-h) of ordinary ticks (Lorden 1971), less its
    overshoot. For a normal residual this is Page's CUSUM of z with a slack of a half.
    """
    for i in range(drift.size):
        variance = phi[i] * spread[i]
        third = (_TWO * phi[i] - _ONE) * skew[i]
        fourth = (_SIX * phi[i] * (phi[i] - _ONE) + _ONE) * abs(skew[i])
        small = _FOUR * abs(skew[i]) * phi[i] * phi[i]
        theta = sign / math.sqrt(max(variance + small, _TINY))
        tilt = _ONE + theta * third * _THIRD + theta * theta * fourth * _TWELFTH
        tilt *= theta * theta * variance * _HALF
        after = max(_ZERO, drift[i] + theta * residual[i] - tilt)
        after = after if scored[i] > _ZERO else drift[i]
        tail = tails.decay(after + OVERSHOOT * theta * theta * variance)
        p[i] = tail if (after > _ZERO) & (scored[i] > _ZERO) else _ONE
        drift[i] = after if after < RESET else _ZERO


@njit(cache=True, error_model="numpy", nogil=True)
def listen(
    family: Family,
    silence: Real,
    value: Real,
    expected: Real,
    inflation: Real,
    phi: Real,
    scored: Real,
    p: Real,
) -> None:
    """Add to the zeros in a row (block,), and write how likely such a run is.

    A negative binomial of mean μ and dispersion φ is zero with log probability
    -μ log φ / (φ - 1). (φ - 1) / log φ is the logarithmic mean of φ and 1, here from above by
    (2 √φ + (φ + 1) / 2) / 3 (Carlson 1972, American Mathematical Monthly 79): p is, if
    anything, too great. Where nothing is to be expected, a zero adds nothing.
    """
    for i in range(silence.size):
        dispersion = phi[i] * inflation[i]
        mean = _TWO * math.sqrt(dispersion) + _HALF * (dispersion + _ONE)
        run = silence[i] + family.linear * _THREE * max(expected[i], _ZERO) / mean
        run = run if value[i] == _ZERO else _ZERO
        run = run if scored[i] > _ZERO else silence[i]
        tail = tails.decay(run)
        p[i] = tail if scored[i] > _ZERO else _ONE
        silence[i] = run


@njit(cache=True, error_model="numpy", nogil=True)
def peak(
    threshold: Real,
    excess: Real,
    excess_squares: Real,
    extreme: Real,
    sign: np.float32,
    scored: Real,
    p: NDArray[np.float64],
) -> None:
    """Score one side's extremes (block,) against their own past, then let them teach it.

    Streaming peaks over a threshold (Siffer et al. 2017, SPOT). The threshold follows the quantile
    that `BEYOND` of ticks pass (Robbins & Monro 1951); what passes it is generalised Pareto, with
    decayed moments. p is 1 below the threshold.
    """
    for i in range(threshold.size):
        over = max(_ZERO, sign * _HALF * extreme[i] - threshold[i])
        p[i] = over if scored[i] > _ZERO else _ZERO
    for i in range(threshold.size):
        over = _f(p[i])
        if over > _ZERO:
            mean, square = np.float64(excess[i]), np.float64(excess_squares[i])
            p[i] = BEYOND * tails.pareto(np.float64(over), mean, square)
        else:
            p[i] = 1.0
    for i in range(threshold.size):
        over = max(_ZERO, sign * _HALF * extreme[i] - threshold[i])
        passes = _ONE if over > _ZERO else _ZERO
        moved = max(_ZERO, threshold[i] + STEP * (passes - BEYOND))
        taught = min(over, PEAK_CLIP * excess[i])
        share = PEAK * passes if scored[i] > _ZERO else _ZERO
        threshold[i] = moved if scored[i] > _ZERO else threshold[i]
        excess[i] += share * (taught - excess[i])
        excess_squares[i] += share * (taught * taught - excess_squares[i])
