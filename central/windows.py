"""Raw events and orders to windows of 15 minutes.

A window holds sums (measures) by site and subject: a line, a zone, a camera or a channel. It is
the merge of partials: one a receipt day, rebuilt from that day's raw events by replacement until
the day is frozen and its raw events are gone, one of the orders, and one an imported file. The
definitions are Ibis expressions; the window's key is the number of quarter hours since 1970.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache

import duckdb
import ibis
import pyarrow as pa
import pyarrow.compute as pc

from central import measures
from central.config import Site
from central.store import Store, transaction, utc

SECONDS = measures.SECONDS
DAY = 86_400 // SECONDS
REACH = -(-measures.GAP_SECONDS // SECONDS)
"""How many windows after its own an online event may change."""
_WINDOW = f'floor(epoch("time") / {SECONDS})::bigint'
RAW_TABLES = ("crossing", "visit", "path", "occupancy", "queue", "coverage")


def key(moment: datetime) -> int:
    """The window that a moment lies in."""
    return int(moment.timestamp()) // SECONDS


def start(window: int) -> datetime:
    """When a window begins, UTC."""
    return datetime.fromtimestamp(window * SECONDS, UTC)


@cache
def _sql(definition: str) -> str:
    return str(ibis.to_sql(measures.DEFINITIONS[definition]()))


def rebuild(store: Store, raw_hours: float, now: datetime, sites: Iterable[Site] = ()) -> None:
    """Bring the partials up to date with the raw events; freeze and drop what is old enough.

    sites: whose settings say from when on a visit counts as engaged.
    A receipt day is dropped as a whole, when all of it is older than `raw_hours`: first its
    partial is frozen, then its events go, so that a stop between the two loses nothing.
    """
    floor = store.floor()
    frozen = _frozen(store)
    floor.register("engagement", _engagement(sites))
    table: pa.Table = floor.sql(_sql("floor")).to_arrow_table()
    days = [
        day
        for (day,) in floor.execute(
            "select receipt_day from crossing union select receipt_day from visit"
            " union select receipt_day from occupancy union select receipt_day from coverage"
            " union select receipt_day from path union select receipt_day from queue"
        ).fetchall()
    ]
    horizon = (now - timedelta(hours=raw_hours)).date()
    for day in sorted(days):
        if day not in frozen:
            received = table.filter(pc.equal(table["receipt_day"], day))
            _replace(store, day.isoformat(), received.drop_columns("receipt_day"))
        if day < horizon:
            with store.write() as cursor:
                cursor.execute("insert or ignore into frozen values (?)", [day])
            with transaction(floor):
                for events in RAW_TABLES:
                    floor.execute(f"delete from {events} where receipt_day = ?", [day])


def rebuild_orders(store: Store, first: int = 0) -> None:
    """Bring the partial of the orders up to date, from the window `first` on."""
    # Read and replaced in one transaction: an import may rebuild them in another thread.
    with store.write() as cursor:
        _count(cursor, "orders", replaced=f'"window" >= {first:d}')


def expire_orders(store: Store, before: datetime) -> int:
    """Let go of the orders received before a moment; what they counted stays. Returns how many."""
    with store.write() as cursor:
        return _expire(cursor, "orders", f"received < timestamp '{utc(before)}'")


def rebuild_online(store: Store, changed: Iterable[int] | None = None) -> None:
    """Bring the partial of the online events up to date.

    changed: the windows in which events have come, changed or gone; all windows where None.
    """
    if changed is None:
        with store.write() as cursor:
            _count(cursor, "online")
        return
    # An event decides whether those within the gap after it begin a session; and those within the
    # gap before them tell whether it is alone in that.
    written = {window + n for window in changed for n in range(REACH + 1)}
    looked_at = {window - n for window in written for n in range(REACH + 1)}
    if written:
        with store.write() as cursor:
            cursor.execute("set variable written = ?", [sorted(written)])
            cursor.execute("set variable looked_at = ?", [sorted(looked_at)])
            _count(
                cursor,
                "online",
                rows=f"{_WINDOW} in (select unnest(getvariable('looked_at')))",
                replaced="\"window\" in (select unnest(getvariable('written')))",
            )


def expire_online(store: Store, first: int) -> int:
    """Let go of the online events before a window; what they counted stays. Returns their number.

    What is counted anew must never find half a session: one that reaches into the last half hour
    before that window stays until the next time, unless it has lasted for a day.
    """
    with store.write() as cursor:
        cursor.execute(
            f"""
            create or replace temp table leaving as
            with before as (
                select *, {_WINDOW} as "window", floor(epoch("time")) as second,
                    second - lag(second) over (
                        partition by site, channel, person order by "time", message_id) as gap
                from online where "window" < $first),
            numbered as (
                select *, count(*) filter (where gap > {measures.GAP_SECONDS}) over (
                    partition by site, channel, person order by "time", message_id) as number
                from before)
            select site, channel, message_id from numbered
            qualify "window" < $first - {DAY} or {measures.GAP_SECONDS} < $first * {SECONDS}
                - max(second) over (partition by site, channel, person, number)
            """,
            {"first": first},
        )
        leaving = "(site, channel, message_id) in (from leaving)"
        before = f"{_WINDOW} < {first:d}", f'"window" < {first:d}'
        return _expire(cursor, "online", leaving, *before)


def _count(
    cursor: duckdb.DuckDBPyConnection, table: str, rows: str = "true", replaced: str = "true"
) -> None:
    """Count anew, in the windows for which `replaced` holds, the rows for which `rows` holds."""
    cursor.execute(f"delete from partial where part = '{table}' and {replaced}")
    _add(cursor, table, table, rows, replaced)


def _add(
    cursor: duckdb.DuckDBPyConnection, part: str, table: str, rows: str, added: str = "true"
) -> None:
    # The definition reads the rows in the name of their table.
    cursor.execute(
        f"insert into partial by name with {table} as (select * from main.{table} where {rows})"
        f" select '{part}' as part, * from ({_sql(table)}) where {added}"
    )


def _expire(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    gone: str,
    rows: str = "true",
    replaced: str = "true",
) -> int:
    """Let the rows go for which `gone` holds, and count anew those that stay, as in `_count`."""
    part = f"{table}:expired"
    _add(cursor, part, table, gone)
    row = cursor.execute(f"delete from {table} where {gone}").fetchone()
    if not row or not row[0]:
        return 0
    _count(cursor, table, rows, replaced)
    _merge(cursor, part)
    return int(row[0])


def _merge(cursor: duckdb.DuckDBPyConnection, part: str) -> None:
    """Make one row of those that say the same thing of a window."""
    cursor.execute(
        "create or replace temp table merged as"
        ' select part, site, measure, subject, "window", bin, sum(value) as value'
        " from partial where part = ? group by all",
        [part],
    )
    cursor.execute("delete from partial where part = ?", [part])
    cursor.execute("insert into partial by name from merged")


def add_imported(store: Store, name: str, rows: pa.Table) -> int:
    """Take over windows counted elsewhere: site, measure, subject, start, value; bin, if any.

    The same `name` again replaces what it brought before. Returns the rows taken.
    """
    seconds = pc.cast(pc.cast(rows["start"], pa.timestamp("s", "UTC")), pa.int64())
    window = pc.divide(seconds, SECONDS)
    names = ["site", "measure", "subject", "value", *({"bin"} & set(rows.column_names))]
    kept = rows.select(names).append_column("window", window)
    _replace(store, f"import:{name}", kept)
    store.imports += 1
    return int(kept.num_rows)


def _replace(store: Store, part: str, rebuilt: pa.Table) -> None:
    with store.write() as cursor:
        cursor.execute("delete from partial where part = ?", [part])
        cursor.register("rebuilt", rebuilt)
        cursor.execute("insert into partial by name select ? as part, * from rebuilt", [part])
        cursor.unregister("rebuilt")


def _engagement(sites: Iterable[Site]) -> pa.Table:
    rows = [
        {"site": site.id, "zone": zone, "engaged_seconds": settings.engaged_seconds}
        for site in sites
        for zone, settings in site.zones.items()
    ]
    columns = [("site", pa.string()), ("zone", pa.string()), ("engaged_seconds", pa.float64())]
    return pa.Table.from_pylist(rows, pa.schema(columns))


def _frozen(store: Store) -> set[date]:
    rows = store.central().execute("select receipt_day from frozen").fetchall()
    return {day for (day,) in rows}
