"""In-store features for segmentation: what the k-gate releases of each site, as rows to join.

A row describes a site or a zone during a cell of hours. What it is about decides which people must
be enough: entries for a site, tracks for a zone, people whose time is known for dwell and waits,
and web users, too, where a site is joined to the web shops' visitors from its catchment. Rows are
added and never changed: a later snapshot of a cell is a further row.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from central import calendar, durations, hours, privacy, seen, series, windows
from central.config import Site
from central.dictionary import COLUMNS, About
from central.hours import Booleans, Reals, Span
from central.measures import GAP_SECONDS
from central.metrics import CATALOGUE, EDGES
from central.privacy import IN_STORE, JOINED, LEVELS, TIMED, TIMED_AGAIN, Cell
from central.store import Store, utc

Row = dict[str, Any]
Sums = dict[str, Reals]
"""By name, sums by hour: (hours,), or (hours, bins) for a histogram."""

GATES: dict[About, dict[str, int]] = {
    "site": {"entries": IN_STORE},
    "zone": {"people": IN_STORE, "entries": IN_STORE},
    "dwell": {"people": IN_STORE, "entries": IN_STORE, "dwell": TIMED},
    "queue": {"wait": TIMED, "entries": IN_STORE},
    "online": {"entries": JOINED, "users": JOINED},
}
"""Of what a cell must have how many, by what its row is about."""
AGAIN = {"dwell": TIMED_AGAIN, "wait": TIMED_AGAIN}
"""By how much these must have changed for a correction; the others by what a cell needs."""
LOOKBACK_WEEKS = 4
"""Cells may be told, or told anew, until their week is so long over."""
TREND_WEEKS = 4
HOUR = 3600 // windows.SECONDS
_RELEASING = threading.Lock()
"""Held from reading what was told until more is written, or two could tell an hour twice."""


def last_day(store: Store, site: Site) -> date | None:
    """The last local day of which all windows are closed."""
    row = (
        store.central()
        .execute("select processed from progress where site = ?", [site.id])
        .fetchone()
    )
    return calendar.local(site, row[0] + 1).date() - timedelta(days=1) if row else None


def _first_day(store: Store, site: Site) -> date:
    """The local day of the first window of which anything is known."""
    row = (
        store.central()
        .execute('select min("window") from partial where site = ?', [site.id])
        .fetchone()
    )
    return calendar.local(site, row[0]).date() if row and row[0] is not None else date.max


def release(store: Store, site: Site, now: datetime) -> set[date]:
    """Release what may be told now of a store's closed days; the dates that have got new rows."""
    last = last_day(store, site)
    if last is None or site.kind != "store":
        return set()
    first = max(last - timedelta(weeks=LOOKBACK_WEEKS), _first_day(store, site))
    if last < first:
        return set()
    span = hours.days(site, first - timedelta(days=first.weekday()), last)
    with _RELEASING:
        rows = [
            row
            for about, zone, sums, usable, shares in _tables(store, site, span)
            for row in _rows(store, site, (about, zone), span, sums, (usable, shares), now)
        ]
        if rows:
            _keep(store, rows)
    return {day(row["event_timestamp"], site) for row in rows}


def day(event_timestamp: datetime, site: Site) -> date:
    """The local day in which a cell ends: that of the file that its row is in."""
    moment = event_timestamp.replace(tzinfo=UTC) - timedelta(microseconds=1)
    return moment.astimezone(site.zone).date()


def _tables(
    store: Store, site: Site, span: Span
) -> Iterator[tuple[About, str, Sums, Booleans, Reals]]:
    """What there is to tell: sums by hour, which hours can be told, and the share that was seen."""
    open_quarters = span.by_hour(np.ones(len(span.opened)), span.opened)
    there = span.opened & _seen(store, site, "footfall", span)
    found = _measures(store, site, span)
    entries = span.by_hour(_of(found, "", "footfall", span), there)

    def share(where: Booleans) -> Reals:
        quarters = span.by_hour(np.ones(len(where)), where)
        return np.divide(quarters, open_quarters, out=quarters * 0, where=open_quarters > 0)

    sums = {"entries": entries}
    stop = windows.start(span.first + len(span.opened))
    for name in ("orders", "revenue"):
        metric, start = CATALOGUE[name], windows.start(span.first)
        points = series.read(store, site, metric, start, stop, "15min", "pos")
        values = np.array([np.nan if each.value is None else each.value for each in points])
        sums[name] = span.by_hour(values, there)
    yield "site", "", sums, share(there) > 0, share(there)
    for zone in sorted({subject for subject, measure, _ in found if measure == "visits"}):
        watched = span.opened & _seen(store, site, "visits", span, zone)
        names = ("visits", "people", "engaged", "dwell", "dwell_censored", "wait")
        sums = {name: span.by_hour(_of(found, zone, name, span), watched) for name in names} | {
            "entries": entries
        }
        yield "zone", zone, sums, share(watched) > 0, share(watched)
        yield "dwell", zone, sums, share(watched) > 0, share(watched)
        if sums["wait"].any():
            yield "queue", zone, sums, share(watched) > 0, share(watched)
    if site.catchment.postcodes or site.catchment.regions:
        sums = _online(store, site, span) | {"entries": entries}
        begun = np.cumsum(share(there) > 0) > 0
        yield "online", "", sums, begun & ((share(there) > 0) | (open_quarters == 0)), share(there)


def _seen(store: Store, site: Site, metric: str, span: Span, subject: str = "") -> Booleans:
    stop = span.first + len(span.opened)
    found = seen.read(store, site, CATALOGUE[metric], span.first, stop, subject)
    return np.array([each.seen and not each.open for each in found])


def _measures(store: Store, site: Site, span: Span) -> dict[tuple[str, str, int], Reals]:
    """By subject (none for lines), measure and bin, sums by window, (windows,)."""
    found: dict[tuple[str, str, int], Reals] = {}
    rows = store.central().execute(
        "select case measure when 'footfall' then '' else subject end, measure, bin,"
        ' "window", sum(value) from partial where site = ? and "window" >= ? and "window" < ?'
        " and measure in ('footfall', 'visits', 'people', 'engaged', 'dwell', 'dwell_censored',"
        " 'wait') group by all",
        [site.id, span.first, span.first + len(span.opened)],
    )
    for subject, measure, place, window, value in rows.fetchall():
        values = found.setdefault((subject, measure, place), np.zeros(len(span.opened)))
        values[window - span.first] = value
    return found


def _of(
    found: Mapping[tuple[str, str, int], Reals], subject: str, measure: str, span: Span
) -> Reals:
    """Sums by window, (windows,), or (windows, bins) of a histogram."""
    nothing = np.zeros(len(span.opened))
    edges = EDGES.get(measure.removesuffix("_censored"))
    if edges is None:
        return found.get((subject, measure, 0), nothing)
    return np.stack([found.get((subject, measure, n), nothing) for n in range(len(edges))], 1)


def _online(store: Store, site: Site, span: Span) -> Sums:
    """Web and app visitors from the site's catchment who consented to analytics, by hour.

    A user counts in the first hour of a week in which they did something, so that the sum over
    hours of a week is never more than the people there were.
    """
    rows = store.central().execute(
        """
        with mine as (
            select person, channel, name, kind, epoch("time") as second,
                floor(epoch("time") / $seconds)::bigint as "window"
            from online
            where analytics and person is not null and channel in ('web', 'app', 'search')
                and kind in ('track', 'page', 'screen')
                and "window" >= $first - $gap and "window" < $stop
                and (list_contains($regions, lower(trim(region))) or exists (
                    select 1 from (select unnest($postcodes) as prefix)
                    where starts_with(upper(replace(postcode, ' ', '')), prefix)))),
        spaced as (
            select *, second - lag(second) over (partition by person, channel order by second)
                as pause from mine)
        select person, "window",
            count(*) filter (channel <> 'search' and (pause is null or pause > $gap * $seconds)),
            count(*) filter (name = 'Order Completed' and kind = 'track'),
            count(*) filter (name = 'Products Searched' and kind = 'track')
        from spaced where "window" >= $first group by all order by "window", person
        """,
        {
            "seconds": windows.SECONDS,
            "gap": GAP_SECONDS // windows.SECONDS,
            "first": span.first,
            "stop": span.first + len(span.opened),
            "regions": [region.strip().lower() for region in site.catchment.regions],
            "postcodes": [
                "".join(postcode.split()).upper() for postcode in site.catchment.postcodes
            ],
        },
    )
    names = ("users", "web_sessions", "web_orders", "web_searches")
    sums = {name: np.zeros(len(span.keys)) for name in names}
    known: set[tuple[int, str]] = set()
    for person, window, *counts in rows.fetchall():
        hour = span.hour[window - span.first]
        week = int(span.nodes[hour, -1]), person
        counts = [week not in known, *counts]
        known.add(week)
        for name, count in zip(names, counts, strict=True):
            sums[name][hour] += count
    return sums


def _rows(
    store: Store,
    site: Site,
    what: tuple[About, str],
    span: Span,
    sums: Sums,
    known: tuple[Booleans, Reals],
    now: datetime,
) -> Iterator[Row]:
    """The rows that may be added now, oldest cells first.

    known: by hour, whether it can be told, and which share of it was seen.
    """
    (about, zone), (usable, shares) = what, known
    told = _told(store, site, about, zone)
    history = _History(site, about, told)
    gate = GATES[about]
    counts = np.stack(
        [sums[name].reshape(len(usable), -1).sum(1).astype(np.int64) for name in gate], 1
    )
    if not usable.any():
        return
    # What was never seen yet is not absent: it is not there.
    begun = np.arange(len(usable)) >= usable.argmax()
    absent = {row["held"][0] for row in told if row["status"] == "absent"}
    covered = {hour for row in told if row["status"] == "ok" for hour in row["held"]}
    place = {int(key): n for n, key in enumerate(span.keys)}
    for week in np.unique(span.nodes[:, -1]):
        inside = span.nodes[:, -1] == week
        # Monday is day 1 of the calendar, and of every seven days.
        over = span.nodes[inside, 2].max() == 7 * week + 7
        there = np.flatnonzero(inside & usable)
        fresh = privacy.release(
            span.keys[there],
            span.nodes[there, : len(LEVELS) if over else -1],
            counts[there],
            np.array(list(gate.values())),
            np.array([AGAIN.get(name, least) for name, least in gate.items()]),
            [_cell(row) for row in told if row["held"][0] in span.keys[inside] and row["counts"]],
        )
        for cell in fresh:
            held = [place[hour] for hour in cell.hours]
            row = _row(site, what, cell.hours, now) | {
                "granularity": LEVELS[cell.level],
                "status": "ok" if cell.level >= 0 else "suppressed",
                "counts": list(cell.counts),
                "coverage": round(float(shares[held].mean()), 4),
            }
            if cell.level >= 0:
                values = {name: each[held].sum(0) for name, each in sums.items()}
                row |= describe(about, values, fine=min(cell.counts) >= durations.FINE)
            yield history.add(row)
        for hour in span.keys[inside & begun & ~usable & _ever(span)].tolist():
            if hour not in absent and hour not in covered:
                yield history.add(
                    _row(site, what, (hour,), now)
                    | {"granularity": "hour", "status": "absent", "counts": [], "coverage": 0.0}
                )


def _ever(span: Span) -> Booleans:
    """Hours in which the site was open at all."""
    return span.by_hour(np.ones(len(span.opened)), span.opened) > 0


def _row(site: Site, what: tuple[About, str], held: Sequence[int], now: datetime) -> Row:
    last = windows.start(held[-1]) + timedelta(hours=1)
    return {
        "site": site.id,
        "about": what[0],
        "zone": what[1],
        "start": utc(windows.start(held[0])),
        "event_timestamp": utc(last),
        "created_timestamp": utc(now),
        "hours": len(held),
        "held": list(held),
    }


def describe(about: About, sums: Mapping[str, Reals], *, fine: bool) -> Row:
    """A released cell's own columns. `fine`: whether 5 k people allow quantiles to the second."""
    if about == "site":
        return {
            "entries": int(sums["entries"]),
            "conversion": _number(sums["orders"] / sums["entries"]),
            "sales_per_visitor": _number(sums["revenue"] / sums["entries"]),
        }
    if about == "zone":
        return {"visits": int(sums["visits"])}
    if about == "online":
        return {name: int(sums[name]) for name in ("web_sessions", "web_orders", "web_searches")}
    measure = "dwell" if about == "dwell" else "wait"
    edges, wide = np.array(EDGES[measure]), durations.WIDE[measure]
    ended = sums[measure]
    lasting = durations.survival(ended, sums.get(f"{measure}_censored", np.zeros(len(ended))))
    half, _, _ = durations.told(lasting, edges, wide, 0.5, fine=fine)
    most, low, high = durations.told(lasting, edges, wide, 0.9, fine=fine)
    row = {
        f"{measure}_p50": _number(half),
        f"{measure}_p90": _number(most) if fine else None,
    }
    if about == "queue":
        return row
    engaged = durations.part(sums["engaged"], sums["visits"], fine=fine)
    return row | {
        "engaged_share": _number(engaged),
        "dwell_p90_low": _number(low),
        "dwell_p90_high": _number(high),
    }


def _number(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _told(store: Store, site: Site, about: About, zone: str) -> list[Row]:
    """What has been told before, oldest first."""
    cursor = store.central()
    cursor.execute(
        "select * from released where site = ? and about = ? and zone = ?"
        " order by created_timestamp, start, snapshot",
        [site.id, about, zone],
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _cell(row: Row) -> Cell:
    level = LEVELS.index(row["granularity"]) if row["status"] == "ok" else -1
    return Cell(level, tuple(row["held"]), tuple(row["counts"]), row["snapshot"])


class _History:
    """The rows told of one thing so far, for snapshots and trends."""

    def __init__(self, site: Site, about: About, told: Sequence[Row]) -> None:
        self._zone, self._about = site.zone, about
        self._snapshots: dict[datetime, int] = {}
        self._amounts: dict[tuple[str, datetime], float] = {}
        for row in told:
            self._remember(row)

    def add(self, row: Row) -> Row:
        """The row with its snapshot and its trend."""
        row |= {
            "snapshot": self._snapshots.get(row["start"], 0) + 1,
            "trend": self._trend(row),
        }
        self._remember(row)
        return row

    def _remember(self, row: Row) -> None:
        self._snapshots[row["start"]] = row["snapshot"]
        amount = self._amount(row)
        if amount is not None:
            self._amounts[row["granularity"], row["start"]] = amount

    def _amount(self, row: Row) -> float | None:
        names = {"site": "entries", "zone": "visits", "online": "web_sessions"}
        if row["status"] != "ok":
            return None
        if self._about in names:
            return float(row[names[self._about]] / row["hours"])
        amount: float | None = row["dwell_p50" if self._about == "dwell" else "wait_p50"]
        return amount

    def _trend(self, row: Row) -> float | None:
        amount = self._amount(row)
        local = row["start"].replace(tzinfo=UTC).astimezone(self._zone)
        before = [
            self._amounts.get((row["granularity"], utc(local - timedelta(weeks=weeks))))
            for weeks in range(1, TREND_WEEKS + 1)
        ]
        known = [each for each in before if each is not None]
        if amount is None or not known or not sum(known):
            return None
        return round(amount / (sum(known) / len(known)) - 1, 4)


def _keep(store: Store, rows: Sequence[Row]) -> None:
    names = ("held", "counts", *(column.name for column in COLUMNS if column.name != "anomaly"))
    fresh = pa.table({name: [row.get(name) for row in rows] for name in names})
    with store.write() as cursor:
        cursor.register("fresh", fresh)
        cursor.execute(
            "insert into released by name select *, exists (select 1 from incident i"
            " where (i.site = fresh.site or list_contains(i.children, fresh.site))"
            " and i.cause <> 'sensor' and i.pushed is not null"
            " and i.began < fresh.held[-1] + ? and i.latest >= fresh.held[1]) as anomaly"
            " from fresh",
            [HOUR],
        )
        cursor.unregister("fresh")
