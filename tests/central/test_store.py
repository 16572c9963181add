"""The two files: one set, one process, and nothing half done."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from central import schema
from central.store import LockedError, Store, StoreError, transaction, utc

HOLD = """
import sys, pathlib
from central.store import Store
store = Store(pathlib.Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_files_of_two_sets_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Store(tmp_path / name).close()
    shutil.copy(tmp_path / "two" / "central.duckdb", tmp_path / "one" / "central.duckdb")
    with pytest.raises(StoreError, match="not of one set; restore both from the same backup"):
        Store(tmp_path / "one")


def test_half_a_set_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "central.duckdb").unlink()
    with pytest.raises(StoreError, match="not of one set"):
        Store(tmp_path)


def test_files_of_another_schema_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for cursor in (store.floor(), store.central()):
        cursor.execute("update meta set schema_version = 99")
    store.close()
    with pytest.raises(StoreError, match=r"schema 99, .* use the release that wrote it"):
        Store(tmp_path)


def older(folder: Path, version: int) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """Files as the release of a version left them, two rows in every table; what stands in them."""
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    for name, migrations in FILES.items():
        with duckdb.connect(folder / f"{name}.duckdb") as database:
            for migration in migrations[:version]:
                database.execute(migration)
            for (table,) in database.execute("select name from (show tables)").fetchall():
                columns = database.execute(
                    "select column_name, data_type from duckdb_columns() where table_name = ?"
                    " and (table_name, column_name) <> ('quarantine', 'id')",  # it counts
                    [table],
                ).fetchall()
                names = ", ".join(f'"{column}"' for column, _ in columns)
                for row in (1, 2):
                    values = ", ".join(
                        f"cast({VALUES[kind](row)} as {kind})" for _, kind in columns
                    )
                    database.execute(f"insert into {table} ({names}) values ({values})")
                query = f"select {names} from {table} order by all"
                found.setdefault(name, {})[query] = database.execute(query).fetchall()
            database.execute("create table meta (pair varchar, generation bigint)")
            database.execute("insert into meta values ('pair', 1)")
            database.execute(f"alter table meta add column schema_version bigint default {version}")
    return found


FILES = {"floor": schema.FLOOR, "central": schema.CENTRAL}
VALUES: dict[str, Callable[[int], str]] = {
    "VARCHAR": lambda row: f"'row {row}'",
    "VARCHAR[]": lambda row: f"['a', 'b{row}']",
    "BIGINT": str,
    "SMALLINT": str,
    "BIGINT[]": lambda row: f"[{row}, 9]",
    "DOUBLE": lambda row: f"{row}.5",
    "DOUBLE[][]": lambda row: f"[[{row}.5, 1], [2, 3]]",
    "TIMESTAMP": lambda row: f"'2026-01-0{row}'",
    "DATE": lambda row: f"'2026-01-0{row}'",
    "BOOLEAN": lambda row: str(row == 1),
    "BLOB": lambda row: f"'raw {row}'",
}


@pytest.mark.parametrize("version", range(1, len(schema.FLOOR)))
def test_files_of_every_earlier_version_are_brought_forward(tmp_path: Path, version: int) -> None:
    before = older(tmp_path, version)
    assert all(len(rows) == 2 for queries in before.values() for rows in queries.values())
    for _ in range(2):
        store = Store(tmp_path)
        for name, cursor in (("floor", store.floor()), ("central", store.central())):
            versions = cursor.execute("select pair, schema_version from meta").fetchall()
            assert versions == [("pair", len(FILES[name]))]
            for query, rows in before[name].items():
                assert cursor.execute(query).fetchall() == rows, query
        found = store.floor().execute("select id, size, raw from quarantine order by id")
        sizes = (5, 5) if version == 1 else (1, 2)
        assert found.fetchall() == [(1, sizes[0], b"raw 1"), (2, sizes[1], b"raw 2")]
        bins = store.central().execute("select distinct bin from partial order by 1").fetchall()
        assert bins == ([(0,)] if version == 1 else [(1,), (2,)])
        if version < 3:
            told = store.central().execute("select latest, pushed, children, sure from incident")
            assert sorted(told.fetchall()) == [(1, 1, [], False), (2, 2, [], False)]
        store.close()
    # It goes on where it was: keys hold, and the next refusal has the next number.
    store = Store(tmp_path)
    with pytest.raises(duckdb.ConstraintException):
        store.floor().execute(
            "insert into ledger (site, device, epoch) values ('row 1', 'row 1', 'row 1')"
        )
    if version < 2:
        store.floor().execute("insert into quarantine (reason) values ('next')")
        assert store.floor().execute("select max(id) from quarantine").fetchall() == [(3,)]
    store.close()


def test_both_files_have_as_many_versions() -> None:
    assert len(schema.FLOOR) == len(schema.CENTRAL)


def test_a_migration_that_fails_leaves_the_version_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path).close()
    with monkeypatch.context() as patch:
        broken = "create table half (n int); insert into nowhere values (1);"
        patch.setattr(schema, "CENTRAL", (*schema.CENTRAL, broken))
        with pytest.raises(duckdb.Error, match="nowhere"):
            Store(tmp_path)
    store = Store(tmp_path)
    assert ("half",) not in store.central().execute("show tables").fetchall()
    store.close()


def test_files_in_use_are_refused_with_the_fix(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(LockedError, match=r"floor\.duckdb: in use by another process; stop it"):
            Store(tmp_path)
        holder.communicate("")
    Store(tmp_path).close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "floor.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"floor\.duckdb: .*restore a backup"):
        Store(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose another `data` folder"):
        Store(tmp_path / "file" / "data")


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    row = "insert into progress values ('leeds', 1)"

    def write() -> None:
        with store.write() as cursor:
            cursor.execute(row)
            raise KeyError

    def write_floor() -> None:
        with transaction(store.floor()) as cursor:
            cursor.execute("insert into device (site, device) values ('leeds', 'door')")
            raise KeyError

    for writing in (write, write_floor):
        with pytest.raises(KeyError):
            writing()
    assert store.central().execute("select * from progress").fetchall() == []
    assert store.floor().execute("select * from device").fetchall() == []
    with store.write() as cursor:
        cursor.execute(row)
    assert store.central().execute("select * from progress").fetchall() == [("leeds", 1)]


def test_no_connection_sees_both_files(store: Store) -> None:
    for cursor, own, other in (
        (store.floor(), "crossing", "orders"),
        (store.central(), "orders", "crossing"),
    ):
        tables = {name for (name,) in cursor.execute("select name from (show tables)").fetchall()}
        assert own in tables
        assert other not in tables


def test_readers_and_writers_do_not_meet(store: Store) -> None:
    """The same rows written over and over while others hold them open in a transaction."""
    stop, failures = threading.Event(), list[Exception]()

    def read() -> None:
        cursor = store.central()
        while not stop.is_set():
            try:
                with transaction(cursor):
                    cursor.execute("select * from progress").fetchall()
                    cursor.execute("select * from incident").fetchall()
            except Exception as error:
                failures.append(error)
                return

    def write(site: str) -> None:
        for number in range(40):
            try:
                with store.write() as cursor:
                    cursor.execute("insert or replace into progress values (?, ?)", [site, number])
                    cursor.execute(
                        "insert or replace into incident (id, site, sentence) values (?, ?, ?)",
                        [site, site, str(number)],
                    )
            except Exception as error:
                failures.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("leeds", "york")]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert failures == []
    found = store.central().execute("select site, processed from progress").fetchall()
    assert sorted(found) == [("leeds", 39), ("york", 39)]


def test_times_are_kept_as_naive_utc(store: Store) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert utc(noon) == datetime(2026, 7, 1, 10)
    row = store.floor().execute("select ?::timestamp", [datetime(2026, 7, 1, tzinfo=UTC)])
    assert row.fetchone() == (datetime(2026, 7, 1),)


def test_an_open_store_keeps_nobody_from_writing_the_log_into_the_file(tmp_path: Path) -> None:
    """A result that is not read to its end keeps its transaction open, and the log for ever."""
    Store(tmp_path).close()
    for name in ("floor", "central"):
        store = Store(tmp_path)
        cursor = getattr(store, name)()
        cursor.execute("create table more as select 1 as x").fetchall()
        cursor.execute("checkpoint").fetchall()
        cursor.execute("drop table more").fetchall()
        store.close()
