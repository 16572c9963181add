"""How new the latest point of one series is: a causal score for any series, with nothing to set.

Three views of the series are watched for leaving the range they have had (`novelty`): the value;
the level, which is the mean of the last `short` values less that of the last `long`; and the floor,
the least of the last `floor` values. How far a view is outside is told in ranges of the value, the
same unit for all three, so that none needs a weight, and the greatest counts.

One episode alarms once: within `hold` points of a score that passed, only a higher score passes.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from central.detect import novelty

VALUE, LEVEL, FLOOR = range(3)


class Settings(NamedTuple):
    """Sizes, in points; one set for every series.

    short, long: of the two means of the level. Level and floor are known once `long` values are.
    floor: of what the floor is the least.
    block, blocks: extremes are kept by blocks, the oldest of which is forgotten.
    hold: for how long an episode holds back scores no higher than its own.
    """

    short: int = 24
    long: int = 288
    floor: int = 12
    block: int = 512
    blocks: int = 8
    hold: int = 60


SETTINGS = Settings()


class State(NamedTuple):
    """What a point reads and teaches.

    recent: (long,) float64, the last present values, a ring.
    total: (2,) float64, the sum of differences of `recent` to a value, once full; and that value.
    views: range novelty of the three views.
    counts: (2,) int64, present values so far, and points since a score passed.
    last: (2,) float64, the novelty that passed last, and the last time.
    """

    recent: NDArray[np.float64]
    total: NDArray[np.float64]
    views: novelty.State
    counts: NDArray[np.int64]
    last: NDArray[np.float64]


def empty_state(settings: Settings = SETTINGS) -> State:
    """A state that has seen nothing. Raises ValueError for sizes that do not fit each other."""
    if not (0 < settings.short <= settings.long and 0 < settings.floor <= settings.long):
        raise ValueError(f"the level and the floor look back {settings.long} points at most")
    if settings.block <= 0 or settings.hold < 0:
        raise ValueError("a block has points, and none is held for less than none")
    return State(
        recent=np.zeros(settings.long),
        total=np.zeros(2),
        views=novelty.empty_state(3, settings.blocks),
        counts=np.zeros(2, np.int64),
        last=np.array([0.0, -np.inf]),
    )


@njit(cache=True, error_model="numpy")
def remember(state: State, value: float) -> None:
    """Put a value into the ring in place of the oldest, and keep the sum of the ring.

    The sum is of differences to a value that was the newest once, which keeps the digits of small
    changes on large values; it is made anew once round, so that roundings do not add up.
    """
    ring = state.recent
    newest = state.counts[0] % ring.size
    state.total[0] += value - ring[newest]
    ring[newest] = value
    state.counts[0] += 1
    if newest == ring.size - 1:
        state.total[1] = value
        state.total[0] = 0.0
        for k in range(ring.size):
            state.total[0] += ring[k] - value


@njit(cache=True, error_model="numpy")
def look(state: State, settings: Settings) -> tuple[float, float]:
    """The level and the floor, of a full ring."""
    newest = (state.counts[0] - 1) % settings.long
    value = least = state.recent[newest]
    short = 0.0
    for back in range(max(settings.short, settings.floor)):
        other = state.recent[newest - back]
        if back < settings.short:
            short += other - value
        if back < settings.floor:
            least = min(least, other)
    long = state.total[0] / settings.long + (state.total[1] - value)
    return short / settings.short - long, least


@njit(cache=True, error_model="numpy")
def point(state: State, value: float, settings: Settings) -> float:
    """How new a value is, in ranges of what the series has shown; then let it teach.

    The level and the floor are of values as they taught: else a wild one would be news twice, as
    it comes and as it leaves the means.
    """
    views = state.views
    scale = views.top[VALUE] - views.bottom[VALUE]
    slack = novelty.CLIP * scale
    remember(state, novelty.clip(views, VALUE, value, slack))
    full = state.counts[0] >= settings.long
    level, floor = look(state, settings) if full else (0.0, 0.0)
    new = 0.0
    if views.seen[VALUE] >= novelty.LEAST:
        new = novelty.outside(views, VALUE, value, scale)
    # What never moved has no unit for the other views.
    if scale > 0.0 and views.seen[LEVEL] >= novelty.LEAST:
        new = max(new, novelty.outside(views, LEVEL, level, scale))
        new = max(new, novelty.outside(views, FLOOR, floor, scale))
    novelty.teach(views, VALUE, value, slack)
    if full:
        novelty.teach(views, LEVEL, level, slack)
        novelty.teach(views, FLOOR, floor, slack)
    novelty.turn(views, settings.block)
    return new


@njit(cache=True, error_model="numpy")
def walk(
    state: State,
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    settings: Settings,
    out: NDArray[np.float64],
) -> None:
    """Score points one by one: see `score`."""
    for t in range(values.size):
        out[t] = 0.0
        if not (abs(values[t]) <= novelty.FARTHEST and times[t] > state.last[1]):
            continue
        state.last[1] = times[t]
        new = point(state, values[t], settings)
        state.counts[1] += 1
        if state.counts[1] > settings.hold:
            state.last[0] = 0.0
        if new > state.last[0]:
            state.counts[1] = 0
            state.last[0] = new
            out[t] = new / (1.0 + new)


def score(
    state: State,
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    settings: Settings = SETTINGS,
) -> NDArray[np.float64]:
    """How new each point is to what came before it, in [0, 1): n / (1 + n) for n ranges outside.

    times, values: (n,), times in seconds since any moment. The state goes on where it was, so
    that points may come one at a time or all at once. A NaN, an infinity, a value beyond
    `novelty.FARTHEST`, and a time that is no later than the last (or NaN) score 0 and teach
    nothing. Gaps and changes of sampling do not matter: all sizes are in points.

    Raises ValueError where the two lengths differ.
    """
    if times.shape != values.shape or times.ndim != 1:
        raise ValueError(f"{times.shape} times of {values.shape} values")
    out = np.zeros(values.size)
    walk(state, times.astype(np.float64), values.astype(np.float64), settings, out)
    return out


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    score(empty_state(), np.zeros(1), np.zeros(1))
