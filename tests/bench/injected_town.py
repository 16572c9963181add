"""A generated chain for the benchmark of causes: 200 stores, a web shop, and what goes wrong.

Everything follows from a seed. Sizes, noise and faults were fixed before any result was seen.

A store's entries in its busiest hour are log-uniform from 100 to 1,000, its conversion uniform from
0.2 to 0.5; all are open from 9 to 20 o'clock on seven days, and only open windows (44 a day) exist
here. Entries follow a weekly rhythm with two humps a day. They are negative binomial (size 60)
about a mean that carries a factor of the store's day (log sd 0.07, autocorrelation 0.5) and one of
the region's weather (log sd 0.06, autocorrelation 0.6). Orders come of the entries of this window
(0.6) and of the one before (0.4), negative binomial (size 40), with a factor of the store's day
(log sd 0.03); returns are 6 % of them. The web shop has 0.3 sessions for each entry of the chain,
with a day's factor (log sd 0.06) and size 200; orders are 3 % of the sessions, searches 40 %, of
which 8 % find nothing, and 10 % of the orders carry a coupon.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

STORES, REGIONS = 200, 5
OPEN, CLOSE = 9, 20
DAY = 4 * (CLOSE - OPEN)
WEEK = 7 * DAY
WEB = STORES
"""The web shop's place behind the stores."""
DAY_FACTORS = np.array([0.72, 0.70, 0.75, 0.82, 0.92, 1.0, 0.6])
SESSIONS, WEB_CONVERSION, SEARCHES, VAIN, COUPONS = 0.3, 0.03, 0.4, 0.08, 0.1
RETURNS = 0.06
STORE_RATE = 0.2
"""Faults of one store in a week."""
WEEKLY = {"shift": 4, "data": 2, "trend": 2, "coupons": 1}
"""Faults in a week of a region, of the chain, and of the web shop."""
APART = 8
"""Windows between a fault of a region or of the chain and one of its stores."""
SHORTEST, LONGEST = 4, 32
SHALLOWEST = 0.4

Kind = Literal["blind", "silent", "tills", "demand", "returns", "shift", "data", "trend", "coupons"]
STORE_KINDS: tuple[Kind, ...] = ("blind", "silent", "tills", "demand", "returns")


@dataclass(frozen=True)
class Fault:
    """What goes wrong from window `start` on.

    place: of a store, a region, or 0 for the chain and the web shop.
    lost: what a fault of the chain's data loses: orders, footfall or both.
    """

    kind: Kind
    place: int
    start: int
    length: int
    depth: float
    lost: tuple[str, ...] = ()

    @property
    def stop(self) -> int:
        """The first window after it."""
        return self.start + self.length


@dataclass(frozen=True)
class Chain:
    """Open windows of all sites; counts[metric] is (window, site), the web shop the last site.

    counts: NaN where a site has no such metric. mean: of the counts, known to the oracle alone.
    size: the negative binomial's, by metric: of the stores, and of the web shop.
    coverage: (window, store) share that the store's camera saw. peak: (store,) entries an hour.
    region: (store,). slots: (window,) quarter of the week.
    """

    counts: dict[str, NDArray[np.float64]]
    mean: dict[str, NDArray[np.float64]]
    coverage: NDArray[np.float64]
    peak: NDArray[np.float64]
    region: NDArray[np.int64]
    slots: NDArray[np.int64]


SIZE = {"footfall": 60.0, "orders": 40.0, "returns": 40.0}
WEB_SIZE = 200.0
STORE_METRICS = ("footfall", "orders", "returns")
WEB_METRICS = ("sessions", "orders", "searches", "zero_result_searches", "coupons")


def generate(seed: int, weeks: int) -> Chain:
    """Quiet weeks of the whole chain."""
    rng = np.random.default_rng([seed, 0])
    windows, days = weeks * WEEK, weeks * 7
    day = np.arange(windows) // DAY
    hour = OPEN + (np.arange(windows) % DAY + 0.5) / 4
    slots = day % 7 * 96 + OPEN * 4 + np.arange(windows) % DAY
    humps = 0.35 + 0.65 * np.exp(-(((hour - 12.25) / 2.2) ** 2))
    humps += 0.3 * np.exp(-(((hour - 17.25) / 1.3) ** 2))
    rhythm = DAY_FACTORS[day % 7] * humps
    rhythm /= rhythm.max()
    peak = np.exp(rng.uniform(np.log(100.0), np.log(1000.0), STORES))
    conversion = rng.uniform(0.2, 0.5, STORES)
    region = np.arange(STORES) % REGIONS
    weather = _days(rng, days, REGIONS, 0.06, 0.6)[:, region]
    own = _days(rng, days, STORES, 0.07, 0.5)

    mean = {name: np.full((windows, STORES + 1), np.nan) for name in STORE_METRICS + WEB_METRICS}
    counts = {name: np.full((windows, STORES + 1), np.nan) for name in mean}
    usual = rhythm[:, None] * peak / 4
    entries = usual * (weather * own)[day]
    mean["footfall"][:, :WEB] = entries
    people = _draw(rng, entries, SIZE["footfall"])
    counts["footfall"][:, :WEB] = people
    bought = _lately(people) * conversion * _days(rng, days, STORES, 0.03, 0.0)[day]
    mean["orders"][:, :WEB] = bought
    counts["orders"][:, :WEB] = _draw(rng, bought, SIZE["orders"])
    mean["returns"][:, :WEB] = RETURNS * usual * conversion
    counts["returns"][:, :WEB] = _draw(rng, mean["returns"][:, :WEB], SIZE["returns"])

    visits = SESSIONS * usual.sum(axis=1) * _days(rng, days, 1, 0.06, 0.5)[day, 0]
    sessions = _draw(rng, visits, WEB_SIZE)
    sold = WEB_CONVERSION * _lately(sessions[:, None])[:, 0]
    searched = SEARCHES * sessions
    orders = _draw(rng, sold, WEB_SIZE)
    for name, expected, drawn in (
        ("sessions", visits, sessions),
        ("orders", sold, orders),
        ("searches", searched, _draw(rng, searched, WEB_SIZE)),
        ("zero_result_searches", VAIN * searched, _draw(rng, VAIN * searched, WEB_SIZE)),
        ("coupons", COUPONS * orders, _draw(rng, COUPONS * np.maximum(orders, 0.1), WEB_SIZE)),
    ):
        mean[name][:, WEB], counts[name][:, WEB] = expected, drawn
    return Chain(counts, mean, np.ones((windows, STORES)), peak, region, slots)


def _days(
    rng: np.random.Generator, days: int, width: int, sd: float, memory: float
) -> NDArray[np.float64]:
    """Factors (day, width) about 1 whose logarithm is autocorrelated."""
    steps = rng.normal(0.0, sd * np.sqrt(1 - memory**2), (days, width))
    steps[0] = rng.normal(0.0, sd, width)
    for day in range(1, days):
        steps[day] += memory * steps[day - 1]
    return np.exp(steps - sd**2 / 2)


def _draw(rng: np.random.Generator, mean: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return rng.negative_binomial(size, size / (size + mean)).astype(np.float64)


def _lately(people: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those who may buy now: 0.6 of this window's and 0.4 of the last one's, of the same day."""
    before = np.roll(people, 1, axis=0)
    before[::DAY] = people[::DAY]
    return 0.6 * people + 0.4 * before


def draw_faults(seed: int, chain: Chain, first: int) -> list[Fault]:
    """The faults of all whole weeks from window `first` on, in order of their start.

    A fault lies within its week. One of the chain's data is apart from all others of the stores,
    one of a region from those of its stores and of the chain, each by `APART` windows; the web
    shop's are apart from each other, from regions' and the chain's.
    """
    rng = np.random.default_rng([seed, 1])
    faults: list[Fault] = []
    for week in range(first, len(chain.slots), WEEK):
        wide: list[Fault] = []
        for kind, number in WEEKLY.items():
            for turn in range(number):
                place = int(rng.integers(REGIONS)) if kind == "shift" else 0
                lost = (("orders",), ("footfall",), ("footfall", "orders"))[
                    (week // WEEK + turn) % 3
                ]
                wide += _place(rng, _kind(kind), place, week, wide, lost if kind == "data" else ())
        faults += wide
        for store in np.flatnonzero(rng.random(STORES) < STORE_RATE).tolist():
            kind = STORE_KINDS[int(rng.integers(len(STORE_KINDS)))]
            near = [
                each
                for each in wide
                if each.kind == "data"
                or (each.kind == "shift" and each.place == chain.region[store])
            ]
            faults += _place(rng, kind, store, week, near)
    return sorted(faults, key=lambda fault: fault.start)


def _kind(name: str) -> Kind:
    kinds: tuple[Kind, ...] = ("shift", "data", "trend", "coupons")
    return next(kind for kind in kinds if kind == name)


def _place(
    rng: np.random.Generator,
    kind: Kind,
    place: int,
    week: int,
    others: list[Fault],
    lost: tuple[str, ...] = (),
) -> list[Fault]:
    """A fault in a week, apart from the others; none where a hundred tries find no room."""
    for _ in range(100):
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        start = week + int(rng.integers(0, WEEK - length + 1))
        fault = Fault(kind, place, start, length, float(rng.uniform(SHALLOWEST, 1.0)), lost)
        if all(
            fault.stop + APART <= other.start or other.stop + APART <= fault.start
            for other in others
        ):
            return [fault]
    return []


def inject(seed: int, chain: Chain, faults: list[Fault]) -> Chain:
    """The same weeks with the faults in them.

    What is lost is thinned: each count survives with 1 - depth. A blind camera's coverage falls by
    the depth; a silent one counts nobody though it covers all, at whatever depth was drawn. Whom a
    region loses comes to the web shop. A wave brings returns, or coupons, for `depth` of the usual
    orders besides; a trend as much as `depth` of the usual searches, half of them in vain.
    """
    rng = np.random.default_rng([seed, 2])
    counts = {name: values.copy() for name, values in chain.counts.items()}
    coverage = chain.coverage.copy()
    for fault in faults:
        at = slice(fault.start, fault.stop)
        for name, columns in _thinned(chain, fault).items():
            kept = 0.0 if fault.kind == "silent" else 1.0 - fault.depth
            values = counts[name][at, columns]
            counts[name][at, columns] = rng.binomial(values.astype(np.int64), kept)
        if fault.kind == "blind":
            coverage[at, fault.place] -= fault.depth
        for name, column, extra in _added(chain, fault):
            counts[name][at, column] += rng.poisson(extra)
    return Chain(counts, chain.mean, coverage, chain.peak, chain.region, chain.slots)


def _thinned(chain: Chain, fault: Fault) -> dict[str, NDArray[np.int64]]:
    """By metric, the sites that lose counts."""
    mine = np.array([fault.place])
    if fault.kind in ("blind", "silent"):
        return {"footfall": mine}
    if fault.kind == "tills":
        return {"orders": mine}
    if fault.kind == "demand":
        return {"footfall": mine, "orders": mine}
    if fault.kind == "shift":
        stores = np.flatnonzero(chain.region == fault.place)
        return {"footfall": stores, "orders": stores}
    return dict.fromkeys(fault.lost, np.arange(STORES))


def _added(chain: Chain, fault: Fault) -> list[tuple[str, int, NDArray[np.float64]]]:
    """Metric, site and how many more are to be expected in each window of a fault."""
    at = slice(fault.start, fault.stop)
    web = chain.mean["orders"][at, WEB]
    if fault.kind == "returns":
        return [("returns", fault.place, fault.depth * chain.mean["orders"][at, fault.place])]
    if fault.kind == "coupons":
        return [("coupons", WEB, fault.depth * web)]
    if fault.kind == "trend":
        more = fault.depth * chain.mean["searches"][at, WEB]
        return [("searches", WEB, more), ("zero_result_searches", WEB, more / 2)]
    if fault.kind == "shift":
        stores = np.flatnonzero(chain.region == fault.place)
        lost = fault.depth * chain.mean["footfall"][at][:, stores].sum(axis=1)
        return [
            ("sessions", WEB, lost),
            ("orders", WEB, WEB_CONVERSION * lost),
            ("searches", WEB, SEARCHES * lost),
            ("zero_result_searches", WEB, SEARCHES * VAIN * lost),
        ]
    return []
