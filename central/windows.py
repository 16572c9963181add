"""Raw events and orders to windows of 15 minutes.

A window holds sums (measures) by site and subject: a line, a zone, a camera or a channel. It is
the merge of partials: one a receipt day, rebuilt from that day's raw events by replacement until
the day is frozen and its raw events are gone, one of the orders, and one an imported file. The
definitions are Ibis expressions; the window's key is the number of quarter hours since 1970.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from central.store import Store, transaction, utc

SECONDS = 900
RAW_TABLES = ("crossing", "visit", "path", "occupancy", "queue", "coverage")

_EVENT = {"receipt_day": "date", "site": "string", "device": "string"}
CROSSING = ibis.table(
    {**_EVENT, "line": "string", "time": "timestamp", "direction": "string", "staff": "boolean"},
    name="crossing",
)
ZONE = ibis.table({"site": "string", "device": "string", "zone": "string"}, name="zone")
LINE = ibis.table(
    {"site": "string", "device": "string", "line": "string", "role": "string"}, name="line"
)
VISIT = ibis.table(
    {**_EVENT, "zone": "string", "exited": "timestamp", "dwell": "float64", "staff": "boolean"},
    name="visit",
)
_PERIOD = {"start": "timestamp", "stop": "timestamp"}
OCCUPANCY = ibis.table({**_EVENT, "zone": "string", **_PERIOD, "mean": "float64"}, name="occupancy")
COVERAGE = ibis.table(
    {**_EVENT, "camera": "string", **_PERIOD, "seen": "int64", "expected": "int64"},
    name="coverage",
)
ORDERS = ibis.table(
    {
        "site": "string",
        "channel": "string",
        "time": "timestamp",
        "value": "float64",
        "units": "float64",
        "kind": "string",
    },
    name="orders",
)


def key(moment: datetime) -> int:
    """The window that a moment lies in."""
    return int(moment.timestamp()) // SECONDS


def start(window: int) -> datetime:
    """When a window begins, UTC."""
    return datetime.fromtimestamp(window * SECONDS, UTC)


def _window(moment: ir.Value) -> ir.Value:
    return (moment.epoch_seconds() // SECONDS).cast("int64")


def _seconds(rows: ir.Table) -> ir.Value:
    return rows.stop.epoch_seconds() - rows.start.epoch_seconds()


def _owned(rows: ir.Table) -> ir.Table:
    return rows.semi_join(ZONE, ["site", "device", "zone"])


def floor_measures() -> ir.Table:
    """Measures of raw events: columns receipt_day, site, measure, subject, window, value.

    Only what its owner says of a line or zone counts.
    """
    owned = CROSSING.join(LINE, ["site", "device", "line"])
    entrance = owned.filter((owned.role == "entrance") & ~owned.staff)
    visits = _owned(VISIT.filter((VISIT.dwell >= 5) & ~VISIT.staff))
    occupancy = _owned(OCCUPANCY)
    watched = COVERAGE.filter(COVERAGE.expected > 0)
    covered = _seconds(watched) * ibis.least(watched.seen, watched.expected) / watched.expected
    tables = [
        *_measure(entrance, "line", "time", footfall=(entrance.direction == "in").sum()),
        *_measure(entrance, "line", "time", exits=(entrance.direction == "out").sum()),
        *_measure(visits, "zone", "exited", visits=visits.count()),
        *_measure(visits, "zone", "exited", dwell_seconds=visits.dwell.sum()),
        *_measure(
            occupancy,
            "zone",
            "start",
            person_seconds=(occupancy["mean"] * _seconds(occupancy)).sum(),
            zone_seconds=_seconds(occupancy).sum(),
        ),
        *_measure(
            watched,
            "camera",
            "start",
            covered_seconds=covered.sum(),
            watched_seconds=_seconds(watched).sum(),
        ),
    ]
    return ibis.union(*tables)


def order_measures() -> ir.Table:
    """Measures of orders: columns site, measure, subject, window, value."""
    sold = ORDERS.filter(ORDERS.kind == "sale")
    tables = [
        *_measure(sold, "channel", "time", orders=sold.count()),
        *_measure(ORDERS, "channel", "time", revenue=ORDERS.value.sum(), units=ORDERS.units.sum()),
    ]
    return ibis.union(*tables)


def _measure(rows: ir.Table, subject: str, moment: str, **measures: ir.Value) -> list[ir.Table]:
    groups = {
        **({"receipt_day": rows["receipt_day"]} if "receipt_day" in rows.columns else {}),
        "site": rows.site,
        "subject": rows[subject],
        "window": _window(rows[moment]),
    }
    return [
        rows.group_by(**groups)
        .aggregate(value=value.cast("float64"))
        .mutate(measure=ibis.literal(name))
        for name, value in measures.items()
    ]


@cache
def _sql(definition: str) -> str:
    return str(ibis.to_sql({"floor": floor_measures, "orders": order_measures}[definition]()))


_COLUMNS = '"site", "measure", "subject", "window", "value"'


def rebuild(store: Store, raw_hours: float, now: datetime) -> None:
    """Bring the partials up to date with the raw events; freeze and drop what is old enough.

    A receipt day is dropped as a whole, when all of it is older than `raw_hours`: first its
    partial is frozen, then its events go, so that a stop between the two loses nothing.
    """
    floor = store.floor()
    frozen = _frozen(store)
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
            _replace(store, day.isoformat(), table.filter(pc.equal(table["receipt_day"], day)))
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
            f"insert into partial (part, {_COLUMNS}) select 'orders', {_COLUMNS}"
            f' from ({_sql("orders")}) where "window" >= ?',
            [first],
        )


def expire_orders(store: Store, before: datetime) -> int:
    """Let go of the orders received before a moment; what they counted stays. Returns how many."""
    gone = f"received < timestamp '{utc(before)}'"
    with store.write() as cursor:
        row = cursor.execute(f"select count(*) from orders where {gone}").fetchone()
        if row is None or not row[0]:
            return 0
        # Counted apart, since the other partial is made anew from those that stay.
        for part, rows in (("orders:expired", gone), ("orders", f"not ({gone})")):
            cursor.execute("delete from partial where part = 'orders' and ? = part", [part])
            cursor.execute(
                f"insert into partial (part, {_COLUMNS})"
                f" with orders as (select * from main.orders where {rows})"
                f" select ?, {_COLUMNS} from ({_sql('orders')})",
                [part],
            )
        cursor.execute(f"delete from orders where {gone}")
    return int(row[0])


def expire_online(store: Store, first: int) -> int:
    """Let go of the online events before a window. Returns how many."""
    with store.write() as cursor:
        row = cursor.execute(
            'delete from online where epoch("time") < ?', [first * SECONDS]
        ).fetchone()
    return int(row[0]) if row else 0


def add_imported(store: Store, name: str, rows: pa.Table) -> int:
    """Take over windows counted elsewhere: site, measure, subject, start, value.

    The same `name` again replaces what it brought before. Returns the rows taken.
    """
    seconds = pc.cast(pc.cast(rows["start"], pa.timestamp("s", "UTC")), pa.int64())
    window = pc.divide(seconds, SECONDS)
    kept = rows.select(["site", "measure", "subject", "value"]).append_column("window", window)
    _replace(store, f"import:{name}", kept)
    store.imports += 1
    return int(kept.num_rows)


def _replace(store: Store, part: str, rebuilt: pa.Table) -> None:
    with store.write() as cursor:
        cursor.execute("delete from partial where part = ?", [part])
        cursor.register("rebuilt", rebuilt)
        cursor.execute(
            f"insert into partial (part, {_COLUMNS}) select ?, {_COLUMNS} from rebuilt", [part]
        )
        cursor.unregister("rebuilt")


def _frozen(store: Store) -> set[date]:
    rows = store.central().execute("select receipt_day from frozen").fetchall()
    return {day for (day,) in rows}
