"""Windows against a slow, obvious twin; receipt days that come late, freeze and go."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central import windows
from central.intake import events
from central.intake.events import Intake
from central.store import Store
from edge import wire
from tests.central import device
from tests.central.device import EPOCH, MONDAY, SITE, batch, layout

Cells = dict[tuple[str, str, str, int], float]

moments = st.integers(0, 3 * 3600 * 4).map(lambda quarter: MONDAY + timedelta(seconds=quarter / 4))
spans = st.tuples(moments, st.integers(1, 1800)).map(
    lambda pair: (pair[0], pair[0] + timedelta(seconds=pair[1]))
)
lines = st.sampled_from(["front", "side", "stairs", "unheard-of"])
zones = st.sampled_from(["till", "display", "unheard-of"])
cameras = st.sampled_from(["one", "two"])
counts = st.integers(0, 50)
TRACK = "0" * 16

said = st.one_of(
    st.builds(
        lambda line, time, way, staff: wire.Crossing(
            "g", line, ("one",), time, way, TRACK, staff=staff
        ),
        lines,
        moments,
        st.sampled_from(["in", "out"]),
        st.booleans(),
    ),
    st.builds(
        lambda zone, span, dwell, staff: wire.Visit(
            "g", zone, ("one",), TRACK, span[0], span[1], dwell, 1, "left", staff=staff
        ),
        zones,
        spans,
        st.sampled_from([0.0, 4.75, 5.0, 5.25, 300.0]),
        st.booleans(),
    ),
    st.builds(
        lambda zone, span, mean: wire.Occupancy("g", zone, span[0], span[1], 0, mean, 9),
        zones,
        spans,
        st.floats(0, 9, width=16),
    ),
    st.builds(
        lambda camera, span, seen, expected: wire.Coverage(
            camera, span[0], span[1], seen, expected, "ok"
        ),
        cameras,
        spans,
        counts,
        counts,
    ),
)
said_by = st.tuples(st.sampled_from(["door-1", "door-2"]), said)


def twin(sent: list[tuple[str, wire.Event]]) -> Cells:
    """What the windows should hold, spelled out. Device 1 owns all but the side entrance."""
    cells: Cells = defaultdict(float)

    def add(measure: str, subject: str, moment: datetime, value: float) -> None:
        cells[SITE, measure, subject, int(moment.timestamp() // 900)] += value

    for name, event in sent:
        if isinstance(event, wire.Crossing):
            owned = {"door-1": ("front", "stairs"), "door-2": ("side",)}[name]
            if event.line in owned and event.line != "stairs" and not event.staff:
                add("footfall", event.line, event.time, event.direction == "in")
                add("exits", event.line, event.time, event.direction == "out")
        elif isinstance(event, wire.Visit):
            owned_here = name == "door-1" and event.zone != "unheard-of"
            if owned_here and event.dwell >= 5 and not event.staff:
                add("visits", event.zone, event.exited, 1)
                add("dwell_seconds", event.zone, event.exited, event.dwell)
        elif isinstance(event, wire.Occupancy):
            if name == "door-1" and event.zone != "unheard-of":
                seconds = int(event.stop.timestamp()) - int(event.start.timestamp())
                add("person_seconds", event.zone, event.start, event.mean * seconds)
                add("zone_seconds", event.zone, event.start, seconds)
        elif isinstance(event, wire.Coverage) and event.expected:
            seconds = int(event.stop.timestamp()) - int(event.start.timestamp())
            share = min(1.0, event.seen / event.expected)
            add("covered_seconds", event.camera, event.start, seconds * share)
            add("watched_seconds", event.camera, event.start, seconds)
    return cells


def partial(store: Store) -> Cells:
    rows = store.central().execute(
        'select site, measure, subject, "window", sum(value) from partial group by all'
    )
    return {(site, name, subject, at): value for site, name, subject, at, value in rows.fetchall()}


def rebuild(store: Store, now: datetime | None = None) -> None:
    windows.rebuild(store, 24.0, now or datetime.now(UTC))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(said_by, min_size=10, max_size=80))
def test_windows_equal_their_twin(store: Store, sent: list[tuple[str, wire.Event]]) -> None:
    for table in (*windows.RAW_TABLES, "ledger"):
        device.rows(store, f"truncate {table}")
    store.central().execute("truncate partial")
    intake = Intake(store)
    intake.take([layout({"front": "entrance", "stairs": "internal"}, ["till", "display"])])
    intake.take([layout({"front": "entrance", "side": "entrance"}, ["till"], device="door-2")])
    for name in ("door-1", "door-2"):
        own = [event for by, event in sent if by == name]
        if own:
            intake.take([batch(0, own, device=name)])
    for _ in range(2):
        rebuild(store)
        assert partial(store) == pytest.approx(twin(sent))


def test_a_visit_counts_from_five_seconds_on(store: Store) -> None:
    intake = Intake(store)
    intake.take([layout({}, ["till"])])
    stays = [
        wire.Visit("g", "till", ("door",), TRACK, MONDAY, MONDAY, dwell, 1, "left")
        for dwell in (4.75, 5.0, 5.25)
    ]
    intake.take([batch(0, stays)])
    rebuild(store)
    found = {measure: value for (_, measure, _, _), value in partial(store).items()}
    assert found == {"visits": 2.0, "dwell_seconds": 10.25}


class SparkOptions(ibis.config.Config):  # type: ignore[misc]
    """What the compiler asks of the back end, which would need an installed Spark."""

    treat_nan_as_null: bool = False


@pytest.mark.parametrize("definition", [windows.floor_measures, windows.order_measures])
@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_definitions_compile_for_both_dialects(
    definition: Any, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    text = str(ibis.to_sql(definition(), dialect=dialect))
    assert text.lstrip().upper().startswith(("SELECT", "WITH"))
    assert ("`site`" if dialect == "pyspark" else '"site"') in text
    assert "900" in text


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
        (SITE, "revenue", "pos", nine): 10.0,
        (SITE, "units", "pos", nine): 2.0,
        (SITE, "orders", "pos", eleven): 1.0,
        (SITE, "revenue", "pos", eleven): 1.0,
        (SITE, "units", "pos", eleven): 4.0,
    }
    windows.rebuild_orders(store)
    assert partial(store) == expected
    order("d", 11, 1.0, "sale")
    windows.rebuild_orders(store, eleven + 1)
    assert partial(store) == expected
    windows.rebuild_orders(store, eleven)
    assert partial(store)[SITE, "orders", "pos", eleven] == 2
    assert partial(store)[SITE, "orders", "pos", nine] == 1


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
