"""Counts against the truth of rendered stores, ours beside `supervision` and `trackers`.

    python -m tests.bench.store_truth [--stores 20] [--keep FOLDER] [--json]

Each store is seen by three cameras: the entrance until at least 300 people have crossed its line,
aisles and checkouts for some minutes. The detector is models/demo.onnx, which never saw these
seeds. Both sides get its detections, box for box, and the same homography, read off the picture
through the lens as an installer would. The peers run in their own environment (`make peers`).

Who counts as truth: everybody of whom at least 20 % is seen within a second of a crossing; stays
of 5 seconds and more, seen for at least half of them. What is not found is an error of its whole
length.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np

from edge import floor, wire
from edge.calibration import calibrate
from edge.camera import Frame
from edge.config import AgentConfig, CameraConfig
from edge.detector import Detections, Detector
from edge.ground import Ground
from edge.pipeline import UNSURE, CameraPipeline
from edge.privacy import Gate
from edge.simulator import Scene, address, camera_config, parse, pictures, truth
from tests.bench import scores
from tests.bench.scores import Crossing, Dots, Stay

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "demo.onnx"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
PEER = "supervision + trackers"
START = datetime(2026, 1, 1, tzinfo=UTC)
LEAST_CROSSINGS = 300
LEAST_STAY = 5.0
LEAST_SEEN = 0.5
LINES = {
    "footfall_sum": 0.01,
    "footfall_worst": 0.03,
    "dwell": 0.05,
    "wait": 0.10,
    "path": 0.3,
    "zones": 0.98,
}
"""What is to be reached; `zones` at least, the others at most; `path` in metres."""


@dataclass(frozen=True)
class Found:
    """What one side made of a camera: crossings, stays, and dots on the floor with their zones."""

    crossings: list[Crossing]
    stays: list[Stay]
    dots: Dots
    zones: list[str]


@dataclass(frozen=True)
class Tally:
    """Sums that a camera, a store or all of them come to; `seconds` are of stays and waits."""

    crossings: int = 0
    footfall: int = 0
    counted: int = 0
    same: int = 0
    found_crossings: int = 0
    stays: int = 0
    stay_seconds: float = 0.0
    stay_error: float = 0.0
    waits: int = 0
    wait_seconds: float = 0.0
    wait_error: float = 0.0
    zones_right: int = 0
    dots: int = 0
    squares: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))


def scenes(seed: int) -> Iterator[tuple[Scene, truth.Record]]:
    """The three cameras of a store, and what happens before them."""
    boutique = seed % 7 == 0
    name, people, minutes = ("boutique", 15, 38) if boutique else ("supermarket", 40, 13)
    common = f"sim://{name}?seed={seed}&people={people}"
    for length in count(minutes):
        scene = parse(f"{common}&minutes={length}&camera=entrance")
        record = truth.record(scene)
        if len(crossings(record, camera_config(scene))) >= LEAST_CROSSINGS:
            yield scene, record
            break
    for camera in ("aisles", "checkouts"):
        scene = parse(f"{common}&minutes=4&camera={camera}")
        yield scene, truth.record(scene)


def crossings(record: truth.Record, camera: CameraConfig) -> list[Crossing]:
    """The true crossings of a camera's entrance lines that count."""
    lines = {line.id for line in camera.lines if line.role == "entrance"}
    return [
        (each.seconds, each.line, each.direction)
        for each in truth.crossings(record)
        if each.line in lines and each.seen and not each.staff
    ]


def detections(scene: Scene, least: float, keep: Path | None) -> dict[str, np.ndarray]:
    """A scene's detections: `first` (frames + 1,), `boxes` (n, 4), `scores` (n,).

    Kept in a folder if one is given, by what they depend on.
    """
    detector = Detector(MODEL)
    name = address(scene).replace("://", "-").replace("?", "-").replace("&", "-")
    path = keep / f"{name}-{detector.model_hash}.npz" if keep else None
    if path and path.exists():
        with np.load(path) as kept:
            return dict(kept)
    first, boxes, found = [0], [], []
    for picture in pictures(scene):
        seen = detector.detect(picture, least)
        boxes.append(seen.boxes)
        found.append(seen.scores)
        first.append(first[-1] + len(seen.scores))
    result = {
        "first": np.array(first),
        "boxes": np.concatenate(boxes),
        "scores": np.concatenate(found),
    }
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, allow_pickle=False, **result)
    return result


class Recorded:
    """A detector's answers again, in their order."""

    def __init__(self, found: dict[str, np.ndarray]) -> None:
        self._answers = iter(
            [
                Detections(found["boxes"][start:end], found["scores"][start:end])
                for start, end in zip(found["first"][:-1], found["first"][1:], strict=True)
            ]
        )

    def detect(self, _image: object, _least: float) -> Detections:
        """The next one."""
        return next(self._answers)


def ours(scene: Scene, camera: CameraConfig, found: dict[str, np.ndarray]) -> Found:
    """Through the pipeline of the agent, and what it lets out; dots are before the gate."""
    default = AgentConfig.model_fields
    gate = Gate(default["position_step"].default, default["time_step"].default)
    ground = Ground([camera], gate, {camera.id: scene.fps}, seed=0)
    pipeline = CameraPipeline(camera, cast(Detector, Recorded(found)), ground, scene.fps)
    blank = np.zeros((scene.size[1], scene.size[0], 3), np.uint8)
    events: list[wire.Event] = []
    rows = []
    for index in range(scene.frames):
        frame = Frame(index, START + timedelta(seconds=index / scene.fps), blank)
        events += pipeline.process(frame)
        rows += [
            (index, number, x, y)
            for number, (x, y) in zip(
                pipeline.tracks.ids.tolist(), pipeline.positions.tolist(), strict=True
            )
        ]
    events += pipeline.close(START + timedelta(seconds=scene.frames / scene.fps))
    crossings, stays = [], []
    for event in events:
        if isinstance(event, wire.Crossing) and not event.staff:
            crossings.append((_seconds(event.time), event.line, str(event.direction)))
        elif isinstance(event, wire.Visit):
            entered = _seconds(event.entered)
            stays.append((event.zone, entered, entered + event.dwell))
    return _found(camera, crossings, stays, rows)


def theirs(scene: Scene, camera: CameraConfig, found: dict[str, np.ndarray]) -> Found:
    """Through `supervision` and `trackers`, with lines and zones drawn on the picture."""
    size = np.array(scene.size)
    matrix = _homography(camera, size[0] / size[1])

    def drawn(points: Sequence[tuple[float, float]]) -> list[list[float]]:
        corners = np.array([points], np.float64)
        picture = cv2.perspectiveTransform(corners, np.linalg.inv(matrix))[0] * size
        return cast(list[list[float]], picture.tolist())

    settings = {
        "fps": scene.fps,
        "lines": {line.id: drawn(line.points) for line in camera.lines},
        "zones": {zone.id: drawn(zone.polygon) for zone in camera.zones},
    }
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("found.npz", "settings.json", "out.json")]
        np.savez(files[0], allow_pickle=False, **found)
        files[1].write_text(json.dumps(settings))
        command = [str(PEERS), "-m", "tests.bench.counting_peer", *map(str, files)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        result = json.loads(files[2].read_text())
    rows = np.array(result["points"], np.float64).reshape(-1, 4)
    if len(rows):
        feet = rows[None, :, 2:] / size
        rows[:, 2:] = cv2.perspectiveTransform(feet, matrix)[0]
    return _found(
        camera,
        [(seconds, line, direction) for seconds, line, direction in result["crossings"]],
        [(zone, entered, exited) for zone, entered, exited in result["visits"]],
        rows.tolist(),
    )


def _found(
    camera: CameraConfig, crossings: list[Crossing], stays: list[Stay], rows: list[Any]
) -> Found:
    dots = np.array(rows, np.float64).reshape(-1, 4)
    plan = floor.plan([], [zone.polygon for zone in camera.zones])
    inside = floor.inside(plan, dots[:, 2:])
    names = [zone.id for zone in camera.zones]
    zones = [names[row.argmax()] if row.any() else "" for row in inside]
    return Found(crossings, stays, dots, zones)


def _homography(camera: CameraConfig, aspect: float) -> floor.Floats:
    """Picture to floor as the peers' user would have it, without the lens."""
    pairs = camera.homography or ()
    return calibrate([p.pixel for p in pairs], [p.floor for p in pairs], aspect=aspect).matrix


def _seconds(time: datetime) -> float:
    return (time - START).total_seconds()


def tally(record: truth.Record, camera: CameraConfig, found: Found) -> Tally:
    """How a camera's counts compare with its truth."""
    scene = record.scene
    lines = {line.id for line in camera.lines if line.role == "entrance"}
    right = crossings(record, camera)
    counted = [crossing for crossing in found.crossings if crossing[1] in lines]
    zones = {zone.id for zone in camera.zones if zone.role != "queue"}
    visits = [
        each
        for each in truth.visits(record)
        if each.zone in zones
        and each.exited - each.entered >= LEAST_STAY
        and each.seen >= LEAST_SEEN
    ]
    stays: list[Stay] = [(each.zone, each.entered, each.exited) for each in visits]
    waits = list(_waits(record, camera))
    seen = record.visibility >= truth.SEEN
    there = np.column_stack([record.frames, record.ids, record.positions])[seen]
    rows, metres = scores.who_is_who(there, found.dots)
    zones_right, _ = scores.zones_right(
        there,
        [(each.person, each.zone, each.entered, each.exited) for each in visits],
        found.dots,
        rows,
        found.zones,
        scene.fps,
    )
    return Tally(
        crossings=len(right),
        footfall=sum(direction == "in" for _, _, direction in right),
        counted=sum(direction == "in" for _, _, direction in counted),
        same=scores.same_crossings(right, counted),
        found_crossings=len(counted),
        stays=len(stays),
        stay_seconds=sum(end - begin for _, begin, end in stays),
        stay_error=float(scores.stay_errors(stays, found.stays).sum()),
        waits=len(waits),
        wait_seconds=sum(end - begin for _, begin, end in waits),
        wait_error=float(scores.stay_errors(waits, found.stays).sum()),
        zones_right=zones_right,
        dots=int((rows >= 0).sum()),
        squares=float(np.nansum(metres**2)),
    )


def _waits(record: truth.Record, camera: CameraConfig) -> Iterator[Stay]:
    """Waits of those who joined a queue in view and were served, by the queue's zone."""
    zones = {zone.id for zone in camera.zones if zone.role == "queue"}
    seconds = record.frames / record.scene.fps
    for turn in record.turns:
        zone = f"queue-{turn.till}"
        if zone not in zones or turn.served is None or turn.joined < 0:
            continue
        rows = (record.ids == turn.person) & (seconds >= turn.joined) & (seconds <= turn.served)
        if rows.any() and (record.visibility[rows] >= truth.SEEN).mean() >= LEAST_SEEN:
            yield zone, turn.joined, turn.served


def store(seed: int, keep: Path | None) -> tuple[int, str, Tally, Tally]:
    """A store's seed, name and tallies: ours and theirs."""
    mine = other = Tally()
    for scene, record in scenes(seed):
        camera = camera_config(scene)
        found = detections(scene, UNSURE * camera.min_confidence, keep)
        mine += tally(record, camera, ours(scene, camera, found))
        other += tally(record, camera, theirs(scene, camera, found))
    return seed, scene.name, mine, other


def figures(tallies: Sequence[Tally]) -> dict[str, float]:
    """All stores in the figures of `LINES`, and how many crossings were the right ones."""
    total = sum(tallies, Tally())
    return {
        "footfall_sum": abs(total.counted - total.footfall) / total.footfall,
        "footfall_worst": max(abs(t.counted - t.footfall) / t.footfall for t in tallies),
        "dwell": total.stay_error / total.stay_seconds,
        "wait": total.wait_error / total.wait_seconds,
        "path": (total.squares / max(total.dots, 1)) ** 0.5,
        "zones": total.zones_right / total.stays,
        "crossings_found": total.same / total.crossings,
        "crossings_right": total.same / max(total.found_crossings, 1),
    }


def reached(found: dict[str, float]) -> dict[str, bool]:
    """Which lines are reached."""
    return {
        name: found[name] >= line if name == "zones" else found[name] <= line
        for name, line in LINES.items()
    }


def main() -> int:
    """Run the stores, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.store_truth")
    parser.add_argument("--stores", type=int, default=20, metavar="N", help="seeds 1 to N (20)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep detections, use kept ones"
    )
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    cv2.setNumThreads(1)
    results = []
    with ProcessPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(store, seed, options.keep) for seed in range(1, options.stores + 1)]
        for job in as_completed(jobs):
            results.append(job.result())
            print(f"{len(results)} of {options.stores} stores", file=sys.stderr, flush=True)
    results.sort(key=lambda result: result[0])
    print(f"{'seed':>4} {'store':<12} {'crossings':>9} {'footfall':>8} {'ours':>14} {'peer':>14}")
    for seed, name, mine, other in results:
        print(
            f"{seed:>4} {name:<12} {mine.crossings:>9} {mine.footfall:>8}"
            f" {_against(mine):>14} {_against(other):>14}"
        )
    our, their = figures([each[2] for each in results]), figures([each[3] for each in results])
    total = sum((result[2] for result in results), Tally())
    print(
        f"\n{total.crossings} crossings, at least {LEAST_CROSSINGS} a store, {total.stays} stays,"
        f" {total.waits} waits, {total.dots} dots\n"
    )
    print(f"{'':<24} {'line':>8} {'ours':>8} {PEER:>24}  reached")
    hit = reached(our)
    for name, title in TITLES.items():
        line = LINES.get(name)
        at = ("≥ " if name == "zones" else "≤ ") + _shown(name, line) if line else ""
        verdict = {True: "yes", False: "no", None: ""}[hit.get(name)]
        print(
            f"{title:<24} {at:>8} {_shown(name, our[name]):>8} {_shown(name, their[name]):>24}"
            f"  {verdict}"
        )
    if options.json:
        print(
            json.dumps(
                {
                    "ours": our,
                    "peers": {PEER: their},
                    "reached": all(hit.values()),
                    "lines": LINES,
                    "reached_each": hit,
                    "stores": len(results),
                    "crossings": total.crossings,
                }
            )
        )
    return 0


TITLES = {
    "footfall_sum": "footfall, all stores",
    "footfall_worst": "footfall, worst store",
    "dwell": "dwell, mean error",
    "wait": "queue wait, mean error",
    "path": "path, RMSE",
    "zones": "stays in the right zone",
    "crossings_found": "crossings found",
    "crossings_right": "crossings that were right",
}


def _against(tallied: Tally) -> str:
    return f"{tallied.counted} ({tallied.counted / tallied.footfall - 1:+.1%})"


def _shown(name: str, value: float) -> str:
    return f"{value:.2f} m" if name == "path" else f"{value:.1%}"


if __name__ == "__main__":
    sys.exit(main())
