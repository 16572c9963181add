"""Ultralytics weights to an ONNX file that a device can run, checked against torch on the way.

Needs the extra `models` (ultralytics, torch, onnx), which is imported only here and only when it
is used: a device has none of it.
"""

import contextlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge import __version__
from edge.config import EdgeError, ModelError
from edge.detector import Detector
from models.zoo import sha256

Floats = npt.NDArray[np.float32]

PICTURES = 3
"""Random pictures on which the export is compared with torch."""
PIXELS = 0.1
SCORES = 0.001
"""What boxes and scores may differ by at most; both compute in float32, in another order."""
SEED = 0
LICENCE = "AGPL-3.0-only, or Ultralytics Enterprise for who has it"


class ExportError(EdgeError):
    """Weights that cannot be exported."""

    exit_code = 2


@dataclass(frozen=True)
class Exported:
    """An export as a device sees it, and by how much it differs from torch at most.

    `random` says that the weights were drawn by lot, as those of an architecture are.
    """

    detector: Detector
    pixels: float
    scores: float
    random: bool


def export(weights: str, size: tuple[int, int], out: Path, opset: int | None = None) -> Exported:
    """Write the ONNX file of ultralytics weights (.pt) or of an architecture (.yaml).

    Args:
        weights: a file, or the name of an architecture that ultralytics brings, as yolo11n.yaml.
        size: width and height of the input in pixels, multiples of the model's stride, mostly 32.
        out: the file to write. It is written once it is checked, or not at all.
        opset: of the ONNX operators; ultralytics chooses unless told.

    Raises:
        ExportError: no ultralytics, no such weights, no detector of people, or an export that
            differs from torch or that a device cannot run.
    """
    with tempfile.TemporaryDirectory() as folder:
        network = load(weights, Path(folder))
        stride = _stride(network.model)
        if any(side % stride for side in size):
            raise ExportError(
                f"{weights}: no size {size[0]}x{size[1]}: give multiples of its stride, {stride}"
            )
        # So that the export lands there, and not beside the weights.
        network.model.pt_path = str(Path(folder) / "model.pt")
        try:
            with _quiet():
                made = Path(
                    network.export(
                        format="onnx",
                        imgsz=[size[1], size[0]],
                        opset=opset,
                        nms=False,  # the head that needs no suppression, where there is one
                        simplify=False,
                        device="cpu",
                    )
                )
        except Exception as error:  # torch's and ultralytics' errors share no base class
            raise ExportError(f"{weights}: cannot be exported ({_first_line(error)})") from error
        pixels, scores = _compare(network.model, made, size)
        if not (pixels <= PIXELS and scores <= SCORES):
            raise ExportError(
                f"{weights}: the export differs from torch by {pixels:.2g} pixels and {scores:.2g} "
                f"in scores, where {PIXELS} and {SCORES} are the most: try another --opset, or "
                "other versions of torch and onnx"
            )
        _describe(made, weights, network.model, size)
        try:
            detector = Detector(made)
        except ModelError as error:
            raise ExportError(f"{weights}: a device cannot run the export: {error}") from error
        _place(made, out)
    return Exported(detector, pixels, scores, _is_architecture(weights))


def load(weights: str, scratch: Path) -> Any:
    """Ultralytics' `YOLO` of weights or an architecture; `scratch` takes its settings.

    An architecture has the same random weights every time. Its batch normalisations have seen one
    batch of noise: without, each layer makes its input smaller until all pictures have the same
    boxes, and nothing could be compared.

    Raises:
        ExportError: as `export`.
    """
    path = Path(weights)
    if path.suffix not in (".pt", ".yaml", ".yml"):
        raise ExportError(f"{weights}: give weights (.pt) or an architecture (.yaml)")
    if path.suffix == ".pt" and not path.is_file():
        raise ExportError(f"{weights}: no such file; weights are not downloaded here")
    # Nothing is looked up, sent or installed by an export.
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    os.environ.setdefault("YOLO_CONFIG_DIR", str(scratch))
    try:
        import onnx  # noqa: F401
        import torch
        import ultralytics
    except ModuleNotFoundError as error:
        raise ExportError(
            f"export needs {error.name}, which is not installed here: make an environment for it, "
            "apart from a device's, with `python3 -m venv exporter && exporter/bin/pip install "
            '"passerby[models]"`, and use exporter/bin/passerby-models'
        ) from error
    torch.manual_seed(SEED)
    try:
        with _quiet():
            network = ultralytics.YOLO(weights)
    except Exception as error:  # as above
        raise ExportError(
            f"{weights}: ultralytics cannot read it ({_first_line(error)})"
        ) from error
    if network.task != "detect":
        raise ExportError(f'{weights}: a model for the task "{network.task}", not "detect"')
    if _is_architecture(weights):
        network.model.names = _names(len(network.model.names))
        _settle(network.model)
    if "person" not in [name.lower() for name in network.model.names.values()]:
        some = ", ".join(list(network.model.names.values())[:6])
        raise ExportError(f"{weights}: no class is named person among {some} …")
    network.model.eval()
    network.model.end2end = True  # has no effect on those that have no such head
    return network


def _stride(model: Any) -> int:
    return int(max(model.stride))


def _is_architecture(weights: str) -> bool:
    return Path(weights).suffix != ".pt"


def _names(count: int) -> dict[int, str]:
    """Names for an architecture, whose classes have only numbers."""
    if count == 1:
        return {0: "person"}
    from ultralytics.utils import ROOT, YAML

    names = YAML.load(ROOT / "cfg/datasets/coco.yaml")["names"]
    return dict(names) if len(names) == count else {n: str(n) for n in range(count)}


def _settle(model: Any) -> None:
    """Give batch normalisations the mean and variance of one batch of noise, coarse to fine."""
    import torch

    layers = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = None  # the mean of all batches seen
        layer.reset_running_stats()
    model.train()
    with torch.no_grad():
        noise = [torch.rand(1, 3, side, side) for side in (8, 32, 128, 320)]
        enlarge = torch.nn.functional.interpolate
        model(torch.cat([enlarge(each, 320, mode="bilinear") for each in noise]))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _compare(model: Any, made: Path, size: tuple[int, int]) -> tuple[float, float]:
    """The largest differences of ONNX Runtime from torch, in pixels of boxes and in scores."""
    import torch

    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    worst = np.zeros(2)
    for seed in range(PICTURES):
        noise = torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            answer = model(noise)
        expected = (answer[0] if isinstance(answer, tuple | list) else answer).numpy()
        (found,) = session.run(None, {session.get_inputs()[0].name: noise.numpy()})
        if found.shape != expected.shape:
            return float("inf"), float("inf")
        worst = np.maximum(worst, difference(expected[0], found[0]))
    return float(worst[0]), float(worst[1])


def difference(expected: Floats, found: Floats) -> tuple[float, float]:
    """The largest differences between two answers of one model: in boxes, and in scores.

    Args:
        expected: (4 + classes, n) of a raw grid, or (n, 6) end to end.
        found: of the same shape.

    Rows of six are ranked by score, and those of almost the same score can change places: there a
    row is compared with the nearest of its class and score. The last of them may have had rivals
    for their place, so whoever has the last one's score may be missing.
    """
    if expected.shape[1] != 6:
        boxes, scores = np.abs(expected[:4] - found[:4]), np.abs(expected[4:] - found[4:])
        return float(boxes.max()), float(scores.max())
    scores = np.abs(expected[:, 4] - found[:, 4])
    apart = np.abs(expected[:, None, :4] - found[None, :, :4]).max(axis=2)
    alike = (np.abs(expected[:, None, 4] - found[None, :, 4]) <= SCORES) & (
        expected[:, None, 5] == found[None, :, 5]
    )
    nearest = np.where(alike, apart, np.inf).min(axis=1)
    sure = expected[:, 4] > expected[-1, 4] + SCORES
    return float(nearest[sure].max(initial=0.0)), float(scores.max())


def _describe(made: Path, weights: str, model: Any, size: tuple[int, int]) -> None:
    """Write our metadata into the file, in ultralytics' keys where it has some."""
    import onnx
    import ultralytics

    source = Path(weights)
    origin = "random" if _is_architecture(weights) else sha256(source)
    graph = onnx.load(made)
    onnx.helper.set_model_props(
        graph,
        {
            "description": f"{source.name}, exported by passerby-models {__version__} with "
            f"ultralytics {ultralytics.__version__}",
            "task": "detect",
            "names": repr(dict(model.names)),
            "stride": str(_stride(model)),
            "imgsz": str([size[1], size[0]]),
            "license": LICENCE,
            "passerby": __version__,
            "weights_sha256": origin,
        },
    )
    onnx.checker.check_model(graph)
    onnx.save(graph, made)


def _place(made: Path, out: Path) -> None:
    """Put the file where it is wanted, whole or not at all."""
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.copyfile(made, part)
        part.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ExportError(f"{out}: {error.strerror}: give --out a place to write to") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch and ultralytics print and warn of."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
