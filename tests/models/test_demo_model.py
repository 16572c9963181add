"""The model for rendered stores: what it is, and that it finds people in stores it never saw."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from edge.detector import Detections, Detector
from edge.simulator import Crowd, View, plan
from models.score_demo import SCORE, Shot, figures, shots, tally

ROOT = Path(__file__).parents[2]
MODEL, CARD = ROOT / "models/demo.onnx", ROOT / "models/demo.md"


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(MODEL)


def test_it_is_what_its_card_says(detector: Detector) -> None:
    content, card = MODEL.read_bytes(), CARD.read_text(encoding="utf-8")
    assert re.findall(r"\b[0-9a-f]{64}\b", card) == [hashlib.sha256(content).hexdigest()]
    assert len(content) < 2_000_000
    assert detector.family == "yolox"
    assert detector.classes == {0: "person"}
    assert detector.licence == "Apache-2.0"
    assert f"{detector.size[0]} × {detector.size[1]}" in card


def test_its_file_says_what_it_is_for() -> None:
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert "rendered scenes only" in metadata["description"]


@pytest.mark.parametrize(
    ("name", "seed", "people", "cameras"),
    [("supermarket", 301, 40, ["overview", "entrance"]), ("boutique", 302, 15, ["aisles"])],
)
def test_it_finds_people_in_unseen_stores(
    detector: Detector, name: str, seed: int, people: int, cameras: list[str]
) -> None:
    tallies = [
        tally(detector.detect(shot.image, SCORE), shot)
        for shot in shots(name, people, [seed], moments=8, cameras=cameras)
    ]
    count, _, recall, precision, feet = figures(tallies)
    assert count > 50
    assert recall > 0.72
    assert precision > 0.86
    assert feet < 7.5


@dataclass
class Nobody:
    people: npt.NDArray[np.void]
    time: float = 0.0


def test_it_sees_nobody_in_an_empty_store(detector: Detector) -> None:
    store = plan("supermarket", 303)
    nobody = Nobody(Crowd(store, 1, 303).people[:0])
    image = View(store, store.pose("checkouts")).draw(nobody)
    assert len(detector.detect(image, SCORE).boxes) == 0


def test_tally_counts_as_it_says() -> None:
    """One well-seen and found, one seen and missed, one hidden and found, and a box on nobody."""
    boxes = np.array([[0, 0, 10, 40], [50, 0, 60, 40], [90, 0, 100, 40]], np.float32)
    shot = Shot("any", np.zeros((1, 1, 3), np.uint8), boxes, np.array([1, 0.4, 0.1], np.float32))
    found = np.array([[0, 0, 10, 36], [91, 0, 101, 40], [150, 0, 160, 40]], np.float32)
    result = tally(Detections(found, np.array([0.9, 0.8, 0.7], np.float32)), shot)
    assert result.found.tolist() == [True, False]
    assert result.people == 2
    assert result.feet.tolist() == [4.0]
    people, precision50, *rest = figures([result])
    assert (people, rest) == (2, [0.5, 0.5, 4.0])
    assert precision50 == pytest.approx(51 / 101)
