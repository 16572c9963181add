"""Features: rows are sums of windows that the gate lets out, each with its time of release."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest

from central import features, windows
from central.config import Catchment, Hours, Site
from central.dictionary import COLUMNS
from central.features import GATES
from central.hours import days
from central.metrics import DWELL_EDGES
from central.privacy import LEVELS, TIMED_AGAIN
from central.store import Store, utc
from central.walks import Shop
from tests.central import shop
from tests.central.shop import MONDAY, SITE, moment

HOURS = Hours(open=time(9), close=time(21))
LEEDS = Site(id=SITE, hours=HOURS)
ANYWHERE = Site(id=SITE, hours=HOURS, catchment=Catchment(postcodes=("LS",), regions=("Yorks",)))
Row = dict[str, Any]


def told(store: Store, about: str) -> list[Row]:
    """What was released about something, oldest cell first."""
    cursor = store.central().execute(
        "select * from released where about = ? order by start, zone, snapshot", [about]
    )
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def after(days: int, hours: int = 0) -> datetime:
    return MONDAY + timedelta(days=days, hours=hours)


def visitors(day: int, hour: int, count: int) -> Counter[shop.Cell]:
    """People who come in, and stay in a zone for 40 s each, 5 of them an hour for 10 minutes."""
    window = windows.key(after(day, hour))
    found: Counter[shop.Cell] = Counter()
    for measure, subject in (("footfall", "entrance"), ("visits", "shelf"), ("people", "shelf")):
        found[measure, subject, window, 0] = count
    found["engaged", "shelf", window, 0] = count
    found["dwell", "shelf", window, 4] = count
    return found


def test_the_table_has_the_columns_of_the_dictionary(store: Store) -> None:
    rows = store.central().execute("describe released").fetchall()
    there = [(name, kind.lower()) for name, kind, *_ in rows]
    assert there[:-2] == [(column.name, column.type) for column in COLUMNS]


def test_every_row_is_the_sum_of_its_hours_and_has_k(store: Store) -> None:
    found = shop.cells(shop.people(Shop("shop", 250), 8)) + shop.seen(8)
    shop.put(store, found)
    shop.close(store, after(8))
    features.release(store, LEEDS, after(8))

    hourly: Counter[tuple[str, str, int]] = Counter()
    for (name, place, window, _), value in found.items():
        hourly[name, place, window // 4 * 4] += value

    def total(measure: str, subject: str, held: list[int]) -> int:
        return sum(hourly[measure, subject, hour] for hour in held)

    first_order = min(window for name, _, window, _ in found if name == "orders")
    kinds: Counter[tuple[str, str]] = Counter()
    for about, gate in GATES.items():
        hours: Counter[tuple[str, int]] = Counter()
        for row in told(store, about):
            if row["status"] != "ok":
                assert row["status"] == "suppressed"
                continue
            kinds[about, row["granularity"]] += 1
            hours.update((row["zone"], hour) for hour in row["held"])
            assert all(
                count >= need for count, need in zip(row["counts"], gate.values(), strict=True)
            )
            entries = total("footfall", "entrance", row["held"])
            assert entries >= 10
            if about == "site":
                assert row["entries"] == entries
                if row["held"][0] < first_order:
                    continue  # whether the tills were already there is not known
                orders = total("orders", "pos", row["held"])
                assert row["conversion"] == pytest.approx(orders / entries, abs=1e-4)
                assert row["sales_per_visitor"] == pytest.approx(20 * orders / entries, abs=1e-3)
            if about == "zone":
                assert row["visits"] == total("visits", row["zone"], row["held"])
        assert set(hours.values()) <= {1}
    assert {about for about, _ in kinds} == {"site", "zone", "dwell", "queue"}
    assert {level for about, level in kinds if about == "zone"} == set(LEVELS)


def test_a_second_run_adds_nothing(store: Store) -> None:
    shop.fill(store, Shop("shop", 150), 3)
    assert features.release(store, LEEDS, after(3)) == {date(2026, 3, 2 + n) for n in range(3)}
    assert features.release(store, LEEDS, after(3, 1)) == set()


def test_a_day_is_told_once_it_has_closed_and_the_rest_of_a_week_after_it(store: Store) -> None:
    visits = visitors(0, 9, 12) + visitors(0, 10, 4) + visitors(1, 10, 7)
    shop.put(store, shop.seen(8) + visits)
    shop.close(store, after(0, 23))
    assert features.release(store, LEEDS, after(0, 23)) == set()
    shop.close(store, after(1))
    features.release(store, LEEDS, after(1))
    assert [(row["granularity"], row["start"]) for row in told(store, "zone")] == [
        ("hour", moment(0, 9))
    ]
    shop.close(store, after(7))
    features.release(store, LEEDS, after(7))
    first, rest = told(store, "zone")
    assert (first["visits"], first["snapshot"], first["created_timestamp"]) == (12, 1, moment(1))
    assert (rest["granularity"], rest["visits"], rest["start"]) == ("week", 11, moment(0, 10))
    assert (rest["event_timestamp"], rest["created_timestamp"]) == (moment(6, 21), moment(7))
    assert rest["hours"] == 7 * 12 - 1


def test_times_are_told_by_the_hour_and_what_waits_for_the_day_by_the_day(store: Store) -> None:
    visits = visitors(0, 9, 60) + visitors(0, 10, 20) + visitors(0, 11, 20) + visitors(0, 13, 60)
    visits["person_seconds", "shelf", windows.key(after(0, 9)), 0] = 3600
    shop.put(store, shop.seen(8) + visits)
    told_so_far = []
    for hour in (10, 12, 15, 24):
        shop.close(store, after(0, hour))
        features.release(store, LEEDS, after(0, hour), daily=hour == 24)
        told_so_far.append([(row["granularity"], row["hours"]) for row in told(store, "dwell")])
    # 9 h by itself, then 10 and 11 together once the morning is over, then 13 h.
    assert told_so_far == [
        [("hour", 1)],
        [("hour", 1), ("day_part", 2)],
        [("hour", 1), ("day_part", 2), ("hour", 1)],
        [("hour", 1), ("day_part", 2), ("hour", 1)],
    ]
    assert [row["start"] for row in told(store, "zone")] == [moment(0, h) for h in (9, 10, 11, 13)]
    assert {row["created_timestamp"] for row in told(store, "zone")} == {moment(1)}
    (row,) = told(store, "store")[:1]
    assert (row["store_dwell"], row["counts"], row["granularity"]) == (60.0, [60], "hour")


def test_earlier_weeks_are_looked_at_once_a_day(store: Store) -> None:
    shop.put(store, shop.seen(9) + visitors(0, 9, 40) + visitors(8, 9, 40))
    shop.close(store, after(8))
    features.release(store, LEEDS, after(8))
    shop.put(store, shop.seen(9) + visitors(0, 9, 40 + TIMED_AGAIN) + visitors(8, 9, 40))
    shop.close(store, after(8, 10))
    for daily, counts in ((False, [40, 40]), (True, [40, 40 + TIMED_AGAIN, 40])):
        features.release(store, LEEDS, after(8, 10), daily=daily)
        rows = [row for row in told(store, "dwell") if row["status"] == "ok"]
        assert [row["counts"][-1] for row in rows] == counts


def test_late_people_change_a_cell_only_if_they_are_enough(store: Store) -> None:
    shop.put(store, shop.seen(2) + visitors(0, 9, 40))
    shop.close(store, after(1))
    features.release(store, LEEDS, after(1))
    for late, snapshots in ((9, [40]), (10, [40, 50]), (19, [40, 50]), (20, [40, 50, 60])):
        shop.put(store, shop.seen(2) + visitors(0, 9, 40 + late))
        features.release(store, LEEDS, after(1, late))
        rows = [row for row in told(store, "zone") if row["start"] == moment(0, 9)]
        assert [row["visits"] for row in rows] == snapshots
    assert [row["snapshot"] for row in rows] == [1, 2, 3]
    assert [row["created_timestamp"] for row in rows] == [moment(1), moment(1, 10), moment(1, 20)]
    assert [row["counts"] for row in told(store, "dwell")] == [[40, 40, 40]]


def test_times_are_told_finely_only_of_enough_people_and_of_enough_new_ones(store: Store) -> None:
    steps = [(40, False), (69, None), (70, False), (110, False), (209, None), (210, True)]
    snapshots: list[tuple[int, bool]] = []
    shop.close(store, after(1))
    for hour, (people, fine) in enumerate(steps):
        shop.put(store, shop.seen(1) + visitors(0, 9, people))
        features.release(store, LEEDS, after(1, hour))
        snapshots += [] if fine is None else [(people, fine)]
        rows = told(store, "dwell")
        assert [(row["counts"][2], row["dwell_p90"] is not None) for row in rows] == snapshots


def test_hours_that_no_camera_saw_are_absent_until_they_come(store: Store) -> None:
    blind = {windows.key(after(0, 10)) + n for n in range(4)}
    half = shop.seen(1)
    for cell in list(half):
        if cell[2] in blind or (cell[0], cell[2]) == ("covered_seconds", min(blind) + 4):
            del half[cell]
    seen = visitors(0, 9, 12) + visitors(0, 12, 12)
    shop.put(store, half + seen)
    shop.close(store, after(1))
    features.release(store, LEEDS, after(1))
    rows = told(store, "zone")
    assert [(row["status"], row["granularity"], row["visits"]) for row in rows] == [
        ("ok", "hour", 12),
        ("absent", "hour", None),
        ("ok", "hour", 12),
    ]
    shop.put(store, shop.seen(1) + seen + visitors(0, 10, 15))
    features.release(store, LEEDS, after(1, 1))
    late = [row for row in told(store, "zone") if row["start"] == moment(0, 10)]
    assert [(row["snapshot"], row["status"], row["visits"]) for row in late] == [
        (1, "absent", None),
        (2, "ok", 15),
    ]


def test_coverage_is_of_the_open_quarters(store: Store) -> None:
    half = shop.seen(1)
    del half["covered_seconds", "door", windows.key(after(0, 9)) + 3, 0]
    shop.put(store, half + visitors(0, 9, 12))
    shop.close(store, after(1))
    features.release(store, LEEDS, after(1))
    assert told(store, "zone")[0]["coverage"] == 0.75


def test_a_trend_compares_with_released_cells_of_the_weeks_before(store: Store) -> None:
    visits: Counter[shop.Cell] = Counter()
    for week, count in enumerate((10, 20, 9, 30, 40)):
        visits += visitors(7 * week, 9, count)
    shop.put(store, shop.seen(35) + visits)
    shop.close(store, after(35))
    features.release(store, LEEDS, after(35))
    rows = [row for row in told(store, "zone") if row["granularity"] == "hour"]
    assert [row["trend"] for row in rows] == [None, 1.0, 1.0, 1.0]


def test_incidents_of_the_cell_are_anomalies(store: Store) -> None:
    shop.put(store, shop.seen(1) + visitors(0, 9, 12) + visitors(0, 11, 12) + visitors(0, 13, 12))
    shop.close(store, after(1))
    for cause, hour in (("footfall", 11), ("sensor", 13)):
        began = windows.key(after(0, hour)) + 3
        store.central().execute(
            "insert into incident (id, site, cause, began, latest, pushed, children)"
            " values (?, 'leeds', ?, ?, ?, 0, [])",
            [cause, cause, began, began],
        )
    features.release(store, LEEDS, after(1))
    assert [row["anomaly"] for row in told(store, "zone")] == [False, True, False]


def online(store: Store, person: str, when: datetime, name: str = "", **columns: Any) -> None:
    row = {
        "site": "web",
        "channel": "web",
        "message_id": f"{person} {when} {name}",
        "kind": "track" if name else "page",
        "name": name or "Home",
        "time": utc(when),
        "person": person,
        "postcode": "LS1 4AP",
        "analytics": True,
    } | columns
    listed = ", ".join(f'"{column}"' for column in row)
    store.central().execute(
        f"insert into online ({listed}) values ({', '.join('?' for _ in row)})",
        list(row.values()),
    )


def test_visitors_from_the_catchment_are_joined_where_both_sides_are_enough(store: Store) -> None:
    shop.put(store, shop.seen(7) + visitors(0, 9, 50) + visitors(0, 10, 50) + visitors(0, 11, 50))
    shop.close(store, after(7))
    for person in range(50):
        online(store, f"a{person}", after(0, 9), "Products Searched")
        online(store, f"a{person}", after(0, 9) + timedelta(minutes=20), "Order Completed")
        online(store, f"a{person}", after(0, 10))  # known this week: not another user
        place: dict[str, Any] = {"region": "Yorks", "postcode": None} if person % 2 else {}
        online(store, f"b{person}", after(0, 11), **place)
        online(store, f"c{person}", after(0, 9), postcode="SW1A 1AA")
        online(store, f"d{person}", after(0, 9), analytics=False)
    online(store, "b0", after(0, 11) + timedelta(minutes=31))
    features.release(store, ANYWHERE, after(7))
    rows = [row for row in told(store, "online") if row["status"] == "ok"]
    numbers = ("start", "web_sessions", "web_orders", "web_searches", "counts")
    assert [tuple(row[name] for name in numbers) for row in rows] == [
        (moment(0, 9), 50, 50, 50, [50, 50]),
        (moment(0, 11), 51, 0, 0, [50, 50]),
    ]
    (rest,) = [row for row in told(store, "online") if row["status"] == "suppressed"]
    assert rest["hours"] == 7 * 24 - 9 - 2
    assert moment(0, 10) in [utc(windows.start(hour)) for hour in rest["held"]]


def test_a_site_without_catchment_is_not_joined(store: Store) -> None:
    shop.fill(store, Shop("shop", 150), 1)
    features.release(store, LEEDS, after(1))
    assert told(store, "online") == []


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_days_are_the_sites_own_whatever_the_clocks_do(day: date, hours: int) -> None:
    site = Site(id=SITE, time_zone="Europe/London", hours=HOURS)
    span = days(site, day, day)
    assert len(span.keys) == hours
    assert len(set(span.nodes[:, 0].tolist())) == hours
    assert len(set(span.nodes[:, 1].tolist())) == 4
    assert len(set(span.nodes[:, 2].tolist())) == 1
    assert span.opened.sum() == 48


def test_a_week_begins_on_monday() -> None:
    span = days(LEEDS, date(2026, 3, 1), date(2026, 3, 9))
    weeks = span.nodes[::24, 3].tolist()
    assert [week - weeks[0] for week in weeks] == [0, 1, 1, 1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("fine", "told"), [(True, (52, 78, 0.69, 60, 90)), (False, (60, None, 0.7, 30, 120))]
)
def test_few_people_are_told_by_wide_bins(fine: bool, told: tuple[float | None, ...]) -> None:
    ended = np.zeros(len(DWELL_EDGES))
    ended[[4, 5, 6]] = 4, 8, 4
    sums = {"dwell": ended, "engaged": np.array(11.0), "visits": np.array(16.0)}
    row = features.describe("dwell", sums, fine=fine)
    columns = ("dwell_p50", "dwell_p90", "engaged_share", "dwell_p90_low", "dwell_p90_high")
    assert tuple(row[name] for name in columns) == told
