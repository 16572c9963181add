"""The floor: what lies where on it.

Floor points are metres where a camera is calibrated, else fractions of its picture. All functions
take all points at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plan:
    """A floor's lines and zones, by their segments.

    The segments of all lines lie one after another in `line_starts`, `line_ends` (s, 2); line i
    begins at `line_first[i]`. The same for the sides of the zones.
    """

    line_starts: Floats
    line_ends: Floats
    line_first: npt.NDArray[np.int64]
    zone_starts: Floats
    zone_ends: Floats
    zone_first: npt.NDArray[np.int64]


def plan(lines: Sequence[Points], zones: Sequence[Points]) -> Plan:
    """The plan of lines (polylines of 2 or more points) and zones (polygons of 3 or more)."""
    closed = [[*zone, zone[0]] for zone in zones]
    return Plan(*_segments(lines), *_segments(closed))


def _segments(polylines: Sequence[Points]) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    arrays = [np.asarray(points, np.float64) for points in polylines]
    empty = np.empty((0, 2))
    starts = np.concatenate([empty, *(array[:-1] for array in arrays)])
    ends = np.concatenate([empty, *(array[1:] for array in arrays)])
    first = np.cumsum([0, *(len(array) - 1 for array in arrays)])[:-1]
    return starts, ends, first.astype(np.int64)


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
    return _distances(where.line_starts, where.line_ends, where.line_first, points)


def zone_depths(where: Plan, points: Floats) -> Floats:
    """(n, zones): how far inside each zone points (n, 2) lie; below 0, how far outside."""
    if not len(where.zone_first):
        return np.zeros((len(points), 0))
    apart = _distances(where.zone_starts, where.zone_ends, where.zone_first, points)
    return np.where(inside(where, points), apart, -apart)


def _distances(
    starts: Floats, ends: Floats, first: npt.NDArray[np.int64], points: Floats
) -> Floats:
    way = ends - starts
    offset = points[:, None] - starts
    along = np.clip((offset * way).sum(-1) / (way * way).sum(-1), 0.0, 1.0)
    distances = np.linalg.norm(offset - along[..., None] * way, axis=-1)
    return np.asarray(np.minimum.reduceat(distances, first, axis=1))


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
