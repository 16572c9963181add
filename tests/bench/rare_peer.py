"""What is rare, ours beside river, stumpy and PyOD: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.rare_peer JOB.json OUT.json

A job is a JSON object with `stretch`, `histories`, `trees`, `height`, `window`, `metrics` and
`series`: see `tests.bench.rare`. Ours and a peer take turns in one process, on the same numbers,
and the best turn of each counts. What comes back is, in microseconds a point,

* `discord`, by history: `ours` (all series in a tick), `alone` (one series in a tick), `stumpi`
  (which forgets its oldest point as ours does) and `growing` (which forgets none), and `apart`,
  the greatest difference of any distance to stumpi's;
* `trees`: `ours`, `alone`, `river`, and `apart`, of scores with river's own trees;
* `pyod`: `ECOD` and `IForest`, `one` at a time and `batch`ed.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import stumpy
from numpy.typing import NDArray
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from river.anomaly import HalfSpaceTrees

from central.detect import discord, trees

TURNS = 25
"""Turns of each, of which the best counts."""
TURN = 40
"""Points in a turn."""


def counts(points: int, series: int) -> NDArray[np.float64]:
    """(points, series) made-up people by the quarter hour, with days."""
    random = np.random.default_rng(0)
    hour = np.arange(points)[:, None] / 4 % 24
    day = np.clip(np.sin((hour - 8) / 12 * np.pi), 0, None)
    people: NDArray[np.int64] = random.poisson(1 + random.uniform(5, 60, series) * day)
    return people.astype(np.float64)


def race(**runners: Callable[[int], object]) -> dict[str, float]:
    """Microseconds a point in the best turn. A runner is called with the number of the point."""
    best = dict.fromkeys(runners, np.inf)
    for turn in range(TURNS):
        for name, runner in runners.items():
            began = time.perf_counter()
            for index in range(turn * TURN, (turn + 1) * TURN):
                runner(index)
            best[name] = min(best[name], (time.perf_counter() - began) / TURN * 1e6)
    return best


def discords(length: int, history: int, series: int) -> dict[str, float]:
    """Our left discord and stumpi over a history of so many points."""
    lags = history - length - -(-length // 4)
    values = counts(history + TURNS * TURN, series)
    later = values[history:]
    ours, alone = (discord.empty_state(each, length, lags) for each in (series, 1))
    out, single = np.zeros(series), np.zeros(1)
    for row in values[:history]:
        discord.tick(ours, row, out)
        discord.tick(alone, row[:1], single)
    stream, growing = (
        stumpy.stumpi(values[:history, 0], m=length, egress=egress, normalize=False)
        for egress in (True, False)
    )
    apart = 0.0

    def check(index: int) -> None:
        nonlocal apart
        stream.update(later[index, 0])
        discord.tick(alone, later[index, :1], single)
        apart = max(apart, abs(float(stream.left_P_[-1] - single[0])))

    # On the way, so that both are compiled before they are timed.
    for index in range(500):
        check(index)
    found = race(
        ours=lambda index: discord.tick(ours, later[index], out),
        alone=lambda index: discord.tick(alone, later[index, :1], single),
        stumpi=lambda index: stream.update(later[index, 0]),
        growing=lambda index: growing.update(later[index, 0]),
    )
    return {**found, "ours": found["ours"] / series, "apart": apart}


def transplant(model: Any, height: int) -> trees.Trees:
    """River's trees as ours."""
    inner = 2**height - 1
    metric = np.zeros((len(model.trees), inner), np.uint32)
    split = np.zeros((len(model.trees), inner))

    def copy(node: Any, tree: int, number: int) -> None:
        if number < inner:
            metric[tree, number], split[tree, number] = node.feature, node.threshold
            for child in (0, 1):
                copy(node.children[child], tree, 2 * number + 1 + child)

    for tree, root in enumerate(model.trees):
        copy(root, tree, 0)
    return trees.Trees(metric, split, height)


def half_spaces(job: dict[str, Any]) -> dict[str, float]:
    """Our half-space trees and river's: as many, as high, as long a window."""
    stores, metrics, window = job["series"], job["metrics"], job["window"]
    random = np.random.default_rng(1)
    points = random.beta(2, 5, (TURNS * TURN, stores, metrics))
    named = [dict(enumerate(map(float, point))) for point in points[:, 0]]
    model = HalfSpaceTrees(job["trees"], job["height"], window, seed=1)
    model.learn_one(named[0])
    planted = transplant(model, job["height"])
    ours, alone = (trees.empty_state(planted, each, window) for each in (stores, 1))
    out, single, ready = np.zeros(stores), np.zeros(1), np.ones(stores, np.bool_)
    trees.tick(planted, alone, points[0, :1], ready[:1], single)
    apart = 0.0
    for index in range(1, 4 * window):
        trees.tick(planted, alone, points[index, :1], ready[:1], single)
        apart = max(apart, abs(model.score_one(named[index]) - float(single[0])))
        model.learn_one(named[index])
    for row in points[: 2 * window]:
        trees.tick(planted, ours, row, ready, out)

    def river(index: int) -> None:
        model.score_one(named[index])
        model.learn_one(named[index])

    found = race(
        ours=lambda index: trees.tick(planted, ours, points[index], ready, out),
        alone=lambda index: trees.tick(planted, alone, points[index, :1], ready[:1], single),
        river=river,
    )
    return {**found, "ours": found["ours"] / stores, "apart": apart}


def batches(job: dict[str, Any]) -> dict[str, dict[str, float]]:
    """PyOD's detectors, fitted once on a window: one point at a time, and a thousand at once."""
    random = np.random.default_rng(2)
    points = random.beta(2, 5, (1000, job["metrics"]))
    found = {}
    for name, model in (("ECOD", ECOD()), ("IForest", IForest(random_state=0))):
        model.fit(points[: job["window"]])
        times = {"one": np.inf, "batch": np.inf}
        for turn in range(5):
            began = time.perf_counter()
            for index in range(turn * 10, turn * 10 + 10):
                model.decision_function(points[index : index + 1])
            between = time.perf_counter()
            model.decision_function(points)
            ended = time.perf_counter()
            times["one"] = min(times["one"], (between - began) / 10 * 1e6)
            times["batch"] = min(times["batch"], (ended - between) / len(points) * 1e6)
        found[name] = times
    return found


def main() -> None:
    """Read a job, do it, write what came of it."""
    warnings.simplefilter("ignore")
    job = json.loads(Path(sys.argv[1]).read_text())
    result = {
        "discord": {
            str(history): discords(job["stretch"], history, job["series"])
            for history in job["histories"]
        },
        "trees": half_spaces(job),
        "pyod": batches(job),
    }
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
