"""The outbox: numbered batches on disk until central has kept them for long enough.

SQLite in WAL mode with `synchronous=FULL`: what `append` returned from is on the disk. An event
has a sequence number from that moment on, and never before.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge import wire
from edge.config import EdgeError

_SCHEMA = """
create table if not exists batch (
    id integer primary key autoincrement,
    epoch text not null,
    first integer not null,
    count integer not null,
    config text not null,
    model text not null,
    clock text not null,
    events blob not null,
    acknowledged real,
    unique (epoch, first)
);
create index if not exists waiting on batch (id) where acknowledged is null;
create table if not exists lost (events integer not null);
insert into lost select 0 where not exists (select 1 from lost);
"""

Intervals = tuple[tuple[int, int], ...]
_HEADROOM = 1024
"""Bytes kept free in a batch for its header."""


class OutboxError(EdgeError):
    """The outbox's file cannot be used; shown to the user without a traceback."""

    exit_code = 2


class Outbox:
    """Batches of one device. Safe to call from several threads; one process at a time."""

    def __init__(
        self,
        folder: Path,
        site: str,
        device: str,
        *,
        keep_seconds: float = 86_400.0,
        max_bytes: int = 200 * 2**20,
    ) -> None:
        self.epoch = secrets.token_hex(8)
        self._site, self._device = site, device
        self._keep_seconds, self._max_bytes = keep_seconds, max_bytes
        self._next = 0
        self._known: dict[str, Intervals] = {}
        self._lock = threading.Lock()
        self._path = path = folder / "outbox.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=2, check_same_thread=False)
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            fix = "is another agent using this `state` folder? give each its own"
            if "locked" not in str(error):
                fix = "check that the `state` folder exists, is writable and has room"
            raise OutboxError(f"{path}: {error}; {fix}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; a disk that takes nothing is told as what it is."""
        with self._lock:
            try:
                with self._db:
                    yield
            except sqlite3.Error as error:
                raise OutboxError(f"{self._path}: {error}; make room on the disk") from error

    def append(
        self, events: Iterable[wire.Event], *, config: str, model: str, clock: wire.Clock
    ) -> None:
        """Number the events and keep them, in batches no larger than the contract allows.

        Raises OutboxError where the disk does not take them; none of them has a number then.
        """
        rows: list[tuple[str, int, int, str, str, str, bytes]] = []
        with self._writing():
            first = self._next
            for bodies in _fill([wire.encode(event) for event in events]):
                body = b"[" + b",".join(bodies) + b"]"
                rows.append((self.epoch, first, len(bodies), config, model, clock, body))
                first += len(bodies)
            self._db.executemany(
                "insert into batch (epoch, first, count, config, model, clock, events)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._db.commit()
            self._next = first

    def waiting(self, limit: int) -> list[int]:
        """The outbox's own ids of the oldest `limit` batches that are not acknowledged."""
        with self._lock:
            rows = self._db.execute(
                "select id from batch where acknowledged is null order by id limit ?", (limit,)
            )
            return [identity for (identity,) in rows]

    def still_waiting(self, ids: Iterable[int]) -> set[int]:
        """Those of `ids` that are still not acknowledged."""
        query = "select 1 from batch where id = ? and acknowledged is null"
        with self._lock:
            return {i for i in ids if self._db.execute(query, (i,)).fetchone()}

    def payload(self, identity: int) -> bytes | None:
        """A batch as it is published, or None where it is gone."""
        query = "select epoch, first, count, config, model, clock, events from batch where id = ?"
        with self._lock:
            row = self._db.execute(query, (identity,)).fetchone()
        if row is None:
            return None
        *header, events = row
        names = ("epoch", "first", "count", "config", "model", "clock")
        return wire.encode(
            {
                "v": wire.VERSION,
                "site": self._site,
                "device": self._device,
                **dict(zip(names, header, strict=True)),
                "sent": datetime.now(UTC),
                "events": msgspec.Raw(events),
            }
        )

    def acknowledge(self, ack: wire.Ack) -> None:
        """Take over what central says that it holds.

        A batch that it once held and holds no more (it was restored from an older copy) waits
        again. An epoch that is not named is one of which central holds nothing.
        """
        now = datetime.now(UTC).timestamp()
        with self._writing():
            for (epoch,) in self._db.execute("select distinct epoch from batch").fetchall():
                held = ack.epochs.get(epoch, ())
                self._db.executemany(
                    "update batch set acknowledged = ? where epoch = ? and acknowledged is null"
                    " and first >= ? and first + count - 1 <= ?",
                    [(now, epoch, first, last) for first, last in held],
                )
                if not _within(self._known.get(epoch), held):
                    self._wait_again(epoch, held)
                self._known[epoch] = held

    def _wait_again(self, epoch: str, held: Intervals) -> None:
        rows = self._db.execute(
            "select id, first, count from batch where epoch = ? and acknowledged is not null",
            (epoch,),
        ).fetchall()
        self._db.executemany(
            "update batch set acknowledged = null where id = ?",
            [
                (identity,)
                for identity, start, count in rows
                if not any(first <= start and start + count - 1 <= last for first, last in held)
            ],
        )

    def prune(self) -> int:
        """Forget what was acknowledged long enough ago, and what the disk has no room for.

        Returns the events lost so far because the outbox was full: acknowledged batches go
        first, then the oldest that wait; their sequence numbers stay a gap that central sees.
        """
        horizon = datetime.now(UTC).timestamp() - self._keep_seconds
        with self._writing():
            self._db.execute("delete from batch where acknowledged < ?", (horizon,))
            while (excess := self._bytes() - self._max_bytes) > 0:
                dropped = 0
                rows = self._db.execute(
                    "select id, count, acknowledged is null, length(events) from batch"
                    " order by acknowledged is null, id"
                )
                for identity, count, waits, size in rows.fetchmany(100):
                    self._db.execute("delete from batch where id = ?", (identity,))
                    self._db.execute("update lost set events = events + ?", (count * waits,))
                    dropped += size
                    if dropped >= excess:
                        break
                if not dropped:
                    break
            lost: int = self._db.execute("select events from lost").fetchone()[0]
        return lost

    def _bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def epochs(self) -> dict[str, int]:
        """The next sequence number of every epoch in the outbox, the current one included."""
        with self._lock:
            rows = self._db.execute("select epoch, max(first + count) from batch group by epoch")
            return {**dict(rows.fetchall()), self.epoch: self._next}

    def close(self) -> None:
        """Close the file; waits for nothing."""
        with self._lock:
            self._db.close()


def _fill(bodies: Sequence[bytes]) -> Iterable[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        full = size + len(body) + 1 > wire.MAX_BYTES - _HEADROOM
        if batch and (full or len(batch) == wire.MAX_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body) + 1
    if batch:
        yield batch


def _within(old: Intervals | None, new: Intervals) -> bool:
    """Whether everything in `old` is in `new`; what is not known yet is not."""
    return old is not None and all(
        any(first <= start and stop <= last for first, last in new) for start, stop in old
    )
