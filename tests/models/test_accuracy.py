"""Average precision against a slow, obvious one, and the readers of the truth."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge.config import EdgeError
from edge.detector import Detector
from models import accuracy, bench
from tests.overlap import overlap

Box = list[float]
Seen = tuple[list[tuple[float, Box]], list[Box]]
"""The scored boxes in a picture, and the people in it."""


def slow_average_precision(pictures: list[Seen]) -> float:
    judged: list[tuple[float, bool]] = []
    people = sum(len(truth) for _, truth in pictures)
    for seen, truth in pictures:
        left = list(truth)
        for score, box in sorted(seen, key=lambda each: -each[0]):
            best = max(left, key=lambda person: overlap(box, person), default=None)
            hit = best is not None and overlap(box, best) >= 0.5
            if hit:
                left.remove(best or [])
            judged.append((score, hit))
    judged.sort(key=lambda each: -each[0])
    points = []
    for count in range(1, len(judged) + 1):
        right = sum(hit for _, hit in judged[:count])
        points.append((right, right / count))
    heights = [
        max((precision for right, precision in points if right * 100 >= step * people), default=0.0)
        for step in range(101)
    ]
    return sum(heights) / 101


def fast_average_precision(pictures: list[Seen]) -> float:
    scores, found = [np.empty(0, np.float32)], [np.empty(0, bool)]
    for seen, truth in pictures:
        boxes = np.array([box for _, box in seen], np.float32).reshape(-1, 4)
        own = np.array([score for score, _ in seen], np.float32)
        scores.append(own)
        people_there = np.array(truth, np.float32).reshape(-1, 4)
        found.append(accuracy.matches(boxes, own, people_there))
    people = sum(len(truth) for _, truth in pictures)
    return accuracy.average_precision(np.concatenate(scores), np.concatenate(found), people)


@some.composite
def crowd(draw: some.DrawFn) -> list[Seen]:
    """Pictures with people on a coarse grid, and boxes that are now and then near one."""
    rng = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    pictures: list[Seen] = []
    for _ in range(draw(some.integers(1, 4))):
        corners = rng.integers(0, 6, (draw(some.integers(0, 8)), 2)) * 10.0
        truth = np.hstack([corners, corners + np.array([18.0, 31.0])])
        near = truth + rng.normal(0, 4, truth.shape)
        away = rng.uniform(0, 40, (draw(some.integers(0, 4)), 4))
        away[:, 2:] += away[:, :2]
        boxes = np.vstack([near, near[: len(near) // 2] + 2, away])
        # All scores differ: who of two equals goes first is nobody's rule.
        scores = rng.permutation(len(boxes)) + rng.uniform(0, 0.9, len(boxes))
        pictures.append((list(zip(scores.tolist(), boxes.tolist(), strict=True)), truth.tolist()))
    return pictures


@given(crowd())
def test_it_equals_the_slow_one(pictures: list[Seen]) -> None:
    if sum(len(truth) for _, truth in pictures) == 0:
        assert math.isnan(fast_average_precision(pictures))
    else:
        expected = slow_average_precision(pictures)
        assert fast_average_precision(pictures) == pytest.approx(expected, abs=1e-12)


def test_it_equals_the_slow_one_on_pictures_and_is_as_published(shared: Path) -> None:
    detector = Detector(shared / "models/yolox_nano_416.onnx")
    pictures: list[Seen] = []
    for image, truth in bench.coco(shared / "images/coco128"):
        found = detector.detect(image, bench.MIN_CONFIDENCE)
        seen = list(zip(found.scores.tolist(), found.boxes.tolist(), strict=True))
        pictures.append((seen, truth.tolist()))
    fast = fast_average_precision(pictures)
    assert fast == pytest.approx(slow_average_precision(pictures), abs=1e-9)
    assert fast == pytest.approx(0.626, abs=0.01)


PERSON: Box = [0.0, 0.0, 10.0, 20.0]
ABOVE: Box = [0.0, 0.0, 10.0, 10.5]
BELOW: Box = [0.0, 0.0, 10.0, 9.5]


@pytest.mark.parametrize(
    ("seen", "truth", "expected"),
    [
        ([(0.9, PERSON)], [PERSON], 1.0),
        ([(0.9, ABOVE)], [PERSON], 1.0),
        ([(0.9, BELOW)], [PERSON], 0.0),
        ([], [PERSON], 0.0),
        ([(0.9, PERSON), (0.8, PERSON)], [PERSON], 1.0),  # found twice, but only after all
        ([(0.9, BELOW), (0.8, PERSON)], [PERSON], 0.5),
        ([(0.9, PERSON)], [PERSON, [50.0, 50.0, 60.0, 70.0]], 51 / 101),
    ],
)
def test_average_precision_by_hand(
    seen: list[tuple[float, Box]], truth: list[Box], expected: float
) -> None:
    assert fast_average_precision([(seen, truth)]) == pytest.approx(expected)


@given(some.integers(0, 6), some.integers(0, 6), some.integers(0, 99))
def test_overlaps_are_shares_and_do_not_depend_on_the_order(n: int, m: int, seed: int) -> None:
    boxes = np.random.default_rng(seed).uniform(0, 9, (n + m, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    shared = accuracy.overlaps(boxes[:n], boxes[n:])
    assert shared.shape == (n, m)
    assert ((shared >= 0) & (shared <= 1 + 1e-6)).all()
    np.testing.assert_allclose(shared, accuracy.overlaps(boxes[n:], boxes[:n]).T)
    np.testing.assert_allclose(np.diag(accuracy.overlaps(boxes, boxes)), 1.0, rtol=1e-5)


def test_a_box_without_area_overlaps_nothing() -> None:
    flat = np.array([[3.0, 3.0, 3.0, 9.0]], np.float32)
    assert accuracy.overlaps(flat, flat).tolist() == [[0.0]]


def same(found: npt.NDArray[np.float32], expected: list[Box]) -> bool:
    return found.shape == (len(expected), 4) and np.allclose(found.reshape(-1), np.ravel(expected))


def test_yolo_labels_become_boxes_of_people(tmp_path: Path) -> None:
    path = tmp_path / "1.txt"
    path.write_text("0 0.5 0.5 0.2 0.4\n\n16 0.1 0.1 0.1 0.1\n0 0.1 0.25 0.2 0.5\n")
    assert same(accuracy.read_yolo(path, 200, 100), [[80, 30, 120, 70], [0, 0, 40, 50]])
    assert same(accuracy.read_yolo(path, 200, 100, kind=16), [[10, 5, 30, 15]])
    assert same(accuracy.read_yolo(tmp_path / "none.txt", 200, 100), [])


def test_mot_rows_with_the_flag_become_boxes_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("1,1,10,20,30,40,1,1,1\n3,1,0,0,8,8,1\n3,2,8,8,8,16,1,-1\n3,3,1,1,1,1,0\n")
    found = accuracy.read_mot(path, 0.5)
    assert sorted(found) == [1, 3]
    assert same(found[1], [[5, 10, 20, 30]])
    assert same(found[3], [[0, 0, 4, 4], [4, 4, 8, 12]])


@pytest.mark.parametrize("line", ["0 0.5 0.5", "0 a 0 0 0", "0 nan 0 0 0"])
def test_a_bad_label_names_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "1.txt"
    path.write_text(f"0 0.5 0.5 0.2 0.4\n{line}\n")
    with pytest.raises(EdgeError, match=r"1\.txt:2: .*5 numbers"):
        accuracy.read_yolo(path, 10, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"1,1,10,20,30\n", r"gt\.txt:1: .*7 numbers"), (b"\xff", "not a text file")],
)
def test_a_bad_truth_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(content)
    with pytest.raises(EdgeError, match=words):
        accuracy.read_mot(path)
    with pytest.raises(EdgeError, match="not a text file"):
        accuracy.read_mot(tmp_path / "none.txt")


@given(some.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("gt") / "gt.txt"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        boxes = accuracy.read_mot(path)
    except EdgeError:
        return
    assert all(each.shape[1] == 4 for each in boxes.values())
