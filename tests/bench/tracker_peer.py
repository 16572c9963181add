"""The trackers of `trackers`, and its scores: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.tracker_peer JOB.json OUT.json

A job is a JSON object with `mot`, the folder of the sequences,

* `candidates`, a list of a tracker's name and the keyword arguments to run it with besides the
  frame rate, the first of each name being its defaults; and
* `crowds`, by number of people, .npz files of made-up detections.

What comes back is `defaults`, the COMBINED of `trackers eval` by tracker; `tuned`, the same where
every sequence was tracked with the candidate that is best on the five others (by the mean of their
HOTA + IDF1); and `times`, milliseconds a frame of ours and ByteTrack, which take turns of 15 frames
in one process, the best turn of each.
"""

import configparser
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from trackers import (
    BoTSORTTracker,
    ByteTrackTracker,
    CBIoUTracker,
    OCSORTTracker,
    SORTTracker,
)
from trackers.eval import evaluate_mot_sequences

from edge.tracker import Tracker

PEERS: dict[str, Callable[..., Any]] = {
    "SORT": SORTTracker,
    "ByteTrack": ByteTrackTracker,
    "OC-SORT": OCSORTTracker,
    "C-BIoU": CBIoUTracker,
    "BoT-SORT": lambda **given: BoTSORTTracker(enable_cmc=False, **given),
}
TURN = 15
"""Frames in a turn of the timing."""


def follow(name: str, given: dict[str, Any], detections: Path, fps: float, out: Path) -> None:
    """Write the tracks of one tracker, ours or a peer, on one sequence."""
    table = np.loadtxt(detections, delimiter=",", dtype=np.float32)
    tracker: Any = Tracker(fps, **given) if name == "ours" else PEERS[name](frame_rate=fps, **given)
    lines = []
    for frame in range(1, int(table[:, 0].max()) + 1):
        found = table[table[:, 0] == frame]
        boxes, scores = np.hstack([found[:, 2:4], found[:, 2:4] + found[:, 4:6]]), found[:, 6]
        if name == "ours":
            tracks = tracker.update(boxes, scores)
            ids, boxes = tracks.ids, tracks.boxes
        else:
            people = tracker.update(as_detections(boxes, scores))
            ids, boxes = people.tracker_id, people.xyxy
        lines += [
            f"{frame},{number},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},1\n"
            for number, (left, top, right, bottom) in zip(ids, boxes, strict=True)
            if number >= 0
        ]
    out.write_text("".join(lines))


def as_detections(boxes: Any, scores: Any) -> sv.Detections:
    """What the peers take."""
    return sv.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(scores), int))


def score(job: dict[str, Any], folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """`defaults` and `tuned`."""
    truth = folder / "truth"
    truth.mkdir(parents=True)
    rates = {}
    for path in sorted(Path(job["mot"]).glob("*/seqinfo.ini")):
        info = configparser.ConfigParser()
        info.read(path)
        rates[path.parent] = float(info["Sequence"]["frameRate"])
        # Only rows whose 7th column is 1 are people; the columns after it are places in 3D.
        rows = [row.split(",")[:7] for row in (path.parent / "gt/gt.txt").read_text().split()]
        kept = "\n".join(",".join(row) for row in rows if float(row[6]) == 1)
        (truth / f"{path.parent.name}.txt").write_text(kept)
    defaults: dict[str, dict[str, float]] = {}
    parts: dict[str, list[tuple[Path, dict[str, float]]]] = {}
    for index, (name, given) in enumerate(job["candidates"]):
        out = folder / str(index)
        out.mkdir()
        for sequence, fps in rates.items():
            follow(name, given, sequence / "det/frcnn.txt", fps, out / f"{sequence.name}.txt")
        figures, each = evaluate(truth, out)
        defaults.setdefault(name, figures)
        parts.setdefault(name, []).append((out, each))
    tuned = {}
    for name, candidates in parts.items():
        if len(candidates) == 1:
            continue
        out = folder / f"tuned-{name}"
        out.mkdir()
        for left in (sequence.name for sequence in rates):
            sums = [sum(each.values()) - each[left] for _, each in candidates]
            best, _ = candidates[int(np.argmax(sums))]
            (out / f"{left}.txt").write_text((best / f"{left}.txt").read_text())
        tuned[name] = evaluate(truth, out)[0]
    return {"defaults": defaults, "tuned": tuned}


def evaluate(truth: Path, out: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The COMBINED row of `trackers eval` in percent, and HOTA + IDF1 of each sequence."""
    result = evaluate_mot_sequences(truth, out, metrics=["CLEAR", "HOTA", "Identity"])
    total = result.aggregate
    return {
        "HOTA": 100 * float(total.HOTA.HOTA),
        "IDF1": 100 * float(total.Identity.IDF1),
        "MOTA": 100 * float(total.CLEAR.MOTA),
        "IDSW": int(total.CLEAR.IDSW),
    }, {name: float(each.HOTA.HOTA + each.Identity.IDF1) for name, each in result.sequences.items()}


def clock(crowd: Path) -> dict[str, float]:
    """Milliseconds a frame in the best turn: ours and ByteTrack's, on the same detections."""
    with np.load(crowd) as kept:
        first, boxes, scores = kept["first"], kept["boxes"], kept["scores"]
    frames = [(boxes[start:end], scores[start:end]) for start, end in pairwise(first)]
    theirs = [as_detections(*frame) for frame in frames]
    ours, peer = Tracker(10.0), ByteTrackTracker(frame_rate=10.0)
    best = {"ours": np.inf, "ByteTrack": np.inf}
    for start in range(0, len(frames), TURN):
        began = time.perf_counter()
        for frame in frames[start : start + TURN]:
            ours.update(*frame)
        between = time.perf_counter()
        for found in theirs[start : start + TURN]:
            peer.update(found)
        ended = time.perf_counter()
        best["ours"] = min(best["ours"], (between - began) / TURN * 1000)
        best["ByteTrack"] = min(best["ByteTrack"], (ended - between) / TURN * 1000)
    return best


def main() -> None:
    """Read a job, do it, write what came of it."""
    job = json.loads(Path(sys.argv[1]).read_text())
    out = Path(sys.argv[2])
    result = {
        **score(job, out.parent / "work"),
        "times": {name: clock(Path(crowd)) for name, crowd in job["crowds"].items()},
    }
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
