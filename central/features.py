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

from central import calendar, durations, hourly, hours, privacy, windows
from central.config import Site
from central.dictionary import COLUMNS, About
from central.hourly import Table
from central.hours import Booleans, Reals, Span
from central.metrics import EDGES
from central.privacy import IN_STORE, JOINED, LEVELS, TIMED, TIMED_AGAIN, Cell, Integers
from central.store import Store, utc

Row = dict[str, Any]

GATES: dict[About, dict[str, int]] = {
    "site": {"entries": IN_STORE},
    "zone": {"people": IN_STORE, "entries": IN_STORE},
    "dwell": {"people": IN_STORE, "entries": IN_STORE, "dwell": TIMED},
    "queue": {"entries": IN_STORE, "wait": TIMED},
    "store": {"stays": TIMED},
    "online": {"entries": JOINED, "users": JOINED},
}
"""Of what a cell must have how many, by what its row is about; where times are told, those whose
time is known come last."""
AGAIN = {"dwell": TIMED_AGAIN, "wait": TIMED_AGAIN, "stays": TIMED_AGAIN}
"""By how much these must have changed for a correction; the others by what a cell needs."""
TIMES: tuple[About, ...] = ("dwell", "queue", "store")
"""What is released once an hour has closed, since series tell it; the rest once a day has, since
tills and the web shop may be late."""
LOOKBACK_WEEKS = 4
"""Cells may be told, or told anew, until their week is so long over."""
TREND_WEEKS = 4
HOUR = 3600 // windows.SECONDS
_RELEASING = threading.Lock()
"""Held from reading what was told until more is written, or two could tell an hour twice."""


def closed(store: Store, site: Site) -> datetime | None:
    """The end of the last local hour of which all windows are closed."""
    row = (
        store.central()
        .execute("select processed from progress where site = ?", [site.id])
        .fetchone()
    )
    return calendar.hour(site, row[0] + 1) if row else None


def _first_day(store: Store, site: Site) -> date:
    """The local day of the first window of which anything is known."""
    row = (
        store.central()
        .execute('select min("window") from partial where site = ?', [site.id])
        .fetchone()
    )
    return calendar.local(site, row[0]).date() if row and row[0] is not None else date.max


def release(store: Store, site: Site, now: datetime, *, daily: bool = True) -> set[date]:
    """Release what may be told now of a store's closed hours; the dates that have got new rows.

    daily: of all rows, and of the weeks before, too; else of TIMES in the last hour's week alone.
    """
    end = closed(store, site)
    if end is None or site.kind != "store":
        return set()
    last = day(utc(end), site)
    weeks = LOOKBACK_WEEKS if daily else 0
    first = max(last - timedelta(weeks=weeks), _first_day(store, site))
    if last < first:
        return set()
    span = hours.days(site, first - timedelta(days=first.weekday()), last)
    ahead = np.arange(span.first, span.first + len(span.opened)) >= windows.key(end)
    waiting = span.by_hour(np.ones(len(ahead)), ahead) > 0
    with _RELEASING:
        rows = [
            row
            for table in hourly.tables(store, site, span, tuple(GATES) if daily else TIMES)
            for row in _rows(store, site, table, span, waiting, now)
        ]
        if rows:
            _keep(store, rows)
    return {day(row["event_timestamp"], site) for row in rows}


def day(event_timestamp: datetime, site: Site) -> date:
    """The local day in which a cell ends: that of the file that its row is in."""
    moment = event_timestamp.replace(tzinfo=UTC) - timedelta(microseconds=1)
    return moment.astimezone(site.zone).date()


def _rows(
    store: Store, site: Site, table: Table, span: Span, waiting: Booleans, now: datetime
) -> Iterator[Row]:
    """The rows that may be added now, oldest cells first.

    waiting: (hours,), those that are not closed yet.
    """
    about, what = table.about, (table.about, table.zone)
    undone = np.isin(span.nodes[:, 2], span.nodes[waiting, 2])
    usable = table.usable & ~(waiting if about in TIMES else undone)
    if not usable.any():
        return
    told = _told(store, site, *what, since=span.first)
    history = _History(site, about, told)
    gate = GATES[about]
    counts = np.stack(
        [table.sums[name].reshape(len(usable), -1).sum(1).astype(np.int64) for name in gate], 1
    )
    nodes = _over(span, waiting)
    # What was never seen yet is not absent: it is not there.
    begun = np.arange(len(usable)) >= usable.argmax()
    missing = begun & ~usable & ~undone & _ever(span)
    absent = {row["held"][0] for row in told if row["status"] == "absent"}
    covered = {hour for row in told if row["status"] == "ok" for hour in row["held"]}
    place = {int(key): n for n, key in enumerate(span.keys)}
    for week in np.unique(span.nodes[:, -1]):
        inside = span.nodes[:, -1] == week
        # Monday is day 1 of the calendar, and of every seven days.
        over = span.nodes[inside, 2].max() == 7 * week + 7 and not waiting[inside].any()
        there = np.flatnonzero(inside & usable)
        keys = set(span.keys[inside].tolist())
        fresh = privacy.release(
            span.keys[there],
            nodes[there, : len(LEVELS) if over else -1],
            counts[there],
            np.array(list(gate.values())),
            np.array([AGAIN.get(name, least) for name, least in gate.items()]),
            [_cell(row) for row in told if row["held"][0] in keys and row["counts"]],
        )
        for cell in fresh:
            held = [place[hour] for hour in cell.hours]
            row = _row(site, what, cell.hours, now) | {
                "granularity": LEVELS[cell.level],
                "status": "ok" if cell.level >= 0 else "suppressed",
                "counts": list(cell.counts),
                "coverage": round(float(table.shares[held].mean()), 4),
            }
            if cell.level >= 0:
                values = {name: each[held].sum(0) for name, each in table.sums.items()}
                row |= describe(about, values, fine=cell.fewest >= durations.FINE)
            yield history.add(row)
        for hour in span.keys[inside & missing].tolist():
            if hour not in absent and hour not in covered:
                yield history.add(
                    _row(site, what, (hour,), now)
                    | {"granularity": "hour", "status": "absent", "counts": [], "coverage": 0.0}
                )


def _over(span: Span, waiting: Booleans) -> Integers:
    """The tree with each hour by itself where its part of the day, or its day, is not over."""
    nodes = span.nodes.copy()
    for level in (1, 2):
        early = np.isin(nodes[:, level], nodes[waiting, level])
        nodes[early, level] = ~span.keys[early]
    return nodes


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
    """A released cell's own columns. `fine`: whether its people allow quantiles to the second."""
    if about == "site":
        return {
            "entries": int(sums["entries"]),
            "conversion": _number(sums["orders"] / sums["entries"]),
            "sales_per_visitor": _number(sums["revenue"] / sums["entries"]),
        }
    if about == "zone":
        return {"visits": int(sums["visits"])}
    if about == "store":
        return {"store_dwell": _number(np.round(sums["person_seconds"] / sums["stays"]))}
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


def _told(store: Store, site: Site, about: About, zone: str, since: int) -> list[Row]:
    """What has been told since a window and, for trends, in the weeks before it; oldest first."""
    cursor = store.central()
    cursor.execute(
        "select * from released where site = ? and about = ? and zone = ? and start >= ?"
        " order by created_timestamp, start, snapshot",
        [site.id, about, zone, utc(windows.start(since) - timedelta(weeks=TREND_WEEKS, hours=1))],
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _cell(row: Row) -> Cell:
    level = LEVELS.index(row["granularity"]) if row["status"] == "ok" else -1
    return Cell(level, tuple(row["held"]), tuple(row["counts"]), row["snapshot"])


_AMOUNTS: dict[About, str] = {
    "site": "entries",
    "zone": "visits",
    "dwell": "dwell_p50",
    "queue": "wait_p50",
    "store": "store_dwell",
    "online": "web_sessions",
}
"""What a trend is of; times as they are, the rest by the hour."""


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
        amount: float | None = row.get(_AMOUNTS[self._about])
        if row["status"] != "ok" or amount is None:
            return None
        return amount if self._about in TIMES else amount / row["hours"]

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
