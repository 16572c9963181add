"""Geometry: the homography, what lies in a zone, what crosses a line and which way."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import floor

SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
NOTCHED = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0)]
ACROSS = [(0.0, 0.5), (1.0, 0.5)]
coordinate = st.integers(-40, 40).map(lambda value: value / 16)
point = st.tuples(coordinate, coordinate)


def points(*pairs: tuple[float, float]) -> floor.Floats:
    return np.array(pairs, np.float64)


def crossing(line: list[tuple[float, float]], way: list[tuple[float, float]]) -> list[int]:
    plan = floor.plan([line], [])
    steps = points(*way)
    return [int(floor.crossings(plan, a[None], b[None])[0, 0]) for a, b in pairwise(steps)]


@pytest.mark.parametrize(
    ("line", "way", "expected"),
    [
        pytest.param(ACROSS, [(0.5, 0.9), (0.5, 0.1)], [1], id="up is in"),
        pytest.param(ACROSS, [(0.5, 0.1), (0.5, 0.9)], [-1], id="down is out"),
        pytest.param([(1, 0.5), (0, 0.5)], [(0.5, 0.1), (0.5, 0.9)], [1], id="turned round"),
        pytest.param([(0.5, 1), (0.5, 0)], [(0.9, 0.5), (0.1, 0.5)], [1], id="leftwards is in"),
        pytest.param(ACROSS, [(2, 0.9), (2, 0.1)], [0], id="past the end"),
        pytest.param(ACROSS, [(0.5, 0.9), (0.5, 0.5), (0.5, 0.1)], [0, 1], id="rest on"),
        pytest.param(ACROSS, [(0.5, 0.9), (0.5, 0.5), (0.5, 0.9)], [0, 0], id="touch"),
        pytest.param(
            [(0, 0.5), (0.5, 0.5), (1, 0.5)], [(0.5, 0.9), (0.5, 0.1)], [1], id="through a corner"
        ),
        pytest.param([(0, 1), (0.5, 0), (1, 1)], [(-1, 0.5), (2, 0.5)], [0], id="in and out again"),
        pytest.param(ACROSS, [(0.5, 0.9), (0.5, 0.9)], [0], id="standing"),
    ],
)
def test_a_crossing_has_its_direction(
    line: list[tuple[float, float]], way: list[tuple[float, float]], expected: list[int]
) -> None:
    assert crossing(line, way) == expected


@given(st.lists(point, min_size=2, max_size=8))
def test_steps_over_an_endless_line_add_up_to_the_whole_way(way: list[tuple[float, float]]) -> None:
    line = [(-1000.0, 0.0), (1000.0, 0.0)]
    sides = [y >= 0 for _, y in way]
    assert sum(crossing(line, way)) == int(sides[0]) - int(sides[-1])


@given(point, point)
def test_there_and_back_cancels(a: tuple[float, float], b: tuple[float, float]) -> None:
    # Off the grid of the points, since a way through the line's very end is neither.
    assert sum(crossing([(-0.503, 0.251), (0.257, 0.263), (1.009, -1.011)], [a, b, a])) == 0


def slowly_inside(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    found = False
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            found = not found
    return found


@given(st.lists(point, max_size=12))
def test_points_in_zones_equal_an_edge_by_edge_walk(where: list[tuple[float, float]]) -> None:
    plan = floor.plan([], [SQUARE, NOTCHED])
    result = floor.inside(plan, points(*where).reshape(-1, 2))
    expected = [[slowly_inside(zone, *each) for zone in (SQUARE, NOTCHED)] for each in where]
    assert result.tolist() == expected


def test_without_lines_and_zones_there_is_nothing() -> None:
    plan = floor.plan([], [])
    two = points((0, 0), (1, 1))
    assert floor.inside(plan, two).shape == (2, 0)
    assert floor.crossings(plan, two, two).shape == (2, 0)
    assert floor.line_distances(plan, two).shape == (2, 0)
    assert floor.zone_depths(plan, two).shape == (2, 0)


def test_distances_are_to_the_nearest_part_of_a_line() -> None:
    plan = floor.plan([[(0, 0), (1, 0), (1, 1)], [(5, 5), (6, 5)]], [])
    distances = floor.line_distances(plan, points((0.5, 0.2), (-3.0, 4.0)))
    np.testing.assert_allclose(distances, [[0.2, np.hypot(4.5, 4.8)], [5.0, np.hypot(8, 1)]])


@given(st.lists(point, min_size=1, max_size=12))
def test_the_depth_in_a_zone_is_how_far_its_nearest_side_is(
    where: list[tuple[float, float]],
) -> None:
    sides = [*pairwise([*SQUARE, SQUARE[0]])]
    plan = floor.plan([], [SQUARE])
    for (x, y), (depth,) in zip(where, floor.zone_depths(plan, points(*where)), strict=True):
        along = np.linspace(0, 1, 2001)[:, None]
        spots = np.concatenate([np.array(a) + along * np.subtract(b, a) for a, b in sides])
        assert abs(depth) == pytest.approx(np.hypot(*(spots - (x, y)).T).min(), abs=1e-3)
        assert (depth >= 0) == floor.inside(plan, points((x, y)))[0, 0] or depth == 0


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        (SQUARE, None),
        (NOTCHED, None),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], (0, 2)),
        ([(0, 0), (1, 0), (0.5, 0), (0.5, 1)], (0, 1)),
        ([(0, 0), (2, 0), (2, 2), (1, 0), (0, 2)], (0, 2)),
    ],
)
def test_a_polygon_that_meets_itself_is_found(
    polygon: list[tuple[float, float]], expected: tuple[int, int] | None
) -> None:
    assert floor.self_crossing(polygon) == expected
