"""What a tick of all detectors takes, of 100,000 series, beside a point of their peers.

    python -m tests.bench.detect [--series 100000] [--json]

Two weeks of quarters teach each family; then ticks are timed: means from 0.1 to 1,000, 1 % of
values absent, one series in a thousand stopped. On one core, by the clock and by the core's own
time, which leaves out what other programs take from it. The first start compiles the kernels, if
nobody has; the second loads them.

Then what is rare: novelty and left discords (stretches of six hours in a week of quarters) of as
many series, and half-space trees, each over eight of them; with the ticks, that is all kernels.
Last, the peers: a refit of STL at every point, and the tables of `tests.bench.rare` (stumpi,
river's trees, PyOD).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from central.detect import discord, kernels, novelty, trees
from central.detect.state import (
    COUNT,
    GAUGE,
    SLOTS,
    SUBSET,
    Family,
    empty_out,
    empty_state,
)
from tests.bench import rare

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
FAMILIES = {"counts": COUNT, "subsets": SUBSET, "gauges": GAUGE}
TICK_LIMIT, ALL_LIMIT, BYTES_LIMIT, START_LIMIT = 5.0, 1000.0, 6000.0, 1.0
TAUGHT, TIMED = 2 * SLOTS, 336
RARE_TICKS = 100
START = "from central.detect import kernels; kernels.compile_all()"


def drawn(
    family: Family,
    rng: np.random.Generator,
    means: NDArray[np.float64],
    exposures: NDArray[np.float64],
) -> NDArray[np.float64]:
    """A window of every series."""
    if family == COUNT:
        values = rng.poisson(means).astype(np.float64)
    elif family == SUBSET:
        values = rng.binomial(exposures.astype(np.int64), 0.3).astype(np.float64)
    else:
        values = means + rng.normal(size=len(means))
    values[rng.random(len(means)) < 0.01] = np.nan
    return values


def tick_times(family: Family, series: int) -> dict[str, float]:
    """Milliseconds of a tick, median and 99th percentile, by the clock and by the core's time."""
    rng = np.random.default_rng(0)
    means = 10 ** rng.uniform(-1, 3, series)
    exposures = np.ceil(means) if family == SUBSET else np.ones(series)
    every, stopped = np.ones(series, bool), rng.random(series) < 0.001
    state, out = empty_state(series, family), empty_out(series)
    wall, core = np.empty(TIMED), np.empty(TIMED)
    for tick in range(TAUGHT + TIMED):
        # Drawing takes longer than scoring: while learning, a draw serves several ticks.
        if tick % 8 == 0 or tick >= TAUGHT:
            values = drawn(family, rng, means, exposures)
        if tick >= TAUGHT + TIMED // 2:
            values[stopped] = 0.0
        clock, own = time.perf_counter(), time.thread_time()
        kernels.tick(state, family, tick % SLOTS, values, exposures, every, out, threads=1)
        if tick >= TAUGHT:
            wall[tick - TAUGHT] = 1e3 * (time.perf_counter() - clock)
            core[tick - TAUGHT] = 1e3 * (time.thread_time() - own)
    return {
        "p50": float(np.median(wall)),
        "p99": float(np.quantile(wall, 0.99)),
        "core_p50": float(np.median(core)),
        "core_p99": float(np.quantile(core, 0.99)),
        "bytes": sum(array.nbytes for array in map(np.asarray, state)) / series,
    }


def rare_times(series: int) -> dict[str, float]:
    """Milliseconds of a tick of what is rare, 99th percentile, by the clock."""
    rng = np.random.default_rng(1)
    stretch, metrics = rare.JOB["stretch"], rare.JOB["metrics"]
    near = -(-stretch // 4)
    stores = max(1, series // metrics)
    planted = trees.plant(metrics, rare.JOB["trees"], rare.JOB["height"])
    ranges = novelty.empty_state(series)
    stretches = discord.empty_state(series, stretch, SLOTS - stretch - near)
    woods = trees.empty_state(planted, stores, rare.JOB["window"])
    out, wood_out, ready = np.zeros(series), np.zeros(stores), np.ones(stores, np.bool_)
    means = 10 ** rng.uniform(-1, 3, series)

    found: dict[str, list[float]] = {"novelty": [], "discord": [], "trees": []}
    for tick in range(2 * RARE_TICKS):
        values = rng.poisson(means).astype(np.float64)
        points = rng.beta(2, 5, (stores, metrics))
        clock = [time.perf_counter()]
        novelty.tick(ranges, values, out)
        clock.append(time.perf_counter())
        discord.tick(stretches, values, out)
        clock.append(time.perf_counter())
        trees.tick(planted, woods, points, ready, wood_out)
        clock.append(time.perf_counter())
        # The first half compiles, and lets stretches come to be compared.
        if tick >= RARE_TICKS:
            for kept, seconds in zip(found.values(), np.diff(clock), strict=True):
                kept.append(1e3 * float(seconds))
    return {name: float(np.quantile(each, 0.99)) for name, each in found.items()}


def start_time() -> float:
    """Seconds from nothing to compiled kernels, the interpreter's start included."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", START], cwd=ROOT, check=True)
    return time.perf_counter() - begun


def stl_time() -> float:
    """Milliseconds of statsmodels' STL on eight weeks of one series."""
    rng = np.random.default_rng(0)
    shape = 20.0 + 15.0 * np.sin(np.arange(8 * SLOTS) * 2 * np.pi / 96)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npy"
        np.save(path, rng.poisson(shape).astype(np.float64))
        told = subprocess.run(
            [PEERS, "-m", "tests.bench.detect_peer", path],
            cwd=ROOT,
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    return float(json.loads(told.stdout)["stl"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    first, second = start_time(), start_time()
    kernels.compile_all()
    times = {name: tick_times(family, chosen.series) for name, family in FAMILIES.items()}
    print(f"A tick of {chosen.series:,} series on one core, ms (the core's own time):")
    for name, each in times.items():
        print(
            f"  {name:8} p50 {each['p50']:6.2f} ({each['core_p50']:5.2f})"
            f"   p99 {each['p99']:6.2f} ({each['core_p99']:5.2f})   {each['bytes']:,.0f} B a series"
        )
    others = rare_times(chosen.series)
    for name, each_ms in others.items():
        print(f"  {name:8} p99 {each_ms:6.2f}")
    total = sum(each["p99"] for each in times.values()) + sum(others.values())
    print(f"  together p99 {total:.2f}")
    print(f"First start {first:.2f} s, second {second:.2f} s.")
    peers: dict[str, Any] = {}
    compared: dict[str, Any] = {}
    if PEERS.exists():
        peers["stl_refit_ms"] = stl_time()
        ours = times["counts"]["core_p50"] / chosen.series
        ratio = peers["stl_refit_ms"] / ours
        print(f"A point of one series: ours {ours * 1e6:.0f} ns,")
        print(f"  STL refit {peers['stl_refit_ms']:.1f} ms, {ratio:,.0f} times as much.\n")
        compared = rare.told(rare.measure())
        peers["rare"] = compared
    else:
        print("No peers: `make peers` gets them.")
    reached = {
        "tick": times["counts"]["p99"] <= TICK_LIMIT,
        "all": total <= ALL_LIMIT,
        "bytes": all(each["bytes"] <= BYTES_LIMIT for each in times.values()),
        "start": second <= START_LIMIT,
    }
    if compared:
        reached |= {"same": compared["same"], **compared["fast"]}
    print(
        "Reached: " + ", ".join(f"{name} {'yes' if met else 'no'}" for name, met in reached.items())
    )
    if chosen.json:
        ours_told = {
            "tick_ms": times,
            "rare_ms": others,
            "together_ms": total,
            "starts_s": [first, second],
        }
        print(json.dumps({"ours": ours_told, "peers": peers, "reached": all(reached.values())}))


if __name__ == "__main__":
    main()
