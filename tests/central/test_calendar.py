"""A site's own hours and days, through both changes of the clock."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import calendar, windows
from central.config import Hours, Site

LONDON = Site(id="leeds", time_zone="Europe/London", hours=Hours(open=time(1), close=time(3)))
FORWARD, BACK = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("night", "hours"),
    [
        (FORWARD, ["00:00", "02:00", "03:00", "04:00"]),
        (BACK, ["01:00", "01:00", "02:00", "03:00"]),
    ],
)
def test_both_hours_of_a_change_and_the_missing_one(night: datetime, hours: list[str]) -> None:
    first = windows.key(night)
    begins = [calendar.hour(LONDON, window) for window in range(first, first + 16)]
    assert [begin.strftime("%H:%M") for begin in begins[::4]] == hours
    instants = [begin.astimezone(UTC) for begin in begins]
    assert instants == [night + timedelta(hours=n // 4) for n in range(16)]


@pytest.mark.parametrize(("night", "quarters"), [(FORWARD, 4), (BACK, 12)])
def test_a_shop_is_open_by_the_clock_on_the_wall(night: datetime, quarters: int) -> None:
    """From one to three: an hour when the clocks go forward, and three when they go back."""
    first = windows.key(night) - 8
    opened = [calendar.is_open(LONDON, window) for window in range(first, first + 32)]
    assert sum(opened) == quarters


def test_a_slot_is_a_local_quarter_of_the_week() -> None:
    monday = windows.key(datetime(2026, 7, 6, 0, 15, tzinfo=UTC))
    assert calendar.slot(LONDON, monday) == 5  # a quarter past one, in summer
    assert calendar.slot(LONDON, monday - 2) == calendar.CLOSED
    closed = Site(id="leeds", hours=Hours(exceptions={date(2026, 7, 6): None}))
    assert calendar.slot(closed, monday) == calendar.CLOSED
    assert calendar.slot(closed, monday + 96) == 97


zones = st.sampled_from(["Europe/London", "America/Lima", "Asia/Kathmandu", "Pacific/Auckland"])


@given(zones, st.integers(windows.key(FORWARD), windows.key(FORWARD) + 40_000))
def test_a_window_lies_in_its_hour_and_its_day(zone: str, window: int) -> None:
    site = Site(id="any", time_zone=zone)
    begin, hour, day = (of(site, window) for of in (calendar.local, calendar.hour, calendar.day))
    assert hour <= begin
    assert begin.astimezone(UTC) - hour.astimezone(UTC) < timedelta(hours=1)
    assert hour.minute == 0
    assert day.astimezone(UTC) <= begin.astimezone(UTC)
    assert (day.date(), day.time()) == (begin.date(), time(0))
