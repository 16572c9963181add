"""Files that shrink: DuckDB uses free space again, but does not give it back.

A checkpoint cuts a file only at its end. What does shrink it is a copy, which needs the file for
itself: before `serve` opens it, or by command while nothing runs.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from central.backup import sync
from central.store import FILES, connect, quoted

FREE_SHARE = 0.5
LEAST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Compacted:
    """A file's bytes before and after."""

    file: str
    before: int
    after: int


def compact(data: Path, *, only_if_worth: bool = False) -> list[Compacted]:
    """Copy the files to as little space as they need.

    only_if_worth: leave a file as it is unless it is large and more than half of it is free.

    Raises LockedError while another process has the files open.
    """
    done = []
    for name in FILES:
        path = data / f"{name}.duckdb"
        if path.exists():
            before = path.stat().st_size
            if _copied(path, name, only_if_worth):
                done.append(Compacted(path.name, before, path.stat().st_size))
    return done


def _copied(path: Path, name: str, only_if_worth: bool) -> bool:
    smaller = path.with_suffix(".compact")
    smaller.unlink(missing_ok=True)
    database = connect(path)
    try:
        if only_if_worth and not _worth(database):
            return False
        database.execute(f"attach {quoted(smaller)} as smaller")
        database.execute(f"copy from database {name} to smaller")
        database.execute("detach smaller")
    finally:
        database.close()
    # Closed, the file holds all that its log held.
    if path.with_suffix(".duckdb.wal").exists():
        smaller.unlink()
        return False
    smaller.replace(path)
    sync(path.parent)
    return True


def _worth(database: duckdb.DuckDBPyConnection) -> bool:
    row = database.execute(
        "select block_size * total_blocks, free_blocks / greatest(total_blocks, 1)"
        " from pragma_database_size()"
    ).fetchone()
    return row is not None and row[0] >= LEAST_BYTES and row[1] > FREE_SHARE
