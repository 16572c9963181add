"""Closed windows become values and scores, each once, whatever stops in between."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from central import windows
from central.calendar import is_open, local
from central.config import Config, Site
from central.detect.causes import HOUR, Tick
from central.intake.events import Intake
from central.store import Store
from central.watch import HISTORY_WINDOWS, SHOWN_WINDOWS, Watch
from tests.central.device import SITE, layout
from tests.central.town import FIRST, LEEDS, LIMA, WEB, Town, mean


def expectations(store: Store, site: str = SITE, metric: str = "footfall") -> dict[int, Any]:
    rows = store.central().execute(
        'select "window", value, expected, lower, upper from expectation'
        ' where site = ? and metric = ? order by "window"',
        [site, metric],
    )
    found = rows.fetchall()
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: row[1:] for row in found}


def values(tick: Tick) -> dict[str, float]:
    return {metric: float(reading.value[0]) for metric, reading in tick.readings.items()}


def lows(tick: Tick) -> dict[str, float]:
    return {metric: reading.p_low for metric, reading in tick.readings.items()}


def test_windows_are_scored_once_and_in_order(store: Store) -> None:
    town = Town(store)
    for _ in range(3):
        town.put(SITE, "covered_seconds", "door", 900)
        town.put(SITE, "watched_seconds", "door", 900)
        town.put(SITE, "footfall", "entrance", 17)
        town.put(SITE, "orders", "pos", 6)
        town.window += 1
    ticks = list(town.ticks(FIRST + 3))
    assert [tick.window for tick in ticks] == [FIRST, FIRST + 1, FIRST + 2]
    assert all(values(tick) == {"footfall": 17, "orders": 6} for tick in ticks)
    assert all(tick.coverage == {"door": [1.0] * HOUR} for tick in ticks)
    assert not any(tick.readings["footfall"].learning for tick in ticks)
    assert list(town.ticks(FIRST + 3)) == []
    town.restart()
    assert list(town.ticks(FIRST + 3)) == []


def test_the_expectation_is_near_the_truth_and_is_kept(store: Store) -> None:
    town = Town(store)
    town.quarter()
    found = expectations(store)
    keys = np.array([key for key, (value, *_) in found.items() if value])
    expected = np.array([found[key][1] for key in keys])
    assert np.abs(expected / mean(LEEDS, keys) - 1).mean() < 0.12
    assert list(found) == list(range(FIRST - SHOWN_WINDOWS, FIRST + 1))
    assert all(lower <= e <= upper for _, e, lower, upper in found.values() if e is not None)


def test_missing_is_not_zero(store: Store) -> None:
    town = Town(store)
    town.quarter(people=0, sales=0)
    town.quarter(seen=0.5)
    town.quarter(seen=0)
    town.window += 1  # nothing comes in at all
    town.judge(town.window)
    found = [expectations(store)[FIRST + n][0] for n in range(4)]
    assert found == [0.0, None, None, None]
    orders = [expectations(store, metric="orders")[FIRST + n][0] for n in range(4)]
    assert orders[0] == 0.0
    assert orders[3] == 0.0


def test_every_camera_of_the_entrance_must_see(store: Store) -> None:
    town = Town(store)
    Intake(store).take([layout({"entrance": "entrance"}, ["till"], cameras=["door", "yard"])])
    for yard in (900.0, 765.0):
        town.put(SITE, "covered_seconds", "yard", yard)
        town.put(SITE, "watched_seconds", "yard", 900.0)
        town.quarter(people=15)
    assert [expectations(store)[FIRST + n][0] for n in range(2)] == [15.0, None]


def test_a_camera_is_new_before_it_is_blind(store: Store) -> None:
    town = Town(store)
    Intake(store).take([layout({"side": "entrance"}, device="door-2", cameras=["side"])])
    seen = []
    for number in range(3):
        if number == 1:
            town.put(SITE, "covered_seconds", "side", 90.0)
            town.put(SITE, "watched_seconds", "side", 900.0)
        town.put(SITE, "covered_seconds", "door", 900.0)
        town.window += 1
        ticks = town.ticks(town.window)
        seen += [{name: shares[0] for name, shares in tick.coverage.items()} for tick in ticks]
    assert seen == [{"door": 1.0}, {"door": 1.0, "side": 0.1}, {"door": 1.0, "side": 0.0}]


def test_a_stop_before_a_window_is_judged_scores_it_again(store: Store) -> None:
    town, twin = Town(store), None
    town.put(SITE, "covered_seconds", "door", 900)
    town.put(SITE, "footfall", "entrance", 3)
    town.window += 1
    twin = next(town.ticks(town.window))
    town.restart()
    again = list(town.ticks(town.window))
    assert [tick.window for tick in again] == [FIRST]
    assert lows(again[0]) == lows(twin)
    assert list(town.ticks(town.window)) == []
    expectations(store)


def test_a_failure_while_a_window_is_judged_scores_it_again(store: Store) -> None:
    town = Town(store)
    for _ in range(3):
        town.put(SITE, "covered_seconds", "door", 900)
        town.put(SITE, "footfall", "entrance", 3)
        town.window += 1
    first: list[Tick] = []

    def judge() -> None:
        for tick in town.ticks(town.window):
            first.append(tick)
            if tick.window == FIRST + 1:
                raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        judge()
    again = list(town.ticks(town.window))
    assert [tick.window for tick in again] == [FIRST + 1, FIRST + 2]
    assert lows(again[0]) == lows(first[1])
    expectations(store)


def test_the_band_before_a_restart_stays(store: Store) -> None:
    town = Town(store)
    before = expectations(store)
    town.quarter()
    town.restart()
    town.quarter()
    after = expectations(store)
    assert list(after) == [*before, FIRST, FIRST + 1]
    assert {key: value[0] for key, value in after.items() if key in before} == {
        key: value[0] for key, value in before.items()
    }


def test_sites_abroad_keep_their_own_hours(store: Store) -> None:
    """At 11:00 in Leeds it is 05:00 in Lima: no expectation there, and nothing to learn."""
    town = Town(store, (LEEDS, LIMA))
    (leeds, lima) = sorted(town.ticks(FIRST + 1), key=lambda tick: tick.site.id)
    assert (leeds.opened, lima.opened) == (True, False)
    assert expectations(store)[FIRST][1] == pytest.approx(
        mean(LEEDS, np.array([FIRST]))[0], rel=0.3
    )
    assert expectations(store, "lima")[FIRST][1:] == (None, None, None)
    noon = FIRST + 4 * 7
    list(town.ticks(noon + 1))
    expected = expectations(store, "lima")[noon][1]
    assert expected == pytest.approx(mean(LIMA, np.array([noon]))[0], rel=0.3)


def test_a_site_that_lags_does_not_hold_up_the_others(store: Store) -> None:
    town = Town(store, (LEEDS, LIMA))
    bounds = {SITE: FIRST + 2, "lima": FIRST}
    ticks = [each for moment in town.watch.advance(bounds) for each in moment.ticks.values()]
    assert [(tick.site.id, tick.window) for tick in ticks] == [(SITE, FIRST), (SITE, FIRST + 1)]
    bounds = {SITE: FIRST + 2, "lima": FIRST + 1}
    ticks = [each for moment in town.watch.advance(bounds) for each in moment.ticks.values()]
    assert [(tick.site.id, tick.window) for tick in ticks] == [("lima", FIRST)]


def test_a_shop_without_history_learns_and_says_so(store: Store) -> None:
    Intake(store).take([layout({"entrance": "entrance"})])
    watch = Watch(store, Config(sites=(Site(id=SITE),)))
    for window in range(FIRST, FIRST + 4):
        for measure in ("covered_seconds", "watched_seconds"):
            store.central().execute(
                "insert into partial values ('live', ?, ?, 'door', ?, 900, 0)",
                [SITE, measure, window],
            )
    # The window in which it is first seen was not watched from its beginning.
    assert list(watch.advance({SITE: FIRST})) == []
    ticks = [each for moment in watch.advance({SITE: FIRST + 4}) for each in moment.ticks.values()]
    assert [tick.window for tick in ticks] == [FIRST + 1, FIRST + 2, FIRST + 3]
    assert all(tick.readings["footfall"].learning for tick in ticks)
    assert all(values(tick) == {"footfall": 0.0} for tick in ticks)


def test_years_of_silence_are_not_ticked_through(store: Store) -> None:
    town = Town(store)
    store.central().execute("insert or replace into progress values (?, 0)", [SITE])
    town.restart()
    first = next(town.ticks(FIRST + 10))
    assert first.window == FIRST + 10 - HISTORY_WINDOWS + 1


def test_counts_that_lie_ahead_are_waited_for(store: Store) -> None:
    """A fast clock may date an order up to a day ahead."""
    watch = Watch(store, Config(sites=(WEB,)))
    store.central().execute(
        "insert into partial values ('orders', 'web', 'orders', 'web', ?, 1, 0)", [FIRST + 50]
    )
    assert list(watch.advance({"web": FIRST})) == []
    ticks = [each for moment in watch.advance({"web": FIRST + 3}) for each in moment.ticks.values()]
    assert [tick.window for tick in ticks] == [FIRST + 1, FIRST + 2]
    assert all(np.isnan(values(tick)["orders"]) for tick in ticks)


def test_the_local_clock_decides_on_hours() -> None:
    summer, winter = windows.key(LEEDS_NOON), windows.key(LEEDS_NOON - timedelta(days=150))
    assert local(LEEDS, summer).hour == 13
    assert local(LEEDS, winter).hour == 12
    eight = windows.key(LEEDS_NOON.replace(hour=8))
    assert is_open(LEEDS, eight)
    assert not is_open(LEEDS, eight - 1)
    assert not is_open(LIMA, eight)
    assert is_open(WEB, eight)


LEEDS_NOON = windows.start(FIRST).replace(hour=12)


def test_a_new_layout_begins_a_new_baseline_and_raises_nothing(store: Store) -> None:
    town = Town(store)
    town.quarter()
    intake = Intake(store)
    again = layout({"entrance": "entrance"})
    intake.take([again])
    town.quarter()
    assert expectations(store)[FIRST + 1][0] is not None

    moved = again._replace(payload=again.payload.replace(b'"config":""', b'"config":"new"'))
    intake.take([moved])
    since = windows.start(town.window + 1)
    store.floor().execute("update device set layout_since = ?", [since.replace(tzinfo=None)])
    changed = [town.quarter(people=0) for _ in range(4)]
    assert changed == [[], [], [], []]
    found = expectations(store)
    first = FIRST + 2
    assert [found[first + n][0] for n in range(4)] == [None, None, 0.0, 0.0]
    ticks = list(town.ticks(town.window))
    assert ticks == []
    orders = expectations(store, metric="orders")
    assert all(orders[first + n][1] is not None for n in range(4))


def test_a_line_that_is_gone_keeps_what_it_counted(store: Store) -> None:
    intake = Intake(store)
    for name in ("entrance", "exit"):
        intake.take([layout({name: "entrance"})])
    rows = store.floor().execute("select line, current from line order by line").fetchall()
    assert rows == [("entrance", False), ("exit", True)]
    # Another device may take it over now.
    intake.take([layout({"entrance": "entrance"}, device="door-2")])
    owners = store.floor().execute("select line, device from line where current order by line")
    assert owners.fetchall() == [("entrance", "door-2"), ("exit", "door-1")]
