"""All series of a chain at once: what each is given, and what it is worth against that.

A series is not judged by its weekly rhythm alone, but given what is known already:

| series | given |
|---|---|
| footfall of a store | how its sisters in the region do in this window |
| orders of a store | the entries of the last hour |
| orders of the web shop | the sessions of the last hour |
| searches without result, coupons | the searches, the orders of the last hour |
| footfall and orders of a region, and of the chain | what was expected of the stores seen |

So a wet day is no fault of a store, and an empty shop no fault of its tills.

A series that has not seen three weeks is *learning*. Until then a store's footfall is held against
what its sisters count, and its orders against its entries, each by one rate a day of the week: that
needs hours, not weeks. What comes of it is only listed.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from central.detect import hierarchy
from central.detect.detector import Detector, Key, Scores
from central.detect.reading import Reading
from central.detect.season import LEARNED
from central.detect.state import DAYS

Reals = NDArray[np.float64]
CLOSED = -1
QUARTERS = 96
RECENT = 32
"""Open windows that are remembered of each series."""
HOUR = 4
SLIP = 0.02
"""The least share of the usual that is taken to have come: where nobody is counted, some buy."""
CHAIN = "chain"
GIVEN = {
    ("store", "orders"): "footfall",
    ("web", "orders"): "sessions",
    ("web", "zero_result_searches"): "searches",
    ("web", "coupons"): "orders",
}
"""By kind of site and metric, the metric whose last hour says how many there could be."""
PEOPLE = {"store": "footfall", "web": "sessions"}
LOW = ("footfall", "sessions", "orders")
"""What raises an incident where it is low; people also where they are many."""
HIGH = ("returns", "coupons", "searches", "zero_result_searches")
"""What raises an incident where it is high."""
SISTERS = 5
"""With fewer others in its region a store is judged by itself: one of them would say too much."""
FEWEST = 3
"""A node has at least so many children."""
SUMMED = ("footfall", "orders")
"""What regions and the chain have series of."""


@dataclass(frozen=True)
class Member:
    """A site as the panel knows it: a store of a region, or the web shop."""

    site: str
    kind: str = "store"
    region: str = ""


@dataclass(frozen=True)
class Recent:
    """The last open windows of every series, newest first, each (RECENT, series).

    window: -1 where there was none yet. value: NaN where absent; filled: as expected there.
    expected, variance: given what the series is given. usual: what was expected before anything of
    that day was known.
    """

    window: NDArray[np.int64]
    value: NDArray[np.float64]
    filled: NDArray[np.float64]
    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    usual: NDArray[np.float64]


def node_of(region: str) -> str:
    """The id of a region's node: a slug.

    >>> node_of("North & East")
    'region-north-east'
    """
    return f"region-{re.sub('[^a-z0-9]+', '-', region.lower()).strip('-')}"[:40]


class Panel:
    """Detector and memory of all series: those of the sites, then those of the nodes above them.

    nodes: by the id of a region or the chain, the ids of its stores.
    """

    def __init__(self, members: Sequence[Member], series: Sequence[Key]) -> None:
        stores = [each for each in members if each.kind == "store"]
        regions: dict[str, list[str]] = {}
        for each in stores:
            if each.region:
                regions.setdefault(node_of(each.region), []).append(each.site)
        self.nodes = {name: tuple(held) for name, held in regions.items() if len(held) >= FEWEST}
        if len(stores) >= FEWEST:
            self.nodes[CHAIN] = tuple(each.site for each in stores)
        self.sites = tuple(series)
        above = [(name, metric, "") for name in self.nodes for metric in SUMMED]
        self.series = (*self.sites, *above)
        self.place = {(site, metric): i for i, (site, metric, _) in enumerate(self.series)}
        kinds = {each.site: each.kind for each in members}
        area = {each.site: each.region for each in stores}
        n = len(self.sites)
        self._giver = np.full(n, -1)
        for i, (site, metric, _) in enumerate(self.sites):
            giver = GIVEN.get((kinds[site], metric), "")
            self._giver[i] = self.place.get((site, giver), -1)
        self._given = np.flatnonzero(self._giver >= 0)
        self._group = np.full(n, -1)
        footfall = [i for i, (_, metric, _) in enumerate(self.sites) if metric == "footfall"]
        self._group[footfall] = hierarchy.groups([area[self.sites[i][0]] for i in footfall])
        few = np.bincount(self._group[footfall]) <= SISTERS if footfall else np.zeros(0)
        self._group[[i for i in footfall if few[self._group[i]]]] = -1
        # What is given something has a twin that is not, for when that is not known.
        twins = [(site, f"{metric} alone", "") for site, metric, _ in self._of_given()]
        self._detector = Detector([*self.series, *twins])
        self._own = np.array([metric == "footfall" for _, metric, _ in above], np.bool_)
        self._members = np.zeros((len(above), n), np.bool_)
        for row, (name, metric, _) in enumerate(above):
            for site in self.nodes[name]:
                if (site, metric) in self.place:
                    self._members[row, self.place[site, metric]] = True
        pool = [*np.flatnonzero(self._group >= 0), *self._given]
        self._pool = np.array([i for i in pool if kinds[self.sites[i][0]] == "store"], np.int64)
        self._sisters = Detector([self.sites[i] for i in self._pool], slots=DAYS)
        self._pooled = np.zeros(len(self.series), np.bool_)
        metrics = np.array([metric for _, metric, _ in self.series])
        self._low, self._high = np.isin(metrics, LOW), np.isin(metrics, HIGH)
        many = [name in kinds and metric == PEOPLE[kinds[name]] for name, metric, _ in self.series]
        self._people = np.array(many, np.bool_)
        self.places = tuple(dict.fromkeys(name for name, _, _ in self.series))
        number = {name: i for i, name in enumerate(self.places)}
        self._at = np.array([number[name] for name, _, _ in self.series], np.int64)
        self._of: dict[str, list[tuple[str, int]]] = {}
        for i, (name, metric, _) in enumerate(self.series):
            self._of.setdefault(name, []).append((metric, i))
        shape = (RECENT, len(self.series))
        nothing = np.full(shape, np.nan)
        self.recent = Recent(np.full(shape, -1), *(nothing.copy() for _ in range(5)))

    def tick(
        self,
        window: int,
        slots: NDArray[np.int64],
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        node_slot: int,
        paused: Collection[str] = (),
        factor: Reals | None = None,
    ) -> tuple[Scores, NDArray[np.bool_]]:
        """Score a window of every series, the nodes' after the sites', and learn from it.

        Returns the scores, and which series were scored.

        slots: (n,) the local quarter of the week of each site's series, or CLOSED. values: (n,)
        counts, NaN where absent. ready: (n,) False where nothing must be scored or learned.
        node_slot: the quarter of the week for the nodes. paused: places that are scored and teach
        nothing. factor: (n,) what a calendar multiplies the usual of each site's series by; what is
        given something has it in that.
        """
        n, giver = len(self.sites), self._giver[self._given]
        alike = np.ones(n) if factor is None else factor.copy()
        times = np.concatenate([alike, np.ones(len(self._members)), alike[self._given]])
        times[self._given] = 1.0
        slots = np.concatenate([slots, np.full(len(self._members), node_slot), slots[self._given]])
        there = np.concatenate([ready, (self._members & ready).any(axis=1), ready[self._given]])
        opened = ready & (slots[:n] != CLOSED)
        if not opened.any():
            self._detector.rest(there)
            return unknown(len(self.series)), np.zeros(len(self.series), np.bool_)
        values = np.where(opened, values, np.nan)
        rate, spread, evidence = self._expectation(slots)
        rate, spread = rate * times, spread * times
        usual = rate[:n].copy()
        usual[self._given] = rate[len(self.series) :]

        exposure = hierarchy.ratio_of_sisters(values, rate[:n], spread[:n], self._group)
        # What was not seen was as expected, as far as others follow from it.
        filled = np.where(np.isnan(values), usual * exposure, values)
        least = SLIP * self._last_hour(giver, usual, self.recent.usual, window)
        came = self._last_hour(giver, filled, self.recent.filled, window)
        exposure[self._given] = np.maximum(came, least)
        expected = rate[:n] * exposure
        alone = ~(np.isfinite(values[giver]) & np.isfinite(expected[self._given]))
        alone |= evidence[self._given] < LEARNED * exposure[self._given]
        expected[self._given[alone]] = usual[self._given[alone]]

        summed = self._members & np.isfinite(values) & np.isfinite(expected)
        seen, held = hierarchy.sums(values, summed), hierarchy.sums(usual, summed)
        # What its weather does is a region's own to tell, and no part of what it is given.
        above = np.where(self._own, held, hierarchy.sums(expected, summed))
        twins = values[self._given]
        values, filled = np.concatenate([values, seen]), np.concatenate([filled, seen])
        # A node speaks where most of its stores do: one that lags behind is not the region.
        most = 2 * summed.sum(axis=1) >= self._members.sum(axis=1)
        opened = np.concatenate([opened, most & summed.any(axis=1)])
        over = np.zeros(len(opened), np.bool_)
        for place in paused:
            over[self.of(place)] = True
        open_all = np.concatenate([opened, opened[self._given]])
        self._detector.rest(there & ~open_all)
        exposures = np.concatenate([exposure, above, np.ones(len(twins))])
        scores = self._score(
            slots,
            np.concatenate([values, twins]),
            open_all,
            exposures * times,
            np.concatenate([over, over[self._given]]),
        )
        # More people than usual do not make a slot new.
        known = (times != 1.0) & open_all & (evidence >= LEARNED * exposures)
        scores = replace(scores, learning=scores.learning & ~known)
        scores = self._without_twins(scores, alone)
        scores = self._while_learning(
            scores, node_slot // QUARTERS, values[:n], opened[:n], exposure, times[:n]
        )
        usual = np.concatenate([usual, held * rate[n : len(self.series)]])
        self._remember(opened, window, values, scores, usual, filled)
        return scores, opened & np.isfinite(values) & np.isfinite(scores.expected)

    def _while_learning(
        self,
        scores: Scores,
        day: int,
        values: NDArray[np.float64],
        opened: NDArray[np.bool_],
        exposure: NDArray[np.float64],
        times: Reals,
    ) -> Scores:
        """The scores, where a series is learning those of the comparison with its sisters."""
        mine = self._pool
        place = np.where(self._group >= 0, self._group, self._group.max(initial=-1) + 1)
        seen = np.where(np.isnan(values), 0.0, values / times)
        others = (np.bincount(place, seen)[place] - seen) * times
        exposure = np.where(self._group >= 0, others, exposure)[mine]
        found = self._sisters.tick(day, values[mine], opened[mine], exposure)
        told = np.flatnonzero(scores.learning[mine] & ~found.learning & np.isfinite(found.expected))
        self._pooled[:] = False
        self._pooled[mine[told]] = True
        names = ("expected", "variance", "p_low", "p_high", "windows")
        merged = {name: getattr(scores, name).copy() for name in names}
        for name in names:
            merged[name][mine[told]] = getattr(found, name)[told]
        return replace(scores, **merged)

    def _of_given(self) -> list[Key]:
        return [self.sites[i] for i in self._given]

    def _without_twins(self, scores: Scores, alone: NDArray[np.bool_]) -> Scores:
        """The scores of the series; a twin's own where that stands alone."""
        count = len(self.series)
        at = np.arange(count)
        at[self._given[alone]] = count + np.flatnonzero(alone)
        return Scores(**{name: getattr(scores, name)[at] for name in Scores.__dataclass_fields__})

    def usual(self, slots: NDArray[np.int64]) -> Reals:
        """What each site's series is to show by its own rhythm alone; slots, and it: (n,)."""
        nodes = np.full(len(self._members), CLOSED)
        rate = self._expectation(np.concatenate([slots, nodes, slots[self._given]]))[0]
        usual = rate[: len(slots)]
        usual[self._given] = rate[len(self.series) :]
        return usual

    def of(self, place: str) -> list[int]:
        """The series of a site or node."""
        return [i for _, i in self._of.get(place, ())]

    def readings(self, place: str, scores: Scores, window: int) -> dict[str, Reading]:
        """By metric, what is known of a site or node after the tick of a window.

        A series that was closed then is left out.
        """
        kept = self.recent
        return {
            metric: Reading(
                kept.window[:, i].copy(),
                kept.value[:, i].copy(),
                kept.expected[:, i].copy(),
                kept.variance[:, i].copy(),
                kept.usual[:, i].copy(),
                p_low=float(scores.p_low[i]),
                p_high=float(scores.p_high[i]),
                span=int(scores.windows[i]),
                silence=float(scores.silence[i]),
                learning=bool(scores.learning[i]),
                pooled=bool(self._pooled[i]),
            )
            for metric, i in self._of.get(place, ())
            if kept.window[0, i] == window
        }

    def least(self, scores: Scores, shown: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The least p of each place that may raise an incident, (2, places).

        shown: (series,) whether a series was scored. First of what costs something, then of that
        and of what is only listed: many people. NaN where nothing can be said.
        """
        sure = shown & ~scores.learning
        low = np.where(self._people, np.minimum(scores.p_low, scores.silence), scores.p_low)
        costly = np.where(self._low, low, np.where(self._high, scores.p_high, np.inf))
        any_side = np.where(self._people, np.minimum(costly, scores.p_high), costly)
        found = np.full((2, len(self.places)), np.inf)
        for row, p in enumerate((costly, any_side)):
            np.minimum.at(found[row], self._at, np.where(sure, p, np.inf))
        return np.where(np.isinf(found), np.nan, found)

    def _expectation(self, slots: NDArray[np.int64]) -> tuple[Reals, Reals, Reals]:
        """Rate, variance at exposure 1 and evidence of each series at its own slot."""
        found = np.full((3, len(slots)), np.nan)
        for slot in np.unique(slots[slots != CLOSED]).tolist():
            here = slots == slot
            for row, now in zip(found, self._detector.expectation(slot), strict=True):
                row[here] = now[here]
        return found[0], found[1], found[2]

    def _score(
        self,
        slots: NDArray[np.int64],
        values: NDArray[np.float64],
        ready: NDArray[np.bool_],
        exposure: NDArray[np.float64],
        over: NDArray[np.bool_],
    ) -> Scores:
        """Each series at its own quarter of the week; unknown where its site is closed.

        over: (series,), True where the window teaches nothing.
        """
        times = np.unique(slots[slots != CLOSED]).tolist()
        merged = unknown(len(slots))
        state = self._detector.state
        for slot in times:
            here = slots == slot
            known = [kept[..., over].copy() for kept in (state.rate[slot], state.mass[slot])]
            spread = [kept[..., over].copy() for kept in (state.squares, state.units)]
            scores = self._detector.tick(slot, values, ready & here, exposure)
            state.rate[slot, over], state.mass[slot, over] = known
            state.squares[:, over], state.units[:, over] = spread
            if here.all():
                return scores
            merged = Scores(
                **{
                    name: np.where(here, getattr(scores, name), getattr(merged, name))
                    for name in Scores.__dataclass_fields__
                }
            )
        return merged

    def _last_hour(
        self,
        which: NDArray[np.int64],
        now: NDArray[np.float64],
        before: NDArray[np.float64],
        window: int,
    ) -> NDArray[np.float64]:
        """The last hour's sums of some series."""
        late = self.recent.window[: HOUR - 1, which] > window - HOUR
        earlier = np.where(late, before[: HOUR - 1, which], 0.0)
        return np.asarray(now[which] + earlier.sum(axis=0))

    def _remember(
        self,
        opened: NDArray[np.bool_],
        window: int,
        values: NDArray[np.float64],
        scores: Scores,
        usual: NDArray[np.float64],
        filled: NDArray[np.float64],
    ) -> None:
        now = {
            "window": np.full(len(opened), window),
            "value": values,
            "filled": filled,
            "expected": scores.expected,
            "variance": scores.variance,
            "usual": usual,
        }
        for name, newest in now.items():
            kept = getattr(self.recent, name)
            kept[1:, opened] = kept[:-1, opened]
            kept[0, opened] = newest[opened]


def unknown(series: int) -> Scores:
    """The scores of series whose sites are closed."""
    found = {name: np.ones(series) for name in Scores.__dataclass_fields__}
    found["expected"] = found["variance"] = np.full(series, np.nan)
    found["windows"] = np.zeros(series)
    found["learning"] = np.ones(series, np.bool_)
    return Scores(**found)  # type: ignore[arg-type]
