"""A small town with weeks of history behind it: a shop, another abroad, and a web shop."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from central import windows
from central.config import Config, Hours, Site
from central.detect.causes import Tick
from central.incidents import Incidents
from central.intake.events import Intake
from central.life import Incident
from central.store import Store
from central.watch import Moment, Watch
from tests.central.device import SITE, layout

START = datetime(2026, 6, 16, 10, tzinfo=UTC)
"""A Tuesday, 11:00 in Leeds, where windows begin to come in live."""
WEEKS = 5
PEOPLE, SHARE, WEB_ORDERS = 20.0, 0.35, 9.0
DAY = Hours(open=time(9), close=time(21))
LEEDS = Site(id=SITE, name="Leeds", time_zone="Europe/London", hours=DAY)
LIMA = Site(id="lima", name="Lima", time_zone="America/Lima", hours=DAY)
WEB = Site(id="web", name="Web shop", kind="web")
CONFIG = Config(sites=(LEEDS, LIMA, WEB))
FIRST = windows.key(START)


def mean(site: Site, keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """People in a shop, or orders in the web shop, to be expected in each window, (n,)."""
    if site.kind == "web":
        return np.full(len(keys), WEB_ORDERS)
    hours = np.array(
        [
            local.hour + local.minute / 60
            for local in (windows.start(int(key)).astimezone(site.zone) for key in keys)
        ]
    )
    shape = 0.5 + 0.5 * np.exp(-(((hours - 13.5) / 3.0) ** 2))
    opened = (hours >= 9) & (hours < 21)
    return np.where(opened, PEOPLE * shape, 0.0)


def _rows(site: Site, measure: str, subject: str, values: NDArray[np.float64]) -> pa.Table:
    starts = [windows.start(FIRST - len(values) + n) for n in range(len(values))]
    return pa.table(
        {
            "site": [site.id] * len(values),
            "measure": [measure] * len(values),
            "subject": [subject] * len(values),
            "start": pa.array(starts, pa.timestamp("us", "UTC")),
            "value": values,
        }
    )


def history(sites: Sequence[Site]) -> pa.Table:
    """Weeks of windows before the start: footfall, orders and a camera that saw all."""
    keys = np.arange(FIRST - WEEKS * 672, FIRST)
    tables = []
    for site in sites:
        rng = np.random.default_rng([7, len(site.id), ord(site.id[1])])
        people = rng.poisson(mean(site, keys)).astype(np.float64)
        if site.kind == "web":
            tables.append(_rows(site, "orders", "web", people))
            continue
        orders = rng.binomial(people.astype(np.int64), SHARE).astype(np.float64)
        tables += [
            _rows(site, "footfall", "entrance", people),
            _rows(site, "orders", "pos", orders),
            _rows(site, "covered_seconds", "door", np.full(len(keys), 900.0)),
            _rows(site, "watched_seconds", "door", np.full(len(keys), 900.0)),
        ]
    return pa.concat_tables(tables)


class Town:
    """Windows come in one by one; what they raise is remembered in `changed`."""

    def __init__(self, store: Store, sites: Sequence[Site] = (LEEDS,), config: Config = CONFIG):
        self.store, self.sites, self.config = store, sites, config
        self.window = FIRST
        self.changed: list[Incident] = []
        intake = Intake(store)
        for site in sites:
            if site.kind == "store":
                intake.take([layout({"entrance": "entrance"}, site=site.id)])
        windows.add_imported(store, "history", history(sites))
        self.restart()
        self.judge(FIRST)

    def restart(self) -> None:
        """Central stops and starts again."""
        self.watch = Watch(self.store, self.config)
        self.incidents = Incidents(self.store, self.config)

    def put(self, site: str, measure: str, subject: str, value: float, window: int = 0) -> None:
        """A sum of the window that comes next, or of another."""
        self.store.central().execute(
            "insert into partial values ('live', ?, ?, ?, ?, ?, 0)",
            [site, measure, subject, window or self.window, value],
        )

    def quarter(
        self, people: float | None = None, sales: float | None = None, seen: float = 1.0
    ) -> list[Incident]:
        """One window of Leeds: as expected, unless told; then it closes and is judged."""
        usual = float(mean(LEEDS, np.array([self.window]))[0])
        people = usual if people is None else people
        self.put(SITE, "covered_seconds", "door", 900.0 * seen)
        self.put(SITE, "watched_seconds", "door", 900.0)
        if round(people) and seen:
            self.put(SITE, "footfall", "entrance", round(people))
        sold = SHARE * usual if sales is None else sales
        if round(sold):
            self.put(SITE, "orders", "pos", round(sold))
        for site in self.sites:
            if site.kind == "web":
                self.put(site.id, "orders", "web", WEB_ORDERS)
        self.window += 1
        return self.judge(self.window)

    def moments(self, bound: int) -> Iterator[Moment]:
        """The windows before `bound` that were not judged yet."""
        yield from self.watch.advance({site.id: bound for site in self.sites})

    def ticks(self, bound: int) -> Iterator[Tick]:
        """What is known of each site in them."""
        for moment in self.moments(bound):
            yield from moment.ticks.values()

    def judge(self, bound: int) -> list[Incident]:
        """Close the windows before `bound`; the incidents that changed."""
        found = []
        for moment in self.moments(bound):
            found += [each for each in self.incidents.judge(moment) if each.pushed is not None]
            self.watch.real = self.incidents.real
        self.changed += found
        return found

    def said(self) -> list[tuple[str, str, str]]:
        """What changed so far: cause, subject, opened or resolved."""
        return [
            (each.cause, each.subject, "resolved" if each.resolved else "opened")
            for each in self.changed
        ]

    def until(self, local: time) -> None:
        """Ordinary windows up to a time in Leeds."""
        while windows.start(self.window).astimezone(LEEDS.zone).time() != local:
            self.quarter()


def minutes(window: int) -> timedelta:
    """From the start of the live windows."""
    return windows.start(window) - START
