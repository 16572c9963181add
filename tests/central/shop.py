"""A generated shop's weeks in the windows, as if its devices and tills had sent them."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np

from central import walks, windows
from central.metrics import DWELL_EDGES, ENGAGED_SECONDS
from central.store import Store, utc
from central.walks import TILL, ZONES, People, Shop

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SITE = "leeds"
Cell = tuple[str, str, int, int]
"""Measure, subject, window and bin."""


def people(shop: Shop, days: int, seed: int = 1) -> People:
    """Those who came from Monday on."""
    rng = np.random.default_rng(seed)
    return walks.draw_people(rng, shop, walks.draw_days(rng, days), np.zeros(days, np.bool_))


def cells(came: People, monday: datetime = MONDAY) -> Counter[Cell]:
    """What their windows hold."""
    found: Counter[Cell] = Counter()
    first = windows.key(monday)
    for entered, zones, dwells, left, ticket in zip(
        came.entered, came.zones, came.dwell, came.left, came.ticket, strict=True
    ):
        found["footfall", "entrance", first + int(entered // 900), 0] += 1
        known: set[int] = set()
        for zone, dwell, end in zip(zones.tolist(), dwells.tolist(), left.tolist(), strict=True):
            if zone < 0:
                continue
            name, window = ZONES[zone], first + int(end // 900)
            place = int(np.searchsorted(DWELL_EDGES, dwell, side="right")) - 1
            found["visits", name, window, 0] += 1
            found["people", name, window, 0] += zone not in known
            found["engaged", name, window, 0] += dwell >= ENGAGED_SECONDS
            found["dwell", name, window, place] += 1
            if zone == TILL:
                found["wait", name, window, min(place // 2, 8)] += 1
            known.add(zone)
        if np.isfinite(ticket):
            window = first + int(ticket // 900)
            found["orders", "pos", window, 0] += 1
            found["revenue:GBP", "pos", window, 0] += 20
    return found


def seen(days: int, monday: datetime = MONDAY) -> Counter[Cell]:
    """A camera that sees all of these days."""
    first = windows.key(monday)
    return Counter(
        {
            (measure, "door", window, 0): 900
            for measure in ("covered_seconds", "watched_seconds")
            for window in range(first, first + 96 * days)
        }
    )


def put(store: Store, found: Counter[Cell], part: str = "live", site: str = SITE) -> None:
    """Write windows into the file, in place of what the part had."""
    with store.write() as cursor:
        cursor.execute("delete from partial where part = ? and site = ?", [part, site])
        columns = [list(column) for column in zip(*found, strict=True)] or [[], [], [], []]
        cursor.execute(
            'insert into partial (part, site, measure, subject, "window", bin, value)'
            " select ?, ?, unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)",
            [part, site, *columns, [float(value) for value in found.values()]],
        )


def close(store: Store, moment: datetime, site: str = SITE) -> None:
    """All windows before a moment are closed."""
    store.central().execute(
        "insert or replace into progress values (?, ?)", [site, windows.key(moment) - 1]
    )


def fill(store: Store, shop: Shop, days: int, seed: int = 1) -> None:
    """A shop's days, closed."""
    put(store, cells(people(shop, days, seed)) + seen(days))
    close(store, MONDAY + timedelta(days=days))


def moment(day: int, hour: int = 0) -> datetime:
    """So many days and hours after Monday, as the files hold it."""
    return utc(MONDAY + timedelta(days=day, hours=hour))
