"""Once a night: the forecast of each series, and the stores that are unlike the others.

Reading goes on in a thread of `serve`; what is heavy (statsmodels, PyOD) in a process of its own,
for it would keep the interpreter to itself, and intake would wait. What comes of a night is written
in one transaction at its end.
"""

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from central import aside, calendar, features, hours, ical, seen, windows
from central.config import Config, Site
from central.detect import baseline, peers
from central.metrics import CATALOGUE, WATCHED
from central.outlook import BAND
from central.store import Store, utc

log = logging.getLogger(__name__)

Reals = NDArray[np.float64]
Booleans = NDArray[np.bool_]

HOUR = 3
"""The hour (UTC) from which on a night's work is done."""
HISTORY_DAYS = 7 * baseline.FIT_WEEKS
HOLIDAYS_BACK = timedelta(days=365)
"""How far back holidays are looked for."""
HALF_A_DAY = timedelta(hours=12)
SEEN_SHARE = 0.9
"""A day of whose open time less was seen is not compared."""
COUNTS = {"footfall": "", "passersby": "", "orders": "pos", "revenue": "pos", "returns": "pos"}
"""The sums behind what is compared, and of which channel."""
LOOK_SECONDS = 60.0
RETRY_SECONDS = 3600.0


@dataclass(frozen=True)
class Grid:
    """A site's local days and hours: (days, 24), the last seven days being ahead.

    start: of each hour of the span, its first window, (hours,); row, column: its place. opened:
    (days, 24), without the hours that come twice when the clocks go back.
    """

    span: hours.Span
    start: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    opened: Booleans

    def sums(self, values: Reals) -> Reals:
        """Of windows (n,) from the first on, by day and hour, (days, 24).

        NaN where closed, and where any open window of the hour is absent.
        """
        whole = np.full(len(self.span.opened), np.nan)
        whole[: len(values)] = values[: len(whole)]
        sums = self.span.by_hour(whole, self.span.opened)  # absent makes absent
        found = np.full(self.opened.shape, np.nan)
        found[self.row, self.column] = sums
        return np.where(self.opened, found, np.nan)

    def days(self, values: Reals) -> Reals:
        """Of windows (n,), by day, (days,), NaN where too little of the open time was seen."""
        whole = np.full(len(self.span.opened), np.nan)
        whole[: len(values)] = values[: len(whole)]
        there = self.span.opened & np.isfinite(whole)
        day = self.row[self.span.hour]
        count = len(self.opened)
        opened = np.bincount(day, self.span.opened, count)
        known = np.bincount(day, there, count)
        sums = np.bincount(day[there], whole[there], count)
        return np.where((opened > 0) & (known >= SEEN_SHARE * opened), sums, np.nan)


def grid(site: Site, first: date, last: date) -> Grid:
    """From the day `first` to a week after the day `last`."""
    span = hours.days(site, first, last + timedelta(days=baseline.WEEK))
    start = span.first + np.searchsorted(span.hour, np.arange(len(span.keys)))
    local = [calendar.local(site, int(window)) for window in start]
    row = np.array([(each.date() - first).days for each in local], np.int64)
    column = np.array([each.hour for each in local], np.int64)
    shape = int(row[-1]) + 1, baseline.HOURS
    count = np.zeros(shape, np.int64)
    np.add.at(count, (row, column), 1)
    opened = np.zeros(shape, np.bool_)
    opened[row, column] = span.by_hour(np.ones(len(span.opened)), span.opened) > 0
    return Grid(span, start, row, column, opened & (count == 1))


def read(store: Store, site: Site, name: str, first: int, stop: int, channel: str = "") -> Reals:
    """Sums of a metric that is one, by window from `first` to before `stop`; NaN where absent.

    Since a layout changed, footfall begins anew.
    """
    metric = CATALOGUE[name]
    weights = seen.weights(metric, site)
    values = np.array(
        [
            sum(value * weights[measure] for (_, measure, _), value in each.sums.items())
            if each.seen and not each.open
            else np.nan
            for each in seen.read(store, site, metric, first, stop, channel)
        ],
        np.float64,
    )
    if metric.counted == "line":
        ((since,),) = (
            store.floor()
            .execute("select max(layout_since) from device where site = ?", [site.id])
            .fetchall()
        )
        if since is not None:
            values[: max(0, windows.key(since.replace(tzinfo=UTC)) + 1 - first)] = np.nan
    return values


def last_day(store: Store, site: Site) -> date | None:
    """The last local day of which all windows are closed."""
    end = features.closed(store, site)
    return None if end is None else end.date() - timedelta(days=1)


def holidays(config: Config, site: Site, first: date, last: date) -> set[date]:
    """The days from `first` to `last` that are unlike others.

    Those for which the settings name other hours, and those of which an event of the site's
    calendars takes half or more. Raises CalendarError.
    """
    found = {day for day in site.hours.exceptions if first <= day <= last}
    begin, end = (
        datetime.combine(day, clock(0), site.zone) for day in (first, last + timedelta(days=1))
    )
    for path in config.calendars(site):
        for each in ical.occurrences(path, site.zone, begin, end):
            day = each.start.astimezone(site.zone).date()
            while (midnight := datetime.combine(day, clock(0), site.zone)) < each.stop:
                morrow = datetime.combine(day + timedelta(days=1), clock(0), site.zone)
                taken = min(each.stop, morrow) - max(each.start, midnight)
                if taken >= HALF_A_DAY and first <= day <= last:
                    found.add(day)
                day += timedelta(days=1)
    return found


def due(made: datetime | None, now: datetime) -> bool:
    """Whether the night before `now` has passed without its work; central's own day is UTC's."""
    night = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    if night > now:
        night -= timedelta(days=1)
    return made is None or made < night


def keep(store: Store, config: Config, stop: threading.Event) -> None:
    """Do each night's work until told to stop; one that was missed is done at once."""
    made, wait = last(store), LOOK_SECONDS
    while not stop.wait(wait):
        now, wait = datetime.now(UTC), LOOK_SECONDS
        if not due(made, now):
            continue
        try:
            night(store, config, now, stop)
            made = now
        except Exception:
            if not stop.is_set():
                log.exception("this night's work failed; it is tried again in an hour")
            wait = RETRY_SECONDS


def last(store: Store) -> datetime | None:
    """When the last night's work began."""
    ((made,),) = store.central().execute("select max(made) from baseline").fetchall()
    return None if made is None else made.replace(tzinfo=UTC)


def night(store: Store, config: Config, now: datetime, stop: threading.Event) -> None:
    """Forecast every series and compare the stores; nothing is written where stopped before.

    What fails of one series is logged with its name, and kept beside it as its `problem`.
    """
    began = time.monotonic()
    names = store.central().execute("select site from progress order by site").fetchall()
    sites = [config.site(name) for (name,) in names]
    pool = aside.pool()
    try:
        series = _forecasts(store, config, sites, pool, stop)
        day, compared = _comparison(store, sites, pool, stop)
    finally:
        pool.shutdown(cancel_futures=True)
    if stop.is_set():
        return
    with store.write() as cursor:
        _write(cursor, now, series, day, compared)
    log.info(
        "the night's work: %d series, %d stores compared, %.0f s",
        *(len(series), len(compared), time.monotonic() - began),
    )


@dataclass(frozen=True)
class Series:
    """What a night came to for one series.

    ready: the day from which on there is a forecast, where there is none yet. problem: what went
    wrong. hours: start, and the values expected, at least and at most.
    """

    site: str
    metric: str
    ready: date | None = None
    problem: str = ""
    hours: Sequence[tuple[datetime, float, float, float]] = ()


def _forecasts(
    store: Store,
    config: Config,
    sites: Sequence[Site],
    pool: ProcessPoolExecutor,
    stop: threading.Event,
) -> list[Series]:
    asked: list[tuple[Site, str, date, Grid, Future[baseline.Forecast]]] = []
    found: list[Series] = []
    for site in sites:
        for metric in WATCHED:
            if stop.is_set():
                return []
            try:
                known = _known(store, config, site, metric)
                if known:
                    day, place, values, marked = known
                    future = pool.submit(baseline.forecast, values, place.opened, marked, (BAND,))
                    asked.append((site, metric, day, place, future))
            except BrokenExecutor:
                raise
            except Exception as error:
                found.append(_failed(site, metric, error))
    for site, metric, day, place, future in asked:
        try:
            found.append(_told(site, metric, day, place, _result(future, stop)))
        except BrokenExecutor:
            raise
        except Exception as error:
            found.append(_failed(site, metric, error))
    return found


def _known(
    store: Store, config: Config, site: Site, metric: str
) -> tuple[date, Grid, Reals, Booleans] | None:
    """The last closed day, the grid up to a week after it, its sums and its holidays."""
    day = last_day(store, site)
    if day is None:
        return None
    first = day - timedelta(days=HISTORY_DAYS - 1)
    marked = holidays(config, site, day - HOLIDAYS_BACK, day + timedelta(days=baseline.WEEK))
    past = [each for each in marked if each <= day]
    if past:
        first = min(first, min(past) - timedelta(weeks=2))
    place = grid(site, first, day)
    stop = windows.key(datetime.combine(day + timedelta(days=1), clock(0), site.zone))
    values = place.sums(read(store, site, metric, place.span.first, stop))
    days = len(place.opened) - baseline.WEEK
    if not np.isfinite(values).any():
        return None
    each_day = (first + timedelta(days=n) in marked for n in range(len(place.opened)))
    return day, place, values[:days], np.fromiter(each_day, np.bool_)


def _told(site: Site, metric: str, day: date, place: Grid, found: baseline.Forecast) -> Series:
    if found.days_missing:
        return Series(site.id, metric, ready=day + timedelta(days=1 + found.days_missing))
    ahead = len(place.opened) - baseline.WEEK
    rows = []
    for start, row, column in zip(place.start, place.row, place.column, strict=True):
        at = row - ahead, column
        if row >= ahead and np.isfinite(found.expected[at]):
            band = float(found.lower[0][at]), float(found.upper[0][at])
            rows.append((windows.start(int(start)), float(found.expected[at]), *band))
    return Series(site.id, metric, hours=rows)


def _failed(site: Site, metric: str, error: Exception) -> Series:
    log.error("no forecast of %s at %s", metric, site.id, exc_info=error)
    return Series(site.id, metric, problem=f"{type(error).__name__}: {error}")


def _comparison(
    store: Store, sites: Sequence[Site], pool: ProcessPoolExecutor, stop: threading.Event
) -> tuple[date | None, list[peers.Compared]]:
    """The day that half of the stores have closed, and the stores that day."""
    stores = [site for site in sites if site.kind == "store"]
    days = [last_day(store, site) for site in stores]
    closed = sorted(day for day in days if day is not None)
    if len(closed) < peers.LEAST_STORES:
        return None, []
    day = closed[(len(closed) - 1) // 2]
    first = day - timedelta(days=HISTORY_DAYS - 1)
    sums = {name: np.full((HISTORY_DAYS, len(stores)), np.nan) for name in (*COUNTS, "dwell_p50")}
    for column, site in enumerate(stores):
        if stop.is_set():
            return None, []
        try:
            for name, values in _days(store, site, first, day).items():
                sums[name][:, column] = values
        except Exception:
            log.exception("%s is not compared with the other stores", site.id)
    sums["passing"] = sums["footfall"] + sums.pop("passersby")
    future = pool.submit(peers.compare, [site.id for site in stores], sums)
    return day, _result(future, stop)


def _days(store: Store, site: Site, first: date, day: date) -> dict[str, Reals]:
    """What a store did each day from `first` to `day`, by measure, (days,)."""
    place = grid(site, first, day)
    stop = windows.key(datetime.combine(day + timedelta(days=1), clock(0), site.zone))
    found = {
        name: place.days(read(store, site, name, place.span.first, stop, channel))[:HISTORY_DAYS]
        for name, channel in COUNTS.items()
    }
    return found | {"dwell_p50": _dwell(store, site, first)}


def _dwell(store: Store, site: Site, first: date) -> Reals:
    """Median dwell by day, (days,), of the zone of which most days were released."""
    rows = store.central().execute(
        "select zone, start, dwell_p50 from released where site = ? and about = 'dwell'"
        " and granularity = 'day' and status = 'ok' and dwell_p50 is not null"
        " qualify row_number() over (partition by zone, start order by snapshot desc) = 1"
        " order by count(*) over (partition by zone), zone",
        [site.id],
    )
    values: dict[str, Reals] = defaultdict(lambda: np.full(HISTORY_DAYS, np.nan))
    for zone, start, value in rows.fetchall():
        day = (start.replace(tzinfo=UTC).astimezone(site.zone).date() - first).days
        if 0 <= day < HISTORY_DAYS:
            values[zone][day] = value
    return max(values.values(), key=lambda days: np.isfinite(days).sum(), default=values[""])


T = TypeVar("T")


def _result(future: Future[T], stop: threading.Event) -> T:
    """What comes of it; it is not waited for when told to stop. Raises CancelledError then."""
    while True:
        try:
            return future.result(timeout=0.5)
        except FutureTimeout:
            if stop.is_set():
                raise CancelledError from None


def _write(
    cursor: duckdb.DuckDBPyConnection,
    now: datetime,
    series: Sequence[Series],
    day: date | None,
    compared: Sequence[peers.Compared],
) -> None:
    made = utc(now)
    hours = [
        (each.site, each.metric, utc(start), *values, made)
        for each in series
        for start, *values in each.hours
    ]
    cursor.execute("delete from forecast")
    columns = ("site", "metric", "start", "expected", "lower", "upper", "made")
    if hours:
        told = pa.table(dict(zip(columns, map(list, zip(*hours, strict=True)), strict=True)))
        cursor.register("told", told)
        cursor.execute("insert into forecast by name select * from told")
        cursor.unregister("told")
    cursor.execute("delete from baseline")
    for each in series:
        cursor.execute(
            "insert into baseline values (?, ?, ?, ?, ?)",
            [each.site, each.metric, made, each.ready, each.problem],
        )
    cursor.execute("delete from unlike where day = ?", [day])
    for store in compared:
        parts = json.dumps([asdict(part) for part in store.parts])
        cursor.execute(
            "insert into unlike values (?, ?, ?, ?)", [day, store.store, store.score, parts]
        )
