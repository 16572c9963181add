"""What one transaction of the intake holds, and how it is written.

Events, quarantine, devices and the intervals of their numbers are in the file together, or none.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import duckdb
import msgspec

from central import gaps, ledger
from central.intake import claims, columns, rejects
from central.intake.columns import EpochKey
from central.store import utc
from edge import wire

Device = tuple[str, str]
_layout = msgspec.json.Decoder(wire.Layout)
_QUARANTINE = ("received", "topic", "site", "device", "epoch", "first", "count", "reason")


class Message(NamedTuple):
    """A payload and where it came in; `decoded` is the batch in it, where that is read already."""

    topic: str
    payload: bytes
    decoded: wire.Decoded | None = None


@dataclass
class Commit:
    now: datetime
    since: datetime | None = None
    claimed: list[tuple[wire.Header, list[ledger.Interval]]] = field(default_factory=list)
    held: dict[EpochKey, ledger.Intervals] = field(default_factory=dict)
    rows: dict[type[wire.Event], columns.Rows] = field(
        default_factory=lambda: defaultdict(columns.Rows)
    )
    quarantine: list[tuple[Any, ...]] = field(default_factory=list)
    health: dict[Device, wire.Health] = field(default_factory=dict)
    numbered: list[gaps.Numbered] = field(default_factory=list)
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
        since = self.since or utc(self.now)
        self.quarantine.append((since, message.topic, *place, *numbers, reason, raw))

    def taken(self) -> int:
        """How many events and layouts."""
        return sum(len(rows.events) for rows in self.rows.values()) + len(self.layouts)

    def refused(self, message: Message, reason: str) -> "Commit":
        """The same claims, with the message in quarantine instead of what it brought."""
        refused = Commit(
            self.now,
            held=self.held,
            due=self.due,
            batches=self.batches,
            duplicates=self.duplicates,
        )
        for header, fresh in self.claimed:
            for first, last in fresh:
                whole = wire.Rejected(first, last - first + 1, reason, message.payload)
                refused.reject(message, reason, header, whole)
        if not self.claimed:
            refused.reject(message, reason)
        return refused


def write(cursor: duckdb.DuckDBPyConnection, commit: Commit) -> None:
    """Write all of it; the caller's transaction."""
    for kind, rows in commit.rows.items():
        columns.append(cursor, kind, rows, commit.now.date())
    if commit.held:
        columns.claim(cursor, commit.held)
    gaps.remember(cursor, commit.numbered, commit.now)
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
        rejects.keep(cursor, commit.now.date(), _QUARANTINE, commit.quarantine)


def _write_layout(
    cursor: duckdb.DuckDBPyConnection, device: Device, layout: wire.Layout, commit: Commit
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
                reason = claims.reason(table, place.id, owner[0])
                # It is retained, so it comes again and again.
                known = cursor.execute(
                    "select 1 from quarantine where (topic, reason) = (?, ?)",
                    [message.topic, reason],
                ).fetchone()
                if not known:
                    commit.reject(message, reason)
                continue
            row = [site, place.id, name, place.floor, place.name, place.role, list(place.cameras)]
            cursor.execute(
                f"insert or replace into {table} values (?, ?, ?, ?, ?, ?, ?, true)", row
            )
