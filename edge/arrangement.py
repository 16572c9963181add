"""How a detector is run on this machine: by which execution provider and with how many threads.

What is fastest differs from chip to chip, so it is measured at the first start and kept until
something that it depends on changes. The number of cameras is none of that: one camera keeps all
cores busy too, see `edge.flight`.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.config import ModelError, Provider
from edge.detector import PROVIDERS, Detector

SECONDS = 0.5
"""For how long each arrangement is measured."""
SCORE_TOLERANCE = 0.05
COMPARED = 20
"""So many of the best scores must agree with the CPU's, each within the tolerance: what reduced
precision may change, and a provider that is broken does not keep."""
FILE = "arrangement.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrangement:
    """A provider, its threads for one picture, and pictures a second of all callers together.

    `callers` is how many pictures it looks at at once.
    """

    provider: Provider
    threads: int
    callers: int
    rate: float


@dataclass(frozen=True)
class _Measured:
    """The content of the file: what was fastest, and under which conditions."""

    conditions: dict[str, Any]
    fastest: Arrangement


def arrange(
    model: Path, folder: Path, preference: Sequence[Provider] = ()
) -> tuple[Detector, Arrangement]:
    """The detector as it runs fastest here.

    The first call measures and keeps the result in `folder`; later ones read it, as long as the
    model, ONNX Runtime, its providers, the cores and the preference are the same.

    Args:
        preference: the providers that may be used; all that are here unless told. Between two of
            the same speed the earlier one wins. The CPU is always there.

    Raises:
        ModelError: the model cannot be used on the CPU.
    """
    reference = Detector(model)
    conditions = {
        "model": reference.model_hash,
        "onnxruntime": onnxruntime.__version__,
        "providers": onnxruntime.get_available_providers(),
        "cores": cores(),
        "preference": list(preference or PROVIDERS),
    }
    path = folder / FILE
    known = _read(path, conditions)
    if known:
        try:
            return Detector(model, known.provider, known.threads), known
        except ModelError as error:
            log.warning("%s, which was fastest, is gone: %s", known.provider, error)
    measured = list(measure(model, reference, preference))
    detector, fastest = max(measured, key=lambda pair: pair[1].rate)
    told = ", ".join(f"{each.provider} × {each.threads}: {each.rate:.1f}" for _, each in measured)
    log.info("%s, frames a second by provider × threads of a session: %s", model.name, told)
    _write(path, _Measured(conditions, fastest))
    return detector, fastest


def measure(
    model: Path, reference: Detector, preference: Sequence[Provider] = ()
) -> Iterator[tuple[Detector, Arrangement]]:
    """Each arrangement that works here and how fast it is, in the order of preference.

    A provider that cannot take the model, or whose scores differ from those of `reference`, the
    same model on the CPU, is left out with a warning.
    """
    picture = _picture()
    expected = _best(reference, picture)
    for provider in dict.fromkeys([*(preference or PROVIDERS), "cpu"]):
        if PROVIDERS[provider] not in onnxruntime.get_available_providers():
            if preference:
                log.warning("this onnxruntime has no %s: install the one that has it", provider)
            continue
        # An accelerator has its own way to share itself out.
        counts = sorted({1, cores()}) if provider in ("cpu", "openvino") else [1]
        for threads in counts:
            try:
                detector = Detector(model, provider, threads)
            except ModelError as error:
                log.warning("%s is not used: %s", provider, error)
                break
            off = float(np.abs(_best(detector, picture) - expected).max())
            if off > SCORE_TOLERANCE:
                log.warning("%s is not used: its scores are off by %.2f", provider, off)
                break
            # As many as keep the cores busy: an accelerator's callers prepare the next picture.
            callers = max(cores() // threads, 1)
            rate = _rate(detector, picture, callers)
            yield detector, Arrangement(provider, threads, callers, rate)


def _rate(detector: Detector, picture: npt.NDArray[np.uint8], callers: int) -> float:
    """Pictures a second of so many threads that share a detector."""
    counts = [0] * callers
    over = threading.Event()
    began = 0.0

    def begin() -> None:
        nonlocal began
        began = time.perf_counter()

    # The last to come notes the time: the others may be at it before this thread is awake again.
    ready = threading.Barrier(callers + 1, begin)

    def call(index: int) -> None:
        detector.detect(picture)
        ready.wait()
        while True:
            detector.detect(picture)
            counts[index] += 1
            if over.is_set():
                return

    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    ready.wait()
    over.wait(SECONDS)
    over.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def _best(detector: Detector, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The best scores for a picture, (COMPARED,), zeros where there are fewer."""
    scores = np.sort(detector.detect(picture, 0.001).scores)[::-1][:COMPARED]
    return np.pad(scores, (0, COMPARED - len(scores)))


def _picture() -> npt.NDArray[np.uint8]:
    """Figures as upright as people, (360, 640, 3), BGR; what is measured on."""
    picture = np.full((360, 640, 3), (150, 160, 170), np.uint8)
    for place in range(8):
        x, y, colour = 40 + 80 * place, 150 + 10 * place, (30 * place, 40, 200 - 20 * place)
        cv2.ellipse(picture, (x, y), (14, 45), 0, 0, 360, colour, cv2.FILLED)
        cv2.circle(picture, (x, y - 55), 11, (120, 150, 190), cv2.FILLED)
        cv2.rectangle(picture, (x - 11, y + 35), (x + 11, y + 95), (60, 40, 30), cv2.FILLED)
    return picture


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path, conditions: dict[str, Any]) -> Arrangement | None:
    """What was fastest under the same conditions; None where that is not known."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Measured)
    except (OSError, msgspec.DecodeError):
        return None
    return kept.fastest if kept.conditions == conditions else None


def _write(path: Path, measured: _Measured) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(measured))
        fresh.replace(path)
    except OSError as error:
        log.warning("%s: %s; it will be measured again at the next start", path, error.strerror)
