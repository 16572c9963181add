"""Known events in the people that enter and leave a building, ours beside three others.

    python -m tests.bench.people_flow [--json]

CalIt2 (UCI), weeks 1 to 8, a row every half hour, of the shared folder. The first three weeks are
learnt from. An event is a run of marked rows, and found where an alarm falls within it or a row
from it; alarms with less than three rows between them are one episode, as the product's are
(`stricter`: less than two), which is false where none of its rows is an event's or beside it. A
detector's alarms are the rows from some score on, and it is told by the most events that it finds
while no higher score has had more false episodes a week than allowed.

Ours is what `passerby-central detect --side high` says of each of the two columns, one
configuration for both, the higher of the two scores.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from central.detect import replay, table

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
SERIES = SHARED / "series" / "calit2" / "calit2-weeks-1-8.csv"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
LINES = {0.5: 0.60, 1.0: 0.75, 2.0: 0.85, 4.0: 1.0}
"""Recall to be reached, by false episodes a week."""
WEEK = 336
WARM_UP = 3 * WEEK
APART = 3
"""How far apart alarms of one episode are at most: two ordinary rows between."""
BESIDE = 1


def runs(marked: NDArray[np.bool_], apart: int = 1) -> list[tuple[int, int]]:
    """First and last row of each run; marks up to `apart` rows from one another are one run."""
    rows = np.flatnonzero(marked)
    if not rows.size:
        return []
    breaks = np.flatnonzero(np.diff(rows) > apart)
    return list(zip(rows[[0, *(breaks + 1)]].tolist(), rows[[*breaks, -1]].tolist(), strict=True))


def recall(
    score: NDArray[np.float64],
    event: NDArray[np.bool_],
    allowed: Sequence[float],
    warm_up: int = WARM_UP,
    apart: int = APART,
) -> list[float]:
    """The share of events found at so many false episodes a week.

    score, event: (rows,); rows of the warm-up and of score NaN never alarm.
    """
    wanted = [(a, b) for a, b in runs(event) if a >= warm_up]
    near = np.zeros(event.size, np.bool_)
    for a, b in runs(event):
        near[max(0, a - BESIDE) : b + BESIDE + 1] = True
    score = np.where(np.isnan(score) | (np.arange(score.size) < warm_up), -np.inf, score)
    weeks = (score.size - warm_up) / WEEK
    best = [0.0] * len(allowed)
    false = 0.0
    for least in np.unique(score[np.isfinite(score)])[::-1]:
        alarm = score >= least
        episodes = runs(alarm, apart)
        false = max(false, sum(not near[a : b + 1].any() for a, b in episodes) / weeks)
        if false > max(allowed):
            break
        found = sum(bool(alarm[max(0, a - BESIDE) : b + BESIDE + 1].any()) for a, b in wanted)
        for i, each in enumerate(allowed):
            if false <= each:
                best[i] = max(best[i], found / len(wanted))
    return best


def ours(column: str) -> NDArray[np.float64]:
    """Scores of a column, as the command gives them."""
    return replay.detect(table.read(SERIES, "timestamp", column), side="high").score


def main() -> int:
    """Run all, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.people_flow")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not SERIES.exists():
        print(f"{SERIES} is not here: set PASSERBY_SHARED", file=sys.stderr)
        return 1
    if not PEERS.exists():
        print("the peers are not here: `make peers` gets them", file=sys.stderr)
        return 1
    with SERIES.open(newline="") as file:
        rows = list(csv.DictReader(file))
    event = np.array([row["event"] == "1" for row in rows])
    counts = np.array([[float(row["in_count"]), float(row["out_count"])] for row in rows])
    scores = {column: ours(column) for column in ("in_count", "out_count")}
    alone = {column: recall(score, event, list(LINES)) for column, score in scores.items()}
    both = np.fmax(*scores.values())
    found = {"ours": recall(both, event, list(LINES))}
    strict = recall(both, event, list(LINES), apart=APART - 1)
    with tempfile.TemporaryDirectory() as name:
        given, taken = Path(name) / "rows.npz", Path(name) / "scores.npz"
        slot = table.read(SERIES, "timestamp", "in_count").slots
        np.savez(given, counts=counts, slot=slot)
        subprocess.run([PEERS, "-m", "tests.bench.people_flow_peer", given, taken], check=True)
        with np.load(taken) as scores_of:
            peers = {peer: recall(scores_of[peer], event, list(LINES)) for peer in scores_of}
    found |= peers
    live = [each for peer, each in peers.items() if "hindsight" not in peer]
    best = [max(each[i] for each in live) for i in range(len(LINES))]
    events = sum(a >= WARM_UP for a, _ in runs(event))
    print(f"{events} events in {(event.size - WARM_UP) / WEEK:g} weeks; found, in %\n")
    print(f"{'false episodes a week, at most':<32}{''.join(f'{each:>7g}' for each in LINES)}")
    for peer, each in found.items():
        print(f"{peer:<32}{''.join(f'{100 * share:>7.0f}' for share in each)}")
    for column, each in alone.items():
        print(f"{f'  ours, {column} alone':<32}{''.join(f'{100 * share:>7.0f}' for share in each)}")
    print(f"{'  ours, stricter':<32}{''.join(f'{100 * share:>7.0f}' for share in strict)}")
    print(f"{'to be reached':<32}{''.join(f'{100 * share:>7.0f}' for share in LINES.values())}")
    ratio = [a / b if b else float("inf") for a, b in zip(found["ours"], best, strict=True)]
    print(f"{'ours over the best live peer':<32}{''.join(f'{each:>7.2f}' for each in ratio)}")
    reached = [a >= line for a, line in zip(found["ours"], LINES.values(), strict=True)]
    print(f"\nreached: {', '.join('yes' if each else 'no' for each in reached)}")
    if options.json:
        result = {
            "ours": dict(zip(map(str, LINES), found["ours"], strict=True)),
            "peers": {
                peer: dict(zip(map(str, LINES), each, strict=True)) for peer, each in peers.items()
            },
            "reached": all(reached),
            "lines": LINES,
            "events": events,
            "alone": alone,
            "stricter": strict,
        }
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
