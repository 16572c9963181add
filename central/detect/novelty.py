"""How far outside all it has shown a value is: range novelty, over many series at once.

Every series keeps its highest and lowest value by blocks of ticks. As a new block begins the
oldest is forgotten, so that a series that changed for good is news for a bounded time.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK, BLOCKS = 512, 8
"""Ticks in a block, and blocks kept: of quarter hours, between five and six weeks."""
LEAST = 24
"""Values a series must have shown before one can be outside."""
CLIP = 2.0
"""Ranges outside beyond which a value teaches no more: one wild value must not hide the next."""
ROUNDING = 1e-9
"""Share of the range that is still inside."""
FARTHEST = 1e150
"""Values farther from zero are absent, as infinities are: their range would not be finite."""


class State(NamedTuple):
    """What a tick reads and teaches.

    high, low: (blocks, series) float64, the extremes by block; -inf and inf where none.
    top, bottom: (series,) float64, the extremes over all blocks.
    seen: (series,) int64, values that taught since the series last showed nothing in any block.
    clock: (2,) int64, the block that is being filled, and ticks in it.
    """

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    top: NDArray[np.float64]
    bottom: NDArray[np.float64]
    seen: NDArray[np.int64]
    clock: NDArray[np.int64]


def empty_state(series: int, blocks: int = BLOCKS) -> State:
    """A state that has seen nothing. Raises ValueError where a number is not above zero."""
    if series <= 0 or blocks <= 0:
        raise ValueError(f"{series} series, {blocks} blocks")
    return State(
        high=np.full((blocks, series), -np.inf),
        low=np.full((blocks, series), np.inf),
        top=np.full(series, -np.inf),
        bottom=np.full(series, np.inf),
        seen=np.zeros(series, np.int64),
        clock=np.zeros(2, np.int64),
    )


@njit(cache=True, error_model="numpy")
def outside(state: State, i: int, value: float, scale: float) -> float:
    """How far series `i` would be outside with a value, in `scale`s; 0 within.

    Where the scale is 0 (a constant past), 1 for every value but that one.
    """
    beyond = max(value - float(state.top[i]), float(state.bottom[i]) - value)
    if scale > 0.0:
        return beyond / scale if beyond > ROUNDING * scale else 0.0
    return 1.0 if beyond > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def clip(state: State, i: int, value: float, slack: float) -> float:
    """The value as it may teach series `i`: no farther outside than `slack`.

    As it is where the slack is 0, and until the series has shown `LEAST` values.
    """
    if state.seen[i] < LEAST or not slack > 0.0:
        return value
    return min(max(value, float(state.bottom[i]) - slack), float(state.top[i]) + slack)


@njit(cache=True, error_model="numpy")
def teach(state: State, i: int, value: float, slack: float) -> None:
    """Let a value teach series `i`, clipped."""
    value = clip(state, i, value, slack)
    block = state.clock[0]
    state.high[block, i] = max(state.high[block, i], value)
    state.low[block, i] = min(state.low[block, i], value)
    state.top[i] = max(state.top[i], value)
    state.bottom[i] = min(state.bottom[i], value)
    state.seen[i] += 1


@njit(cache=True, error_model="numpy")
def turn(state: State, length: int) -> None:
    """Count a tick; after `length` of them forget the oldest block and begin it anew."""
    state.clock[1] += 1
    if state.clock[1] < length:
        return
    blocks, series = state.high.shape
    state.clock[1] = 0
    state.clock[0] = (state.clock[0] + 1) % blocks
    state.high[state.clock[0]] = -math.inf
    state.low[state.clock[0]] = math.inf
    for i in range(series):
        state.top[i] = state.high[:, i].max()
        state.bottom[i] = state.low[:, i].min()
        if state.top[i] < state.bottom[i]:
            state.seen[i] = 0


@njit(cache=True, error_model="numpy")
def tick(
    state: State, values: NDArray[np.float64], out: NDArray[np.float64], length: int = BLOCK
) -> None:
    """Score one value of every series, then let it teach.

    values: (series,). NaN, infinities and what is beyond `FARTHEST` are absent.
    out: written, (series,) how far outside, in ranges of the series; 0 within, before `LEAST`
        values, and where absent.
    """
    for i in range(values.size):
        out[i] = 0.0
        value = values[i]
        if not abs(value) <= FARTHEST:
            continue
        scale = state.top[i] - state.bottom[i]
        if state.seen[i] >= LEAST:
            out[i] = outside(state, i, value, scale)
        teach(state, i, value, CLIP * scale)
    turn(state, length)


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    tick(empty_state(1), np.zeros(1), np.zeros(1))
