"""The seasonal count baseline over all series at once, compiled with Numba.

State lies in arrays shaped [slot, series], a slot being a quarter hour of the local week, so that
a tick walks through contiguous rows. Every kernel is serial and deterministic.

A count is negative binomial with its own mean per slot and a dispersion per series (variance over
mean, at least 1: quasi-Poisson, McCullagh & Nelder 1989, section 6.2).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

DAYS = 7
QUARTERS = 96
SLOTS = DAYS * QUARTERS
LOOKS = 16
BESIDE = 4
"""Slots beside, two on either hand."""

HISTORY = 8
"""Weeks after which a slot's mean forgets its oldest week about as fast as it learns a new one."""
SETTLED = 2
"""Weeks a slot needs before it speaks on dispersion, and before low values cannot restart it."""
CLIP = 4.0
"""Standard deviations beyond which a value teaches no more than the bound itself."""
NEIGHBOUR = 0.5
"""Weight of the slots beside, halved again two slots away, before they are found to differ."""
OTHER_DAY = 0.25
"""Weight of the same quarter on another day, before it is found to differ."""
ALIKE = 4.0
"""Squared standard errors of difference at which another slot counts for a quarter."""
MEMORY = 1.0 - 1.0 / (4 * SLOTS)
"""What dispersion keeps from tick to tick: some four weeks."""
PRIOR = 20.0
"""Counts' worth of belief in Poisson before dispersion is measured."""
POISSON = 1.0 + 1e-6
"""The least dispersion: Poisson, to within what a tail can show."""
LEAST_MEAN = 0.05
"""The least mean, in units of dispersion, that a tail is taken of: weeks of zeros prove no zero."""
NEAR = 0.674
"""Standard deviations within which a tail is above a quarter, and its four looks come to 1."""
ROOT_HALF = math.sqrt(0.5)
EXACT_FROM = 2.0
"""Standard deviations from which a tail is summed; nearer, the stabilised normal is enough."""
EXACT_TO = 1e4
"""Count or mean above which the stabilised normal is used in the tails as well."""


class State(NamedTuple):
    """What a tick reads and teaches.

    mean: (672, series) float64, the mean count of a slot.
    seen: (672, series) uint8, values that taught a slot, at most `HISTORY`.
    squares, mass: (4, series) float64, decayed sums over ticks of squared residuals, and of what
        they would be for Poisson, of the sums over the last 1, 2, 3 and 4 windows.
    counts, expected, spread: (4, series) float64, the last windows, newest first: the value, its
        expectation, and its variance in units of dispersion.
    """

    mean: NDArray[np.float64]
    seen: NDArray[np.uint8]
    squares: NDArray[np.float64]
    mass: NDArray[np.float64]
    counts: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]


class Out(NamedTuple):
    """What a tick writes, each (series,): see `tick`."""

    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    p_low: NDArray[np.float64]
    p_high: NDArray[np.float64]
    windows_low: NDArray[np.int64]
    windows_high: NDArray[np.int64]


def empty_state(series: int) -> State:
    """A state that has seen nothing."""
    return State(
        mean=np.zeros((SLOTS, series)),
        seen=np.zeros((SLOTS, series), np.uint8),
        squares=np.full((LOOKS, series), PRIOR),
        mass=np.full((LOOKS, series), PRIOR),
        counts=np.zeros((LOOKS, series)),
        expected=np.zeros((LOOKS, series)),
        spread=np.zeros((LOOKS, series)),
    )


def empty_out(series: int) -> Out:
    """Room for what a tick writes."""
    return Out(
        expected=np.zeros(series),
        variance=np.zeros(series),
        p_low=np.zeros(series),
        p_high=np.zeros(series),
        windows_low=np.zeros(series, np.int64),
        windows_high=np.zeros(series, np.int64),
    )


@njit(cache=True, error_model="numpy")
def log_mass(count: float, mean: float, variance: float) -> float:
    """Log probability of a whole count, negative binomial with this mean > 0 and variance > mean.

    With size r = mean² / (variance - mean):
    log Γ(r + count) / (Γ(r) count!) - (r + count) log(1 + mean/r) + count log(mean/r).
    """
    size = mean * mean / (variance - mean)
    if size < 100.0:
        rising = math.lgamma(size + count) - math.lgamma(size) - count * math.log(size)
    else:
        # Stirling's series, as a difference: lgamma of a huge size would cancel.
        end = size + count
        rising = (end - 0.5) * math.log1p(count / size) - count
        rising += (1.0 / end - 1.0 / size) / 12.0 - (1.0 / end**3 - 1.0 / size**3) / 360.0
    spread = math.log1p(mean / size)
    return rising + count * math.log(mean) - math.lgamma(count + 1.0) - (size + count) * spread


@njit(cache=True, error_model="numpy")
def tail_low(count: float, mean: float, variance: float) -> float:
    """P(Y ≤ count), negative binomial with this mean > 0 and variance > mean, summed downwards.

    Meant for counts below the mean, where the terms fall and nothing cancels.
    """
    k = float(math.floor(count))
    if k < 0.0:
        return 0.0
    size = mean * mean / (variance - mean)
    ratio = (size + mean) / mean
    total = term = math.exp(log_mass(k, mean, variance))
    while k > 0.0 and term > 1e-13 * total:
        term *= k / (size + k - 1.0) * ratio
        total += term
        k -= 1.0
    return min(1.0, total)


@njit(cache=True, error_model="numpy")
def tail_high(count: float, mean: float, variance: float) -> float:
    """P(Y ≥ count), negative binomial with this mean > 0 and variance > mean, summed upwards.

    Meant for counts above the mean, where the terms fall and nothing cancels.
    """
    k = float(math.ceil(count))
    if k <= 0.0:
        return 1.0
    size = mean * mean / (variance - mean)
    ratio = mean / (size + mean)
    total = term = math.exp(log_mass(k, mean, variance))
    # The second bound, since the least of all doubles times 0.9 is itself again, for ever.
    while term > max(1e-13 * total, 1e-300):
        term *= (size + k) / (k + 1.0) * ratio
        total += term
        k += 1.0
    return min(1.0, total)


@njit(cache=True, error_model="numpy")
def stabilised(count: float, mean: float, variance: float) -> float:
    """Standard deviations from the mean after Anscombe's root (Anscombe 1948, Biometrika 35)."""
    root = math.sqrt(count + 0.375) - math.sqrt(mean + 0.375)
    return 2.0 * root * math.sqrt(mean / variance)


@njit(cache=True, error_model="numpy")
def expect(
    state: State, slot: int, expected: NDArray[np.float64], weight: NDArray[np.float64]
) -> None:
    """Write what each series should show at a slot, and how many values that rests on.

    The slot's own mean, smoothed with the two slots on either side and pooled with the same
    quarter on the other days. Each of those weighs less the more standard errors it lies away
    (a bilateral filter, Tomasi & Manduchi 1998), so that an opening hour stays an edge. A slot
    that has seen nothing of its own takes the others as they are; `weight` is 0, and `expected`
    NaN, where this quarter was seen on no day.
    """
    series = expected.size
    own = state.mean[slot]
    own_seen = state.seen[slot]
    evidence = np.zeros(series)
    for i in range(series):
        evidence[i] = own_seen[i]
        weight[i] = own_seen[i]
        expected[i] = own_seen[i] * own[i]
    for other in range(1, DAYS + BESIDE):
        if other < DAYS:
            row, share = (slot + other * QUARTERS) % SLOTS, OTHER_DAY
        else:
            step = other - DAYS - 2 if other < DAYS + 2 else other - DAYS - 1
            row, share = (slot + step) % SLOTS, NEIGHBOUR / abs(step)
        mean = state.mean[row]
        seen = state.seen[row]
        for i in range(series):
            phi = max(POISSON, state.squares[0, i] / state.mass[0, i])
            both = float(own_seen[i]) * seen[i] / max(1.0, float(own_seen[i]) + seen[i])
            apart = (mean[i] - own[i]) * (mean[i] - own[i]) * both
            apart /= phi * (0.5 * (mean[i] + own[i]) + LEAST_MEAN)
            alike = 1.0 / (1.0 + apart / ALIKE)
            pooled = share * seen[i] * alike * alike
            weight[i] += pooled
            expected[i] += pooled * mean[i]
        if other < DAYS:
            for i in range(series):
                evidence[i] += seen[i]
    for i in range(series):
        weight[i] = weight[i] if evidence[i] > 0.0 else 0.0
        expected[i] = expected[i] / weight[i] if weight[i] > 0.0 else math.nan


@njit(cache=True, error_model="numpy")
def scan(state: State, i: int, out: Out) -> None:
    """Score the sums over the last 1, 2, 3 and 4 windows of series `i`.

    On either side, the tail of the sum that lies farthest out, times four (Bonferroni).
    """
    count = mean = spread = 0.0
    lowest, highest = -NEAR, NEAR
    low = high = (0.0, 1.0, 1.0)
    for look in range(LOOKS):
        count += state.counts[look, i]
        mean += state.expected[look, i]
        spread += state.spread[look, i]
        phi = max(POISSON, state.squares[look, i] / state.mass[look, i])
        least = LEAST_MEAN * phi
        variance = max(phi * max(spread, least), POISSON * max(mean, least))
        z = stabilised(count, max(mean, least), variance)
        if z < lowest:
            lowest = z
            low = (count, max(mean, least), variance)
            out.windows_low[i] = look + 1
        if z > highest:
            highest = z
            high = (count, max(mean, least), variance)
            out.windows_high[i] = look + 1
    if lowest < -NEAR:
        exact = lowest < -EXACT_FROM and low[1] < EXACT_TO
        p = tail_low(*low) if exact else 0.5 * math.erfc(-lowest * ROOT_HALF)
        out.p_low[i] = min(1.0, LOOKS * p)
    if highest > NEAR:
        exact = highest > EXACT_FROM and high[0] < EXACT_TO
        p = tail_high(*high) if exact else 0.5 * math.erfc(highest * ROOT_HALF)
        out.p_high[i] = min(1.0, LOOKS * p)


@njit(cache=True, error_model="numpy")
def teach_dispersion(state: State, i: int) -> None:
    """Let the last windows' sums of series `i` speak on dispersion, each residual clipped."""
    residual = spread = 0.0
    for look in range(LOOKS):
        residual += state.counts[look, i] - state.expected[look, i]
        spread += state.spread[look, i]
        phi = max(POISSON, state.squares[look, i] / state.mass[look, i])
        square = min(residual * residual, CLIP * CLIP * phi * spread)
        state.squares[look, i] = MEMORY * state.squares[look, i] + square
        state.mass[look, i] = MEMORY * state.mass[look, i] + spread


@njit(cache=True, error_model="numpy")
def teach_mean(
    state: State, slot: int, i: int, count: float, expected: float, variance: float
) -> None:
    """Let a count teach the mean of its slot, clipped to what was to be expected.

    A slot's first value is taken as it is. So that one wild first value cannot last, a slot not
    yet settled starts again from a value far below what it expects.
    """
    seen = state.seen[slot, i]
    width = CLIP * math.sqrt(variance)
    if seen == 0 or (seen <= SETTLED and count < expected - width):
        state.mean[slot, i] = count
        state.seen[slot, i] = 1
        return
    # One more above: a rare single count must be able to teach a slot that expects none.
    taught = min(max(count, expected - width), expected + width + 1.0)
    seen = min(seen + 1, HISTORY)
    state.mean[slot, i] += (taught - state.mean[slot, i]) / seen
    state.seen[slot, i] = seen


@njit(cache=True, error_model="numpy")
def tick(
    state: State,
    slot: int,
    values: NDArray[np.float64],
    exposure: NDArray[np.float64],
    ready: NDArray[np.bool_],
    learn: NDArray[np.bool_],
    out: Out,
) -> None:
    """Score one window of every series against what is known, then let it teach.

    state: arrays as in `State`, changed in place.
    slot: local day of the week × 96 + quarter of the day, from 0 to 671, for all series.
    values: (series,) counts. NaN and infinities are absent; below zero is taken as zero.
    exposure: (series,) what a count is in proportion to, as the entries of orders; 1 for a plain
        count. Where it is zero or absent nothing is said or learned.
    learn: (series,) False where a window is scored and teaches nothing.
    ready: (series,) False leaves a series' state as it is, and scores nothing, as does absent.
    out: written. `expected` and `variance` of this window (NaN where this quarter of the day was
        never seen); `p_low` and `p_high`, the tail probabilities of the scan over the last 1 to 4
        ready windows, corrected for the four looks (1 where not scored); `windows_low` and
        `windows_high`, how many windows the least of them covers (0 where p is 1).
    """
    series = values.size
    weight = np.empty(series)
    expect(state, slot, out.expected, weight)
    for i in range(series):
        known = math.isfinite(exposure[i]) and exposure[i] > 0.0
        scale = exposure[i] if known else 1.0
        mean = out.expected[i] * scale
        out.expected[i] = mean
        spread = mean * (1.0 + 1.0 / weight[i]) if weight[i] > 0.0 else math.nan
        phi = max(POISSON, state.squares[0, i] / state.mass[0, i])
        variance = phi * spread
        out.variance[i] = variance
        out.p_low[i] = out.p_high[i] = 1.0
        out.windows_low[i] = out.windows_high[i] = 0
        if not (ready[i] and known and math.isfinite(values[i])):
            continue
        count = max(0.0, values[i])
        if weight[i] > 0.0:
            for look in range(LOOKS - 1, 0, -1):
                state.counts[look, i] = state.counts[look - 1, i]
                state.expected[look, i] = state.expected[look - 1, i]
                state.spread[look, i] = state.spread[look - 1, i]
            state.counts[0, i] = count
            state.expected[0, i] = mean
            state.spread[0, i] = spread
            scan(state, i, out)
            if learn[i] and state.seen[slot, i] >= SETTLED:
                teach_dispersion(state, i)
        if learn[i]:
            teach_mean(state, slot, i, count / scale, mean / scale, variance / (scale * scale))


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    tick(
        empty_state(1),
        0,
        np.zeros(1),
        np.ones(1),
        np.ones(1, np.bool_),
        np.ones(1, np.bool_),
        empty_out(1),
    )
