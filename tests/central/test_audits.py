"""A device's audits beside the windows: once each, as they were said last, and in the series."""

from datetime import timedelta

import pytest

from central import audits, series, windows
from central.config import Site
from central.intake.commit import Message
from central.intake.events import Intake
from central.metrics import CATALOGUE
from central.series import Point, Resolution
from central.store import Store
from edge import wire
from tests.central.device import DEVICE, MONDAY, SITE, health, layout

NOON = MONDAY + timedelta(hours=12)
FIRST = windows.key(NOON)
HOUR = timedelta(hours=1)


def audit(
    confidence: float = 0.9, *, line: str = "entrance", hour: int = 0, count: int = 40
) -> wire.Audit:
    checks = {"ends": confidence, "coverage": 1.0}
    return wire.Audit("line", line, NOON + hour * HOUR, count, confidence, checks)


def zone(confidence: float, count: int = 10) -> wire.Audit:
    return wire.Audit("zone", "till", NOON, count, confidence, {"ends": confidence})


@pytest.fixture
def shop(store: Store) -> Store:
    """A store that knows a device, its entrance, an inner line and a zone."""
    Intake(store).take([layout({"entrance": "entrance", "aisle": "internal"}, ["till"])])
    return store


def kept(store: Store, hours: int = 24) -> list[audits.Audit]:
    return audits.listed(store, SITE, NOON, NOON + hours * HOUR)


def test_an_audit_is_kept_once_as_it_was_said_last(shop: Store) -> None:
    for said in ([audit(0.5)], [audit(0.5)], [audit(0.7, count=41), audit(hour=1)]):
        assert audits.keep(shop, SITE, DEVICE, said)
    first, second = kept(shop)
    assert first == audits.Audit(
        "line", "entrance", "entrance", DEVICE, NOON, 41, 0.7, {"ends": 0.7, "coverage": 1.0}
    )
    assert (second.start, second.confidence) == (NOON + HOUR, 0.9)
    assert kept(shop, 1) == [first]
    assert audits.listed(shop, "york", NOON, NOON + HOUR) == []


def test_only_what_the_owner_says_is_kept(shop: Store) -> None:
    assert audits.keep(shop, SITE, DEVICE, [audit(line="unknown")])
    assert not audits.keep(shop, SITE, "other", [audit()])
    assert not audits.keep(shop, "york", DEVICE, [audit()])
    assert kept(shop) == []


def test_an_audit_comes_with_health_and_may_be_absent(store: Store) -> None:
    intake = Intake(store)
    intake.take([health({}, {})])
    assert intake.health[SITE, DEVICE].audits == ()
    said = wire.Health(wire.VERSION, MONDAY, {}, {}, "synced", "0", audits=(audit(), zone(0.5)))
    topic = str(wire.Topic(SITE, DEVICE, "health"))
    intake.take([Message(topic, wire.encode(said))])
    assert Intake(store).health[SITE, DEVICE].audits == said.audits


class Book:
    """Reads a metric's points where every window was seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        cursor = store.central()
        cursor.execute("insert into progress values (?, ?)", [SITE, FIRST + 99])
        for window in range(FIRST, FIRST + 12):
            for measure, subject, value in (
                ("covered_seconds", "door", 900.0),
                ("visits", "door", 3.0),
                ("orders", "pos", 1.0),
            ):
                cursor.execute(
                    "insert into partial values ('live', ?, ?, ?, ?, ?, 0)",
                    [SITE, measure, subject, window, value],
                )

    def read(self, metric: str, hours: int, step: Resolution) -> list[Point]:
        site = Site(id=SITE, time_zone="UTC")
        return series.read(self._store, site, CATALOGUE[metric], NOON, NOON + hours * HOUR, step)

    def sure(self, metric: str, step: Resolution = "hour", hours: int = 2) -> list[float | None]:
        return [point.confidence for point in self.read(metric, hours, step)]


def test_points_carry_the_confidence_of_their_hours(shop: Store) -> None:
    book = Book(shop)
    assert book.sure("footfall") == [None, None]
    audits.keep(shop, SITE, DEVICE, [audit(0.6), audit(0.1, line="aisle"), zone(0.3)])
    audits.keep(shop, SITE, DEVICE, [audit(0.9, hour=1, count=80)])
    for metric in ("footfall", "exits", "conversion"):
        assert book.sure(metric) == [0.6, 0.9]
    assert book.sure("footfall", "15min") == [0.6] * 4 + [0.9] * 4
    for metric in ("visits", "dwell_p50", "occupancy"):
        assert book.sure(metric) == [0.3, None]
    assert book.sure("coverage") == [None, None]
    # By how many were counted: 40 of them with 0.6, and 80 with 0.9.
    assert book.sure("footfall", "day", 3) == [pytest.approx(0.8)]


def test_two_entrances_weigh_by_their_people(shop: Store) -> None:
    Intake(shop).take([layout({"side": "entrance"}, device="door-2", cameras=("side",))])
    audits.keep(shop, SITE, DEVICE, [audit(1.0, count=90)])
    audits.keep(shop, SITE, "door-2", [audit(0.5, line="side", count=10)])
    assert Book(shop).sure("footfall", hours=1) == [pytest.approx(0.95)]


def test_what_is_absent_has_no_confidence(shop: Store) -> None:
    book = Book(shop)
    audits.keep(shop, SITE, DEVICE, [audit(hour=3)])
    assert book.read("footfall", 4, "hour")[3].status == "absent"
    assert book.sure("footfall", hours=4)[3] is None
