"""Faults in a generated chain: which are found, how fast, and whether the cause is named right.

    python -m tests.bench.injected [--seeds 1 2] [--json]

200 stores and a web shop (`injected_town`) learn for six weeks; then four quiet weeks, and the same
four weeks with faults: 0.2 a store and week, and those of regions, the chain and the web shop. The
rooms of central judge each closed window: panel, causes, and the life of incidents, at the limits
that the weeks before give for the budgets, 0.1 pushed and 1 listed a store and week. That of five
pushes a day to one person is left out: 200 shops are not one person's.

A fault is found by the first pushed incident that opens at its place, at a node above it or at a
site below it while it lasts; the cause is right where place and cause are. Delay is in windows, 1
being the end of the fault's first. Precise are the pushed incidents that lie at a fault, until the
16 windows after it that the scan looks back on.

Beside it, as the limit, an oracle that knows place, start, length and depth of a fault and each
window's true mean: the ratio of likelihoods over the windows since the start, at the same limit. As
the peer, what many a spreadsheet does: 3 standard deviations of the same quarter of the last six
weeks; it reads a blind camera as a drop.
"""

import argparse
import copy
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from central.config import Site
from central.detect import causes, kernels
from central.detect.panel import CHAIN, CLOSED, Member, Panel, node_of
from central.life import Incident, Key, Limits, limits, paused, real, step
from tests.bench.injected_town import (
    DAY,
    STORE_METRICS,
    STORES,
    WEB,
    WEB_METRICS,
    WEB_SIZE,
    WEEK,
    SIZE,
    Chain,
    Fault,
    draw_faults,
    generate,
    inject,
)

LEARN, TEST = 6, 4
PUSHED, LISTED = 0.1, 1.0
NOW = datetime(2026, 1, 5, tzinfo=UTC)
ECHO = 16
NIGHT = 16
"""Closed windows between two days: as many as the scan looks back on."""
RIGHT = {
    "blind": "sensor",
    "silent": "sensor",
    "tills": "conversion",
    "demand": "demand",
    "returns": "abuse",
    "shift": "shift",
    "data": "data",
    "trend": "trend",
    "coupons": "abuse",
}
LINES = {"recall": 0.9, "cause": 0.9, "delay": 2.0, "quiet": (0.5, 1.0)}


@dataclass(frozen=True)
class Told:
    """An incident as it was first told: at which window, of what, and where."""

    place: str
    cause: str
    window: int


@dataclass(frozen=True)
class Found:
    """What became of a fault; delay is None where it was not found."""

    fault: Fault
    delay: int | None
    right: bool = False


def name(store: int) -> str:
    """The id of a store, or of the web shop."""
    return "web" if store == WEB else f"store-{store:03}"


def members(chain: Chain) -> list[Member]:
    """All sites."""
    stores = [Member(name(i), "store", f"r{chain.region[i]}") for i in range(STORES)]
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
    index = {name(i): i for i in range(STORES + 1)}
    columns = []
    for site, metric, _ in panel.sites:
        column = chain.counts[metric][:, index[site]].copy()
        if metric == "footfall":
            column[chain.coverage[:, index[site]] < causes.SEEING_SHARE] = np.nan
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
                self.limits = limits(np.array(self.least), week, PUSHED, LISTED)
                print(
                    at // WEEK,
                    self.limits,
                    [
                        float(np.isfinite(np.array(self.least)[-WEEK:, 0]).mean()),
                        float((np.array(self.least)[-WEEK:, 0] < 1e-3).mean()),
                    ],
                )
            self.least.append(least)
            self.windows.append(window)
            if judge:
                told += self._judge(chain, at, window, scores, least[1])
        return told

    def _judge(
        self, chain: Chain, at: int, window: int, scores: kernels.Out, least: NDArray[np.float64]
    ) -> list[tuple[Told, bool]]:
        low = np.flatnonzero(least <= self.limits.listed)
        dim = np.flatnonzero(chain.coverage[at] < causes.SEEING_SHARE)
        wanted = {self.panel.places[i] for i in low} | {name(i) for i in dim}
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
            (Told(each.site, each.cause, at), each.pushed is not None)
            for each in changed
            if each.resolved is None
        ]

    def _tick(
        self, chain: Chain, at: int, place: str, window: int, scores: kernels.Out
    ) -> causes.Tick:
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


def place_of(fault: Fault) -> str:
    """The place that a fault is to be told of."""
    if fault.kind == "shift":
        return node_of(f"r{fault.place}")
    return {"data": CHAIN, "trend": "web", "coupons": "web"}.get(fault.kind, name(fault.place))


def related(fault: Fault, chain: Chain, place: str) -> bool:
    """Whether an incident's place is the fault's, above it or below it."""
    mine = place_of(fault)
    if place in (mine, CHAIN) or mine == CHAIN:
        return True
    if fault.kind == "shift":
        return place.startswith("store-") and chain.region[int(place[6:])] == fault.place
    return place == node_of(f"r{chain.region[fault.place]}") if mine != "web" else False


def match(faults: Sequence[Fault], told: Sequence[Told], chain: Chain) -> list[Found]:
    """What became of each fault."""
    found = []
    for fault in faults:
        mine = [
            each
            for each in told
            if fault.start <= each.window < fault.stop and related(fault, chain, each.place)
        ]
        if not mine:
            found.append(Found(fault, None))
            continue
        first = min(mine, key=lambda each: (each.window, each.place != place_of(fault)))
        right = first.place == place_of(fault) and first.cause == RIGHT[fault.kind]
        found.append(Found(fault, first.window - fault.start + 1, right))
    return found


def precision(faults: Sequence[Fault], told: Sequence[Told], chain: Chain) -> float:
    """The share of what was told that lies at a fault."""
    hits = [
        any(
            fault.start <= each.window < fault.stop + ECHO and related(fault, chain, each.place)
            for fault in faults
        )
        for each in told
    ]
    return float(np.mean(hits)) if hits else np.nan


def oracle(fault: Fault, chain: Chain, quiet: Chain, limit: float) -> Found:
    """When the ratio of likelihoods first reaches the limit, for who knows all of a fault."""
    if fault.kind == "blind":
        return Found(fault, 1, True)
    for length in range(1, fault.length + 1):
        at = slice(fault.start, fault.start + length)
        total = weight = 0.0
        for metric, column in _moved(fault, chain):
            mean = quiet.mean[metric][at, column]
            size = WEB_SIZE if column is WEB else SIZE[metric]
            expected, variance = mean.sum(), (mean + mean**2 / size).sum()
            seen = chain.counts[metric][at, column].sum()
            total += causes.stabilised(seen, expected, variance) * sqrt(expected**2 / variance)
            weight += expected**2 / variance
        if 0.5 * erfc(abs(total) / sqrt(weight) / sqrt(2.0)) <= limit:
            return Found(fault, length, True)
    return Found(fault, None)


def _moved(fault: Fault, chain: Chain) -> list[tuple[str, int | NDArray[np.int64]]]:
    mine: int | NDArray[np.int64] = fault.place
    metrics: Iterable[str] = {
        "silent": ("footfall",),
        "tills": ("orders",),
        "demand": ("footfall", "orders"),
        "returns": ("returns",),
        "shift": ("footfall", "orders"),
        "data": fault.lost,
        "trend": ("searches", "zero_result_searches"),
        "coupons": ("coupons",),
    }[fault.kind]
    if fault.kind == "shift":
        mine = np.flatnonzero(chain.region == fault.place)
    elif fault.kind == "data":
        mine = np.arange(STORES)
    elif fault.kind in ("trend", "coupons"):
        mine = WEB
    return [(metric, mine) for metric in metrics]


def peer(chain: Chain, first: int) -> list[Told]:
    """Three standard deviations of the same quarter of the last weeks, each series by itself."""
    told = []
    rules = (
        ("footfall", -1, "demand"),
        ("orders", -1, "conversion"),
        ("returns", 1, "abuse"),
        ("searches", 1, "trend"),
        ("zero_result_searches", 1, "trend"),
        ("coupons", 1, "abuse"),
    )
    for metric, side, cause in rules:
        counts = chain.counts[metric]
        for at in range(first, len(counts)):
            past = counts[at - LEARN * WEEK : at : WEEK]
            mean, sd = past.mean(axis=0), past.std(axis=0, ddof=1)
            out = side * (counts[at] - mean) > 3 * sd
            told += [Told(name(int(i)), cause, at) for i in np.flatnonzero(out)]
    return _merged(told)


def _merged(told: Sequence[Told]) -> list[Told]:
    """The first of those at a place that are less than `ECHO` windows apart."""
    last: dict[str, int] = {}
    kept = []
    for each in sorted(told, key=lambda each: each.window):
        if each.window - last.get(each.place, -ECHO) >= ECHO:
            kept.append(each)
        last[each.place] = each.window
    return kept


def summary(found: Sequence[Found]) -> dict[str, float]:
    """Recall, share of causes named right among those found, and median delay."""
    delays = [each.delay for each in found if each.delay is not None]
    return {
        "faults": len(found),
        "recall": len(delays) / max(1, len(found)),
        "cause": float(np.mean([each.right for each in found if each.delay])) if delays else np.nan,
        "delay": float(np.median(delays)) if delays else np.nan,
    }


def run(seed: int) -> dict[str, object]:
    """One chain: quiet weeks, then the same with faults."""
    quiet = generate(seed, LEARN + TEST)
    first = LEARN * WEEK
    faults = draw_faults(seed, quiet, first)
    faulty = inject(seed, quiet, faults)
    room = Room(quiet)
    room.go(quiet, 0, first, judge=False)
    calm = copy.deepcopy(room).go(quiet, first, len(quiet.slots), judge=True)
    told = room.go(faulty, first, len(faulty.slots), judge=True)
    store_weeks = STORES * TEST
    opened = {"pushed": 0.0, "listed": 0.0}
    opened["pushed"] = sum(pushed for _, pushed in calm) / store_weeks
    opened["listed"] = (len(calm) - sum(_upgraded(calm))) / store_weeks
    pushed = [each for each, hit in told if hit]
    by_peer = peer(faulty, first)
    return {
        "limits": room.limits,
        "quiet": opened,
        "quiet causes": Counter(each.cause for each, hit in calm if hit),
        "quiet peer": len(peer(quiet, first)) / store_weeks,
        "found": match(faults, pushed, faulty),
        "listed": match(faults, [each for each, _ in told], faulty),
        "oracle": [oracle(fault, faulty, quiet, room.limits.pushed) for fault in faults],
        "peer": match(faults, by_peer, faulty),
        "precision": precision(faults, pushed, faulty),
        "peer precision": precision(faults, by_peer, faulty),
        "peak": quiet.peak,
    }
