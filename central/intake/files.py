"""File intake: orders and windows from Parquet or CSV, each import idempotent."""

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from central import windows
from central.intake import parts
from central.intake.parts import ImportFileError
from central.store import Store, utc

ALIASES = {
    "order_id": ("order_id", "order", "invoice_no", "invoice", "id", "name"),
    "time": ("time", "timestamp", "invoice_date", "created_at", "date"),
    "quantity": ("quantity", "qty", "units"),
    "price": ("price", "unit_price"),
    "value": ("value", "total", "revenue", "total_price"),
    "customer": ("customer", "customer_id", "user_id"),
}


@dataclass(frozen=True)
class Imported:
    """What an import found and did."""

    lines: int
    orders: int
    returns: int
    repeated: int
    known: int

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines read ({self.repeated:,} repeat another): {self.orders:,} orders"
            f" and {self.returns:,} returns, {self.known:,} of them known before"
        )


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
    """`order_import` to its end."""
    importing = order_import(
        store, path, site=site, channel=channel, currency=currency, shift=shift
    )
    while True:
        try:
            next(importing)
        except StopIteration as end:
            done: Imported = end.value
            return done


def order_import(
    store: Store,
    path: Path,
    *,
    site: str,
    channel: str,
    currency: str,
    shift: timedelta = timedelta(0),
) -> Generator[str, None, Imported]:
    """Orders, a line an order or a line an item; lines of one order become one order.

    An order of negative value is a return. Lines that repeat another
    to the letter are counted, and kept: two of one item may well stand on one receipt. An order
    that is known already (site, channel, id) is left as it is, so that a repeated import adds
    nothing. `shift` is added to every time. Yields how far it is.

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
        brought, repeated = _brought(rows, names, (site, channel, currency), shift)
    except duckdb.Error as error:
        raise ImportFileError(
            f"{path}: {error}; {names['time']} must be a time, amounts must be numbers"
        ) from error
    purpose = ("orders", site, channel, str(shift))
    fresh = yield from parts.keep_orders(store, brought, parts.digest(path, *purpose))
    windows.rebuild_orders(store)
    returns = pc.sum(pc.less(brought["value"], 0.0)).as_py() or 0
    orders = brought.num_rows
    return Imported(rows.num_rows, orders - returns, returns, repeated, orders - fresh)


def _brought(
    rows: pa.Table, names: dict[str, str], place: tuple[str, str, str], shift: timedelta
) -> tuple[pa.Table, int]:
    """The orders of the lines, by id, as `orders.keep` takes them; and the lines that repeat."""
    order, time = names["order_id"], names["time"]
    units = f"{names['quantity']}::double" if "quantity" in names else "1.0"
    value = (
        f"{names['value']}::double" if "value" in names else f"{names['price']}::double * {units}"
    )
    customer = f"any_value({names['customer']}::varchar)" if "customer" in names else "null"
    with duckdb.connect() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.register("lines", rows)
        distinct = cursor.sql("select count(*) from (select distinct * from lines)").fetchall()
        brought = cursor.sql(
            "select $site as site, $channel as channel, id as order_id, brought.time,"
            " $now as received, value, units, $currency as currency,"
            " case when value < 0 then 'return' else 'sale' end as kind, customer::varchar as"
            " customer, null::varchar as region, null::varchar as postcode,"
            f" null::varchar as store, null::varchar as fulfilment from (select {order}::varchar"
            f" as id, min({time}::timestamptz at time zone 'UTC') + to_seconds($shift) as \"time\","
            f" sum({value}) as value, sum({units}) as units, {customer} as customer from lines"
            f" where {order} is not null and {time} is not null group by 1) brought order by 3",
            params={
                "site": place[0],
                "channel": place[1],
                "currency": place[2],
                "now": utc(datetime.now(UTC)),
                "shift": shift.total_seconds(),
            },
        ).to_arrow_table()
    if (
        not pc.all(pc.is_finite(brought["value"])).as_py()
        or not pc.all(pc.is_finite(brought["units"])).as_py()
    ):
        raise duckdb.ConversionException("an amount is NaN or infinite")
    return brought, rows.num_rows - int(distinct[0][0])
