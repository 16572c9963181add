"""How far counts are from the truth: pure functions over times, stays and places.

A crossing is (seconds, line, direction). A stay is (place, begin, end) in seconds. A dot is a row
of (frame, whoever, x, y), in metres.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import lap
import numpy as np
import numpy.typing as npt

Crossing = tuple[float, str, str]
Stay = tuple[str, float, float]
Dots = npt.NDArray[np.float64]

TOGETHER = 2.0
"""Two crossings of one line and direction are the same one if no more seconds lie between them."""
NEAR = 1.0
"""A dot can be somebody who is no more metres away."""


def same_crossings(truth: Sequence[Crossing], found: Sequence[Crossing]) -> int:
    """How many crossings of the truth were found, each by one of its own, the earliest first.

    >>> same_crossings([(1.0, "door", "in"), (5.0, "door", "in")], [(1.5, "door", "in")])
    1
    """
    waiting = defaultdict(list)
    for seconds, line, direction in sorted(found):
        waiting[line, direction].append(seconds)
    same = 0
    for seconds, line, direction in sorted(truth):
        others = waiting[line, direction]
        while others and others[0] < seconds - TOGETHER:
            others.pop(0)
        if others and others[0] <= seconds + TOGETHER:
            others.pop(0)
            same += 1
    return same


def stay_errors(truth: Sequence[Stay], found: Sequence[Stay]) -> npt.NDArray[np.float64]:
    """(n,) seconds by which each stay of the truth was told wrong.

    Stays in one place are paired so that they share as much time as possible in sum; one that is
    left alone is wrong by all of its length.

    >>> stay_errors([("till", 0, 10), ("shelf", 0, 4)], [("till", 1, 9), ("till", 9, 10)])
    array([2., 4.])
    """
    errors = np.array([end - begin for _, begin, end in truth], np.float64)
    for place in {name for name, _, _ in truth}:
        mine = [index for index, stay in enumerate(truth) if stay[0] == place]
        theirs = [stay for stay in found if stay[0] == place]
        if not theirs:
            continue
        begins, ends = (np.array([truth[index][side] for index in mine]) for side in (1, 2))
        other_begins, other_ends = (np.array([stay[side] for stay in theirs]) for side in (1, 2))
        shared = np.minimum(ends[:, None], other_ends) - np.maximum(begins[:, None], other_begins)
        partners, _ = _assign(-np.maximum(shared, 0.0))
        for row, column in enumerate(partners):
            if column >= 0 and shared[row, column] > 0:
                length = other_ends[column] - other_begins[column]
                errors[mine[row]] = abs(length - errors[mine[row]])
    return errors


def who_is_who(truth: Dots, found: Dots) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Each dot's person, and how far away that person is.

    Args:
        truth: (n, 4).
        found: (m, 4).

    Returns: (m,) rows of `truth`, -1 for nobody, and (m,) metres, NaN for nobody. In each frame
    dots and people are paired so that the metres in sum are the fewest, none over `NEAR`.
    """
    rows = np.full(len(found), -1)
    metres = np.full(len(found), np.nan)
    by_frame = {frame: np.flatnonzero(truth[:, 0] == frame) for frame in np.unique(truth[:, 0])}
    for frame in np.unique(found[:, 0]):
        mine, theirs = np.flatnonzero(found[:, 0] == frame), by_frame.get(frame)
        if theirs is None:
            continue
        away = np.linalg.norm(found[mine, None, 2:] - truth[None, theirs, 2:], axis=-1)
        partners, _ = _assign(away, NEAR)
        taken = partners >= 0
        rows[mine[taken]] = theirs[partners[taken]]
        metres[mine[taken]] = away[taken, partners[taken]]
    return rows, metres


def zones_right(
    truth: Dots,
    stays: Iterable[tuple[int, str, float, float]],
    found: Dots,
    rows: npt.NDArray[np.int64],
    zone_of: Sequence[str],
    fps: float,
) -> tuple[int, int]:
    """How many stays were given to the right zone, of how many.

    Args:
        truth: (n, 4).
        stays: person, zone, begin, end.
        found: (m, 4).
        rows: (m,) as `who_is_who` gives them.
        zone_of: (m,) the zone of each dot, or an empty name.
        fps: frames a second.

    A stay's zone is the one in which the dots of its person were most often in its time; a stay
    whose person had no dots is wrong.
    """
    zones = np.asarray(zone_of)
    people = np.where(rows >= 0, truth[rows, 1], -1)
    right = count = 0
    for person, zone, begin, end in stays:
        there = (people == person) & (found[:, 0] >= begin * fps) & (found[:, 0] <= end * fps)
        names, times = np.unique(zones[there], return_counts=True)
        right += len(names) > 0 and names[times.argmax()] == zone
        count += 1
    return right, count


def _assign(
    cost: npt.NDArray[np.float64], limit: float = np.inf
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The column of each row and the row of each column, -1 for none, at the least cost."""
    columns, rows = lap.lapjv(cost, extend_cost=True, cost_limit=limit, return_cost=False)
    return np.asarray(columns, np.int64), np.asarray(rows, np.int64)
