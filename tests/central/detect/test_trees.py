"""Half-space trees against a twin of nodes that point to each other."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.detect import trees
from central.detect.trees import Trees
from tests.central.detect.saved import saved

NAN = math.nan


@dataclass
class Node:
    """One half of a half, with the points of the last and of the present window."""

    metric: int = 0
    split: float = 0.0
    left: "Node | None" = None
    right: "Node | None" = None
    reference: int = 0
    latest: int = 0

    def side(self, point: list[float]) -> "Node":
        assert self.left is not None
        assert self.right is not None
        value = point[self.metric]
        if not math.isfinite(value):
            return self.right if self.left.latest < self.right.latest else self.left
        return self.left if value < self.split else self.right

    def turn(self) -> None:
        self.reference, self.latest = self.latest, 0
        for child in (self.left, self.right):
            if child is not None:
                child.turn()


def grow(planted: Trees, tree: int, number: int = 0) -> Node:
    if number >= planted.metric.shape[1]:
        return Node()
    return Node(
        int(planted.metric[tree, number]),
        float(planted.split[tree, number]),
        grow(planted, tree, 2 * number + 1),
        grow(planted, tree, 2 * number + 2),
    )


def slow(planted: Trees, points: list[list[float]], window: int) -> list[float]:
    """The score of every point of one store."""
    roots = [grow(planted, tree) for tree in range(planted.metric.shape[0])]
    found = []
    for index, point in enumerate(points):
        total = 0.0
        for root in roots:
            node: Node | None = root
            depth = 0
            while node is not None:
                total += node.reference * 2**depth
                if node.left is None or node.reference < 0.1 * window:
                    break
                node, depth = node.side(point), depth + 1
        most = len(roots) * window * (2 ** (planted.height + 1) - 1)
        found.append(1 - total / most if index >= window else 0.0)
        for root in roots:
            node = root
            node.latest += 1
            while node.left is not None:
                node = node.side(point)
                node.latest += 1
        if (index + 1) % window == 0:
            for root in roots:
                root.turn()
    return found


def run(planted: Trees, state: trees.State, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(points,) scores of one store."""
    out, ready = np.zeros(1), np.ones(1, np.bool_)
    found = []
    for point in points:
        trees.tick(planted, state, point[None], ready, out)
        found.append(out[0])
    return np.array(found)


VALUES = st.one_of(st.floats(-1.0, 2.0), st.sampled_from([NAN, math.inf, 1e12, -5.0, 0.5]))


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES).map(list), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_equals_nodes_that_point_to_each_other(
    points: list[list[float]], window: int, height: int, seed: int
) -> None:
    planted = trees.plant(3, 4, height, seed)
    found = run(planted, trees.empty_state(planted, 1, window), np.array(points))
    np.testing.assert_allclose(found, slow(planted, points, window), rtol=1e-9, atol=1e-12)


def test_splits_halve_what_is_above_them() -> None:
    planted = trees.plant(1, 5, 4, 3)
    for tree in range(5):
        split = planted.split[tree]
        in_order = sorted(split)
        np.testing.assert_allclose(np.diff(in_order), in_order[1] - in_order[0], rtol=1e-9)
        assert split[0] == pytest.approx(in_order[7])
        assert in_order[0] < 0.5 < in_order[-1]


def test_rare_points_score_higher() -> None:
    random = np.random.default_rng(0)
    points = random.normal(0.3, 0.03, (700, 4))
    points[600] = 0.9
    planted = trees.plant(4)
    found = run(planted, trees.empty_state(planted, 1, 250), points)
    assert found[600] > np.quantile(found[250:], 0.995)


def test_stores_do_not_touch_each_other_and_wait_when_not_ready() -> None:
    random = np.random.default_rng(1)
    points = random.random((90, 2, 3))
    ready = random.random((90, 2)) < 0.8
    planted = trees.plant(3, 6, 4)
    together, out = trees.empty_state(planted, 2, 20), np.zeros(2)
    found = np.zeros((90, 2))
    for row, may, score in zip(points, ready, found, strict=True):
        trees.tick(planted, together, row, may, out)
        score[:] = out
    for store in range(2):
        own = ready[:, store]
        alone = run(planted, trees.empty_state(planted, 1, 20), points[own, store])
        np.testing.assert_array_equal(found[own, store], alone)
        assert not found[~own, store].any()


@pytest.mark.parametrize("value", [0.0, 0.5, 1e12, -3.0, NAN])
def test_a_constant_store_is_all_one_score(value: float) -> None:
    planted = trees.plant(2, 3, 4)
    found = run(planted, trees.empty_state(planted, 1, 20), np.full((100, 2), value))
    assert not found[:20].any()
    assert np.unique(found[20:]).size == 1
    assert 0 <= found[20] <= 1


def test_a_restored_state_goes_on_with_the_same_bits() -> None:
    points = np.random.default_rng(2).random((200, 3))
    planted = trees.plant(3, 5, 5)
    whole = run(planted, trees.empty_state(planted, 1, 30), points)
    state = trees.empty_state(planted, 1, 30)
    run(planted, state, points[:75])
    np.testing.assert_array_equal(run(planted, saved(state), points[75:]), whole[75:])


@pytest.mark.parametrize(
    ("metrics", "count", "height"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 21)]
)
def test_refuses_sizes_that_cannot_be(metrics: int, count: int, height: int) -> None:
    with pytest.raises(ValueError, match="trees"):
        trees.plant(metrics, count, height)


def test_refuses_no_store() -> None:
    with pytest.raises(ValueError, match="stores"):
        trees.empty_state(trees.plant(1), 0)


def test_compiles_all() -> None:
    trees.compile_all()
    planted = trees.plant(1, 1, 1)
    assert run(planted, trees.empty_state(planted, 1), np.zeros((1, 1)))[0] == 0.0
