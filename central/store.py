"""The two DuckDB files.

`floor.duckdb` holds the ledger (for ever), the devices, the quarantine and raw floor events (for a
short time). `central.duckdb` holds windows, orders and incidents. They are two databases that no
connection attaches to each other, so no query can join raw events to orders. What stands in them is
in `schema`.
"""

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from central import schema
from central.config import CentralError

FILES = ("floor", "central")
REPLACED = "replaced"
"""The folder in which a restore leaves the files that it took the place of."""
_META = "create table if not exists meta (pair varchar, generation bigint, schema_version bigint)"


class StoreError(CentralError):
    """The database files cannot be used."""

    exit_code = 2


class LockedError(StoreError):
    """Another process (`serve`, as a rule) has the files open."""


class Store:
    """The pair of files, opened by one process.

    `floor` and `central` give a cursor of their own to each caller, so that threads do not wait
    for each other's reads; writers of `central` hold `writing` around their transaction.
    `imports` counts the imports of windows since the start: after one the baseline is learned anew.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror}; choose another `data` folder") from error
        self._floor = _open(folder / "floor.duckdb", schema.FLOOR)
        try:
            self._central = _open(folder / "central.duckdb", schema.CENTRAL)
        except StoreError:
            self._floor.close()
            raise
        self.folder = folder
        self.writing = threading.Lock()
        self.imports = 0
        self._pair(folder)

    def floor(self) -> duckdb.DuckDBPyConnection:
        """A cursor on raw events, ledger and devices."""
        return self._floor.cursor()

    def central(self) -> duckdb.DuckDBPyConnection:
        """A cursor on windows, orders and incidents."""
        return self._central.cursor()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on `central.duckdb`."""
        with self.writing, transaction(self.central()) as cursor:
            yield cursor

    def rename(self) -> int:
        """Give the set a name of its own, apart from that of its backup; returns its generation."""
        name = uuid.uuid4().hex
        for database in (self._floor, self._central):
            database.execute("update meta set pair = ?", [name])
        # All, or the reading stays open, and with it the checkpoint shut.
        ((generation,),) = self._central.execute("select generation from meta").fetchall()
        return int(generation)

    def close(self) -> None:
        """Write everything to the files and let go of them."""
        self._floor.close()
        self._central.close()

    def _pair(self, folder: Path) -> None:
        databases = self._floor, self._central
        query = "select pair, generation from meta"
        # All rows are fetched: one that is left would keep its transaction open, and as long as it
        # is open nothing of the log is written into the file.
        rows = [database.execute(query).fetchall() for database in databases]
        if rows == [[(None, 1)], [(None, 1)]]:
            name = uuid.uuid4().hex
            for database in databases:
                database.execute("update meta set pair = ?", [name])
        elif rows[0] != rows[1]:
            self.close()
            raise StoreError(
                f"{folder}: floor.duckdb and central.duckdb are not of one set;"
                " restore both from the same backup"
            )


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a file for this process alone. Raises StoreError."""
    try:
        return duckdb.connect(str(path))
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            words = "in use by another process; stop it first (`serve`, as a rule)"
            raise LockedError(f"{path}: {words}") from error
        raise StoreError(f"{path}: {error}; mend its rights, or restore a backup") from error
    except duckdb.Error as error:
        raise StoreError(f"{path}: not a usable database: {error}; restore a backup") from error


def quoted(path: Path) -> str:
    """A path as a string of SQL.

    >>> quoted(Path("ann's data"))
    "'ann''s data'"
    """
    return "'{}'".format(str(path).replace("'", "''"))


def _open(path: Path, migrations: Sequence[str]) -> duckdb.DuckDBPyConnection:
    database = connect(path)
    database.execute("set global timezone = 'UTC'")  # of every cursor, too
    # Nobody writes during a checkpoint: at the usual 16 MB, events would wait a third of the time.
    database.execute("set global checkpoint_threshold = '256MB'")
    try:
        _migrate(database, path, migrations)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: duckdb.DuckDBPyConnection, path: Path, migrations: Sequence[str]) -> None:
    """Bring a file to the newest version, each step whole or not at all."""
    with transaction(database):
        database.execute(_META)
        rows = database.execute("select schema_version from meta").fetchall()
        if not rows:
            database.execute("insert into meta values (null, 1, 0)")
    version = int(rows[0][0]) if rows else 0
    if version > len(migrations):
        raise StoreError(
            f"{path}: schema {version}, of which this release knows {len(migrations)};"
            " use the release that wrote it, or a newer one"
        )
    for number, migration in enumerate(migrations[version:], version + 1):
        with transaction(database):
            database.execute(migration)
            database.execute("update meta set schema_version = ?", [number])


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Commit what the block did, or undo all of it."""
    cursor.execute("begin")
    try:
        yield cursor
    except BaseException:
        cursor.execute("rollback")
        raise
    cursor.execute("commit")


def utc(moment: datetime) -> datetime:
    """The naive UTC that the files hold."""
    return moment.astimezone(UTC).replace(tzinfo=None)
