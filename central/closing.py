"""When a window is closed: nothing more is to come, or nobody is there to send it.

A window of a site closes when every camera's `through` has passed it and the ledger holds every
event that the devices have numbered. A device that has been silent for longer than the grace
holds nothing up: its windows close as absent, and their values still change when its backlog
comes.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from central import windows
from central.config import Config
from central.intake.events import Device, Intake


class Closing:
    """The first window of each site that is not closed yet; it never goes back."""

    def __init__(self, config: Config, intake: Intake, began: datetime) -> None:
        self._config, self._intake, self._began = config, intake, began
        self._grace = timedelta(seconds=config.grace_seconds)
        self._bounds: dict[str, int] = {}
        self._holes: dict[Device, tuple[int, datetime]] = {}

    def bounds(self, sites: Iterable[str], now: datetime) -> dict[str, int]:
        """By site, the first window that is not closed; a site where that is unknown is left out.

        At the start a shop whose devices are not known is given the grace to be heard of.
        """
        for site in sites:
            devices = [device for device in self._intake.health if device[0] == site]
            store = self._config.site(site).kind == "store"
            if store and not devices and now - self._began < self._grace:
                continue
            bound = windows.key(now - timedelta(seconds=self._config.settle_seconds))
            for device in devices:
                bound = min(bound, self._device_bound(device, now))
            self._bounds[site] = max(bound, self._bounds.get(site, bound))
        return dict(self._bounds)

    def _device_bound(self, device: Device, now: datetime) -> int:
        heard = max(self._intake.received[device], self._began)
        if now - heard > self._grace:
            return windows.key(now - self._grace)
        holes = self._intake.gaps().get(device, 0)
        known, since = self._holes.get(device, (-1, now))
        if holes != known:
            since = now
        self._holes[device] = (holes, since)
        if holes and now - since <= self._grace:
            return self._bounds.get(device[0], 0)
        cameras = self._intake.health[device].cameras.values()
        return min((windows.key(camera.through) for camera in cameras), default=windows.key(now))
