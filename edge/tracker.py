"""Tracking by motion alone: which detection is whom, from one frame to the next.

Association is ByteTrack's (Zhang et al. 2022): first the sure detections, then the unsure ones for
whoever is left, both by overlap with where a constant-velocity Kalman filter expects the track.

The filter's noise is a part of the noise of a detection, which is the unit of all variances here.
Its gains then depend only on when a track was seen: a person's height cancels out, centre and size
share one 2 x 2 covariance, and a frame's prediction is one matrix product over all tracks.
"""

from dataclasses import dataclass

import lap
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

POSITION_NOISE = 0.8
VELOCITY_NOISE = 0.25
"""Standard deviations of a frame's motion. DeepSORT's come to 1 and 1/8, for 30 frames a second; at
10 a step is less like the one before it, so there is more to learn from each detection."""
BIRTH_VARIANCE = (1.0, 0.0, 6.0)
"""Of a new track's place, of place with velocity, and of its velocity, which is not known yet."""
SURE = 0.9
"""This part of the score that begins a track makes a detection a sure one, for going on with it."""
COVERED = 0.6
"""What lies by so much inside a matched box is the same person twice, and begins no track."""

PLACE, SPEED, SIZE_SPEED, VARIANCE = slice(0, 4), slice(4, 8), slice(6, 8), slice(8, 11)
ROWS = 11
"""A track's state: centre x, y, width, height, the speeds of the four, and three variances."""


def _transition() -> tuple[Floats, Floats]:
    step = np.eye(ROWS, dtype=np.float32)
    step[PLACE, SPEED] = np.eye(4)
    step[VARIANCE, VARIANCE] = [[1, 2, 1], [0, 1, 1], [0, 0, 1]]
    noise = np.zeros((ROWS, 1), np.float32)
    noise[8], noise[10] = POSITION_NOISE**2, VELOCITY_NOISE**2
    return step, noise


STEP, NOISE = _transition()


@dataclass(frozen=True)
class Tracks:
    """Who is seen in a frame, and who has gone for good with it.

    `ids` (m,) int64 count up from 1 in the order of confirmation, `boxes` (m, 4) float32 are
    smoothed, in xyxy pixels, `scores` (m,) float32; `ended` (k,) int64 are ids of earlier frames.
    """

    ids: Rows
    boxes: Floats
    scores: Floats
    ended: Rows


class Tracker:
    """Feed it every frame of one camera, in order.

    Args:
        fps: frames a second, to turn `max_age` into frames.
        sure: a detection of at least this score may begin a track; of 0.9 of it, it is matched
            before the others.
        unsure: a detection of at least this score may go on with one.
        min_hits: detections in a row before a track counts.
        overlap: the least IoU of a track's prediction and a sure detection.
        unsure_overlap: the same for an unsure one.
        max_age: seconds that a track is looked for unseen.
    """

    def __init__(
        self,
        fps: float,
        sure: float = 0.9,
        unsure: float = 0.1,
        min_hits: int = 2,
        overlap: float = 0.2,
        unsure_overlap: float = 0.3,
        max_age: float = 2.0,
    ) -> None:
        self._begin_score, self._sure, self._unsure = sure, SURE * sure, unsure
        self._min_hits = min_hits
        self._overlap, self._unsure_overlap = overlap, unsure_overlap
        self._max_missed = round(max_age * fps)
        self._next = 1
        self._clear()

    def _clear(self) -> None:
        self._state = np.empty((ROWS, 0), np.float32)
        self._ids = np.empty(0, np.int64)  # 0: does not count yet
        self._hits = np.empty(0, np.int64)
        self._missed = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def reset(self) -> Rows:
        """Forget all tracks; the ids (k,) of those that end by it. Ids are not used again."""
        ended = np.sort(self._ids[self._ids > 0])
        self._clear()
        return ended

    def update(self, boxes: Floats, scores: Floats) -> Tracks:
        """The tracks after one more frame's boxes (n, 4) xyxy and scores (n,)."""
        corners = np.ascontiguousarray(boxes.T, np.float32)
        measured = _centres(corners)
        self._predict()
        rows, by = self._associate(_overlaps(_corners(self._state), corners), scores)
        self._correct(rows, measured[:, by])
        self._scores[rows] = scores[by]
        self._hits[rows] += 1
        self._missed += 1
        self._missed[rows] = 0
        fresh = scores >= self._begin_score
        fresh[by] = False
        new = np.flatnonzero(fresh)
        if len(new) and len(by):
            new = new[_covered(corners[:, new], corners[:, by]) < COVERED]
        ended = self._drop()
        self._begin(measured[:, new], scores[new])
        self._confirm()
        now = np.flatnonzero((self._missed == 0) & (self._ids > 0))
        now = now[self._ids[now].argsort()]
        return Tracks(
            self._ids[now], _corners(self._state[:, now]).T.copy(), self._scores[now], ended
        )

    def _predict(self) -> None:
        # A person who is not seen does not go on growing or shrinking.
        self._state[SIZE_SPEED] *= self._missed == 0
        self._state = STEP @ self._state
        self._state += NOISE
        size = self._state[2:4]
        np.maximum(size, 1.0, out=size)

    def _associate(self, overlap: Floats, scores: Floats) -> tuple[Rows, Rows]:
        sure = scores >= self._sure
        rows, by = _match(overlap, None, np.flatnonzero(sure), self._overlap)
        left = (self._missed == 0) & (self._ids > 0)
        left[rows] = False
        unsure = np.flatnonzero(~sure & (scores >= self._unsure))
        if not len(unsure) or not left.any():
            return rows, by
        more, by_more = _match(overlap, np.flatnonzero(left), unsure, self._unsure_overlap)
        return np.concatenate([rows, more]), np.concatenate([by, by_more])

    def _correct(self, rows: Rows, measured: Floats) -> None:
        state = self._state[:, rows]
        innovation = measured - state[PLACE]
        place, both, _ = state[VARIANCE]
        gain, speed_gain = state[8:10] / (place + 1.0)
        state[PLACE] += gain * innovation
        state[SPEED] += speed_gain * innovation
        state[10] -= speed_gain * both
        state[8:10] *= 1.0 - gain
        self._state[:, rows] = state

    def _drop(self) -> Rows:
        gone = (self._missed > self._max_missed) | ((self._ids == 0) & (self._missed > 0))
        if not gone.any():
            return self._ids[:0]
        ended = self._ids[gone]
        self._state = self._state[:, ~gone]
        self._ids = self._ids[~gone]
        self._hits = self._hits[~gone]
        self._missed = self._missed[~gone]
        self._scores = self._scores[~gone]
        return np.sort(ended[ended > 0])

    def _begin(self, places: Floats, scores: Floats) -> None:
        count = len(scores)
        if not count:
            return
        state = np.zeros((ROWS, count), np.float32)
        state[PLACE] = places
        state[VARIANCE] = np.array(BIRTH_VARIANCE)[:, None]
        self._state = np.hstack([self._state, state])
        zeros = np.zeros(count, np.int64)
        self._ids = np.append(self._ids, zeros)
        self._hits = np.append(self._hits, zeros + 1)
        self._missed = np.append(self._missed, zeros)
        self._scores = np.append(self._scores, scores)

    def _confirm(self) -> None:
        proven = np.flatnonzero((self._ids == 0) & (self._hits >= self._min_hits))
        self._ids[proven] = np.arange(self._next, self._next + len(proven))
        self._next += len(proven)


def _match(overlap: Floats, rows: Rows | None, columns: Rows, least: float) -> tuple[Rows, Rows]:
    """Pairs of rows (all if None) and columns, each overlapping by more than `least`.

    Of all ways to pair, the one whose overlaps beyond `least` have the largest sum.
    """
    gain = overlap if rows is None else overlap[rows]
    if len(columns) < overlap.shape[1]:
        gain = gain[:, columns]
    if not gain.size:
        return columns[:0], columns[:0]
    gain = gain - np.float32(least)
    np.maximum(gain, 0.0, out=gain)
    assigned, _ = lap.lapjv(-gain, extend_cost=True, return_cost=False)
    found = np.flatnonzero(assigned >= 0)
    other = assigned[found]
    real = gain[found, other] > 0
    found, other = found[real], other[real]
    return (found if rows is None else rows[found]), columns[other]


def _common(first: Floats, second: Floats) -> Floats:
    """(n, m) area that boxes (4, n) and (4, m) in xyxy share."""
    width: Floats = np.minimum(first[2, :, None], second[2])
    width -= np.maximum(first[0, :, None], second[0])
    height = np.minimum(first[3, :, None], second[3])
    height -= np.maximum(first[1, :, None], second[1])
    np.maximum(width, 0.0, out=width)
    np.maximum(height, 0.0, out=height)
    width *= height
    return width


def _area(boxes: Floats) -> Floats:
    area: Floats = (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])
    return area


def _overlaps(first: Floats, second: Floats) -> Floats:
    """(n, m) intersection over union of boxes (4, n) and (4, m) in xyxy."""
    common = _common(first, second)
    union: Floats = _area(first)[:, None] + _area(second)
    union -= common
    np.maximum(union, 1e-9, out=union)
    return np.divide(common, union, out=common)


def _covered(first: Floats, second: Floats) -> Floats:
    """(n,) the largest part of each box (4, n) that one of the others (4, m) covers."""
    part: Floats = _common(first, second).max(axis=1) / np.maximum(_area(first), 1e-9)
    return part


def _centres(corners: Floats) -> Floats:
    low, high = corners[:2], corners[2:]
    return np.vstack([(low + high) / 2, high - low])


def _corners(state: Floats) -> Floats:
    half = state[2:4] / 2
    return np.vstack([state[:2] - half, state[:2] + half])
