"""Which hours of a store are unlike its last ones, over all its metrics: half-space trees.

Tan, Ting & Liu 2011, "Fast Anomaly Detection for Streaming Data". A tree halves the space of the
metrics at random, blind to the data; where few of the last window's points fell, a point is rare.
The trees are planted once and are the same for every store; what each store knows is how many of
its points lay in each node.

Nodes lie as in a heap: the root is 0, and below node n are 2n + 1 (less than the split) and 2n + 2.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FEW = 0.1
"""Share of a window's points below which a node is not looked into any further."""


class Trees(NamedTuple):
    """Where the space is halved.

    metric: (trees, inner) int64, the metric that each inner node looks at.
    split: (trees, inner) float64, values below it go left; inner is 2^height - 1.
    height: of each tree.
    """

    metric: NDArray[np.int64]
    split: NDArray[np.float64]
    height: int


class State(NamedTuple):
    """What a tick reads and teaches.

    reference: (stores, trees, nodes) int32, points of the last full window in each node; nodes is
        2^(height + 1) - 1.
    latest: (stores, trees, nodes) int32, of the window that is being filled.
    seen: (stores,) int64, points in the latter.
    full: (stores,) bool, whether there was a full window.
    """

    reference: NDArray[np.int32]
    latest: NDArray[np.int32]
    seen: NDArray[np.int64]
    full: NDArray[np.bool_]


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
    metric = random.integers(metrics, size=(trees, inner))
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


def empty_state(trees: Trees, stores: int) -> State:
    """A state that has seen nothing. Raises ValueError where there is no store."""
    if stores <= 0:
        raise ValueError(f"{stores} stores")
    shape = (stores, trees.metric.shape[0], 2 ** (trees.height + 1) - 1)
    return State(
        reference=np.zeros(shape, np.int32),
        latest=np.zeros(shape, np.int32),
        seen=np.zeros(stores, np.int64),
        full=np.zeros(stores, np.bool_),
    )


@njit(cache=True, error_model="numpy")
def score_one(
    metric: NDArray[np.int64],
    split: NDArray[np.float64],
    reference: NDArray[np.int32],
    latest: NDArray[np.int32],
    point: NDArray[np.float64],
    few: float,
) -> float:
    """What one tree says of a point: points × 2^depth, summed down to a node of few points."""
    node = 0
    total, doubled = 0.0, 1.0
    while True:
        total += reference[node] * doubled
        if node >= metric.size or reference[node] < few:
            return total
        node = below(node, point[metric[node]], split[node], latest)
        doubled *= 2.0


@njit(cache=True, error_model="numpy")
def learn_one(
    metric: NDArray[np.int64],
    split: NDArray[np.float64],
    latest: NDArray[np.int32],
    point: NDArray[np.float64],
) -> None:
    """Count a point in every node on its way down one tree."""
    node = 0
    latest[node] += 1
    while node < metric.size:
        node = below(node, point[metric[node]], split[node], latest)
        latest[node] += 1


@njit(cache=True, error_model="numpy")
def below(node: int, value: float, split: float, latest: NDArray[np.int32]) -> int:
    """The node a value leads to; an absent one leads to where the more points went of late."""
    left = 2 * node + 1
    if not np.isfinite(value):
        return left + 1 if latest[left] < latest[left + 1] else left
    return left if value < split else left + 1


@njit(cache=True, error_model="numpy")
def tick(
    trees: Trees,
    state: State,
    points: NDArray[np.float64],
    ready: NDArray[np.bool_],
    window: int,
    out: NDArray[np.float64],
) -> None:
    """Score one point of every store, then learn it.

    points: (stores, metrics), each metric by and large in [0, 1]; NaN and infinities are absent.
    ready: (stores,) False leaves a store's state as it is, and scores nothing.
    window: points in a window, at the end of which it becomes the one that is compared with.
    out: written, (stores,) from 0 to 1, the rarer the higher; 0 until a window was full, and
        where not ready.
    """
    most = float(trees.metric.shape[0] * window) * (2.0 ** (trees.height + 1) - 1.0)
    for store in range(points.shape[0]):
        out[store] = 0.0
        if not ready[store]:
            continue
        total = 0.0
        for tree in range(trees.metric.shape[0]):
            metric, split = trees.metric[tree], trees.split[tree]
            latest = state.latest[store, tree]
            if state.full[store]:
                reference = state.reference[store, tree]
                total += score_one(metric, split, reference, latest, points[store], FEW * window)
            learn_one(metric, split, latest, points[store])
        if state.full[store]:
            out[store] = 1.0 - total / most
        state.seen[store] += 1
        if state.seen[store] >= window:
            state.reference[store] = state.latest[store]
            state.latest[store] = 0
            state.seen[store] = 0
            state.full[store] = True


def compile_all() -> None:
    """Compile every kernel, or load what an earlier start has compiled."""
    trees = plant(1, 1, 1)
    tick(trees, empty_state(trees, 1), np.zeros((1, 1)), np.ones(1, np.bool_), 1, np.zeros(1))
