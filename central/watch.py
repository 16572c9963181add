"""The tick: closed windows become values, values become scores.

State is rebuilt at every start by replaying the windows in the file, so that what was imported or
came late has taught the baseline; only windows that close after that can raise an incident.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from central import calendar, life, windows
from central.agenda import Agenda
from central.config import Config, Site
from central.detect.budget import LISTED, WEEKS
from central.detect.causes import HOUR, Tick
from central.detect.detector import Key, Scores, band
from central.detect.panel import CHAIN, Member, Panel, node_of
from central.life import Limits
from central.metrics import SEEING_SHARE
from central.store import Store

WEEK = 4 * 24 * 7
LEARNING = 3 * WEEK
HISTORY_WINDOWS = 13 * WEEK
SHOWN_WINDOWS = 4 * 24 * 2
WATCHED = {
    "store": ("footfall", "orders", "returns"),
    "web": ("sessions", "orders", "searches", "zero_result_searches", "coupons"),
}
"""The measures that are scored, by the kind of site."""
KNOWN_FROM = {"footfall": (), "orders": ("orders", "returns"), "returns": ("orders", "returns")}
"""Measures with the first of which one is known from then on; `events` for what is not named."""
ALWAYS = Site(id=CHAIN)


@dataclass(frozen=True)
class Moment:
    """One closed window: what is known of each place, and the limits of that week.

    ticks: by place: the sites whose window it is, and the nodes above them. leaves: by node, the
    highest first, the sites below it.
    """

    window: int
    ticks: Mapping[str, Tick]
    leaves: Mapping[str, tuple[str, ...]]
    limits: Limits


@dataclass(frozen=True)
class Values:
    """Values (window, series), NaN where absent, of the windows from `first` on.

    coverage: (window, camera), the share of each window that the camera saw, NaN before it was
    first heard of; `cameras` names them as (site, camera).
    """

    first: int
    values: NDArray[np.float64]
    cameras: tuple[tuple[str, str], ...]
    coverage: NDArray[np.float64]


class Watch:
    """Detector state over all series, and how far each site has been scored.

    `real`, by place, is from when on what it shows is known to be no chance; it teaches nothing.
    `achieved`, by level, is what is promised of false incidents a place and week, what the past
    weeks brought of them, and the p at which one is raised.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config = store, config
        self._cursor = store.central()
        self._agenda = Agenda(config)
        self._processed: dict[str, int] = dict(
            self._cursor.execute("select site, processed from progress").fetchall()
        )
        self._begin(())
        self._known: tuple[dict[str, int], int, tuple[int | None, ...]] = {}, 0, ()
        self._interrupted = False
        self.real: Mapping[str, int] = {}

    def advance(self, bounds: dict[str, int]) -> Iterator[Moment]:
        """Score the windows that have closed, oldest first.

        bounds: by site, the first window that is not closed. Scores are in the file before a
        moment is handed out, and that its window is done with when the next is asked for: a stop
        in between scores the window again, and loses nothing.
        """
        for site, bound in bounds.items():
            if site not in self._processed:
                self._processed[site] = self._beginning(site, bound)
            self._processed[site] = max(self._processed[site], bound - HISTORY_WINDOWS)
        series = self._series(bounds)
        known = self._relaid(), self._store.imports, self._agenda.versions()
        if series != self._panel.sites or known != self._known or self._interrupted:
            self._known = known
            self._replay(series)
        while True:
            due = {
                site: self._processed[site] + 1
                for site, bound in bounds.items()
                if self._processed[site] + 1 < bound
            }
            if not due:
                return
            window = min(due.values())
            sites = {site for site, first in due.items() if first == window}
            self._interrupted = True
            yield self._tick(window, sites)
            self._finish(dict.fromkeys(sites, window))
            self._interrupted = False

    def _beginning(self, site: str, bound: int) -> int:
        ((imported,),) = self._cursor.execute(
            "select max(\"window\") from partial where site = ? and part like 'import:%'", [site]
        ).fetchall()
        if imported is None:
            # The window in which a shop is first seen was not watched from its beginning.
            return bound
        return int(min(imported, bound - 1))

    def _series(self, sites: Iterable[str]) -> tuple[Key, ...]:
        rows = self._cursor.execute(
            "select distinct site, measure from partial where list_contains(?, measure)"
            " union select distinct site, 'footfall' from partial"
            " where measure = 'watched_seconds'",
            [sorted({name for names in WATCHED.values() for name in names})],
        ).fetchall()
        known = set(sites)
        return tuple(
            sorted(
                (site, measure, "")
                for site, measure in rows
                if site in known and measure in WATCHED[self._config.site(site).kind]
            )
        )

    def _begin(self, series: tuple[Key, ...]) -> None:
        """A panel that knows nothing yet, of the sites that have these series."""
        sites = [self._config.site(name) for name in dict.fromkeys(site for site, _, _ in series)]
        members = [Member(site.id, site.kind, site.region) for site in sites]
        self._panel = Panel(members, series)
        self._agenda.begin()
        self._places = {site.id: site for site in sites}
        self._sites = [self._places[site] for site, _, _ in series]
        regions = {node_of(site.region): site.region for site in sites if site.region}
        for node, below in self._panel.nodes.items():
            first = self._places[below[0]]
            name = "All shops" if node == CHAIN else regions[node]
            self._places[node] = first.model_copy(update={"id": node, "name": name})
        self._leaves = dict(sorted(self._panel.nodes.items(), key=lambda each: -len(each[1])))
        between = tuple(node for node in self._leaves if node != CHAIN)
        self._children = {**self._leaves, **({CHAIN: between} if between else {})}
        self._past: list[tuple[int, NDArray[np.float64]]] = []
        self._heard: dict[str, int] = {}
        self._limits = Limits(0.0, 0.0)
        self.achieved: dict[str, tuple[float, float | None, float]] = {}

    def _relaid(self) -> dict[str, int]:
        """By site, the window in which a device's layout last changed: footfall begins anew."""
        rows = (
            self._store.floor()
            .execute(
                "select site, max(layout_since) from device where layout_since is not null"
                " group by site"
            )
            .fetchall()
        )
        return {site: windows.key(since.replace(tzinfo=UTC)) for site, since in rows}

    def _replay(self, series: tuple[Key, ...]) -> None:
        self._begin(series)
        last = max(self._processed.values(), default=0)
        ((least,),) = self._cursor.execute('select min("window") from partial').fetchall()
        first = max(last if least is None else least, last - HISTORY_WINDOWS)
        # What has been counted so far may all lie ahead: an order with a fast clock.
        first = min(first, last + 1)
        values = self._load(series, first, last + 1).values
        processed = np.array([self._processed[site] for site, _, _ in series])
        real = self._cursor.execute(
            "select site, began, latest, children from incident where sure"
        ).fetchall()
        shown = []
        for window in range(first, last + 1):
            over = [
                place
                for site, began, latest, children in real
                if began <= window <= latest and window - began < life.PAUSE
                for place in (site, *children)
            ]
            row, ready = values[window - first], window <= processed
            scores = self._score(window, row, ready, over)
            if window > last - SHOWN_WINDOWS:
                shown.append(self._expectation(window, row, scores, ready))
        self._limit()
        with self._store.write() as cursor:
            cursor.execute('delete from expectation where "window" > ?', [last - SHOWN_WINDOWS])
            if shown:
                _insert(cursor, pa.concat_tables(shown))
        self._interrupted = False

    def _tick(self, window: int, sites: set[str]) -> Moment:
        series = self._panel.sites
        now = self._load(series, window - HOUR + 1, window + 1)
        ready = np.array([site in sites for site, _, _ in series], np.bool_)
        if self._past and self._past[-1][0] // WEEK != window // WEEK:
            self._limit()
        over = life.paused(self.real, window)
        scores = self._score(window, now.values[-1], ready, over)
        with self._store.write() as cursor:
            _insert(cursor, self._expectation(window, now.values[-1], scores, ready))
        places = [*sorted(sites), *(node for node in self._leaves if self._speaks(node, window))]
        ticks = {place: self._told(place, window, scores, now) for place in places}
        return Moment(window, ticks, self._leaves, self._limits)

    def _speaks(self, node: str, window: int) -> bool:
        readings = self._panel.recent.window[0]
        return any(readings[i] == window for i in self._panel.of(node))

    def _told(self, place: str, window: int, scores: Scores, now: Values) -> Tick:
        site = self._places.get(place) or self._config.site(place)
        coverage: dict[str, list[float]] = {}
        for (at, camera), shares in zip(now.cameras, now.coverage.T, strict=True):
            seen = shares[::-1].tolist()
            if at == place and not np.isnan(seen[0]):
                opened = [self._open(site, window - n) for n in range(len(seen))]
                until = next((n for n in range(1, len(seen)) if not opened[n]), len(seen))
                coverage[camera] = [each for each in seen[:until] if not np.isnan(each)]
        node = place in self._leaves
        return Tick(
            site=site,
            window=window,
            opened=node or self._open(site, window),
            readings=self._panel.readings(place, scores, window),
            coverage=coverage,
            children=self._children.get(place, ()),
            ready=self.learning().get(place),
            event=self._agenda.common(self._leaves.get(place, (place,)), window),
        )

    def _open(self, site: Site, window: int) -> bool:
        return calendar.is_open(site, window) and not self._agenda.set_aside(site.id, window)

    def learning(self) -> dict[str, int]:
        """By site that has not been counted for three weeks, the window in which it will be."""
        now = self._past[-1][0] if self._past else 0
        return {
            site: first + LEARNING for site, first in self._heard.items() if now < first + LEARNING
        }

    def _score(
        self, window: int, values: NDArray[np.float64], ready: NDArray[np.bool_], over: list[str]
    ) -> Scores:
        """Score and learn, each series at its own local quarter of the week, by the calendars.

        over: the places that teach nothing; what they show is no chance.
        """
        slots = np.array([calendar.slot(site, window) for site in self._sites], np.int64)
        factor, events = None, self._agenda.now(window)
        if events:
            series, usual = self._panel.sites, self._panel.usual(slots)
            factor = self._agenda.factors(series, events)
            self._agenda.show(series, events, np.where(ready, values, np.nan), usual)
            slots[np.isnan(factor)] = calendar.CLOSED
            factor = np.nan_to_num(factor, nan=1.0)
        node_slot = calendar.slot(ALWAYS, window)
        scores, shown = self._panel.tick(window, slots, values, ready, node_slot, over, factor)
        for i in np.flatnonzero(shown[: len(values)]).tolist():
            self._heard.setdefault(self._panel.sites[i][0], window)
        least = self._panel.least(scores, shown)
        least[:, [i for i, place in enumerate(self._panel.places) if place in over]] = np.nan
        self._past.append((window, least))
        return scores

    def _limit(self) -> None:
        """What keeps the budgets in the next week, by the weeks before."""
        last = self._past[-1][0] if self._past else 0
        self._past = [each for each in self._past if each[0] > last - WEEKS * WEEK]
        week = np.array([window // WEEK for window, _ in self._past], np.int64)
        least = np.array([row for _, row in self._past])
        if not len(least):
            least = np.zeros((0, 2, 0))
        pushed = self._config.false_alarms
        self._limits, brought = life.limits(least, week, pushed, LISTED)
        told, named = (None if np.isnan(each) else each for each in brought)
        self.achieved = {
            "pushed": (pushed, told, self._limits.pushed),
            "listed": (LISTED, named, self._limits.listed),
        }

    def _load(self, series: tuple[Key, ...], first: int, stop: int) -> Values:
        """Values of the windows from `first` up to, but without, `stop`."""
        place = {(site, measure): i for i, (site, measure, _) in enumerate(series)}
        values = np.full((stop - first, len(series)), np.nan)
        rows = self._cursor.execute(
            'select site, measure, min("window") from partial'
            " where measure in ('orders', 'returns', 'events') group by all"
        ).fetchall()
        began = {(site, measure): window for site, measure, window in rows}
        for (site, measure), i in place.items():
            heard = [
                began[site, name]
                for name in KNOWN_FROM.get(measure, ("events",))
                if (site, name) in began
            ]
            if heard:
                values[max(0, min(heard) - first) :, i] = 0.0

        watching = self._cameras()
        column = {(site, camera): i for i, (site, camera, _) in enumerate(watching)}
        coverage = np.full((stop - first, len(watching)), np.nan)
        rows = self._cursor.execute(
            'select site, subject, min("window") from partial'
            " where measure = 'watched_seconds' group by all"
        ).fetchall()
        for site, camera, began in rows:
            if (site, camera) in column:
                coverage[max(0, began - first) :, column[site, camera]] = 0.0
        rows = self._cursor.execute(
            'select site, subject, "window", sum(value) from partial'
            ' where measure = \'covered_seconds\' and "window" >= ? and "window" < ?'
            " group by all",
            [first, stop],
        ).fetchall()
        for site, camera, window, seconds in rows:
            if (site, camera) in column:
                share = min(1.0, seconds / windows.SECONDS)
                coverage[window - first, column[site, camera]] = share
        for site in {site for site, _, counts in watching if counts}:
            entrance = [column[at, each] for at, each, counts in watching if counts and at == site]
            if (site, "footfall") in place:
                seen = coverage[:, entrance].min(axis=1) >= SEEING_SHARE
                values[seen, place[site, "footfall"]] = 0.0

        rows = self._cursor.execute(
            "select site, measure, \"window\", sum(value), bool_and(part like 'import:%')"
            ' from partial where list_contains(?, measure) and "window" >= ? and "window" < ?'
            " group by all",
            [sorted({measure for _, measure in place}), first, stop],
        ).fetchall()
        for site, measure, window, value, imported in rows:
            at = place.get((site, measure))
            if at is not None and (imported or not np.isnan(values[window - first, at])):
                values[window - first, at] = value
        for site, since in self._known[0].items():
            if (site, "footfall") in place:
                values[: max(0, since + 1 - first), place[site, "footfall"]] = np.nan
        return Values(first, values, tuple(column), coverage)

    def _cameras(self) -> list[tuple[str, str, bool]]:
        """Site and id of every camera that watches a line or zone; whether it counts footfall."""
        return (
            self._store.floor()
            .execute(
                "select site, camera, bool_or(role = 'entrance') from"
                " (select site, unnest(cameras) as camera, role from line where current"
                " union all select site, unnest(cameras), role from zone where current)"
                " group by all"
            )
            .fetchall()
        )

    def _expectation(
        self, window: int, values: NDArray[np.float64], scores: Scores, ready: NDArray[np.bool_]
    ) -> pa.Table:
        kept, series = self._panel.recent, self._panel.series
        lower, upper = band(scores.expected, scores.variance)
        spoke = kept.window[0] == window
        value, usual = (
            np.where(spoke, kept.value[0], np.nan),
            np.where(spoke, kept.usual[0], np.nan),
        )
        value[: len(values)] = values
        rows = np.flatnonzero(np.concatenate([ready, spoke[len(values) :]]))
        return pa.table(
            {
                "site": pa.array([series[i][0] for i in rows], pa.string()),
                "metric": pa.array([series[i][1] for i in rows], pa.string()),
                "window": pa.array([window] * len(rows), pa.int64()),
                "value": pa.array(value[rows], from_pandas=True),
                "usual": pa.array(usual[rows], from_pandas=True),
                **{
                    name: pa.array(getattr(scores, name)[rows], pa.float64(), from_pandas=True)
                    for name in ("expected", "variance", "p_low", "p_high")
                },
                "lower": pa.array(lower[rows], pa.float64(), from_pandas=True),
                "upper": pa.array(upper[rows], pa.float64(), from_pandas=True),
                "learning": scores.learning[rows],
            }
        )

    def _finish(self, processed: dict[str, int]) -> None:
        with self._store.write() as cursor:
            cursor.executemany(
                "insert or replace into progress values (?, ?)", list(processed.items())
            )
        self._processed.update(processed)


def _insert(cursor: duckdb.DuckDBPyConnection, expectation: pa.Table) -> None:
    cursor.register("scored", expectation)
    cursor.execute("insert into expectation by name select * from scored")
    cursor.unregister("scored")
