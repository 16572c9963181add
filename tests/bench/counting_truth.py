"""The truth of `tests.bench.counting`: what happened at lines and in zones, by boxes people drew.

It is to judge the agent, so it shares no code with it and is slow and obvious: plain loops over one
walk at a time. A foot point is the middle of a box's bottom side, and a metre is 1/1.7 of the box's
height, as where a picture is not calibrated.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from pathlib import Path

from tests.bench.scores import Crossing, Stay

Point = tuple[float, float]

STATURE = 1.7
BEYOND = 0.15
"""A crossing is certain this many metres beyond the line; who turns back before has not crossed."""
BRIDGED = 1.0
"""Who is back in a zone, or in the picture, within these seconds has not left it."""
LEAST_STAY = 1.0


@dataclass(frozen=True)
class Step:
    """Where somebody was, and what a metre is there, in pixels."""

    seconds: float
    place: Point
    metre: float


def walks(path: Path, fps: float, scale: float) -> list[list[Step]]:
    """The walks in a file of MOTChallenge truth, whose boxes are `scale` times as large here.

    Rows count whose seventh column is 1; frame 1 is at 0 seconds. Who was out of the picture for
    longer than `BRIDGED` has two walks.
    """
    steps: dict[int, list[Step]] = defaultdict(list)
    rows = [[float(cell) for cell in line.split(",")] for line in path.read_text().splitlines()]
    for frame, person, left, top, width, height, counts, *_ in sorted(rows):
        if counts == 1:
            place = (scale * (left + width / 2), scale * (top + height))
            step = Step((frame - 1) / fps, place, scale * height / STATURE)
            steps[int(person)].append(step)
    found = []
    for person in sorted(steps):
        found.append(steps[person][:1])
        for before, after in pairwise(steps[person]):
            if after.seconds - before.seconds > BRIDGED:
                found.append([])
            found[-1].append(after)
    return found


def crossings(walk: Sequence[Step], name: str, line: Sequence[Point]) -> Iterator[Crossing]:
    """The passages of a polyline. In is to the left of one who walks it from its first point."""
    pending: tuple[float, str] | None = None
    for before, after in pairwise(walk):
        for start, end in pairwise(line):
            way = _crosses(before.place, after.place, start, end)
            if way and pending and pending[1] != way:
                pending = None
            elif way:
                pending = pending or (after.seconds, way)
        away = min(_distance(after.place, start, end) for start, end in pairwise(line))
        if pending and away >= BEYOND * after.metre:
            yield pending[0], name, pending[1]
            pending = None


def stays(walk: Sequence[Step], name: str, polygon: Sequence[Point]) -> Iterator[Stay]:
    """The stays in a zone of `LEAST_STAY` and more."""
    times = [step.seconds for step in walk if inside(step.place, polygon)]
    while times:
        last = 0
        while last + 1 < len(times) and times[last + 1] - times[last] <= BRIDGED:
            last += 1
        if times[last] - times[0] >= LEAST_STAY:
            yield name, times[0], times[last]
        times = times[last + 1 :]


def inside(place: Point, polygon: Sequence[Point]) -> bool:
    """Whether an odd number of a polygon's sides lies to the right of a place."""
    x, y = place
    odd = False
    for (ax, ay), (bx, by) in pairwise([*polygon, polygon[0]]):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            odd = not odd
    return odd


def _crosses(before: Point, after: Point, start: Point, end: Point) -> str:
    """`in` or `out` if a step crosses a line's piece so, else nothing."""
    came_from_right, is_right = _right(start, end, before), _right(start, end, after)
    if came_from_right == is_right or _right(before, after, start) == _right(before, after, end):
        return ""
    return "in" if came_from_right else "out"


def _right(start: Point, end: Point, place: Point) -> bool:
    """Whether a place is on the right hand of one who walks from start to end, with y down."""
    (ax, ay), (bx, by), (x, y) = start, end, place
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0


def _distance(place: Point, start: Point, end: Point) -> float:
    (x, y), (ax, ay), (bx, by) = place, start, end
    share = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    share = min(max(share, 0.0), 1.0)
    return hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay))
