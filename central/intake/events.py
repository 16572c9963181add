"""Messages of the contract into the store, each event exactly once.

Nothing here knows of a network: `mqtt` brings the messages and takes the acknowledgements.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import duckdb
import msgspec

from central import ledger
from central.intake import columns
from central.intake.columns import EpochKey
from central.store import Store, transaction, utc
from edge import wire

Device = tuple[str, str]
RAW_BYTES_KEPT = 4_096
STATE_BYTES = 1024 * 1024
"""What a layout, health, status or gauge may have; the contract bounds batches alone."""
GAUGES_PER_DEVICE = 1_000
REASONS_TOLD_APART = 1_000

_health = msgspec.json.Decoder(wire.Health)
_layout = msgspec.json.Decoder(wire.Layout)
_status = msgspec.json.Decoder(wire.Status)
_gauge = msgspec.json.Decoder(wire.Gauge)
State = TypeVar("State", wire.Health, wire.Layout, wire.Status, wire.Gauge)


class Message(NamedTuple):
    """A payload and where it came in; `decoded` is the batch in it, where that is read already."""

    topic: str
    payload: bytes
    decoded: wire.Decoded | None = None


def read(topic: str, payload: bytes) -> Message:
    """A message with its batch decoded, so that the thread that commits need not do that."""
    parts = wire.parse_topic(topic)
    batch = parts is not None and parts.kind == "events"
    return Message(topic, payload, wire.decode(payload) if batch else None)


@dataclass
class Tally:
    """What came in since the start."""

    batches: int = 0
    events: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    def quarantine(self, reason: str) -> None:
        """Count a reason; reasons beyond the first thousand are counted together."""
        known = reason in self.quarantined or len(self.quarantined) < REASONS_TOLD_APART
        self.quarantined[reason if known else "other reasons"] += 1


class Intake:
    """Takes messages in, exactly once; all of it may be called from any thread.

    What is known of the devices can be read while messages are taken, and nobody who reads it
    waits for that: what others iterate over is replaced and never changed.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._floor = store, store.floor()
        self._lock = threading.RLock()
        self._held: dict[EpochKey, ledger.Intervals] = {}
        self._active: dict[Device, frozenset[str]] = {}
        self.tally = Tally()
        self.health: dict[Device, wire.Health] = {}
        self.received: dict[Device, datetime] = {}
        self.gauges: dict[tuple[str, str, str], wire.Gauge] = {}
        self.online: dict[Device, bool] = {}
        self.dirty = True
        rows = self._floor.execute(
            "select site, device, health, health_received from device where health is not null"
        ).fetchall()
        for site, device, health, received in rows:
            self.health[site, device] = _health.decode(health)
            self.received[site, device] = received.replace(tzinfo=UTC)
            self._active[site, device] = frozenset(self.health[site, device].epochs)

    def take(self, messages: Sequence[Message]) -> set[Device]:
        """Commit the messages; returns the devices whose acknowledgement is due.

        Events, quarantine and intervals are one transaction. Where the database refuses the
        messages together they are taken one by one, and the one that it refuses alone is
        quarantined, so that it cannot hold up the others.

        Raises duckdb.Error where the database takes nothing at all; nothing was taken then.
        """
        with self._lock:
            commit = _Commit(datetime.now(UTC))
            for message in messages:
                self._sort(message, commit)
            try:
                self._write(commit)
            except duckdb.OperationalError:
                # The disk or the memory, not the message: it must come again.
                raise
            except Exception as error:
                if len(messages) > 1:
                    return set().union(*(self.take([message]) for message in messages))
                commit = commit.refused(messages[0], f"the database refuses it: {error}")
                self._write(commit)
            self._remember(commit)
        return commit.due

    def _write(self, commit: "_Commit") -> None:
        with transaction(self._floor):
            _write(self._floor, commit)

    def _remember(self, commit: "_Commit") -> None:
        # First of all, so that no one who sees a new `through` takes the windows for current.
        self.dirty |= bool(commit.rows or commit.layouts)
        self._held.update(commit.held)
        for device, health in commit.health.items():
            self._active[device] = frozenset(health.epochs)
        for site, name, epoch in commit.held:
            self._active[site, name] = self._active.get((site, name), frozenset()) | {epoch}
        self.received = self.received | dict.fromkeys(commit.health, commit.now)
        self.health = self.health | commit.health
        self.gauges = self.gauges | commit.gauges
        self.online = self.online | commit.online
        self.tally.batches += commit.batches
        self.tally.duplicates += commit.duplicates
        self.tally.events.update(
            {columns.table(kind): len(rows.events) for kind, rows in commit.rows.items()}
        )
        for row in commit.quarantine:
            self.tally.quarantine(row[7])

    def _sort(self, message: Message, commit: "_Commit") -> None:
        topic = wire.parse_topic(message.topic)
        if topic is None or topic.device == wire.CENTRAL:
            return
        try:
            device = msgspec.convert((topic.site, topic.device), tuple[wire.Slug, wire.DeviceName])
            if topic.kind == "events":
                self._sort_batch(topic, message, commit)
            elif topic.kind == "health":
                commit.health[device] = _state(_health, message)
                commit.due.add(device)
            elif topic.kind == "layout":
                commit.layouts[device] = _state(_layout, message)
            elif topic.kind == "status":
                commit.online[device] = _state(_status, message).state == "online"
            elif topic.kind == "occupancy" and message.payload:
                self._sort_gauge((*device, topic.name), _state(_gauge, message), commit)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            commit.reject(message, str(error))

    def _sort_gauge(self, zone: tuple[str, str, str], gauge: wire.Gauge, commit: "_Commit") -> None:
        if zone not in self.gauges and zone not in commit.gauges:
            known = self.gauges.keys() | commit.gauges.keys()
            if sum(each[:2] == zone[:2] for each in known) >= GAUGES_PER_DEVICE:
                raise msgspec.ValidationError(f"more than {GAUGES_PER_DEVICE} zones with a gauge")
        commit.gauges[zone] = gauge

    def _sort_batch(self, topic: wire.Topic, message: Message, commit: "_Commit") -> None:
        decoded = message.decoded or wire.decode(message.payload)
        header = decoded.header
        if header is None:
            commit.reject(message, decoded.rejected[0].reason)
            return
        if (header.site, header.device) != (topic.site, topic.device):
            # Nothing is claimed: one device must not be able to spend another's numbers.
            commit.reject(message, f"says it is from {header.site}/{header.device}")
            return
        key = header.site, header.device, header.epoch
        held = commit.held.get(key) or self.held(key)
        last = header.first + header.count - 1
        fresh = ledger.missing(held, header.first, last)
        commit.held[key] = ledger.add(held, header.first, last)
        commit.due.add((header.site, header.device))
        commit.batches += 1
        commit.duplicates += header.count - ledger.size(fresh)
        if not fresh:
            return
        whole = ledger.size(fresh) == header.count
        for sequence, event in decoded.events:
            if whole or any(first <= sequence <= last for first, last in fresh):
                rows = commit.rows[type(event)]
                rows.keys.append(key)
                rows.numbers.append(sequence)
                rows.events.append(event)
        for bad in decoded.rejected:
            end = bad.first + bad.count - 1
            if whole or any(first <= end and bad.first <= last for first, last in fresh):
                commit.reject(message, bad.reason, header, bad)
        if decoded.batch and decoded.batch.clock == "unsynced":
            commit.unsynced.add((header.site, header.device))

    def held(self, key: EpochKey) -> ledger.Intervals:
        """The intervals held of (site, device, epoch)."""
        known = self._held.get(key)
        if known is None:
            row = (
                self._store.floor()
                .execute(
                    "select firsts, lasts from ledger where (site, device, epoch) = (?, ?, ?)", key
                )
                .fetchone()
            )
            # What was committed meanwhile is there already, and newer.
            known = self._held.setdefault(key, tuple(zip(*row, strict=True)) if row else ())
        return known

    def ack(self, device: Device) -> wire.Ack:
        """What is held of the epochs that the device named, and of those that came since."""
        epochs = self._active.get(device, frozenset())
        return wire.Ack(wire.VERSION, {epoch: self.held((*device, epoch)) for epoch in epochs})

    def holes(self, device: Device) -> list[tuple[str, ledger.Interval]]:
        """What a device has numbered and central does not have: epochs and intervals."""
        return [
            (epoch, hole)
            for epoch, following in self.health[device].epochs.items()
            for hole in ledger.gaps(self.held((*device, epoch)), following)
        ]

    def gaps(self) -> dict[Device, int]:
        """How many events a device has numbered and central does not have, by device."""
        return {
            device: ledger.size([hole for _, hole in self.holes(device)]) for device in self.health
        }


@dataclass
class _Commit:
    now: datetime
    held: dict[EpochKey, ledger.Intervals] = field(default_factory=dict)
    rows: dict[type[wire.Event], columns.Rows] = field(
        default_factory=lambda: defaultdict(columns.Rows)
    )
    quarantine: list[tuple[Any, ...]] = field(default_factory=list)
    health: dict[Device, wire.Health] = field(default_factory=dict)
    layouts: dict[Device, wire.Layout] = field(default_factory=dict)
    online: dict[Device, bool] = field(default_factory=dict)
    unsynced: set[Device] = field(default_factory=set)
    gauges: dict[tuple[str, str, str], wire.Gauge] = field(default_factory=dict)
    due: set[Device] = field(default_factory=set)
    batches: int = 0
    duplicates: int = 0

    def reject(
        self,
        message: Message,
        reason: str,
        header: wire.Header | None = None,
        bad: wire.Rejected | None = None,
    ) -> None:
        place = (header.site, header.device, header.epoch) if header else (None, None, None)
        numbers = (bad.first, bad.count) if bad else (None, None)
        raw = bad.raw if bad else message.payload
        kept = len(raw), raw[:RAW_BYTES_KEPT]
        self.quarantine.append((utc(self.now), message.topic, *place, *numbers, reason, *kept))

    def refused(self, message: Message, reason: str) -> "_Commit":
        """The same claims, with the message in quarantine instead of what it brought."""
        claims = _Commit(
            self.now,
            held=self.held,
            due=self.due,
            batches=self.batches,
            duplicates=self.duplicates,
        )
        claims.reject(message, reason)
        return claims


def _state(decoder: msgspec.json.Decoder[State], message: Message) -> State:
    size = len(message.payload)
    if size > STATE_BYTES:
        raise msgspec.ValidationError(f"{size} bytes, of at most {STATE_BYTES}")
    state = decoder.decode(message.payload)
    if state.v != wire.VERSION:
        raise msgspec.ValidationError(
            f"version {state.v} of the contract, of which {wire.VERSION} is known"
        )
    return state


def _write(cursor: duckdb.DuckDBPyConnection, commit: _Commit) -> None:
    for kind, rows in commit.rows.items():
        columns.append(cursor, kind, rows, commit.now.date())
    if commit.held:
        columns.claim(cursor, commit.held)
    for device, health in commit.health.items():
        cursor.execute(
            "insert into device (site, device, health, health_received) values (?, ?, ?, ?)"
            " on conflict do update set health = excluded.health,"
            " health_received = excluded.health_received",
            [*device, wire.encode(health).decode(), utc(commit.now)],
        )
    for device, online in commit.online.items():
        cursor.execute(
            "insert into device (site, device, status, status_received) values (?, ?, ?, ?)"
            " on conflict do update set status = excluded.status,"
            " status_received = excluded.status_received",
            [*device, "online" if online else "offline", utc(commit.now)],
        )
    for device in commit.unsynced:
        cursor.execute("update device set unsynced = true where (site, device) = (?, ?)", device)
    for device, layout in commit.layouts.items():
        _write_layout(cursor, device, layout, commit)
    if commit.quarantine:
        cursor.executemany(
            "insert into quarantine (received, topic, site, device, epoch, first, count, reason,"
            " size, raw) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            commit.quarantine,
        )


def _write_layout(
    cursor: duckdb.DuckDBPyConnection, device: Device, layout: wire.Layout, commit: _Commit
) -> None:
    site, name = device
    known = cursor.execute(
        "select layout from device where (site, device) = (?, ?) and layout is not null", device
    ).fetchone()
    if known is None or _layout.decode(known[0]).config != layout.config:
        # The first layout is no change: what was imported before it may teach the baseline.
        cursor.execute(
            "insert into device (site, device, layout, layout_since) values (?, ?, ?, ?)"
            " on conflict do update set layout = excluded.layout,"
            " layout_since = excluded.layout_since",
            [site, name, wire.encode(layout).decode(), utc(commit.now) if known else None],
        )
    message = Message(str(wire.Topic(site, name, "layout")), wire.encode(layout))
    for table, places in (("line", layout.lines), ("zone", layout.zones)):
        # What is no longer watched keeps its role, for the events that came before.
        cursor.execute(f"update {table} set current = false where (site, device) = (?, ?)", device)
        for place in places:
            owner = cursor.execute(
                f"select device from {table} where (site, {table}) = (?, ?) and current",
                [site, place.id],
            ).fetchone()
            if owner:
                reason = f"{table} {place.id} belongs to {owner[0]}; give this one another id"
                commit.reject(message, reason)
                continue
            row = [site, place.id, name, place.floor, place.name, place.role, list(place.cameras)]
            cursor.execute(
                f"insert or replace into {table} values (?, ?, ?, ?, ?, ?, ?, true)", row
            )
