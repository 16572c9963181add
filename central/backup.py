"""Both files as one set: a copy while `serve` runs, and the way back.

A backup is what a SIGKILL at its moment would have left. Both files are read as they were at one
moment at which nobody was writing `central.duckdb`, so that no window in it counts an event that
the ledger beside it lacks; what comes in afterwards, the outboxes send again to the restored set.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from central.config import CentralError
from central.store import FILES, REPLACED, LockedError, Store, StoreError, quoted, transaction

KEY = "forget.key"
"""With it the hashes of those who were forgotten are made; it lies beside the files, if any."""
_STAGING = "restoring"


class BackupError(CentralError):
    """The set cannot be copied, or not be restored."""

    exit_code = 2


@dataclass(frozen=True)
class Saved:
    """A backup: its number (its moment, YYYYMMDDhhmmss and milliseconds) and size in bytes."""

    generation: int
    size: int


@dataclass(frozen=True)
class Restored:
    """What came back; whether older files were there, which lie in `replaced` now."""

    generation: int
    replaced: bool


def backup(store: Store, target: Path, now: datetime) -> Saved:
    """Copy both files to a new folder while they are in use. Raises BackupError.

    The folder is there when all is in it, and not before.
    """
    if target.exists():
        raise BackupError(f"{target}: exists already; name a new folder")
    generation = int(now.astimezone(UTC).strftime("%Y%m%d%H%M%S%f")[:-3])
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        _copy(store, unfinished, generation)
        if (store.folder / KEY).exists():
            _copy_file(store.folder / KEY, unfinished / KEY)
        unfinished.rename(target)
        sync(target.parent)
    except (OSError, duckdb.Error) as error:
        raise BackupError(f"{target}: {error}; make room, or name another folder") from error
    return Saved(generation, sum(file.stat().st_size for file in target.iterdir()))


def restore(source: Path, data: Path) -> Restored:
    """Put a backup in the place of both files. Raises BackupError.

    All that can fail happens beside them; they are replaced at the end, one after the other. A
    stop in between leaves two sets mixed, which is refused until the restore is repeated.
    """
    absent = [f"{name}.duckdb" for name in FILES if not (source / f"{name}.duckdb").is_file()]
    if absent:
        raise BackupError(f"{source}: no {' and no '.join(absent)}; name a backup's folder")
    usable = _usable(data)
    staging = data / _STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700, parents=True)
        for file in source.iterdir():
            if file.name == KEY or file.name.partition(".")[0] in FILES:
                _copy_file(file, staging / file.name)
        try:
            store = Store(staging)
        except StoreError as error:
            raise BackupError(str(error).replace(str(staging), str(source))) from error
        try:
            generation = store.rename()
        finally:
            store.close()
        replaced = _swap(data, staging, usable=usable)
    except OSError as error:
        raise BackupError(f"{data}: {error}; make room, and repeat the restore") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(generation, replaced)


def _copy(store: Store, folder: Path, generation: int) -> None:
    cursors = {"floor": store.floor(), "central": store.central()}
    pair = uuid.uuid4().hex
    with ExitStack() as stack:
        for name, cursor in cursors.items():
            stack.enter_context(_attached(cursor, folder / f"{name}.duckdb"))
        with store.writing:
            for cursor in cursors.values():
                stack.enter_context(transaction(cursor))
                # What a transaction sees is settled by its first look.
                cursor.execute("select generation from meta").fetchone()
        for name, cursor in cursors.items():
            cursor.execute(f"copy from database {name} to copied")
            cursor.execute(
                "update copied.meta set pair = ?, generation = ?",
                [pair, generation],
            )


@contextmanager
def _attached(cursor: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    cursor.execute(f"attach {quoted(path)} as copied")
    try:
        yield
    finally:
        cursor.execute("detach copied")


def _usable(data: Path) -> bool:
    """Whether there is a set to take the place of. Raises BackupError while it is in use."""
    if not any((data / f"{name}.duckdb").exists() for name in FILES):
        return False
    try:
        Store(data).close()
    except LockedError as error:
        raise BackupError(f"{data}: in use; stop `serve` first, and start it afterwards") from error
    except (StoreError, duckdb.Error):
        return False  # which is why it is restored
    return True


def _swap(data: Path, staging: Path, *, usable: bool) -> bool:
    """Replace the files by those staged; what was there is linked to `replaced` first."""
    names = (*(f"{name}.duckdb" for name in FILES), KEY)
    older = [data / name for name in names if (data / name).exists()]
    aside = data / REPLACED
    # After a restore that was cut short, the older set is there already.
    if older and (usable or not aside.exists()):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        for file in older:
            (aside / file.name).hardlink_to(file)
    for name in names:
        # A log of changes to the older file would be applied to the new one.
        (data / f"{name}.wal").unlink(missing_ok=True)
        if (staging / name).exists():
            (staging / name).replace(data / name)
    sync(data)
    return bool(older)


def _copy_file(source: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())


def sync(folder: Path) -> None:
    """Have a folder's names on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
