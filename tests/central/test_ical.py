"""Calendars: what recurs keeps its local hour, and what cannot be used is told in words."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from central import ical
from central.ical import CalendarError, Occurrence, mark, occurrences

LONDON = ZoneInfo("Europe/London")
FIRST, LAST = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


def written(folder: Path, *events: str) -> Path:
    path = folder / "shop.ics"
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//shop//EN"]
    for number, event in enumerate(events):
        name = [] if "UID:" in event else [f"UID:{number}"]
        lines += ["BEGIN:VEVENT", *name, *event.split(), "END:VEVENT"]
    path.write_text("\r\n".join([*lines, "END:VCALENDAR", ""]), encoding="utf-8")
    return path


def found(folder: Path, *events: str) -> list[Occurrence]:
    return occurrences(written(folder, *events), LONDON, FIRST, LAST)


def utc(words: str) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=UTC)


def test_an_hour_that_recurs_keeps_its_place_on_the_clock(tmp_path: Path) -> None:
    """Clocks in London go forward on 29 March 2026."""
    (before, after) = found(
        tmp_path,
        "DTSTART;TZID=Europe/London:20260322T090000 DTEND;TZID=Europe/London:20260322T100000"
        " RRULE:FREQ=WEEKLY;COUNT=2",
    )
    assert (before.start, before.stop) == (utc("2026-03-22 09:00"), utc("2026-03-22 10:00"))
    assert (after.start, after.stop) == (utc("2026-03-29 08:00"), utc("2026-03-29 09:00"))


def test_a_day_is_the_sites_and_has_23_hours_when_clocks_go_forward(tmp_path: Path) -> None:
    (day,) = found(tmp_path, "DTSTART;VALUE=DATE:20260329")
    assert day.stop - day.start == timedelta(hours=23)
    (days,) = found(tmp_path, "DTSTART;VALUE=DATE:20260328 DTEND;VALUE=DATE:20260330")
    assert (days.start, days.stop) == (utc("2026-03-28 00:00"), utc("2026-03-29 23:00"))


def test_times_without_a_zone_are_the_sites(tmp_path: Path) -> None:
    (event,) = found(tmp_path, "DTSTART:20260401T090000 DURATION:PT2H")
    assert (event.start, event.stop) == (utc("2026-04-01 08:00"), utc("2026-04-01 10:00"))


def test_a_night_ends_the_next_morning(tmp_path: Path) -> None:
    """An end is a time on the clock, a duration is what passes: an hour is left out that night."""
    (night,) = found(tmp_path, "DTSTART:20260328T220000 DTEND:20260329T060000")
    assert (night.start, night.stop) == (utc("2026-03-28 22:00"), utc("2026-03-29 05:00"))
    (night,) = found(tmp_path, "DTSTART:20260328T220000 DURATION:PT8H")
    assert (night.start, night.stop) == (utc("2026-03-28 22:00"), utc("2026-03-29 06:00"))


@pytest.mark.parametrize(
    ("until", "count"),
    [("20260315", 3), ("20260315T080000Z", 2), ("20260315T090000Z", 3), ("20260315T085900", 2)],
)
def test_a_rule_ends_where_it_says(tmp_path: Path, until: str, count: int) -> None:
    assert count == len(
        found(
            tmp_path,
            "DTSTART;TZID=Europe/London:20260301T090000 DURATION:PT1H"
            f" RRULE:FREQ=WEEKLY;UNTIL={until}",
        )
    )


def test_days_that_are_taken_out_put_in_moved_and_cancelled(tmp_path: Path) -> None:
    events = found(
        tmp_path,
        "UID:sale DTSTART:20260302T090000 DURATION:PT1H RRULE:FREQ=DAILY;COUNT=5"
        " EXDATE:20260303T090000 RDATE:20260401T110000",
        "UID:sale RECURRENCE-ID:20260304T090000 DTSTART:20260304T150000 DURATION:PT3H",
        "UID:off DTSTART:20260310T090000 DURATION:PT1H STATUS:CANCELLED",
    )
    starts = [each.start.strftime("%d %H") for each in events]
    assert starts == ["02 09", "04 15", "05 09", "06 09", "01 10"]


def test_what_began_before_and_lasts_is_there(tmp_path: Path) -> None:
    (event,) = found(tmp_path, "DTSTART;VALUE=DATE:20260201 DTEND;VALUE=DATE:20260303")
    assert event.start < FIRST < event.stop
    assert not found(tmp_path, "DTSTART;VALUE=DATE:20260201 DTEND;VALUE=DATE:20260301")
    assert len(found(tmp_path, "DTSTART;VALUE=DATE:19900101 RRULE:FREQ=YEARLY;BYMONTH=4")) == 1


@pytest.mark.parametrize(
    ("words", "kind", "factor"),
    [
        ("", "ignore", None),
        ("CATEGORIES:Holiday", "ignore", None),
        ("CATEGORIES:Holiday,Profile", "profile", None),
        ("CATEGORIES:SCALE", "scale", None),
        ("X-PASSERBY-KIND:scale CATEGORIES:ignore", "scale", None),
        ("X-PASSERBY-FACTOR:1.5", "scale", 1.5),
    ],
)
def test_kinds(tmp_path: Path, words: str, kind: str, factor: float | None) -> None:
    (event,) = found(tmp_path, f"SUMMARY:Sale DTSTART;VALUE=DATE:20260401 {words}")
    assert (event.name, event.kind, event.factor) == ("Sale", kind, factor)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("SUMMARY:Sale", "event 'Sale' has no DTSTART; give it one"),
        ("SUMMARY:Sale DTSTART:tomorrow", "event 'Sale': DTSTART: Wrong date format tomorrow"),
        ("SUMMARY:Sale DTSTART:20260301T090000 RRULE:FREQ=SOMETIMES", "event 'Sale': RRULE: "),
        (
            "SUMMARY:Sale DTSTART:20260301T090000 DURATION:PT1S RRULE:FREQ=SECONDLY",
            "event 'Sale': it recurs secondly",
        ),
        (
            "SUMMARY:Sale DTSTART;TZID=Atlantis:20260301T090000",
            "event 'Sale': time zone Atlantis is not known; write one like Europe/London",
        ),
        (
            "SUMMARY:Sale DTSTART;VALUE=DATE:20260301 X-PASSERBY-FACTOR:-1",
            "event 'Sale': X-PASSERBY-FACTOR -1 is no number above 0; write one like 1.5",
        ),
        (
            "SUMMARY:Sale DTSTART;VALUE=DATE:20260301 X-PASSERBY-KIND:half",
            "event 'Sale': X-PASSERBY-KIND half is none of ignore, profile, scale",
        ),
    ],
)
def test_a_mistake_names_its_event(tmp_path: Path, event: str, words: str) -> None:
    with pytest.raises(CalendarError) as caught:
        found(tmp_path, event)
    assert f"shop.ics: {words}" in str(caught.value)


def test_no_file_and_no_calendar(tmp_path: Path) -> None:
    with pytest.raises(CalendarError, match="name an existing file"):
        occurrences(tmp_path / "none.ics", LONDON, FIRST, LAST)
    path = tmp_path / "shop.ics"
    for text in (b"", b"opening hours: nine to five", b"\xff\xfe\x00", b"BEGIN:VCALENDAR\r\n"):
        path.write_bytes(text)
        with pytest.raises(CalendarError, match="not a calendar"):
            occurrences(path, LONDON, FIRST, LAST)


LINES = [
    *("BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "UID:1", "SUMMARY:Sale"),
    *("DTSTART:20260301T090000", "DTEND:20260301T100000Z", "DTSTART;VALUE=DATE:20260301"),
    *("DURATION:-PT1H", "RRULE:FREQ=DAILY;INTERVAL=0", "RRULE:FREQ=WEEKLY;UNTIL=20260401"),
    *("RRULE:FREQ=YEARLY;BYEASTER=0", "EXDATE:20260302", "RDATE;VALUE=PERIOD:20260301/PT1H"),
    *("RECURRENCE-ID:20260301T090000", "DTEND:20260230", "DTSTART;TZID=:20260301T090000", "\x00"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(some.lists(some.sampled_from(LINES) | some.text(max_size=30), max_size=12))
def test_any_text_is_a_calendar_or_refused_in_words(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "any.ics"
    body = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]
    path.write_text("\r\n".join(body), encoding="utf-8")
    with suppress(CalendarError):
        for each in occurrences(path, LONDON, FIRST, LAST):
            assert each.start < each.stop


@given(
    some.lists(
        some.tuples(some.integers(0, 30), some.integers(1, 10)).map(
            lambda each: Occurrence(
                "",
                "ignore",
                None,
                datetime.fromtimestamp(each[0], UTC),
                datetime.fromtimestamp(sum(each), UTC),
            )
        ),
        max_size=5,
    ),
    some.lists(some.integers(0, 45), max_size=20).map(sorted),
)
def test_a_time_is_marked_by_the_shortest_event_around_it(
    events: list[Occurrence], times: list[int]
) -> None:
    marks = mark(events, np.array(times, np.int64))
    for time, place in zip(times, marks.tolist(), strict=True):
        moment = datetime.fromtimestamp(time, UTC)
        around = [i for i, each in enumerate(events) if each.start <= moment < each.stop]
        wanted = min(around, key=lambda i: (events[i].stop - events[i].start, -i), default=-1)
        assert place == wanted


def test_the_kinds_are_all_told_of() -> None:
    for kind in ical.KINDS:
        assert f"`{kind}`" in (ical.__doc__ or "")


def test_dates_are_dates() -> None:
    assert ical._moment(date(2026, 3, 1), LONDON) == datetime(2026, 3, 1, tzinfo=LONDON)
