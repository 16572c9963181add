"""How unlike its own past the last stretch of a count series is: a left discord, point by point.

The distance of the last m values to the nearest earlier m values, Euclidean and without
normalising, since in counts the size is the news: what Yeh et al. 2016 ("Matrix Profile I") call
the left matrix profile, over a bounded past.

Values are whole numbers from 0 to `MOST`. So sums of squared differences are whole numbers too,
exact in 32 bits: a sum slides by adding the newest square and taking off the oldest, for ever,
without an error to grow, and sixteen lags go into one instruction. Values lie in 16 bits.
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

    values: (series, room) int16, present values, oldest first; room for all that is looked at,
        twice, so that it must be moved only now and then.
    end: (series,) int64, how much of `values` is filled, zeros before the first value included.
    sums: (series, lags) int32, the squared distance of the last stretch to that `near + lags - k`
        values earlier.
    seen: (series,) int64, present values so far.
    run: (series,) int64, present values since the last absent one.
    length: values in a stretch.
    near: stretches that begin up to so many values apart are no neighbours.
    """

    values: NDArray[np.int16]
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
        values=np.zeros((series, 2 * looked_at), np.int16),
        end=np.full(series, looked_at),
        sums=np.zeros((series, lags), np.int32),
        seen=np.zeros(series, np.int64),
        run=np.zeros(series, np.int64),
        length=length,
        near=near,
    )


@njit(cache=True, error_model="numpy", inline="always")
def slide(
    values: NDArray[np.int16],
    end: NDArray[np.int64],
    sums: NDArray[np.int32],
    length: int,
    near: int,
    i: int,
    newest: np.int16,
) -> np.int32:
    """Move the squared distances of series `i` one value on, and find the least of all lags."""
    lags = sums.shape[1]
    leaves = values[i, end[i] - length]
    less, more = np.int16(newest - leaves), np.int16(newest + leaves)
    # Unsigned, or every index would be looked at for being one from the end; and in casts, since
    # Numba would go on in 64 bits: either way the loop would not be vectorised.
    row, count = np.uint64(i), np.uint64(lags)
    old = np.uint64(end[i] - near - lags)
    gone = np.uint64(end[i] - near - lags - length)
    least = np.int32(2**31 - 1)
    for k in range(count):
        # enter² - leave² as a product, whose factors fit 16 bits: twice as many to an instruction.
        beside, left = values[row, old + k], values[row, gone + k]
        difference = np.int16(less - np.int16(beside - left))
        total = np.int16(more - np.int16(beside + left))
        moved = np.int32(sums[row, k] + np.int32(np.int32(difference) * np.int32(total)))
        sums[row, k] = moved
        least = min(least, moved)
    return least


def tick(state: State, values: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Score one value of every series, then remember it.

    values: (series,) counts, rounded to whole ones; below zero is taken as zero, above `MOST` as
        `MOST`. NaN and infinities are absent: the stretches go on over present values alone, and
        nothing is scored until a stretch has no hole.
    out: written, (series,) the distance to the nearest earlier stretch; NaN where not scored.
    """
    # Arrays one by one: Numba takes a microsecond to look into a named tuple.
    tick_all(*state, values, out)


@njit(cache=True, error_model="numpy")
def tick_all(
    past: NDArray[np.int16],
    end: NDArray[np.int64],
    sums: NDArray[np.int32],
    seen: NDArray[np.int64],
    run: NDArray[np.int64],
    length: int,
    near: int,
    values: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """See `tick`; the first seven are a `State`."""
    lags = sums.shape[1]
    room = past.shape[1]
    for i in range(values.size):
        out[i] = math.nan
        if not math.isfinite(values[i]):
            run[i] = 0
            continue
        newest = np.int16(min(max(np.rint(values[i]), 0.0), float(MOST)))
        least = slide(past, end, sums, length, near, i, newest)
        seen[i] += 1
        run[i] += 1
        ready = seen[i] - length - near
        if ready > 0 and run[i] >= length:
            if ready < lags:
                least = sums[i, lags - ready :].min()
            out[i] = math.sqrt(least)
        past[i, end[i]] = newest
        end[i] += 1
        if end[i] == room:
            past[i, : room // 2] = past[i, room // 2 :]
            end[i] = room // 2


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
