"""Series that describe people: what the features tell of them, and nothing beside it."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import combinations, product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central import features, series, windows
from central.config import Hours, Site
from central.metrics import CATALOGUE
from central.privacy import TIMED, TIMED_AGAIN
from central.series import ABOUT, Point, Resolution
from central.store import Store
from tests.central import shop
from tests.central.shop import MONDAY, SITE

HOURS = Hours(open=time(9), close=time(21))
LEEDS = Site(id=SITE, hours=HOURS)
PEOPLE = [metric.name for metric in CATALOGUE.values() if metric.released]
STEPS: tuple[Resolution, ...] = ("hour", "day")
BUSY = ((0, 9), (0, 10), (0, 15), (1, 9), (1, 20))
"""Days after Monday, and hours of them."""
HOUR = timedelta(hours=1)
Stay = tuple[str, int, int]
"""A zone, a day after Monday, and the hour of it in which visits end."""
patient = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def after(day: int, hour: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


def visits(came: Counter[Stay]) -> Counter[shop.Cell]:
    """Their windows: each is somebody who comes in, and stays the longer the later it is."""
    found: Counter[shop.Cell] = Counter()
    for (zone, day, hour), count in came.items():
        window = windows.key(after(day, hour)) + 1
        found["footfall", "entrance", window, 0] += count
        found["person_seconds", zone, window, 0] += 60 * hour * count
        for measure in ("visits", "people"):
            found[measure, zone, window, 0] += count
        found["engaged", zone, window, 0] += count * hour // 24
        found["dwell", zone, window, hour - 9] += count
        found["wait", zone, window, min(hour - 9, 8)] += count
    return found


class Watch:
    """A shop of which more comes to be known, and is released and read."""

    def __init__(self, store: Store, site: Site = LEEDS) -> None:
        self.store, self.site = store, site
        self.came: Counter[Stay] = Counter()
        self._runs = 0
        for table in ("partial", "released", "progress"):
            store.central().execute(f"delete from {table}")

    def release(self, closed: datetime, came: dict[Stay, int] | None = None) -> None:
        """More is known, and all windows before a moment are closed."""
        self.came += Counter(came or {})
        shop.put(self.store, shop.seen(8) + visits(self.came))
        shop.close(self.store, closed)
        self._runs += 1
        features.release(self.store, self.site, after(70, self._runs))

    def points(
        self,
        metric: str,
        step: Resolution = "hour",
        subject: str = "",
        start: datetime = MONDAY,
        stop: datetime = MONDAY + timedelta(days=2),
    ) -> list[Point]:
        return series.read(self.store, self.site, CATALOGUE[metric], start, stop, step, subject)

    def told(self, metric: str, step: Resolution = "hour", subject: str = "") -> dict[str, Any]:
        """By day and hour, what has a value."""
        return {
            f"{point.start:%d %H}": point.value
            for point in self.points(metric, step, subject)
            if point.value is not None
        }

    def rows(self, about: str) -> list[dict[str, Any]]:
        """What is released about something."""
        cursor = self.store.central().execute(
            "select * from released where about = ? and status = 'ok' order by start, zone,"
            " snapshot",
            [about],
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def watch(store: Store) -> Watch:
    return Watch(store)


def test_an_hour_is_told_once_it_has_closed_and_the_rest_of_its_day_after_it(watch: Watch) -> None:
    came = {("till", 0, 9): 200, ("till", 0, 10): 12, ("till", 0, 13): 20, ("till", 0, 19): 29}
    watch.release(after(0, 9) + timedelta(minutes=45), came)
    assert watch.told("dwell_p50") == {}
    watch.release(after(0, 11))
    (_, first, second, third, *_) = watch.points("dwell_p50", start=after(0, 8), stop=after(0, 13))
    assert (first.value, first.status, first.observed) == (8.0, "observed", 1.0)
    assert (second.value, second.status, second.observed) == (None, "suppressed", 0.0)
    assert (third.value, third.status) == (None, "open")
    (today, tomorrow) = watch.points("dwell_p50", "day")
    assert (today.value, today.status, today.observed) == (8.0, "open", 1 / 24)
    assert (tomorrow.value, tomorrow.status) == (None, "open")
    # 10 and 11 are too few, and so are 13 and the hours after it; the four together are not.
    watch.release(after(1))
    (today, tomorrow) = watch.points("dwell_p50", "day")
    rest = [row for row in watch.rows("dwell") if row["granularity"] == "day"]
    assert [(row["hours"], row["counts"][-1]) for row in rest] == [(11, 61)]
    assert today.value == round((200 * 8 + 61 * rest[0]["dwell_p50"]) / 261, 2)
    assert (today.status, today.observed) == ("observed", 0.5)
    assert watch.told("dwell_p50") == {"02 09": 8.0}


def test_what_needs_a_week_is_not_in_a_day(watch: Watch) -> None:
    watch.release(after(7), {("till", 0, 9): 20, ("till", 1, 9): 20})
    assert [row["granularity"] for row in watch.rows("dwell")] == ["week"]
    for step in STEPS:
        points = watch.points("dwell_p50", step, start=after(0, 9))
        assert {point.status for point in points} == {"suppressed"}


def test_quarters_tell_nothing_of_people(watch: Watch) -> None:
    watch.release(after(1), {("till", 0, 9): 200})
    for metric in PEOPLE:
        assert watch.told(metric, "15min") == {}
        assert watch.told(metric) != {}


def test_what_no_camera_saw_is_absent(watch: Watch) -> None:
    watch.release(after(9), {("till", 0, 9): 200})
    beyond = watch.points("dwell_p50", "day", start=after(7), stop=after(9))
    assert [point.status for point in beyond] == ["suppressed", "absent"]


def test_a_zone_has_its_own_cells_and_the_site_their_mean(watch: Watch) -> None:
    watch.release(after(1), {("till", 0, 9): 200, ("shelf", 0, 9): 40, ("shelf", 0, 12): 120})
    till, shelf = (watch.told("dwell_p50", "day", zone) for zone in ("till", "shelf"))
    # Below 50 people a wide bin is told: of 5 to 30 s its middle.
    assert watch.told("dwell_p50", subject="shelf") == {"02 09": 12.0, "02 12": 25.0}
    assert till == {"02 00": 8.0}
    assert shelf == {"02 00": round((40 * 12 + 120 * 25) / 160, 2)}
    assert watch.told("dwell_p50", "day") == {
        "02 00": round((200 * 8 + 40 * 12 + 120 * 25) / 360, 2)
    }
    # Nine in ten are told of 50 people or more.
    assert watch.told("dwell_p90", subject="shelf") == {"02 12": 29.0}


def test_waits_engagement_and_time_in_the_store_are_told_alike(watch: Watch) -> None:
    watch.release(after(1), {("till", 0, 9): 100, ("shelf", 0, 9): 20, ("shelf", 0, 12): 29})
    assert watch.told("wait_p50", subject="till") == {"02 09": 8.0}
    assert watch.told("wait_p90", subject="till") == {"02 09": 14.0}
    assert watch.told("engaged_share", subject="till") == {"02 09": 0.37}
    # Little's law: 9 min each.
    assert watch.told("store_dwell") == {"02 09": 540.0}
    assert watch.told("store_dwell", "day") == {"02 00": 540.0}


def test_a_span_that_cuts_a_cell_does_not_tell_it(watch: Watch) -> None:
    watch.release(after(1), {("till", 0, 9): 20, ("till", 0, 18): 20})
    (row,) = watch.rows("dwell")
    assert row["granularity"] == "day"
    for start, stop, told in (
        (after(0), after(1), 1),
        (after(0, 9), after(0, 21), 1),
        (after(0, 10), after(1), 0),
        (after(0), after(0, 20), 0),
    ):
        points = watch.points("dwell_p50", "day", start=start, stop=stop)
        assert sum(point.value is not None for point in points) == told


def test_days_and_hours_of_released_cells_are_the_sites_own(store: Store) -> None:
    kathmandu = Site(id=SITE, time_zone="Asia/Kathmandu")
    watch = Watch(store, kathmandu)
    watch.release(after(2), {("till", 0, 18): 60, ("till", 0, 19): 60})
    told = watch.told("dwell_p50", "day")
    local = after(0, 18).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert f"{local:%d %H:%M}" == "02 23:45"
    assert set(told) == {"03 00"}
    assert set(watch.told("dwell_p50")) == {"03 00", "03 01"}


def test_windows_may_say_what_they_will(watch: Watch) -> None:
    """Values come from what was released: with the windows' measures gone they stand as before."""
    watch.release(after(7), {("till", 0, 9): 60, ("till", 0, 10): 9, ("shelf", 1, 14): 300})
    before = [watch.told(metric, step) for metric in PEOPLE for step in STEPS]
    assert all(before)
    watch.store.central().execute("delete from partial where measure not like '%covered%'")
    assert [watch.told(metric, step) for metric in PEOPLE for step in STEPS] == before


def test_a_point_changes_once_so_many_have_come_late_that_its_cell_is_told_anew(
    watch: Watch,
) -> None:
    watch.release(after(1), {("till", 0, hour): 20 for hour in range(12, 18)})
    before = {metric: watch.told(metric, "day") for metric in PEOPLE}
    watch.release(after(1), {("till", 0, 17): TIMED_AGAIN - 1})
    assert {metric: watch.told(metric, "day") for metric in PEOPLE} == before
    watch.release(after(1), {("till", 0, 17): 1})
    for metric in PEOPLE:
        first, last = watch.rows(str(ABOUT[metric]))
        assert (first["snapshot"], last["snapshot"]) == (1, 2)
        assert watch.told(metric, "day") == {"02 00": last[metric]}
    assert {metric: watch.told(metric, "day") for metric in PEOPLE} != before


@patient
@given(
    st.lists(st.integers(TIMED, 200), min_size=6, max_size=6),
    st.lists(st.integers(0, 5), max_size=TIMED - 1),
    st.sampled_from(PEOPLE),
)
def test_people_who_are_late_and_few_change_no_point(
    store: Store, first: list[int], late: list[int], metric: str
) -> None:
    """Not the hour's, the day's, or the site's, and not what is said of them either."""
    watch = Watch(store)
    stays = [(zone, day, hour) for zone in ("till", "shelf") for day, hour in BUSY[:3]]
    watch.release(after(7), dict(zip(stays, first, strict=True)))
    asked = [(metric, step, zone) for step in STEPS for zone in _zones(metric)]
    before = [watch.points(*what) for what in asked]
    watch.release(after(8), Counter(stays[place] for place in late))
    assert [watch.points(*what) for what in asked] == before


def _zones(metric: str) -> tuple[str, ...]:
    return ("", "till", "shelf") if CATALOGUE[metric].subject else ("",)


def _twin(
    cells: Iterable[dict[str, Any]], metric: str, zone: str, start: datetime, stop: datetime
) -> tuple[float | None, list[dict[str, Any]]]:
    """A point as the words say it, and the cells that it is made of."""
    newest = {(cell["zone"], cell["start"]): cell for cell in cells}  # the last one stays
    inside = [
        cell
        for cell in newest.values()
        if zone in ("", cell["zone"])
        and cell[metric] is not None
        and all(start <= windows.start(hour) < stop for hour in cell["held"])
    ]
    people = [cell["counts"][-1] for cell in inside]
    total = sum(cell[metric] * count for cell, count in zip(inside, people, strict=True))
    return (round(total / sum(people), 2) if inside else None), inside


counts = st.sampled_from([0, 0, 1, 12, TIMED - 1, TIMED, 60, TIMED_AGAIN - 1, TIMED_AGAIN])
stays = st.builds(
    lambda zone, when: (zone, *when), st.sampled_from(["till", "shelf"]), st.sampled_from(BUSY)
)
arrivals = st.lists(st.dictionaries(stays, counts, max_size=5), min_size=4, max_size=4)


@patient
@given(arrivals, st.sampled_from(["dwell_p50", "wait_p50", "store_dwell"]))
def test_points_and_features_together_leave_no_small_group(
    store: Store, drawn: list[dict[Stay, int]], metric: str
) -> None:
    """Each point is a mean of released cells; what is left of any three of both is 30 people."""
    watch = Watch(store)
    groups: set[frozenset[tuple[Stay, int]]] = {frozenset()}
    for closed, came in zip((after(0, 11), after(1), after(2), after(7)), drawn, strict=True):
        watch.release(closed, came)
        cells = watch.rows(str(ABOUT[metric]))
        people = [frozenset(_people(cell, drawn)) for cell in cells]
        groups.update(people)
        for zone, step in product(_zones(metric), STEPS):
            for point in watch.points(metric, step, zone):
                length = timedelta(days=1) if step == "day" else HOUR
                value, inside = _twin(cells, metric, zone, point.start, point.start + length)
                assert point.value == value
                groups.add(frozenset().union(*(people[cells.index(cell)] for cell in inside)))
    for three in combinations([*groups, frozenset()], 3):
        for signs in product((-1, 0, 1), repeat=3):
            left: Counter[tuple[Stay, int]] = Counter()
            for sign, group in zip(signs, three, strict=True):
                left.update(dict.fromkeys(group, sign))
            if set(left.values()) <= {0, 1} and 1 in left.values():
                assert sum(drawn[run][stay] for (stay, run), one in left.items() if one) >= TIMED


def _people(cell: dict[str, Any], drawn: list[dict[Stay, int]]) -> Iterable[tuple[Stay, int]]:
    """Who is in a cell: those of its zone and hours who were known when it was released."""
    released = cell["created_timestamp"].replace(tzinfo=UTC)
    for run, came in enumerate(drawn):
        for stay, count in came.items():
            known = count and after(70, run + 1) <= released
            inside = windows.key(after(*stay[1:])) in cell["held"]
            if known and inside and cell["zone"] in ("", stay[0]):
                yield stay, run
