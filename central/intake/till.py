"""A till's CSV: lines become receipts, known by site, till, business day and sequence number.

A mapping says which column is what, and only the columns it names are ever looked at: whoever sat
at the till is in none of them, and has no place in the mapping.
"""

import csv
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import msgspec
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from central import windows
from central.config import Config, Slug
from central.intake import parts
from central.intake.online import Refused, quarantine
from central.intake.parts import ImportFileError
from central.intake.segment import AHEAD, EARLIEST, MONEY, QUANTITY, Source
from central.store import Store, utc

CHANNEL = "pos"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(_Model):
    """Names of columns. `value` is what a line cost, else `price` times `quantity`."""

    till: str
    sequence: str
    business_day: str
    time: str
    store: str | None = None
    value: str | None = None
    price: str | None = None
    quantity: str | None = None
    customer: str | None = None

    @model_validator(mode="after")
    def _money(self) -> "Columns":
        if not self.value and not (self.price and self.quantity):
            raise ValueError("name the column `value`, or both `price` and `quantity`")
        return self


class Mapping(_Model):
    """How a till's CSV is read; times are those of the site's clock unless they have an offset.

    site: whose till it is; or `stores`, from what stands in the column `store` to the site.
    day_format, time_format: as strptime has them; without, ISO 8601.
    """

    columns: Columns
    site: Slug | None = None
    stores: dict[str, Slug] = {}
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    day_format: str | None = None
    time_format: str | None = None

    @model_validator(mode="after")
    def _whose(self) -> "Mapping":
        if bool(self.site) == bool(self.stores and self.columns.store):
            raise ValueError("give `site`, or `stores` and `columns.store`")
        return self


@dataclass(frozen=True)
class Imported:
    """What an import found and did."""

    lines: int
    receipts: int
    returns: int
    known: int
    refused: int

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines read: {self.receipts:,} receipts and {self.returns:,} returns,"
            f" {self.known:,} of them known before; {self.refused:,} lines in quarantine"
        )


def till_import(
    store: Store, config: Config, path: Path, mapping: Path
) -> Generator[str, None, Imported]:
    """Receipts; one of which a line cannot be read is quarantined whole. Yields how far it is.

    Raises ImportFileError, ConfigError.
    """
    rules = parts.mapping(mapping, Mapping)
    lines = _lines(path, rules)
    sites = [rules.site] if rules.site else sorted(set(rules.stores.values()))
    fresh = receipts = returns = refused = 0
    for site in sites:
        brought, bad = _receipts(lines, rules, config, str(site))
        refused += _refuse(store, config, path, str(site), bad)
        name = parts.digest(path, "till", str(site), rules.model_dump_json())
        fresh += yield from parts.keep_orders(store, brought, name)
        receipts += brought.num_rows
        returns += sum(kind == "return" for kind in brought["kind"].to_pylist())
    refused += _refuse(store, config, path, str(sites[0]), _strangers(lines, rules))
    windows.rebuild_orders(store)
    return Imported(lines.num_rows, receipts - returns, returns, receipts - fresh, refused)


def _lines(path: Path, rules: Mapping) -> pa.Table:
    """The mapped columns as text, under our names, with the number of the line."""
    if not path.is_file():
        raise ImportFileError(f"{path}: no such file")
    named = {name: column for name, column in rules.columns if column is not None}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, delimiter=rules.separator), [])
    except UnicodeDecodeError as error:
        raise ImportFileError(f"{path}: not text in UTF-8; save it as that") from error
    wrong = [column for column in named.values() if header.count(column) != 1]
    if wrong:
        raise ImportFileError(
            f"{path}: the mapping's columns must be there once, and {', '.join(sorted(wrong))}"
            f" are not; the file has {', '.join(header)}"
        )
    quoted = {name: column.replace('"', '""') for name, column in named.items()}
    columns = ", ".join(f'"{column}" as {name}' for name, column in quoted.items())
    empty = "".join(
        f", null::varchar as {name}" for name, column in rules.columns if column is None
    )
    try:
        with duckdb.connect() as cursor:
            return cursor.sql(
                f"select row_number() over () + 1 as line, {columns}{empty} from read_csv(?,"
                " all_varchar = true, header = true, delim = ?, quote = '\"', null_padding = true,"
                " strict_mode = false)",
                params=[str(path), rules.separator],
            ).to_arrow_table()
    except duckdb.Error as error:
        raise ImportFileError(f"{path}: cannot be read: {error}") from error


def _receipts(
    lines: pa.Table, rules: Mapping, config: Config, site: str
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The receipts of a site, by id; and the lines of those that cannot be read, with reasons."""

    def number(column: str) -> str:
        text = f"replace({column}, ',', '.')" if rules.decimal == "," else column
        return f"try_cast({text} as double)"

    quantity = number("quantity") if rules.columns.quantity else "1.0"
    amount = number("value") if rules.columns.value else f"{number('price')} * {quantity}"
    read = {
        "day": "try_cast(try_strptime(business_day, $day_format) as date)"
        if rules.day_format
        else "try_cast(business_day as date)",
        "moment": "try_strptime(lines.time, $time_format)"
        if rules.time_format
        else "try_cast(lines.time as timestamp)",
    }
    theirs = [each for each, whose in rules.stores.items() if whose == site]
    values: dict[str, object] = {
        "zone": config.site(site).time_zone,
        "theirs": theirs,
        "all": rules.site is not None,
        "earliest": utc(EARLIEST),
        "latest": utc(datetime.now(UTC) + AHEAD),
        "money": MONEY,
        "quantity": QUANTITY,
    }
    values |= {"day_format": rules.day_format} if rules.day_format else {}
    values |= {"time_format": rules.time_format} if rules.time_format else {}
    with duckdb.connect() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.register("lines", lines)
        judged = cursor.sql(
            f"with read as (select *, {amount} as amount, {quantity} as items,"
            f" {read['day']} as day,"
            # The local time of the site; what has an offset is put right by try_cast itself.
            f" coalesce(case when regexp_matches(lines.time, '(Z|[+-]\\d\\d:?\\d\\d)$') then"
            " try_cast(lines.time as timestamptz) at time zone 'UTC' end,"
            f" ({read['moment']} at time zone $zone) at time zone 'UTC') as moment from lines"
            " where $all or list_contains($theirs, lines.store)), judged as (select *,"
            " concat_ws('/', strftime(day, '%Y-%m-%d'), till, sequence) as receipt,"
            " case when till is null or sequence is null then 'till or sequence is empty'"
            " when day is null then 'business_day is no date'"
            " when moment is null then 'time is no time'"
            " when moment < $earliest or moment > $latest then 'time is before 2000 or to come'"
            " when amount is null or not isfinite(amount) or abs(amount) > $money"
            " then 'the amount is no number'"
            " when items is null or not isfinite(items) or abs(items) > $quantity"
            " then 'quantity is no number' end as reason from read)"
            " select *, max(reason) over (partition by receipt) as wrong from judged",
            params=values,
        ).to_arrow_table()
        cursor.register("judged", judged)
        bad = cursor.sql(
            "select line, till, sequence, business_day, time, value, price, quantity,"
            " coalesce(reason, 'another line of its receipt: ' || wrong) as reason from judged"
            " where wrong is not null order by line"
        ).to_arrow_table()
        brought = cursor.sql(
            "select $site as site, $channel as channel, receipt as order_id, min(moment) as time,"
            " $now as received, sum(amount) as value, sum(items) as units, $currency as currency,"
            " case when sum(amount) < 0 then 'return' else 'sale' end as kind,"
            " any_value(customer) as customer, null::varchar as region, null::varchar as postcode,"
            " null::varchar as store, null::varchar as fulfilment from judged where wrong is null"
            " group by receipt order by receipt",
            params={
                "site": site,
                "channel": CHANNEL,
                "now": utc(datetime.now(UTC)),
                "currency": config.site(site).currency,
            },
        ).to_arrow_table()
    found: list[dict[str, Any]] = bad.to_pylist()
    return brought, found


def _strangers(lines: pa.Table, rules: Mapping) -> list[dict[str, Any]]:
    if rules.site:
        return []
    return [
        {**line, "reason": "store: the mapping knows no such store"}
        for line in lines.to_pylist()
        if line["store"] not in rules.stores
    ]


def _refuse(store: Store, config: Config, path: Path, site: str, bad: list[dict[str, Any]]) -> int:
    """Quarantine lines: the mapped columns alone, without the customer."""
    source, now = Source(site, CHANNEL, config.site(site).currency), datetime.now(UTC)
    refused = []
    for line in bad:
        number, reason = line.pop("line"), line.pop("reason")
        line.pop("customer", None)
        raw = msgspec.json.encode(
            {name: value for name, value in line.items() if value is not None}
        )
        refused.append(Refused(source, f"import {path.name}:{number}", reason, raw, now))
    with store.write() as cursor:
        quarantine(cursor, refused)
    return len(refused)
