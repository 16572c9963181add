"""The hours of a site's days, in the tree in which the k-gate tells them."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from central import calendar, windows
from central.config import Site
from central.privacy import LEVELS, Integers

Booleans = NDArray[np.bool_]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """The quarter hours of some local days, and the hours that they lie in.

    first: the first window; the others follow it. opened: (windows,). hour: (windows,), each one's
    place among the hours. keys: (hours,), windows that begin the hours. nodes: (hours, levels).
    """

    first: int
    opened: Booleans
    hour: Integers
    keys: Integers
    nodes: Integers

    def by_hour(self, values: Reals, where: Booleans) -> Reals:
        """Sums by hour of what lies in some windows, (windows,) or (windows, bins)."""
        sums = np.zeros((len(self.keys), *values.shape[1:]))
        np.add.at(sums, self.hour[where], values[where])
        return sums


def days(site: Site, first: date, last: date) -> Span:
    """The site's days from `first` to `last`, both included."""
    begin, end = (
        windows.key(datetime.combine(day, time(0), site.zone))
        for day in (first, last + timedelta(days=1))
    )
    hour: list[int] = []
    keys: list[int] = []
    nodes: list[tuple[int, int, int, int]] = []
    for window in range(begin, end):
        local = calendar.local(site, window)
        key = window - local.minute // 15
        if not keys or key != keys[-1]:
            number = local.date().toordinal()
            keys.append(key)
            nodes.append((key, 4 * number + local.hour // 6, number, (number - 1) // 7))
        hour.append(len(keys) - 1)
    return Span(
        begin,
        np.array([calendar.is_open(site, window) for window in range(begin, end)], np.bool_),
        np.array(hour, np.int64),
        np.array(keys, np.int64),
        np.array(nodes, np.int64).reshape(-1, len(LEVELS)),
    )
