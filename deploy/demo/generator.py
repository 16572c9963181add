"""Eleven generated shops: six weeks of windows behind them, and their last two hours as events.

Everything follows from `now` and a seed. Each shop keeps one week's rhythm, moved by one constant
offset of whole quarter hours, so that the last full quarter before `now` ends at 12:30 on a busy
Saturday, whatever the clock says. The rhythm knows no clock change: the sites' time zone is UTC.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from edge import wire

QUARTER = timedelta(minutes=15)
WEEK = timedelta(weeks=1)
NOON = timedelta(days=5, hours=12, minutes=30)
OPEN, CLOSE = 8.0, 20.0
DAY_FACTORS = np.array([0.72, 0.70, 0.75, 0.82, 0.92, 1.0, 0.6])
OVERDISPERSION = 60.0
FRAMES_PER_SECOND = 10
FAULT = timedelta(hours=1)
BLIND, NO_SALES = "york", "leeds"

FLOOR, LINE, CAMERA = "ground", "entrance", "door"
DISPLAY, TILL = "display", "till"
SUBJECTS = {
    "footfall": LINE,
    "orders": "pos",
    "revenue": "pos",
    "units": "pos",
    "covered_seconds": CAMERA,
    "watched_seconds": CAMERA,
}


@dataclass(frozen=True)
class Shop:
    """A shop: entries in its busiest hour, the share of them who buy, and what a sale brings."""

    site: str
    entries: float
    conversion: float
    basket: float

    @property
    def name(self) -> str:
        return self.site.capitalize()

    @property
    def device(self) -> str:
        return f"{self.site}-door"


SHOPS = (
    Shop("leeds", 44, 0.40, 34.0),
    Shop("york", 130, 0.31, 28.0),
    Shop("bath", 64, 0.33, 41.0),
    Shop("derby", 48, 0.29, 22.0),
    Shop("exeter", 75, 0.36, 30.0),
    Shop("lincoln", 36, 0.34, 26.0),
    Shop("oxford", 200, 0.27, 38.0),
    Shop("norwich", 88, 0.32, 25.0),
    Shop("cardiff", 160, 0.28, 31.0),
    Shop("chester", 55, 0.40, 36.0),
    Shop("durham", 24, 0.35, 29.0),
)


@dataclass(frozen=True)
class Order:
    """A sale at the till: when, its value in the site's currency, and how many articles."""

    order_id: str
    time: datetime
    value: float
    units: int


@dataclass(frozen=True)
class Slice:
    """What one shop reports of the 15 minutes from `start`, in order of time."""

    site: str
    start: datetime
    events: list[wire.Event]
    orders: list[Order]


@dataclass(frozen=True)
class Stay:
    """One person's time in the shop; the till is empty for those who do not buy."""

    track: str
    entered: datetime
    left: datetime
    display: tuple[datetime, datetime] | None
    till: tuple[datetime, datetime] | None
    value: float
    units: int


def last_quarter(now: datetime) -> datetime:
    """The last full quarter hour at or before `now`, in UTC. Raises ValueError without a zone."""
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone, such as datetime.now(UTC)")
    now = now.astimezone(UTC)
    return now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)


def rhythm(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entries per hour as a share of the busiest, (n,), by hours since Monday 00:00, (n,).

    Zero outside opening hours; two humps, about 12:15 and 17:15.
    """
    hours = hours % 168.0
    hour = hours % 24.0
    humps = 0.35 + 0.65 * np.exp(-(((hour - 12.25) / 2.2) ** 2))
    humps += 0.3 * np.exp(-(((hour - 17.25) / 1.3) ** 2))
    factor = DAY_FACTORS[(hours // 24.0).astype(np.int64)]
    return np.where((hour >= OPEN) & (hour < CLOSE), factor * humps, 0.0)


def expected_entries(shop: Shop, quarters: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean entries in the windows that start so many quarters after the busy noon, (n,)."""
    hours = np.asarray((quarters + 0.5) / 4.0 + NOON / timedelta(hours=1), np.float64)
    return shop.entries / 4.0 * rhythm(hours)


def draw_entries(rng: np.random.Generator, mean: NDArray[np.float64]) -> NDArray[np.int64]:
    """Mildly overdispersed counts, (n,): negative binomial."""
    return rng.negative_binomial(OVERDISPERSION, OVERDISPERSION / (OVERDISPERSION + mean))


def history(now: datetime, seed: int, weeks: int = 6) -> pa.Table:
    """The windows of all shops until two hours before the last full quarter.

    Columns site, measure, subject, start (timestamp[us, UTC]), value (float64); quiet windows
    are rows of zero. Raises ValueError for a `now` without a time zone.
    """
    end = last_quarter(now)
    quarters = np.arange(-weeks * 672, 0) - 8
    first = end + int(quarters[0]) * QUARTER
    starts = np.datetime64(first.replace(tzinfo=None), "us") + np.arange(
        len(quarters)
    ) * np.timedelta64(15, "m")
    watched = np.full(len(quarters), QUARTER.total_seconds())
    tables = []
    for index, shop in enumerate(SHOPS):
        rng = np.random.default_rng([seed, index, 0])
        entries = draw_entries(rng, expected_entries(shop, quarters))
        orders = rng.binomial(entries, shop.conversion)
        values = {
            "footfall": entries,
            "orders": orders,
            "revenue": rng.gamma(2.0 * orders, shop.basket / 2.0).round(2),
            "units": orders + rng.poisson(1.2 * orders),
            "covered_seconds": watched,
            "watched_seconds": watched,
        }
        for measure, value in values.items():
            columns = {
                "site": pa.repeat(shop.site, len(quarters)),
                "measure": pa.repeat(measure, len(quarters)),
                "subject": pa.repeat(SUBJECTS[measure], len(quarters)),
                "start": pa.array(starts, pa.timestamp("us", "UTC")),
                "value": pa.array(value.astype(np.float64)),
            }
            tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def last_hours(now: datetime, seed: int, hours: int = 2, ahead: int = 0) -> list[Slice]:
    """What the shops report of the hours before the last full quarter, in order of time.

    `ahead` more windows follow, for a feed that goes on after `now`.

    In the last hour the camera at York is offline while its till goes on, and the till at Leeds
    takes nothing while people keep coming. Raises ValueError for a `now` without a time zone.
    """
    end = last_quarter(now)
    windows = hours * 4
    slices: list[Slice] = []
    for index, shop in enumerate(SHOPS):
        rng = np.random.default_rng([seed, index, 1])
        # An hour more, so that those who came in before are there to go out again.
        stays = draw_stays(shop, np.arange(-windows - 4, ahead), end, rng)
        slices += [
            report(shop, stays, end + window * QUARTER, end - FAULT)
            for window in range(-windows, ahead)
        ]
    return sorted(slices, key=lambda each: each.start)


def draw_stays(
    shop: Shop, quarters: NDArray[np.int64], end: datetime, rng: np.random.Generator
) -> list[Stay]:
    """The people who come in during these windows (counted in quarters from `end`)."""
    stays = []
    counts = draw_entries(rng, expected_entries(shop, quarters))
    for quarter, count in zip(quarters.tolist(), counts.tolist(), strict=True):
        for second in np.sort(rng.integers(0, 900, count)).tolist():
            entered = end + quarter * QUARTER + timedelta(seconds=second)
            seconds = 120 + int(min(rng.exponential(420.0), 2400.0))
            left = entered + timedelta(seconds=seconds)
            looks, buys = rng.random() < 0.4, rng.random() < shop.conversion
            display = (
                entered + timedelta(seconds=15),
                entered + timedelta(seconds=15 + int(rng.integers(6, 45))),
            )
            till = (
                left - timedelta(seconds=int(rng.integers(30, 55))),
                left - timedelta(seconds=10),
            )
            stays.append(
                Stay(
                    track=f"{int(rng.integers(0, 2**63)):016x}",
                    entered=entered,
                    left=left,
                    display=display if looks else None,
                    till=till if buys else None,
                    value=round(0.5 + float(rng.gamma(2.0, (shop.basket - 0.5) / 2.0)), 2),
                    units=1 + int(rng.poisson(1.2)),
                )
            )
    return stays


def report(shop: Shop, stays: list[Stay], start: datetime, fault: datetime) -> Slice:
    """What camera and till of a shop say of the window from `start`."""
    stop = start + QUARTER
    blind = shop.site == BLIND and start >= fault
    dated: list[tuple[datetime, wire.Event]] = coverage(start, blind)
    if not blind:
        for stay in stays:
            dated += [each for each in passage(stay) if start <= each[0] < stop]
        dated += [(stop, occupancy(zone, stays, start)) for zone in (DISPLAY, TILL)]
    orders = []
    if not (shop.site == NO_SALES and start >= fault):
        sales = [(stay.till[1], stay) for stay in stays if stay.till]
        sales = sorted(
            (sale for sale in sales if start <= sale[0] < stop), key=lambda sale: sale[0]
        )
        orders = [
            Order(f"{shop.site}-{start:%Y%m%d%H%M}-{number}", time, stay.value, stay.units)
            for number, (time, stay) in enumerate(sales)
        ]
    dated.sort(key=lambda each: each[0])
    return Slice(shop.site, start, [event for _, event in dated], orders)


def coverage(start: datetime, blind: bool) -> list[tuple[datetime, wire.Event]]:
    """The camera's minutes from `start`, each dated at its end."""
    minute = timedelta(minutes=1)
    frames = 60 * FRAMES_PER_SECOND
    cause: wire.Cause = "offline" if blind else "ok"
    seen = 0 if blind else frames
    dated: list[tuple[datetime, wire.Event]] = []
    for number in range(15):
        begin = start + number * minute
        event = wire.Coverage(CAMERA, begin, begin + minute, seen, frames, cause)
        dated.append((begin + minute, event))
    return dated


def passage(stay: Stay) -> list[tuple[datetime, wire.Event]]:
    """A person's crossings and visits, each dated at its end."""
    dated: list[tuple[datetime, wire.Event]] = [
        (stay.entered, wire.Crossing(FLOOR, LINE, (CAMERA,), stay.entered, "in", stay.track)),
        (stay.left, wire.Crossing(FLOOR, LINE, (CAMERA,), stay.left, "out", stay.track)),
    ]
    for zone, visit in ((DISPLAY, stay.display), (TILL, stay.till)):
        if visit:
            entered, exited = visit
            dwell = (exited - entered).total_seconds()
            event = wire.Visit(
                FLOOR, zone, (CAMERA,), stay.track, entered, exited, dwell, nth=1, ended="left"
            )
            dated.append((exited, event))
    return dated


def occupancy(zone: str, stays: list[Stay], start: datetime) -> wire.Occupancy:
    """People in a zone during the window from `start`, looked at every 5 seconds."""
    visits = [stay.display if zone == DISPLAY else stay.till for stay in stays]
    spans = [
        ((visit[0] - start).total_seconds(), (visit[1] - start).total_seconds())
        for visit in visits
        if visit
    ]
    begin, end = np.array(spans, np.float64).reshape(-1, 2).T
    looks = np.arange(0.0, QUARTER.total_seconds(), 5.0)
    people = ((begin <= looks[:, None]) & (looks[:, None] < end)).sum(1)
    return wire.Occupancy(
        FLOOR,
        zone,
        start,
        start + QUARTER,
        min=int(people.min()),
        mean=round(float(people.mean()), 2),
        max=int(people.max()),
    )


def layout(shop: Shop) -> wire.Layout:
    """What the shop's device watches: a door, a display beside it, and the till."""
    return wire.Layout(
        v=wire.VERSION,
        config=hashlib.sha256(shop.device.encode()).hexdigest(),
        name=f"{shop.name}, door",
        floors=(wire.Floor(FLOOR, "Ground floor", "metre", ((0, 0), (12, 0), (12, 8), (0, 8))),),
        lines=(
            wire.Line(LINE, FLOOR, "Entrance", "entrance", (CAMERA,), ((5.0, 0.5), (7.0, 0.5))),
        ),
        zones=(
            wire.Zone(
                DISPLAY,
                FLOOR,
                "Display",
                "display",
                (CAMERA,),
                ((1.0, 2.0), (4.0, 2.0), (4.0, 5.0), (1.0, 5.0)),
            ),
            wire.Zone(
                TILL,
                FLOOR,
                "Till",
                "service",
                (CAMERA,),
                ((8.0, 2.0), (11.0, 2.0), (11.0, 5.0), (8.0, 5.0)),
            ),
        ),
        cameras=(wire.Camera(CAMERA, FLOOR, "Door"),),
    )
