"""What came in online into the store: each event once, each batch one transaction.

Nothing here knows of a network: `http` and `imports` bring the calls.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from central import forgotten, windows
from central.config import Config, ShopifyShop, WriteKey
from central.intake import batches, identity, orders, rejects, segment
from central.intake.batches import RefusedError
from central.intake.segment import KINDS, Event, Kind, Source
from central.store import Store, utc

BATCH = "/v1/batch"
REASONS_TOLD_APART = 1_000
NAMES_LISTED = 1_000
Note = Callable[[duckdb.DuckDBPyConnection], object]


@dataclass(frozen=True)
class Refused:
    """What could not be taken; `raw` is a call that can be taken at `place` once it can be read."""

    source: Source
    place: str
    reason: str
    raw: bytes
    received: datetime


@dataclass
class Arrived:
    """What was read and waits for the store; of each event, what is kept if it is refused."""

    events: list[Event] = field(default_factory=list)
    raw: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(
        self,
        body: bytes,
        source: Source,
        received: datetime,
        place: str,
        *,
        kind: Kind | None = None,
        kept: bytes | None = None,
        envelope: batches.Envelope | None = None,
        position: int = 0,
        believed: bool = False,
    ) -> None:
        """Read a call, or refuse it. kept: what quarantine holds instead of the call alone."""
        raw = body if kept is None else kept
        try:
            event = segment.read(
                body,
                source,
                received,
                kind=kind,
                envelope=envelope,
                position=position,
                believed=believed,
            )
        except RefusedError as error:
            self.refused.append(Refused(source, place, str(error), raw, received))
        else:
            self.events.append(event)
            self.raw.append((place, raw))

    def add_batch(self, body: bytes, source: Source, received: datetime) -> str | None:
        """Read the calls of a batch; returns why none of them could be."""
        try:
            envelope = batches.split(body)
        except RefusedError as error:
            self.refused.append(Refused(source, BATCH, str(error), body, received))
            return str(error)
        for position, raw in enumerate(envelope.batch):
            call = bytes(raw)
            self.add(
                call,
                source,
                received,
                BATCH,
                kept=batches.alone(envelope, call),
                envelope=envelope,
                position=position,
            )
        return None


class Quarantined(Protocol):
    """A row of the quarantine, with all of its bytes."""

    @property
    def received(self) -> datetime: ...
    @property
    def site(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def raw(self) -> bytes: ...


@dataclass
class Taken:
    """What became of what arrived."""

    events: int = 0
    duplicates: int = 0
    orders: int = 0
    forgotten: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Taken") -> None:
        """Count both together."""
        self.events += other.events
        self.duplicates += other.duplicates
        self.orders += other.orders
        self.forgotten += other.forgotten
        for reason, count in other.refused.items():
            known = reason in self.refused or len(self.refused) < REASONS_TOLD_APART
            self.refused[reason if known else "other reasons"] += count


class OnlineIntake:
    """Takes events in; all of it may be called from any thread.

    `take` and `replay` raise StoreError where people were forgotten and the key of their hashes is
    lost.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self.store, self._config = store, config
        self._changed: int | None = 0
        self._lock = threading.Lock()
        self.tally = Taken()

    def source(self, key: WriteKey | ShopifyShop) -> Source:
        """Whose calls a key brings."""
        return Source(key.site, key.channel, self._config.site(key.site).currency)

    def key(self, written: str) -> WriteKey | None:
        """The settings of a write key, if there is such a key."""
        sent = written.encode("utf-8", "surrogatepass")
        keys = self._config.write_keys
        return next((key for key in keys if secrets.compare_digest(key.key.encode(), sent)), None)

    def shopify(self, site: str) -> ShopifyShop | None:
        """The settings of a Shopify shop, if there is such a shop."""
        return next((shop for shop in self._config.shopify if shop.site == site), None)

    def take(self, arrived: Arrived, note: Note | None = None) -> Taken:
        """Commit what arrived; events of known (site, channel, message) and orders add nothing.

        note: what else belongs to the transaction.
        Where the database refuses the events together they are taken one by one, and the one that
        it refuses alone is quarantined. Raises duckdb.Error where it takes nothing at all.
        """
        try:
            taken, first = self._write(arrived, note)
        except duckdb.OperationalError:
            # The disk or the memory, not the events: they must come again.
            raise
        except duckdb.Error as error:
            if not arrived.events:
                raise
            taken, first = self._write(self._one_by_one(arrived, str(error)), note)
        self._remember(taken, first)
        return taken

    def _one_by_one(self, arrived: Arrived, reason: str) -> Arrived:
        """What is left to take when each event that can be taken alone was."""
        refused = list(arrived.refused)
        for event, (place, raw) in zip(arrived.events, arrived.raw, strict=True):
            try:
                self._remember(*self._write(Arrived([event], [(place, raw)]), None))
            except duckdb.OperationalError:
                raise
            except duckdb.Error as error:
                words = f"the database refuses it: {error}"
                refused.append(Refused(event.source, place, words, raw, event.received))
        return Arrived(refused=refused)

    def _write(self, arrived: Arrived, note: Note | None) -> tuple[Taken, int | None]:
        taken, changed = Taken(), list[datetime]()
        sources = {event.source[:2] for event in arrived.events}
        with self.store.write() as cursor:
            refused = list(arrived.refused)
            for place in sources:
                pairs = [
                    (event, raw)
                    for event, raw in zip(arrived.events, arrived.raw, strict=True)
                    if event.source[:2] == place
                ]
                times, unfit, counts = _keep(cursor, [event for event, _ in pairs])
                taken.add(counts)
                changed += times
                refused += [
                    Refused(event.source, *_place(event, reason, pairs), event.received)
                    for event, reason in unfit
                ]
            quarantine(cursor, refused)
            if note:
                note(cursor)
        taken.refused.update(each.reason for each in refused)
        return taken, windows.key(min(changed)) if changed else None

    def _remember(self, taken: Taken, first: int | None) -> None:
        with self._lock:
            self.tally.add(taken)
        if first is not None:
            self.change(first)

    def replay(self, cursor: duckdb.DuckDBPyConnection, row: Quarantined) -> str | None:
        """Take in again what was in quarantine, in the caller's transaction.

        Returns why it is still refused; the caller undoes what was written then.
        """
        source = Source(row.site, row.channel, self._config.site(row.site).currency)
        received = row.received.replace(tzinfo=UTC)
        arrived = Arrived()
        kind = next((kind for kind in KINDS if row.place == f"/v1/{kind}"), None)
        if kind:
            arrived.add(row.raw, source, received, row.place, kind=kind)
        elif row.place == BATCH:
            arrived.add_batch(row.raw, source, received)
        else:
            return f"{row.place}: mend the file, or the sender, and let it be sent again"
        if arrived.refused:
            return arrived.refused[0].reason
        changed, unfit, taken = _keep(cursor, arrived.events)
        if unfit:
            return unfit[0][1]
        self._remember(taken, windows.key(min(changed)) if changed else None)
        return None

    def change(self, window: int) -> None:
        """Remember that the events or orders of a window are not those that were counted."""
        with self._lock:
            self._changed = window if self._changed is None else min(window, self._changed)

    def changed(self) -> int | None:
        """The first window that has had events since the last call; None without any."""
        with self._lock:
            changed, self._changed = self._changed, None
            return changed


def names(store: Store) -> list[dict[str, Any]]:
    """What was kept, counted by site, channel, kind and name; `known` are names of the spec."""
    rows = store.central().execute(
        'select site, channel, kind, name, count(*), min("time"), max("time") from online'
        " group by all order by 5 desc, 1, 2, 3, 4 limit ?",
        [NAMES_LISTED],
    )
    return [
        {
            **dict(zip(("site", "channel", "kind", "name", "count"), row[:5], strict=True)),
            "known": row[2] != "track" or row[3] in segment.NAMES,
            "first": row[5].replace(tzinfo=UTC),
            "last": row[6].replace(tzinfo=UTC),
        }
        for row in rows.fetchall()
    ]


def _place(
    event: Event, reason: str, pairs: list[tuple[Event, tuple[str, bytes]]]
) -> tuple[str, str, bytes]:
    place, raw = next(kept for each, kept in pairs if each is event)
    return place, reason, raw


def _keep(
    cursor: duckdb.DuckDBPyConnection, events: Sequence[Event]
) -> tuple[list[datetime], list[tuple[Event, str]], Taken]:
    """Events of one site and channel: what times changed, which are unfit, and the counts."""
    site = events[0].source.site
    allowed, gone = _without_forgotten(cursor, events)
    distinct: dict[str, Event] = {}
    for event in allowed:
        distinct.setdefault(event.message_id, event)
    moved = _link(cursor, site, distinct.values())
    people = identity.persons(cursor, site, {e.own_id for e in distinct.values() if e.own_id})
    cursor.register("arrived", _table(list(distinct.values()), people))
    rows = cursor.execute(
        "insert or ignore into online select * from arrived returning message_id"
    ).fetchall()
    cursor.unregister("arrived")
    new = {name for (name,) in rows}
    fresh = [event for event in distinct.values() if event.message_id in new]
    kept, unfit = orders.keep_events(cursor, [*fresh, *gone])
    for event, _ in unfit:
        cursor.execute(
            "delete from online where site = ? and channel = ? and message_id = ?",
            [*event.source[:2], event.message_id],
        ).fetchall()
    taken = Taken(
        events=len(fresh) - len(unfit),
        duplicates=len(allowed) - len(fresh),
        orders=len(kept),
        forgotten=len(events) - len(allowed),
    )
    return [*moved, *(event.time for event in (*fresh, *gone))], unfit, taken


def _without_forgotten(
    cursor: duckdb.DuckDBPyConnection, events: Sequence[Event]
) -> tuple[list[Event], list[Event]]:
    """The events without those of people who were forgotten, and the orders of these."""
    identities = {i for e in events for i in (e.user_id, e.anonymous_id) if i is not None}
    gone = forgotten.among(cursor, identities)
    if not gone:
        return list(events), []
    kept, orphans = [], []
    for event in events:
        if event.own_id in gone or (event.kind == "alias" and event.anonymous_id in gone):
            if event.order:
                # Money was paid and must stay in the sums; of whom is not known any more.
                orphans.append(replace(event, region=None, postcode=None))
        elif event.anonymous_id in gone:
            kept.append(replace(event, anonymous_id=None))  # a browser that was shared
        else:
            kept.append(event)
    return kept, orphans


def _link(cursor: duckdb.DuckDBPyConnection, site: str, events: Iterable[Event]) -> list[datetime]:
    """Keep what events say of who is who; returns since when others are counted for a person."""
    pairs: dict[tuple[str, str], Event] = {}
    for event in events:
        if event.kind in ("identify", "alias") and event.anonymous_id and event.user_id:
            pairs[event.anonymous_id, event.user_id] = event
    if not pairs:
        return []
    since = utc(min(event.received for event in pairs.values()))
    changed = identity.link(cursor, site, pairs, since)
    moved = identity.attribute(cursor, site, changed)
    return [moved.replace(tzinfo=UTC)] if moved else []


def quarantine(cursor: duckdb.DuckDBPyConnection, refused: Iterable[Refused]) -> None:
    """Keep what was refused, as far as there is room; what is the same stands there once."""
    known = (
        "select 1 from quarantine"
        " where (site, channel, place, size, raw) = ($1, $2, $3, $4, $5::blob)"
    )
    rows: dict[tuple[str, str, str, bytes], tuple[object, ...]] = {}
    for each in refused:
        place = each.source.site, each.source.channel, each.place
        kept = each.raw[: rejects.RAW_BYTES]
        if not cursor.execute(known, [*place, len(each.raw), kept]).fetchall():
            rows[*place, each.raw] = (utc(each.received), *place, each.reason, each.raw)
    columns = ("received", "site", "channel", "place", "reason")
    rejects.keep(cursor, datetime.now(UTC).date(), columns, list(rows.values()))


def _table(events: list[Event], people: dict[str, str]) -> pa.Table:
    stamp, text, flag = pa.timestamp("us"), pa.string(), pa.bool_()
    columns = {
        "site": ([event.source.site for event in events], text),
        "channel": ([event.source.channel for event in events], text),
        "message_id": ([event.message_id for event in events], text),
        "kind": ([event.kind for event in events], text),
        "name": ([event.name for event in events], text),
        "time": ([utc(event.time) for event in events], stamp),
        "received": ([utc(event.received) for event in events], stamp),
        "person": ([people.get(event.own_id or "") for event in events], text),
        "anonymous_id": ([event.anonymous_id for event in events], text),
        "user_id": ([event.user_id for event in events], text),
        "group_id": ([event.group_id for event in events], text),
        "campaign": ([event.campaign for event in events], text),
        "region": ([event.region for event in events], text),
        "postcode": ([event.postcode for event in events], text),
        "store": ([event.store for event in events], text),
        "fulfilment": ([event.fulfilment for event in events], text),
        "analytics": ([event.consent[0] for event in events], flag),
        "ads": ([event.consent[1] for event in events], flag),
        "personalization": ([event.consent[2] for event in events], flag),
        "properties": ([event.properties for event in events], text),
    }
    return pa.table({name: pa.array(*values) for name, values in columns.items()})
