"""What was deleted leaves a DuckDB file's bytes too, while others go on using it.

A deleted row stays in the file until something else is written there: its values in blocks, and the
first bytes of the least and the greatest text of a column in metadata, the pieces of which are
written from their beginning and keep what stood behind. So what is free is overwritten with noise,
then the tables are written anew (into what is clean), then what they left is overwritten, too.
(DuckDB takes the lowest free block first, and a free piece of metadata only where no free block is
lower: blocks come first.)
"""

import mmap
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from central.store import StoreError

PATIENCE_SECONDS = 60.0
CHUNK_BYTES = 200_000
CHUNKS_AT_ONCE = 320
COLUMNS = 500
MOST_TABLES = 2_000
ROUNDS = 10
PASSES = 2
"""What is written meanwhile may take a piece that is free in part; it has gone the second time."""
FILLER = "scrub_filler"


class BusyError(StoreError):
    """Others write, or read at great length, all the time."""


def rewrite(cursor: duckdb.DuckDBPyConnection, table: str, kept: str = "true") -> int:
    """Write a table anew with the rows for which `kept` holds, inside the caller's transaction.

    Returns how many rows are left out.
    """
    before, after = _count(cursor, table, "true"), _count(cursor, table, kept)
    made = cursor.execute(
        "select sql from duckdb_tables()"
        " where table_name = ? and database_name = current_database()",
        [table],
    ).fetchall()[0][0]
    cursor.execute(f"alter table {table} rename to {table}_before")
    cursor.execute(made)
    cursor.execute(f"insert into {table} select * from {table}_before where {kept}").fetchall()
    cursor.execute(f"drop table {table}_before")
    return before - after


def tables(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of the file."""
    rows = cursor.execute(
        "select table_name from duckdb_tables()"
        " where database_name = current_database() and not temporary order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def free_space(cursor: duckdb.DuckDBPyConnection) -> None:
    """Overwrite all that is free in the file. Raises BusyError.

    Needs as much disk as is free in the file for the time it takes.
    """
    blocks: list[str] = []
    try:
        checkpoint(cursor)
        for _ in range(PASSES):
            _fill_pieces(cursor, blocks)
    finally:
        _drop(cursor, blocks)
    checkpoint(cursor)


def _fill_pieces(cursor: duckdb.DuckDBPyConnection, blocks: list[str]) -> None:
    """Tables of many columns until every piece of metadata that was free has been written to."""
    pieces: list[str] = []
    try:
        _fill_blocks(cursor, blocks)
        stale = _free_pieces(cursor)
        while stale:
            if len(pieces) > MOST_TABLES:
                raise BusyError("what is free does not end; run the command again")
            columns = ", ".join(f"'{os.urandom(6).hex()}' as c{each}" for each in range(COLUMNS))
            pieces.append(f"{FILLER}_pieces_{len(pieces)}")
            cursor.execute(f"create table {pieces[-1]} as select {columns}").fetchall()
            checkpoint(cursor)
            stale &= _free_pieces(cursor)
            _fill_blocks(cursor, blocks)
    finally:
        _drop(cursor, pieces)
    checkpoint(cursor)


def _drop(cursor: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    for name in names:
        cursor.execute(f"drop table if exists {name}").fetchall()


def _fill_blocks(cursor: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Fill all free blocks; a block that was given back is free one checkpoint later."""
    for _ in range(ROUNDS):
        blocks, size = _free_blocks(cursor)
        if not blocks:
            return
        names.append(f"{FILLER}_blocks_{len(names)}")
        _fill(cursor, names[-1], (blocks + 1) * size)
        checkpoint(cursor)


def checkpoint(cursor: duckdb.DuckDBPyConnection) -> None:
    """Write the log into the file. Raises BusyError where others leave no moment for it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            cursor.execute("checkpoint").fetchall()
        except duckdb.TransactionException as error:
            if time.monotonic() > until:
                raise BusyError(
                    "no moment without a writer or a long query; stop what asks so much, and run"
                    " the command again"
                ) from error
            time.sleep(0.02)
        else:
            return


def traces(path: Path, words: Iterable[bytes]) -> int:
    """How often any of the words stands in the bytes of a database file and of its log."""
    escaped = [re.escape(word) for word in words]
    if not escaped:
        return 0
    pattern, found = re.compile(b"|".join(escaped)), 0
    for file in (path, path.with_name(path.name + ".wal")):
        if file.exists() and file.stat().st_size:
            with (
                file.open("rb") as opened,
                mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as all_,
            ):
                found += sum(1 for _ in pattern.finditer(all_))
    return found


def _count(cursor: duckdb.DuckDBPyConnection, table: str, kept: str) -> int:
    return int(cursor.execute(f"select count(*) from {table} where {kept}").fetchall()[0][0])


def _free_blocks(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    rows = cursor.execute(
        "select free_blocks, block_size from pragma_database_size()"
        " where database_name = current_database()"
    ).fetchall()
    return rows[0]


def _free_pieces(cursor: duckdb.DuckDBPyConnection) -> set[tuple[int, int]]:
    """The free pieces of metadata: block, and number in it."""
    rows = cursor.execute("select block_id, unnest(free_list) from pragma_metadata_info()")
    return {(block, piece) for block, piece in rows.fetchall()}


def _fill(cursor: duckdb.DuckDBPyConnection, name: str, size: int) -> None:
    """A table of noise, which nothing compresses."""
    cursor.execute(f"create table {name} (noise blob)")
    left = -(-size // CHUNK_BYTES)
    while left > 0:
        count = min(left, CHUNKS_AT_ONCE)
        noise = [os.urandom(CHUNK_BYTES) for _ in range(count)]
        cursor.register("noise", pa.table({"noise": pa.array(noise, pa.binary())}))
        cursor.execute(f"insert into {name} from noise").fetchall()
        cursor.unregister("noise")
        left -= count
