"""One series from its first value to its last: what was to be expected, and how odd it was."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import kernels
from central.detect.detector import BAND_95, LEARNING_WEEKS, band
from central.detect.table import Kind

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

CHUNK = 1 << 18
"""Rows between two words on how far it is."""
DAYS = 7
LOOKS = 16
FARTHEST = 8.0
"""Standard deviations at which a residual is cut off, so that a spike does not last in the sums."""
FLAT = 1e-12
"""The least variance of a gauge, in squares of its unit: a constant that moves by less has not."""


@dataclass(frozen=True)
class Scored:
    """What is known of each value from those before it; all (n,).

    expected, lower, upper: in units of the values; between lower and upper lie 95 % of ordinary
    ones. NaN where nothing is known. p_low, p_high: how likely sums of the last values as low, or
    as high, are. p_zero: how likely the zeros are that have come in a row. All p are NaN where the
    value is absent or its slot is still learning.
    """

    expected: Reals
    lower: Reals
    upper: Reals
    p_low: Reals
    p_high: Reals
    p_zero: Reals


def run(
    values: Reals,
    slots: Integers,
    slots_a_day: int,
    kind: Kind,
    exposure: Reals | None = None,
    say: Callable[[int], None] = lambda _: None,
) -> Scored:
    """Score values one after the other, and learn from each.

    values: (n,), NaN where absent. slots: (n,), from 0 to 7 × slots_a_day - 1. exposure: (n,), what
    the expectation is multiplied by. say: is told how many rows are done, now and then.

    Raises ValueError where the arrays differ in length, or a slot or an exposure cannot be.
    """
    times = np.ones(values.size) if exposure is None else exposure
    if not values.shape == slots.shape == times.shape:
        raise ValueError("values, slots and exposure must be of one length")
    if values.size and not 0 <= slots.min() <= slots.max() < DAYS * slots_a_day:
        raise ValueError(f"slots must be from 0 to {DAYS * slots_a_day - 1}")
    if not np.all(times > 0.0):
        raise ValueError("exposures must be above zero")
    if kind == "count":
        return _counts(values, slots, slots_a_day, times, say)
    return _gauges(values, slots, slots_a_day, kind, times, say)


def _counts(
    values: Reals, slots: Integers, slots_a_day: int, exposure: Reals, say: Callable[[int], None]
) -> Scored:
    n = values.size
    state, scratch = kernels.empty_state(1), kernels.empty_out(1)
    expected, variance, p_low, p_high = (np.empty(n) for _ in range(4))
    seen = np.empty(n, np.int64)
    day, slot = slots // slots_a_day, slots % slots_a_day
    quarter = day * kernels.QUARTERS + slot * kernels.QUARTERS // slots_a_day
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        _count(
            *(state, scratch, quarter[part], values[part] / exposure[part], seen[part]),
            *(expected[part], variance[part], p_low[part], p_high[part]),
        )
        say(min(n, start + CHUNK))
    expected, variance = expected * exposure, variance * exposure
    lower, upper = band(expected, variance, BAND_95)
    p_zero = zero_runs(values, expected, variance)
    unknown = np.isnan(values) | np.isnan(expected) | (seen < LEARNING_WEEKS)
    for p in (p_low, p_high, p_zero):
        p[unknown] = np.nan
    return Scored(expected, lower, upper, p_low, p_high, p_zero)


@njit(cache=True, error_model="numpy")
def _count(
    state: kernels.State,
    scratch: kernels.Out,
    slots: Integers,
    values: Reals,
    seen: Integers,
    expected: Reals,
    variance: Reals,
    p_low: Reals,
    p_high: Reals,
) -> None:
    ready = np.ones(1, np.bool_)
    for t in range(values.size):
        seen[t] = state.seen[slots[t], 0]
        kernels.tick(state, slots[t], values[t : t + 1], ready, scratch)
        expected[t] = scratch.expected[0]
        variance[t] = scratch.variance[0]
        p_low[t] = scratch.p_low[0]
        p_high[t] = scratch.p_high[0]


def zero_runs(values: Reals, expected: Reals, variance: Reals) -> Reals:
    """How likely the zeros are that have come in a row up to each value; 1 where it is no zero.

    Each of them by the negative binomial with that mean and variance; all (n,).
    """
    known = (values == 0.0) & (expected > 0.0)
    mean = np.where(known, expected, 1.0)
    size = mean * mean / np.maximum(np.where(known, variance, 2.0) - mean, 1e-9)
    rare = np.where(known, size * np.log1p(mean / size), 0.0)
    total = np.cumsum(rare)
    before = np.where((values != 0.0) & ~np.isnan(values), total, 0.0)
    run: Reals = np.exp(np.maximum.accumulate(before) - total)
    return run


def _gauges(
    values: Reals,
    slots: Integers,
    slots_a_day: int,
    kind: Kind,
    exposure: Reals,
    say: Callable[[int], None],
) -> Scored:
    """Gauges and ratios as they are, durations by their logarithm."""
    n = values.size
    level = np.log(values / exposure) if kind == "duration" else values / exposure
    state = _empty(DAYS * slots_a_day)
    mean, deviation, p_low, p_high = (np.empty(n) for _ in range(4))
    seen = np.empty(n, np.int64)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        _gauge(
            *(state, slots_a_day, slots[part], level[part], seen[part]),
            *(mean[part], deviation[part], p_low[part], p_high[part]),
        )
        say(min(n, start + CHUNK))
    bounds = [mean, mean - BAND_95 * deviation, mean + BAND_95 * deviation]
    if kind == "duration":
        bounds = [np.exp(np.clip(each, -700.0, 700.0)) for each in bounds]
    bounds = [each * exposure for each in bounds]
    if kind == "ratio":
        bounds = [np.clip(each, 0.0, 1.0) for each in bounds]
    unknown = np.isnan(values) | np.isnan(mean) | (seen < LEARNING_WEEKS)
    p_zero = np.ones(n)
    for p in (p_low, p_high, p_zero):
        p[unknown] = np.nan
    return Scored(bounds[0], bounds[1], bounds[2], p_low, p_high, p_zero)


class _Gauge(NamedTuple):
    """mean, seen: (slots,). squares, mass: (LOOKS,), what sums of so many residuals vary by, and
    would if they did not depend on one another and had variance 1. residual, spread: (LOOKS,), the
    last ones, newest first."""

    mean: Reals
    seen: Integers
    squares: Reals
    mass: Reals
    residual: Reals
    spread: Reals


def _empty(slots: int) -> _Gauge:
    zeros = [np.zeros(LOOKS) for _ in range(4)]
    return _Gauge(np.zeros(slots), np.zeros(slots, np.int64), *zeros)


@njit(cache=True, error_model="numpy")
def _gauge(
    state: _Gauge,
    slots_a_day: int,
    slots: Integers,
    values: Reals,
    seen: Integers,
    expected: Reals,
    deviation: Reals,
    p_low: Reals,
    p_high: Reals,
) -> None:
    """As `kernels.tick` for one series whose variance has nothing to do with its mean."""
    memory = 1.0 - 1.0 / (4.0 * state.mean.size)
    total = state.mean.size
    for t in range(values.size):
        slot, value = slots[t], values[t]
        own, known = state.mean[slot], state.seen[slot]
        seen[t] = known
        p_low[t] = p_high[t] = 1.0
        variance = state.squares[0] / state.mass[0] if state.mass[0] > 0.0 else math.nan
        weight, mean, evidence = float(known), known * own, float(known)
        for other in range(1, DAYS + 4):
            if other < DAYS:
                row, share = (slot + other * slots_a_day) % total, kernels.OTHER_DAY
                evidence += state.seen[row]
            else:
                step = other - DAYS - 2 if other < DAYS + 2 else other - DAYS - 1
                row, share = (slot + step) % total, kernels.NEIGHBOUR / abs(step)
            there = state.seen[row]
            apart = (state.mean[row] - own) ** 2 * known * there / max(1, known + there)
            alike = 1.0 / (1.0 + apart / (variance * kernels.ALIKE)) if variance > 0.0 else 1.0
            weight += share * there * alike * alike
            mean += share * there * alike * alike * state.mean[row]
        spread = 1.0 + 1.0 / weight if evidence > 0.0 else math.nan
        expected[t] = mean / weight if evidence > 0.0 else math.nan
        deviation[t] = math.sqrt(variance * spread)
        if math.isnan(value):
            continue
        taught = value
        if evidence > 0.0:
            for look in range(LOOKS - 1, 0, -1):
                state.residual[look] = state.residual[look - 1]
                state.spread[look] = state.spread[look - 1]
            most = FARTHEST * deviation[t] if variance > 0.0 else math.inf
            state.residual[0] = min(max(value - expected[t], -most), most)
            state.spread[0] = spread
            residual = width = 0.0
            for look in range(LOOKS):
                residual += state.residual[look]
                width += state.spread[look]
                square = residual * residual
                if state.mass[look] > 0.0:
                    usual = max(state.squares[look] / state.mass[look] * width, FLAT)
                    p = min(1.0, kernels.LOOKS * 0.5 * math.erfc(math.sqrt(0.5 * square / usual)))
                    if residual < 0.0:
                        p_low[t] = min(p_low[t], p)
                    else:
                        p_high[t] = min(p_high[t], p)
                    square = min(square, kernels.CLIP * kernels.CLIP * usual)
                if known >= kernels.SETTLED:
                    state.squares[look] = memory * state.squares[look] + square
                    state.mass[look] = memory * state.mass[look] + width
            if variance > 0.0:
                most = kernels.CLIP * deviation[t]
                taught = min(max(value, expected[t] - most), expected[t] + most)
        state.seen[slot] = min(known + 1, kernels.HISTORY)
        state.mean[slot] = own + (taught - own) / state.seen[slot]
