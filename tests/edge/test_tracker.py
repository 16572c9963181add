"""Tracking: on made-up walks whose truth is known, and on a public sequence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracker import COVERED, POSITION_NOISE, SURE, VELOCITY_NOISE, Tracker, Tracks
from tests.overlap import overlap

Boxes = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


def walkers(frame: int, *starts: tuple[float, float]) -> Boxes:
    """People 20 x 60 who go right by 5 pixels a frame (even) or left (odd)."""
    rows = []
    for index, (x, y) in enumerate(starts):
        left = x + (5 if index % 2 == 0 else -5) * frame
        rows.append([left, y, left + 20, y + 60])
    return np.array(rows, np.float32).reshape(-1, 4)


def sure(boxes: Boxes, score: float = 0.9) -> tuple[Boxes, Scores]:
    return boxes, np.full(len(boxes), score, np.float32)


def test_a_walker_keeps_the_id_and_the_box_follows() -> None:
    tracker = Tracker(fps=10, min_hits=3)
    seen = [tracker.update(*sure(walkers(frame, (0, 100)))) for frame in range(30)]
    assert [tracks.ids.tolist() for tracks in seen] == [[], [], *[[1]] * 28]
    np.testing.assert_allclose(seen[-1].boxes, walkers(29, (0, 100)), atol=2)
    assert seen[-1].boxes.dtype == np.float32


def test_two_who_pass_one_another_do_not_swap() -> None:
    tracker = Tracker(fps=10)
    for frame in range(39):
        tracker.update(*sure(walkers(frame, (0, 100), (200, 108))))
    last = tracker.update(*sure(walkers(39, (0, 100), (200, 108))))
    assert last.ids.tolist() == [1, 2]
    assert last.boxes[0, 0] > last.boxes[1, 0]


def test_who_is_hidden_for_less_than_max_age_comes_back_the_same() -> None:
    tracker = Tracker(fps=10, min_hits=3, max_age=2.0)
    for frame in range(60):
        hidden = 20 <= frame < 38
        tracks = tracker.update(*sure(walkers(frame, (0, 100))[: 0 if hidden else 1]))
        assert tracks.ended.tolist() == []
        assert tracks.ids.tolist() == ([] if hidden or frame < 2 else [1])


@pytest.mark.parametrize("fps", [5.0, 10.0, 30.0])
def test_max_age_is_in_seconds(fps: float) -> None:
    tracker = Tracker(fps, max_age=2.0)
    still = np.array([[0, 0, 20, 60]], np.float32)
    for _ in range(5):
        tracker.update(*sure(still))
    ended = [tracker.update(*sure(still[:0])).ended.tolist() for _ in range(int(3 * fps))]
    assert ended.index([1]) == round(2.0 * fps)
    assert sum(map(len, ended)) == 1


def test_unsure_detections_carry_a_track_on_but_begin_none() -> None:
    tracker = Tracker(fps=10, sure=0.5, unsure=0.1)
    for frame in range(10):
        assert tracker.update(*sure(walkers(frame, (0, 100)), 0.3)).ids.tolist() == []
    for frame in range(10, 30):
        tracks = tracker.update(*sure(walkers(frame, (0, 100)), 0.9 if frame < 15 else 0.3))
    assert tracks.ids.tolist() == [1]
    assert tracker.update(*sure(walkers(30, (0, 100)), 0.05)).ids.tolist() == []


def test_reset_ends_all_and_ids_are_not_used_again() -> None:
    tracker = Tracker(fps=10, min_hits=1)
    tracker.update(*sure(walkers(0, (0, 100), (200, 100))))
    assert tracker.reset().tolist() == [1, 2]
    assert tracker.update(*sure(walkers(0, (0, 100)))).ids.tolist() == [3]


@pytest.mark.parametrize(("score", "ids"), [(0.95, [1]), (0.85, []), (0.3, [])])
def test_only_a_sure_detection_begins_a_track(score: float, ids: list[int]) -> None:
    tracker = Tracker(fps=10, sure=0.9, min_hits=1)
    assert tracker.update(*sure(walkers(0, (0, 100)), score)).ids.tolist() == ids


def test_a_box_within_one_that_was_matched_begins_no_track() -> None:
    tracker = Tracker(fps=10, min_hits=1)
    whole = np.array([[0, 0, 20, 60]], np.float32)
    tracker.update(*sure(whole))
    twice = np.array([[0, 0, 20, 60], [2, 0, 18, 30], [18, 0, 38, 60]], np.float32)
    assert tracker.update(*sure(twice)).ids.tolist() == [1, 2]


def test_200_people_at_once_and_then_nobody() -> None:
    tracker = Tracker(fps=10, min_hits=3)
    starts = [(100.0 * (index % 20), 100.0 * (index // 20)) for index in range(200)]
    for frame in range(20):
        tracks = tracker.update(*sure(walkers(frame, *starts)))
        assert len(tracks.ids) == (0 if frame < 2 else 200)
    nobody = tracker.update(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    assert nobody.boxes.shape == (0, 4)
    assert len(nobody.ids) == len(nobody.ended) == 0
    assert tracker.reset().tolist() == list(range(1, 201))


Frame = tuple[Boxes, Scores]


@st.composite
def streams(draw: st.DrawFn) -> list[Frame]:
    """Up to 25 frames of up to five people who wander, flicker and stand before one another."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    people = draw(st.integers(0, 5))
    places = random.uniform(0, 80, (people, 2))
    sizes = random.uniform([10, 30], [30, 80], (people, 2))
    frames = []
    for _ in range(draw(st.integers(1, 25))):
        places += random.normal(0, 6, places.shape)
        seen = random.random(people) < draw(st.sampled_from([0.0, 0.7, 1.0]))
        size = sizes * random.uniform(0.9, 1.1, sizes.shape)
        boxes = np.hstack([places - size / 2, places + size / 2])[seen].astype(np.float32)
        frames.append((boxes, random.uniform(0, 1, len(boxes)).astype(np.float32)))
    return frames


def make() -> Tracker:
    return Tracker(fps=4, sure=0.4, min_hits=2, max_age=0.5)


@given(streams())
def test_ids_are_unique_and_end_once(frames: list[Frame]) -> None:
    tracker = make()
    alive: set[int] = set()
    gone: set[int] = set()
    for boxes, scores in frames:
        tracks = tracker.update(boxes, scores)
        ids = tracks.ids.tolist()
        assert sorted(set(ids)) == ids
        assert len(ids) == len(tracks.boxes) == len(tracks.scores) <= len(boxes)
        assert np.isfinite(tracks.boxes).all()
        assert not gone & set(ids)
        ended = set(tracks.ended.tolist())
        assert ended <= alive
        alive = (alive | set(ids)) - ended
        gone |= ended
    assert set(tracker.reset().tolist()) == alive


@given(streams(), st.integers(0, 25))
def test_a_frames_tracks_depend_on_no_later_frame(frames: list[Frame], cut: int) -> None:
    tracker, shorter = make(), make()
    whole = [tracker.update(*frame) for frame in frames]
    for tracks, frame in zip(whole, frames[:cut], strict=False):
        same(tracks, shorter.update(*frame))


@given(streams(), st.randoms())
def test_the_order_of_detections_matters_only_to_the_numbers(
    frames: list[Frame], random: Random
) -> None:
    tracker, other = make(), make()
    names: dict[int, int] = {}
    for boxes, scores in frames:
        order = list(range(len(boxes)))
        random.shuffle(order)
        one, two = tracker.update(boxes, scores), other.update(boxes[order], scores[order])
        assert len(one.ids) == len(two.ids)
        for number, box, score in zip(one.ids.tolist(), one.boxes, one.scores, strict=True):
            (row,) = np.flatnonzero((two.scores == score) & np.isclose(two.boxes, box).all(axis=1))
            assert names.setdefault(number, int(two.ids[row])) == two.ids[row]


@settings(max_examples=200)
@given(streams())
def test_arrays_do_what_one_object_a_track_does(frames: list[Frame]) -> None:
    tracker, twin = make(), Twin(sure=0.4, min_hits=2, max_missed=2)
    for boxes, scores in frames:
        same(tracker.update(boxes, scores), twin.update(boxes, scores))
    assert tracker.reset().tolist() == sorted(track.number for track in twin.tracks if track.number)


def same(one: Tracks, two: Tracks) -> None:
    assert one.ids.tolist() == two.ids.tolist()
    assert one.ended.tolist() == two.ended.tolist()
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-2)


@dataclass(eq=False)
class Person:
    """One track: a Kalman filter of two states for each of centre x, y, width and height."""

    place: list[float]
    score: float
    speed: list[float] = field(default_factory=lambda: [0.0] * 4)
    covariance: Matrix = field(default_factory=lambda: np.array([[1.0, 0.0], [0.0, 6.0]]))
    number: int = 0
    hits: int = 1
    missed: int = 0

    def predict(self) -> None:
        if self.missed:
            self.speed[2:] = [0.0, 0.0]
        self.place = [at + by for at, by in zip(self.place, self.speed, strict=True)]
        self.place[2:] = [max(size, 1.0) for size in self.place[2:]]
        motion = np.array([[1.0, 1.0], [0.0, 1.0]])
        noise = np.diag([POSITION_NOISE**2, VELOCITY_NOISE**2])
        self.covariance = motion @ self.covariance @ motion.T + noise

    def correct(self, measured: list[float], score: float) -> None:
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + 1.0)
        for axis in range(4):
            error = measured[axis] - self.place[axis]
            self.place[axis] += gain[0] * error
            self.speed[axis] += gain[1] * error
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.hits, self.missed, self.score = self.hits + 1, 0, score

    @property
    def box(self) -> list[float]:
        x, y, width, height = self.place
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


class Twin:
    """The tracker again, an object a track, every way to pair tried out."""

    def __init__(self, sure: float, min_hits: int, max_missed: int) -> None:
        self.sure, self.min_hits, self.max_missed = sure, min_hits, max_missed
        self.tracks, self.next = list[Person](), 1

    def update(self, boxes: Boxes, scores: Scores) -> Tracks:
        detections = list(zip(boxes.tolist(), scores.tolist(), strict=True))
        for track in self.tracks:
            track.predict()
        firm = [one for one in detections if one[1] >= SURE * self.sure]
        faint = [one for one in detections if 0.1 <= one[1] < SURE * self.sure]
        pairs = best_pairs(self.tracks, firm, 0.2)
        left = [
            track
            for track in self.tracks
            if track.number
            and track.missed == 0
            and not any(track is matched for matched, _ in pairs)
        ]
        pairs += best_pairs(left, faint, 0.3)
        for track in self.tracks:
            track.missed += 1
        for track, (box, score) in pairs:
            track.correct(centre(box), score)
        taken = [one for _, one in pairs]
        gone = [
            track
            for track in self.tracks
            if track.missed > (self.max_missed if track.number else 0)
        ]
        self.tracks = [track for track in self.tracks if track not in gone]
        for box, score in firm:
            if score < self.sure or (box, score) in taken:
                continue
            if any(covered(box, other) >= COVERED for other, _ in taken):
                continue
            self.tracks.append(Person(centre(box), score))
        for track in self.tracks:
            if not track.number and track.hits >= self.min_hits:
                track.number = self.next
                self.next += 1
        seen = [track for track in self.tracks if track.number and track.missed == 0]
        seen.sort(key=lambda track: track.number)
        return Tracks(
            np.array([track.number for track in seen], np.int64),
            np.array([track.box for track in seen], np.float32).reshape(-1, 4),
            np.array([track.score for track in seen], np.float32),
            np.array(sorted(track.number for track in gone if track.number), np.int64),
        )


Detection = tuple[list[float], float]


def best_pairs(
    tracks: Sequence[Person], detections: Sequence[Detection], least: float
) -> list[tuple[Person, Detection]]:
    """Of all ways to pair, the one with the most overlap beyond `least` in sum."""
    if not tracks:
        return []
    first, rest = tracks[0], tracks[1:]
    ways = [best_pairs(rest, detections, least)]
    for index, one in enumerate(detections):
        if overlap(first.box, one[0]) > least:
            others = [*detections[:index], *detections[index + 1 :]]
            ways.append([(first, one), *best_pairs(rest, others, least)])
    return max(ways, key=lambda way: sum(overlap(a.box, b[0]) - least for a, b in way))


def covered(box: list[float], other: list[float]) -> float:
    """How much of a box another one covers."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0.0) * max(height, 0.0) / ((box[2] - box[0]) * (box[3] - box[1]))


def centre(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def test_a_public_sequence_is_followed_with_few_identities(shared: Path) -> None:
    """PETS09-S2L1 has 19 people; few more tracks may come of it, and most must last."""

    folder = shared / "mot/PETS09-S2L1"
    rows = np.loadtxt(folder / "det/frcnn.txt", delimiter=",")
    tracker = Tracker(fps=7)
    lengths: dict[int, int] = {}
    for frame in range(1, 796):
        found = rows[rows[:, 0] == frame]
        boxes = np.hstack([found[:, 2:4], found[:, 2:4] + found[:, 4:6]]).astype(np.float32)
        for number in tracker.update(boxes, found[:, 6].astype(np.float32)).ids.tolist():
            lengths[number] = lengths.get(number, 0) + 1
    assert len(lengths) < 80
    assert sum(sorted(lengths.values())[-19:]) > 0.6 * sum(lengths.values())
