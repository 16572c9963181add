"""The shops by state, with what is known of each now and of its last hour."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from central import series
from central.config import Site
from central.incidents import listed
from central.metrics import CATALOGUE, WATCHED
from central.service import Service

REFRESH_SECONDS = 2.0
INCIDENTS = 50
HOUR = timedelta(hours=1)
STATES = {
    "data": "data",
    "conversion": "tills",
    "orders": "orders",
    "demand": "few people",
    "shift": "gone online",
    "abuse": "wave",
    "trend": "trend",
    "sensor": "blind",
    "offline": "offline",
    "fine": "fine",
    "new": "no data yet",
}
"""What is said of a shop, the worst first; the cause of an incident of a shop is a state."""


@dataclass(frozen=True)
class Shop:
    """A shop as the list shows it; `inside` is people in its zones now, empty where unknown."""

    site: Site
    state: str
    inside: str
    footfall: str
    orders: str


class Board:
    """What every visitor sees, read at most once every REFRESH_SECONDS however many look."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._due = 0.0
        self._seen: tuple[list[Shop], list[dict[str, Any]]] = ([], [])

    def read(self) -> tuple[list[Shop], list[dict[str, Any]]]:
        """The shops, and the newest incidents."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._seen = shops(self._service), listed(self._service.store, INCIDENTS)
                self._due = time.monotonic() + REFRESH_SECONDS
            return self._seen


def shops(service: Service) -> list[Shop]:
    """Every shop, the worst state first, then by name."""
    intake = service.intake
    health, online, gauges = intake.health.copy(), intake.online.copy(), intake.gauges.copy()
    states = dict.fromkeys(service.sites(), "new")
    states |= dict.fromkeys((key.site for key in service.config.write_keys), "fine")
    states |= dict.fromkeys((site for site, _ in health), "fine")
    off = {device for device, there in online.items() if not there}
    states |= dict.fromkeys((site for site, _ in off), "offline")
    for incident in service.incidents.open.values():
        for name in {incident.site, *incident.children} & states.keys():
            states[name] = min(states[name], incident.cause, key=_rank)
    # What a blind camera said last is not what is there now.
    off |= {
        device
        for device, said in health.items()
        if any(camera.state != "ok" for camera in said.cameras.values())
    }
    inside: dict[str, int | None] = {}
    for (site, device, _), gauge in gauges.items():
        before = inside.get(site, 0)
        inside[site] = None if before is None or (site, device) in off else before + gauge.count
    found = []
    for name, state in states.items():
        place = service.config.site(name)
        count = inside.get(name)
        footfall, orders = (_last_hour(service, place, metric) for metric in WATCHED)
        found.append(Shop(place, state, "" if count is None else str(count), footfall, orders))
    return sorted(found, key=lambda shop: (_rank(shop.state), shop.site.title.casefold()))


def _rank(state: str) -> int:
    # What costs nothing, such as many people, is no state: the shop is fine.
    ranks = list(STATES)
    return ranks.index(state if state in STATES else "fine")


def _last_hour(service: Service, site: Site, metric: str) -> str:
    """A sum in words; `≥` where a part of the hour was not seen, empty where none was."""
    now = datetime.now(UTC)
    points = series.read(service.store, site, CATALOGUE[metric], now - HOUR, now, "15min")
    known = [point.value for point in points if point.value is not None]
    if not known:
        return ""
    return f"{'≥ ' if len(known) < len(points) else ''}{sum(known):,.0f}"
