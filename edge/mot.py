"""Detections and tracks in the format of MOTChallenge, for whoever wants to score the tracker.

A row is frame (from 1), id, left, top, width, height, score, and more that is not read. Of
detections, the id does not matter.
"""

import math
from pathlib import Path

import numpy as np

from edge.config import EdgeError
from edge.tracker import Floats, Tracker, Tracks

MOST_FRAMES = 1_000_000
"""A frame's number beyond it is a mistake: a day is 864,000 at 10 frames a second."""


class MotError(EdgeError):
    """A file is not what MOTChallenge says; the message names the line and what to do."""


def read_detections(path: Path, size: tuple[int, int] | None = None) -> list[tuple[Floats, Floats]]:
    """Boxes (n, 4) xyxy and scores (n,) of every frame, from the first to the last with any.

    Raises:
        MotError: a row cannot be used, or there is none; a box that lies outside a picture of
            `size` (width, height) cannot.
    """
    frames: dict[int, list[list[float]]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise MotError(f"{path}: is not a text file; give detections as lines of text") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            frame, row = _row(line, f"{path}: line {number}", size)
            frames.setdefault(frame, []).append(row)
    if not frames:
        raise MotError(f"{path}: holds no detections; give rows of {COLUMNS}")
    rows = (frames.get(frame, []) for frame in range(1, max(frames) + 1))
    tables = [np.array(each, np.float32).reshape(-1, 5) for each in rows]
    return [(table[:, :4], table[:, 4]) for table in tables]


COLUMNS = "frame,id,left,top,width,height,score"


def _row(line: str, place: str, size: tuple[int, int] | None) -> tuple[int, list[float]]:
    try:
        values = [float(text) for text in line.split(",")[:7]]
    except ValueError as error:
        raise MotError(f"{place}: not all numbers; write {COLUMNS}, with commas") from error
    if len(values) < 7:
        raise MotError(f"{place}: {len(values)} of 7 columns; write {COLUMNS}")
    frame, _, left, top, width, height, score = values
    if not all(map(math.isfinite, values)) or max(map(abs, values[2:])) > 1e6:
        raise MotError(f"{place}: a number is not finite or beyond a million; leave the row out")
    if not frame.is_integer() or not 1 <= frame <= MOST_FRAMES:
        raise MotError(f"{place}: frame {frame:g}; frames are whole numbers from 1")
    if width <= 0 or height <= 0:
        raise MotError(f"{place}: a box of {width:g} x {height:g}; give sides above 0")
    if not 0 <= score <= 1:
        raise MotError(f"{place}: score {score:g}; divide so that scores lie between 0 and 1")
    if size and not (-width < left < size[0] and -height < top < size[1]):
        raise MotError(f"{place}: lies outside a picture of {size[0]}x{size[1]}; is that its size?")
    return int(frame), [left, top, left + width, top + height, score]


def track(path: Path, out: Path, fps: float, size: tuple[int, int] | None = None) -> int:
    """Write the tracks of a file's detections; how many frames there were.

    A frame's rows depend on none that comes after it.

    Raises:
        MotError: as `read_detections`, before anything is written.
    """
    frames = read_detections(path, size)
    tracker = Tracker(fps)
    with out.open("w", encoding="utf-8") as file:
        for frame, (boxes, scores) in enumerate(frames, 1):
            file.writelines(rows(frame, tracker.update(boxes, scores)))
    return len(frames)


def rows(frame: int, tracks: Tracks) -> list[str]:
    """A frame's tracks as lines of a MOTChallenge file."""
    return [
        f"{frame},{number},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},"
        f"{score:.2f},-1,-1,-1\n"
        for number, (left, top, right, bottom), score in zip(
            tracks.ids.tolist(), tracks.boxes.tolist(), tracks.scores.tolist(), strict=True
        )
    ]
