"""Very small ONNX models with the inputs, outputs and metadata of the detectors' families."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Model = onnx.ModelProto
HEIGHT, WIDTH = 64, 96
CELLS = sum((HEIGHT // stride) * (WIDTH // stride) for stride in (8, 16, 32))
BOX = (30.0, 20.0, 50.0, 60.0)


def save(model: Model, folder: Path) -> Path:
    """Write a model as `model.onnx`."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _model(
    inputs: Mapping[str, tuple[int, tuple[int | str, ...]]],
    outputs: Mapping[str, np.ndarray],
    metadata: Mapping[str, str | None],
    opset: int = 17,
    ir: int = 8,
) -> Model:
    """A graph whose outputs are constants, whatever comes in."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in outputs.items()
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [
            helper.make_tensor_value_info(name, kind, shape)
            for name, (kind, shape) in inputs.items()
        ],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in outputs.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir
    helper.set_model_props(
        model, {key: value for key, value in metadata.items() if value is not None}
    )
    return model


def yolox(classes: int = 80, names: str | None = None) -> Model:
    """YOLOX's raw grid, all zeros."""
    return _model(
        {"images": (TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH))},
        {"output": np.zeros((1, CELLS, 5 + classes), np.float32)},
        {"names": names},
    )


def raw(
    classes: int = 80,
    names: str | None = None,
    task: str | None = None,
    *,
    height: int | str = HEIGHT,
    width: int | str = WIDTH,
    batch: int = 1,
    half: bool = False,
    cells: int = CELLS,
    value: float = 0.0,
    opset: int = 17,
    ir: int = 8,
) -> Model:
    """Ultralytics' decoded grid, each number of it the same."""
    return _model(
        {
            "images": (
                TensorProto.FLOAT16 if half else TensorProto.FLOAT,
                (batch, 3, height, width),
            )
        },
        {"output0": np.full((1, 4 + classes, cells), value, np.float32)},
        {"names": names, "task": task},
        opset,
        ir,
    )


def masks() -> Model:
    """Boxes with mask coefficients, and the masks."""
    return _model(
        {"images": (TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH))},
        {
            "output0": np.zeros((1, 116, CELLS), np.float32),
            "output1": np.zeros((1, 32, HEIGHT // 4, WIDTH // 4), np.float32),
        },
        {},
    )


def end_to_end(
    names: str | None = None,
    box: tuple[float, float, float, float] = BOX,
    score: float = 0.5,
    person: int = 0,
) -> Model:
    """One box of a class in pixels of the input; the other rows are zeros."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [*box, score, person]
    return _model(
        {"images": (TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH))}, {"output0": rows}, {"names": names}
    )


def deim(names: str | None = None, score: float = 0.5, person: int = 0) -> Model:
    """One box of a class in pixels of the picture; the others have no score."""
    boxes, scores = np.zeros((1, 300, 4), np.float32), np.full((1, 300), -1.0, np.float32)
    labels = np.zeros((1, 300), np.int64)
    boxes[0, 0], scores[0, 0], labels[0, 0] = BOX, score, person
    return _model(
        {
            "images": (TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH)),
            "orig_target_sizes": (TensorProto.INT64, (1, 2)),
        },
        {"labels": labels, "boxes": boxes, "scores": scores},
        {"names": names},
    )


def brittle() -> Model:
    """End-to-end with one sure box, each number of it divided by the picture's darkest value."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [*BOX, 1.0, 0.0]
    nodes = [
        helper.make_node("Constant", [], ["rows"], value=numpy_helper.from_array(rows)),
        helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        helper.make_node("Sign", ["least"], ["one"]),
        helper.make_node("Div", ["rows", "one"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brittle",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH))],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, rows.shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    helper.set_model_props(model, {"names": "{0: 'person'}"})
    return model
