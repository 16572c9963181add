"""Generated people who walk through a generated shop, with what each of them keeps to themselves.

For the attackers of `privacy attack`, who need shops whose every secret is known. Hours are busy or
quiet, days have moods of their own, and people are of three kinds, who go to other zones and stay
for other times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from central.privacy import Integers

Reals = NDArray[np.float64]

ZONES = ("offers", "fresh", "shelves", "service", "cafe", "till")
TILL = ZONES.index("till")
OPEN, CLOSE = 9, 21
DAY_FACTORS = np.array([0.8, 0.8, 0.85, 0.9, 1.1, 1.4, 1.15])
WALK = 20.0
"""Seconds between two zones."""
STOPS = 4
"""Zones before the till, at most."""
BUYS, GOES_ON = 0.4, 0.6
"""The share of people who buy, and of these who stop once more on their way out."""

_KINDS = np.array([0.45, 0.35, 0.2])
_WAYS = np.array(
    [
        [0.55, 0.20, 0.15, 0.06, 0.04],
        [0.12, 0.30, 0.38, 0.08, 0.12],
        [0.15, 0.04, 0.06, 0.25, 0.50],
    ]
)
"""Where a way leads from the door, from a zone, and from the till: as near as zones lie to them."""
_TASTES = np.array(
    [[1.2, 0.8, 1.0, 1.2, 0.7], [0.8, 1.5, 1.1, 0.7, 0.9], [0.9, 0.6, 1.0, 1.3, 2.0]]
)
"""How much each kind is drawn to each zone but the till."""
_LOG_DWELL = np.log([25.0, 40.0, 60.0, 150.0, 420.0, 75.0])
_SLOW = np.array([-0.3, 0.0, 0.6])
_SPREAD = 0.7
_MOOD = 0.25


@dataclass(frozen=True)
class Shop:
    """A shop by the people who come in on an ordinary day.

    alike: whether each zone is as near as any other, so that all are about equally liked.
    """

    name: str
    entries: float
    alike: bool = False


SHOPS = (Shop("small", 100), Shop("medium", 400), Shop("busy", 2500), Shop("alike", 400, True))


@dataclass(frozen=True)
class Days:
    """What kind of day each was, so that all who came saw the same: (days, zones) each."""

    popular: Reals
    slow: Reals

    def __len__(self) -> int:
        return len(self.popular)


@dataclass(frozen=True)
class People:
    """People, and their visits in order. Seconds count from the first day's midnight.

    entered: (people,). zones, dwell, left: (people, stops), -1 and NaN where there is no visit;
    the till is a stop of those who buy. ticket: (people,), NaN for those who do not.
    late: (people,), whether the device that saw them sent its events after the first release.
    """

    entered: Reals
    zones: Integers
    dwell: Reals
    left: Reals
    ticket: Reals
    late: NDArray[np.bool_]


def draw_days(rng: np.random.Generator, days: int) -> Days:
    """So many days, from a Monday on."""
    shape = (days, len(ZONES))
    return Days(np.exp(rng.normal(0, _MOOD, shape)), rng.normal(0, _MOOD, shape))


def draw_people(
    rng: np.random.Generator, shop: Shop, days: Days, late: NDArray[np.bool_]
) -> People:
    """Those who came to the shop on these days.

    late: (days,), on which one of the shop's two devices was cut off.
    """
    day, hour = _arrivals(rng, shop, len(days))
    count = len(day)
    entered = day * 86400.0 + hour * 3600.0 + rng.uniform(0.0, 3600.0, count)
    kind = _draw(rng, np.tile(_KINDS, (count, 1)))
    drawn = _TASTES[kind] * days.popular[day][:, :TILL]
    rows = np.arange(count)
    zones = np.full((count, STOPS + 2), -1)
    length = 1 + rng.binomial(STOPS - 1, 0.4, count)
    buys = rng.random(count) < BUYS
    on = buys & (rng.random(count) < GOES_ON)
    for stop in range(STOPS + 2):
        before = zones[:, stop - 1] if stop else np.full(count, -1)
        way = np.where(before == TILL, 2, min(stop, 1))
        weights = drawn * (1.0 if shop.alike else _WAYS[way])
        weights[rows, before % TILL] *= np.where((before >= 0) & (before < TILL), 0.2, 1.0)
        there = (stop < length) | (on & (stop == length + 1))
        zones[there, stop] = _draw(rng, weights)[there]
        zones[buys & (stop == length), stop] = TILL
    slow = days.slow[day][rows[:, None], zones] + _SLOW[kind][:, None]
    dwell = np.exp(_LOG_DWELL[zones] + slow + rng.normal(0, _SPREAD, zones.shape))
    dwell = np.where(zones < 0, np.nan, np.clip(dwell, 5.0, 3599.0))
    left = entered[:, None] + np.cumsum(np.where(zones < 0, 0.0, WALK + np.nan_to_num(dwell)), 1)
    at_till = zones == TILL
    ticket = np.where(at_till, left - 5.0, 0.0).sum(1)
    cut_off = late[day] & (rng.random(count) < 0.5)
    return People(
        entered=entered,
        zones=zones,
        dwell=dwell,
        left=np.where(zones < 0, np.nan, left),
        ticket=np.where(at_till.any(1), ticket, np.nan),
        late=cut_off,
    )


def _arrivals(rng: np.random.Generator, shop: Shop, days: int) -> tuple[Integers, Integers]:
    hours = np.arange(24)
    shape = 0.4 + np.exp(-(((hours + 0.5 - 13.0) / 2.5) ** 2))
    shape += 0.5 * np.exp(-(((hours + 0.5 - 17.5) / 1.3) ** 2))
    shape = np.where((hours >= OPEN) & (hours < CLOSE), shape, 0.0)
    mean = shop.entries * DAY_FACTORS[np.arange(days) % 7][:, None] * shape / shape.sum()
    counts = rng.poisson(mean)
    day, hour = np.divmod(np.repeat(np.arange(days * 24), counts.ravel()), 24)
    return day, hour


def _draw(rng: np.random.Generator, weights: Reals) -> Integers:
    """A column of each row, by the row's weights."""
    sums = np.cumsum(weights, 1)
    below: Integers = (sums < rng.random(len(weights))[:, None] * sums[:, -1:]).sum(1)
    return below
