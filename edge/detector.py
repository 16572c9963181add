"""People in a picture, by an ONNX model on one thread of ONNX Runtime.

The family of a model is read from its graph's inputs and outputs, never from its file name.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.config import ModelError

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

PERSON = 0
YOLOX_STRIDES = (8, 16, 32)
YOLOX_PAD = 114
OVERLAP = 0.65
"""IoU above which the weaker of two YOLOX boxes is dropped."""


@dataclass(frozen=True)
class Detections:
    """People: boxes (n, 4) float32 in xyxy pixels within the picture, scores (n,) float32."""

    boxes: Floats
    scores: Floats


class Detector:
    """A model of a known family; threads may share one.

    Attributes: `family`, `size` (the side of its square input in pixels) and `model_hash` (12
    hexadecimal digits of the file's SHA-256).

    Raises:
        ModelError: no such file, no ONNX, or a graph of no known family.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}: give the path of an ONNX file") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise ModelError(
                f"{path}: not a whole ONNX model; get the file again ({_first_line(error)})"
            ) from error
        self.model_hash = hashlib.sha256(content).hexdigest()[:12]
        self.family, self.size, self._detect = _recognise(session, path)

    def detect(self, image: Image, min_confidence: float = 0.1) -> Detections:
        """The people in an image (height, width, 3) BGR uint8, of at least that score."""
        boxes, scores = self._detect(image, min_confidence)
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height], np.float32)
        return Detections(np.clip(boxes, 0.0, limits), scores)


Detect = Callable[[Image, float], tuple[Floats, Floats]]


def _recognise(session: onnxruntime.InferenceSession, path: Path) -> tuple[str, int, Detect]:
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    pictures = [shape for shape in inputs.values() if len(shape) == 4]
    size = pictures[0][3] if len(pictures) == 1 and pictures[0][1] == 3 else None
    if isinstance(size, int) and pictures[0][2] == size:
        if set(inputs) == {"images", "orig_target_sizes"} and set(outputs) == {
            "labels",
            "boxes",
            "scores",
        }:
            return "deim", size, partial(_detect_deim, session, size)
        cells = sum((size // stride) ** 2 for stride in YOLOX_STRIDES)
        if len(inputs) == 1 and list(outputs.values()) == [[1, cells, 85]]:
            detect = partial(_detect_yolox, session, next(iter(inputs)), size, *_yolox_grid(size))
            return "yolox", size, detect
    raise ModelError(
        f"{path}: a model of no known family, with inputs {_shapes(inputs)} and outputs "
        f"{_shapes(outputs)}. Known are YOLOX (1x3xSxS to 1xNx85, raw grid) and "
        "DEIM, D-FINE, RT-DETR (images Nx3xSxS, orig_target_sizes to labels, boxes, scores)"
    )


def _detect_deim(
    session: onnxruntime.InferenceSession, size: int, image: Image, min_confidence: float
) -> tuple[Floats, Floats]:
    """DEIM, D-FINE and RT-DETR: the graph itself scales boxes to the picture; no suppression.

    RGB in 0..1, stretched to the square, not normalised further (the projects' own
    `onnx_inf.py`).
    """
    blob = cv2.dnn.blobFromImage(image, 1 / 255, (size, size), swapRB=True)
    target = np.array([[image.shape[1], image.shape[0]]], np.int64)
    labels, boxes, scores = session.run(
        ["labels", "boxes", "scores"], {"images": blob, "orig_target_sizes": target}
    )
    kept = (labels[0] == PERSON) & (scores[0] >= min_confidence)
    return boxes[0][kept], scores[0][kept]


def _yolox_grid(size: int) -> tuple[Floats, Floats]:
    """Each cell's corner (n, 2), in cells, and its stride (n, 1), in the order of the output."""
    corners, strides = [], []
    for stride in YOLOX_STRIDES:
        cells = size // stride
        y, x = np.mgrid[:cells, :cells]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((cells * cells, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _detect_yolox(
    session: onnxruntime.InferenceSession,
    name: str,
    size: int,
    corners: Floats,
    strides: Floats,
    image: Image,
    min_confidence: float,
) -> tuple[Floats, Floats]:
    """YOLOX (Ge et al. 2021): BGR 0..255, letterboxed to the top left; a raw grid comes out."""
    height, width = image.shape[:2]
    ratio = min(size / height, size / width)
    inner = (max(int(width * ratio), 1), max(int(height * ratio), 1))
    padded = np.full((size, size, 3), YOLOX_PAD, np.uint8)
    padded[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    (raw,) = session.run(None, {name: cv2.dnn.blobFromImage(padded)})
    scores = raw[0, :, 4] * raw[0, :, 5 + PERSON]
    kept = np.flatnonzero(scores >= min_confidence)
    scores, cells = scores[kept], raw[0, kept]
    centres = (cells[:, :2] + corners[kept]) * strides[kept] / ratio
    sizes = np.exp(cells[:, 2:4]) * strides[kept] / ratio
    tops = centres - sizes / 2
    boxes = np.hstack([tops, sizes]).tolist()
    chosen = cv2.dnn.NMSBoxes(boxes, scores.tolist(), min_confidence, OVERLAP)
    order = np.asarray(chosen, np.int64).ravel()
    return np.hstack([tops, tops + sizes])[order], scores[order]


def _shapes(tensors: dict[str, list[int | str | None]]) -> str:
    return ", ".join(
        f"{name} ({'x'.join(str(side) for side in shape)})" for name, shape in tensors.items()
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160]
