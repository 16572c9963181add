"""One series from its first value to its last: what was to be expected, and how odd it was."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import kernels
from central.detect.detector import BAND_95, band
from central.detect.season import LEARNED
from central.detect.state import (
    COUNT,
    DAYS,
    GAUGE,
    LOOKS,
    Family,
    Out,
    State,
    empty_out,
    empty_state,
)
from central.detect.table import Kind

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

LEANS = 0.1
"""The p of the last values' sums below which they lean to a side, as while a shift lasts."""
CHUNK = 1 << 18
"""Rows between two words on how far it is."""


@dataclass(frozen=True)
class Scored:
    """What is known of each value from those before it; all (n,).

    expected, lower, upper: in units of the values; between lower and upper lie 95 % of ordinary
    ones. NaN where nothing is known. All p are NaN where the value is absent or its slot is still
    learning: p_low, p_high, of sums of the last values as low, or as high; drift_low, drift_high,
    of a shift that lasts, and 1 where the last values do not lean that way; silence, of so many
    zeros in a row.
    """

    expected: Reals
    lower: Reals
    upper: Reals
    p_low: Reals
    p_high: Reals
    drift_low: Reals
    drift_high: Reals
    silence: Reals


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
    n = values.size
    exposure = np.ones(n) if exposure is None else exposure
    if not values.shape == slots.shape == exposure.shape:
        raise ValueError("values, slots and exposure must be of one length")
    if n and not 0 <= slots.min() <= slots.max() < DAYS * slots_a_day:
        raise ValueError(f"slots must be from 0 to {DAYS * slots_a_day - 1}")
    if not np.all(exposure > 0.0):
        raise ValueError("exposures must be above zero")
    family = COUNT if kind == "count" else GAUGE
    given, by = values, exposure
    if kind == "duration":
        given, by = np.log(np.where(values > 0.0, values / exposure, np.nan)), np.ones(n)
    state, scratch = empty_state(1, family, DAYS * slots_a_day), empty_out(1)
    out = np.empty((7, n))
    learning = np.empty(n, np.bool_)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        rows = (slots[part], given[part], by[part], learning[part], out[:, part])
        _walk(state, family, scratch, *rows)
        say(min(n, start + CHUNK))
    out[:2, ~np.isfinite(out[:2]).all(axis=0)] = np.nan
    expected, variance = out[0], out[1]
    if kind == "count":
        lower, upper = band(expected, variance, BAND_95)
    else:
        reach = BAND_95 * np.sqrt(variance)
        lower, upper = expected - reach, expected + reach
    if kind == "duration":
        expected, lower, upper = (
            np.exp(np.clip(each, -700.0, 700.0)) * exposure for each in (expected, lower, upper)
        )
    if kind == "ratio":
        expected, lower, upper = (np.clip(each, 0.0, 1.0) for each in (expected, lower, upper))
    out[2:, learning | np.isnan(given) | np.isnan(variance)] = np.nan
    return Scored(expected, lower, upper, *out[2:])


@njit(cache=True, error_model="numpy")
def _walk(
    state: State,
    family: Family,
    scratch: Out,
    slots: Integers,
    values: Reals,
    exposures: Reals,
    learning: NDArray[np.bool_],
    out: Reals,
) -> None:
    ready = np.ones(1, np.bool_)
    for t in range(values.size):
        slot, now = slots[t], slice(t, t + 1)
        learning[t] = state.mass[slot, 0] < LEARNED
        state.newest[0] = (state.newest[0] + 1) % LOOKS
        kernels.tick_block(state, family, slot, 0, 1, values[now], exposures[now], ready, scratch)
        out[0, t], out[1, t] = scratch.expected[0], scratch.variance[0]
        out[2, t], out[3, t] = scratch.p_low[0], scratch.p_high[0]
        out[4, t] = scratch.drift_low[0] if scratch.p_low[0] < LEANS else 1.0
        out[5, t] = scratch.drift_high[0] if scratch.p_high[0] < LEANS else 1.0
        out[6, t] = scratch.silence[0]
