"""Which hours of a store are unlike its last ones, over all its metrics: half-space trees.

Tan, Ting & Liu 2011, "Fast Anomaly Detection for Streaming Data". A tree halves the space of the
metrics at random, blind to the data; where few of the last window's points fell, a point is rare.
The trees are planted once and are the same for every store; what each store knows is how many of
its points lay in each node.

Nodes lie as in a heap: the root is 0, and below node n are 2n + 1 (less than the split) and 2n + 2.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FEW = 0.1
"""Share of a window's points below which a node is not looked into any further."""


class Trees(NamedTuple):
    """Where the space is halved.

    metric: (trees, inner) uint32, the metric that each inner node looks at.
    split: (trees, inner) float64, values below it go left; inner is 2^height - 1.
    height: of each tree.
    """

    metric: NDArray[np.uint32]
    split: NDArray[np.float64]
    height: int


class State(NamedTuple):
    """What a tick reads and teaches.

    mass: (stores, trees, nodes, 2) uint16, points in each node, of the last full window and of the
        one that is being filled; nodes is 2^(height + 1) - 1.
    filling: (stores,) int64, which of the two is being filled.
    seen: (stores,) int64, points in it so far.
    full: (stores,) bool, whether the other is a full window.
    window: points in a window.
    """

    mass: NDArray[np.uint16]
    filling: NDArray[np.int64]
    seen: NDArray[np.int64]
    full: NDArray[np.bool_]
    window: int


def plant(metrics: int, trees: int = 10, height: int = 8, seed: int = 0) -> Trees:
    """Trees over metrics that lie in [0, 1], by and large.

    Each tree works on a range of its own, of a metric around a random s in [0, 1]:
    s ± 2 max(s, 1 - s). A node halves one metric's range, drawn at random, in the middle. Raises
    ValueError where a number is not above zero, or for a height above 20.
    """
    if metrics <= 0 or trees <= 0 or not 0 < height <= 20:
        raise ValueError(f"{trees} trees of height {height} over {metrics} metrics")
    random = np.random.default_rng(seed)
    inner = 2**height - 1
    metric = random.integers(metrics, size=(trees, inner), dtype=np.uint32)
    split = np.empty((trees, inner))
    centre = random.random((trees, metrics))
    reach = 2.0 * np.maximum(centre, 1.0 - centre)
    low = np.empty((trees, 2 * inner + 1, metrics))
    high = np.empty_like(low)
    low[:, 0], high[:, 0] = centre - reach, centre + reach
    every = np.arange(trees)
    for node in range(inner):
        halved = metric[:, node]
        split[:, node] = 0.5 * (low[every, node, halved] + high[every, node, halved])
        for child in (2 * node + 1, 2 * node + 2):
            low[:, child], high[:, child] = low[:, node], high[:, node]
        high[every, 2 * node + 1, halved] = split[:, node]
        low[every, 2 * node + 2, halved] = split[:, node]
    return Trees(metric, split, height)


def empty_state(trees: Trees, stores: int, window: int = 250) -> State:
    """A state that has seen nothing.

    Raises ValueError where there is no store, or a window does not have 1 to 65,535 points.
    """
    if stores <= 0 or not 0 < window < 2**16:
        raise ValueError(f"{stores} stores, {window} points in a window")
    nodes = 2 ** (trees.height + 1) - 1
    return State(
        mass=np.zeros((stores, trees.metric.shape[0], nodes, 2), np.uint16),
        filling=np.zeros(stores, np.int64),
        seen=np.zeros(stores, np.int64),
        full=np.zeros(stores, np.bool_),
        window=window,
    )


@njit(cache=True, error_model="numpy", inline="always")
def descend(
    trees: Trees,
    state: State,
    store: int,
    point: NDArray[np.float64],
    nodes: NDArray[np.uint64],
    counting: NDArray[np.int64],
) -> int:
    """Count a point in every node on its way; the sum over all trees of points × 2^depth.

    The sum is of the last full window, and goes down each tree to the first node of few points.
    All trees are descended level by level, so that no step waits for the one before it.

    nodes, counting: (trees,) room to keep where each tree is, and 1 while it still counts, then 0.
    """
    # Unsigned, or every index would be looked at for being one from the end.
    own, new = np.uint64(store), np.uint64(state.filling[store])
    old = np.uint64(1) - new
    few = np.int64(math.ceil(FEW * state.window))
    absent = not np.isfinite(point).all()
    total = 0
    nodes[:] = 0
    counting[:] = 1
    for depth in range(trees.height + 1):
        for tree in range(np.uint64(nodes.size)):
            node = nodes[tree]
            points = np.int64(state.mass[own, tree, node, old])
            state.mass[own, tree, node, new] += np.uint16(1)
            total += (points << depth) * counting[tree]
            if depth == trees.height:
                continue
            counting[tree] &= np.int64(points >= few)
            value = point[trees.metric[tree, node]]
            right = value >= trees.split[tree, node]
            left = np.uint64(2) * node + np.uint64(1)
            if absent and not np.isfinite(value):
                # What is absent goes where more points went of late.
                lighter = state.mass[own, tree, left, new]
                right = lighter < state.mass[own, tree, left + np.uint64(1), new]
            nodes[tree] = left + np.uint64(right)
    return total


@njit(cache=True, error_model="numpy")
def tick(
    trees: Trees,
    state: State,
    points: NDArray[np.float64],
    ready: NDArray[np.bool_],
    out: NDArray[np.float64],
) -> None:
    """Score one point of every store, then learn it.

    points: (stores, metrics), each metric by and large in [0, 1]; NaN and infinities are absent.
    ready: (stores,) False leaves a store's state as it is, and scores nothing.
    out: written, (stores,) from 0 to 1, the rarer the higher; 0 until a window was full, and
        where not ready.
    """
    most = float(trees.metric.shape[0] * state.window) * (2.0 ** (trees.height + 1) - 1.0)
    nodes = np.empty(trees.metric.shape[0], np.uint64)
    counting = np.empty(trees.metric.shape[0], np.int64)
    for store in range(points.shape[0]):
        out[store] = 0.0
        if not ready[store]:
            continue
        total = descend(trees, state, store, points[store], nodes, counting)
        if state.full[store]:
            out[store] = 1.0 - total / most
        state.seen[store] += 1
        if state.seen[store] == state.window:
            state.seen[store] = 0
            state.full[store] = True
            state.filling[store] = 1 - state.filling[store]
            state.mass[store, :, :, state.filling[store]] = 0


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    trees = plant(1, 1, 1)
    tick(trees, empty_state(trees, 1), np.zeros((1, 1)), np.ones(1, np.bool_), np.zeros(1))
