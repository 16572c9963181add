"""Columns into a real store, against the obvious way: one row after the other."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.intake import columns
from central.intake.columns import EpochKey, Rows
from central.ledger import Intervals
from central.store import Store
from edge import wire
from tests.central import device
from tests.edge.test_wire import devices, events, slugs, tracks

DAY = date(2026, 3, 2)
NUMBERS = st.integers(0, 2**53 - 1)
KEYS = st.tuples(slugs, devices, tracks)


def one_by_one(store: Store, key: EpochKey, number: int, event: wire.Event) -> None:
    values: list[Any] = [DAY, *key, number]
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, datetime):
            value = value.astimezone(UTC).replace(tzinfo=None)
        values.append(value)
    places = ", ".join("?" * len(values))
    store.floor().execute(f"insert into {columns.table(type(event))} values ({places})", values)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrived=st.lists(st.tuples(KEYS, NUMBERS, events), min_size=1, max_size=12))
def test_all_together_are_as_one_by_one(
    store: Store, arrived: list[tuple[EpochKey, int, wire.Event]]
) -> None:
    sorted_out: dict[type[wire.Event], Rows] = defaultdict(Rows)
    for key, number, event in arrived:
        one_by_one(store, key, number, event)
        rows = sorted_out[type(event)]
        rows.keys.append(key)
        rows.numbers.append(number)
        rows.events.append(event)
    for kind, rows in sorted_out.items():
        name = columns.table(kind)
        expected = device.rows(store, f"select * from {name} order by rowid")
        device.rows(store, f"truncate {name}")
        columns.append(store.floor(), kind, rows, DAY)
        assert device.rows(store, f"select * from {name} order by rowid") == expected
        device.rows(store, f"truncate {name}")


def test_a_claim_takes_the_place_of_the_one_before(store: Store) -> None:
    one, other = ("leeds", "door-1", "0" * 16), ("york", "door-1", "1" * 16)
    first: dict[EpochKey, Intervals] = {one: ((0, 4), (7, 2**53 - 1)), other: ()}
    columns.claim(store.floor(), first)
    columns.claim(store.floor(), {other: ((3, 3),)})
    assert device.rows(store, "select * from ledger order by site") == [
        (*one, [0, 7], [4, 2**53 - 1]),
        (*other, [3], [3]),
    ]
