"""Raw events and orders to windows of 15 minutes.

A window holds sums (measures) by site and subject: a line, a zone, a camera or a channel. It is
the merge of partials: one a receipt day, rebuilt from that day's raw events by replacement until
the day is frozen and its raw events are gone, one of the orders, and one an imported file. The
definitions are Ibis expressions; the window's key is the number of quarter hours since 1970.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from central import measures
from central.config import Site
from central.store import Store, transaction

SECONDS = measures.SECONDS
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
        cursor.execute("delete from partial where part = 'orders' and \"window\" >= ?", [first])
        cursor.execute(
            f"insert into partial by name select 'orders' as part, *"
            f' from ({_sql("orders")}) where "window" >= ?',
            [first],
        )


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
