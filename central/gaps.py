"""What devices have numbered and central does not have, by hour.

A sequence number carries no time. It belongs to the hour in which a health of its device first
named it, by central's clock: `epochs` in health says how far the device has numbered. A device
that was away names all that it numbered meanwhile when it is back; `since` says from when.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import duckdb

from central import ledger
from central.store import Store, utc
from edge import wire


class Numbered(NamedTuple):
    """The numbers `first` to `following - 1` of an epoch, named for the first time."""

    site: str
    device: str
    epoch: str
    since: datetime
    first: int
    following: int


@dataclass(frozen=True)
class Gap:
    """Of the events that a device numbered in an hour, how many have come by now."""

    site: str
    device: str
    hour: datetime
    since: datetime
    expected: int
    received: int
    missing: int


def named(
    device: tuple[str, str], before: wire.Health | None, health: wire.Health, since: datetime
) -> list[Numbered]:
    """What a health names that the one before it, received at `since`, did not."""
    known = before.epochs if before else {}
    return [
        Numbered(*device, epoch, since, known.get(epoch, 0), following)
        for epoch, following in health.epochs.items()
        if following > known.get(epoch, 0)
    ]


def remember(
    cursor: duckdb.DuckDBPyConnection, numbered: Sequence[Numbered], now: datetime
) -> None:
    """Note what was named, within the caller's transaction; a number belongs to one hour."""
    hour = utc(now).replace(minute=0, second=0, microsecond=0)
    for site, device, epoch, since, first, following in numbered:
        cursor.execute(
            "insert into numbered"
            " select $site, $device, $epoch, $hour, $since,"
            " greatest($first, coalesce(max(following), 0)) as begin, $following from numbered"
            " where (site, device, epoch) = ($site, $device, $epoch)"
            " having begin < $following"
            " on conflict do update set following = excluded.following",
            {
                "site": site,
                "device": device,
                "epoch": epoch,
                "hour": hour,
                "since": utc(since),
                "first": first,
                "following": following,
            },
        )


def report(store: Store, site: str | None, start: datetime, stop: datetime) -> list[Gap]:
    """Every hour that begins in [start, stop) in which a device numbered anything, in order."""
    rows = (
        store.floor()
        .execute(
            "select site, device, hour, since, first, following, firsts, lasts"
            " from numbered left join ledger using (site, device, epoch)"
            " where ($site is null or site = $site) and hour >= $start and hour < $stop"
            " order by site, device, hour",
            {"site": site, "start": utc(start), "stop": utc(stop)},
        )
        .fetchall()
    )
    found: dict[tuple[str, str, datetime], Gap] = {}
    for name, device, hour, since, first, following, firsts, lasts in rows:
        held = tuple(zip(firsts or (), lasts or (), strict=True))
        missing = ledger.size(ledger.missing(held, first, following - 1))
        place = name, device, hour
        other = found.get(place)
        expected = following - first + (other.expected if other else 0)
        missing += other.missing if other else 0
        earliest = min(since, other.since.replace(tzinfo=None)) if other else since
        found[place] = Gap(
            name,
            device,
            hour.replace(tzinfo=UTC),
            earliest.replace(tzinfo=UTC),
            expected,
            expected - missing,
            missing,
        )
    return list(found.values())
