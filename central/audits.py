"""The devices' self-audits, kept beside the windows: how far an hour's counts can be believed.

A device sends the audits of its last hours with every `health`, again and again; each is kept once,
as it was sent last. As with events, only what its owner says of a line or zone is kept.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from central import windows
from central.store import Store
from edge import wire

HOUR = 3600 // windows.SECONDS
"""Windows in an hour."""


@dataclass(frozen=True)
class Audit:
    """A line's or zone's hour: what was counted, how far that can be believed (0 to 1), and why."""

    kind: str
    subject: str
    role: str
    device: str
    start: datetime
    count: int
    confidence: float
    checks: dict[str, float]


def keep(store: Store, site: str, device: str, audits: Sequence[wire.Audit]) -> bool:
    """Keep a device's audits; False, and none kept, where its layout is not known yet."""
    roles = {
        (kind, subject): role
        for kind, subject, role in store.floor()
        .execute(
            "select 'line', line, role from line where (site, device) = ($site, $device)"
            " union all"
            " select 'zone', zone, role from zone where (site, device) = ($site, $device)",
            {"site": site, "device": device},
        )
        .fetchall()
    }
    rows = [
        (
            *(site, device, each.kind, each.id, roles[each.kind, each.id]),
            windows.key(each.start) // HOUR * HOUR,
            *(each.count, each.confidence, json.dumps(each.checks)),
        )
        for each in audits
        if (each.kind, each.id) in roles
    ]
    if rows:
        with store.write() as cursor:
            cursor.executemany(
                "insert or replace into audit values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
    return bool(roles)


def listed(store: Store, site: str, start: datetime, stop: datetime) -> list[Audit]:
    """The audits of a site's hours that begin in [start, stop), the oldest first."""
    rows = (
        store.central()
        .execute(
            'select kind, subject, role, device, "window", count, confidence, checks from audit'
            ' where site = ? and "window" >= ? and "window" < ?'
            ' order by "window", kind, subject, device',
            [site, windows.key(start), windows.key(stop)],
        )
        .fetchall()
    )
    return [
        Audit(kind, subject, role, device, windows.start(window), count, sure, json.loads(checks))
        for kind, subject, role, device, window, count, sure, checks in rows
    ]
