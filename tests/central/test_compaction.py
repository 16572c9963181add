"""Files shrink to what they hold, and hold the same."""

from pathlib import Path

import pytest

from central import compaction
from central.compaction import compact
from central.store import FILES, Store


def fill(data: Path, kept: int) -> None:
    store = Store(data)
    with store.write() as cursor:
        cursor.execute(
            'insert into partial (part, site, measure, subject, "window", value)'
            " select md5(range::varchar), md5((range + 1)::varchar), 'footfall', 'door', range, 1"
            " from range(200000)"
        )
        cursor.execute("insert into progress values ('leeds', 7)")
        cursor.execute("insert into quarantine (reason, raw) select 'why', 'x'::blob from range(5)")
    with store.write() as cursor:
        cursor.execute('delete from partial where "window" >= ?', [kept])
    store.close()


def test_a_file_shrinks_and_holds_the_same(tmp_path: Path) -> None:
    fill(tmp_path, kept=7)
    before = {name: (tmp_path / f"{name}.duckdb").stat().st_size for name in FILES}
    done = {each.file: each for each in compact(tmp_path)}
    central = done["central.duckdb"]
    assert central.before == before["central"]
    assert central.after == (tmp_path / "central.duckdb").stat().st_size
    assert central.after < central.before / 4
    assert {file.name for file in tmp_path.iterdir()} == {"floor.duckdb", "central.duckdb"}
    store = Store(tmp_path)
    assert store.central().execute("select count(*) from partial").fetchall() == [(7,)]
    with store.write() as cursor:
        # Keys and counters are those of before.
        cursor.execute("insert or replace into progress values ('leeds', 8)")
        cursor.execute("insert into quarantine (reason) values ('next')")
    assert store.central().execute("from progress").fetchall() == [("leeds", 8)]
    assert store.central().execute("select max(id) from quarantine").fetchall() == [(6,)]
    store.close()


def test_what_is_not_worth_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, kept=0)
    assert compact(tmp_path, only_if_worth=True) == []
    monkeypatch.setattr(compaction, "LEAST_BYTES", 1_000_000)
    assert [each.file for each in compact(tmp_path, only_if_worth=True)] == ["central.duckdb"]
    assert compact(tmp_path, only_if_worth=True) == []
    assert compact(tmp_path / "nowhere") == []
