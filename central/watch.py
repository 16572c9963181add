"""The tick: closed windows become values, values become scores.

State is rebuilt at every start by replaying the windows in the file, so that what was imported or
came late has taught the baseline; only windows that close after that can raise an incident.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from central import calendar, windows
from central.config import Config, Site
from central.detect.detector import Detector, Key, Scores, band
from central.store import Store

HISTORY_WINDOWS = 4 * 24 * 7 * 13
SHOWN_WINDOWS = 4 * 24 * 2
COVERED_SHARE = 0.9
"""A window that the cameras of an entrance saw for less than this share counts as absent."""


@dataclass(frozen=True)
class Tick:
    """One closed window of one site: values and scores by metric, coverage by camera (0 to 1).

    A camera that has never been heard of is left out: it is new, not blind.
    """

    site: Site
    window: int
    opened: bool
    values: dict[str, float]
    p_low: dict[str, float]
    p_high: dict[str, float]
    spans: dict[str, int]
    learning: dict[str, bool]
    coverage: dict[str, float]


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
    """Detector state over all series, and how far each site has been scored."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config = store, config
        self._cursor = store.central()
        self._processed: dict[str, int] = dict(
            self._cursor.execute("select site, processed from progress").fetchall()
        )
        self._detector = Detector([])
        self._sites: list[Site] = []
        self._known: tuple[dict[str, int], int] = {}, 0
        self._interrupted = False

    def advance(self, bounds: dict[str, int]) -> Iterator[list[Tick]]:
        """Score the windows that have closed, oldest first; one list a window.

        bounds: by site, the first window that is not closed. Scores are in the file before a
        list is handed out, and that its window is done with when the next is asked for: a stop in
        between scores the window again, and loses nothing.
        """
        for site, bound in bounds.items():
            if site not in self._processed:
                self._processed[site] = self._beginning(site, bound)
            self._processed[site] = max(self._processed[site], bound - HISTORY_WINDOWS)
        series = self._series(bounds)
        known = self._relaid(), self._store.imports
        if series != self._detector.series or known != self._known or self._interrupted:
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
            "select distinct site, measure from partial where measure in ('footfall', 'orders')"
            " union select distinct site, 'footfall' from partial where measure = 'watched_seconds'"
        ).fetchall()
        known = set(sites)
        return tuple(sorted((site, measure, "") for site, measure in rows if site in known))

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
        self._detector = Detector(series)
        self._sites = [self._config.site(site) for site, _, _ in series]
        last = max(self._processed.values(), default=0)
        ((least,),) = self._cursor.execute('select min("window") from partial').fetchall()
        first = max(last if least is None else least, last - HISTORY_WINDOWS)
        # What has been counted so far may all lie ahead: an order with a fast clock.
        first = min(first, last + 1)
        values = self._load(series, first, last + 1).values
        processed = np.array([self._processed[site] for site, _, _ in series])
        shown = []
        for window in range(first, last + 1):
            row, ready = values[window - first], window <= processed
            if window <= last - SHOWN_WINDOWS:
                self._detector.rest(ready & self._closed(window))
                for slot, opened in self._slots(window):
                    self._detector.learn(slot, row, ready & opened)
            else:
                scores = self._score(window, row, ready)
                shown.append(self._expectation(window, row, scores, ready))
        with self._store.write() as cursor:
            cursor.execute('delete from expectation where "window" > ?', [last - SHOWN_WINDOWS])
            if shown:
                _insert(cursor, pa.concat_tables(shown))
        self._interrupted = False

    def _tick(self, window: int, sites: set[str]) -> list[Tick]:
        series = self._detector.series
        now = self._load(series, window, window + 1)
        ready = np.array([site in sites for site, _, _ in series], np.bool_)
        values = now.values[0]
        scores = self._score(window, values, ready)
        with self._store.write() as cursor:
            _insert(cursor, self._expectation(window, values, scores, ready))
        return [self._result(site, window, values, scores, now) for site in sorted(sites)]

    def _result(
        self, site: str, window: int, values: NDArray[np.float64], scores: Scores, now: Values
    ) -> Tick:
        mine = [(i, key[1]) for i, key in enumerate(self._detector.series) if key[0] == site]
        return Tick(
            site=self._config.site(site),
            window=window,
            opened=calendar.is_open(self._config.site(site), window),
            values={name: float(values[i]) for i, name in mine},
            p_low={name: float(scores.p_low[i]) for i, name in mine},
            p_high={name: float(scores.p_high[i]) for i, name in mine},
            spans={name: int(scores.windows[i]) for i, name in mine},
            learning={name: bool(scores.learning[i]) for i, name in mine},
            coverage={
                camera: float(share)
                for (place, camera), share in zip(now.cameras, now.coverage[0], strict=True)
                if place == site and not np.isnan(share)
            },
        )

    def _score(self, window: int, values: NDArray[np.float64], ready: NDArray[np.bool_]) -> Scores:
        """Score and learn, each series at its own local quarter of the week."""
        merged = _unknown(len(values))
        self._detector.rest(ready & self._closed(window))
        for slot, opened in self._slots(window):
            merged = _merge(merged, self._detector.tick(slot, values, ready & opened), opened)
        return merged

    def _slots(self, window: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """The local quarters of the week at a window; with each, the open sites' series there."""
        slots = self._local(window)
        for slot in np.unique(slots[slots != calendar.CLOSED]):
            yield int(slot), slots == slot

    def _closed(self, window: int) -> NDArray[np.bool_]:
        """The series whose sites are closed at a window."""
        closed: NDArray[np.bool_] = self._local(window) == calendar.CLOSED
        return closed

    def _local(self, window: int) -> NDArray[np.int64]:
        return np.array([calendar.slot(site, window) for site in self._sites], np.int64)

    def _load(self, series: tuple[Key, ...], first: int, stop: int) -> Values:
        """Values of the windows from `first` up to, but without, `stop`."""
        place = {(site, measure): i for i, (site, measure, _) in enumerate(series)}
        values = np.full((stop - first, len(series)), np.nan)
        rows = self._cursor.execute(
            "select site, min(\"window\") from partial where measure = 'orders' group by site"
        ).fetchall()
        for site, began in rows:
            if (site, "orders") in place:
                values[max(0, began - first) :, place[site, "orders"]] = 0.0

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
                seen = coverage[:, entrance].min(axis=1) >= COVERED_SHARE
                values[seen, place[site, "footfall"]] = 0.0

        rows = self._cursor.execute(
            "select site, measure, \"window\", sum(value), bool_and(part like 'import:%')"
            " from partial where measure in ('footfall', 'orders')"
            ' and "window" >= ? and "window" < ? group by all',
            [first, stop],
        ).fetchall()
        for site, measure, window, value, imported in rows:
            i = place.get((site, measure))
            if i is not None and (imported or not np.isnan(values[window - first, i])):
                values[window - first, i] = value
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
        rows = [i for i in range(len(values)) if ready[i]]
        series = self._detector.series
        lower, upper = band(scores.expected, scores.variance)
        return pa.table(
            {
                "site": pa.array([series[i][0] for i in rows], pa.string()),
                "metric": pa.array([series[i][1] for i in rows], pa.string()),
                "window": pa.array([window] * len(rows), pa.int64()),
                "value": pa.array(values[rows], from_pandas=True),
                **{
                    name: pa.array(getattr(scores, name)[rows], pa.float64(), from_pandas=True)
                    for name in ("expected", "variance", "p_low", "p_high")
                },
                "lower": pa.array(lower[rows], from_pandas=True),
                "upper": pa.array(upper[rows], from_pandas=True),
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


def _unknown(series: int) -> Scores:
    """The scores of series whose sites are closed."""
    nothing, small = np.full(series, np.nan, np.float32), np.ones(series, np.float32)
    certain = np.ones(series)
    return Scores(
        expected=nothing,
        variance=nothing,
        p_low=certain,
        p_high=certain,
        windows=np.zeros(series, np.int8),
        learning=np.ones(series, np.bool_),
        drift_low=small,
        drift_high=small,
        silence=small,
        peak_low=certain,
        peak_high=certain,
    )


def _merge(old: Scores, new: Scores, here: NDArray[np.bool_]) -> Scores:
    return Scores(
        **{
            name: np.where(here, getattr(new, name), getattr(old, name))
            for name in Scores.__dataclass_fields__
        }
    )
