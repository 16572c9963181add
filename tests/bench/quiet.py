"""What four cameras of a quiet scene cost with the motion gate on, and what that loses.

    python -m tests.bench.quiet [--minutes 30] [--json]

The scene is a recording made here, before anything is measured, of the clip one-by-one.mp4 in
PASSERBY_SHARED (768 x 432 at 10 frames a second): its six passages, each with the still seconds
before and after it, and between them the empty room, a stretch of five seconds of the same clip
forth and back. So both the noise of the camera and that of the coding are real. About 12 people
come in 30 minutes. The detector is yolo11n_int8_320.onnx (AGPL: for tests alone).

Four cameras show it at once through the rooms of the agent, from reading the file to the privacy
gate, as fast as they can: what is compared is the processor's time, decoding counted, with the
length of the recording. One of them runs again with every frame detected; each of the four must
count the same.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import cv2

import edge.agent  # noqa: F401 (what an agent loads is in its memory, and so in ours)
from edge import wire
from edge.arrangement import cores
from edge.camera import Frame, read
from edge.config import CameraConfig
from edge.detector import Detector
from edge.flight import assemble, depth, fly
from edge.ground import Ground
from edge.pipeline import CameraPipeline
from edge.privacy import Gate

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
CLIP = SHARED / "video" / "one-by-one.mp4"
MODEL = SHARED / "models" / "yolo11n_int8_320.onnx"
CAMERAS = 4
FPS = 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY = (5, 55)
"""Frames of the clip in which nobody is, [first, last), to be shown forth and back."""
BETWEEN = (40, 212, 475, 722, 896, 1216, 1376)
"""Frames of the clip between its six passages; nobody is in them either."""
PEOPLE_AN_HOUR = 24
LINES = {"cores": 0.5, "lost": 0, "memory_mb": 350.0, "growth_mb": 10.0}
"""What is to be reached, at most: cores of four cameras, counts that the gate changes, resident
memory, and by how much its median grows from the second to the last sixth."""
SETTINGS = {
    "source": "the recording",
    "fps": FPS,
    "lines": [
        {"id": "line", "name": "Line", "role": "entrance", "points": [[0.05, 0.85], [0.95, 0.85]]}
    ],
    "zones": [
        {
            "id": "table",
            "name": "Table",
            "role": "display",
            "polygon": [[0.3, 0.55], [0.8, 0.55], [0.8, 0.95], [0.3, 0.95]],
        },
        {
            "id": "room",
            "name": "Room",
            "role": "area",
            "polygon": [[0, 0.4], [1, 0.4], [1, 1], [0, 1]],
        },
    ],
}


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds of the processor, of the wall, and resident megabytes by minute."""

    spent: float
    wall: float
    memory: list[float]
    looked: float
    counts: list[dict[str, float]]


def record(path: Path, minutes: float) -> None:
    """Write the recording."""
    cv2.setNumThreads(1)
    frames = round(minutes * 60 * FPS)
    stretches = list(pairwise(BETWEEN))
    people = max(round(minutes / 60 * PEOPLE_AN_HOUR), 1)
    busy = sum(end - first for first, end in (stretches * people)[:people])
    pause = max((frames - busy) // people, 0)
    forth = [frame.image for frame, _ in zip(_clip(), range(EMPTY[1]), strict=False)][EMPTY[0] :]
    around = forth + forth[-2:0:-1]
    height, width = forth[0].shape[:2]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), FPS, (width, height)
    )
    clip = _clip()
    for person in range(people):
        first, end = stretches[person % len(stretches)]
        if person % len(stretches) == 0:
            clip = _clip()
        for index in range(pause):
            writer.write(around[index % len(around)])
        for frame in clip:
            if frame.index >= first:
                writer.write(frame.image)
            if frame.index == end - 1:
                break
    writer.release()


def _clip() -> Iterator[Frame]:
    return read(CLIP, START)


def watch(path: Path, cameras: int, motion_gate: bool) -> Cost:
    """Run so many cameras of the recording; to be called in a process of its own."""
    detector = Detector(MODEL)
    settings = [
        CameraConfig.model_validate(
            {**SETTINGS, "id": f"camera-{number}", "motion_gate": motion_gate}
        )
        for number in range(cameras)
    ]
    pipelines = [
        CameraPipeline(
            camera, detector, Ground([camera], Gate(0.02), {camera.id: FPS}, seed=0), FPS
        )
        for camera in settings
    ]
    counts: list[Counter[str]] = [Counter() for _ in pipelines]
    memory: list[float] = []
    crew = assemble(cores())

    def follow(number: int) -> None:
        pipeline, end = pipelines[number], START
        for frame, events in fly(read(path, START, FPS), pipeline, crew, depth(cores(), cameras)):
            _count(counts[number], events)
            end = frame.time + timedelta(seconds=1 / FPS)
            if number == 0 and pipeline.frames % round(60 * FPS) == 0:
                memory.append(_resident())
        _count(counts[number], pipeline.close(end))

    spent, began = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=follow, args=(number,)) for number in range(cameras)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frames = sum(pipeline.frames for pipeline in pipelines)
    still = sum(pipeline.still for pipeline in pipelines)
    return Cost(
        time.process_time() - spent,
        time.perf_counter() - began,
        memory,
        1 - still / frames,
        [dict(count) for count in counts],
    )


def _count(counts: "Counter[str]", events: list[wire.Event]) -> None:
    for event in events:
        if isinstance(event, wire.Crossing):
            counts[f"crossings {event.direction}"] += 1
        elif isinstance(event, wire.Visit):
            counts[f"visits {event.zone}"] += 1
            counts[f"seconds {event.zone}"] += round(event.dwell)
        elif isinstance(event, wire.Path):
            counts["tracks"] += 1


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(memory: list[float]) -> float:
    """By how many megabytes memory grew from the second sixth to the last; 0 for a short run."""
    part = len(memory) // 6
    if part == 0:
        return 0.0
    return statistics.median(memory[-part:]) - statistics.median(memory[part : 2 * part])


def main() -> int:
    """Record, run, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quiet")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N", help="of replay (30)")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not MODEL.exists():
        print(f"{MODEL}: no such file; set PASSERBY_SHARED", file=sys.stderr)
        return 1
    # Each run in a fresh process, so that memory is its own.
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quiet.mp4"
        with ProcessPoolExecutor(1, fresh, max_tasks_per_child=1) as pool:
            pool.submit(record, path, options.minutes).result()
            print("the recording is made", file=sys.stderr, flush=True)
            on = pool.submit(watch, path, CAMERAS, True).result()
            print("the gate was on", file=sys.stderr, flush=True)
            off = pool.submit(watch, path, 1, False).result()
    seconds = options.minutes * 60
    (truth,) = off.counts
    kinds = sorted(truth)
    lost = sum(
        abs(counts.get(kind, 0) - truth[kind])
        for counts in on.counts
        for kind in kinds
        if not kind.startswith("seconds")
    )
    our = {
        "cores": on.spent / seconds,
        "lost": lost,
        "memory_mb": max(on.memory, default=0.0),
        "growth_mb": growth(on.memory),
    }
    their = {"cores": CAMERAS * off.spent / seconds}
    reached = {name: our[name] <= line for name, line in LINES.items()}
    print(f"{CAMERAS} cameras, {options.minutes:g} minutes, {FPS:g} frames/s each\n")
    print(f"{'':<28} {'gate on':>9} {'gate off':>9} {'line':>7}  reached")
    for name, title in TITLES.items():
        other = f"{their[name]:.2f}" if name in their else ""
        verdict = "yes" if reached[name] else "no"
        line = f"≤ {LINES[name]:g}"
        print(f"{title:<28} {our[name]:>9.2f} {other:>9} {line:>7}  {verdict}")
    print(f"{'frames that were detected':<28} {on.looked:>9.1%} {off.looked:>9.1%}")
    for kind in kinds:
        each = sorted({counts.get(kind, 0) for counts in on.counts})
        print(f"{kind:<28} {'/'.join(f'{value:g}' for value in each):>9} {truth[kind]:>9g}")
    if options.json:
        print(
            json.dumps(
                {
                    "ours": our,
                    "peers": {"the same without a gate": their},
                    "reached": all(reached.values()),
                    "lines": LINES,
                    "reached_each": reached,
                    "detected": on.looked,
                    "counts": {"gate on": on.counts, "gate off": truth},
                }
            )
        )
    return 0


TITLES = {
    "cores": f"cores, {CAMERAS} cameras",
    "lost": "counts that differ",
    "memory_mb": "resident memory, MB",
    "growth_mb": "its growth, MB",
}


if __name__ == "__main__":
    sys.exit(main())
