"""The floor: from the picture to floor coordinates, and what lies where on it.

Picture points are fractions of its width and height. Floor points are metres where there is a
homography, else the same fractions. All functions take all points at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Points = Sequence[tuple[float, float]]
EDGE = 1e-6


@dataclass(frozen=True)
class Plan:
    """A camera's floor: `matrix` (3, 3) or None, and the lines and zones by their segments.

    The segments of all lines lie one after another in `line_starts`, `line_ends` (s, 2); line i
    begins at `line_first[i]`. The same for the sides of the zones.
    """

    matrix: Floats | None
    line_starts: Floats
    line_ends: Floats
    line_first: npt.NDArray[np.int64]
    zone_starts: Floats
    zone_ends: Floats
    zone_first: npt.NDArray[np.int64]


def plan(matrix: Floats | None, lines: Sequence[Points], zones: Sequence[Points]) -> Plan:
    """The plan of lines (polylines of 2 or more points) and zones (polygons of 3 or more)."""
    closed = [[*zone, zone[0]] for zone in zones]
    return Plan(matrix, *_segments(lines), *_segments(closed))


def _segments(polylines: Sequence[Points]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    arrays = [np.asarray(points, np.float64) for points in polylines]
    empty = np.empty((0, 2))
    starts = np.concatenate([empty, *(array[:-1] for array in arrays)])
    ends = np.concatenate([empty, *(array[1:] for array in arrays)])
    first = np.cumsum([0, *(len(array) - 1 for array in arrays)])[:-1]
    return starts, ends, first.astype(np.int64)


def fit_homography(picture: Points, floor: Points) -> Floats:
    """The (3, 3) matrix from picture fractions to floor metres by least squares, from n >= 4 pairs.

    Raises:
        ValueError: fewer than 4 pairs, or points that leave the homography open.
    """
    if len(picture) < 4:
        raise ValueError(f"a homography needs at least 4 point pairs, not {len(picture)}")
    source, target = np.asarray(picture, np.float64), np.asarray(floor, np.float64)
    if _freedom(source, target) < 1e-4:
        raise ValueError(
            "three of four points lie on one line, which leaves the homography open: "
            "take points at the corners of an area"
        )
    matrix, _ = cv2.findHomography(source, target, method=0)
    if matrix is None or not np.isfinite(matrix).all():
        raise ValueError("no homography fits these point pairs: check them")
    depth = np.column_stack([source, np.ones(len(source))]) @ matrix[2]
    if depth.min() * depth.max() <= 0:
        raise ValueError("the point pairs contradict one another: check their order")
    return np.asarray(matrix * np.sign(depth[0]), np.float64)


def _freedom(source: Floats, target: Floats) -> float:
    """How far the pairs are from leaving the homography open: 0 is open.

    The ratio of the eighth to the first singular value of the direct linear transformation's
    equations, on normalised points (Hartley & Zisserman, Multiple View Geometry, 4.1).
    """
    (x, y), (u, v) = (
        ((points - points.mean(axis=0)) / (np.ptp(points, axis=0).max() or 1.0)).T
        for points in (source, target)
    )
    one, zero = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    singular = np.linalg.svd(equations, compute_uv=False)
    return float(singular[7] / singular[0])


def reprojection_error(matrix: Floats, picture: Points, floor: Points) -> Floats:
    """(n,) metres between where the matrix puts the picture's points and where they are."""
    projected = _transform(matrix, np.asarray(picture, np.float64))
    return np.asarray(np.linalg.norm(projected - np.asarray(floor), axis=1))


def foot_points(boxes: npt.NDArray[np.float32], width: int, height: int) -> Floats:
    """(n, 2) picture fractions of the bottom centres of boxes (n, 4) in xyxy pixels."""
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    # Not to the edge itself, where lines and zones end that are drawn up to it.
    return np.clip(feet.astype(np.float64) / (width, height), EDGE, 1.0 - EDGE)


def project(where: Plan, points: Floats) -> Floats:
    """Floor points (n, 2) of picture points (n, 2); NaN above the horizon."""
    return points if where.matrix is None else _transform(where.matrix, points)


def _transform(matrix: Floats, points: Floats) -> Floats:
    projected = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    depth = np.where(projected[:, 2] > 1e-9, projected[:, 2], np.nan)
    return np.asarray(projected[:, :2] / depth[:, None])


def inside(where: Plan, points: Floats) -> npt.NDArray[np.bool_]:
    """(n, zones): which points (n, 2) lie in which zones, by the even-odd rule."""
    if not len(where.zone_first):
        return np.zeros((len(points), 0), np.bool_)
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = where.zone_starts.T, where.zone_ends.T
    straddles = (ay > y) != (by > y)
    rise = np.where(ay == by, 1.0, by - ay)
    right_of = x < ax + (y - ay) * (bx - ax) / rise
    counts = np.add.reduceat(straddles & right_of, where.zone_first, axis=1, dtype=np.int64)
    return np.asarray(counts % 2 == 1)


def crossings(where: Plan, previous: Floats, current: Floats) -> npt.NDArray[np.int64]:
    """(n, lines): +1 where the way from previous to current (n, 2) crosses a line inwards.

    -1 outwards, 0 where it does not cross, or crosses back as often. `in` is from the right hand
    to the left hand of one who walks from the line's first point to its last, with y down. A point
    on the line belongs to its right-hand side, so a way in several steps crosses once.
    """
    if not len(where.line_first):
        return np.zeros((len(current), 0), np.int64)
    start, end = where.line_starts, where.line_ends
    before = _cross(end - start, previous[:, None] - start) >= 0
    after = _cross(end - start, current[:, None] - start) >= 0
    way = (current - previous)[:, None]
    between = (_cross(way, start - previous[:, None]) >= 0) != (
        _cross(way, end - previous[:, None]) >= 0
    )
    signed = between * (before.astype(np.int64) - after)
    return np.asarray(np.sign(np.add.reduceat(signed, where.line_first, axis=1)))


def line_distances(where: Plan, points: Floats) -> Floats:
    """(n, lines): the distance of each point (n, 2) from each line."""
    if not len(where.line_first):
        return np.zeros((len(points), 0))
    way = where.line_ends - where.line_starts
    offset = points[:, None] - where.line_starts
    along = np.clip((offset * way).sum(-1) / (way * way).sum(-1), 0.0, 1.0)
    distances = np.linalg.norm(offset - along[..., None] * way, axis=-1)
    return np.asarray(np.minimum.reduceat(distances, where.line_first, axis=1))


def simplify(
    way: list[tuple[float, float, float]], tolerance: float, most: int
) -> list[tuple[float, float, float]]:
    """A way of (t, x, y) by its fewest points, so that at no time it is off by over `tolerance`.

    Douglas and Peucker's algorithm (1973) with the distance at the same time instead of the
    perpendicular one (Meratnia and de By 2004), so that a halt stays a halt. Where over `most`
    points are left, the tolerance is doubled until they are not.
    """
    points = np.asarray(way)
    while True:
        kept = np.zeros(len(points), np.bool_)
        kept[[0, -1]] = True
        parts = [(0, len(points) - 1)]
        while parts:
            first, last = parts.pop()
            if last - first < 2:
                continue
            between = points[first + 1 : last]
            length = points[last, 0] - points[first, 0]
            share = (between[:, :1] - points[first, 0]) / (length or 1.0)
            there = points[first, 1:] + share * (points[last, 1:] - points[first, 1:])
            off = np.hypot(*(between[:, 1:] - there).T)
            worst = int(off.argmax())
            if off[worst] > tolerance:
                kept[first + 1 + worst] = True
                parts += [(first, first + 1 + worst), (first + 1 + worst, last)]
        if kept.sum() <= most:
            return [(t, x, y) for t, x, y in points[kept].tolist()]
        tolerance *= 2


def self_crossing(polygon: Points) -> tuple[int, int] | None:
    """The first two sides of a polygon, from 0, that meet other than at a shared corner."""
    corners = np.asarray(polygon, np.float64)
    count = len(corners)
    starts, ends = corners, np.roll(corners, -1, axis=0)
    for first in range(count):
        for second in range(first + 1, count):
            if second == first + 1 or (first == 0 and second == count - 1):
                shared = second if second == first + 1 else 0
                out, back = corners[(shared + 1) % count], corners[shared - 1]
                turn = _cross(out - corners[shared], back - corners[shared])
                if turn == 0 and (out - corners[shared]) @ (back - corners[shared]) > 0:
                    return first, second
            elif _meet(starts[first], ends[first], starts[second], ends[second]):
                return first, second
    return None


def _meet(a: Floats, b: Floats, c: Floats, d: Floats) -> bool:
    """Whether the segments a-b and c-d have a point in common."""
    sides = [
        float(np.sign(_cross(q - p, r - p)))
        for p, q, r in ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    ]
    if sides[0] == sides[1] == sides[2] == sides[3] == 0:
        low, high = np.minimum(a, b), np.maximum(a, b)
        return bool((np.maximum(low, np.minimum(c, d)) <= np.minimum(high, np.maximum(c, d))).all())
    return sides[0] * sides[1] <= 0 and sides[2] * sides[3] <= 0


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
