"""What is counted in the benchmark of causes: faults found, by us, by an oracle and by a peer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from central.detect.causes import stabilised
from central.detect.panel import CHAIN, node_of
from tests.bench.injected_town import (
    SIZE,
    STORE_KINDS,
    STORES,
    WEB,
    WEB_SIZE,
    WEEK,
    Chain,
    Fault,
)

ECHO = 16
"""Windows after a fault that the scan still looks back on."""
GAP = 3
"""Windows without an alarm that end an episode of the peer."""
PAST_WEEKS = 6
"""Weeks of the same quarter that the peer knows."""
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


@dataclass(frozen=True)
class Told:
    """An incident as it was first told: at which window, of what, and where."""

    place: str
    cause: str
    window: int
    incident: str = ""


@dataclass(frozen=True)
class Found:
    """What became of a fault; delay is None where it was not found."""

    fault: Fault
    delay: int | None
    right: bool = False


def site_id(store: int) -> str:
    """The id of a store, or of the web shop."""
    return "web" if store == WEB else f"store-{store:03}"


def place_of(fault: Fault) -> str:
    """The place that a fault is to be told of."""
    if fault.kind == "shift":
        return node_of(f"r{fault.place}")
    return {"data": CHAIN, "trend": "web", "coupons": "web"}.get(fault.kind, site_id(fault.place))


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
            total += stabilised(seen, expected, variance) * sqrt(expected**2 / variance)
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
            past = counts[at - PAST_WEEKS * WEEK : at : WEEK]
            mean, sd = past.mean(axis=0), past.std(axis=0, ddof=1)
            out = side * (counts[at] - mean) > 3 * sd
            told += [Told(site_id(int(i)), cause, at) for i in np.flatnonzero(out)]
    return _merged(told)


def _merged(told: Sequence[Told]) -> list[Told]:
    """The first of those of one cause at a place that are at most `GAP` windows apart."""
    last: dict[tuple[str, str], int] = {}
    kept = []
    for each in sorted(told, key=lambda each: each.window):
        before = last.get((each.place, each.cause))
        if before is None or each.window - before > GAP:
            kept.append(each)
        last[each.place, each.cause] = each.window
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


def sizes(found: Sequence[Found], peak: NDArray[np.float64]) -> dict[str, list[Found]]:
    """The faults of single stores, by the entries of the store's busiest hour."""
    bounds = ((100, 200), (200, 450), (450, 1000))
    single = [each for each in found if each.fault.kind in STORE_KINDS]
    return {
        f"{low}-{high} an hour": [each for each in single if low <= peak[each.fault.place] < high]
        for low, high in bounds
    }
