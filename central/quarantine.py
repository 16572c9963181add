"""What could not be taken in, with its reason, until it is put right, dropped or too old.

Each file has a table of its own: messages of devices stand in `floor.duckdb`, online events in
`central.duckdb`. Bytes are bounded for each row and for each table; what finds no room is counted
by day in `overflow`. Nothing is in quarantine and among the events at once: a replay moves it in
one transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from central.config import CentralError
from central.intake.events import Intake
from central.store import Store

FLOOR, ONLINE = "floor", "online"
SHOWN_REASONS = 20
PER_COMMIT = 500
_WHERE = {FLOOR: "topic", ONLINE: "concat_ws(' ', site, channel, place)"}


class QuarantineError(CentralError):
    """There is no such thing in quarantine, or it cannot be put right from here."""


@dataclass(frozen=True)
class OnlineRow:
    """An online event in quarantine; `raw` holds all of its bytes."""

    id: int
    received: datetime
    site: str
    channel: str
    place: str
    raw: bytes


Take = Callable[[duckdb.DuckDBPyConnection, OnlineRow], str | None]
"""Takes an online event in, within the transaction given; returns why it is still refused, or
None. What it wrote is undone where it refuses."""


@dataclass(frozen=True)
class Entry:
    """One row, of which `raw` may be the beginning alone: `size` is what it was."""

    name: str
    received: datetime
    origin: str
    reason: str
    size: int
    raw: bytes

    @property
    def cut(self) -> bool:
        """Whether bytes are missing."""
        return self.size > len(self.raw)


@dataclass(frozen=True)
class Replayed:
    """How many were taken in, and why the others were not."""

    taken: int
    refused: dict[str, str]


def counts(store: Store) -> dict[str, int]:
    """How many there are by reason, the most frequent first, then by the alphabet."""
    found: dict[str, int] = {}
    for cursor in _cursors(store).values():
        query = "select reason, count(*) from quarantine group by all"
        for reason, number in cursor.execute(query).fetchall():
            found[reason] = found.get(reason, 0) + number
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def overflow(store: Store) -> int:
    """How many found no room, as long as that is remembered."""
    query = "select coalesce(sum(count), 0)::bigint from overflow"
    return sum(_one(cursor.execute(query)) for cursor in _cursors(store).values())


def entries(
    store: Store, names: Sequence[str] = (), *, reason: str = "", limit: int | None = None
) -> list[Entry]:
    """Rows by name, or those whose reason contains `reason`; the newest first.

    Raises QuarantineError for a name that there is not.
    """
    asked = [_parse(name) for name in names]
    wanted = {table: [number for each, number in asked if each == table] for table in _WHERE}
    found = []
    for table, cursor in _cursors(store).items():
        rows = cursor.execute(
            f"select id, received, {_WHERE[table]}, reason, size, raw from quarantine"
            " where contains(reason, $reason) and ($all or list_contains($ids, id))"
            " order by received desc, id desc limit $limit",
            {
                "reason": reason,
                "all": not names,
                "ids": wanted[table],
                "limit": 2**62 if limit is None else limit,
            },
        ).fetchall()
        found += [Entry(f"{table}-{number}", *rest) for number, *rest in rows]
    absent = set(names) - {entry.name for entry in found}
    if absent:
        raise QuarantineError(f"{', '.join(sorted(absent))}: not in quarantine; see `list`")
    found.sort(key=lambda entry: entry.received, reverse=True)
    return found[:limit]


def drop(store: Store, names: Sequence[str]) -> int:
    """Delete rows for good; returns how many there were."""
    gone = 0
    for name in names:
        table, number = _parse(name)
        query = "delete from quarantine where id = ?"
        if table == FLOOR:
            gone += _one(store.floor().execute(query, [number]))
        else:
            with store.write() as cursor:
                gone += _one(cursor.execute(query, [number]))
    return gone


def replay(store: Store, intake: Intake, names: Sequence[str], take: Take) -> Replayed:
    """Try again to take rows in, each exactly once.

    What is still wrong stays, with its new reason and its old age. `take` is for online events.
    """
    found = entries(store, names)
    refused = {
        entry.name: f"cut off: {len(entry.raw):,} of {entry.size:,} bytes were kept; drop it"
        for entry in found
        if entry.cut
    }
    whole = [_parse(entry.name) for entry in reversed(found) if not entry.cut]
    floor = [number for table, number in whole if table == FLOOR]
    for begin in range(0, len(floor), PER_COMMIT):
        problems = intake.replay(floor[begin : begin + PER_COMMIT])
        refused |= {f"{FLOOR}-{number}": reason for number, reason in problems.items()}
    for number in (number for table, number in whole if table == ONLINE):
        problem = _replay_online(store, number, take)
        refused |= {f"{ONLINE}-{number}": problem} if problem else {}
    return Replayed(len(found) - len(refused), refused)


class _StillRefusedError(Exception):
    pass


def _replay_online(store: Store, number: int, take: Take) -> str | None:
    try:
        with store.write() as cursor:
            row = cursor.execute(
                "delete from quarantine where id = ?"
                " returning id, received, site, channel, place, raw",
                [number],
            ).fetchone()
            problem = take(cursor, OnlineRow(*row)) if row else None
            if problem is not None:
                raise _StillRefusedError(problem)
    except _StillRefusedError as refusal:
        reason = str(refusal)
    except duckdb.OperationalError:
        raise
    except duckdb.Error as error:
        reason = f"the database refuses it: {error}"
    else:
        return None
    with store.write() as cursor:
        cursor.execute("update quarantine set reason = ? where id = ?", [reason, number])
    return reason


def _cursors(store: Store) -> dict[str, duckdb.DuckDBPyConnection]:
    return {FLOOR: store.floor(), ONLINE: store.central()}


def _parse(name: str) -> tuple[str, int]:
    table, _, number = name.partition("-")
    if table not in _WHERE or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise QuarantineError(f"{name}: no name of this kind; they look like floor-12, online-7")
    return table, int(number)


def _one(result: duckdb.DuckDBPyConnection) -> Any:
    row = result.fetchone()
    return row[0] if row else 0
