"""Questions in SQL reach what is open to them, and nothing else."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from central import schema, sql
from central.sql import Answer, SqlError
from central.store import Store

PRIVATE = "ann@example.com"
CLOSED = (
    *("person", "anonymous_id", "user_id", "group_id", "message_id", "postcode", "raw"),
    *("properties", "receiver", "detail", "hash", "one", "other", "track"),
)


@pytest.fixture
def full(store: Store) -> Store:
    """A row in every table of both files; what is private in it is an address."""
    for cursor in (store.floor(), store.central()):
        for (table,) in cursor.execute("select name from (show tables)").fetchall():
            if table == "meta":
                continue
            columns = cursor.execute(
                "select column_name, data_type from duckdb_columns() where table_name = ?", [table]
            ).fetchall()
            values = [value(name, kind) for name, kind in columns]
            names = ", ".join(f'"{name}"' for name, _ in columns)
            cursor.execute(f"insert into {table} ({names}) values ({', '.join(values)})")
    return store


def value(column: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"'{PRIVATE}'" if column in CLOSED else "'open'"
    return f"cast('{number(kind)}' as {kind})"


def number(kind: str) -> str:
    if kind.endswith("[]"):
        return "[]"
    return {
        "TIMESTAMP": "2026-01-01",
        "DATE": "2026-01-01",
        "BOOLEAN": "true",
        "BLOB": PRIVATE,
    }.get(kind, "7")


def test_every_open_table_can_be_read(full: Store) -> None:
    for table in sql.OPEN:
        assert len(sql.ask(full, f"from {table}").rows) == 1, table
    query = "select count(*) from partial a join partial b using (site) join orders on true"
    assert sql.ask(full, query).rows == [(1,)]


def test_who_somebody_is_is_not_open(full: Store) -> None:
    """Neither by name, nor by anything that lists what there is."""
    for table in sql.OPEN:
        assert PRIVATE not in str(sql.ask(full, f"from {table}").rows), table
    for name in CLOSED:
        for table in ("orders", "online", "notice", "quarantine"):
            with pytest.raises(SqlError, match="not found"):
                sql.ask(full, f"select {name} from {table}")
    shown = sql.ask(full, "select column_name from duckdb_columns() where not internal").rows
    assert ("site",) in shown
    assert not {column for (column,) in shown} & {*CLOSED, "epoch", "seq"}
    for secret in ("link", "forgotten"):
        with pytest.raises(SqlError, match="does not exist"):
            sql.ask(full, f"from {secret}")


def test_raw_floor_events_cannot_be_reached(full: Store) -> None:
    floor = full.folder / "floor.duckdb"
    tables = [row[0] for row in full.floor().execute("show tables").fetchall()]
    assert "crossing" in tables
    for table in {*tables} - sql.OPEN.keys():
        for name in (table, f"floor.{table}", f"main.{table}", f"floor.main.{table}"):
            with pytest.raises(SqlError, match=r"does not exist|not found"):
                sql.ask(full, f"select * from {name}")
    for query in (
        f"select * from '{floor}'",
        f"select * from read_blob('{floor}')",
        f"select * from read_duckdb('{floor}')",
        f"select * from glob('{full.folder}/*')",
        f"select * from query('from read_text(''{floor}'')')",
        "select * from read_csv('/etc/passwd')",
        "select * from full",
        "select * from duckdb_secrets()",
    ):
        with pytest.raises(SqlError):
            sql.ask(full, query)


@pytest.mark.parametrize(
    "statement",
    [
        "attach 'floor.duckdb' as floor",
        "attach ':memory:' as other",
        "copy orders to 'orders.csv'",
        "export database 'everything'",
        "install httpfs",
        "load json",
        "set enable_external_access = true",
        "reset lock_configuration",
        "pragma enable_profiling = 'json'",
        "pragma database_list",
        "call pragma_version()",
        "create table mine as select 1",
        "insert into orders select * from orders",
        "update orders set value = 0",
        "delete from orders",
        "drop view orders",
        "checkpoint",
        "begin",
        "prepare p as select 1",
        "select 1; select 2",
        "select 1; delete from orders",
        "",
        "-- nothing",
    ],
)
def test_only_one_statement_that_reads_is_run(store: Store, statement: str) -> None:
    with pytest.raises(SqlError, match="one statement that reads"):
        sql.ask(store, statement)


def test_locks_hold_without_the_look_at_the_statement(
    full: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with sql._locked(full) as database:
        for statement in (
            f"attach '{full.folder / 'floor.duckdb'}' as floor",
            f"copy orders to '{tmp_path / 'orders.csv'}'",
            "set enable_external_access = true",
            "set lock_configuration = false",
            "set threads = 8",
            "install httpfs",
        ):
            with pytest.raises(duckdb.Error):
                database.execute(statement)
    assert list(tmp_path.glob("*.csv")) == []


def test_what_describes_people_is_left_to_the_gate(store: Store) -> None:
    with store.write() as cursor:
        for measure in ("footfall", "dwell", "dwell_censored", "wait", "engaged", "visits"):
            cursor.execute(
                'insert into partial (part, site, measure, subject, "window", value)'
                " values ('x', 'leeds', ?, 'till', 1968000, 1)",
                [measure],
            )
    found = sql.ask(store, "select measure, start from partial order by measure").rows
    start = datetime(2026, 2, 16)
    assert found == [("footfall", start), ("visits", start)]


def test_mistakes_and_excess_are_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SqlError, match="syntax error"):
        sql.ask(store, "selct 1")
    with pytest.raises(SqlError, match=r"more than 100,000 rows; add a limit"):
        sql.ask(store, "select * from range(100001)")
    assert len(sql.ask(store, "select * from range(100000)").rows) == 100_000
    monkeypatch.setattr(sql, "SECONDS", 0.2)
    with pytest.raises(SqlError, match=r"stopped after 0\.2 s"):
        sql.ask(store, "select sum(a.range * b.range) from range(1000000) a, range(1000000) b")


def test_the_same_answer_in_three_forms() -> None:
    answer = Answer(
        ("site", "people", "share", "start", "note"),
        [
            ("leeds", 1234, 0.5, datetime(2026, 1, 1), 'say "hi", 😀\n'),
            ("york", None, float("nan"), None, None),
        ],
    )
    assert sql.write(answer, "table") == (
        "site   people  share  start                note\n"
        'leeds   1,234    0.5  2026-01-01T00:00:00  say "hi", 😀\n'
        "york             nan"
    )
    rows = list(csv.DictReader(io.StringIO(sql.write(answer, "csv"))))
    assert rows[0]["note"] == 'say "hi", 😀\n'
    assert rows[1] == {"site": "york", "people": "", "share": "nan", "start": "", "note": ""}
    assert json.loads(sql.write(answer, "json")) == [
        {
            "site": "leeds",
            "people": 1234,
            "share": 0.5,
            "start": "2026-01-01T00:00:00",
            "note": 'say "hi", 😀\n',
        },
        {"site": "york", "people": None, "share": None, "start": None, "note": None},
    ]


def test_open_columns_are_those_of_the_schema() -> None:
    """A column that was renamed would stop every question."""
    database = duckdb.connect()
    database.execute("create table meta (pair varchar, generation bigint, schema_version bigint)")
    for migration in schema.CENTRAL:
        database.execute(migration)
    for table, columns in sql.OPEN.items():
        database.execute(f"select {columns} from {table}")
