"""Orders into the store: each once, and a return never more than was sold."""

import dataclasses
from collections.abc import Iterable

import duckdb
import pyarrow as pa

from central import forgotten
from central.intake import identity
from central.intake.batches import RefusedError
from central.intake.segment import Event, Order
from central.store import utc

COLUMNS = (
    'site, channel, order_id, "time", received, value, units, currency, kind,'
    " customer, person, region, postcode, store, fulfilment"
)


def keep(cursor: duckdb.DuckDBPyConnection, brought: pa.Table) -> set[str]:
    """Keep the orders of one site that are not known; returns the ids of those.

    brought: the columns of `orders` without `person`. Somebody who was forgotten is not known of
    again: such an order has neither customer, region nor postcode.
    """
    customers = set(brought["customer"].to_pylist()) - {None}
    site = str(brought["site"][0]) if brought.num_rows else ""
    gone = forgotten.among(cursor, customers)
    people = identity.persons(cursor, site, customers - gone)
    known = pa.table(
        {
            "id": pa.array(people.keys(), pa.string()),
            "person": pa.array(people.values(), pa.string()),
        }
    )
    erased = pa.table({"id": pa.array(sorted(gone), pa.string())})
    cursor.register("brought", brought)
    cursor.register("known", known)
    cursor.register("erased", erased)
    rows = cursor.execute(
        f"insert or ignore into orders ({COLUMNS})"
        ' select site, channel, order_id, "time", received, value, units, currency, kind, customer,'
        " known.person, case when erased.id is null then region end,"
        " case when erased.id is null then postcode end, store, fulfilment"
        " from (select * replace (case when customer in (from erased) then null else customer end"
        " as customer), customer as said from brought) b"
        " left join known on known.id = b.customer left join erased on erased.id = b.said"
        " returning order_id"
    ).fetchall()
    for name in ("brought", "known", "erased"):
        cursor.unregister(name)
    return {order for (order,) in rows}


def keep_events(
    cursor: duckdb.DuckDBPyConnection, events: Iterable[Event]
) -> tuple[set[str], list[tuple[Event, str]]]:
    """Keep the orders of events of one site and channel; sales first, so that returns find them.

    Returns the ids of those that are new, and what cannot be kept, with the reason.
    """
    pairs = [(event, event.order) for event in events if event.order]
    sales: dict[str, tuple[Event, Order]] = {}
    for event, order in pairs:
        if order.of is None:
            sales.setdefault(order.order_id, (event, order))
    fresh = keep(cursor, _table(list(sales.values()))) if sales else set()
    refused = []
    for event, order in pairs:
        if order.of is not None:
            try:
                fresh |= keep(cursor, _table([(event, bounded(cursor, event, order))]))
            except RefusedError as error:
                refused.append((event, str(error)))
    return fresh, refused


def bounded(cursor: duckdb.DuckDBPyConnection, event: Event, order: Order) -> Order:
    """A return that takes no more back than is left of its order, where that is known.

    So an order that is refunded and then cancelled, or the other way round, is taken back once.
    Raises RefusedError where neither the return says its amount nor the order is known.
    """
    rows = cursor.execute(
        "select sum(value), sum(units), bool_or(order_id = ? and currency = ?) from orders"
        " where site = ? and channel = ? and order_id <> ?"
        " and (order_id = ? or starts_with(order_id, ? || '/'))",
        [
            *(order.of, order.currency, event.source.site, event.source.channel),
            *(order.order_id, order.of, order.of),
        ],
    ).fetchall()
    left, units, known = rows[0]
    if not known:
        if order.value is None:
            raise RefusedError(f"{event.name}: no total, and order {order.of} is not known")
        return order
    value = -max(left, 0.0) if order.value is None else max(order.value, -max(left, 0.0))
    items = -max(units, 0.0) if order.units is None else max(order.units, -max(units, 0.0))
    return dataclasses.replace(order, value=value, units=items)


def _table(pairs: list[tuple[Event, Order]]) -> pa.Table:
    stamp = pa.timestamp("us")
    text = pa.string()
    return pa.table(
        {
            "site": [event.source.site for event, _ in pairs],
            "channel": [event.source.channel for event, _ in pairs],
            "order_id": [order.order_id for _, order in pairs],
            "time": pa.array([utc(event.time) for event, _ in pairs], stamp),
            "received": pa.array([utc(event.received) for event, _ in pairs], stamp),
            "value": pa.array([order.value for _, order in pairs], pa.float64()),
            "units": pa.array([order.units for _, order in pairs], pa.float64()),
            "currency": [order.currency for _, order in pairs],
            "kind": [
                "return" if order.of or (order.value or 0.0) < 0 else "sale" for _, order in pairs
            ],
            "customer": pa.array([event.own_id for event, _ in pairs], text),
            "region": pa.array([event.region for event, _ in pairs], text),
            "postcode": pa.array([event.postcode for event, _ in pairs], text),
            "store": pa.array([event.store for event, _ in pairs], text),
            "fulfilment": pa.array([event.fulfilment for event, _ in pairs], text),
        }
    )
