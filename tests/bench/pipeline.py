"""Frames a second of the whole pipeline, beside ONNX Runtime alone and `ultralytics` track.

    python -m tests.bench.pipeline [--repeats 3] [--json]

All three run yolo11n_int8_320.onnx of PASSERBY_SHARED (AGPL: for tests alone) on the same files:

- the limit is ONNX Runtime alone, on a tensor that lies ready, in the faster of two arrangements:
  a one-thread session with a caller a core, and a session of as many threads as there are cores;
- ours is `edge.replay`, with the motion gate off: every frame is decoded, detected, tracked and
  counted, and the events are written;
- `ultralytics` decodes, detects and tracks, by ByteTrack, in its own environment (`make peers`).

They take turns, and the best of each counts: on a machine that does other things too, only ratios
of one run mean something. The processor's time a frame is shown beside.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime

from edge.arrangement import cores
from edge.config import CameraConfig
from edge.detector import Detector
from edge.replay import replay

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
PEERS = ROOT / ".venv-peers" / "bin" / "python"
MODEL = SHARED / "models" / "yolo11n_int8_320.onnx"
PEER = "ultralytics track"
LIMIT = "ONNX Runtime alone"
LINES = {"pets09-s2l1.mp4": 0.85, "supermarket.mp4": 0.75}
"""Least part of the limit that is to be reached on each file."""
TIMES_PEER = 2.0
SECONDS = 3.0
START = datetime(2026, 1, 1, tzinfo=UTC)
CAMERA = CameraConfig.model_validate(
    {
        "id": "bench",
        "source": "the file",
        "motion_gate": False,
        "lines": [
            {"id": "line", "name": "Line", "role": "entrance", "points": [[0.2, 0.5], [0.8, 0.5]]}
        ],
        "zones": [
            {
                "id": "zone",
                "name": "Zone",
                "role": "area",
                "polygon": [[0.1, 0.4], [0.9, 0.4], [0.9, 0.9], [0.1, 0.9]],
            }
        ],
    }
)


@dataclass(frozen=True)
class Speed:
    """Frames a second by the wall clock, and milliseconds of the processor for each."""

    rate: float
    spent: float


def timed(work: Callable[[], int]) -> Speed:
    """The speed of work that returns how many frames it did."""
    began, spent = time.perf_counter(), time.process_time()
    frames = work()
    spent = time.process_time() - spent
    return Speed(frames / (time.perf_counter() - began), 1000 * spent / frames)


def limit(threads: int, callers: int) -> Speed:
    """ONNX Runtime alone: so many callers that share a session of so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    picture = session.get_inputs()[0]
    feed = {picture.name: np.random.default_rng(0).random(picture.shape, np.float32)}
    session.run(None, feed)
    counts = [0] * callers
    end = time.perf_counter() + SECONDS

    def call(index: int) -> None:
        while time.perf_counter() < end:
            session.run(None, feed)
            counts[index] += 1

    def work() -> int:
        crew = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        return sum(counts)

    return timed(work)


def ours(video: str) -> Speed:
    """Replay, as its own summary says: from opening the file to the last event on disk."""
    # Loading the model is not in the summary's seconds, so its time of the processor goes off too.
    loading = time.process_time()
    Detector(MODEL)
    loading = time.process_time() - loading
    with tempfile.TemporaryDirectory() as folder:
        spent = time.process_time() + loading
        summary = replay(
            SHARED / "video" / video,
            CAMERA,
            MODEL,
            seed=0,
            start=START,
            out=Path(folder) / "events.jsonl",
        )
        spent = time.process_time() - spent
    return Speed(summary.frames / summary.seconds, 1000 * spent / summary.frames)


def theirs(video: str) -> Speed:
    """`ultralytics` track, once its model is loaded and warm."""
    with tempfile.TemporaryDirectory() as folder:
        command = [PEERS, "-m", "tests.bench.pipeline_peer", MODEL, SHARED / "video" / video]
        environment = {
            **os.environ,
            "YOLO_CONFIG_DIR": folder,
            "YOLO_OFFLINE": "true",
            "YOLO_AUTOINSTALL": "false",
        }
        told = subprocess.run(
            list(map(str, command)), cwd=ROOT, env=environment, check=True, capture_output=True
        ).stdout
    return Speed(**json.loads(told.splitlines()[-1]))


def best(speeds: list[Speed]) -> Speed:
    """The highest rate, and the least time of the processor, which may be of another turn."""
    return Speed(max(each.rate for each in speeds), min(each.spent for each in speeds))


def main() -> int:
    """Take turns, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="turns of each (3)")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    if not MODEL.exists():
        print(f"{MODEL}: no such file; set PASSERBY_SHARED", file=sys.stderr)
        return 1
    limits: dict[tuple[int, int], list[Speed]] = {(1, cores()): [], (cores(), 1): []}
    mine: dict[str, list[Speed]] = {video: [] for video in LINES}
    other: dict[str, list[Speed]] = {video: [] for video in LINES}
    for turn in range(options.repeats):
        for threads, callers in limits:
            limits[threads, callers].append(limit(threads, callers))
        for video in LINES:
            mine[video].append(ours(video))
            other[video].append(theirs(video))
        print(f"turn {turn + 1} of {options.repeats}", file=sys.stderr, flush=True)
    found = {arrangement: best(speeds) for arrangement, speeds in limits.items()}
    (threads, callers), top = max(found.items(), key=lambda item: item[1].rate)
    print(f"{cores()} cores; the limit: threads × {threads}, callers × {callers}\n")
    print(f"{'':<36} {'frames/s':>8} {'CPU ms':>7} {'of the limit':>12} {'line':>7}  reached")

    def row(name: str, speed: Speed, line: str = "", reached: str = "") -> None:
        part = f"{speed.rate / top.rate:.2f}"
        print(f"{name:<36} {speed.rate:>8.1f} {speed.spent:>7.1f} {part:>12} {line:>7}  {reached}")

    for (threads, callers), speed in found.items():
        row(f"{LIMIT}, {threads} × {callers}", speed)
    reached = {}
    for video, line in LINES.items():
        we, they = best(mine[video]), best(other[video])
        reached[video] = we.rate >= line * top.rate
        reached[f"{video}, {PEER}"] = we.rate >= TIMES_PEER * they.rate
        row(f"ours, {video}", we, f"≥ {line}", "yes" if reached[video] else "no")
        row(f"{PEER}, {video}", they)
        verdict = "yes" if reached[f"{video}, {PEER}"] else "no"
        print(f"{'  ours ÷ theirs':<36} {we.rate / they.rate:>8.2f} {'':>20} {'≥ 2':>7}  {verdict}")
    if options.json:
        print(
            json.dumps(
                {
                    "ours": {video: best(mine[video]).rate for video in LINES},
                    "peers": {
                        LIMIT: top.rate,
                        PEER: {video: best(other[video]).rate for video in LINES},
                    },
                    "of_limit": {video: best(mine[video]).rate / top.rate for video in LINES},
                    "reached": all(reached.values()),
                    "reached_each": reached,
                    "cpu_ms": {
                        "ours": {video: best(mine[video]).spent for video in LINES},
                        LIMIT: top.spent,
                        PEER: {video: best(other[video]).spent for video in LINES},
                    },
                }
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
