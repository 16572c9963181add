"""Calendars while shops are watched: what is set aside, multiplied, learnt and said."""

import logging
import os
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from central import windows
from central.agenda import SPAN, Agenda
from central.config import Config, Region, Site
from central.ical import Occurrence
from central.store import Store
from tests.central.device import SITE
from tests.central.test_watch import expectations
from tests.central.town import FIRST, LEEDS, SHARE, WEB, Town, mean

TODAY = windows.start(FIRST).date()
SERIES = [(SITE, "footfall", ""), (SITE, "orders", ""), ("york", "footfall", "")]


def written(path: Path, *events: tuple[int, str]) -> Path:
    """A calendar of whole days, each told by days from today, and what else its event says."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//shop//EN"]
    for number, (day, words) in enumerate(events):
        start = TODAY + timedelta(days=day)
        lines += ["BEGIN:VEVENT", f"UID:{number}", f"DTSTART;VALUE=DATE:{start:%Y%m%d}"]
        lines += [*words.split("|"), "END:VEVENT"]
    path.write_bytes("\r\n".join([*lines, "END:VCALENDAR", ""]).encode())
    return path


def town(store: Store, file: Path) -> Town:
    leeds = LEEDS.model_copy(update={"calendar": file})
    return Town(store, (leeds, WEB), Config(sites=(leeds, WEB)))


def usual(window: int) -> float:
    return float(mean(LEEDS, np.array([window]))[0])


def opened(town: Town) -> list[str]:
    return [each.cause for each in town.incidents.open.values()]


def test_an_ignored_day_raises_nothing_and_teaches_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "leeds.ics", (0, "SUMMARY:Carnival"))
    morrow = []
    for name, share in (("empty", 0.0), ("full", 2.0)):
        with closing(Store(tmp_path / name)) as store:
            shop = town(store, file)
            while shop.window < FIRST + 48:
                came = share * usual(shop.window)
                shop.quarter(people=came, sales=SHARE * came)
            assert opened(shop) == []
            assert {each[1] for key, each in expectations(store).items() if key >= FIRST} == {None}
            while shop.window < FIRST + 97:
                shop.quarter()
            morrow.append(expectations(store)[FIRST + 96])
    assert morrow[0] == morrow[1]
    assert morrow[0][1] == pytest.approx(usual(FIRST + 96), rel=0.2)


def test_what_was_open_stays_open_on_an_ignored_day_and_names_it(
    store: Store, tmp_path: Path
) -> None:
    late = written(tmp_path / "leeds.ics", (1, "SUMMARY:Carnival"))
    shop = town(store, late)
    shop.until(time(20))
    while shop.window < FIRST + 88:
        shop.quarter(people=0, sales=0)
    assert opened(shop) == ["demand"]
    while shop.window < FIRST + 100:
        shop.quarter()
    assert opened(shop) == ["demand"]
    (incident,) = shop.incidents.open.values()
    assert incident.sentence.endswith("Calendar: Carnival.")


def test_a_sale_is_usual_at_its_factor_and_a_fault_in_it_is_still_told(
    store: Store, tmp_path: Path
) -> None:
    file = written(tmp_path / "leeds.ics", (0, "SUMMARY:Summer\n  sale|X-PASSERBY-FACTOR:3"))
    shop = town(store, file)
    for _ in range(12):
        shop.quarter(people=3 * usual(shop.window), sales=3 * SHARE * usual(shop.window))
    assert opened(shop) == []
    told = expectations(store)[FIRST + 8]
    assert told[1] == pytest.approx(3 * usual(FIRST + 8), rel=0.2)
    for _ in range(4):
        shop.quarter(people=usual(shop.window), sales=SHARE * usual(shop.window))
    assert opened(shop) == ["demand"]
    (incident,) = shop.incidents.open.values()
    assert "Calendar: Summer sale." in incident.sentence
    assert incident.pushed is not None


def test_without_the_calendar_such_a_day_is_busy(store: Store) -> None:
    shop = Town(store, (LEEDS, WEB))
    for _ in range(12):
        shop.quarter(people=3 * usual(shop.window), sales=3 * SHARE * usual(shop.window))
    assert opened(shop) == ["busy"]


def test_a_sale_teaches_what_is_left_without_its_factor(store: Store, tmp_path: Path) -> None:
    shop = town(store, written(tmp_path / "leeds.ics", (0, "SUMMARY:Sale|X-PASSERBY-FACTOR:3")))
    for _ in range(12):
        shop.quarter(people=3 * usual(shop.window), sales=3 * SHARE * usual(shop.window))
    while shop.window <= FIRST + 96 + 4:
        shop.quarter()
    told = expectations(store)[FIRST + 100]
    assert told[1] == pytest.approx(usual(FIRST + 100), rel=0.15)


def test_a_factor_is_learnt_from_the_event_before(store: Store, tmp_path: Path) -> None:
    sale = "SUMMARY:Sale|CATEGORIES:SCALE"
    shop = town(store, written(tmp_path / "leeds.ics", (0, sale), (1, sale)))
    while shop.window < FIRST + 96:
        shop.quarter(people=2 * usual(shop.window), sales=2 * SHARE * usual(shop.window))
    assert opened(shop) == []
    assert expectations(store)[FIRST + 4][1] is None
    for restart in (False, True):
        if restart:
            shop.restart()
        shop.quarter(people=2 * usual(shop.window), sales=2 * SHARE * usual(shop.window))
        told = expectations(store)[shop.window - 1]
        assert told[1] == pytest.approx(2 * usual(shop.window - 1), rel=0.25)
    assert opened(shop) == []


def test_a_calendar_that_changes_is_read_again(store: Store, tmp_path: Path) -> None:
    file = written(tmp_path / "leeds.ics")
    shop = town(store, file)
    shop.quarter()
    assert expectations(store)[FIRST][1] is not None
    written(file, (0, "SUMMARY:Carnival"))
    os.utime(file, ns=(1, 1))
    shop.quarter(people=0)
    assert expectations(store)[FIRST + 1][1] is None


@pytest.mark.parametrize("words", [b"no calendar", None])
def test_a_calendar_of_no_use_is_said_once_and_the_site_is_watched(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, words: bytes | None
) -> None:
    file = tmp_path / "leeds.ics"
    if words:
        file.write_bytes(words)
    with caplog.at_level(logging.ERROR):
        shop = town(store, file)
        shop.quarter()
        shop.quarter()
    assert expectations(store)[FIRST][1] is not None
    (line,) = {record.getMessage() for record in caplog.records}
    assert line.startswith(f"{SITE} is watched without this calendar: {file}: ")
    assert len(caplog.records) <= 2  # one for each span that the history lies in


def test_the_calendars_of_region_and_site_count_and_none_elsewhere(tmp_path: Path) -> None:
    north = written(tmp_path / "north.ics", (0, "SUMMARY:Holiday"), (1, "SUMMARY:Holiday"))
    own = written(tmp_path / "leeds.ics", (1, "SUMMARY:Market|X-PASSERBY-FACTOR:2"))
    leeds = Site(id=SITE, region="north", calendar=own)
    york, web = Site(id="york", region="north"), Site(id="web", kind="web")
    config = Config(sites=(leeds, york, web), regions={"north": Region(calendar=north)})
    agenda = Agenda(config)
    today = windows.key(datetime.combine(TODAY, time(0), UTC))
    days = [today, today + 96, today + 192, today - SPAN]
    names = {
        site: [event.name if (event := agenda.at(site, day)) else "" for day in days]
        for site in (SITE, "york", "web", "nowhere")
    }
    assert names == {
        SITE: ["Holiday", "Market", "", ""],
        "york": ["Holiday", "Holiday", "", ""],
        "web": [""] * 4,
        "nowhere": [""] * 4,
    }
    assert agenda.set_aside("york", today + 96)
    assert not agenda.set_aside(SITE, today + 96)
    assert agenda.common((SITE, "york", "web"), today) == "Holiday"
    assert agenda.common((SITE, "york", "web"), today + 96) == ""
    assert list(agenda.now(today)) == [SITE, "york"]


def test_a_factor_is_what_all_earlier_events_of_its_name_showed() -> None:
    agenda = Agenda(Config())

    def event(day: int, name: str = "Sale", factor: float | None = None) -> Occurrence:
        start = datetime(2026, 6, day, tzinfo=UTC)
        return Occurrence(name, "scale", factor, start, start + timedelta(days=1))

    def factors(told: Occurrence) -> list[float]:
        return [float(each) for each in agenda.factors(SERIES, {SITE: told})]

    np.testing.assert_equal(factors(event(1)), [np.nan, np.nan, 1.0])
    for day, values in ((1, [30.0, np.nan, 5.0]), (2, [10.0, 8.0, 5.0]), (2, [20.0, 0.0, 5.0])):
        agenda.show(SERIES, {SITE: event(day)}, np.array(values), np.array([10.0, 4.0, 5.0]))
    np.testing.assert_equal(factors(event(2)), [3.0, np.nan, 1.0])
    assert factors(event(3)) == [2.0, 1.0, 1.0]
    assert factors(event(3, factor=1.5)) == [1.5, 1.5, 1.0]
    np.testing.assert_equal(factors(event(3, "Fair")), [np.nan, np.nan, 1.0])
    agenda.begin()
    np.testing.assert_equal(factors(event(3)), [np.nan, np.nan, 1.0])
