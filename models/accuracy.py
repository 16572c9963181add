"""How well people are found: average precision, and the truth that it is measured against.

Boxes are (n, 4) arrays, xyxy in pixels, throughout.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.config import EdgeError

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of boxes (n, 4) with others (m, 4): (n, m), 0 to 1."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common: Floats = np.clip(high - low, 0, None).prod(axis=2)
    areas, other_areas = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others))
    union: Floats = areas[:, None] + other_areas[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def matches(boxes: Floats, scores: Floats, truth: Floats, least: float = 0.5) -> Flags:
    """Which of the boxes (n, 4), with scores (n,), find somebody of the truth (m, 4): (n,).

    As COCO's evaluation does it: the best box chooses first, each takes whom it overlaps most
    among those who are left, and nobody is found twice. `least` is the smallest overlap.
    """
    found = np.zeros(len(boxes), bool)
    shared = overlaps(boxes, truth)
    for index in np.argsort(-scores, kind="stable"):
        if (shared[index] >= least).any():
            found[index] = True
            shared[:, shared[index].argmax()] = 0.0
    return found


def average_precision(scores: Floats, found: Flags, people: int) -> float:
    """AP of boxes with scores (n,) of which `found` (n,) found one of that many people.

    Precision at 101 recalls, at each the highest of that recall or more (the COCO detection
    evaluation; Lin et al. 2014). NaN where there are no people.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    0.834983...
    """
    if people == 0:
        return float("nan")
    right = np.cumsum(found[np.argsort(-scores, kind="stable")])
    precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
    # In hundredths of a person, since 0.29 is no float and 29 of 100 is.
    places = np.searchsorted(100 * right, people * np.arange(101))
    return float(np.append(precision, 0.0)[places].mean())


def read_yolo(path: Path, width: int, height: int, kind: int = 0) -> Floats:
    """The boxes of one class in a YOLO label file: class, centre x and y, width, height, as parts.

    No file means a picture with nothing to label.

    Raises:
        EdgeError: a line that is not five numbers.
    """
    if not path.exists():
        return np.empty((0, 4), np.float32)
    rows = _numbers(path, None, 5)
    centres, sizes = rows[:, 1:3], rows[:, 3:5]
    parts = np.hstack([centres - sizes / 2, centres + sizes / 2])[rows[:, 0] == kind]
    return np.asarray(parts * [width, height, width, height], np.float32)


def read_mot(path: Path, scale: float = 1.0) -> dict[int, Floats]:
    """The boxes of each frame, from 1, of a MOTChallenge truth file, times a scale.

    Rows are frame, track, left, top, width, height and a flag: only those with flag 1 count.

    Raises:
        EdgeError: no such file, or a line that is not at least seven numbers.
    """
    rows = _numbers(path, ",", 7)
    rows = rows[rows[:, 6] == 1]
    boxes = np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]).astype(np.float32) * scale
    return {int(frame): boxes[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}


def _numbers(path: Path, separator: str | None, least: int) -> npt.NDArray[np.float64]:
    """The first `least` numbers of each line: (lines, least)."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeError(f"{path}: not a text file that can be read ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [float(word) for word in line.split(separator)[:least]]
        except ValueError:
            values = []
        if len(values) < least or not np.isfinite(values).all():
            raise EdgeError(
                f"{path}:{number}: {line[:60]!r} where {least} numbers are expected: "
                "correct the line, or leave it out"
            )
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, least)
