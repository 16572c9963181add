"""Messages of the contract into the store, each event exactly once.

Nothing here knows of a network: `mqtt` brings the messages and takes the acknowledgements.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import duckdb
import msgspec

from central import gaps, ledger
from central.intake import claims, columns
from central.intake.columns import EpochKey
from central.intake.commit import Commit, Device, Message, write
from central.store import Store, transaction
from edge import wire

STATE_BYTES = 1024 * 1024
"""What a layout, health, status or gauge may have; the contract bounds batches alone."""
GAUGES_PER_DEVICE = 1_000
REASONS_TOLD_APART = 1_000

_health = msgspec.json.Decoder(wire.Health)
_layout = msgspec.json.Decoder(wire.Layout)
_status = msgspec.json.Decoder(wire.Status)
_gauge = msgspec.json.Decoder(wire.Gauge)
_event: msgspec.json.Decoder[wire.Event] = msgspec.json.Decoder(wire.Event)
State = TypeVar("State", wire.Health, wire.Layout, wire.Status, wire.Gauge)


def read(topic: str, payload: bytes) -> Message:
    """A message with its batch decoded, so that the thread that commits need not do that."""
    parts = wire.parse_topic(topic)
    batch = parts is not None and parts.kind == "events"
    return Message(topic, payload, wire.decode(payload) if batch else None)


@dataclass(frozen=True)
class Quarantined:
    """A row of the quarantine, with all of its bytes.

    With `first` it holds the numbers `first` to `first + count - 1` of an epoch, and is a batch or
    one event; else nothing was claimed, and it is a message as it came.
    """

    id: int
    received: datetime
    topic: str
    site: str | None
    device: str | None
    epoch: str | None
    first: int | None
    count: int | None
    raw: bytes


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
        self._foreign: dict[Device, Mapping[wire.Place, str]] = {}
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
            parts = list(_parts(messages))
            if len(parts) > 1:
                return set().union(*map(self.take, parts))
            commit = Commit(datetime.now(UTC))
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

    def replay(self, numbers: Sequence[int]) -> dict[int, str]:
        """Try again to take in rows of the quarantine; returns why which is still refused, by id.

        A row leaves the quarantine in the transaction in which its events come into the store.
        What is still wrong with it stays, with its new reason and its old age.
        """
        with self._lock:
            found = self._floor.execute(
                "select id, received, topic, site, device, epoch, first, count, raw"
                " from quarantine where list_contains(?, id) order by id",
                [numbers],
            ).fetchall()
            rows = [Quarantined(*row) for row in found]
            # What is not claimed yet may be there twice: the second must know of the first. And
            # a layout may say that the events are in order.
            problems: dict[int, str] = {}
            claimed = [row for row in rows if row.first is not None]
            for group in (*([row] for row in rows if row.first is None), claimed):
                problems |= self._replay(group)
        return problems

    def _replay(self, rows: Sequence[Quarantined]) -> dict[int, str]:
        commit = Commit(datetime.now(UTC))
        refused: dict[int, str] = {}
        left: dict[int, str] = {}
        for row in rows:
            commit.since = row.received
            before, taken = len(commit.quarantine), commit.taken()
            problem = self._sort_again(row, commit)
            reasons = _reasons(commit.quarantine[before:])
            if problem or (reasons and commit.taken() == taken):
                refused[row.id] = problem or reasons
                del commit.quarantine[before:]
            elif reasons:
                left[row.id] = reasons
        gone = [row.id for row in rows if row.id not in refused]
        if gone:
            try:
                with transaction(self._floor):
                    self._floor.execute("delete from quarantine where list_contains(?, id)", [gone])
                    write(self._floor, commit)
            except duckdb.OperationalError:
                raise
            except Exception as error:
                if len(rows) > 1:
                    return {key: why for row in rows for key, why in self._replay([row]).items()}
                refused[gone[0]] = f"the database refuses it: {error}"
            else:
                if commit.layouts:
                    left |= dict.fromkeys(gone, _reasons(commit.quarantine))
                self._remember(commit)
        if refused:
            self._floor.executemany(
                "update quarantine set reason = ? where id = ?",
                [(reason, number) for number, reason in refused.items()],
            )
        return refused | {number: reason for number, reason in left.items() if reason}

    def _sort_again(self, row: Quarantined, commit: Commit) -> str | None:
        message = Message(row.topic, row.raw)
        topic = wire.parse_topic(row.topic)
        if row.first is None or row.count is None:
            if topic and topic.kind == "layout":
                known = self._layout(topic.site, topic.device)
                message = message._replace(payload=known) if known else message
            elif topic and topic.kind != "events":
                return f"an old {topic.kind}: the device has sent newer ones since; drop it"
            self._sort(message, commit)
            return None
        key = str(row.site), str(row.device), str(row.epoch)
        header = wire.Header(wire.VERSION, *key, row.first, row.count)
        decoded = wire.decode(row.raw)
        events, bad = decoded.events, decoded.rejected
        if decoded.header is None or _key(decoded.header) != key:
            try:
                events, bad = [(row.first, _event.decode(row.raw))], []
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                return str(error)
        last = row.first + row.count - 1
        events = [(number, event) for number, event in events if row.first <= number <= last]
        others = tuple(ledger.missing(((row.first, last),), 0, 2**53))
        self._sort_events(message, header, events, bad, others, commit)
        return None

    def _layout(self, site: str, device: str) -> bytes | None:
        rows = self._floor.execute(
            "select layout from device where (site, device) = (?, ?) and layout is not null",
            [site, device],
        ).fetchall()
        return rows[0][0].encode() if rows else None

    def _write(self, commit: Commit) -> None:
        with transaction(self._floor):
            write(self._floor, commit)

    def _remember(self, commit: Commit) -> None:
        # First of all, so that no one who sees a new `through` takes the windows for current.
        self.dirty |= bool(commit.rows or commit.layouts)
        if commit.layouts:
            self._foreign = {}
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

    def _sort(self, message: Message, commit: Commit) -> None:
        topic = wire.parse_topic(message.topic)
        if topic is None or topic.device == wire.CENTRAL:
            return
        try:
            device = msgspec.convert((topic.site, topic.device), tuple[wire.Slug, wire.DeviceName])
            if topic.kind == "events":
                self._sort_batch(topic, message, commit)
            elif topic.kind == "health":
                health = _state(_health, message)
                since = self.received.get(device, commit.now)
                commit.numbered += gaps.named(device, self.health.get(device), health, since)
                commit.health[device] = health
                commit.due.add(device)
            elif topic.kind == "layout":
                commit.layouts[device] = _state(_layout, message)
            elif topic.kind == "status":
                commit.online[device] = _state(_status, message).state == "online"
            elif topic.kind == "occupancy" and message.payload:
                self._sort_gauge((*device, topic.name), _state(_gauge, message), commit)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            commit.reject(message, str(error))

    def _sort_gauge(self, zone: tuple[str, str, str], gauge: wire.Gauge, commit: Commit) -> None:
        if zone not in self.gauges and zone not in commit.gauges:
            known = self.gauges.keys() | commit.gauges.keys()
            if sum(each[:2] == zone[:2] for each in known) >= GAUGES_PER_DEVICE:
                raise msgspec.ValidationError(f"more than {GAUGES_PER_DEVICE} zones with a gauge")
        commit.gauges[zone] = gauge

    def _sort_batch(self, topic: wire.Topic, message: Message, commit: Commit) -> None:
        decoded = message.decoded or wire.decode(message.payload)
        header = decoded.header
        if header is None:
            commit.reject(message, decoded.rejected[0].reason)
            return
        if (header.site, header.device) != (topic.site, topic.device):
            # Nothing is claimed: one device must not be able to spend another's numbers.
            commit.reject(message, f"says it is from {header.site}/{header.device}")
            return
        key = _key(header)
        held = commit.held.get(key) or self.held(key)
        last = header.first + header.count - 1
        fresh = ledger.missing(held, header.first, last)
        commit.held[key] = ledger.add(held, header.first, last)
        commit.due.add((header.site, header.device))
        commit.batches += 1
        commit.duplicates += header.count - ledger.size(fresh)
        if not fresh:
            return
        commit.claimed.append((header, fresh))
        self._sort_events(message, header, decoded.events, decoded.rejected, held, commit)
        if decoded.batch and decoded.batch.clock == "unsynced":
            commit.unsynced.add((header.site, header.device))

    def _sort_events(
        self,
        message: Message,
        header: wire.Header,
        events: Sequence[tuple[int, wire.Event]],
        rejected: Sequence[wire.Rejected],
        held: ledger.Intervals,
        commit: Commit,
    ) -> None:
        """What is not held yet of a batch to the rows, or to quarantine."""
        key = _key(header)
        fresh = ledger.missing(held, header.first, header.first + header.count - 1)
        whole = ledger.size(fresh) == header.count
        device = key[:2]
        if device not in self._foreign:
            self._foreign[device] = claims.foreign(self._floor, *device)
        foreign = self._foreign[device]
        for sequence, event in events:
            if whole or any(first <= sequence <= last for first, last in fresh):
                place = claims.place(event) if foreign else None
                if place and place in foreign:
                    reason = claims.reason(*place, foreign[place])
                    bad = wire.Rejected(sequence, 1, reason, wire.encode(event))
                    commit.reject(message, reason, header, bad)
                else:
                    rows = commit.rows[type(event)]
                    rows.keys.append(key)
                    rows.numbers.append(sequence)
                    rows.events.append(event)
        for bad in rejected:
            # Only the numbers that are fresh, or a replay would bring others a second time.
            for first, last in ledger.missing(held, bad.first, bad.first + bad.count - 1):
                part = replace(bad, first=first, count=last - first + 1)
                commit.reject(message, bad.reason, header, part)

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


def _parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut before events that follow a layout: it says whose lines they name."""
    begin, layout = 0, False
    for number, message in enumerate(messages):
        kind = message.topic.rpartition("/")[2]
        if kind == "events" and layout:
            yield messages[begin:number]
            begin, layout = number, False
        layout |= kind == "layout"
    yield messages[begin:]


def _key(header: wire.Header) -> EpochKey:
    return header.site, header.device, header.epoch


def _reasons(quarantine: Sequence[tuple[Any, ...]]) -> str:
    return "; ".join(str(row[7]) for row in quarantine)


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
