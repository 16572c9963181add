"""The sums over the last 1 to 16 ticks: which lies farthest out, and how likely that is."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import tails
from central.detect.season import LEAST_MEAN
from central.detect.state import LOOKS, PRIOR, SLOTS, WIDTHS, Family, Real, State

_f = np.float32
_ZERO, _QUARTER, _THIRD, _ONE, _TWO = _f(0), _f(0.25), _f(1 / 3), _f(1), _f(2)
_TINY, _ENDLESS = _f(1e-30), _f(1e36)
CLIP = _f(4)
"""Standard deviations beyond which a value teaches no more than the bound itself."""
MEMORY = _f(1 - 1 / (4 * SLOTS))
"""What dispersion keeps from tick to tick: some four weeks of quarters."""
LONGER = 3.0
"""How many times its p a sum over more than 4 ticks costs: a fault shall show within the hour."""
_LESS = _f(2 * math.log(LONGER))
LEANS = _f(1)
"""Deviations of the last 4 ticks to the same side, without which a longer sum is over and done."""
CHANCES, CHANCES_MORE = _f(1.1), _f(1.0)
"""As many independent looks as the 16 are worth, at no deviation and for each deviation more.

From 8 million runs of 16 independent normal residuals: 2.9 at 2, 4.0 at 3, 5.0 at 4.
"""
EXACT_TO = 1e4
"""Count or mean above which sums are taken as normal in the tails as well."""


@njit(cache=True, error_model="numpy", nogil=True)
def stay(ring: Real, newest: int, ready: NDArray[np.bool_]) -> None:
    """Move the rings of those who are not ready along, so that they stay as they were."""
    last = ring[newest].copy()
    for age in range(LOOKS):
        to = ring[(newest - age) % LOOKS]
        row = ring[(newest - age - 1) % LOOKS] if age < LOOKS - 1 else last
        for i in range(ready.size):
            to[i] = to[i] if ready[i] else row[i]


@njit(cache=True, error_model="numpy", nogil=True)
def deviation(
    total: np.float32,
    variance: np.float32,
    dispersion: np.float32,
    skew: np.float32,
    least: np.float32,
) -> np.float32:
    """The signed square of a sum's standard deviations, see `scan`."""
    usual = dispersion * max(max(variance, least * dispersion), _TINY)
    lean = (_TWO * dispersion - _ONE) * skew * _THIRD * total
    return total * abs(total) / max(usual + lean, _QUARTER * usual)


@njit(cache=True, error_model="numpy", nogil=True)
def teach_dispersion(
    state: State,
    family: Family,
    width: int,
    first: int,
    phi: Real,
    total: Real,
    variance: Real,
    speaks: Real,
) -> None:
    """Let sums over `WIDTHS[width]` ticks (block,) speak on their dispersion, each one clipped."""
    series = speaks.size
    squares = state.squares[width, first : first + series]
    units = state.units[width, first : first + series]
    unknown = PRIOR * _f(WIDTHS[width])
    for i in range(series):
        usual = phi[i] * variance[i]
        square = total[i] * total[i]
        afresh = (units[i] < unknown) & (square < family.again * usual)
        bound = CLIP * CLIP * usual if units[i] > _ZERO else _ENDLESS
        before = _ZERO if afresh else MEMORY * squares[i]
        weight = _ZERO if afresh else MEMORY * units[i]
        teaches = speaks[i] > _ZERO
        squares[i] = before + min(square, bound) if teaches else squares[i]
        units[i] = weight + variance[i] if teaches else units[i]


@njit(cache=True, error_model="numpy", nogil=True)
def scan(
    state: State,
    family: Family,
    first: int,
    phi: Real,
    skew: Real,
    speaks: Real,
    lowest: Real,
    highest: Real,
) -> None:
    """Write the most extreme of 16 looks, and let sums teach dispersion.

    phi: (3, block). skew: (block,), 1 for counts. speaks: (block,), above 0 where dispersion may be
    taught. lowest, highest: (block,), of the sums over the last 1 to 16 ticks, signed squares of
    standard deviations as in Bernstein's inequality: R² / (σ² + R κ₃ / 3σ²), so that a count
    far above a small mean is not taken for more than it is, nor one far below for less; less the
    price of long sums, which count only while the last 4 ticks lean the same way: what is over
    shall not show for hours.
    """
    series = speaks.size
    newest = state.newest[0]
    least = family.linear * LEAST_MEAN
    total, variance = np.zeros(series, _f), np.zeros(series, _f)
    leans = np.empty(series, _f)
    long_low, long_high = np.zeros(series, _f), np.zeros(series, _f)
    lowest[:] = _ZERO
    highest[:] = _ZERO
    newest_residual = state.residual[newest, first : first + series]
    newest_spread = state.spread[newest, first : first + series]
    teach_dispersion(state, family, 0, first, phi[0], newest_residual, newest_spread, speaks)
    stop = first + series
    for look in range(0, LOOKS, 4):
        a, b = (newest - look) % LOOKS, (newest - look - 1) % LOOKS
        c, d = (newest - look - 2) % LOOKS, (newest - look - 3) % LOOKS
        residual_a, spread_a = state.residual[a, first:stop], state.spread[a, first:stop]
        residual_b, spread_b = state.residual[b, first:stop], state.spread[b, first:stop]
        residual_c, spread_c = state.residual[c, first:stop], state.spread[c, first:stop]
        residual_d, spread_d = state.residual[d, first:stop], state.spread[d, first:stop]
        side = 0 if look < WIDTHS[1] else 1
        ticks = WIDTHS[side + 1] - WIDTHS[side]
        part_a = _f((look + 1 - WIDTHS[side]) / ticks)
        part_b = _f((look + 2 - WIDTHS[side]) / ticks)
        part_c = _f((look + 3 - WIDTHS[side]) / ticks)
        part_d = _f((look + 4 - WIDTHS[side]) / ticks)
        shorter, longer = phi[side], phi[side + 1]
        low, high = (lowest, highest) if side == 0 else (long_low, long_high)
        # Four looks at once: a quarter of the way to the cache and back.
        for i in range(series):
            base, more, lean = shorter[i], longer[i] - shorter[i], skew[i]
            sum_a, units_a = total[i] + residual_a[i], variance[i] + spread_a[i]
            square_a = deviation(sum_a, units_a, base + part_a * more, lean, least)
            sum_b, units_b = sum_a + residual_b[i], units_a + spread_b[i]
            square_b = deviation(sum_b, units_b, base + part_b * more, lean, least)
            sum_c, units_c = sum_b + residual_c[i], units_b + spread_c[i]
            square_c = deviation(sum_c, units_c, base + part_c * more, lean, least)
            sum_d, units_d = sum_c + residual_d[i], units_c + spread_d[i]
            square_d = deviation(sum_d, units_d, base + part_d * more, lean, least)
            low[i] = min(low[i], min(min(square_a, square_b), min(square_c, square_d)))
            high[i] = max(high[i], max(max(square_a, square_b), max(square_c, square_d)))
            total[i] = sum_d
            variance[i] = units_d
        if look + 4 == WIDTHS[1]:
            for i in range(series):
                leans[i] = deviation(total[i], variance[i], longer[i], skew[i], least)
            teach_dispersion(state, family, 1, first, longer, total, variance, speaks)
    teach_dispersion(state, family, 2, first, phi[2], total, variance, speaks)
    for i in range(series):
        below = long_low[i] + _LESS if leans[i] < -LEANS else _ZERO
        above = long_high[i] - _LESS if leans[i] > LEANS else _ZERO
        lowest[i] = min(lowest[i], below)
        highest[i] = max(highest[i], above)


@njit(cache=True, error_model="numpy", nogil=True)
def near(extreme: Real, sign: np.float32, scored: Real, p: NDArray[np.float64]) -> None:
    """Write the p of one side's extremes as if sums were normal; all (block,)."""
    for i in range(extreme.size):
        z = _f(math.sqrt(max(sign * extreme[i], _ZERO)))
        tail = min((CHANCES + CHANCES_MORE * z) * tails.normal(z), _ONE)
        p[i] = tail if scored[i] > _ZERO else _ONE


@njit(cache=True, error_model="numpy", nogil=True)
def far(
    state: State, family: Family, i: int, phi: Real, j: int, skew: float, sign: float
) -> tuple[float, int]:
    """The exact p of the most extreme look of series `i`, and its width in ticks.

    phi: (3, block), of which column `j` is the series. sign: 1 for high, -1 for low.
    """
    value = residual = spread = exposure = 0.0
    extreme, windows, leans = 0.0, 0, False
    count = mean = variance = trials = 0.0
    for look in range(LOOKS):
        row = (state.newest[0] - look) % LOOKS
        value += state.value[row, i]
        residual += state.residual[row, i]
        spread += state.spread[row, i]
        if family.quadratic > 0.0:
            exposure += state.exposure[row, i]
        side = 0 if look < WIDTHS[1] else 1
        share = (look + 1 - WIDTHS[side]) / (WIDTHS[side + 1] - WIDTHS[side])
        shorter, longer = np.float64(phi[side, j]), np.float64(phi[side + 1, j])
        dispersion = shorter + share * (longer - shorter)
        least = np.float64(family.linear * LEAST_MEAN) * dispersion
        usual = dispersion * max(spread, least)
        lean = (2.0 * dispersion - 1.0) * skew / 3.0 * residual
        square = sign * residual * abs(residual) / max(usual + lean, 0.25 * usual)
        if look + 1 == WIDTHS[1]:
            leans = square > LEANS
        if square - side * _LESS > extreme and (side == 0 or leans):
            square -= side * _LESS
            extreme, windows = square, look + 1
            count, mean, variance, trials = value, value - residual, usual, exposure
            mean = max(mean, least)
    price = 1.0 if windows <= WIDTHS[1] else LONGER
    deviations = math.sqrt(extreme + 2.0 * math.log(price))
    if family.linear == 0.0 or max(count, mean) > EXACT_TO:
        p = tails.normal_exact(deviations)
    elif family.quadratic > 0.0:
        edge = min(np.float64(LEAST_MEAN), 0.5 * trials)
        mean = min(max(mean, edge), trials - edge)
        if sign < 0.0:
            p = tails.share_low(count, trials, mean, variance)
        else:
            p = tails.share_high(count, trials, mean, variance)
    else:
        variance = max(variance, np.float64(family.least) * mean)
        if sign < 0.0:
            p = tails.count_low(count, mean, variance)
        else:
            p = tails.count_high(count, mean, variance)
    chances = np.float64(CHANCES) + np.float64(CHANCES_MORE) * math.sqrt(extreme)
    return min(1.0, float(price * chances * p)), windows
