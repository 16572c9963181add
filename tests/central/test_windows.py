"""Receipt days that come late, freeze and go; imports; the keys of windows."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import windows
from central.intake import events
from central.intake.events import Intake
from central.store import Store
from tests.central import device
from tests.central.device import EPOCH, MONDAY, SITE, batch, layout
from tests.central.floor import cells
from tests.central.online import Event, put


def rebuild(store: Store, now: datetime | None = None) -> None:
    windows.rebuild(store, 24.0, now or datetime.now(UTC))


def receive(
    store: Store, monkeypatch: pytest.MonkeyPatch, day: date, first: int, count: int
) -> None:
    """Events of Monday that arrive on another day."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.combine(day, datetime.min.time(), tz)

    with monkeypatch.context() as context:
        context.setattr(events, "datetime", Clock)
        sent = [device.event(number) for number in range(first, first + count)]
        Intake(store).take([layout({"entrance": "entrance"}), batch(first, sent, epoch=EPOCH)])


def partial(store: Store) -> dict[tuple[str, str, str, int], float]:
    return {key[:4]: value for key, value in cells(store).items() if not key[4]}


def footfall(store: Store) -> float:
    row = store.central().execute("select sum(value) from partial where measure = 'footfall'")
    return float((row.fetchone() or (0,))[0] or 0)


def test_a_late_backlog_adds_and_a_frozen_day_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = MONDAY.date()
    receive(store, monkeypatch, day, 0, 5)
    rebuild(store, MONDAY + timedelta(hours=1))
    assert footfall(store) == 5
    receive(store, monkeypatch, day, 5, 1)
    rebuild(store, MONDAY + timedelta(hours=1))
    assert footfall(store) == 6
    # A week later Monday's events are gone, its windows are not, and what comes late is added.
    receive(store, monkeypatch, day + timedelta(days=7), 6, 4)
    later = MONDAY + timedelta(days=7, hours=1)
    for _ in range(3):
        rebuild(store, later)
        assert footfall(store) == 10
        days = device.rows(store, "select receipt_day, count(*) from crossing group by 1")
        assert days == [(day + timedelta(days=7), 4)]
    frozen = store.central().execute("select receipt_day from frozen").fetchall()
    assert frozen == [(day,)]
    assert device.numbers(store) == [6, 7, 8, 9]
    # The ledger still knows them all.
    receive(store, monkeypatch, day + timedelta(days=7), 0, 10)
    rebuild(store, later)
    assert footfall(store) == 10


def test_a_day_is_kept_until_all_of_it_is_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(store, monkeypatch, MONDAY.date(), 0, 5)
    rebuild(store, MONDAY + timedelta(days=1, hours=23))
    assert len(device.numbers(store)) == 5
    rebuild(store, MONDAY + timedelta(days=2))
    assert device.numbers(store) == []
    assert footfall(store) == 5


def test_a_stop_between_freezing_and_dropping_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(store, monkeypatch, MONDAY.date(), 0, 5)
    rebuild(store, MONDAY + timedelta(hours=1))
    store.central().execute("insert into frozen values (?)", [MONDAY.date()])
    device.rows(store, "delete from crossing where seq < 2")
    rebuild(store, MONDAY + timedelta(days=3))
    assert footfall(store) == 5
    assert device.numbers(store) == []


def test_all_kinds_of_events_expire(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(store, monkeypatch, MONDAY.date(), 0, 1)
    for table in windows.RAW_TABLES:
        device.rows(store, f"insert into {table} (receipt_day) values ('2026-03-02')")
    rebuild(store, MONDAY + timedelta(days=3))
    left = [device.rows(store, f"select count(*) from {table}") for table in windows.RAW_TABLES]
    assert left == [[(0,)]] * len(windows.RAW_TABLES)


def imported(moments: list[datetime], value: float) -> pa.Table:
    return pa.table(
        {
            "site": [SITE] * len(moments),
            "measure": ["footfall"] * len(moments),
            "subject": ["front"] * len(moments),
            "start": pa.array(moments, pa.timestamp("us", "UTC")),
            "value": [value] * len(moments),
        }
    )


def test_an_import_replaces_what_it_brought_before(store: Store) -> None:
    moments = [MONDAY, MONDAY + timedelta(minutes=15)]
    assert windows.add_imported(store, "a.parquet", imported(moments, 3.0)) == 2
    assert windows.add_imported(store, "a.parquet", imported(moments, 3.0)) == 2
    assert footfall(store) == 6
    windows.add_imported(store, "b.parquet", imported(moments[:1], 1.0))
    assert footfall(store) == 7
    windows.add_imported(store, "a.parquet", imported(moments[:1], 2.0))
    assert footfall(store) == 3


def test_orders_are_rebuilt_from_a_window_on(store: Store) -> None:
    def order(name: str, hour: int, value: float, kind: str) -> None:
        store.central().execute(
            'insert into orders (site, channel, order_id, "time", received, value, units, currency,'
            " kind) values ('leeds', 'pos', ?, ?, ?, ?, 2, 'GBP', ?)",
            [name, (MONDAY + timedelta(hours=hour)).replace(tzinfo=None), MONDAY, value, kind],
        )

    order("a", 9, 10.0, "sale")
    order("b", 11, 5.0, "sale")
    order("c", 11, -4.0, "return")
    nine, eleven = (windows.key(MONDAY + timedelta(hours=hour)) for hour in (9, 11))
    expected = {
        (SITE, "orders", "pos", nine): 1.0,
        (SITE, "revenue:GBP", "pos", nine): 10.0,
        (SITE, "units", "pos", nine): 2.0,
        (SITE, "orders", "pos", eleven): 1.0,
        (SITE, "revenue:GBP", "pos", eleven): 1.0,
        (SITE, "units", "pos", eleven): 4.0,
    }
    windows.rebuild_orders(store)
    assert partial(store).items() > expected.items()
    order("d", 11, 1.0, "sale")
    windows.rebuild_orders(store, eleven + 1)
    assert partial(store).items() > expected.items()
    windows.rebuild_orders(store, eleven)
    assert partial(store)[SITE, "orders", "pos", eleven] == 2
    assert partial(store)[SITE, "orders", "pos", nine] == 1


def test_orders_expire_and_stay_counted(store: Store) -> None:
    for number, received in enumerate([MONDAY, MONDAY, MONDAY + timedelta(days=1)]):
        store.central().execute(
            'insert into orders (site, channel, order_id, "time", received, value, units, currency,'
            " kind) values ('leeds', 'pos', ?, ?, ?, 10, 1, 'GBP', 'sale')",
            [str(number), MONDAY, received.replace(tzinfo=None)],
        )
    windows.rebuild_orders(store)
    before = cells(store)
    for hours, gone in ((0, 0), (1, 2), (1, 0), (48, 1)):
        assert windows.expire_orders(store, MONDAY + timedelta(hours=hours)) == gone
        assert cells(store) == before
        windows.rebuild_orders(store)
        assert cells(store) == before
    assert store.central().execute("select count(*) from orders").fetchall() == [(0,)]


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))
def test_a_key_is_the_quarter_that_holds_the_moment(moment: datetime) -> None:
    begin = windows.start(windows.key(moment))
    assert begin <= moment.astimezone(UTC) < begin + timedelta(minutes=15)
    assert begin.second == 0
    assert begin.minute % 15 == 0


def test_the_two_hours_of_a_clock_change_are_two() -> None:
    london = ZoneInfo("Europe/London")
    first = datetime(2026, 10, 25, 1, 15, tzinfo=london)
    second = first.replace(fold=1)
    assert windows.key(second) - windows.key(first) == 4
    missing = datetime(2026, 3, 29, 0, 45, tzinfo=london)
    assert windows.key(datetime(2026, 3, 29, 2, 0, tzinfo=london)) - windows.key(missing) == 1


def test_events_expire_by_whole_sessions(store: Store) -> None:
    """The one that goes on past the half hour before noon stays, whole, until the next time."""
    noon = 12 * 3600.0
    sent = [
        Event(0, noon - 7200, "ann"),
        Event(1, noon - 1860, "ann"),
        Event(2, noon - 3000, "ben"),
        Event(3, noon - 1800, "ben"),
        Event(4, noon, "ann"),
    ]
    put(store, sent)
    windows.rebuild_online(store)
    before = cells(store)
    horizon = windows.key(MONDAY + timedelta(seconds=noon))
    assert windows.expire_online(store, horizon) == 2
    left = store.central().execute("select message_id from online order by 1").fetchall()
    assert left == [("2",), ("3",), ("4",)]
    assert cells(store) == before
    assert windows.expire_online(store, horizon) == 0
    assert windows.expire_online(store, horizon + 96) == 3
    assert cells(store) == before


def test_a_session_without_end_expires_after_a_day(store: Store) -> None:
    put(store, [Event(n, n * 1800.0) for n in range(100)])
    windows.rebuild_online(store)
    assert windows.expire_online(store, windows.key(MONDAY) + 192) == 48
    sessions = [value for key, value in cells(store).items() if key[1] == "sessions"]
    assert sum(sessions) == 2.0


def test_a_late_event_may_join_two_sessions(store: Store) -> None:
    put(store, [Event(0, 0.0), Event(1, 3000.0)])
    windows.rebuild_online(store)
    assert {key[3] for key in cells(store) if key[1] == "sessions"} == {
        windows.key(MONDAY),
        windows.key(MONDAY) + 3,
    }
    windows.rebuild_online(store, put(store, [Event(2, 1500.0)]))
    found = {key[1:4:2]: value for key, value in cells(store).items()}
    assert found["sessions", windows.key(MONDAY)] == 1.0
    assert ("sessions", windows.key(MONDAY) + 3) not in found
    assert found["engaged_seconds", windows.key(MONDAY) + 3] == 1500.0
