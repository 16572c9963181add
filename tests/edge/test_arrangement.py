"""How a model is run on this machine: measured once, kept, and never at the price of the answer."""

import logging
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge import arrangement
from edge.arrangement import FILE, Arrangement, arrange
from edge.config import ModelError, Provider
from edge.detector import Detections, Detector
from tests.edge import graphs

PERSON = "{0: 'person'}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangement, "SECONDS", 0.02)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return graphs.save(graphs.end_to_end(names=PERSON), tmp_path)


def count_measurements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The callers of each measurement from now on."""
    asked: list[int] = []
    rate = arrangement._rate

    def counted(detector: Detector, picture: npt.NDArray[np.uint8], callers: int) -> float:
        asked.append(callers)
        return rate(detector, picture, callers)

    monkeypatch.setattr(arrangement, "_rate", counted)
    return asked


def test_the_first_start_measures_and_the_next_one_reads(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_measurements(monkeypatch)
    detector, found = arrange(model, tmp_path / "state")
    assert set(asked) == {arrangement.cores(), 1}
    assert found.callers == arrangement.cores() // found.threads
    assert found.provider == "cpu"
    assert found.threads >= 1
    assert found.rate > 0
    assert detector.family == "end-to-end"
    asked.clear()
    again, known = arrange(model, tmp_path / "state")
    assert (again.model_hash, known, asked) == (detector.model_hash, found, [])


def test_another_model_or_machine_is_measured_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange(model, tmp_path)
    asked = count_measurements(monkeypatch)
    graphs.save(graphs.end_to_end(names=PERSON, score=0.6), tmp_path)
    arrange(model, tmp_path)
    assert set(asked) == {arrangement.cores(), 1}
    monkeypatch.setattr(arrangement, "cores", lambda: 6)
    asked.clear()
    arrange(model, tmp_path)
    assert asked == [6, 1]


@given(content=some.binary(max_size=60) | some.just(b'{"conditions": {}, "fastest": {}}'))
def test_a_damaged_file_is_as_good_as_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("state") / FILE
    path.write_bytes(content)
    assert arrangement._read(path, {}) is None


def test_what_cannot_be_kept_is_said_and_nothing_worse(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    _, found = arrange(model, tmp_path / "file")
    assert found.rate > 0
    assert "will be measured again" in caplog.text


class Foreign(Detector):
    """A stand-in for a chip that is not here: quick, and as right as `error` lets it be."""

    error = 0.0

    def __init__(self, path: Path, provider: Provider = "cpu", threads: int = 1) -> None:
        super().__init__(path)
        self.foreign, self.threads = provider != "cpu", threads

    def detect(self, image: npt.NDArray[np.uint8], min_confidence: float = 0.1) -> Detections:
        found = super().detect(image, min_confidence)
        if not self.foreign:
            time.sleep(0.03)
            return found
        return Detections(found.boxes, found.scores + np.float32(self.error))


@pytest.mark.parametrize(("error", "chosen"), [(0.0, "cuda"), (0.01, "cuda"), (0.2, "cpu")])
def test_a_faster_chip_is_taken_if_its_answers_are_right(
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: float,
    chosen: str,
) -> None:
    here = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: here)
    monkeypatch.setattr(Foreign, "error", error)
    monkeypatch.setattr(arrangement, "Detector", Foreign)
    # Long enough that a busy machine does not turn the order round.
    monkeypatch.setattr(arrangement, "SECONDS", 0.1)
    _, found = arrange(model, tmp_path)
    assert found.provider == chosen
    assert ("its scores are off by 0.20" in caplog.text) == (chosen == "cpu")


def test_a_provider_is_preferred_only_where_it_is(
    tmp_path: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert arrange(model, tmp_path)[1].provider == "cpu"
        assert not caplog.text
        assert arrange(model, tmp_path, ["coreml", "cpu"])[1].provider == "cpu"
    assert "this onnxruntime has no coreml: install the one that has it" in caplog.text
    with pytest.raises(ModelError, match=r"model\.onnx: this onnxruntime has no coreml"):
        Detector(model, "coreml")


def test_a_provider_without_its_libraries_is_no_silent_cpu(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime names the provider as available and then quietly takes the CPU."""
    session = onnxruntime.InferenceSession

    def quiet(content: bytes, options: object, providers: object) -> onnxruntime.InferenceSession:
        return session(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", quiet)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ModelError, match="cuda cannot be used here: are its driver"):
        Detector(model, "cuda")


def test_a_chip_that_is_gone_is_measured_anew(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrange(model, tmp_path)
    monkeypatch.setattr(arrangement, "_read", lambda *_: Arrangement("openvino", 1, 2, 99.0))
    assert arrange(model, tmp_path)[1].provider == "cpu"
    assert "openvino, which was fastest, is gone" in caplog.text


def test_all_callers_are_at_it_at_once(model: Path) -> None:
    here, most, lock, all_here = 0, 0, threading.Lock(), threading.Event()

    class Slow(Detector):
        def detect(self, image: npt.NDArray[np.uint8], min_confidence: float = 0.1) -> Detections:
            nonlocal here, most
            with lock:
                here += 1
                most = max(most, here)
                if most == 4:
                    all_here.set()
            all_here.wait(20)
            time.sleep(0.01)
            with lock:
                here -= 1
            return super().detect(image, min_confidence)

    rate = arrangement._rate(Slow(model), arrangement._picture(), 4)
    assert most == 4
    assert 0 < rate < 4 / 0.01
