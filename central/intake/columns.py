"""Events and the numbers they have into their tables, column by column.

There is a table for each type of event. Row by row DuckDB takes milliseconds each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from operator import attrgetter

import duckdb
import pyarrow as pa

from central.ledger import Intervals
from edge import wire

EpochKey = tuple[str, str, str]
"""Site, device and epoch: whose sequence numbers they are."""


@dataclass
class Rows:
    """Events of one type on their way to its table; the n-th items of the lists belong together."""

    keys: list[EpochKey] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    events: list[wire.Event] = field(default_factory=list)


def table(kind: type[wire.Event]) -> str:
    """The name of the table that holds the events of a type."""
    return str(kind.__struct_config__.tag)


def append(
    cursor: duckdb.DuckDBPyConnection, kind: type[wire.Event], rows: Rows, receipt_day: date
) -> None:
    """Append events to their table. Raises duckdb.Error or pyarrow.ArrowException if it cannot."""
    name = table(kind)
    types = cursor.sql(f"select * from {name} limit 0").to_arrow_table().schema
    columns = {
        "receipt_day": pa.repeat(pa.scalar(receipt_day), len(rows.events)),
        **dict(_origin(rows.keys)),
        "seq": pa.array(rows.numbers, pa.int64()),
    }
    for field_name in kind.__struct_fields__:
        # To name the type spares pyarrow to look at every value first.
        values = list(map(attrgetter(field_name), rows.events))
        columns[field_name] = pa.array(values, types.field(field_name).type)
    cursor.register("arrived", pa.table(columns))
    names = ", ".join(f'"{column}"' for column in columns)
    cursor.execute(f"insert into {name} ({names}) select * from arrived")
    cursor.unregister("arrived")


def claim(cursor: duckdb.DuckDBPyConnection, held: Mapping[EpochKey, Intervals]) -> None:
    """Write the intervals that are held of each epoch. Raises duckdb.Error where it cannot."""
    rows = [
        (*key, [first for first, _ in intervals], [last for _, last in intervals])
        for key, intervals in held.items()
    ]
    names = ("site", "device", "epoch", "firsts", "lasts")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    cursor.register("claimed", pa.table(columns))
    cursor.execute("insert or replace into ledger by name select * from claimed")
    cursor.unregister("claimed")


def _origin(keys: list[EpochKey]) -> Iterator[tuple[str, pa.Array]]:
    # Few epochs, many events: each name is written once, and looked up by its place.
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    index = pa.array([places[key] for key in keys], pa.int32())
    for name, values in zip(("site", "device", "epoch"), zip(*places, strict=True), strict=True):
        yield name, pa.DictionaryArray.from_arrays(index, list(values))
