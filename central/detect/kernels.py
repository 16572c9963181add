"""The scores of every tick, over all series at once, compiled with Numba.

What every series needs is done in float32 by loops without branches, `BLOCK` series at a time;
exact tails are summed only for the few series far out. Every series is scored by itself, so the
answer has the same bits however many threads share the work.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import runs, scan, season
from central.detect.scan import CLIP
from central.detect.state import COUNT, LOOKS, Family, Out, State, empty_out, empty_state

BLOCK = 2048
"""Series done at once: their rows of a tick stay in the second level cache."""
PARALLEL_FROM = 100_000
"""Series from which threads share the work, one a core.

Measured on two cores: 2.6 ms instead of 4.4 at 100,000 series while nothing else ran; below 50,000
threads cost more than they give on a busy machine.
"""
MOST = 1e15
"""The greatest value and exposure: what lies beyond counts as this much."""

_f = np.float32
_ZERO, _ONE, _TWO, _THREE, _WIDE = _f(0), _f(1), _f(2), _f(3), _f(1e30)
_NAN = _f(math.nan)
SETTLED = _f(1.5)
"""Evidence of two weeks, in exposures: from it a slot speaks on dispersion."""
FAR = _f(3.0**2)
"""Squared standard deviations from which tails are exact."""


@njit(cache=True, error_model="numpy", nogil=True)
def tick_block(
    state: State,
    family: Family,
    slot: int,
    first: int,
    stop: int,
    values: NDArray[np.float64],
    exposures: NDArray[np.float64],
    ready: NDArray[np.bool_],
    out: Out,
) -> None:
    """A tick of the series from `first` up to `stop`: see `tick`."""
    series = stop - first
    newest = state.newest[0]
    phi = np.empty((3, series), _f)
    work = np.empty((13, series), _f)
    rate, weight, stage, value, exposure = work[0], work[1], work[2], work[3], work[4]
    expected, spread, inflation, width, skew = work[5], work[6], work[7], work[8], work[9]
    scored, lowest, highest = work[10], work[11], work[12]
    season.measure_dispersion(state, family, slot, first, phi)
    season.smooth(state, family, slot, first, phi[0], rate, weight)

    given, exposed, here = values[first:stop], exposures[first:stop], ready[first:stop]
    waiting = 0
    for i in range(series):
        waiting += not here[i]
    if waiting:
        for ring in (state.residual, state.spread, state.value, state.exposure):
            scan.stay(ring[:, first:stop], newest, here)

    # Absent is 0, heard of 1, of known expectation 2, of known dispersion 3.
    units = state.units[0, first:stop]
    for i in range(series):
        heard = here[i] & (abs(given[i]) < math.inf) & (exposed[i] > 0.0) & (exposed[i] < math.inf)
        exposure[i] = _f(min(exposed[i], MOST)) if exposed[i] > 0.0 else _NAN
        total = _f(min(max(given[i], -MOST), MOST))
        total = max(total, _ZERO) if family.linear > _ZERO else total
        total = min(total, exposure[i]) if family.quadratic > _ZERO else total
        value[i] = total if heard else _ZERO
        known = _ONE if weight[i] > _ZERO else _ZERO
        measured = known if units[i] >= family.known else _ZERO
        stage[i] = _ONE + known + measured if heard else _ZERO

    expected_out, variance_out = out.expected[first:stop], out.variance[first:stop]
    for i in range(series):
        expected[i] = rate[i] * exposure[i]
        inflation[i] = _ONE + exposure[i] / weight[i]
        unit = family.constant + rate[i] * (family.linear - family.quadratic * rate[i])
        spread[i] = exposure[i] * max(unit, _ZERO) * inflation[i]
        skew[i] = family.linear - _TWO * family.quadratic * rate[i]
    for i in range(series):
        measured = units[i] >= family.known
        variance = phi[0, i] * spread[i] if measured else _NAN
        width[i] = CLIP * math.sqrt(variance) if measured else _WIDE
        expected_out[i] = expected[i]
        variance_out[i] = variance

    residual, spreads = state.residual[newest, first:stop], state.spread[newest, first:stop]
    for i in range(series):
        known = stage[i] >= _TWO
        residual[i] = value[i] - expected[i] if known else (_ZERO if here[i] else residual[i])
        spreads[i] = spread[i] if known else (_ZERO if here[i] else spreads[i])
    past_value, past_exposure = state.value[newest, first:stop], state.exposure[newest, first:stop]
    for i in range(series):
        known = stage[i] >= _TWO
        past_value[i] = value[i] if known else (_ZERO if here[i] else past_value[i])
        past_exposure[i] = exposure[i] if known else (_ZERO if here[i] else past_exposure[i])

    own, mass = state.rate[slot, first:stop], state.mass[slot, first:stop]
    speaks = np.empty(series, _f)
    for i in range(series):
        scored[i] = _ONE if stage[i] >= _THREE else _ZERO
        speaks[i] = _ONE if (stage[i] >= _TWO) & (mass[i] >= SETTLED * exposure[i]) else _ZERO
    scan.scan(state, family, first, phi, skew, speaks, lowest, highest)
    p_low, p_high = out.p_low[first:stop], out.p_high[first:stop]
    scan.near(lowest, _f(-1), scored, p_low)
    scan.near(highest, _f(1), scored, p_high)
    windows_low, windows_high = out.windows_low[first:stop], out.windows_high[first:stop]
    windows_low[:] = 0
    windows_high[:] = 0
    for i in range(series):
        if max(-lowest[i], highest[i]) * scored[i] > FAR:
            j, lean = first + i, skew[i]
            if lowest[i] < -FAR:
                p_low[i], windows_low[i] = scan.far(state, family, j, phi, i, lean, -1.0)
            if highest[i] > FAR:
                p_high[i], windows_high[i] = scan.far(state, family, j, phi, i, lean, 1.0)

    low, high = state.drift[0, first:stop], state.drift[1, first:stop]
    long = phi[2]
    runs.accumulate(low, _f(-1), long, residual, spreads, skew, scored, out.drift_low[first:stop])
    runs.accumulate(high, _f(1), long, residual, spreads, skew, scored, out.drift_high[first:stop])
    silence, quiet = state.silence[first:stop], out.silence[first:stop]
    runs.listen(family, silence, value, expected, inflation, long, scored, quiet)
    for side in range(2):
        runs.peak(
            state.threshold[side, first:stop],
            state.excess[side, first:stop],
            state.excess_squares[side, first:stop],
            lowest if side == 0 else highest,
            _f(2 * side - 1),
            scored,
            (out.peak_low if side == 0 else out.peak_high)[first:stop],
        )
    season.teach(own, mass, family, value, exposure, expected, width, stage)


def tick(
    state: State,
    family: Family,
    slot: int,
    values: NDArray[np.float64],
    exposures: NDArray[np.float64],
    ready: NDArray[np.bool_],
    out: Out,
    threads: int = 0,
) -> None:
    """Score one window of every series against what is known, then let it teach.

    state: arrays as in `State`, changed in place. slot: local slot of the week for all series.
    values, exposures: (series,). A value that is NaN or infinite, or whose exposure is not above 0
        and finite, is absent: time passes, and that is all. Counts below zero are taken as zero,
        subsets above their exposure as all of it, and what is beyond `MOST` as that.
    ready: (series,) False leaves a series as it is, as if there had been no tick.
    out: written. `expected` and `variance` of this window (NaN where this time of the day was
        never seen, or dispersion is not known); `p_low` and `p_high`, the tail probabilities of the
        sum over the last 1 to 16 ticks that lies farthest out, corrected for the looks;
        `windows_low` and `windows_high`, how many ticks that sum covers (0 where it lies nearer
        than three deviations, and its tail is taken as normal); `drift_*`, `silence` and `peak_*`,
        the p of cumulative sums, of zeros in a row, and of this tick against the series' own tail.
        All p are 1 where nothing is scored.
    threads: how many share the work; 0 for what is fastest.
    """
    series = values.size
    state.newest[0] = (state.newest[0] + 1) % LOOKS
    parts = threads or (1 if series < PARALLEL_FROM else os.cpu_count() or 1)
    if parts == 1:
        tick_range(state, family, slot, 0, series, values, exposures, ready, out)
        return
    edges = np.linspace(0, series, parts + 1).astype(int)
    with ThreadPoolExecutor(parts) as pool:
        for future in [
            pool.submit(tick_range, state, family, slot, first, stop, values, exposures, ready, out)
            for first, stop in pairwise(edges)
        ]:
            future.result()


@njit(cache=True, error_model="numpy", nogil=True)
def tick_range(
    state: State,
    family: Family,
    slot: int,
    first: int,
    stop: int,
    values: NDArray[np.float64],
    exposures: NDArray[np.float64],
    ready: NDArray[np.bool_],
    out: Out,
) -> None:
    """A tick of the series from `first` up to `stop`, block by block."""
    for begin in range(first, stop, BLOCK):
        end = min(begin + BLOCK, stop)
        tick_block(state, family, slot, begin, end, values, exposures, ready, out)


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    one = np.ones(1)
    tick(empty_state(1), COUNT, 0, one, one, one > 0, empty_out(1))
