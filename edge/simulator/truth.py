"""What really happens in a scene: boxes, tracks, crossings, visits, queues and sales.

It is to judge the edge's own rooms, so it shares no code with them: plain loops over the true
positions, one person at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import hypot

import numpy as np
import numpy.typing as npt

from edge.config import Point
from edge.simulator.crowd import Turn
from edge.simulator.scene import Scene, during
from edge.simulator.view import View

BEYOND = 0.15
"""A crossing is certain this many metres beyond the line; who turns back before has not crossed."""
SEEN = 0.2
"""Somebody is seen in a picture that shows at least this share of them."""
AROUND = 1.0
"""A crossing is hidden if its person is in no picture seen from this long before until after."""
BRIDGED = 1.0
"""Who is back in a zone within these seconds has not left it."""


@dataclass(frozen=True)
class Record:
    """Everybody in every picture of a scene, (n,) rows in the order of pictures and people.

    `frames` from 0, `ids`, `staff`, `positions` (n, 2) in metres, `boxes` (n, 4) left, top, right,
    bottom in pixels (width and height 0: outside the picture), `visibility` 0 to 1. While the
    camera is black or frozen it sees nobody. `turns` are those at the tills that ended.
    """

    scene: Scene
    frames: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    staff: npt.NDArray[np.bool_]
    positions: npt.NDArray[np.float64]
    boxes: npt.NDArray[np.float32]
    visibility: npt.NDArray[np.float64]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Crossing:
    """One passage of a line, in seconds from the start; `seen` as `AROUND` and `SEEN` have it."""

    seconds: float
    line: str
    direction: str
    person: int
    staff: bool
    seen: bool


@dataclass(frozen=True)
class Visit:
    """One stay in a zone, in seconds from the start; `seen` is the share of it in view.

    A stay that goes on at the scene's first or last picture is cut there.
    """

    zone: str
    person: int
    entered: float
    exited: float
    staff: bool
    seen: float


def record(scene: Scene, tell: Callable[[int], None] = lambda frame: None) -> Record:
    """Run a scene without drawing it; `tell` hears the number of each picture."""
    crowd, view = scene.crowd(), scene.view()
    elsewhere: View | None = None
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    for frame in range(scene.frames):
        tell(frame)
        seconds = frame / scene.fps
        crowd.step(seconds - crowd.time)
        people = crowd.people
        if during(scene.black, seconds) or during(scene.frozen, seconds):
            boxes, visibility = np.zeros((len(people), 4), np.float32), np.zeros(len(people))
        elif during(scene.moved, seconds):
            elsewhere = elsewhere or scene.view(moved=True)
            boxes, visibility = elsewhere.boxes(crowd)
        else:
            boxes, visibility = view.boxes(crowd)
        frames = np.full(len(people), frame, np.int64)
        copies = (people["id"].copy(), people["staff"].copy(), people["position"].copy())
        columns.append((frames, *copies, boxes, visibility))
    frames, ids, staff, positions, boxes, visibility = map(
        np.concatenate, zip(*columns, strict=True)
    )
    return Record(scene, frames, ids, staff, positions, boxes, visibility, tuple(crowd.turns))


@dataclass(frozen=True)
class _Track:
    """One person: (n,) seconds, whether seen, and places."""

    person: int
    staff: bool
    seconds: list[float]
    seen: list[bool]
    places: list[Point]


def _tracks(truth: Record) -> Iterator[_Track]:
    order = np.argsort(truth.ids, kind="stable")
    ends = np.flatnonzero(np.diff(truth.ids[order])) + 1
    for rows in np.split(order, ends):
        if len(rows):
            yield _Track(
                int(truth.ids[rows[0]]),
                bool(truth.staff[rows[0]]),
                (truth.frames[rows] / truth.scene.fps).tolist(),
                (truth.visibility[rows] >= SEEN).tolist(),
                [(x, y) for x, y in truth.positions[rows].tolist()],
            )


def crossings(truth: Record) -> list[Crossing]:
    """Every passage of the store's lines, in the order of time."""
    found = []
    for track in _tracks(truth):
        for line in truth.scene.store.lines:
            for step, inwards in _passages(track.places, line.points):
                when = track.seconds[step]
                seen = any(
                    here
                    for second, here in zip(track.seconds, track.seen, strict=True)
                    if abs(second - when) <= AROUND
                )
                direction = "in" if inwards else "out"
                found.append(Crossing(when, line.id, direction, track.person, track.staff, seen))
    return sorted(found, key=lambda each: (each.seconds, each.person, each.line))


def _passages(places: list[Point], line: tuple[Point, ...]) -> Iterator[tuple[int, bool]]:
    """The steps with which somebody crosses a polyline, once they are well beyond it."""
    pending: tuple[int, bool] | None = None
    for step in range(1, len(places)):
        for start, end in pairwise(line):
            inwards = _crosses(places[step - 1], places[step], start, end)
            if inwards is not None:
                # Across and back again is nothing.
                turned_back = pending is not None and pending[1] != inwards
                pending = None if turned_back else pending or (step, inwards)
        if pending is not None and _distance(places[step], line) >= BEYOND:
            yield pending
            pending = None


def _crosses(before: Point, after: Point, start: Point, end: Point) -> bool | None:
    """Whether a step crosses a segment to its left-hand side (in) or right (out), or not (None).

    Left and right of one who walks from start to end, with y down the plan.
    """
    from_right, to_right = _right(start, end, before), _right(start, end, after)
    if from_right == to_right or _right(before, after, start) == _right(before, after, end):
        return None
    return from_right


def _right(start: Point, end: Point, place: Point) -> bool:
    (ax, ay), (bx, by), (x, y) = start, end, place
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0


def _distance(place: Point, line: tuple[Point, ...]) -> float:
    return min(_to_segment(place, start, end) for start, end in pairwise(line))


def _to_segment(place: Point, start: Point, end: Point) -> float:
    (x, y), (ax, ay), (bx, by) = place, start, end
    square = (bx - ax) ** 2 + (by - ay) ** 2
    share = min(max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square, 0.0), 1.0)
    return hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay))


def visits(truth: Record) -> list[Visit]:
    """Every stay in the store's zones, in the order of its end."""
    found = []
    for track in _tracks(truth):
        for zone in truth.scene.store.zones:
            inside = _inside(track.places, zone.polygon)
            for first, last in _stays(track.seconds, inside):
                seen = track.seen[first : last + 1]
                found.append(
                    Visit(
                        zone.id,
                        track.person,
                        track.seconds[first],
                        track.seconds[last],
                        track.staff,
                        sum(seen) / len(seen),
                    )
                )
    return sorted(found, key=lambda each: (each.exited, each.person, each.zone))


def _stays(seconds: list[float], inside: list[bool]) -> Iterator[tuple[int, int]]:
    """The first and last step of each stay."""
    first = last = None
    for step, here in enumerate(inside):
        if not here:
            continue
        if first is None or last is None:
            first = step
        elif seconds[step] - seconds[last] > BRIDGED:
            yield first, last
            first = step
        last = step
    if first is not None and last is not None:
        yield first, last


def _inside(places: list[Point], polygon: tuple[Point, ...]) -> list[bool]:
    """Which places have a polygon's sides an odd number of times to their right."""
    x, y = np.array(places).T
    odd = np.zeros(len(places), np.bool_)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if ay != by:
            odd ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return odd.tolist()


def mot_rows(truth: Record) -> Iterator[str]:
    """The boxes in the MOTChallenge format.

    frame (from 1), id, left, top, width, height, 1, 1 (a person), visibility. Who is outside the
    picture has no row.
    """
    left, top, right, bottom = truth.boxes.T
    for row in np.flatnonzero((right > left) & (bottom > top)).tolist():
        yield (
            f"{truth.frames[row] + 1},{truth.ids[row]},{left[row]:.2f},{top[row]:.2f},"
            f"{right[row] - left[row]:.2f},{bottom[row] - top[row]:.2f},1,1,"
            f"{truth.visibility[row]:.2f}\n"
        )
