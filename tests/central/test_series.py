"""What a reader of a series sees: absent is not zero, and days are the site's own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from central import series, windows
from central.config import Site
from central.metrics import CATALOGUE
from central.series import Point, Resolution
from central.store import Store

LONDON = ZoneInfo("Europe/London")
SHOP = Site(id="leeds", time_zone="Europe/London")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIRST = windows.key(NOON)


class Book:
    """Writes windows into the file, and reads series of the shop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self, measure: str, window: int, value: float, subject: str = "door", part: str = "live"
    ) -> None:
        self._store.central().execute(
            "insert into partial values (?, 'leeds', ?, ?, ?, ?, 0)",
            [part, measure, subject, window, value],
        )

    def seen(self, window: int, seconds: float = 900.0, camera: str = "door") -> None:
        self.put("covered_seconds", window, seconds, camera)
        self.put("watched_seconds", window, 900.0, camera)

    def close(self, window: int) -> None:
        """All windows up to this one are closed."""
        self._store.central().execute(
            "insert or replace into progress values ('leeds', ?)", [window]
        )

    def read(
        self,
        metric: str,
        hours: float = 1.0,
        step: Resolution = "15min",
        start: datetime = NOON,
        site: Site = SHOP,
    ) -> list[Point]:
        stop = start + timedelta(hours=hours)
        return series.read(self._store, site, CATALOGUE[metric], start, stop, step)

    def values(self, metric: str) -> list[float | None]:
        return [point.value for point in self.read(metric)]


@pytest.fixture
def book(store: Store) -> Book:
    found = Book(store)
    found.close(FIRST + 1000)
    return found


def test_absent_is_none_and_observed_zero_is_zero(book: Book) -> None:
    book.seen(FIRST)
    book.put("footfall", FIRST, 7.0, "entrance")
    book.seen(FIRST + 1)
    book.seen(FIRST + 2, 100.0)
    book.put("footfall", FIRST + 2, 1.0, "entrance")
    found = book.read("footfall")
    assert [point.value for point in found] == [7.0, 0.0, None, None]
    assert [point.status for point in found] == ["observed", "observed", "absent", "absent"]
    assert [point.observed for point in found] == [1.0, 1.0, 0.0, 0.0]
    assert [point.start for point in found] == [NOON + timedelta(minutes=15 * n) for n in range(4)]


def test_lines_and_partials_are_summed(book: Book) -> None:
    book.seen(FIRST)
    for part in ("2026-03-02", "2026-03-09"):
        book.put("footfall", FIRST, 2.0, "front", part)
        book.put("footfall", FIRST, 3.0, "side", part)
    assert book.read("footfall")[0].value == 10.0


def test_one_camera_that_saw_too_little_makes_a_window_absent(book: Book) -> None:
    book.seen(FIRST)
    book.seen(FIRST, 765.0, "side")
    book.put("footfall", FIRST, 5.0, "entrance")
    assert book.read("footfall")[0].value is None


def test_what_is_not_closed_is_open(book: Book) -> None:
    book.close(FIRST)
    for window in (FIRST, FIRST + 1):
        book.seen(window)
        book.put("footfall", window, 4.0, "entrance")
    found = book.read("footfall")
    assert [point.status for point in found] == ["observed", "open", "open", "open"]
    assert [point.value for point in found] == [4.0, 4.0, None, None]
    (hour,) = book.read("footfall", step="hour")
    assert (hour.value, hour.status, hour.observed) == (8.0, "open", 0.5)


def test_orders_are_observed_from_the_first_on(book: Book) -> None:
    book.put("orders", FIRST + 1, 2.0, "pos", "orders")
    book.put("revenue", FIRST + 1, 30.0, "pos", "orders")
    assert book.values("orders") == [None, 2.0, 0.0, 0.0]
    assert book.values("revenue") == [None, 30.0, 0.0, 0.0]


def test_a_shop_that_nothing_is_known_of_is_absent(book: Book) -> None:
    for metric in CATALOGUE:
        assert book.values(metric) == [None] * 4


def test_imported_windows_are_observed_where_they_hold_the_measure(book: Book) -> None:
    book.put("footfall", FIRST, 6.0, "entrance", "import:a")
    book.put("orders", FIRST + 1, 3.0, "pos", "import:a")
    assert book.values("footfall") == [6.0, None, None, None]
    assert book.values("conversion") == [0.0, None, None, None]


def test_ratios_are_ratios_of_sums(book: Book) -> None:
    for n, (people, orders) in enumerate([(10, 4), (30, 6), (0, 0)]):
        book.seen(FIRST + n)
        book.put("footfall", FIRST + n, people, "entrance")
        book.put("orders", FIRST + n, orders, "pos", "orders")
    book.put("orders", FIRST + 3, 5, "pos", "orders")
    found = book.read("conversion")
    # Nobody came: nothing to divide by. Not seen: absent.
    assert [point.value for point in found] == [0.4, 0.2, None, None]
    assert [point.status for point in found] == ["observed"] * 3 + ["absent"]
    (hour,) = book.read("conversion", step="hour")
    assert hour.value == 0.25
    assert hour.observed == 0.75


def test_dwell_and_occupancy(book: Book) -> None:
    book.seen(FIRST)
    for measure, value in {
        "visits": 4.0,
        "dwell_seconds": 50.0,
        "person_seconds": 2700.0,
        "zone_seconds": 900.0,
    }.items():
        book.put(measure, FIRST, value, "till")
    assert book.read("dwell")[0].value == 12.5
    assert book.read("occupancy")[0].value == 3.0
    assert book.read("visits")[0].value == 4.0


def test_coverage_is_known_where_a_camera_is_blind(book: Book) -> None:
    book.seen(FIRST)
    book.seen(FIRST, 0.0, "side")
    book.seen(FIRST + 1, 90.0)
    assert book.values("coverage") == [0.5, 0.1, None, None]


def test_the_expected_band_belongs_to_the_single_window(book: Book, store: Store) -> None:
    book.seen(FIRST)
    store.central().execute(
        'insert into expectation (site, metric, "window", expected, lower, upper)'
        " values ('leeds', 'footfall', ?, 5, 2, 9)",
        [FIRST],
    )
    first, second, *_ = book.read("footfall")
    assert (first.expected, first.lower, first.upper) == (5.0, 2.0, 9.0)
    assert second.expected is None
    assert book.read("footfall", step="hour")[0].expected is None


@pytest.mark.parametrize(
    ("day", "quarters", "hours"),
    [
        (datetime(2026, 3, 28, tzinfo=LONDON), 96, 24),
        (datetime(2026, 3, 29, tzinfo=LONDON), 92, 23),
        (datetime(2026, 10, 25, tzinfo=LONDON), 100, 25),
    ],
)
def test_days_and_hours_are_the_sites_own(
    book: Book, store: Store, day: datetime, quarters: int, hours: int
) -> None:
    following = datetime(day.year, day.month, day.day, tzinfo=LONDON) + timedelta(days=1)
    first, stop = windows.key(day), windows.key(following)
    assert stop - first == quarters
    book.close(stop)
    for window in range(first - 4, stop + 4):
        book.put("footfall", window, 1.0, "entrance", "import:a")
    start, end = windows.start(first - 4), windows.start(stop + 4)
    length = (end - start) / timedelta(hours=1)
    found = book.read("footfall", length, "day", start)
    assert [point.value for point in found] == [4.0, quarters, 4.0]
    assert found[1].start == day
    assert found[1].start.utcoffset() == day.utcoffset()
    found = book.read("footfall", length, "hour", start)
    assert [point.value for point in found] == [4.0] * (hours + 2)
    starts = [point.start.astimezone(UTC) for point in found]
    assert starts == [start + timedelta(hours=n) for n in range(hours + 2)]
    assert all(point.start.minute == 0 for point in found)


def test_hours_of_a_zone_with_a_quarter_of_an_hour(book: Book) -> None:
    kathmandu = Site(id="leeds", time_zone="Asia/Kathmandu")
    for window in range(FIRST, FIRST + 8):
        book.put("footfall", window, 1.0, "entrance", "import:a")
    found = book.read("footfall", 2.0, "hour", NOON, kathmandu)
    assert [point.value for point in found] == [1.0, 4.0, 3.0]
    assert [point.start.strftime("%H:%M") for point in found] == ["17:00", "18:00", "19:00"]


def test_points_are_counted_without_imports(book: Book, store: Store) -> None:
    book.put("footfall", FIRST, 1.0, "entrance", "import:a")
    assert series.points(store) == 0
    book.put("footfall", FIRST, 1.0)
    assert series.points(store) == 1


def test_the_catalogue_names_measures_that_exist() -> None:
    measures = {
        "footfall", "exits", "visits", "dwell_seconds", "person_seconds", "zone_seconds",
        "orders", "revenue", "units", "covered_seconds", "watched_seconds",
    }  # fmt: skip
    for name, metric in CATALOGUE.items():
        assert metric.name == name
        assert {metric.measure, metric.over} - {""} <= measures
        assert metric.sentence.endswith(".")
