"""When a window is closed: nothing more is to come, or nobody is there to send it.

A window of a site closes when every camera's `through` has passed it and the ledger holds every
event that the devices have numbered. What takes longer than the grace holds nothing up any more:
a device that is silent, or whose clock is not right yet, and an event that does not come. Such
windows close as absent, or without that event, and their values still change when the rest comes.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from central import windows
from central.config import Config
from central.intake.commit import Device
from central.intake.events import Intake


class Closing:
    """The first window of each site that is not closed yet; it never goes back."""

    def __init__(self, config: Config, intake: Intake, began: datetime) -> None:
        self._config, self._intake, self._began = config, intake, began
        self._grace = timedelta(seconds=config.grace_seconds)
        self._bounds: dict[str, int] = {}
        self._holes: dict[Device, dict[tuple[str, int], datetime]] = {}

    def bounds(self, sites: Iterable[str], now: datetime) -> dict[str, int]:
        """By site, the first window that is not closed; a site where that is unknown is left out.

        At the start a shop whose devices are not known is given the grace to be heard of.
        """
        for site in sites:
            devices = [device for device in self._intake.health if device[0] == site]
            store = self._config.site(site).kind == "store"
            if store and not devices and now - self._began < self._grace:
                continue
            waits = [self._waits(device, now) for device in devices]
            if any(waits):
                continue
            bound = windows.key(now - timedelta(seconds=self._config.settle_seconds))
            bound = min([bound, *(self._through(device, now) for device in devices)])
            self._bounds[site] = max(bound, self._bounds.get(site, bound))
        return dict(self._bounds)

    def _absent(self, device: Device, now: datetime) -> bool:
        heard = max(self._intake.received[device], self._began)
        return now - heard > self._grace or self._intake.health[device].clock == "unsynced"

    def _waits(self, device: Device, now: datetime) -> bool:
        """Whether something is missing of a device that may still come within the grace.

        A hole is known by its first number: as long as it fills up, it is a new one.
        """
        known = self._holes.get(device, {})
        holes = {(epoch, first) for epoch, (first, _) in self._intake.holes(device)}
        self._holes[device] = {hole: known.get(hole, now) for hole in holes}
        late = [now - since <= self._grace for since in self._holes[device].values()]
        return any(late) and not self._absent(device, now)

    def _through(self, device: Device, now: datetime) -> int:
        if self._absent(device, now):
            return windows.key(now - self._grace)
        cameras = self._intake.health[device].cameras.values()
        return min((windows.key(camera.through) for camera in cameras), default=windows.key(now))
