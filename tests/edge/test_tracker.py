"""Tracking: on made-up walks whose truth is known, and on a public sequence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge.tracker import Tracker

Boxes = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def walkers(frame: int, *starts: tuple[float, float]) -> Boxes:
    """People 20 x 60 who go right by 5 pixels a frame (even) or left (odd)."""
    rows = []
    for index, (x, y) in enumerate(starts):
        left = x + (5 if index % 2 == 0 else -5) * frame
        rows.append([left, y, left + 20, y + 60])
    return np.array(rows, np.float32).reshape(-1, 4)


def sure(
    boxes: Boxes, score: float = 0.9
) -> tuple[Boxes, np.ndarray[tuple[int], np.dtype[np.float32]]]:
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
    tracker = Tracker(fps=10, max_age=2.0)
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


frames = st.lists(
    hnp.arrays(
        np.float32, st.tuples(st.integers(0, 6), st.just(5)), elements=st.floats(0, 1, width=32)
    ),
    max_size=25,
)


@given(frames)
def test_whatever_comes_ids_are_unique_end_once_and_repeat(frames: list[Boxes]) -> None:
    trackers = [Tracker(fps=4, min_hits=2, max_age=0.5) for _ in range(2)]
    alive: set[int] = set()
    gone: set[int] = set()
    for frame in frames:
        corner, size, scores = frame[:, :2] * 100, 5 + frame[:, 2:4] * 40, frame[:, 4]
        boxes = np.hstack([corner, corner + size])
        one, other = (tracker.update(boxes, scores) for tracker in trackers)
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        ids = one.ids.tolist()
        assert len(set(ids)) == len(ids) == len(one.boxes) == len(one.scores) <= len(boxes)
        assert np.isfinite(one.boxes).all()
        assert not gone & set(ids)
        ended = set(one.ended.tolist())
        assert ended <= alive
        alive = (alive | set(ids)) - ended
        gone |= ended
    assert set(trackers[0].reset().tolist()) == alive


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
