"""The guide to the features: its code runs on files that `features export` has written."""

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import docs.features
from central import export
from central.config import Config, Hours, Site
from central.dictionary import COLUMNS
from central.store import Store
from central.walks import ZONES, Shop
from tests.central import shop

PAGE = Path(__file__).parents[2] / "docs" / "use-the-features.md"
BLOCK = re.compile(r"```(python|sql)\n(.*?)```", re.DOTALL)
CONFIG = Config(sites=(Site(id=shop.SITE, hours=Hours(open=time(9), close=time(21))),))
DAYS = 10


def blocks(language: str) -> list[str]:
    return [code for written, code in BLOCK.findall(PAGE.read_text()) if written == language]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the features of a shop, released three times."""
    folder = tmp_path_factory.mktemp("features")
    store = Store(folder / "data")
    found = shop.cells(shop.people(Shop("shop", 300), DAYS)) + shop.seen(DAYS)
    shop.put(store, found)
    for day in (2, 7, DAYS):
        morning = shop.MONDAY + timedelta(days=day)
        shop.close(store, morning)
        export.release(store, CONFIG, morning)
    export.write(store, CONFIG, folder / "features")
    store.close()
    return folder


def run(code: str) -> dict[str, Any]:
    """What the names stand for in the end."""
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102
    return names


def query(sql: str) -> list[Any]:
    """The rows that a query finds."""
    found = duckdb.connect().sql(sql)
    assert found is not None
    # By Arrow: DuckDB's own times with a zone need pytz.
    return [tuple(row.values()) for row in found.to_arrow_table().to_pylist()]


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_pandas_sums_the_entries_of_each_day() -> None:
    entries = run(blocks("python")[0])["entries"]
    total = sum(
        value
        for (measure, _, _, _), value in shop.cells(shop.people(Shop("shop", 300), DAYS)).items()
        if measure == "footfall"
    )
    assert len(entries) == DAYS
    assert 0.9 * total < entries.sum() <= total


def test_polars_reads_the_engaged_share_of_the_hours() -> None:
    engaged = run(blocks("python")[1])["engaged"]
    assert engaged.height
    assert engaged["engaged_share"].is_between(0, 1).all()


def test_duckdb_and_the_point_in_time_join() -> None:
    newest, joined = blocks("sql")
    visits = query(newest)
    assert {zone for _, zone, _ in visits} == set(ZONES)
    assert all(count > 0 for _, _, count in visits)
    ((_, moment, entries, _, created),) = query(joined)
    assert entries >= 10
    assert created <= moment


def test_a_label_sees_only_what_was_there() -> None:
    known = run(blocks("python")[3])["known"]
    assert (known.created_timestamp <= known.time).all()
    assert known.created_timestamp.max().date() == (shop.MONDAY + timedelta(days=DAYS)).date()
    assert known.created_timestamp.min().date() == (shop.MONDAY + timedelta(days=2)).date()


def test_every_block_is_run() -> None:
    assert len(blocks("python")) == 4
    assert "pyspark" in blocks("python")[2]  # see spark_features.py
    assert len(blocks("sql")) == 2


def test_the_files_hold_the_columns_of_the_dictionary(folder: Path) -> None:
    for path in folder.glob("features/in_store/*/*.parquet"):
        names = query(f"describe from read_parquet('{path}', hive_partitioning = false)")
        assert [name for name, *_ in names] == [column.name for column in COLUMNS]


def test_the_dictionary_is_up_to_date() -> None:
    assert docs.features.PAGE.read_text() == docs.features.page(), "run `make features`"
