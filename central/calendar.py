"""A site's own calendar: local hours and days, the quarters of its week, when it is open.

The two hours that have the same name when the clocks go back are two, and the hour that is left out
when they go forward has no windows: what counts is the instant.
"""

from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from central import windows
from central.config import Hours, Site

CLOSED = -1


def local(site: Site, window: int) -> datetime:
    """When a window begins, by the site's clock."""
    return windows.start(window).astimezone(site.zone)


def hour(site: Site, window: int) -> datetime:
    """When the local hour begins that a window lies in."""
    minutes = timedelta(minutes=local(site, window).minute)
    return (windows.start(window) - minutes).astimezone(site.zone)


def day(site: Site, window: int) -> datetime:
    """When the local day begins that a window lies in."""
    return datetime.combine(local(site, window).date(), time(0), site.zone)


def is_open(site: Site, window: int) -> bool:
    """Whether the site is open when a window begins."""
    return slot(site, window) != CLOSED


def slot(site: Site, window: int) -> int:
    """The local quarter of the week, 0 to 671, or CLOSED."""
    return _slot(site.time_zone, site.hours, window)


@lru_cache(maxsize=65_536)
def _slot(time_zone: str, hours: Hours, window: int) -> int:
    moment = windows.start(window).astimezone(ZoneInfo(time_zone))
    if not hours.contain(moment):
        return CLOSED
    return moment.weekday() * 96 + moment.hour * 4 + moment.minute // 15
