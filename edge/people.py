"""Who is who on one floor: the cameras' tracks become people.

A tracker loses somebody behind a shelf or behind somebody else, and gives another number to whoever
comes out again; and where cameras overlap, each has a number for the same person. Both are put
right by place and time alone, never by looks.

- Stitching: a new track that begins where somebody who is not seen may be by now is that person.
  They may be `REACH` metres from where they were last expected, `PACE` more for each second unseen,
  `FARTHEST` at most, and are waited for `PATIENCE`.
- Merging: two people whom different cameras see, and no camera both, are one if they have been
  within `SAME` metres of each other for `TOGETHER`. Tracks of one person that are `APART` are not
  one after all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import hypot

import lap
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

PATIENCE = timedelta(seconds=10)
REACH, PACE, FARTHEST = 0.6, 0.25, 1.5
DRIFT = 1.0
"""Somebody unseen is expected to go on for so many seconds, and then to stand."""
SAME, APART = 0.5, 1.0
TOGETHER = timedelta(seconds=1)
NOW = timedelta(seconds=0.5)
"""A camera sees whom it saw within this time."""
SMOOTH = 0.15
"""What a frame adds to the running mean of a person's speed."""


@dataclass(frozen=True)
class Moved:
    """What a frame says of people.

    `numbers` (n,) are at `points` (n, 2). Of the others, `ended` are gone for good, `merged` pairs
    one who was somebody else all the time with that other; `found` are seen again after a gap.
    """

    numbers: Rows
    points: Floats
    ended: list[int]
    merged: list[tuple[int, int]]
    found: list[int]


@dataclass
class _View:
    """A camera's last sight of somebody."""

    track: int
    time: datetime
    point: tuple[float, float]


@dataclass
class _Person:
    point: tuple[float, float]
    seen: datetime
    metre: float
    camera: str
    """Who saw them last."""
    speed: tuple[float, float] = (0.0, 0.0)
    views: dict[str, _View] = field(default_factory=dict)
    waited: bool = False
    """Whether no camera has a track of them any more."""
    beside: dict[int, datetime] = field(default_factory=dict)
    """Who else has been at the same place, seen by other cameras, and since when."""


class People:
    """The people of one floor."""

    def __init__(self) -> None:
        self._people: dict[int, _Person] = {}
        self._whose: dict[tuple[str, int], int] = {}
        self._next = 1

    def number(self, camera: str, track: int) -> int | None:
        """Who a camera's track is, if they have been seen on the floor."""
        return self._whose.get((camera, track))

    def update(
        self,
        camera: str,
        time: datetime,
        tracks: Rows,
        points: Floats,
        metres: Floats,
        ended: Iterable[int] = (),
    ) -> Moved:
        """The people after one camera's frame.

        Args:
            tracks: (n,) its tracks that are seen.
            points: (n, 2) where on the floor.
            metres: (n,) what a metre is there, in the floor's unit.
            ended: its tracks that it has given up.
        """
        for track in ended:
            self._let_go(camera, track)
        whose = [self._whose.get((camera, track), 0) for track in tracks.tolist()]
        fresh = [row for row, number in enumerate(whose) if not number]
        found = []
        for row, number in self._claims(camera, time, points, metres, fresh, set(whose)):
            whose[row] = number
            if time - self._people[number].seen > NOW:
                found.append(number)
        for row, (track, (x, y)) in enumerate(zip(tracks.tolist(), points.tolist(), strict=True)):
            number = whose[row]
            if not number:
                number = whose[row] = self._next
                self._next += 1
                self._people[number] = _Person((x, y), time, float(metres[row]), camera)
            self._see(number, camera, _View(track, time, (x, y)), float(metres[row]))
        merged = [*self._merge(camera, time, whose)]
        into = dict(merged)
        numbers = [into.get(number, number) for number in whose]
        gone = [
            number
            for number, person in self._people.items()
            if person.waited and time - person.seen > PATIENCE
        ]
        for number in gone:
            del self._people[number]
        where = [self._people[number].point for number in numbers]
        return Moved(
            np.array(numbers, np.int64), np.array(where).reshape(-1, 2), gone, merged, found
        )

    def leave(self, camera: str) -> list[int]:
        """A camera sees nobody any more; those who are gone for good, as it saw them last."""
        for name, track in list(self._whose):
            if name == camera:
                self._let_go(camera, track)
        gone = [
            number
            for number, person in self._people.items()
            if person.waited and person.camera == camera
        ]
        for number in gone:
            del self._people[number]
        return gone

    def clear(self) -> None:
        """Forget everybody; their numbers are not used again."""
        self._people.clear()
        self._whose.clear()

    def _let_go(self, camera: str, track: int) -> None:
        person = self._people.get(self._whose.pop((camera, track), 0))
        if person and camera in person.views and person.views[camera].track == track:
            del person.views[camera]
            person.waited = not person.views

    def _claims(
        self,
        camera: str,
        time: datetime,
        points: Floats,
        metres: Floats,
        fresh: list[int],
        taken: set[int],
    ) -> Iterator[tuple[int, int]]:
        """Which fresh rows are people whom no camera sees."""
        waiting = [
            (number, person)
            for number, person in self._people.items()
            if number not in taken
            and time - person.seen <= PATIENCE
            and all(name == camera or time - view.time > NOW for name, view in person.views.items())
        ]
        if not fresh or not waiting:
            return
        cost = np.empty((len(fresh), len(waiting)))
        for column, (_, person) in enumerate(waiting):
            unseen = max((time - person.seen).total_seconds(), 0.0)
            drift, (vx, vy) = min(unseen, DRIFT), person.speed
            x, y = person.point[0] + drift * vx, person.point[1] + drift * vy
            reach = np.minimum(REACH + PACE * unseen, FARTHEST) * metres[fresh]
            cost[:, column] = np.hypot(points[fresh, 0] - x, points[fresh, 1] - y) / reach
        columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0, return_cost=False)
        for row, column in zip(fresh, columns.tolist(), strict=True):
            if column >= 0:
                yield row, waiting[column][0]

    def _see(self, number: int, camera: str, view: _View, metre: float) -> None:
        person = self._people[number]
        old = person.views.get(camera)
        if old and old.track != view.track:
            self._whose.pop((camera, old.track), None)
        self._whose[camera, view.track] = number
        person.views[camera] = view
        person.metre, person.camera, person.waited = metre, camera, False
        now = [each.point for each in person.views.values() if view.time - each.time <= NOW]
        x, y = sum(point[0] for point in now) / len(now), sum(point[1] for point in now) / len(now)
        seconds = (view.time - person.seen).total_seconds()
        if seconds >= 1:
            person.speed = (0.0, 0.0)
        elif seconds > 0:
            share, (vx, vy) = SMOOTH / seconds, person.speed
            person.speed = (
                (1 - SMOOTH) * vx + share * (x - person.point[0]),
                (1 - SMOOTH) * vy + share * (y - person.point[1]),
            )
        person.point, person.seen = (x, y), max(view.time, person.seen)

    def _merge(
        self, camera: str, time: datetime, numbers: Iterable[int]
    ) -> Iterator[tuple[int, int]]:
        """Pairs who turn out to be one: who is no more, and who they are."""
        for number in list(numbers):
            person = self._people.get(number)
            if person is None:
                continue
            x, y = person.views[camera].point
            for name, view in list(person.views.items()):
                away = hypot(view.point[0] - x, view.point[1] - y)
                if time - view.time <= NOW and away > APART * person.metre:
                    # The other camera's track is somebody else's, and is given to whoever it fits.
                    self._let_go(name, view.track)
            cameras = {name for name, view in person.views.items() if time - view.time <= NOW}
            for other, who in list(self._people.items()):
                theirs = {name for name, view in who.views.items() if time - view.time <= NOW}
                away = hypot(who.point[0] - person.point[0], who.point[1] - person.point[1])
                if other == number or not theirs or theirs & cameras:
                    continue
                if away > SAME * person.metre:
                    person.beside.pop(other, None)
                elif time - person.beside.setdefault(other, time) >= TOGETHER:
                    older, newer = min(number, other), max(number, other)
                    self._join(newer, older)
                    yield newer, older
                    break

    def _join(self, newer: int, older: int) -> None:
        gone, person = self._people.pop(newer), self._people[older]
        for camera, view in gone.views.items():
            known = person.views.get(camera)
            if known:
                self._whose.pop((camera, known.track), None)
            person.views[camera] = view
            self._whose[camera, view.track] = older
        person.seen, person.waited = max(person.seen, gone.seen), False
        person.beside.clear()
