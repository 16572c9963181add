"""What is refused goes to quarantine, as far as there is room; both files have such a table."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import duckdb

RAW_BYTES = 64 * 1024
"""Kept of each: all that a batch or an online event may have."""
TABLE_BYTES = 256 * 1024 * 1024
"""Kept in a table, a row being counted as ROW_BYTES and its raw bytes."""
ROW_BYTES = 512


def keep(
    cursor: duckdb.DuckDBPyConnection,
    day: date,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Put rows in quarantine, within the caller's transaction.

    The values of `columns` are followed by the raw bytes. What finds no room is counted by day.
    """
    room = TABLE_BYTES - _kept(cursor)
    kept, lost = [], 0
    for *values, raw in rows:
        head = raw[:RAW_BYTES]
        room -= len(head) + ROW_BYTES
        if room >= 0:
            kept.append((*values, len(raw), head))
        else:
            lost += len(raw)
    if kept:
        marks = ", ".join("?" for _ in kept[0])
        cursor.executemany(
            f"insert into quarantine ({', '.join(columns)}, size, raw) values ({marks})", kept
        )
    if len(kept) < len(rows):
        cursor.execute(
            "insert into overflow values (?, ?, ?) on conflict do update"
            " set count = count + excluded.count, bytes = bytes + excluded.bytes",
            [day, len(rows) - len(kept), lost],
        )


def _kept(cursor: duckdb.DuckDBPyConnection) -> int:
    row = cursor.execute(
        "select coalesce(sum(least(size, ?) + ?), 0)::bigint from quarantine",
        [RAW_BYTES, ROW_BYTES],
    ).fetchone()
    return int(row[0]) if row else 0
