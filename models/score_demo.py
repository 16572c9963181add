"""How well a model finds people in rendered stores: `python -m models.score_demo`.

Stores of these seeds are never trained on (see `models.train_demo`).
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.detector import Detections, Detector
from edge.simulator import Crowd, View, plan
from models.accuracy import average_precision, matches, overlaps

Floats = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

SEEDS = range(101, 105)
MOMENTS = 10
CAMERAS = ("overview", "entrance", "aisles", "checkouts")
PEOPLE = {"supermarket": 40, "boutique": 15}
SCORE = 0.35
"""The edge's default `min_confidence`."""
SEEN, WELL_SEEN = 0.3, 0.5
"""Visibility from which people are to be found, and from which foot points are compared."""


@dataclass(frozen=True)
class Shot:
    """A camera's picture with people's boxes (n, 4) in xyxy pixels and visibility (n,)."""

    camera: str
    image: Image
    boxes: Floats
    visibility: Floats


@dataclass(frozen=True)
class Tally:
    """Of one picture: scores of boxes and whether each found somebody (n,), how many people were
    to be found, and by how many pixels foot points are off (m,)."""

    scores: Floats
    found: npt.NDArray[np.bool_]
    people: int
    feet: Floats


def shots(
    name: str,
    people: int,
    seeds: Iterable[int] = SEEDS,
    moments: int = MOMENTS,
    cameras: Collection[str] = CAMERAS,
) -> Iterator[Shot]:
    """What the cameras of stores see, every three seconds."""
    for seed in seeds:
        store = plan(name, seed)
        crowd = Crowd(store, people, seed)
        views = [(camera, View(store, store.pose(camera))) for camera in cameras]
        for _ in range(moments):
            crowd.step(3.0)
            for camera, view in views:
                boxes, visibility = view.boxes(crowd)
                yield Shot(camera, view.draw(crowd), boxes, visibility.astype(np.float32))


def tally(found: Detections, shot: Shot, least: float = SEEN) -> Tally:
    """Of one picture, where a box finds somebody if their IoU is at least 0.5.

    Who is seen less than `least` is neither hit nor miss, nor is a box that fits only them. Feet
    are in the middle of a box's bottom; those of people with visibility `WELL_SEEN` are compared
    with the box of at least `SCORE` that fits best.
    """
    wanted, well = shot.visibility >= least, shot.boxes[shot.visibility >= WELL_SEEN]
    right = matches(found.boxes, found.scores, shot.boxes[wanted])
    counted = right | (overlaps(found.boxes, shot.boxes[~wanted]).max(axis=1, initial=0.0) < 0.5)
    sure = found.boxes[found.scores >= SCORE]
    shared = overlaps(well, sure)
    met = np.flatnonzero(shared.max(axis=1, initial=0.0) >= 0.5)
    apart = well[met] - (sure[shared[met].argmax(axis=1)] if len(met) else well[met])
    feet = np.hypot((apart[:, 0] + apart[:, 2]) / 2, apart[:, 3])
    return Tally(found.scores[counted], right[counted], int(wanted.sum()), feet)


def figures(tallies: list[Tally]) -> tuple[int, float, float, float, float]:
    """People, AP50, recall and precision at `SCORE`, and the foot points' RMSE in pixels."""
    scores, found, feet = (
        np.concatenate([getattr(each, part) for each in tallies])
        for part in ("scores", "found", "feet")
    )
    people, sure = sum(each.people for each in tallies), found[scores >= SCORE]
    return (
        people,
        average_precision(scores, found, people),
        float(sure.sum() / max(people, 1)),
        float(sure.sum() / max(len(sure), 1)),
        float(np.sqrt((feet**2).sum() / max(len(feet), 1))),
    )


def score(model: Path) -> None:
    """Prints the figures of a model by kind of camera, and what it takes."""
    detector, spent, count = Detector(model), 0.0, 0
    say(f"{'held-out stores':26} people   AP50  recall  precision  foot px")
    for name, people in PEOPLE.items():
        tallies: dict[str, list[Tally]] = defaultdict(list)
        for shot in shots(name, people):
            start = time.process_time()
            found = detector.detect(shot.image, 0.05)
            spent, count = spent + time.process_time() - start, count + 1
            seen = tally(found, shot)
            tallies[f"{name} {shot.camera}"].append(seen)
            tallies[f"{name}, all cameras"].append(seen)
            tallies[f"{name}, hidden too"].append(tally(found, shot, 1e-6))
        for label in sorted(tallies, key=lambda label: "," in label):
            some, precision50, recall, precision, feet = figures(tallies[label])
            say(
                f"{label:26} {some:6d} {precision50:6.3f} {recall:7.3f} {precision:10.3f} "
                f"{feet:8.2f}"
            )
    say(f"{1000 * spent / count:.2f} ms of one core a picture")


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m models.score_demo", description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/demo.onnx"))
    cv2.setNumThreads(1)
    score(parser.parse_args().model)
