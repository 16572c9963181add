"""File intake: orders and windows from Parquet or CSV, each import idempotent."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from central import windows
from central.config import CentralError
from central.store import Store, utc

ALIASES = {
    "order_id": ("order_id", "order", "invoice_no", "invoice", "id", "name"),
    "time": ("time", "timestamp", "invoice_date", "created_at", "date"),
    "quantity": ("quantity", "qty", "units"),
    "price": ("price", "unit_price"),
    "value": ("value", "total", "revenue", "total_price"),
}


class ImportFileError(CentralError):
    """A file cannot be imported as it is."""

    exit_code = 2


@dataclass(frozen=True)
class Imported:
    """What an import found and did."""

    lines: int
    orders: int
    returns: int
    repeated: int
    known: int


def read(path: Path, *, text: bool = False) -> pa.Table:
    """A Parquet or CSV file as a table; `text` leaves a CSV's values as they are written.

    Raises ImportFileError.
    """
    if not path.is_file():
        raise ImportFileError(f"{path}: no such file")
    csv = f"read_csv(?, all_varchar = {text})"
    readers = {".parquet": "read_parquet(?)", ".csv": csv, ".gz": csv}
    reader = readers.get(path.suffix)
    if reader is None:
        raise ImportFileError(f"{path}: ends in none of {', '.join(readers)}; convert it first")
    try:
        return duckdb.connect().sql(f"select * from {reader}", params=[str(path)]).to_arrow_table()
    except duckdb.Error as error:
        raise ImportFileError(f"{path}: cannot be read: {error}") from error


def import_windows(store: Store, path: Path) -> int:
    """Windows counted elsewhere: columns site, measure, subject, start (UTC), value.

    The same file name again replaces what it brought before. Returns the rows taken.
    """
    rows = read(path)
    absent = {"site", "measure", "subject", "start", "value"} - set(rows.column_names)
    if absent:
        raise ImportFileError(f"{path}: lacks the columns {', '.join(sorted(absent))}")
    try:
        return windows.add_imported(store, path.name, rows)
    except (pa.ArrowException, duckdb.Error) as error:
        raise ImportFileError(
            f"{path}: {error}; start must be a time (UTC), and value a number"
        ) from error


def import_orders(
    store: Store,
    path: Path,
    *,
    site: str,
    channel: str,
    currency: str,
    shift: timedelta = timedelta(0),
) -> Imported:
    """Orders, a line an order or a line an item; lines of one order become one order.

    An order of negative value is a return. Lines that repeat another
    to the letter are counted, and kept: two of one item may well stand on one receipt. An order
    that is known already (site, channel, id) is left as it is, so that a repeated import adds
    nothing. `shift` is added to every time.

    Raises ImportFileError with the columns that are missing, or the value that is none.
    """
    # As text: an order's id may begin with zeros.
    rows = read(path, text=True)
    columns = {
        name: next((alias for alias in aliases if alias in rows.column_names), None)
        for name, aliases in ALIASES.items()
    }
    absent = [name for name in ("order_id", "time") if columns[name] is None]
    if not columns["value"] and not (columns["price"] and columns["quantity"]):
        absent.append("value (or price and quantity)")
    if absent:
        raise ImportFileError(
            f"{path}: no column for {', '.join(absent)}; it has {', '.join(rows.column_names)}."
            f" Known names: {ALIASES}"
        )
    names = {name: f'"{column}"' for name, column in columns.items() if column}
    try:
        found = _take(store, rows, names, (site, channel), currency, shift)
    except duckdb.Error as error:
        raise ImportFileError(
            f"{path}: {error}; {names['time']} must be a time, amounts must be numbers"
        ) from error
    windows.rebuild_orders(store)
    return found


def _take(
    store: Store,
    rows: pa.Table,
    names: dict[str, str],
    place: tuple[str, str],
    currency: str,
    shift: timedelta,
) -> Imported:
    order, time = names["order_id"], names["time"]
    units = f"{names['quantity']}::double" if "quantity" in names else "1.0"
    value = (
        f"{names['value']}::double" if "value" in names else f"{names['price']}::double * {units}"
    )
    with store.write() as cursor:
        cursor.register("lines", rows)
        repeated = _number(
            cursor,
            "select count(*) - (select count(*) from (select distinct * from lines)) from lines",
        )
        cursor.execute(
            f"create or replace temp table brought as select {order}::varchar as id,"
            f" min({time}::timestamptz at time zone 'UTC') + to_seconds(?) as \"time\","
            f" sum({value}) as value, sum({units}) as units from lines"
            f" where {order} is not null and {time} is not null group by 1",
            [shift.total_seconds()],
        )
        cursor.unregister("lines")
        unfit = "select count(*) from brought where not (isfinite(value) and isfinite(units))"
        if _number(cursor, unfit):
            raise duckdb.ConversionException("an amount is NaN or infinite")
        orders, returns, known = cursor.execute(
            "select count(*), count(*) filter (value < 0),"
            " count(*) filter (exists (select 1 from orders o where o.site = ? and o.channel = ?"
            " and o.order_id = id)) from brought",
            place,
        ).fetchone() or (0, 0, 0)
        cursor.execute(
            'insert or ignore into orders (site, channel, order_id, "time", received, value, units,'
            ' currency, kind) select ?, ?, id, "time", ?, value, units, ?,'
            " case when value < 0 then 'return' else 'sale' end from brought",
            [*place, utc(datetime.now(UTC)), currency],
        )
    return Imported(rows.num_rows, orders - returns, returns, repeated, known)


def _number(cursor: duckdb.DuckDBPyConnection, query: str) -> int:
    row = cursor.execute(query).fetchone()
    return int(row[0]) if row else 0
