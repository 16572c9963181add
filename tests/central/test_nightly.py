"""A night's work over real files: what it reads, what it writes, and when."""

import asyncio
import json
import subprocess
import sys
import threading
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central import aside, calendar, nightly, outlook, windows
from central.__main__ import main
from central.api import create
from central.config import Config, Hours, Opening, Site
from central.detect import baseline
from central.service import Service
from central.store import Store, utc

STORES = 9
OPEN = Hours(open=time(10), close=time(14))
SITES = tuple(
    Site(id=f"shop-{n}", name=f"Shop {n}", time_zone="Europe/London", hours=OPEN)
    for n in range(STORES)
)
CONFIG = Config(sites=SITES)
END = datetime(2026, 11, 24, tzinfo=UTC)
NOW = END + timedelta(hours=3, minutes=1)
LAST = windows.key(END)
WEEKS = 9
never = threading.Event()


def put(store: Store, site: str, measure: str, subject: str, values: NDArray[np.float64]) -> None:
    """Windows up to the end, as an import leaves them."""
    count = len(values)
    table = pa.table(
        {
            "part": ["import:x"] * count,
            "site": [site] * count,
            "measure": [measure] * count,
            "subject": [subject] * count,
            "window": np.arange(LAST - count, LAST),
            "value": values,
            "bin": pa.array([0] * count, pa.int16()),
        }
    )
    with store.write() as cursor:
        cursor.register("rows", table)
        cursor.execute("insert into partial by name select * from rows")
        cursor.unregister("rows")


def fill(store: Store, weeks: int = WEEKS) -> None:
    """Shops of all sizes; in the fourth, the tills stood still for most of the last day."""
    keys = np.arange(LAST - weeks * 672, LAST)
    opened = np.array([calendar.is_open(SITES[0], int(key)) for key in keys])
    for n, site in enumerate(SITES):
        rng = np.random.default_rng(n)
        people = np.where(opened, rng.poisson(10.0 + 3 * n, len(keys)), 0).astype(float)
        orders = rng.binomial(people.astype(int), 0.3).astype(float)
        if n == 4:
            orders[-96:] = np.floor(orders[-96:] * 0.2)
        put(store, site.id, "footfall", "door", people)
        put(store, site.id, "orders", "pos", orders)
        put(store, site.id, "revenue:GBP", "pos", 25.0 * orders)
        with store.write() as cursor:
            cursor.execute("insert into progress values (?, ?)", [site.id, LAST - 1])


def test_a_night_over_files(store: Store) -> None:
    fill(store)
    with store.write() as cursor:
        cursor.execute("insert into progress values ('new', ?)", [LAST - 1])
        cursor.execute("insert into progress values ('young', ?)", [LAST - 1])
    put(store, "young", "orders", "web", np.ones(10 * 96))
    # What is not closed yet teaches nothing.
    store.central().execute(
        "insert into partial values ('live', 'shop-0', 'footfall', 'door', ?, 1e9, 0)", [LAST + 50]
    )
    nightly.night(store, CONFIG, NOW, never)
    assert nightly.last(store) == NOW

    found = outlook.forecast(store, SITES[0], "footfall")
    assert (found.made, found.ready, found.problem) == (NOW, None, "")
    begins = [each.start for each in found.hours]
    assert begins[0] == datetime(2026, 11, 24, 10, tzinfo=SITES[0].zone)
    assert len(begins) == len(set(begins)) == 7 * 4
    assert {each.start.hour for each in found.hours} == {10, 11, 12, 13}
    for each in found.hours:
        assert each.lower < each.expected < each.upper
        assert each.expected == pytest.approx(40.0, rel=0.2)

    young = outlook.forecast(store, CONFIG.site("young"), "orders")
    assert young.ready == date(2026, 12, 5)
    assert young.hours == ()
    assert "ready on 2026-12-05" in outlook.forecast_words(young)
    unknown = outlook.forecast(store, CONFIG.site("new"), "footfall")
    assert unknown.made is None
    assert "one is made each night" in outlook.forecast_words(unknown)

    day = outlook.unlike(store, CONFIG)
    assert (day.day, day.compared) == (date(2026, 11, 23), STORES)
    (odd,) = day.unlike
    assert (odd.site, odd.place, odd.metrics[0].metric) == ("shop-4", 1, "conversion")
    assert odd.sentence.startswith("Shop 4: conversion 8")
    assert "below its usual" in odd.sentence
    assert "1 of 9 stores unlike the others\n1. Shop 4" in outlook.unlike_words(day)
    assert outlook.unlike(store, CONFIG, date(2026, 1, 1)).compared == 0
    _answers_are_the_same_by_api_and_command(store, found)

    # The next night takes the place of this one.
    nightly.night(store, CONFIG, NOW + timedelta(days=1), never)
    ((rows, made),) = (
        store.central().execute("select count(*), count(distinct made) from forecast").fetchall()
    )
    assert (rows, made) == (2 * STORES * 28, 1)


def _answers_are_the_same_by_api_and_command(store: Store, found: outlook.Forecast) -> None:
    app = create(Service(store, CONFIG.model_copy(update={"data": store.folder})))

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    def get(path: str) -> Any:
        answer = asyncio.run(ask(path))
        assert answer.status_code == 200, answer.text
        return answer.json()

    told = get("/v1/forecast/shop-0/footfall")
    assert len(told["hours"]) == len(found.hours)
    assert told["hours"][0]["expected"] == found.hours[0].expected
    assert told["hours"][0]["start"] == "2026-11-24T10:00:00Z"
    assert get("/v1/unlike")["unlike"][0]["sentence"].startswith("Shop 4: conversion")
    assert get("/v1/unlike?day=2026-01-01") == {"day": "2026-01-01", "compared": 0, "unlike": []}
    for path in ("/v1/forecast/nowhere/footfall", "/v1/forecast/shop-0/dwell"):
        assert asyncio.run(ask(path)).status_code == 404


def test_commands_tell_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with store.write() as cursor:
        cursor.execute("insert into baseline values ('leeds', 'orders', ?, null, '')", [utc(NOW)])
        cursor.execute(
            "insert into forecast values ('leeds', 'orders', ?, 12.5, 8, 17, ?)",
            [utc(END), utc(NOW)],
        )
        cursor.execute(
            "insert into baseline values ('york', 'orders', ?, null, 'ValueError: why')",
            [utc(NOW)],
        )
    store.close()
    config = store.folder / "central.yaml"
    config.write_text(f"data: {store.folder}\n")
    for words in (["forecast", "leeds", "orders"], ["forecast", "york", "orders"], ["unlike"]):
        main([*words, "--config", str(config)])
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "orders at leeds: expected, and the band of 95%",
        "Tue 2026-11-24 00:00      12.5       8.0 to     17.0",
        "orders at york: no forecast, last night's work failed: ValueError: why",
        "fewer than 8 stores could be compared",
    ]
    main(["forecast", "leeds", "orders", "--json", "--config", str(config)])
    assert json.loads(capsys.readouterr().out)["hours"] == [
        {"start": "2026-11-24T00:00:00+00:00", "expected": 12.5, "lower": 8.0, "upper": 17.0}
    ]
    main(["unlike", "--day", "2026-11-23", "--json", "--config", str(config)])
    assert json.loads(capsys.readouterr().out)["compared"] == 0


def test_what_fails_of_one_series_stops_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 4)
    reading = nightly.read

    def read(store: Store, site: Site, name: str, *more: Any) -> NDArray[np.float64]:
        if (site.id, name) == ("shop-2", "footfall"):
            raise ValueError("a bad row")
        return reading(store, site, name, *more)

    monkeypatch.setattr(nightly, "read", read)
    nightly.night(store, CONFIG, NOW, never)
    assert outlook.forecast(store, SITES[2], "footfall").problem == "ValueError: a bad row"
    assert "no forecast of footfall at shop-2" in caplog.text
    assert "shop-2 is not compared with the other stores" in caplog.text
    assert len(outlook.forecast(store, SITES[2], "orders").hours) == 28
    assert len(outlook.forecast(store, SITES[3], "footfall").hours) == 28


def test_a_night_that_is_stopped_leaves_what_was(store: Store) -> None:
    fill(store, 4)
    stop = threading.Event()
    stop.set()
    nightly.night(store, CONFIG, NOW, stop)
    assert nightly.last(store) is None


@pytest.mark.parametrize(
    ("made", "now", "due"),
    [
        (None, "2026-03-02 12:00", True),
        ("2026-03-02 03:00", "2026-03-02 23:59", False),
        ("2026-03-02 03:00", "2026-03-03 02:59", False),
        ("2026-03-02 03:00", "2026-03-03 03:00", True),
        ("2026-03-02 02:59", "2026-03-02 03:00", True),
        ("2026-02-01 04:00", "2026-03-02 01:00", True),
        ("2026-03-01 17:00", "2026-03-02 02:00", False),
    ],
)
def test_once_a_night_and_at_once_after_a_night_that_was_missed(
    made: str | None, now: str, due: bool
) -> None:
    before = None if made is None else datetime.fromisoformat(made).replace(tzinfo=UTC)
    assert nightly.due(before, datetime.fromisoformat(now).replace(tzinfo=UTC)) == due


def test_the_thread_does_a_night_that_is_due_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights: list[datetime] = []
    stop = threading.Event()

    def night(store: Store, config: Config, now: datetime, told: threading.Event) -> None:
        nights.append(now)
        if len(nights) == 1:
            raise ValueError("the first fails")

    class Clock(datetime):
        looked = 0

        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            cls.looked += 1
            if cls.looked == 4:
                stop.set()
            return cls(2026, 3, 2, 9, cls.looked, tzinfo=tz)

    monkeypatch.setattr(nightly, "night", night)
    monkeypatch.setattr(nightly, "datetime", Clock)
    monkeypatch.setattr(nightly, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(nightly, "RETRY_SECONDS", 0.01)
    nightly.keep(store, CONFIG, stop)
    assert [each.minute for each in nights] == [1, 2]


zones = st.sampled_from(["Europe/London", "America/Lima", "Australia/Lord_Howe", "Asia/Kolkata"])
spans = st.sampled_from(
    [date(2026, 3, 27), date(2026, 10, 23), date(2026, 4, 3), date(2026, 10, 2), date(2026, 7, 1)]
)
late = Hours(open=time(22, 30), close=time(2, 15), sunday=Opening(open=time(0), close=time(12)))


@settings(max_examples=20)
@given(zones, spans, st.sampled_from([OPEN, Hours(), late]), st.integers(0, 999))
def test_hours_and_days_are_sums_of_their_open_windows(
    zone: str, first: date, open_hours: Hours, seed: int
) -> None:
    site = Site(id="leeds", time_zone=zone, hours=open_hours)
    place = nightly.grid(site, first, first + timedelta(days=2))
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, len(place.span.opened)).astype(float)
    values[rng.random(len(values)) < 0.05] = np.nan
    by_hour: dict[tuple[int, int], dict[datetime, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    by_day: dict[int, list[float]] = defaultdict(list)
    for n, value in enumerate(values):
        window = place.span.first + n
        local = calendar.local(site, window)
        row = (local.date() - first).days
        hour = calendar.hour(site, window).astimezone(UTC)
        told = by_hour[row, local.hour][hour]
        if calendar.is_open(site, window):
            told.append(value)
            by_day[row].append(value)
    sums, days = place.sums(values), place.days(values)
    assert sums.shape == (10, baseline.HOURS)
    for row in range(10):
        for column in range(baseline.HOURS):
            parts = list(by_hour[row, column].values())
            once = len(parts) == 1 and len(parts[0]) > 0
            assert place.opened[row, column] == once
            expected = sum(parts[0]) if once else np.nan
            np.testing.assert_equal(sums[row, column], expected)
        known = [value for value in by_day[row] if not np.isnan(value)]
        enough = bool(by_day[row]) and len(known) >= 0.9 * len(by_day[row])
        np.testing.assert_equal(days[row], sum(known) if enough else np.nan)


def test_footfall_before_a_new_layout_teaches_nothing(store: Store) -> None:
    fill(store, 1)
    first = LAST - 96
    before = nightly.read(store, SITES[0], "footfall", first, LAST)
    assert np.isfinite(before).all()
    store.floor().execute(
        "insert into device (site, device, layout_since) values ('shop-0', 'door', ?)",
        [utc(windows.start(first + 10))],
    )
    after = nightly.read(store, SITES[0], "footfall", first, LAST)
    assert np.isnan(after[:11]).all()
    np.testing.assert_array_equal(after[11:], before[11:])
    assert np.isfinite(nightly.read(store, SITES[0], "orders", first, LAST)).all()


EVENTS = """BEGIN:VCALENDAR
BEGIN:VEVENT
UID:1
SUMMARY:Closed for stock
DTSTART;VALUE=DATE:20261226
DTEND;VALUE=DATE:20261228
END:VEVENT
BEGIN:VEVENT
UID:2
SUMMARY:A reading
DTSTART:20261229T180000
DTEND:20261229T210000
END:VEVENT
END:VCALENDAR
"""


def test_days_with_hours_of_their_own_or_a_long_event_are_holidays(tmp_path: Path) -> None:
    path = tmp_path / "events.ics"
    path.write_text(EVENTS.replace("\n", "\r\n"))
    hours = OPEN.model_copy(update={"exceptions": {date(2026, 12, 25): None}})
    site = Site(id="leeds", time_zone="America/Lima", hours=hours, calendar=path)
    config = Config(sites=(site,))
    found = nightly.holidays(config, site, date(2026, 12, 20), date(2026, 12, 31))
    assert found == {date(2026, 12, 25), date(2026, 12, 26), date(2026, 12, 27)}
    assert nightly.holidays(config, site, date(2026, 12, 27), date(2026, 12, 31)) == {
        date(2026, 12, 27)
    }


def test_dwell_comes_from_released_cells_alone(store: Store) -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    cells = [
        ("till", "day", "ok", 1, day, 60.0),
        ("till", "day", "ok", 2, day, 65.0),
        ("till", "day", "ok", 1, day + timedelta(days=1), 70.0),
        ("till", "day", "suppressed", 1, day + timedelta(days=2), None),
        ("till", "hour", "ok", 1, day + timedelta(days=3), 999.0),
        ("window", "day", "ok", 1, day, 10.0),
    ]
    for zone, level, status, snapshot, start, value in cells:
        store.central().execute(
            "insert into released (site, about, zone, granularity, status, snapshot, start,"
            " dwell_p50) values ('shop-0', 'dwell', ?, ?, ?, ?, ?, ?)",
            [zone, level, status, snapshot, utc(start), value],
        )
    found = nightly._dwell(store, SITES[0], date(2026, 11, 19))
    assert found[:5].tolist()[1:3] == [65.0, 70.0]
    assert np.isfinite(found).sum() == 2
    assert np.isnan(nightly._dwell(store, SITES[1], date(2026, 11, 19))).all()


HEAVY = """
import sys
import central.service, central.api, central.__main__
print({"statsmodels", "pyod", "sklearn", "matplotlib"} & set(sys.modules))
"""


def test_serve_imports_nothing_of_what_is_heavy() -> None:
    said = subprocess.run([sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_the_process_beside_is_humble_and_another() -> None:
    with aside.pool() as pool:
        import os

        found = pool.submit(os.nice, 0).result()
        assert found >= min(19, os.nice(0) + aside.NICE)
        assert pool.submit(os.getpid).result() != os.getpid()
