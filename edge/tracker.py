"""Tracking by motion alone: which detection is whom, from one frame to the next.

All tracks live in arrays, a row each. A constant-velocity Kalman filter runs on centre, width and
height, each with its own 2 x 2 covariance; association is ByteTrack's (Zhang et al. 2022): first
the sure detections, then the unsure ones for whoever is left, both by overlap.
"""

from dataclasses import dataclass

import lap
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

POSITION_NOISE = 1 / 20
VELOCITY_NOISE = 1 / 160
"""Standard deviations of a frame's motion, as parts of a person's height (DeepSORT's weights)."""


@dataclass(frozen=True)
class Tracks:
    """Who is seen in a frame, and who has gone for good with it.

    `ids` (m,) int64 count up from 1 in the order of confirmation, `boxes` (m, 4) float32 are
    smoothed, in xyxy pixels, `scores` (m,) float32; `ended` (k,) int64 are ids of earlier frames.
    """

    ids: Rows
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    ended: Rows


class Tracker:
    """Feed it every frame of one camera, in order.

    Args:
        fps: frames a second, to turn `max_age` into frames.
        sure: a detection of at least this score may begin a track.
        unsure: below `sure` and of at least this score it may only go on with one.
        overlap: the least IoU of a track's prediction and a sure detection.
        unsure_overlap: the same for an unsure one.
        min_hits: detections in a row before a track counts.
        max_age: seconds that a track is looked for unseen.
    """

    def __init__(
        self,
        fps: float,
        sure: float = 0.5,
        unsure: float = 0.1,
        overlap: float = 0.1,
        unsure_overlap: float = 0.5,
        min_hits: int = 3,
        max_age: float = 2.0,
    ) -> None:
        self._sure, self._unsure = sure, unsure
        self._overlap, self._unsure_overlap = overlap, unsure_overlap
        self._min_hits, self._max_missed = min_hits, round(max_age * fps)
        self._next = 1
        self._clear()

    def _clear(self) -> None:
        self._place = np.empty((0, 4))  # centre x, centre y, width, height
        self._speed = np.empty((0, 4))
        self._variance = np.empty((0, 3, 4))  # of place, of both, of speed
        self._ids = np.empty(0, np.int64)  # 0: not confirmed yet
        self._hits = np.empty(0, np.int64)
        self._missed = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def reset(self) -> Rows:
        """Forget all tracks; the ids (k,) of those that end by it. Ids are not used again."""
        ended = self._ids[self._ids > 0]
        self._clear()
        return ended

    def update(self, boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]) -> Tracks:
        """The tracks after one more frame's boxes (n, 4) xyxy and scores (n,)."""
        measured = np.asarray(boxes, np.float64)
        self._predict()
        confirmed = self._ids > 0
        seen = self._missed == 0
        sure = np.flatnonzero(scores >= self._sure)
        unsure = np.flatnonzero((scores < self._sure) & (scores >= self._unsure))
        overlap = _overlaps(_corners(self._place), measured)
        free = np.ones(len(self._ids), np.bool_)
        pairs: list[tuple[Rows, Rows]] = []
        for rows, columns, least in (
            (confirmed, sure, self._overlap),
            (confirmed & seen, unsure, self._unsure_overlap),
            (~confirmed, sure, self._overlap),
        ):
            taken = np.concatenate([np.empty(0, np.int64), *(pair[1] for pair in pairs)])
            pair = _match(overlap, np.flatnonzero(rows & free), np.setdiff1d(columns, taken), least)
            free[pair[0]] = False
            pairs.append(pair)
        matched = np.concatenate([pair[0] for pair in pairs])
        by = np.concatenate([pair[1] for pair in pairs])
        self._correct(matched, _centres(measured[by]))
        self._scores[matched] = scores[by]
        self._hits[matched] += 1
        self._missed += 1
        self._missed[matched] = 0
        ended = self._drop()
        fresh = np.setdiff1d(sure, by)
        self._begin(_centres(measured[fresh]), scores[fresh])
        self._confirm()
        now = np.flatnonzero((self._ids > 0) & (self._missed == 0))
        now = now[np.argsort(self._ids[now])]
        return Tracks(
            self._ids[now],
            _corners(self._place[now]).astype(np.float32),
            self._scores[now],
            np.sort(ended),
        )

    def _predict(self) -> None:
        # A person who is not seen does not go on growing or shrinking.
        self._speed[self._missed > 0, 2:] = 0
        self._place += self._speed
        self._place[:, 2:] = np.maximum(self._place[:, 2:], 1.0)
        place, both, speed = self._variance.transpose(1, 0, 2)
        height = self._place[:, 3:]
        self._variance = np.stack(
            [
                place + 2 * both + speed + (POSITION_NOISE * height) ** 2,
                both + speed,
                speed + (VELOCITY_NOISE * height) ** 2,
            ],
            axis=1,
        )

    def _correct(self, rows: Rows, measured: Floats) -> None:
        place, both, speed = self._variance[rows].transpose(1, 0, 2)
        innovation = measured - self._place[rows]
        total = place + (POSITION_NOISE * self._place[rows, 3:]) ** 2
        gain, speed_gain = place / total, both / total
        self._place[rows] += gain * innovation
        self._speed[rows] += speed_gain * innovation
        self._variance[rows] = np.stack(
            [place - gain * place, both - gain * both, speed - speed_gain * both], axis=1
        )

    def _drop(self) -> Rows:
        gone = (self._missed > self._max_missed) | ((self._ids == 0) & (self._missed > 0))
        ended: Rows = self._ids[gone & (self._ids > 0)]
        if gone.any():
            for name in _COLUMNS:
                setattr(self, name, getattr(self, name)[~gone])
        return ended

    def _begin(self, places: Floats, scores: npt.NDArray[np.float32]) -> None:
        count = len(places)
        place = (2 * POSITION_NOISE * places[:, 3:]) ** 2
        speed = (10 * VELOCITY_NOISE * places[:, 3:]) ** 2
        variance = np.stack([place, np.zeros_like(place), speed], axis=1).repeat(4, axis=2)
        zeros = np.zeros(count, np.int64)
        for name, rows in zip(
            _COLUMNS,
            (
                places,
                np.zeros((count, 4)),
                variance,
                zeros,
                zeros + 1,
                zeros,
                scores.astype(np.float32),
            ),
            strict=True,
        ):
            setattr(self, name, np.concatenate([getattr(self, name), rows]))

    def _confirm(self) -> None:
        proven = np.flatnonzero((self._ids == 0) & (self._hits >= self._min_hits))
        self._ids[proven] = np.arange(self._next, self._next + len(proven))
        self._next += len(proven)


_COLUMNS = ("_place", "_speed", "_variance", "_ids", "_hits", "_missed", "_scores")


def _match(overlap: Floats, rows: Rows, columns: Rows, least: float) -> tuple[Rows, Rows]:
    """The pairs of rows and columns with the most overlap in sum, each of at least `least`."""
    if not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    cost = 1.0 - overlap[np.ix_(rows, columns)]
    assigned, _ = lap.lapjv(cost, extend_cost=True, cost_limit=1.0 - least, return_cost=False)
    found = np.flatnonzero(assigned >= 0)
    return rows[found], columns[assigned[found]]


def _overlaps(first: Floats, second: Floats) -> Floats:
    """(n, m) intersection over union of boxes (n, 4) and (m, 4) in xyxy."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.maximum(high - low, 0.0).prod(axis=2)
    areas = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.asarray(common / np.maximum(union, 1e-9))


def _centres(boxes: Floats) -> Floats:
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])


def _corners(places: Floats) -> Floats:
    half = places[:, 2:] / 2
    return np.hstack([places[:, :2] - half, places[:, :2] + half])
