"""Crossings and dwell on PETS09-S2L1, ours beside `supervision` and `trackers`, against its truth.

    python -m tests.bench.counting [--model NAME] [--json]

The video and the boxes that people drew of it are in the shared folder; what happened by them
is counted by `tests.bench.counting_truth`. Lines and zones lie where people walk and stand in that
video, within the part of it that was annotated, and were drawn before anything was counted. The
camera is not calibrated. Both sides get the same detections, and all that is not said here is as it
is by default.

Most stays there are shorter than 3 seconds. The whole seconds that a device publishes by default
would be an error of 8 % of their own, so ours runs with `time_step: 0.1`; what dwell comes to in
whole seconds is shown for both.

Unless told the model is the one that finds people best there, of those in the shared folder that
are under a free licence.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from edge import wire
from edge.camera import read
from edge.config import AgentConfig, CameraConfig
from edge.detector import Detections, Detector
from edge.ground import Ground
from edge.pipeline import UNSURE, CameraPipeline
from edge.privacy import Gate
from tests.bench import counting_truth, scores
from tests.bench.scores import Crossing, Stay

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PEER = "supervision + trackers"
MODEL = "deimv2_femto_416"
SEQUENCE = "PETS09-S2L1"
VIDEO = "pets09-s2l1.mp4"
SIZE = (480, 360)
SCALE = 0.625
FPS = 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)
Drawn = dict[str, list[tuple[float, float]]]

LINES: Drawn = {
    "west": [(0.24, 0.33), (0.24, 0.50)],
    "middle": [(0.40, 0.35), (0.40, 0.60)],
    "post": [(0.62, 0.34), (0.62, 0.68)],
    "east": [(0.84, 0.42), (0.78, 0.74)],
    "back": [(0.68, 0.37), (0.90, 0.37)],
    "lawn": [(0.02, 0.47), (0.30, 0.53), (0.45, 0.60), (0.60, 0.70), (0.72, 0.78)],
    "bend": [(0.47, 0.36), (0.62, 0.45), (0.47, 0.56)],
}
ZONES: Drawn = {
    "west": [(0.05, 0.34), (0.30, 0.34), (0.30, 0.49), (0.05, 0.44)],
    "post": [(0.45, 0.36), (0.66, 0.36), (0.66, 0.58), (0.45, 0.54)],
    "crossroads": [(0.70, 0.42), (0.92, 0.42), (0.92, 0.56), (0.70, 0.54)],
    "east": [(0.66, 0.56), (0.92, 0.58), (0.92, 0.74), (0.80, 0.74), (0.66, 0.64)],
    "back": [(0.66, 0.31), (0.88, 0.31), (0.88, 0.42), (0.66, 0.42)],
    "lawn": [(0.02, 0.50), (0.30, 0.54), (0.62, 0.72), (0.62, 0.95), (0.02, 0.95)],
}
"""In fractions of the picture."""
MOST = {"crossings": 0.10, "total": 0.05, "dwell": 0.10}
"""What is to be reached."""
TIME_STEP = 0.1


@dataclass(frozen=True)
class Found:
    """What somebody counted."""

    crossings: list[Crossing]
    stays: list[Stay]


class Recorder:
    """A detector whose answers are kept for the peer."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._kept: list[Detections] = []

    def detect(self, image: npt.NDArray[np.uint8], least: float) -> Detections:
        """What the detector finds."""
        self._kept.append(self._detector.detect(image, least))
        return self._kept[-1]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """All answers, as `tests.bench.counting_peer` reads them."""
        return {
            "first": np.cumsum([0, *(len(each.scores) for each in self._kept)]),
            "boxes": np.concatenate([each.boxes for each in self._kept]),
            "scores": np.concatenate([each.scores for each in self._kept]),
        }


def camera() -> CameraConfig:
    """The camera, as a device's owner would write it down."""
    return CameraConfig.model_validate(
        {
            "id": "pets",
            "source": "0",
            "fps": FPS,
            "lines": [
                {"id": name, "name": name, "role": "internal", "points": points}
                for name, points in LINES.items()
            ],
            "zones": [
                {"id": name, "name": name, "role": "area", "polygon": points}
                for name, points in ZONES.items()
            ],
        }
    )


def truth(path: Path) -> Found:
    """What happened, by the boxes that people drew."""
    walks = counting_truth.walks(path, FPS, SCALE)
    return Found(
        [
            crossing
            for name, line in _pixels(LINES).items()
            for walk in walks
            for crossing in counting_truth.crossings(walk, name, line)
        ],
        [
            stay
            for name, zone in _pixels(ZONES).items()
            for walk in walks
            for stay in counting_truth.stays(walk, name, zone)
        ],
    )


def ours(video: Path, detector: Recorder) -> Found:
    """Through the rooms of the agent, and what they let out."""
    watched = camera()
    gate = Gate(AgentConfig.model_fields["fraction_step"].default, TIME_STEP)
    ground = Ground([watched], gate, {watched.id: FPS}, seed=0)
    pipeline = CameraPipeline(watched, cast(Detector, detector), ground, FPS)
    events: list[wire.Event] = []
    for frame in read(str(video), START, FPS):
        events += pipeline.process(frame)
    events += pipeline.close(START + timedelta(seconds=pipeline.frames / FPS))
    found = Found([], [])
    for event in events:
        if isinstance(event, wire.Crossing):
            found.crossings.append((_seconds(event.time), event.line, str(event.direction)))
        elif isinstance(event, wire.Visit):
            entered = _seconds(event.entered)
            found.stays.append((event.zone, entered, entered + event.dwell))
    return found


def theirs(detections: dict[str, npt.NDArray[np.generic]]) -> Found:
    """Through `supervision` and `trackers`, in their own environment."""
    settings = {"fps": FPS, "lines": _pixels(LINES), "zones": _pixels(ZONES)}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("found.npz", "settings.json", "out.json")]
        np.savez(files[0], allow_pickle=False, **detections)
        files[1].write_text(json.dumps(settings))
        command = [str(PEERS), "-m", "tests.bench.counting_peer", *map(str, files)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        result = json.loads(files[2].read_text())
    stays = [(zone, entered, exited) for zone, entered, exited in result["visits"]]
    return Found(
        [(seconds, line, direction) for seconds, line, direction in result["crossings"]],
        [stay for stay in stays if stay[2] - stay[1] >= counting_truth.LEAST_STAY],
    )


def figures(right: Found, found: Found) -> dict[str, float]:
    """How far counts are from the truth, in the figures of `MOST` and some more.

    `crossings` is the sum of the errors of all lines and directions, and `total` the error of their
    sum, both by the truth's number; `dwell` the median error of the truth's stays, by their length,
    and `dwell_whole` the same if what was found is rounded to whole seconds.
    `found` and `right` are the shares of the truth's crossings that were counted within two
    seconds, and of the counted ones that were the truth's.
    """
    there, counted = _by_line(right.crossings), _by_line(found.crossings)
    number = there.total()
    whole = [(zone, begin, begin + round(end - begin)) for zone, begin, end in found.stays]
    lengths = np.array([end - begin for _, begin, end in right.stays])
    dwell, dwell_whole = (
        float(np.median(scores.stay_errors(right.stays, stays) / lengths))
        for stays in (found.stays, whole)
    )
    same = scores.same_crossings(right.crossings, found.crossings)
    return {
        "crossings": sum(abs(counted[key] - there[key]) for key in there | counted) / number,
        "total": abs(counted.total() - number) / number,
        "dwell": dwell,
        "dwell_whole": dwell_whole,
        "found": same / number,
        "right": same / max(counted.total(), 1),
    }


def _by_line(crossings: Sequence[Crossing]) -> Counter[tuple[str, str]]:
    return Counter((line, direction) for _, line, direction in crossings)


def _pixels(drawn: Drawn) -> Drawn:
    width, height = SIZE
    return {name: [(x * width, y * height) for x, y in points] for name, points in drawn.items()}


def _seconds(time: datetime) -> float:
    return (time - START).total_seconds()


def main() -> int:
    """Count thrice, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counting")
    parser.add_argument("--model", default=MODEL, metavar="NAME", help=f"of the folder ({MODEL})")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    model = SHARED / "models" / f"{options.model}.onnx"
    boxes, video = SHARED / "mot" / SEQUENCE / "gt" / "gt.txt", SHARED / "video" / VIDEO
    for path in (model, boxes, video):
        if not path.exists():
            print(f"{path} is not here: set PASSERBY_SHARED", file=sys.stderr)
            return 1
    cv2.setNumThreads(1)
    recorder = Recorder(Detector(model))
    right, our = truth(boxes), ours(video, recorder)
    their = theirs(recorder.arrays())
    show(right, our, their)
    mine, other = figures(right, our), figures(right, their)
    hit = {name: mine[name] <= most for name, most in MOST.items()}
    print(f"{options.model}, from a score of {UNSURE * camera().min_confidence:.2f}\n")
    print(f"{'':<36} {'line':>6} {'ours':>7} {PEER:>24}  reached")
    for name, title in TITLES.items():
        line = f"≤ {MOST[name]:.0%}" if name in MOST else ""
        verdict = {True: "yes", False: "no", None: ""}[hit.get(name)]
        print(f"{title:<36} {line:>6} {mine[name]:>7.1%} {other[name]:>24.1%}  {verdict}".rstrip())
    if options.json:
        result = {
            "ours": mine,
            "peers": {PEER: other},
            "reached": all(hit.values()),
            "lines": MOST,
            "reached_each": hit,
            "model": options.model,
            "crossings": len(right.crossings),
            "stays": len(right.stays),
        }
        print(json.dumps(result))
    return 0


TITLES = {
    "crossings": "crossings, sum of errors",
    "total": "crossings, error of the sum",
    "dwell": "dwell, median error",
    "dwell_whole": "the same in whole seconds",
    "found": "crossings found",
    "right": "crossings that were right",
}


def show(right: Found, our: Found, their: Found) -> None:
    """What each line and zone comes to."""
    counts = [_by_line(each.crossings) for each in (right, our, their)]
    print(f"{'line':<12} {'':<4} {'truth':>7} {'ours':>7} {PEER:>24}")
    for name in LINES:
        for direction in ("in", "out"):
            there, mine, other = (each[name, direction] for each in counts)
            print(f"{name:<12} {direction:<4} {there:>7} {mine:>7} {other:>24}")
    there, mine, other = (each.total() for each in counts)
    print(f"{'all':<17} {there:>7} {mine:>7} {other:>24}\n")
    print(f"{'zone':<12} {'':<4} {'truth':>7} {'ours':>7} {PEER:>24}   (stays, seconds)")
    for name in ZONES:
        lengths = [
            [end - begin for zone, begin, end in each.stays if zone == name]
            for each in (right, our, their)
        ]
        for what, cells in (
            ("n", [f"{len(each)}" for each in lengths]),
            ("s", [f"{sum(each):.1f}" for each in lengths]),
        ):
            print(f"{name:<12} {what:<4} {cells[0]:>7} {cells[1]:>7} {cells[2]:>24}")
    print()


if __name__ == "__main__":
    sys.exit(main())
