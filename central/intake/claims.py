"""Whose line or zone it is: the device's that named it first, until it gives it up."""

from collections.abc import Mapping

import duckdb

from edge import wire


def foreign(cursor: duckdb.DuckDBPyConnection, site: str, device: str) -> Mapping[wire.Place, str]:
    """The site's places that another device owns and this one never did, with their owner."""
    rows = cursor.execute(
        "with place as (select 'line' as kind, line as id, site, device, current from line"
        " union all select 'zone', zone, site, device, current from zone)"
        " select kind, id, device from place p where site = $site and current"
        " and device <> $device and not exists (select 1 from place o where"
        " (o.kind, o.id, o.site, o.device) = (p.kind, p.id, $site, $device))",
        {"site": site, "device": device},
    ).fetchall()
    return {(kind, name): owner for kind, name, owner in rows}


def place(event: wire.Event) -> wire.Place | None:
    """The line or zone that an event is about, if any."""
    if isinstance(event, wire.Crossing):
        return "line", event.line
    if isinstance(event, wire.Visit | wire.Occupancy | wire.Queue):
        return "zone", event.zone
    return None


def reason(kind: str, name: str, owner: str) -> str:
    """Why a second claimant is refused."""
    return f"{kind} {name} belongs to {owner}; give this one another id"
