"""Both files as one set, copied while others write, and brought back."""

import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from central import windows
from central.backup import KEY, BackupError, backup, restore
from central.intake.events import Intake
from central.store import REPLACED, Store, StoreError
from tests.central import device
from tests.central.device import EPOCH, SITE, batch, event, health, layout

NOW = datetime(2026, 11, 24, 13, 1, 46, 5_000, tzinfo=UTC)
KEY_OF_SET = (SITE, "door-1", EPOCH)


def footfall(store: Store) -> float:
    row = store.central().execute("select sum(value) from partial where measure = 'footfall'")
    return float((row.fetchone() or [0])[0] or 0)


def crossings(first: int, count: int) -> list[object]:
    return [event(number) for number in range(first, first + count)]


def test_a_set_comes_back_and_what_it_lacks_is_sent_again(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copies" / "monday"
    store = Store(data)
    intake = Intake(store)
    intake.take([layout({"entrance": "entrance"}), batch(0, crossings(0, 10))])
    windows.rebuild(store, 24, datetime.now(UTC))
    (data / KEY).write_bytes(b"secret")
    saved = backup(store, copy, NOW)
    assert saved.generation == 20261124130146005
    assert saved.size == sum(file.stat().st_size for file in copy.iterdir())
    assert {file.name for file in copy.iterdir()} == {"floor.duckdb", "central.duckdb", KEY}
    assert copy.stat().st_mode & 0o777 == 0o700
    intake.take([batch(10, crossings(10, 10))])
    windows.rebuild(store, 24, datetime.now(UTC))
    assert footfall(store) == 20
    store.close()
    (data / KEY).unlink()
    done = restore(copy, data)
    assert (done.generation, done.replaced) == (saved.generation, True)
    assert (data / KEY).read_bytes() == b"secret"
    assert (data / KEY).stat().st_mode & 0o777 == 0o600
    there = {"floor.duckdb", "central.duckdb", KEY, REPLACED}
    assert {file.name for file in data.iterdir()} == there
    store = Store(data)
    intake = Intake(store)
    assert footfall(store) == 10
    # The device sends all that it still has.
    intake.take([batch(0, crossings(0, 10)), batch(10, crossings(10, 10))])
    windows.rebuild(store, 24, datetime.now(UTC))
    assert device.numbers(store) == list(range(20))
    assert footfall(store) == 20
    store.close()
    older = Store(data / REPLACED)
    assert footfall(older) == 20
    older.close()


def test_files_of_different_copies_are_refused(tmp_path: Path) -> None:
    """Live with copy, copy with later copy, restored with its copy, restored with restored."""
    store = Store(tmp_path / "live")
    for number in (1, 2):
        backup(store, tmp_path / f"copy-{number}", NOW + timedelta(milliseconds=number))
    store.close()
    for number in (1, 2):
        restore(tmp_path / "copy-1", tmp_path / f"restored-{number}")
    folders = ["live", "copy-1", "copy-2", "restored-1", "restored-2"]
    for one in folders:
        for other in folders:
            mixed = tmp_path / "mixed"
            shutil.rmtree(mixed, ignore_errors=True)
            mixed.mkdir()
            shutil.copy(tmp_path / one / "floor.duckdb", mixed)
            shutil.copy(tmp_path / other / "central.duckdb", mixed)
            if one == other:
                Store(mixed).close()
                continue
            with pytest.raises(StoreError, match="not of one set"):
                Store(mixed)
            with pytest.raises(BackupError, match="not of one set"):
                restore(mixed, tmp_path / "target")
    assert not list((tmp_path / "target").iterdir())


def test_what_is_no_backup_leaves_the_data_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Store(data).close()
    before = {file: file.read_bytes() for file in data.iterdir()}
    broken = tmp_path / "broken"
    broken.mkdir()
    with pytest.raises(BackupError, match=r"no floor\.duckdb and no central\.duckdb"):
        restore(broken, data)
    for name in ("floor", "central"):
        (broken / f"{name}.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(BackupError, match=f"{broken}.*not a valid DuckDB database"):
        restore(broken, data)
    assert {file: file.read_bytes() for file in data.iterdir()} == before
    store = Store(data)
    with pytest.raises(BackupError, match="exists already"):
        backup(store, broken, NOW)
    (tmp_path / "file").touch()
    with pytest.raises(BackupError, match="name another folder"):
        backup(store, tmp_path / "file" / "copy", NOW)
    backup(store, tmp_path / "ann's copy", NOW)
    store.close()


def test_a_damaged_set_is_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = Store(data)
    backup(store, tmp_path / "copy", NOW)
    store.close()
    (data / "central.duckdb").write_bytes(b"")
    (data / "floor.duckdb").write_bytes(b"rubbish" * 9999)
    (data / "floor.duckdb.wal").write_bytes(b"rubbish")
    restore(tmp_path / "copy", data)
    Store(data).close()


def test_an_older_release_s_backup_is_brought_forward(tmp_path: Path) -> None:
    from central import schema

    for name, first in (("floor", schema.FLOOR[0]), ("central", schema.CENTRAL[0])):
        with duckdb.connect(tmp_path / f"{name}.duckdb") as database:
            database.execute(first)
            database.execute("create table meta as select 'pair' as pair, 1 as generation")
            database.execute("alter table meta add column schema_version bigint default 1")
    before = (tmp_path / "floor.duckdb").read_bytes()
    restore(tmp_path, tmp_path / "data")
    store = Store(tmp_path / "data")
    versions = store.central().execute("select schema_version from meta").fetchall()
    assert versions == [(len(schema.CENTRAL),)]
    store.close()
    assert (tmp_path / "floor.duckdb").read_bytes() == before


def test_a_set_in_use_is_not_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = Store(data)
    backup(store, tmp_path / "copy", NOW)
    store.close()
    script = (
        "import pathlib, sys; from central.store import Store;"
        "store = Store(pathlib.Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(BackupError, match="stop `serve` first"):
            restore(tmp_path / "copy", data)
        holder.communicate("")
    assert not (data / REPLACED).exists()


def test_a_restore_cut_short_is_refused_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    store = Store(data)
    backup(store, tmp_path / "copy", NOW)
    with store.write() as cursor:
        cursor.execute("insert into progress values ('leeds', 7)")
    store.close()
    replace = Path.replace

    def stop(path: Path, target: Path) -> Path:
        if path.name == "central.duckdb":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "copy", data)
    with pytest.raises(StoreError, match="not of one set"):
        Store(data)
    restore(tmp_path / "copy", data)
    Store(data).close()
    older = Store(data / REPLACED)
    assert older.central().execute("from progress").fetchall() == [("leeds", 7)]
    older.close()


def test_a_copy_made_while_others_write_is_of_one_moment(tmp_path: Path) -> None:
    """Each copy: windows count no event that its ledger lacks, and events are as the ledger says.

    Events go on coming, windows are rebuilt, and rows with keys are replaced meanwhile.
    """
    store = Store(tmp_path / "data")
    intake = Intake(store)
    intake.take([layout({"entrance": "entrance"})])
    stop, failures = threading.Event(), list[Exception]()

    def take() -> None:
        number = 0
        while not stop.is_set():
            try:
                sent = health({EPOCH: number + 10}, {"door": NOW})
                intake.take([batch(number, crossings(number, 10)), sent])
            except Exception as error:
                failures.append(error)
                return
            number += 10

    def rebuild() -> None:
        while not stop.is_set():
            try:
                windows.rebuild(store, 24, datetime.now(UTC))
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=each) for each in (take, rebuild)]
    for thread in threads:
        thread.start()
    copies = [tmp_path / f"copy-{number}" for number in range(6)]
    for number, copy in enumerate(copies):
        backup(store, copy, NOW + timedelta(seconds=number))
    stop.set()
    for thread in threads:
        thread.join()
    store.close()
    assert failures == []
    sizes = []
    for copy in copies:
        found = Store(copy)
        held = Intake(found).held(KEY_OF_SET)
        numbers = device.numbers(found)
        assert numbers == list(range(len(numbers)))
        assert held == (((0, len(numbers) - 1),) if numbers else ())
        assert footfall(found) <= len(numbers)
        windows.rebuild(found, 24, datetime.now(UTC))
        assert footfall(found) == len(numbers)
        sizes.append(len(numbers))
        found.close()
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
