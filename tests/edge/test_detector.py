"""Detection: each family against a slow, obvious decoder, and the published accuracy."""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from edge.camera import read
from edge.config import ModelError
from edge.detector import OVERLAP, Detector

Box = tuple[float, float, float, float]
Image = npt.NDArray[np.uint8]
MODELS = {"deim": "deimv2_atto_320.onnx", "yolox": "yolox_nano_416.onnx"}


@pytest.fixture(scope="session", params=MODELS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def model(shared: Path, family: str) -> Path:
    return shared / "models" / MODELS[family]


@pytest.fixture(scope="session")
def detector(model: Path) -> Detector:
    return Detector(model)


def overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def slow_deim(
    session: onnxruntime.InferenceSession, image: Image, least: float
) -> list[tuple[float, Box]]:
    size = session.get_inputs()[0].shape[2]
    small = cv2.resize(image, (size, size))
    tensor = np.zeros((1, 3, size, size), np.float32)
    for channel in range(3):
        tensor[0, channel] = small[:, :, 2 - channel] / 255.0
    height, width = image.shape[:2]
    feed = {"images": tensor, "orig_target_sizes": np.array([[width, height]])}
    labels, boxes, scores = session.run(["labels", "boxes", "scores"], feed)
    found = []
    for label, (a, b, c, d), score in zip(labels[0], boxes[0], scores[0], strict=True):
        if label == 0 and score >= least:
            found.append((float(score), clip((a, b, c, d), image)))
    return found


def slow_yolox(
    session: onnxruntime.InferenceSession, image: Image, least: float
) -> list[tuple[float, Box]]:
    size = session.get_inputs()[0].shape[2]
    height, width = image.shape[:2]
    ratio = min(size / height, size / width)
    tensor = np.full((1, 3, size, size), 114.0, np.float32)
    small = cv2.resize(image, (int(width * ratio), int(height * ratio)))
    for channel in range(3):
        tensor[0, channel, : small.shape[0], : small.shape[1]] = small[:, :, channel]
    rows = iter(session.run(None, {session.get_inputs()[0].name: tensor})[0][0].tolist())
    candidates: list[tuple[float, Box]] = []
    for stride in (8, 16, 32):
        for y in range(size // stride):
            for x in range(size // stride):
                row = next(rows)
                score = row[4] * row[5]
                if score >= least:
                    centre_x, centre_y = (
                        (row[0] + x) * stride / ratio,
                        (row[1] + y) * stride / ratio,
                    )
                    w, h = math.exp(row[2]) * stride / ratio, math.exp(row[3]) * stride / ratio
                    left, top = centre_x - w / 2, centre_y - h / 2
                    candidates.append((score, (left, top, left + w, top + h)))
    kept: list[tuple[float, Box]] = []
    for score, box in sorted(candidates, reverse=True):
        if all(overlap(box, other) <= OVERLAP for _, other in kept):
            kept.append((score, box))
    return [(score, clip(box, image)) for score, box in kept]


def clip(box: Box, image: Image) -> Box:
    height, width = image.shape[:2]
    a, b, c, d = (float(value) for value in box)
    return (
        min(max(a, 0), width),
        min(max(b, 0), height),
        min(max(c, 0), width),
        min(max(d, 0), height),
    )


@pytest.mark.parametrize("video", ["supermarket.mp4", "store-aisle.gif", "pets09-s2l1.mp4"])
def test_a_family_equals_its_slow_decoder(
    shared: Path, model: Path, detector: Detector, family: str, video: str
) -> None:
    image = next(read(shared / "video" / video, datetime(2026, 1, 1, tzinfo=UTC))).image
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = (slow_deim if family == "deim" else slow_yolox)(session, image, 0.1)
    found = detector.detect(image, 0.1)
    assert detector.family == family
    assert len(found.scores) == len(expected) > 1
    assert found.boxes.dtype == found.scores.dtype == np.float32
    order = np.argsort(-found.scores)
    expected.sort(reverse=True)
    np.testing.assert_allclose(found.scores[order], [score for score, _ in expected], atol=1e-3)
    np.testing.assert_allclose(found.boxes[order], [box for _, box in expected], atol=0.1)


def average_precision(
    pictures: Iterable[tuple[list[tuple[float, Box]], list[Box]]],
) -> float:
    """AP at IoU 0.5, precision interpolated at 101 recalls as COCO does it."""
    hits, people = [], 0
    for found, truth in pictures:
        people += len(truth)
        free = set(range(len(truth)))
        for score, box in sorted(found, reverse=True):
            best = max(free, key=lambda index: overlap(box, truth[index]), default=None)
            hit = best is not None and overlap(box, truth[best]) >= 0.5
            if hit and best is not None:
                free.remove(best)
            hits.append((score, hit))
    hits.sort(reverse=True)
    right = np.cumsum([hit for _, hit in hits])
    precision = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
    places = np.searchsorted(right / people, np.linspace(0, 1, 101))
    return float(np.append(precision, 0.0)[places].mean())


def pairs(detector: Detector, image: Image) -> list[tuple[float, Box]]:
    found = detector.detect(image, 0.01)
    return [
        (score, (a, b, c, d))
        for score, (a, b, c, d) in zip(found.scores.tolist(), found.boxes.tolist(), strict=True)
    ]


def coco(shared: Path, detector: Detector) -> Iterator[tuple[list[tuple[float, Box]], list[Box]]]:
    folder = shared / "images/coco128"
    for path in sorted((folder / "images/val2017").glob("*.jpg")):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        height, width = image.shape[:2]
        labels = folder / "labels/val2017" / f"{path.stem}.txt"
        truth: list[Box] = []
        for line in labels.read_text().splitlines() if labels.exists() else []:
            kind, x, y, w, h = map(float, line.split())
            if kind == 0:
                left, top = (x - w / 2) * width, (y - h / 2) * height
                truth.append((left, top, left + w * width, top + h * height))
        yield pairs(detector, image), truth


def pets(shared: Path, detector: Detector) -> Iterator[tuple[list[tuple[float, Box]], list[Box]]]:
    rows = np.loadtxt(shared / "mot/PETS09-S2L1/gt/gt.txt", delimiter=",")
    rows = rows[rows[:, 6] == 1]
    for frame in read(shared / "video/pets09-s2l1.mp4", datetime(2026, 1, 1, tzinfo=UTC)):
        if frame.index % 8 == 0:
            boxes = rows[rows[:, 0] == frame.index + 1, 2:6] * 0.625
            truth = [(a, b, a + w, b + h) for a, b, w, h in boxes.tolist()]
            yield pairs(detector, frame.image), truth


@pytest.mark.parametrize(
    ("family", "published"), [("deim", 0.562), ("yolox", 0.626)], indirect=["family"]
)
def test_accuracy_on_coco_is_as_published(
    shared: Path, detector: Detector, published: float
) -> None:
    assert average_precision(coco(shared, detector)) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(
    ("family", "published"), [("deim", 0.815), ("yolox", 0.872)], indirect=["family"]
)
def test_accuracy_on_a_street_is_no_worse_than_published(
    shared: Path, detector: Detector, published: float
) -> None:
    """Every eighth frame, for time's sake; all 795 frames give .831 and .891."""
    assert average_precision(pets(shared, detector)) > published - 0.01


def test_boxes_stay_in_the_picture_and_an_empty_one_has_nobody(detector: Detector) -> None:
    image = np.zeros((90, 333, 3), np.uint8)
    everything = detector.detect(image, 0.0)
    assert (everything.boxes >= 0).all()
    assert (everything.boxes <= (333, 90, 333, 90)).all()
    nobody = detector.detect(image, 0.5)
    assert nobody.boxes.shape == (0, 4)
    assert nobody.scores.shape == (0,)


def test_the_hash_is_of_the_content_and_the_name_does_not_matter(
    tmp_path: Path, model: Path, detector: Detector, family: str
) -> None:
    copy = tmp_path / "whatever"
    copy.write_bytes(model.read_bytes())
    other = Detector(copy)
    assert (other.family, other.size, other.model_hash) == (
        family,
        detector.size,
        detector.model_hash,
    )


@pytest.mark.parametrize("content", ["nothing", "no ONNX", "half"])
def test_what_is_no_whole_model_is_refused(tmp_path: Path, model: Path, content: str) -> None:
    path = tmp_path / "model.onnx"
    whole = model.read_bytes()
    path.write_bytes(
        {"nothing": b"", "no ONNX": b"hello", "half": whole[: len(whole) // 2]}[content]
    )
    with pytest.raises(
        ModelError, match=r"model\.onnx: (not a whole ONNX model|a model of no known)"
    ):
        Detector(path)


def test_a_missing_model_and_a_foreign_family_are_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        Detector(tmp_path / "none.onnx")
    with pytest.raises(
        ModelError, match=r"images \(1x3x320x320\) and outputs output0 \(1x84x2100\)"
    ):
        Detector(shared / "models/yolo11n_int8_320.onnx")
