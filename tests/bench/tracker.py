"""Tracking, ours beside the `trackers` package: how right on public sequences, and how fast.

    python -m tests.bench.tracker [--tuned] [--json]

The six sequences of `mot` in the shared folder, each with `det/frcnn.txt`; every tracker has one
parameter set for all of them, the peers their defaults, and `trackers eval` scores all. Times are
of made-up crowds, in one process with ByteTrack. `--tuned` also tracks each sequence with the
parameters, out of `GRID`, that are best on the five others, for us and for the peers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
PEERS = ROOT / ".venv-peers" / "bin" / "python"
LEAST = {"HOTA": 44.5, "IDF1": 61.0}
FASTER = {10: 1.5, 50: 4.0, 200: 6.0}
"""ByteTrack's time as a multiple of ours, by people in a frame."""
Grid = dict[str, tuple[float, ...]]
BUFFER: Grid = {"lost_track_buffer": (30, 60)}
BYTE: Grid = {
    **BUFFER,
    "track_activation_threshold": (0.7, 0.9),
    "high_conf_det_threshold": (0.6, 0.8),
}
GRID: dict[str, Grid] = {
    "ours": {"sure": (0.8, 0.9), "overlap": (0.1, 0.2), "max_age": (1.0, 2.0)},
    "SORT": {
        **BUFFER,
        "track_activation_threshold": (0.25, 0.9),
        "minimum_iou_threshold": (0.2, 0.3),
    },
    "ByteTrack": BYTE,
    "OC-SORT": {
        **BUFFER,
        "minimum_iou_threshold": (0.2, 0.3),
        "high_conf_det_threshold": (0.6, 0.8),
    },
    "C-BIoU": BYTE,
    "BoT-SORT": BYTE,
}
"""What `--tuned` chooses from: eight sets each."""


def candidates(tuned: bool) -> list[tuple[str, dict[str, float]]]:
    """Trackers and parameters to run, each tracker's defaults first."""
    found: list[tuple[str, dict[str, float]]] = []
    for name, grid in GRID.items():
        found.append((name, {}))
        if tuned:
            found += [
                (name, dict(zip(grid, values, strict=True))) for values in product(*grid.values())
            ]
    return found


def crowd(people: int, path: Path, frames: int = 150) -> None:
    """Detections of people who wander about at 10 frames a second; 5 % are missed."""
    random = np.random.default_rng(0)
    side = 120 * np.sqrt(people)
    feet = random.uniform(0, side, (people, 2))
    speeds = random.normal(0, 3, (people, 2))
    height = random.uniform(60, 120, people)
    first, boxes, scores = [0], [], []
    for _ in range(frames):
        speeds += random.normal(0, 0.3, speeds.shape)
        feet += speeds
        speeds[(feet < 0) | (feet > side)] *= -1
        x, y = (feet + random.normal(0, 1.5, feet.shape)).T
        seen = random.random(people) > 0.05
        unsure = random.random(people) < 0.15
        box = np.stack([x - 0.2 * height, y - height, x + 0.2 * height, y], axis=1)
        boxes.append(box[seen])
        scores.append(np.where(unsure, 0.5, random.uniform(0.9, 1, people))[seen])
        first.append(first[-1] + int(seen.sum()))
    np.savez(
        path,
        first=first,
        boxes=np.concatenate(boxes).astype(np.float32),
        scores=np.concatenate(scores).astype(np.float32),
    )


def measure(tuned: bool) -> dict[str, Any]:
    """What `tests.bench.tracker_peer` finds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crowds = {people: folder / f"{people}.npz" for people in FASTER}
        for people, path in crowds.items():
            crowd(people, path)
        job = {
            "mot": str(SHARED / "mot"),
            "candidates": candidates(tuned),
            "crowds": {str(people): str(path) for people, path in crowds.items()},
        }
        (folder / "job.json").write_text(json.dumps(job))
        subprocess.run(
            [
                *(PEERS, "-m", "tests.bench.tracker_peer"),
                *(folder / "job.json", folder / "out.json"),
            ],
            cwd=ROOT,
            check=True,
        )
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
        return found


def show(title: str, figures: dict[str, dict[str, float]]) -> None:
    """One table of trackers."""
    print(f"{title:<34} {'HOTA':>6} {'IDF1':>6} {'MOTA':>6} {'IDSW':>6}")
    for name, each in figures.items():
        print(
            f"{name:<34} {each['HOTA']:>6.1f} {each['IDF1']:>6.1f} {each['MOTA']:>6.1f}"
            f" {each['IDSW']:>6.0f}"
        )
    print()


def main() -> int:
    """Run all, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tracker")
    parser.add_argument("--tuned", action="store_true", help="leave one sequence out, too")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    if not (SHARED / "mot").is_dir():
        print(f"{SHARED / 'mot'} is not here: set PASSERBY_SHARED", file=sys.stderr)
        return 1
    found = measure(options.tuned)
    show("one parameter set for all", found["defaults"])
    if options.tuned:
        show("chosen on five, scored on the sixth", found["tuned"])
    print(f"{'people':>6} {'ours':>9} {'ByteTrack':>9} {'ratio':>6} {'line':>7}")
    ratios = {}
    for people, least in FASTER.items():
        times = found["times"][str(people)]
        ratios[people] = times["ByteTrack"] / times["ours"]
        print(
            f"{people:>6} {times['ours']:>6.3f} ms {times['ByteTrack']:>6.3f} ms"
            f" {ratios[people]:>6.1f} {f'≥ {least}':>7}"
        )
    ours = found["defaults"].pop("ours")
    right = all(ours[name] >= least for name, least in LEAST.items())
    fast = all(ratios[people] >= least for people, least in FASTER.items())
    lines = ", ".join(f"{name} ≥ {least}" for name, least in LEAST.items())
    print(f"\n{lines}: {'yes' if right else 'no'}; fast: {'yes' if fast else 'no'}")
    if options.json:
        result = {
            "ours": {**ours, "faster": ratios},
            "peers": found["defaults"],
            "reached": right and fast,
            "tuned": found["tuned"],
            "times": found["times"],
        }
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
