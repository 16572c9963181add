"""Export: ultralytics in its own environment, the edge in this one, and what can go wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from edge.detector import Detector
from models import export, zoo
from models.__main__ import main
from tests.overlap import overlap

Floats = npt.NDArray[np.float32]
Box = list[float]
Scored = list[tuple[float, Box]]
PYTHON = zoo.ROOT / ".venv-models/bin/python"
WIDTH, HEIGHT = 320, 256


@pytest.fixture(scope="session")
def exporter() -> Path:
    """The Python that has ultralytics."""
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON}: make test makes it")
    return PYTHON


def run(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program from the repository's root on one core."""
    return subprocess.run(
        [python, *arguments],
        cwd=zoo.ROOT,
        env={**os.environ, "PYTHONPATH": str(zoo.ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def picture() -> npt.NDArray[np.uint8]:
    """Soft blobs, higher than the input is, so that there are bars at its sides."""
    coarse = np.random.default_rng(7).integers(0, 256, (24, 20, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (400, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def letterboxed() -> tuple[Floats, float, float]:
    """The picture as torch gets it (1, 3, h, w), its scale, and how far right it begins."""
    image = picture()
    scale = HEIGHT / len(image)
    width = round(image.shape[1] * scale)
    left = (WIDTH - width) // 2
    tensor = np.full((1, 3, HEIGHT, WIDTH), 114 / 255, np.float32)
    small = cv2.resize(image, (width, HEIGHT))
    for channel in range(3):
        tensor[0, channel, :, left : left + width] = small[:, :, 2 - channel] / 255
    return tensor, scale, left


def slow_people(answer: Floats) -> Scored:
    """Torch's answer read one box after the other, in pixels of the input, best first."""
    if answer.shape[1] == 6:
        rows = [(row[4], row[:4]) for row in answer.tolist() if row[5] == 0]
        return sorted(rows, reverse=True)
    candidates = []
    for x, y, width, height, score, *_ in answer.T.tolist():
        candidates.append((score, [x - width / 2, y - height / 2, x + width / 2, y + height / 2]))
    kept: Scored = []
    for score, box in sorted(candidates, reverse=True):
        if all(overlap(box, other) <= 0.7 for _, other in kept):
            kept.append((score, box))
    return kept


CASES = {
    "yolov8n.yaml": "ultralytics",
    "yolo11n.pt": "ultralytics",
    "yolov10n-person.yaml": "end-to-end",
    "yolo26n-person.yaml": "end-to-end",
}


@pytest.fixture(scope="session")
def reference(exporter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with torch's answers, and the weights and architectures that gave them."""
    folder = tmp_path_factory.mktemp("torch")
    np.save(folder / "input.npy", letterboxed()[0])
    asked = run(exporter, "tests/models/torch_reference.py", folder, *CASES)
    assert asked.returncode == 0, asked.stderr
    return folder


@pytest.mark.parametrize("name", CASES)
def test_the_edge_sees_in_an_export_what_torch_sees(
    exporter: Path, reference: Path, tmp_path: Path, name: str
) -> None:
    family = CASES[name]
    source = reference / name if (reference / name).exists() else Path(name)
    out = tmp_path / "export.onnx"
    size = f"{WIDTH}x{HEIGHT}"
    made = run(exporter, "-m", "models", "export", source, "--imgsz", size, "--out", out)
    assert made.returncode == 0, made.stderr
    assert "largest difference from torch" in made.stderr
    assert ("weights are random" in made.stderr) == (source.suffix == ".yaml")
    assert "AGPL" in made.stderr
    assert made.stdout.startswith(f"{out}: {family}, {size}, ")

    detector = Detector(out)
    assert (detector.family, detector.size) == (family, (WIDTH, HEIGHT))
    assert detector.classes[0] == "person"
    metadata = onnxruntime.InferenceSession(out).get_modelmeta().custom_metadata_map
    assert (metadata["task"], metadata["imgsz"]) == ("detect", str([HEIGHT, WIDTH]))
    assert metadata["stride"] == "32"
    assert "AGPL" in metadata["license"]
    digest = zoo.sha256(source) if source.suffix == ".pt" else "random"
    assert metadata["weights_sha256"] == digest

    _, scale, left = letterboxed()
    people = slow_people(np.load(reference / f"{name}.npy")[0])
    # A threshold in the widest gap of the scores, so that rounding moves nobody over it.
    scores = np.array([score for score, _ in people[20:60]])
    gap = int(np.argmax(-np.diff(scores)))
    least = float(scores[gap : gap + 2].mean())
    expected = [each for each in people if each[0] >= least]
    image = picture()
    found = detector.detect(image, least)
    order = np.argsort(-found.scores)
    assert len(found.scores) == len(expected) > 20
    np.testing.assert_allclose(
        found.scores[order], [score for score, _ in expected], atol=export.SCORES
    )
    boxes = (np.array([box for _, box in expected]) - [left, 0, left, 0]) / scale
    height, width = image.shape[:2]
    boxes = np.clip(boxes, 0, [width, height, width, height])
    np.testing.assert_allclose(found.boxes[order], boxes, atol=export.PIXELS / scale)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("model.onnx", "model.onnx: give weights (.pt) or an architecture (.yaml)"),
        ("none.pt", "none.pt: no such file; weights are not downloaded here"),
    ],
)
def test_what_is_no_weights_is_refused(
    capsys: pytest.CaptureFixture[str], weights: str, words: str
) -> None:
    assert main(["export", weights, "--imgsz", "320"]) == 2
    assert words in capsys.readouterr().err


def test_without_ultralytics_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["export", "yolo11n.yaml", "--imgsz", "320"]) == 2
    words = capsys.readouterr().err
    assert "export needs torch, which is not installed here" in words
    assert 'pip install "passerby[models]"' in words


@pytest.mark.parametrize("size", ["0", "-32", "big", "320x", "320x320x3", "3.5"])
def test_a_size_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], size: str) -> None:
    with pytest.raises(SystemExit):
        main(["export", "yolo11n.yaml", f"--imgsz={size}"])
    assert "is no size like 640 or 640x384" in capsys.readouterr().err


def test_what_ultralytics_cannot_export_is_a_sentence(exporter: Path, tmp_path: Path) -> None:
    (tmp_path / "garbage.pt").write_bytes(b"no weights")
    cases = {
        "none.yaml": "none.yaml: ultralytics cannot read it",
        str(tmp_path / "garbage.pt"): "garbage.pt: ultralytics cannot read it",
        "yolo11n-seg.yaml": 'a model for the task "segment", not "detect"',
        "yolo11n.yaml": "no size 330x330: give multiples of its stride, 32",
    }
    script = """
import sys
from models import export
from models.__main__ import main
for each in sys.argv[1:]:
    print(main(["export", each, "--imgsz", "330"]))
export.PIXELS = 0.0
print(main(["export", "yolo11n.yaml", "--imgsz", "96", "--out", "/dev/null/none"]))
export.PIXELS = 1.0
print(main(["export", "yolo11n.yaml", "--imgsz", "96", "--out", "/dev/null/none"]))
"""
    done = run(exporter, "-c", script, *cases)
    expected = [
        *cases.values(),
        "yolo11n.yaml: the export differs from torch by",
        "/dev/null/none: Not a directory: give --out a place to write to",
    ]
    assert done.stdout.split() == ["2"] * len(expected), done.stderr
    for line, words in zip(done.stderr.splitlines(), expected, strict=True):
        assert words in line


def rows(*each: tuple[float, float, float]) -> Floats:
    """Rows of six from left edge, score and class."""
    return np.array([[left, 0, left + 5, 9, score, kind] for left, score, kind in each], np.float32)


FIRST, SECOND, LAST = (10.0, 0.9, 0.0), (40.0, 0.5, 1.0), (70.0, 0.1, 0.0)
BESIDE = (80.0, 0.5001, 1.0)


@pytest.mark.parametrize(
    ("expected", "found", "pixels", "scores"),
    [
        (rows(FIRST, SECOND, LAST), rows(FIRST, SECOND, LAST), 0.0, 0.0),
        (rows(FIRST, SECOND, LAST), rows((10.5, 0.9, 0), SECOND, LAST), 0.5, 0.0),
        (rows(FIRST, SECOND, LAST), rows((10, 0.8, 0), SECOND, LAST), np.inf, 0.1),
        (rows(FIRST, SECOND, LAST), rows((10, 0.9, 1), SECOND, LAST), np.inf, 0.0),
        (rows(FIRST, BESIDE, SECOND, LAST), rows(FIRST, SECOND, BESIDE, LAST), 0.0, 0.0001),
        (rows(FIRST, SECOND, LAST), rows(FIRST, SECOND, (20, 0.1, 1)), 0.0, 0.0),
        (np.ones((5, 3)), np.array([[1, 1, 1]] * 4 + [[1, 1, 1.25]]), 0.0, 0.25),
        (np.ones((5, 3)), np.array([[1, 3, 1]] + [[1, 1, 1]] * 4), 2.0, 0.0),
    ],
)
def test_the_difference_is_the_largest_and_passes_over_places(
    expected: Any, found: Any, pixels: float, scores: float
) -> None:
    assert export.difference(expected, found) == pytest.approx((pixels, scores), abs=1e-6)
