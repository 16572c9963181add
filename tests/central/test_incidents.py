"""What becomes an incident, in which words, and when it is over."""

import math
import re
import threading
from dataclasses import replace
from datetime import time, timedelta

import numpy as np
import pytest

from central import windows
from central.incidents import Incidents, listed
from central.store import Store
from tests.central.device import SITE
from tests.central.town import CONFIG, FIRST, LEEDS, LIMA, SHARE, WEB, Town, mean

SENTENCE = re.compile(
    r"Leeds: (?P<what>[a-z ]+)\. (?P<people>\d+) people came in since (?P<since>\d\d:\d\d)"
    r" \(usual (?P<low>\d+)-(?P<high>\d+)\), (?P<sales>\d+) sales"
    r" \(expected (?P<least>\d+)-(?P<most>\d+)\)\. (?P<elsewhere>.*)"
)


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store, (LEEDS, WEB))


def test_ordinary_days_raise_nothing(store: Store) -> None:
    town, rng = Town(store, (LEEDS, LIMA, WEB)), np.random.default_rng(3)
    keys = np.arange(FIRST, FIRST + 2 * 96)
    rows: list[tuple[str, str, str, int, float]] = []
    for site in town.sites:
        counts = rng.poisson(mean(site, keys))
        orders = counts if site.kind == "web" else rng.binomial(counts, SHARE)
        found = zip(keys.tolist(), counts.tolist(), orders.tolist(), strict=True)
        for key, people, sales in found:
            rows.append((site.id, "orders", "pos", key, sales))
            if site.kind == "store":
                rows.append((site.id, "footfall", "entrance", key, people))
                rows.append((site.id, "covered_seconds", "door", key, 900))
                rows.append((site.id, "watched_seconds", "door", key, 900))
    with store.write() as cursor:
        cursor.executemany("insert into partial values ('live', ?, ?, ?, ?, ?, 0)", rows)
    town.judge(int(keys[-1]) + 1)
    assert town.said() == []


def test_a_blind_camera_is_a_sensor_incident_and_nothing_else(town: Town) -> None:
    town.quarter()
    for _ in range(6):
        town.quarter(people=0, seen=0)
    assert town.said() == [("sensor", "door", "opened")]
    (incident,) = town.incidents.open.values()
    assert incident.severity == "minor"
    assert incident.sentence.startswith(
        "Leeds: camera door has been blind since 11:15."
        " What it counts is not known, and raises no alert meanwhile."
    )
    assert (incident.began, incident.latest) == (FIRST + 1, FIRST + 6)
    town.quarter()
    assert len(town.incidents.open) == 1
    town.quarter()
    assert town.said()[1:] == [("sensor", "door", "resolved")]
    assert town.incidents.open == {}


def test_half_a_view_is_not_counted_and_an_hour_of_it_is_blind(town: Town) -> None:
    for _ in range(3):
        town.quarter(people=2, seen=0.6)
    assert town.said() == []
    town.quarter(people=2, seen=0.6)
    assert town.said() == [("sensor", "door", "opened")]
    assert town.changed[0].began == FIRST


def test_a_silent_device_is_a_blind_camera(town: Town) -> None:
    town.window += 4
    town.judge(town.window)
    assert ("sensor", "door", "opened") in town.said()
    assert "demand" not in {cause for cause, _, _ in town.said()}


def test_tills_that_stop_are_a_conversion_incident(town: Town) -> None:
    town.quarter()
    people = [17, 21, 19, 18]
    for count in people:
        town.quarter(people=count, sales=0)
    assert town.said() == [("conversion", "", "opened")]
    (incident,) = town.incidents.open.values()
    assert incident.severity == "critical"
    said = SENTENCE.fullmatch(incident.sentence)
    assert said is not None, incident.sentence
    assert said["what"] == "tills stopped"
    began, latest = incident.began - FIRST, incident.latest - FIRST
    assert latest == 4
    counted = [round(mean(LEEDS, np.array([FIRST]))[0]), *people][began:]
    assert int(said["people"]) == sum(counted)
    assert said["since"] == f"{11 + began // 4}:{began % 4 * 15:02}"
    usual = mean(LEEDS, np.arange(incident.began, incident.latest + 1)).sum()
    # Four in five ordinary sums: 1.28 standard deviations on either side, and the estimate's own.
    assert int(said["low"]) < usual < int(said["high"])
    assert int(said["high"]) - int(said["low"]) == pytest.approx(
        2 * 1.28 * math.sqrt(usual), rel=0.35
    )
    assert int(said["sales"]) == (0 if began else 7)
    assert int(said["least"]) < SHARE * usual < int(said["most"])
    assert said["elsewhere"] == "Web normal, cameras fine."


def test_fewer_people_is_one_incident_though_sales_fall_too(town: Town) -> None:
    for _ in range(5):
        town.quarter(people=3, sales=1)
    assert town.said() == [("demand", "", "opened")]
    (incident,) = town.incidents.open.values()
    assert incident.severity == "major"
    assert incident.sentence.startswith("Leeds: fewer people than usual. ")
    assert "cameras fine" in incident.sentence


def test_nobody_at_all_while_sales_go_on_is_a_counter_that_counts_nothing(town: Town) -> None:
    for _ in range(4):
        town.quarter(people=0)
    assert town.said() == [("sensor", "", "opened")]
    (incident,) = town.incidents.open.values()
    assert incident.sentence.startswith("Leeds: people are not counted. 0 were counted since 11:00")


def test_nobody_at_all_in_a_shop_without_tills_is_a_counter_in_doubt(town: Town) -> None:
    town.store.central().execute("delete from partial where measure = 'orders'")
    town.restart()
    town.quarter(sales=0)
    for _ in range(4):
        town.quarter(people=0, sales=0)
    assert town.said() == [("sensor", "", "opened")]
    (incident,) = town.incidents.open.values()
    assert incident.sentence.startswith(
        "Leeds: no one was counted since 11:15; the counter may be dead. Usual "
    )
    for _ in range(3):
        town.quarter(sales=0)
    assert town.incidents.open == {}


def test_more_people_than_usual_are_listed_and_wake_nobody(town: Town) -> None:
    for _ in range(3):
        town.quarter(people=70)
    assert town.said() == []
    (incident,) = town.incidents.open.values()
    assert (incident.cause, incident.pushed) == ("busy", None)
    assert "more people than usual" in incident.sentence


def test_orders_that_stop_in_the_web_shop(store: Store) -> None:
    town = Town(store, (WEB,))
    town.judge(FIRST + 4)
    assert town.said() == [("orders", "", "opened")]
    assert re.match(
        r"Web shop: orders stopped\. Since \d\d:\d\d 0 sales \(expected \d+-\d+\)\.$",
        town.incidents.open["web", "trade", ""].sentence,
    )


def test_tills_that_stop_behind_a_blind_camera(town: Town) -> None:
    for _ in range(5):
        town.quarter(sales=0, seen=0)
    assert sorted(town.said()) == [("orders", "", "opened"), ("sensor", "door", "opened")]
    sentence = town.incidents.open[SITE, "trade", ""].sentence
    assert "Footfall is not known." in sentence
    assert "a camera is blind" in sentence


def test_an_incident_ends_after_two_ordinary_windows_and_never_while_blind(town: Town) -> None:
    for _ in range(4):
        town.quarter(people=2, sales=1)
    assert town.said() == [("demand", "", "opened")]
    for _ in range(8):
        town.quarter(seen=0)
    assert ("demand", "", "resolved") not in town.said()
    ordinary = 0
    while (SITE, "trade", "") in town.incidents.open:
        town.quarter()
        ordinary += 1
        assert ordinary < 10
    assert ordinary >= 2
    assert town.said().count(("demand", "", "resolved")) == 1
    assert town.said().count(("demand", "", "opened")) == 1


def test_one_ordinary_window_between_two_bad_ones_ends_nothing(town: Town) -> None:
    for seen in (0, 0, 1, 0, 1, 0, 1, 1):
        town.quarter(seen=seen)
    assert town.said() == [("sensor", "door", "opened"), ("sensor", "door", "resolved")]
    assert town.changed[-1].latest == FIRST + 6


def test_the_night_neither_raises_nor_ends_anything(town: Town) -> None:
    town.until(time(19, 30))
    while windows.start(town.window).astimezone(LEEDS.zone).hour < 21:
        town.quarter(sales=0)
    assert town.said() == [("conversion", "", "opened")]
    for _ in range(4 * 12):
        town.quarter(people=0, sales=0, seen=0)
    assert town.said() == [("conversion", "", "opened")]
    assert windows.start(town.window).astimezone(LEEDS.zone).time() == time(9)
    for _ in range(8):
        town.quarter()
    assert town.said()[1:] == [("conversion", "", "resolved")]


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6, 7])
def test_a_restart_neither_repeats_nor_loses(store: Store, stop: int) -> None:
    """At any window of a story, and between a window's scores and its judgement."""
    town = Town(store)
    for number, sales in enumerate([None, 0, 0, 0, 0, None, None, None, None, None, None]):
        if number == stop:
            town.restart()
            town.put(SITE, "orders", "pos", 0)
            next(town.ticks(town.window + 1), None)
            town.restart()
            assert town.incidents.told == 0
        town.quarter(sales=sales)
    assert town.said() == [("conversion", "", "opened"), ("conversion", "", "resolved")]
    assert len(listed(store)) == 1


def test_a_stop_after_the_judgement_repeats_nothing(store: Store) -> None:
    town = Town(store)
    town.put(SITE, "watched_seconds", "door", 900)
    moment = next(town.moments(FIRST + 1))
    (incident,) = town.incidents.judge(moment)
    town.restart()
    assert town.judge(FIRST + 1) == []
    assert [each.id for each in town.incidents.open.values()] == [incident.id]
    assert len(listed(store)) == 1


def test_the_list_shows_open_ones_first(store: Store) -> None:
    town = Town(store)
    for seen in (0, 1, 1):
        town.quarter(seen=seen)
    for _ in range(4):
        town.quarter(sales=0)
    first, second = listed(store)
    assert (first["cause"], first["resolved"]) == ("conversion", None)
    assert second["cause"] == "sensor"
    assert second["resolved"] is not None
    assert second["began"] == windows.start(FIRST)
    assert listed(store, 1) == [first]


def test_others_may_look_at_the_open_incidents(store: Store) -> None:
    town, stop = Town(store), threading.Event()
    failures: list[Exception] = []

    def look() -> None:
        try:
            while not stop.wait(0.001):
                assert len(sorted(town.incidents.open)) <= 1
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(4):
        for seen in (0, 1, 1):
            town.quarter(seen=seen)
    stop.set()
    thread.join()
    assert failures == []
    assert len(town.changed) == 8


def test_what_is_open_is_known_after_a_restart(store: Store) -> None:
    town = Town(store)
    town.quarter(seen=0)
    (before,) = town.incidents.open.values()
    (after,) = Incidents(store, CONFIG).open.values()
    assert replace(after, opened=before.opened) == before
    assert abs(after.opened - before.opened) < timedelta(milliseconds=1)
