"""What a reader of a series sees: absent is not zero, and days are the site's own."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from central import series, windows
from central.config import Site
from central.intake.events import Intake
from central.metrics import CATALOGUE
from central.series import Point, Resolution
from central.store import Store
from tests.central.device import layout

LONDON = ZoneInfo("Europe/London")
SHOP = Site(id="leeds", time_zone="Europe/London")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIRST = windows.key(NOON)


class Book:
    """Writes windows into the file, and reads series of the shop."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self,
        measure: str,
        window: int,
        value: float,
        subject: str = "door",
        part: str = "live",
        place: int = 0,
    ) -> None:
        self._store.central().execute(
            "insert into partial values (?, 'leeds', ?, ?, ?, ?, ?)",
            [part, measure, subject, window, value, place],
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
        subject: str = "",
    ) -> list[Point]:
        stop = start + timedelta(hours=hours)
        return series.read(self._store, site, CATALOGUE[metric], start, stop, step, subject)

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
    statuses = [point.status for point in found]
    assert statuses == ["observed", "observed-zero", "absent", "absent"]
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
    book.put("orders", FIRST, 3.0, "pos", "import:a")
    assert book.values("footfall") == [6.0, None, None, None]
    assert book.values("conversion") == [0.5, None, None, None]


def test_a_shop_without_tills_or_zones_or_a_street_has_none_of_their_metrics(book: Book) -> None:
    """Where there is nothing to count, it is not zero."""
    for n in range(4):
        book.seen(FIRST + n)
        book.put("footfall", FIRST + n, 6.0, "entrance")
    book.put("orders", FIRST + 1, 3.0, "pos")
    assert book.values("conversion") == [None, 0.5, 0.0, 0.0]
    for name in ("visits", "occupancy", "queue_length", "abandonment", "passersby", "capture"):
        assert book.values(name) == [None] * 4
    book.put("passersby", FIRST + 2, 18.0, "pavement")
    assert book.values("capture") == [None, None, 0.25, 1.0]


def test_ratios_are_ratios_of_sums(book: Book) -> None:
    for n, (people, orders) in enumerate([(10, 4), (30, 6), (0, 0)]):
        book.seen(FIRST + n)
        book.put("footfall", FIRST + n, people, "entrance")
        book.put("orders", FIRST + n, orders, "pos", "orders")
    book.put("orders", FIRST + 3, 5, "pos", "orders")
    found = book.read("conversion")
    # Nobody came: nothing to divide by. Not seen: absent.
    assert [point.value for point in found] == [0.4, 0.2, None, None]
    statuses = [point.status for point in found]
    assert statuses == ["observed", "observed", "observed-zero", "absent"]
    (hour,) = book.read("conversion", step="hour")
    assert hour.value == 0.25
    assert hour.observed == 0.75


def test_people_in_a_site_are_the_sum_over_its_zones(book: Book) -> None:
    book.seen(FIRST)
    for zone, people in (("till", 3.0), ("display", 1.0)):
        book.put("person_seconds", FIRST, people * 900, zone)
        book.put("zone_seconds", FIRST, 900.0, zone)
    book.put("visits", FIRST, 4.0, "till")
    assert book.read("occupancy")[0].value == 4.0
    assert book.read("occupancy", subject="till")[0].value == 3.0
    assert book.read("visits")[0].value == 4.0
    assert book.read("visits", subject="display")[0].status == "observed-zero"
    assert book.read("visits", subject="nowhere")[0].status == "absent"


def test_currencies_are_kept_apart(book: Book, store: Store) -> None:
    for currency, value in (("GBP", 10.0), ("EUR", 20.0), ("USD", 40.0)):
        book.put(f"revenue:{currency}", FIRST, value, "pos", "orders")
        book.put(f"sales:{currency}", FIRST, value, "pos", "orders")
        book.put(f"sold:{currency}", FIRST, 1.0, "pos", "orders")
        book.put("orders", FIRST, 1.0, "pos", f"orders {currency}")
    assert book.values("revenue")[0] == 10.0
    assert book.values("transaction_value")[0] == 10.0
    shop = Site(id="leeds", currency="EUR", rates={"USD": 0.5})
    assert book.read("revenue", site=shop)[0].value == 40.0
    assert book.read("transaction_value", site=shop)[0].value == 20.0
    assert book.values("orders")[0] == 3.0
    span = NOON, NOON + timedelta(hours=1)
    found = series.other_money(store, shop, CATALOGUE["revenue"], *span)
    assert found == {"GBP": 10.0}
    assert series.other_money(store, shop, CATALOGUE["orders"], *span) == {}


def test_abandonment_is_of_those_who_joined(book: Book) -> None:
    book.seen(FIRST)
    book.put("joined", FIRST, 20.0, "till")
    book.put("abandoned", FIRST, 5.0, "till")
    assert book.read("abandonment")[0].value == 0.25


def test_sales_per_visitor_are_those_at_the_tills(book: Book) -> None:
    book.seen(FIRST)
    book.put("footfall", FIRST, 10.0, "entrance")
    book.put("revenue:GBP", FIRST, 50.0, "pos")
    book.put("orders", FIRST, 2.0, "pos")
    book.put("orders", FIRST, 9.0, "web")
    book.put("revenue:GBP", FIRST, 900.0, "web")
    assert book.values("sales_per_visitor")[0] == 5.0
    assert book.values("conversion")[0] == 0.2
    assert book.values("orders")[0] == 11.0
    assert book.read("orders", subject="pos")[0].value == 2.0


def test_online_metrics_are_known_from_a_channels_first_event_on(book: Book) -> None:
    book.put("events", FIRST, 3.0, "email")
    book.put("email_opened", FIRST, 3.0, "email")
    book.put("events", FIRST + 2, 5.0, "web")
    book.put("sessions", FIRST + 2, 2.0, "web")
    book.put("engaged_seconds", FIRST + 2, 90.0, "web")
    assert book.values("email_opened") == [3.0, 0.0, 0.0, 0.0]
    assert book.values("sessions") == [None, None, 2.0, 0.0]
    assert book.values("engaged_time") == [None, None, 45.0, None]
    assert book.read("sessions", subject="app")[2].status == "absent"


def test_the_cameras_behind_a_metric_decide(book: Book, store: Store) -> None:
    """By the layout: a blind camera at the door hides nothing of a zone that another sees."""
    intake = Intake(store)
    intake.take([layout({"entrance": "entrance"})])
    intake.take([layout({}, ["aisle"], device="aisle-1", cameras=("roof",))])
    for n in range(3):
        book.seen(FIRST + n, 900.0, "roof")
        book.put("visits", FIRST + n, 1.0, "aisle")
    book.seen(FIRST)
    book.seen(FIRST + 1, 100.0)
    assert book.values("visits") == [1.0, 1.0, 1.0, None]
    # Of the last one nothing was heard at all, though it was known.
    assert book.values("footfall") == [0.0, None, None, None]


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
