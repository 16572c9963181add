"""What the list says of each shop, and the chart's lines: what is not known is never a zero."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central import windows
from central.config import Config, Site, WriteKey
from central.console import chart, shops
from central.detect.causes import ONLY_LISTED, Cause
from central.intake.commit import Message
from central.service import Service
from central.store import Store
from edge import wire
from tests.central.device import DEVICE, MONDAY, SITE, message

LEEDS = Site(id=SITE, name="Leeds")
WEB = Site(id="web", name="Web shop", kind="web")
CONFIG = Config(
    sites=(LEEDS, WEB, Site(id="york")), write_keys=(WriteKey(key="x" * 8, site="web"),)
)


@pytest.fixture
def service(store: Store) -> Service:
    """A central that was not started."""
    return Service(store, CONFIG)


def says(state: wire.Cause, device: str = DEVICE) -> Message:
    camera = wire.CameraHealth(MONDAY, state, frames=0, fps=10.0, dropped=0)
    said = wire.Health(wire.VERSION, MONDAY, {}, {"door": camera}, "synced", "0")
    return message("health", said, device=device)


def inside(zone: str, count: int, device: str = DEVICE) -> Message:
    gauge = wire.Gauge(wire.VERSION, MONDAY, count)
    return message(f"occupancy/{zone}", gauge, device=device)


def leeds(service: Service) -> shops.Shop:
    return next(shop for shop in shops.shops(service) if shop.site.id == SITE)


def test_who_has_said_nothing_is_new(service: Service) -> None:
    found = [(shop.site.id, shop.state, shop.inside) for shop in shops.shops(service)]
    assert found == [("web", "fine", ""), (SITE, "new", ""), ("york", "new", "")]


def test_people_inside_are_those_of_all_zones_as_long_as_they_are_seen(service: Service) -> None:
    service.intake.take([says("ok"), inside("till", 2), inside("aisle", 3)])
    assert (leeds(service).state, leeds(service).inside) == ("fine", "5")
    service.intake.take([says("ok", "door-2"), inside("cellar", 4, "door-2")])
    assert leeds(service).inside == "9"
    service.intake.take([says("offline", "door-2")])
    assert leeds(service).inside == ""
    service.intake.take([says("ok", "door-2")])
    assert leeds(service).inside == "9"
    service.intake.take([message("status", wire.Status(wire.VERSION, "offline", "0"))])
    assert (leeds(service).state, leeds(service).inside) == ("offline", "")


def put(store: Store, measure: str, subject: str, value: float, window: int) -> None:
    with store.write() as cursor:
        row = ["live", SITE, measure, subject, window, value]
        cursor.execute("insert into partial values (?, ?, ?, ?, ?, ?, 0)", row)


def test_an_hour_that_was_not_seen_whole_is_at_least(service: Service, store: Store) -> None:
    now = windows.key(datetime.now(UTC))
    assert leeds(service).footfall == ""
    # Two windows each side, should a quarter begin meanwhile.
    for window in range(now - 2, now + 3):
        put(store, "covered_seconds", "door", 900, window)
        put(store, "footfall", "entrance", 600, window)
    assert leeds(service).footfall in ("≥ 1,200", "≥ 1,800")
    for window in range(now - 6, now - 2):
        put(store, "covered_seconds", "door", 900, window)
    assert leeds(service).footfall in ("1,200", "1,800")


@settings(max_examples=25)
@given(seen=st.lists(st.booleans(), min_size=1, max_size=90))
def test_a_window_that_nobody_saw_is_a_gap(
    seen: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("gap") / "data")
    now = windows.key(datetime.now(UTC))
    try:
        fill(store, now, seen)
        options = chart.options(store, LEEDS)
    finally:
        store.close()
    times = options["xAxis"]["data"]
    (line,) = [each["data"] for each in options["series"] if each.get("name") == "Footfall"]
    drawn = dict(zip(times, line, strict=True))
    first = now - len(seen)
    labels = [f"{windows.start(first + n):%a %d %b %H:%M}" for n in range(len(seen))]
    assert [drawn[label] for label in labels] == [0.0 if each else None for each in seen]
    marked: set[str] = set()
    for begin, end in options["series"][-1]["markArea"]["data"]:
        marked |= set(times[begin["xAxis"] : end["xAxis"]])
    inner = set(labels[:-1])
    assert marked & inner == {label for label in inner if drawn[label] is None}


def fill(store: Store, now: int, seen: list[bool]) -> None:
    """Windows up to `now`, seen or not, in which nobody came."""
    with store.write() as cursor:
        cursor.execute("insert into progress values (?, ?)", [SITE, now - 1])
        rows = [
            ("live", SITE, "covered_seconds", "door", now - len(seen) + n, 900.0)
            for n, each in enumerate(seen)
            if each
        ]
        if rows:
            cursor.executemany("insert into partial values (?, ?, ?, ?, ?, ?, 0)", rows)


def test_the_web_shop_has_no_footfall(store: Store) -> None:
    names = [each.get("name") for each in chart.options(store, WEB)["series"]]
    assert names == [None, None, "Orders"]


def test_the_board_is_read_once_for_all_visitors(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    reads: list[Service] = []

    def read(service: Service) -> list[shops.Shop]:
        reads.append(service)
        return []

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(shops, "shops", read)
    board = shops.Board(service)
    board.read()
    clock[0] += shops.REFRESH_SECONDS / 2
    board.read()
    assert reads == [service]
    clock[0] += shops.REFRESH_SECONDS
    board.read()
    assert reads == [service] * 2


def test_every_cause_of_an_incident_is_a_state() -> None:
    assert set(get_args(Cause)) - set(ONLY_LISTED) <= set(shops.STATES)
    style = Path(shops.__file__).with_name("style.css").read_text(encoding="utf-8")
    assert [state for state in shops.STATES if f".{state}" not in style] == []
