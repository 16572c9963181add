"""What a device says, as messages: batches, health and layout, in short words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from central.intake.events import Message
from central.store import Store
from edge import wire

SITE, DEVICE, EPOCH = "leeds", "door-1", "0123456789abcdef"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def event(number: int) -> wire.Crossing:
    """One of a thousand people, who come in a second apart."""
    moment = MONDAY + timedelta(seconds=number)
    return wire.Crossing("ground", "entrance", ("door",), moment, "in", f"{number:016x}")


def batch(
    first: int,
    events: Sequence[Any],
    /,
    *,
    site: str = SITE,
    device: str = DEVICE,
    epoch: str = EPOCH,
    topic_device: str = "",
    **changes: Any,
) -> Message:
    """A batch of contract events, or of anything else that JSON can hold."""
    body = {
        "v": wire.VERSION,
        "site": site,
        "device": device,
        "epoch": epoch,
        "first": first,
        "count": len(events),
        "sent": MONDAY,
        "config": "",
        "model": "",
        "clock": "synced",
        "events": events,
    }
    return message("events", body | changes, site=site, device=topic_device or device)


def health(
    epochs: Mapping[str, int],
    through: Mapping[str, datetime],
    *,
    site: str = SITE,
    device: str = DEVICE,
    clock: wire.Clock = "synced",
) -> Message:
    """A device's health: the next number of each epoch, and each camera's `through`."""
    cameras = {
        name: wire.CameraHealth(moment, "ok", frames=0, fps=10.0, dropped=0)
        for name, moment in through.items()
    }
    said = wire.Health(wire.VERSION, MONDAY, dict(epochs), cameras, clock, "0")
    return message("health", said, site=site, device=device)


def layout(
    lines: Mapping[str, wire.LineRole],
    zones: Sequence[str] | Mapping[str, wire.ZoneRole] = (),
    *,
    site: str = SITE,
    device: str = DEVICE,
    cameras: Sequence[str] = ("door",),
) -> Message:
    """Lines and zones with their roles, all watched by the same cameras.

    A zone without a role is an area.
    """
    roles: Mapping[str, wire.ZoneRole]
    roles = zones if isinstance(zones, Mapping) else dict.fromkeys(zones, "area")
    corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    said = wire.Layout(
        v=wire.VERSION,
        config="",
        name=device,
        floors=(),
        lines=tuple(
            wire.Line(name, "ground", name, role, tuple(cameras), corners[:2])
            for name, role in lines.items()
        ),
        zones=tuple(
            wire.Zone(name, "ground", name, role, tuple(cameras), corners)
            for name, role in roles.items()
        ),
        cameras=tuple(wire.Camera(name, "ground", name) for name in cameras),
    )
    return message("layout", said, site=site, device=device)


def message(kind: str, body: Any, *, site: str = SITE, device: str = DEVICE) -> Message:
    """Anything, as JSON, on a device's topic; bytes go as they are."""
    payload = body if isinstance(body, bytes) else wire.encode(body)
    return Message(f"{wire.ROOT}/{site}/{device}/{kind}", payload)


def rows(store: Store, query: str) -> list[Any]:
    """What a query finds in `floor.duckdb`."""
    return store.floor().execute(query).fetchall()


def numbers(store: Store) -> list[int]:
    """The sequence numbers of the crossings in the store, in order, repeated ones too."""
    return [number for (number,) in rows(store, "select seq from crossing order by seq")]


def reasons(store: Store) -> list[str]:
    """Why things are in quarantine, oldest first."""
    return [reason for (reason,) in rows(store, "select reason from quarantine order by rowid")]
