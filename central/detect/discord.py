"""How unlike its own past the last stretch of a count series is: a left discord, point by point.

The distance of the last m values to the nearest earlier m values, Euclidean and without
normalising, since in counts the size is the news: what Yeh et al. 2016 ("Matrix Profile I") call
the left matrix profile, over a bounded past.

Values are whole numbers from 0 to `MOST`. So sums of squared differences are whole numbers too,
exact in 32 bits: a sum slides by adding the newest square and taking off the oldest, for ever,
without an error to grow, and sixteen lags go into one instruction.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

MOST = 4095
"""The greatest value; what is above counts as this."""
LONGEST = 127
"""The most values in a stretch: 127 · 4095² still fits 32 bits."""


class State(NamedTuple):
    """What a tick reads and teaches.

    values: (series, room) int32, present values, oldest first; room for all that is looked at,
        twice, so that it must be moved only now and then.
    end: (series,) int64, how much of `values` is filled, zeros before the first value included.
    sums: (series, lags) int32, the squared distance of the last stretch to that `near + lags - k`
        values earlier.
    seen: (series,) int64, present values so far.
    run: (series,) int64, present values since the last absent one.
    length: values in a stretch.
    near: stretches that begin up to so many values apart are no neighbours.
    """

    values: NDArray[np.int32]
    end: NDArray[np.int64]
    sums: NDArray[np.int32]
    seen: NDArray[np.int64]
    run: NDArray[np.int64]
    length: int
    near: int


def empty_state(series: int, length: int, lags: int) -> State:
    """A state that has seen nothing: stretches of `length`, compared with `lags` earlier ones.

    The first of them begins a quarter of a stretch (rounded up) and one value earlier. Raises
    ValueError where a number is not above zero, or the length is above `LONGEST`.
    """
    if series <= 0 or lags <= 0 or not 0 < length <= LONGEST:
        raise ValueError(f"{series} series, stretches of {length}, {lags} lags")
    near = math.ceil(length / 4)
    looked_at = length + near + lags
    return State(
        values=np.zeros((series, 2 * looked_at), np.int32),
        end=np.full(series, looked_at),
        sums=np.zeros((series, lags), np.int32),
        seen=np.zeros(series, np.int64),
        run=np.zeros(series, np.int64),
        length=length,
        near=near,
    )


@njit(cache=True, error_model="numpy", inline="always")
def slide(state: State, i: int, newest: np.int32) -> np.int32:
    """Move the squared distances of series `i` one value on, and find the least of all lags."""
    values, sums = state.values, state.sums
    lags = sums.shape[1]
    leaves = values[i, state.end[i] - state.length]
    # Unsigned, or every index would be looked at for being one from the end; and in casts, since
    # Numba would go on in 64 bits: either way the loop would not be vectorised.
    row, count = np.uint64(i), np.uint64(lags)
    old = np.uint64(state.end[i] - state.near - lags)
    gone = np.uint64(state.end[i] - state.near - lags - state.length)
    least = np.int32(2**31 - 1)
    for k in range(count):
        enter = np.int32(newest - values[row, old + k])
        leave = np.int32(leaves - values[row, gone + k])
        change = np.int32(np.int32(enter - leave) * np.int32(enter + leave))
        moved = np.int32(sums[row, k] + change)
        sums[row, k] = moved
        least = min(least, moved)
    return least


@njit(cache=True, error_model="numpy")
def tick(state: State, values: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Score one value of every series, then remember it.

    values: (series,) counts, rounded to whole ones; below zero is taken as zero, above `MOST` as
        `MOST`. NaN and infinities are absent: the stretches go on over present values alone, and
        nothing is scored until a stretch has no hole.
    out: written, (series,) the distance to the nearest earlier stretch; NaN where not scored.
    """
    lags = state.sums.shape[1]
    room = state.values.shape[1]
    for i in range(values.size):
        out[i] = math.nan
        if not math.isfinite(values[i]):
            state.run[i] = 0
            continue
        newest = np.int32(min(max(np.rint(values[i]), 0.0), float(MOST)))
        least = slide(state, i, newest)
        state.seen[i] += 1
        state.run[i] += 1
        ready = state.seen[i] - state.length - state.near
        if ready > 0 and state.run[i] >= state.length:
            if ready < lags:
                least = state.sums[i, lags - ready :].min()
            out[i] = math.sqrt(least)
        end = state.end[i]
        state.values[i, end] = newest
        state.end[i] = end + 1
        if end + 1 == room:
            state.values[i, : room // 2] = state.values[i, room // 2 :]
            state.end[i] = room // 2


def nearest(state: State, series: int) -> int:
    """How many values earlier the nearest stretch began; 0 where there is none to compare with.

    Of several as near, the latest.
    """
    lags = state.sums.shape[1]
    ready = min(lags, max(0, int(state.seen[series]) - state.length - state.near))
    if ready == 0 or state.run[series] < state.length:
        return 0
    return state.near + 1 + int(np.argmin(state.sums[series, ::-1][:ready]))


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    tick(empty_state(1, 1, 1), np.zeros(1), np.zeros(1))
