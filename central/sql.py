"""One question in SQL about what central has counted, and nothing that leads elsewhere.

The question runs in a database of its own, in memory, in which nothing is but a reading of the
open columns below; its settings are locked without access to files, network or extensions. So a
query cannot reach raw floor events, nor what says who somebody is, whatever it is made of.
"""

import csv
import io
import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from central.config import CentralError
from central.store import Store

OPEN = {
    "meta": "pair, generation, schema_version",
    "partial": 'part, site, measure, subject, "window",'
    ' to_timestamp("window" * 900)::timestamp as start, bin, value',
    "frozen": "receipt_day",
    "orders": 'site, channel, order_id, "time", received, value, units, currency, kind, region,'
    " store, fulfilment",
    "online": 'site, channel, kind, name, "time", received, campaign, region, store, fulfilment',
    "audit": 'site, device, kind, subject, role, "window", count, confidence, checks',
    "progress": "site, processed",
    "expectation": 'site, metric, "window", value, expected, variance, lower, upper, p_low,'
    " p_high, learning, usual",
    "baseline": "site, metric, made, ready, problem",
    "forecast": "site, metric, start, expected, lower, upper, made",
    "unlike": "day, site, score, metrics",
    "incident": "id, site, cause, subject, severity, began, latest, opened, resolved, sentence,"
    " metric, p, lost, money, children, pushed, sure",
    "notice": "incident, event, sentence, status, attempts, next_try",
    "quarantine": "id, received, site, channel, size",
}
"""What can be asked for, by table. Left out: people and what they did (`person`, the ids of
`online`, its properties), `link`, `forgotten`, postcodes, receivers' addresses and raw bytes."""

GATED = "measure not like 'dwell%' and measure not in ('wait', 'engaged')"
"""What describes people is released by the k-gate, as features, and not here."""

MAX_ROWS = 100_000
MEMORY = "1GB"
SECONDS = 300.0
_LOCKS = (
    f"set memory_limit = '{MEMORY}'",
    "set threads = 1",
    "set temp_directory = ''",
    "set timezone = 'UTC'",
    "set python_enable_replacements = false",
    "set autoload_known_extensions = false",
    "set autoinstall_known_extensions = false",
    "set allow_community_extensions = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
_READS = ("SELECT", "EXPLAIN")

Form = Literal["table", "csv", "json"]


class SqlError(CentralError):
    """The query cannot be run."""


@dataclass(frozen=True)
class Answer:
    """Names and rows of a result."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class _Reading:
    """A table of the file, read anew and piece by piece by each scan of it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, query: str) -> None:
        self._cursor, self._query = cursor, query

    def __arrow_c_stream__(self, schema: object = None) -> object:
        reader = self._cursor.cursor().sql(self._query).to_arrow_reader()
        return reader.__arrow_c_stream__(schema)


def ask(store: Store, query: str) -> Answer:
    """Run one reading statement. Raises SqlError."""
    with _locked(store) as database:
        timer = threading.Timer(SECONDS, database.interrupt)
        timer.start()
        try:
            statements = database.extract_statements(query)
            if len(statements) != 1 or statements[0].type.name not in _READS:
                raise SqlError("one statement that reads, please: select …")
            reader = database.sql(statements[0]).to_arrow_reader()
            rows: list[tuple[Any, ...]] = []
            for piece in reader:
                rows += zip(*(column.to_pylist() for column in piece.columns), strict=True)
                if len(rows) > MAX_ROWS:
                    raise SqlError(f"more than {MAX_ROWS:,} rows; add a limit, or ask for sums")
        except duckdb.InterruptException as error:
            raise SqlError(f"stopped after {SECONDS:g} s; ask for less") from error
        except duckdb.Error as error:
            raise SqlError(str(error)) from error
        finally:
            timer.cancel()
    return Answer(tuple(reader.schema.names), rows)


def write(answer: Answer, form: Form) -> str:
    """The answer as a table for people, as CSV, or as a JSON array of objects."""
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_plain(value) for value in row] for row in answer.rows)
        return text.getvalue().rstrip("\n")
    if form == "json":
        rows = [
            {name: _json(value) for name, value in zip(answer.columns, row, strict=True)}
            for row in answer.rows
        ]
        return json.dumps(rows, default=_plain, ensure_ascii=False)
    return table(answer.columns, answer.rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under their names, numbers to the right.

    >>> print(table(["site", "people"], [["leeds", 7], ["york", 1200]]))
    site   people
    leeds       7
    york    1,200
    """
    numbers = [
        bool(rows) and all(isinstance(row[n], int | float | None) for row in rows)
        for n in range(len(columns))
    ]
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numbers, strict=True)
        ).rstrip()
        for line in cells
    )


@contextmanager
def _locked(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    cursor = store.central()
    database = duckdb.connect()
    try:
        for name, columns in OPEN.items():
            where = f" where {GATED}" if name == "partial" else ""
            database.register(name, _Reading(cursor, f"select {columns} from {name}{where}"))
        for lock in _LOCKS:
            database.execute(lock)
        yield database
    finally:
        database.close()


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return " ".join(str(_plain(value)).split())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def _json(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
