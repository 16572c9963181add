"""Detection: each family against a slow, obvious decoder, and the published accuracy."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge.camera import read
from edge.config import ModelError
from edge.detector import Detector, _planes
from tests.edge import graphs
from tests.overlap import overlap

Box = tuple[float, float, float, float]
Image = npt.NDArray[np.uint8]
MODELS = {
    "deim": "deimv2_atto_320.onnx",
    "yolox": "yolox_nano_416.onnx",
    "ultralytics": "yolo11n_int8_320.onnx",
}


@pytest.fixture(scope="session", params=MODELS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def model(shared: Path, family: str) -> Path:
    return shared / "models" / MODELS[family]


@pytest.fixture(scope="session")
def detector(model: Path) -> Detector:
    return Detector(model)


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
    return [(score, clip(box, image)) for score, box in suppressed(candidates, 0.65)]


def suppressed(candidates: list[tuple[float, Box]], least: float) -> list[tuple[float, Box]]:
    kept: list[tuple[float, Box]] = []
    for score, box in sorted(candidates, reverse=True):
        if all(overlap(box, other) <= least for _, other in kept):
            kept.append((score, box))
    return kept


def letterbox(image: Image, size: int) -> tuple[npt.NDArray[np.float32], float, int, int]:
    """The middle of a grey square, RGB in 0..1; its ratio, left and top."""
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    small = cv2.resize(image, (round(width * ratio), round(height * ratio)))
    rows, columns = small.shape[:2]
    left, top = (size - columns) // 2, (size - rows) // 2
    tensor = np.full((1, 3, size, size), 114 / 255, np.float32)
    for channel in range(3):
        place = tensor[0, channel, top : top + rows, left : left + columns]
        place[:] = small[:, :, 2 - channel] / 255.0
    return tensor, ratio, left, top


def slow_ultralytics(
    session: onnxruntime.InferenceSession, image: Image, least: float
) -> list[tuple[float, Box]]:
    tensor, ratio, left, top = letterbox(image, session.get_inputs()[0].shape[2])
    (answer,) = session.run(None, {"images": tensor})
    candidates: list[tuple[float, Box]] = []
    for x, y, w, h, score in answer[0, :5].T.tolist():
        if score >= least:
            corners = (x - w / 2 - left, y - h / 2 - top, x + w / 2 - left, y + h / 2 - top)
            a, b, c, d = (value / ratio for value in corners)
            candidates.append((score, (a, b, c, d)))
    return [(score, clip(box, image)) for score, box in suppressed(candidates, 0.7)]


SLOW = {"deim": slow_deim, "yolox": slow_yolox, "ultralytics": slow_ultralytics}


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
    expected = SLOW[family](session, image, 0.1)
    found = detector.detect(image, 0.1)
    assert detector.family == family
    assert len(found.scores) == len(expected) > 1
    assert found.boxes.dtype == found.scores.dtype == np.float32
    order = np.argsort(-found.scores)
    expected.sort(reverse=True)
    np.testing.assert_allclose(found.scores[order], [score for score, _ in expected], atol=1e-3)
    np.testing.assert_allclose(found.boxes[order], [box for _, box in expected], atol=0.1)


@given(width=some.integers(1, 40), height=some.integers(1, 40), seed=some.integers(0, 9))
@pytest.mark.parametrize(("swap", "scale"), [(True, 1 / 255), (False, 1.0)])
def test_planes_are_those_of_opencv(
    width: int, height: int, seed: int, swap: bool, scale: float
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    expected = cv2.dnn.blobFromImage(image, scale, swapRB=swap)
    found = _planes(image, (2, 1, 0) if swap else (0, 1, 2), scale)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


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
def test_what_is_no_whole_model_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "model.onnx"
    whole = graphs.yolox().SerializeToString()
    path.write_bytes(
        {"nothing": b"", "no ONNX": b"hello", "half": whole[: len(whole) // 2]}[content]
    )
    with pytest.raises(ModelError, match=r"model\.onnx: (not a whole ONNX model|a model of no)"):
        Detector(path)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        Detector(tmp_path / "none.onnx")


COCO = "{0: 'person', 1: 'bicycle', 2: 'car'}"
LATE = "{0: 'bicycle', 1: 'car', 2: 'Person'}"


@pytest.mark.parametrize(
    ("model", "family", "size", "person"),
    [
        (graphs.yolox(), "yolox", (96, 64), 0),
        (graphs.yolox(classes=1), "yolox", (96, 64), 0),
        (graphs.yolox(classes=3, names=LATE), "yolox", (96, 64), 2),
        (graphs.yolox(classes=3, names="['car', 'person', 'dog']"), "yolox", (96, 64), 1),
        (graphs.raw(), "ultralytics", (96, 64), 0),
        (graphs.raw(classes=3, names=LATE), "ultralytics", (96, 64), 2),
        (
            graphs.raw(classes=graphs.CELLS - 4, names=COCO, task="detect"),
            "ultralytics",
            (96, 64),
            0,
        ),
        (graphs.end_to_end(names=COCO), "end-to-end", (96, 64), 0),
        (graphs.end_to_end(names=LATE), "end-to-end", (96, 64), 2),
        (graphs.deim(), "deim", (96, 64), 0),
        (graphs.deim(names=LATE), "deim", (96, 64), 2),
    ],
)
def test_a_family_is_recognised_and_finds_its_person(
    tmp_path: Path, model: graphs.Model, family: str, size: tuple[int, int], person: int
) -> None:
    detector = Detector(graphs.save(model, tmp_path))
    assert (detector.family, detector.size, detector.person) == (family, size, person)


REFUSED: dict[str, tuple[graphs.Model, str]] = {
    "segmentation, said": (
        graphs.raw(task="segment"),
        'for the task "segment", where "detect" is needed; supported are YOLOX',
    ),
    "segmentation, seen": (graphs.masks(), r"a segmentation model, with inputs images \(1x3x64x96"),
    "dynamic": (
        graphs.raw(height="height", width="width"),
        r"dynamic shapes, with inputs images \(1x3xheightxwidth\).*export it for one size",
    ),
    "opset": (
        graphs.raw(opset=999),
        r"needs opset 999 of ai\.onnx, and ONNX Runtime .* has up to \d+: export it with",
    ),
    "format": (graphs.raw(ir=99), "version 99 of the ONNX format, and ONNX Runtime .* up to"),
    "half": (graphs.raw(half=True), r"a tensor\(float16\) of batch 1: export it in float32"),
    "batch": (graphs.raw(batch=4), "of batch 4: export it in float32 for batch 1"),
    "nobody": (
        graphs.raw(classes=2, names="{0: 'cat', 1: 'dog'}"),
        r"no class named person among its 2 \(cat, dog",
    ),
    "no names": (graphs.raw(classes=7), "7 classes without names, so which is person cannot be"),
    "unknown": (graphs.end_to_end(), "unknown classes without names"),
    "bad names": (graphs.raw(names="person; car"), 'class names cannot be read: "person; car"'),
    "other grid": (graphs.raw(cells=99), "no known family, with inputs images"),
    "nan": (graphs.raw(value=math.nan), "answered with NaN or infinity.*export it again"),
    "nan boxes": (graphs.end_to_end(names=COCO, box=(math.nan, 0, 1, 1)), "NaN or infinity"),
    "nan scores": (graphs.deim(score=math.nan), "answered with NaN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    model, words = REFUSED[case]
    with pytest.raises(ModelError, match=words):
        Detector(graphs.save(model, tmp_path))


def test_a_model_that_turns_to_nan_later_is_noticed(tmp_path: Path) -> None:
    """The graph divides by the picture's darkest value, which the first look does not see."""
    detector = Detector(graphs.save(graphs.brittle(), tmp_path))
    assert len(detector.detect(np.full((64, 96, 3), 9, np.uint8)).scores) == 1
    with pytest.raises(ModelError, match="NaN or infinity"):
        detector.detect(np.zeros((64, 96, 3), np.uint8))


@pytest.mark.parametrize(
    ("make", "score"), [(graphs.end_to_end, 0.75), (graphs.deim, 0.75)], ids=["end-to-end", "deim"]
)
def test_only_people_of_enough_score_are_taken(
    tmp_path: Path, make: Callable[..., graphs.Model], score: float
) -> None:
    detector = Detector(graphs.save(make(names=LATE, score=score, person=2), tmp_path))
    image = np.zeros((64, 96, 3), np.uint8)
    assert detector.detect(image, 0.7).scores.tolist() == [0.75]
    assert not len(detector.detect(image, 0.8).scores)
    other = Detector(graphs.save(make(names=LATE, score=score, person=1), tmp_path))
    assert not len(other.detect(image, 0.0).scores)


@given(width=some.integers(1, 400), height=some.integers(1, 300), seed=some.integers(0, 9))
def test_end_to_end_boxes_find_back_into_any_picture(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, seed: int
) -> None:
    """A box drawn on the picture, moved by the slow letterbox, comes back by the detector."""
    generator = np.random.default_rng(seed)
    left, top = generator.uniform(0, (width / 2, height / 2))
    right, bottom = left + width / 3, top + height / 3
    ratio = min(96 / width, 64 / height)
    columns, rows = max(round(width * ratio), 1), max(round(height * ratio), 1)
    across, down = (96 - columns) // 2, (64 - rows) // 2
    inside = (
        left * ratio + across,
        top * ratio + down,
        right * ratio + across,
        bottom * ratio + down,
    )
    folder = tmp_path_factory.mktemp("model")
    detector = Detector(graphs.save(graphs.end_to_end(names=COCO, box=inside), folder))
    found = detector.detect(np.zeros((height, width, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[left, top, right, bottom]], atol=0.01)
