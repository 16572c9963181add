"""Faults in a generated chain: which are found, how fast, and whether the cause is named right.

    python -m tests.bench.injected [--seeds 11 12] [--json]

200 stores and a web shop (`injected_town`) learn for six weeks; then four quiet weeks, and the same
four weeks with faults: 0.2 a store and week, and those of regions, the chain and the web shop. The
rooms of central judge each closed window: panel, causes, and the life of incidents, at the limits
that the weeks before give for the budgets, 0.1 pushed and 1 listed a store and week. That of five
pushes a day to one person is left out: 200 shops are not one person's.

A fault is found by the first pushed incident that opens at its place, at a node above it or at a
site below it while it lasts; the cause is right where place and cause are. Delay is in windows, 1
being the end of the fault's first. Precise are the pushed incidents that lie at a fault, until the
16 windows after it that the scan looks back on.

The rules and their constants were worked out on seeds 1 to 4; the figures are of others.

Beside it, as the limit, an oracle that knows place, start, length and depth of a fault and each
window's true mean: the ratio of likelihoods over the windows since the start, at the same limit. As
the peer, what many a spreadsheet does: 3 standard deviations of the same quarter of the last six
weeks; it reads a blind camera as a drop.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from central.config import Site
from central.detect import causes
from central.detect.detector import Scores
from central.detect.panel import CHAIN, CLOSED, Member, Panel
from central.life import Incident, Key, Limits, limits, paused, real, step
from central.metrics import SEEING_SHARE
from tests.bench.injected_score import (
    RIGHT,
    Found,
    Told,
    match,
    oracle,
    peer,
    precision,
    site_id,
    sizes,
    summary,
)
from tests.bench.injected_town import (
    DAY,
    STORE_METRICS,
    STORES,
    WEB_METRICS,
    WEEK,
    Chain,
    draw_faults,
    generate,
    inject,
)

LEARN, TEST = 6, 4
PUSHED, LISTED = 0.1, 1.0
NOW = datetime(2026, 1, 5, tzinfo=UTC)
NIGHT = 16
"""Closed windows between two days: as many as the scan looks back on."""
RECALL, CAUSE, DELAY, QUIET = 0.9, 0.9, 2.0, 0.5
"""What is to be reached: at least, at least, at most; in quiet weeks this share of what was
promised at least, and all of it at most."""


def members(chain: Chain) -> list[Member]:
    """All sites."""
    stores = [Member(site_id(i), "store", f"r{chain.region[i]}") for i in range(STORES)]
    return [*stores, Member("web", "web")]


def build(chain: Chain) -> Panel:
    """A panel of all series that knows nothing yet."""
    sites = members(chain)
    series = [
        (site.site, metric, "")
        for site in sites
        for metric in (STORE_METRICS if site.kind == "store" else WEB_METRICS)
    ]
    return Panel(sites, series)


def values_of(chain: Chain, panel: Panel) -> NDArray[np.float64]:
    """What central has of each window: (window, series), NaN where the camera saw too little."""
    index = {site_id(i): i for i in range(STORES + 1)}
    columns = []
    for site, metric, _ in panel.sites:
        column = chain.counts[metric][:, index[site]].copy()
        if metric == "footfall":
            column[chain.coverage[:, index[site]] < SEEING_SHARE] = np.nan
        columns.append(column)
    return np.ascontiguousarray(np.array(columns).T)


class Room:
    """The rooms of central over a chain: learns, then judges window by window."""

    def __init__(self, chain: Chain) -> None:
        self.panel = build(chain)
        self.sites = {
            each.site: Site(id=each.site, kind="web" if each.kind == "web" else "store")
            for each in members(chain)
        }
        self.sites |= {node: Site(id=node) for node in self.panel.nodes}
        regions = tuple(node for node in self.panel.nodes if node != CHAIN)
        self.children = {**self.panel.nodes, CHAIN: regions}
        self.leaves = {CHAIN: self.panel.nodes[CHAIN], **self.panel.nodes}
        self.least: list[NDArray[np.float64]] = []
        self.windows: list[int] = []
        self.limits = Limits(0.0, 0.0)
        self.held: dict[Key, Incident] = {}
        self.real: dict[str, int] = {}

    def go(self, chain: Chain, first: int, stop: int, judge: bool) -> list[tuple[Told, bool]]:
        """Take the windows in; what is told, and whether it is pushed, where they are judged."""
        values = values_of(chain, self.panel)
        ready = np.ones(values.shape[1], np.bool_)
        told: list[tuple[Told, bool]] = []
        for at in range(first, stop):
            slot = int(chain.slots[at])
            window = at // DAY * 96 + slot % 96
            slots = np.full(values.shape[1], slot)
            if at % DAY == 0:
                for night in range(window - NIGHT, window):
                    self.panel.tick(night, np.full_like(slots, CLOSED), values[at], ready, CLOSED)
            scores, shown = self.panel.tick(
                window, slots, values[at], ready, slot, paused(self.real, window)
            )
            least = self.panel.least(scores, shown)
            if judge and at % WEEK == 0:
                week = np.arange(len(self.least)) // WEEK
                self.limits, _ = limits(np.array(self.least), week, PUSHED, LISTED)
            self.least.append(least)
            self.windows.append(window)
            if judge:
                told += self._judge(chain, at, window, scores, least[1])
        return told

    def _judge(
        self, chain: Chain, at: int, window: int, scores: Scores, least: NDArray[np.float64]
    ) -> list[tuple[Told, bool]]:
        low = np.flatnonzero(least <= self.limits.listed)
        dim = np.flatnonzero(chain.coverage[at] < SEEING_SHARE)
        wanted = {self.panel.places[i] for i in low} | {site_id(int(i)) for i in dim}
        wanted |= {place for place, _, _ in self.held}
        if not wanted:
            return []
        if wanted & set(self.panel.nodes):
            wanted = set(self.panel.places)
        wanted.add("web")
        ticks = {place: self._tick(chain, at, place, window, scores) for place in wanted}
        found = [
            finding
            for tick in ticks.values()
            for finding in causes.findings(
                tick, self.limits.listed, ticks["web"] if tick.children else None
            )
        ]
        found = causes.explained(found, ticks, self.leaves)
        self.held, changed = step(
            self.held, found, ticks, self.leaves, self.limits, len(found) + 1, NOW
        )
        self.real = real(self.held, self.leaves, self.limits)
        for place, since in self.real.items():
            if place in self.panel.places:
                column = self.panel.places.index(place)
                for row in range(len(self.windows) - 1, -1, -1):
                    if self.windows[row] < since:
                        break
                    self.least[row][:, column] = np.nan
        return [
            (Told(each.site, each.cause, at, each.id), each.pushed is not None)
            for each in changed
            if each.resolved is None
        ]

    def _tick(self, chain: Chain, at: int, place: str, window: int, scores: Scores) -> causes.Tick:
        coverage = {}
        if place.startswith("store-"):
            store = int(place.removeprefix("store-"))
            coverage = {"door": chain.coverage[max(0, at - 3) : at + 1, store][::-1].tolist()}
        return causes.Tick(
            self.sites[place],
            window,
            True,
            self.panel.readings(place, scores, window),
            coverage,
            self.children.get(place, ()),
        )


@dataclass(frozen=True)
class Result:
    """One chain: episodes a store and week in quiet weeks, by level; and what became of faults."""

    quiet: dict[str, float]
    quiet_peer: float
    found: list[Found]
    listed: list[Found]
    oracle: list[Found]
    peer: list[Found]
    precision: dict[str, float]
    peak: NDArray[np.float64]


def run(seed: int) -> Result:
    """Quiet weeks of a chain, then the same with faults."""
    quiet = generate(seed, LEARN + TEST)
    first = LEARN * WEEK
    faults = draw_faults(seed, quiet, first)
    faulty = inject(seed, quiet, faults)
    room = Room(quiet)
    room.go(quiet, 0, first, judge=False)
    calm = copy.deepcopy(room).go(quiet, first, len(quiet.slots), judge=True)
    told = room.go(faulty, first, len(faulty.slots), judge=True)
    store_weeks = STORES * TEST
    pushed = [each for each, is_pushed in told if is_pushed]
    listed = [each for each, _ in told]
    by_peer = peer(faulty, first)
    return Result(
        quiet={
            "pushed": sum(is_pushed for _, is_pushed in calm) / store_weeks,
            "listed": len({each.incident for each, _ in calm}) / store_weeks,
        },
        quiet_peer=len(peer(quiet, first)) / store_weeks,
        found=match(faults, pushed, faulty),
        listed=match(faults, listed, faulty),
        oracle=[oracle(fault, faulty, quiet, room.limits.pushed) for fault in faults],
        peer=match(faults, by_peer, faulty),
        precision={
            "pushed": precision(faults, pushed, faulty),
            "listed": precision(faults, listed, faulty),
            "peer": precision(faults, by_peer, faulty),
        },
        peak=quiet.peak,
    )


def show(results: Sequence[Result], seeds: Sequence[int]) -> dict[str, object]:
    """Print the tables; returns the figures."""
    ours: dict[str, object] = {}
    print(f"quiet weeks, seeds {', '.join(map(str, seeds))}: episodes a store and week")
    for level, budget in (("pushed", PUSHED), ("listed", LISTED)):
        each = [result.quiet[level] for result in results]
        ours[f"quiet_{level}"] = float(np.mean(each))
        words = " ".join(f"{value:.3f}" for value in each)
        print(f"  {level:8} promised {budget:4.1f}   achieved {np.mean(each):.3f}   ({words})")
    print(
        f"  the peer's 3 standard deviations       {np.mean([r.quiet_peer for r in results]):.2f}"
    )

    print("\nfaulty weeks           faults  recall   cause   delay")
    rows: list[tuple[str, Callable[[Result], list[Found]]]] = [
        ("pushed", lambda result: result.found),
        ("listed", lambda result: result.listed),
        ("oracle, all known", lambda result: result.oracle),
        ("3 standard deviations", lambda result: result.peer),
    ]
    figures = {}
    for name, pick in rows:
        figures[name] = summary([found for result in results for found in pick(result)])
        _line(name, figures[name])
    for name in ("pushed", "listed", "peer"):
        mean = float(np.mean([result.precision[name] for result in results]))
        figures.setdefault(name, {})["precision"] = mean
        print(f"  precision, {name:12} {mean:.2f}")
    print("\nby cause: pushed, and the oracle's recall")
    for kind in RIGHT:
        mine = [each for result in results for each in result.found if each.fault.kind == kind]
        best = [each for result in results for each in result.oracle if each.fault.kind == kind]
        _line(f"{kind} → {RIGHT[kind]}", summary(mine), summary(best)["recall"])
    print("\nby size of store")
    for size in sizes(results[0].found, results[0].peak):
        mine = [each for r in results for each in sizes(r.found, r.peak)[size]]
        best = [each for r in results for each in sizes(r.oracle, r.peak)[size]]
        _line(size, summary(mine), summary(best)["recall"])
    ours |= figures["pushed"]
    peers = {"oracle": figures["oracle, all known"]}
    peers["3 standard deviations"] = figures["3 standard deviations"] | figures["peer"]
    quiet = [
        QUIET * budget <= float(str(ours[f"quiet_{level}"])) <= budget
        for level, budget in (("pushed", PUSHED), ("listed", LISTED))
    ]
    reached = {
        "quiet": all(quiet),
        "recall": figures["pushed"]["recall"] >= RECALL,
        "cause": figures["pushed"]["cause"] >= CAUSE,
        "delay": figures["pushed"]["delay"] <= DELAY,
    }
    print(
        "\nreached: "
        + ", ".join(f"{name} {'yes' if hit else 'NO'}" for name, hit in reached.items())
    )
    return {"ours": ours, "peers": peers, "reached": reached}


def _line(name: str, figures: dict[str, float], best: float | None = None) -> None:
    words = (
        f"  {name:22} {figures['faults']:5.0f}   {figures['recall']:5.3f}   {figures['cause']:5.3f}"
    )
    print(f"{words}   {figures['delay']:5.1f}" + ("" if best is None else f"   {best:5.3f}"))


def main() -> int:
    """Run the chains, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.injected")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12], metavar="N")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    results = []
    for seed in options.seeds:
        began = time.perf_counter()
        results.append(run(seed))
        print(f"seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    figures = show(results, options.seeds)
    if options.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
