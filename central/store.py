"""The two DuckDB files.

`floor.duckdb` holds the ledger (for ever), the devices, the quarantine and raw floor events (for a
short time). `central.duckdb` holds windows, orders and incidents. They are two databases that no
connection attaches to each other, so no query can join raw events to orders.
"""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from central.config import CentralError

_META = "create table if not exists meta (pair varchar, generation bigint, schema_version bigint);"
_SCHEMA_VERSION = 1

_RAW = "receipt_day date, site varchar, device varchar, epoch varchar, seq bigint"
_FLOOR = f"""
{_META}
create table if not exists ledger (
    site varchar, device varchar, epoch varchar, firsts bigint[], lasts bigint[],
    primary key (site, device, epoch));
create table if not exists device (
    site varchar, device varchar, status varchar, status_received timestamp,
    layout varchar, layout_since timestamp, health varchar, health_received timestamp,
    unsynced boolean default false,
    primary key (site, device));
create table if not exists line (
    site varchar, line varchar, device varchar, floor varchar, name varchar, role varchar,
    cameras varchar[], current boolean, primary key (site, line, device));
create table if not exists zone (
    site varchar, zone varchar, device varchar, floor varchar, name varchar, role varchar,
    cameras varchar[], current boolean, primary key (site, zone, device));
create table if not exists quarantine (
    received timestamp, topic varchar, site varchar, device varchar, epoch varchar,
    first bigint, count bigint, reason varchar, raw blob);
create table if not exists crossing ({_RAW}, floor varchar, line varchar, cameras varchar[],
    "time" timestamp, direction varchar, track varchar, staff boolean);
create table if not exists visit ({_RAW}, floor varchar, zone varchar, cameras varchar[],
    track varchar, entered timestamp, exited timestamp, dwell double, nth bigint, ended varchar,
    stitched bigint, staff boolean);
create table if not exists path ({_RAW}, floor varchar, cameras varchar[], track varchar,
    start timestamp, duration double, distance double, points double[][], zones varchar[]);
create table if not exists occupancy ({_RAW}, floor varchar, zone varchar, start timestamp,
    stop timestamp, "min" bigint, mean double, "max" bigint);
create table if not exists queue ({_RAW}, floor varchar, zone varchar, start timestamp,
    stop timestamp, length_mean double, length_max bigint, joined bigint, served bigint,
    abandoned bigint, lost bigint, waiting bigint, wait_histogram bigint[]);
create table if not exists coverage ({_RAW}, camera varchar, start timestamp, stop timestamp,
    seen bigint, expected bigint, cause varchar);
"""
_CENTRAL = f"""
{_META}
create table if not exists partial (
    part varchar, site varchar, measure varchar, subject varchar, "window" bigint, value double);
create table if not exists audit (
    site varchar, device varchar, kind varchar, subject varchar, role varchar, "window" bigint,
    count bigint, confidence double, checks varchar,
    primary key (site, kind, subject, device, "window"));
create table if not exists frozen (receipt_day date primary key);
create table if not exists orders (
    site varchar, channel varchar, order_id varchar, "time" timestamp, received timestamp,
    value double, units double, currency varchar, kind varchar,
    primary key (site, channel, order_id));
create table if not exists progress (site varchar primary key, processed bigint);
create table if not exists expectation (
    site varchar, metric varchar, "window" bigint, value double, expected double,
    variance double, lower double, upper double, p_low double, p_high double, learning boolean);
create table if not exists incident (
    id varchar primary key, site varchar, cause varchar, subject varchar, severity varchar,
    began bigint, latest bigint, opened timestamp, resolved timestamp, sentence varchar);
create table if not exists notice (
    incident varchar, receiver varchar, event varchar, sentence varchar, status varchar,
    attempts bigint, next_try timestamp, detail varchar,
    primary key (incident, receiver, event));
"""


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
        self._floor = _open(folder / "floor.duckdb", _FLOOR)
        try:
            self._central = _open(folder / "central.duckdb", _CENTRAL)
        except StoreError:
            self._floor.close()
            raise
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

    def close(self) -> None:
        """Write everything to the files and let go of them."""
        self._floor.close()
        self._central.close()

    def _pair(self, folder: Path) -> None:
        rows = [
            database.execute("select pair, generation, schema_version from meta").fetchone()
            for database in (self._floor, self._central)
        ]
        if rows[0] is None and rows[1] is None:
            name = uuid.uuid4().hex
            for database in (self._floor, self._central):
                database.execute("insert into meta values (?, 1, ?)", [name, _SCHEMA_VERSION])
        elif rows[0] is None or rows[0] != rows[1]:
            self.close()
            raise StoreError(
                f"{folder}: floor.duckdb and central.duckdb are not of one set;"
                " restore both from the same backup"
            )
        elif rows[0][2] != _SCHEMA_VERSION:
            self.close()
            raise StoreError(
                f"{folder}: the files have schema {rows[0][2]}, not {_SCHEMA_VERSION};"
                " use the release that wrote them"
            )


def _open(path: Path, schema: str) -> duckdb.DuckDBPyConnection:
    try:
        database = duckdb.connect(str(path))
    except duckdb.IOException as error:
        if "Could not set lock" in str(error):
            words = "in use by another process; stop it first (`serve`, as a rule)"
            raise LockedError(f"{path}: {words}") from error
        raise StoreError(f"{path}: {error}; mend its rights, or restore a backup") from error
    except duckdb.Error as error:
        raise StoreError(f"{path}: not a usable database: {error}; restore a backup") from error
    database.execute("set global timezone = 'UTC'")  # of every cursor, too
    database.execute(schema)
    return database


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
