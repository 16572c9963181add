"""People in a picture, by an ONNX model in ONNX Runtime.

A model's family is read from its graph's inputs, outputs and metadata, never from its file name.
All detectors of a family take a picture of one fixed size and answer with boxes; what differs is
how the picture is fitted into that size and how the answer is read.
"""

import ast
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from edge.config import ModelError, Provider

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
Answer = tuple[Floats, Floats]
"""Boxes (n, 4) in xyxy pixels of the picture, not clipped, and scores (n,)."""

PROVIDERS: Mapping[Provider, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's names, in the order in which they are preferred."""
STRIDES = (8, 16, 32)
PAD = 114
"""The grey beside a letterboxed picture, in both families that have one."""
COCO_CLASSES = 80
SUPPORTED = (
    "supported are YOLOX (1x3xHxW to 1xNx(5+classes), raw grid), ultralytics raw (1x3xHxW to "
    "1x(4+classes)xN) and end-to-end (1x3xHxW to 1xMx6), and DEIM, D-FINE, RT-DETR (images "
    "1x3xHxW and orig_target_sizes to labels, boxes, scores), with a fixed height and width"
)


@dataclass(frozen=True)
class Detections:
    """People: boxes (n, 4) float32 in xyxy pixels within the picture, scores (n,) float32."""

    boxes: Floats
    scores: Floats


class Detector:
    """A model of a known family; threads may share one.

    Args:
        path: the ONNX file.
        provider: what computes it.
        threads: of ONNX Runtime, for one picture.

    Attributes: `family` (`yolox`, `ultralytics`, `end-to-end` or `deim`), `size` (width and height
    of its input in pixels), `classes` (names by number; empty where the file names none), `person`
    (the number of that class), `licence` (as its metadata says, or empty) and `model_hash` (12
    hexadecimal digits of the file's SHA-256).

    Raises:
        ModelError: no such file, no ONNX, a graph of no known family, no class for people, or
            answers that are no numbers.
    """

    def __init__(self, path: Path, provider: Provider = "cpu", threads: int = 1) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}: give the path of an ONNX file") from error
        self.model_hash = hashlib.sha256(content).hexdigest()[:12]
        try:
            session = _session(content, provider, threads)
            graph = _recognise(session)
        except ValueError as error:
            raise ModelError(f"{path}: {error}") from error
        self._path, self._session, self._graph = path, session, graph
        self.family, self.size = graph.family, (graph.width, graph.height)
        self.classes, self.person, self.licence = graph.classes, graph.person, graph.licence
        self._decode, self._overlap = _FAMILIES[graph.family]
        # A model that is broken should say so now and not in the night.
        try:
            self._candidates(np.full((graph.height, graph.width, 3), PAD, np.uint8), 0.0)
        except ModelError:
            raise
        except Exception as error:  # as in `_session`
            raise ModelError(f"{path}: cannot be computed: {_first_line(error)}") from error

    def detect(self, image: Image, min_confidence: float = 0.1) -> Detections:
        """The people in an image (height, width, 3) BGR uint8, of at least that score.

        Raises:
            ModelError: the model answered with NaN or infinity.
        """
        boxes, scores = self._candidates(image, min_confidence)
        if self._overlap is not None:
            kept = _suppress(boxes, scores, self._overlap)
            boxes, scores = boxes[kept], scores[kept]
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height], np.float32)
        return Detections(np.clip(boxes, 0.0, limits), scores)

    def _candidates(self, image: Image, min_confidence: float) -> Answer:
        boxes, scores = self._decode(self._session, self._graph, image, min_confidence)
        if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
            raise ModelError(
                f"{self._path}: the model answered with NaN or infinity, where boxes and scores "
                "must be numbers: export it again in float32"
            )
        return boxes, scores


@dataclass(frozen=True)
class _Graph:
    """What a family's function needs to know; `corners` (n, 2) and `strides` (n, 1) are YOLOX's."""

    family: str
    picture: str
    width: int
    height: int
    classes: Mapping[int, str]
    person: int
    licence: str
    corners: Floats
    strides: Floats


def _session(content: bytes, provider: Provider, threads: int) -> onnxruntime.InferenceSession:
    """Raises ValueError, in words for the reader, where ONNX Runtime does not take it."""
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise ValueError(f"this onnxruntime has no {provider}: install the one that has it")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    settings = {"num_of_threads": str(threads)} if provider == "openvino" else {}
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=[(PROVIDERS[provider], settings)]
        )
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        if provider != "cpu":
            raise ValueError(f"{provider} cannot run it: {_first_line(error)}") from error
        raise ValueError(_reason(error)) from error
    if session.get_providers()[0] != PROVIDERS[provider]:
        # ONNX Runtime takes the CPU, without a word, where a provider's libraries are missing.
        raise ValueError(f"{provider} cannot be used here: are its driver and libraries installed?")
    return session


def _reason(error: Exception) -> str:
    """What ONNX Runtime's refusal means for who gave the file."""
    words = str(error)
    newer = re.search(r"IR version: (\d+), max supported IR version: (\d+)", words)
    if newer:
        return (
            f"written in version {newer[1]} of the ONNX format, and ONNX Runtime "
            f"{onnxruntime.__version__} reads up to {newer[2]}: export it for an older version, "
            "or update onnxruntime"
        )
    newer = re.search(r"Opset (\d+) is under.*domain (\S+) is till opset (\d+)", words, re.DOTALL)
    if newer:
        return (
            f"needs opset {newer[1]} of {newer[2]}, and ONNX Runtime {onnxruntime.__version__} has "
            f"up to {newer[3]}: export it with opset {newer[3]} or lower, or update onnxruntime"
        )
    return f"not a whole ONNX model; get the file again ({_first_line(error)})"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160]


def _recognise(session: onnxruntime.InferenceSession) -> _Graph:
    """Raises ValueError, in words for the reader, where the graph is of no known family."""
    inputs = {each.name: each for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    metadata = session.get_modelmeta().custom_metadata_map
    found = (
        f"inputs {_shapes({name: each.shape for name, each in inputs.items()})} and "
        f"outputs {_shapes(outputs)}"
    )
    task = metadata.get("task", "detect")
    if task != "detect":
        raise ValueError(f'a model for the task "{task}", where "detect" is needed; {SUPPORTED}')
    if "masks" in outputs or (
        len(outputs) == 2 and sorted(len(shape) for shape in outputs.values()) == [3, 4]
    ):
        raise ValueError(f"a segmentation model, with {found}; {SUPPORTED}")
    pictures = [each for each in inputs.values() if len(each.shape) == 4]
    if len(pictures) != 1 or pictures[0].shape[1] != 3:
        raise ValueError(f"a model of no known family, with {found}; {SUPPORTED}")
    batch, _, height, width = pictures[0].shape
    if not all(isinstance(side, int) for side in (height, width)):
        raise ValueError(
            f"dynamic shapes, with {found}: export it for one size of picture; {SUPPORTED}"
        )
    if pictures[0].type != "tensor(float)" or (isinstance(batch, int) and batch != 1):
        raise ValueError(
            f"its input is a {pictures[0].type} of batch {batch}: export it in float32 for batch 1"
        )
    family, count = _family(set(inputs), outputs, height, width, "task" in metadata)
    if not family:
        raise ValueError(f"a model of no known family, with {found}; {SUPPORTED}")
    classes = _classes(metadata.get("names"))
    return _Graph(
        family,
        pictures[0].name,
        width,
        height,
        classes,
        _person(classes, count),
        metadata.get("license", ""),
        *yolox_grid(width, height),
    )


def _family(
    inputs: set[str],
    outputs: Mapping[str, list[int | str | None]],
    height: int,
    width: int,
    ultralytics: bool,
) -> tuple[str, int | None]:
    """The family, or nothing, and how many classes there are where the graph shows it.

    `ultralytics` is whether the metadata are theirs, which decides where a grid is a square.
    """
    if inputs == {"images", "orig_target_sizes"} and set(outputs) == {"labels", "boxes", "scores"}:
        return "deim", COCO_CLASSES
    if len(inputs) != 1 or len(outputs) != 1:
        return "", None
    shape = next(iter(outputs.values()))
    if len(shape) != 3:
        return "", None
    cells = sum((height // stride) * (width // stride) for stride in STRIDES)
    _, rows, columns = shape
    if rows == cells and isinstance(columns, int) and columns > 5 and not ultralytics:
        return "yolox", columns - 5
    if columns == cells and isinstance(rows, int) and rows > 4:
        return "ultralytics", rows - 4
    return ("end-to-end", None) if columns == 6 else ("", None)


def _classes(names: str | None) -> dict[int, str]:
    """Class names by number from the metadata's `names`, a Python literal as ultralytics writes."""
    if names is None:
        return {}
    try:
        literal = ast.literal_eval(names)
        pairs = literal.items() if isinstance(literal, dict) else enumerate(literal)
        return {int(number): str(name) for number, name in pairs}
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f'its class names cannot be read: "{names[:60]}"') from error


def _person(classes: Mapping[int, str], count: int | None) -> int:
    """The number of the class `person`; without names, COCO's order and a single class are known.

    Raises ValueError where it cannot be told.
    """
    if classes:
        for number, name in classes.items():
            if name.lower() == "person":
                return number
        some = ", ".join(list(classes.values())[:6])
        raise ValueError(f"no class named person among its {len(classes)} ({some}…)")
    if count in (1, COCO_CLASSES):
        return 0
    raise ValueError(
        f"{count or 'unknown'} classes without names, so which is person cannot be told: "
        f'add the metadata "names", as {{0: "person", …}}, or use a model of COCO\'s '
        f"{COCO_CLASSES} classes"
    )


def yolox_grid(width: int, height: int) -> tuple[Floats, Floats]:
    """Each cell's corner (n, 2), in cells, and its stride (n, 1), as YOLOX's output has them."""
    corners, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _deim(
    session: onnxruntime.InferenceSession, graph: _Graph, image: Image, min_confidence: float
) -> Answer:
    """DEIM, D-FINE and RT-DETR: the graph itself scales boxes to the picture; no suppression.

    RGB in 0..1, stretched to the input's shape, not normalised further (the projects' own
    `onnx_inf.py`).
    """
    fitted = np.asarray(cv2.resize(image, (graph.width, graph.height)), np.uint8)
    blob = _planes(fitted, (2, 1, 0), 1 / 255)
    target = np.array([[image.shape[1], image.shape[0]]], np.int64)
    labels, boxes, scores = session.run(
        ["labels", "boxes", "scores"], {"images": blob, "orig_target_sizes": target}
    )
    kept = (labels[0] == graph.person) & ~(scores[0] < min_confidence)
    return boxes[0][kept], scores[0][kept]


def _yolox(
    session: onnxruntime.InferenceSession, graph: _Graph, image: Image, min_confidence: float
) -> Answer:
    """YOLOX (Ge et al. 2021): BGR 0..255, letterboxed to the top left; a raw grid comes out.

    A row is x, y, log width and log height of a box in strides of its cell, that there is
    something, and its classes.
    """
    height, width = image.shape[:2]
    ratio = min(graph.height / height, graph.width / width)
    inner = (max(int(width * ratio), 1), max(int(height * ratio), 1))
    padded = np.full((graph.height, graph.width, 3), PAD, np.uint8)
    padded[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    (raw,) = session.run(None, {graph.picture: _planes(padded, (0, 1, 2), 1.0)})
    scores = raw[0, :, 4] * raw[0, :, 5 + graph.person]
    kept = np.flatnonzero(~(scores < min_confidence))
    scores, cells, strides = scores[kept], raw[0, kept], graph.strides[kept]
    centres = (cells[:, :2] + graph.corners[kept]) * strides / ratio
    sizes = np.exp(cells[:, 2:4]) * strides / ratio
    return np.hstack([centres - sizes / 2, centres + sizes / 2]), scores


def _ultralytics(
    session: onnxruntime.InferenceSession, graph: _Graph, image: Image, min_confidence: float
) -> Answer:
    """Ultralytics' detectors with their grid decoded in the graph (v8, 11): a column a cell.

    A column is centre x, centre y, width and height of a box in pixels of the input, and classes.
    """
    padded, ratio, offset = _centred(image, graph.width, graph.height)
    blob = _planes(padded, (2, 1, 0), 1 / 255)
    (raw,) = session.run(None, {graph.picture: blob})
    scores = raw[0, 4 + graph.person]
    kept = np.flatnonzero(~(scores < min_confidence))
    cells = raw[0, :4, kept] / ratio
    centres, sizes = cells[:, :2] - offset / ratio, cells[:, 2:]
    return np.hstack([centres - sizes / 2, centres + sizes / 2]), scores[kept]


def _end_to_end(
    session: onnxruntime.InferenceSession, graph: _Graph, image: Image, min_confidence: float
) -> Answer:
    """Ultralytics' detectors without suppression (v10, 26), or with it in the graph: a row a box.

    A row is left, top, right and bottom in pixels of the input, score and class.
    """
    padded, ratio, offset = _centred(image, graph.width, graph.height)
    blob = _planes(padded, (2, 1, 0), 1 / 255)
    (rows,) = session.run(None, {graph.picture: blob})
    # What is no number is taken along, to be refused, and not dropped in silence.
    wanted = (rows[0, :, 5] == graph.person) & (rows[0, :, 4] >= min_confidence)
    found = rows[0, wanted | ~np.isfinite(rows[0]).all(axis=1)]
    return (found[:, :4] - np.tile(offset, 2)) / ratio, found[:, 4]


_Decode = Callable[[onnxruntime.InferenceSession, _Graph, Image, float], Answer]
_FAMILIES: Mapping[str, tuple[_Decode, float | None]] = {
    "yolox": (_yolox, 0.65),
    "ultralytics": (_ultralytics, 0.7),
    "end-to-end": (_end_to_end, None),
    "deim": (_deim, None),
}
"""Each family's reader, and the IoU above which the weaker of two boxes is dropped: each project's
own choice, or None where the model leaves no two boxes for one person."""


def _centred(image: Image, width: int, height: int) -> tuple[Image, np.float32, Floats]:
    """The picture letterboxed to the middle as ultralytics does it, its ratio and offset (2,)."""
    rows, columns = image.shape[:2]
    ratio = min(height / rows, width / columns)
    inner = (max(round(columns * ratio), 1), max(round(rows * ratio), 1))
    # Half a pixel goes to the right and to the bottom.
    left, top = round((width - inner[0]) / 2 - 0.1), round((height - inner[1]) / 2 - 0.1)
    padded = np.full((height, width, 3), PAD, np.uint8)
    padded[top : top + inner[1], left : left + inner[0]] = (
        image if inner == (columns, rows) else cv2.resize(image, inner)
    )
    return padded, np.float32(ratio), np.array([left, top], np.float32)


def _planes(picture: Image, order: tuple[int, int, int], scale: float) -> Floats:
    """(1, 3, height, width) of a picture (height, width, 3): its channels in an order, scaled.

    The same numbers as OpenCV's `blobFromImage`, in a third of the time.
    """
    tensor = np.empty((1, 3, *picture.shape[:2]), np.float32)
    channels = cv2.split(picture)
    for place, channel in enumerate(order):
        np.multiply(channels[channel], np.float32(scale), out=tensor[0, place])
    return tensor


def _suppress(boxes: Floats, scores: Floats, overlap: float) -> npt.NDArray[np.int64]:
    """The indices of the boxes (n, 4) in xyxy that non-maximum suppression leaves, best first."""
    corners = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, overlap)
    return np.asarray(kept, np.int64).ravel()


def _shapes(tensors: Mapping[str, list[int | str | None]]) -> str:
    return ", ".join(
        f"{name} ({'x'.join(str(side) for side in shape)})" for name, shape in tensors.items()
    )
