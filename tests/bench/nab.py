"""The general score on the Numenta Anomaly Benchmark: 58 files, one configuration for all.

    python -m tests.bench.nab [--split] [--json]

Every file is read point by point by `central.detect.general` with its defaults; `nab_score` scores
as the benchmark's description says, with the one threshold that is best over all files. So the
threshold is chosen on what is scored, as it is for everyone in the published table, and the sizes
in `general` were chosen while looking at these files. `--split` tells how much of the score that
is: settings (out of `GRID`) and threshold are chosen on every other file, and the rest is scored
with them, both ways.

For scale: scores drawn at random (the mean of `DRAWS`), and alarms by the clock alone at the
period that is best.
"""

import argparse
import csv
import json
import os
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from central.detect import general
from central.detect.general import SETTINGS, Settings
from tests.bench import nab_score

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
LEAST = 65.0
PUBLISHED = {
    "ARTime": 74.9,
    "HTM": 70.1,
    "CAD OSE": 69.9,
    "KNN-CAD": 58.0,
    "RCF": 51.7,
    "Windowed Gaussian": 39.6,
    "random": 11.0,
}
"""Standard scores as published, not run here."""
GRID: list[Settings] = [
    SETTINGS._replace(short=short, long=long, blocks=blocks, hold=hold)
    for short, long, blocks, hold in product(
        (12, 24, 48), (144, 288, 576), (4, 8, 16), (30, 60, 120)
    )
]
"""What `--split` chooses from: half, all and double of what matters."""
DRAWS = 10
PERIODS = (100, 200, 300, 400, 500, 600, 800, 1000)


@dataclass(frozen=True)
class Series:
    """A file: seconds since 1970 and values, each (n,), and what alarms in it are worth."""

    name: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    file: nab_score.File


def seconds(stamps: list[str]) -> NDArray[np.float64]:
    """Seconds since 1970 of times as the files write them."""
    return np.array(stamps, "datetime64[us]").astype(np.int64) / 1e6


def load(folder: Path) -> list[Series]:
    """All files, by name."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    series = []
    for name in sorted(labels):
        with (folder / name).open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        times = seconds([row["timestamp"] for row in rows])
        windows = []
        for first, last in labels[name]:
            begin, end = seconds([first, last])
            inside = np.flatnonzero((times >= begin) & (times <= end))
            windows.append((int(inside[0]), int(inside[-1])))
        values = np.array([float(row["value"]) for row in rows])
        series.append(Series(name, times, values, nab_score.label(values.size, windows)))
    return series


def scores(series: list[Series], settings: Settings = SETTINGS) -> list[NDArray[np.float64]]:
    """Of every point of every file."""
    return [
        general.score(general.empty_state(settings), each.times, each.values, settings)
        for each in series
    ]


def by_clock(series: list[Series], period: int) -> list[NDArray[np.float64]]:
    """A score of 0 every so many points, and less between."""
    return [-np.mod(np.arange(each.values.size, dtype=np.float64), period) for each in series]


def split(series: list[Series]) -> list[dict[str, Any]]:
    """Choose on one half of the files, score on the other: both ways."""
    every = {settings: scores(series, settings) for settings in GRID}
    files = [each.file for each in series]
    halves = []
    for chosen_on in (0, 1):
        rest = 1 - chosen_on

        best = {
            settings: nab_score.best(files[chosen_on::2], found[chosen_on::2])
            for settings, found in every.items()
        }
        half = {}
        for kind, settings in {
            "fixed": SETTINGS,
            "chosen": max(best, key=lambda each: best[each][0]),
        }.items():
            there, threshold = best[settings]
            others = files[rest::2], every[settings][rest::2]
            half[kind] = {
                "settings": settings._asdict(),
                "chosen_on": there,
                "scored": nab_score.at(*others, threshold),
                "best": nab_score.best(*others)[0],
            }
        halves.append(half)
    return halves


def show_split(halves: list[dict[str, Any]]) -> None:
    """A table of both ways."""
    print(f"\n{'':<44} {'chosen on':>9} {'scored':>7} {'at best':>7}")
    for number, half in enumerate(halves):
        for kind, label in (("fixed", "threshold alone"), ("chosen", "settings and threshold")):
            each = half[kind]
            ways = "odd files, by even" if number == 0 else "even files, by odd"
            print(
                f"{f'{ways}: {label}':<44} {each['chosen_on']:>9.1f} {each['scored']:>7.1f}"
                f" {each['best']:>7.1f}"
            )
            if kind == "chosen":
                settings = each["settings"]
                print("    " + ", ".join(f"{name} {size}" for name, size in settings.items()))


def main() -> int:
    """Score all, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.nab")
    parser.add_argument("--split", action="store_true", help="choose on one half of the files")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    folder = SHARED / "series" / "nab"
    if not folder.is_dir():
        print(f"{folder} is not here: set PASSERBY_SHARED", file=sys.stderr)
        return 1
    series = load(folder)
    files = [each.file for each in series]
    general.compile_all()
    began = time.perf_counter()
    found = scores(series)
    took = time.perf_counter() - began
    ours, threshold = nab_score.best(files, found)
    hits, false = nab_score.alarms(files, found, threshold)
    random = np.random.default_rng(0)
    drawn = float(
        np.mean(
            [
                nab_score.best(files, [random.random(each.values.size) for each in series])[0]
                for _ in range(DRAWS)
            ]
        )
    )
    clock = max(nab_score.at(files, by_clock(series, period), 0.0) for period in PERIODS)
    points = sum(each.values.size for each in series)
    windows = sum(file.windows for file in files)
    print(f"{len(series)} files, {points:,} points, {windows} windows: standard profile\n")
    table = {"ours": ours, **PUBLISHED}
    for name in sorted(table, key=lambda name: -table[name]):
        print(f"{name:<20} {table[name]:>6.1f}{'' if name == 'ours' else '  (published)'}")
    print(f"{'random, here':<20} {drawn:>6.1f}\n{'the clock alone':<20} {clock:>6.1f}")
    print(
        f"\nours: {hits} windows found, {false} false alarms, at a score of {threshold:.4f};"
        f" {took / points * 1e9:.0f} ns a point"
    )
    halves = split(series) if options.split else []
    if options.split:
        show_split(halves)
    reached = ours >= LEAST
    print(f"\nat least {LEAST}: {'yes' if reached else 'no'}")
    if options.json:
        result = {
            "ours": ours,
            "peers": PUBLISHED,
            "reached": reached,
            "limit": LEAST,
            "random": drawn,
            "clock": clock,
            "threshold": threshold,
            "found": hits,
            "windows": windows,
            "false": false,
            "ns_a_point": took / points * 1e9,
            "split": halves,
        }
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
