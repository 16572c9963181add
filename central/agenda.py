"""What the calendars say of each window while shops are watched.

A window of an event of kind `ignore` or `profile` is set aside: it is neither scored nor taught. Of
kind `scale` what is usual is multiplied; where neither the calendar nor an earlier event of that
name says by how much, the window is set aside, too.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from central import ical, windows
from central.config import Config, Site
from central.detect.detector import Key
from central.ical import Occurrence

log = logging.getLogger(__name__)

Reals = NDArray[np.float64]
SPAN = 4 * 24 * 7 * 13
"""Windows of which a calendar is read at once."""


class Agenda:
    """The events of all sites, and what those of kind `scale` have shown so far."""

    def __init__(self, config: Config) -> None:
        sites = [(site, config.calendars(site)) for site in config.sites]
        self._sites: dict[str, tuple[Site, tuple[Path, ...]]] = {
            site.id: (site, paths) for site, paths in sites if paths
        }
        self._files = sorted({path for _, paths in self._sites.values() for path in paths})
        self._versions = self._look()
        self._read: dict[tuple[tuple[Path, ...], str, int], list[Occurrence | None]] = {}
        self._shown: dict[tuple[Key, str], dict[datetime, tuple[float, float]]] = {}

    def versions(self) -> tuple[int | None, ...]:
        """When each file was last changed; what was read of one that changed is read again."""
        now = self._look()
        if now != self._versions:
            self._versions = now
            self._read.clear()
        return now

    def _look(self) -> tuple[int | None, ...]:
        return tuple(_changed(path) for path in self._files)

    def begin(self) -> None:
        """Forget what the events have shown, as before a replay."""
        self._shown.clear()

    def at(self, site: str, window: int) -> Occurrence | None:
        """The event that a window begins in, the shortest of those that overlap."""
        if site not in self._sites:
            return None
        known, paths = self._sites[site]
        part = window // SPAN
        key = paths, known.time_zone, part
        if key not in self._read:
            self._read[key] = _span(known, paths, part * SPAN)
        return self._read[key][window - part * SPAN]

    def now(self, window: int) -> dict[str, Occurrence]:
        """The event of every site that has one in a window."""
        found = {site: self.at(site, window) for site in self._sites}
        return {site: event for site, event in found.items() if event is not None}

    def common(self, sites: Sequence[str], window: int) -> str:
        """The name of the event that more than half of some sites have; empty where none is."""
        events = [self.at(site, window) for site in sites]
        names = [event.name for event in events if event]
        return next((name for name in names if 2 * names.count(name) > len(sites)), "")

    def set_aside(self, site: str, window: int) -> bool:
        """Whether an event keeps all of a site's numbers from being judged."""
        event = self.at(site, window)
        return event is not None and event.kind != "scale"

    def factors(self, series: Sequence[Key], events: Mapping[str, Occurrence]) -> Reals:
        """What the usual is multiplied by, (n,): 1 without an event, NaN where it is not known.

        A factor is what the calendar says, or else what earlier events of that name have shown in
        sum, over what was usual then.
        """
        factor = np.ones(len(series))
        for i, key in enumerate(series):
            event = events.get(key[0])
            if event is not None:
                factor[i] = np.nan
                if event.kind == "scale":
                    factor[i] = event.factor or self._learnt(key, event)
        return factor

    def _learnt(self, key: Key, event: Occurrence) -> float:
        earlier = [
            sums
            for start, sums in self._shown.get((key, event.name), {}).items()
            if start < event.start
        ]
        shown, usual = (sum(each) for each in zip(*earlier, strict=True)) if earlier else (0, 0)
        return shown / usual if shown > 0 and usual > 0 else np.nan

    def show(
        self, series: Sequence[Key], events: Mapping[str, Occurrence], values: Reals, usual: Reals
    ) -> None:
        """Add a window to what its events have shown; values, usual: (n,), NaN where not known."""
        for i in np.flatnonzero(np.isfinite(values) & np.isfinite(usual)).tolist():
            event = events.get(series[i][0])
            if event is not None and event.kind == "scale":
                sums = self._shown.setdefault((series[i], event.name), {})
                before = sums.get(event.start, (0.0, 0.0))
                sums[event.start] = (before[0] + float(values[i]), before[1] + float(usual[i]))


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _span(site: Site, paths: Sequence[Path], first: int) -> list[Occurrence | None]:
    """The event of each of the `SPAN` windows from `first` on; none of a file that is no use."""
    begin, end = windows.start(first), windows.start(first + SPAN)
    events: list[Occurrence] = []
    for path in paths:
        try:
            events += ical.occurrences(path, site.zone, begin, end)
        except ical.CalendarError as error:
            log.error("%s is watched without this calendar: %s", site.id, error)
    events.sort(key=lambda event: event.start)
    times = np.arange(first, first + SPAN) * windows.SECONDS
    return [events[mark] if mark >= 0 else None for mark in ical.mark(events, times).tolist()]
