"""What each series is given, against arrays made by hand."""

import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from central.detect.detector import Key
from central.detect.panel import CHAIN, CLOSED, HOUR, SISTERS, Member, Panel, node_of

STORES = SISTERS + 3
MEMBERS = [Member(f"shop-{i}", "store", "North") for i in range(STORES)] + [Member("web", "web")]
SERIES: list[Key] = [
    *((f"shop-{i}", name, "") for i in range(STORES) for name in ("footfall", "orders")),
    ("web", "orders", ""),
    ("web", "sessions", ""),
]
SHARE, SESSIONS = 0.4, 400.0
OPEN = 16
SIZES = 20.0 + 10 * np.arange(STORES)


def means() -> NDArray[np.float64]:
    flat = np.stack([SIZES, SHARE * SIZES], axis=1).ravel()
    return np.concatenate([flat, [20.0, SESSIONS]])


class Days:
    """A panel that has seen some days of Poisson counts."""

    def __init__(self, days: int = 24, seed: int = 1) -> None:
        self.panel = Panel(MEMBERS, SERIES)
        self.rng = np.random.default_rng(seed)
        self.window = 0
        for _ in range(days):
            self.day()

    def draw(self, factor: float = 1.0) -> NDArray[np.float64]:
        """One window; people come by a factor, and buy as ever."""
        values = self.rng.poisson(means()).astype(np.float64)
        people = self.rng.poisson(factor * SIZES)
        values[0 : 2 * STORES : 2] = people
        values[1 : 2 * STORES : 2] = self.rng.binomial(people, SHARE)
        return values

    def tick(self, values: NDArray[np.float64], **known: Any) -> dict[str, dict[str, float]]:
        quarter, day = self.window % 96, self.window // 96 % 7
        opened = 36 <= quarter < 36 + OPEN
        slot = day * 96 + quarter if opened else CLOSED
        slots = np.full(len(SERIES), slot)
        ready = np.ones(len(SERIES), np.bool_)
        scores, shown = self.panel.tick(self.window, slots, values, ready, slot, **known)
        self.least = self.panel.least(scores, shown)
        found: dict[str, dict[str, float]] = {}
        for place in self.panel.places:
            readings = self.panel.readings(place, scores, self.window)
            for name, reading in readings.items():
                found.setdefault(place, {})[name] = reading.p_low
                found[place][f"{name} expected"] = float(reading.expected[0])
                found[place][f"{name} usual"] = float(reading.usual[0])
                found[place][f"{name} learning"] = reading.learning
        self.window += 1
        return found

    def day(self) -> None:
        for _ in range(96):
            self.tick(self.draw())

    def noon(self) -> "Days":
        while self.window % 96 < 36 + OPEN // 2:
            self.tick(self.draw())
        return self


@pytest.fixture(scope="module")
def taught() -> Days:
    return Days().noon()


@pytest.fixture
def days(taught: Days) -> Days:
    return copy.deepcopy(taught)


def test_a_wet_day_is_no_fault_of_a_store(days: Days) -> None:
    for _ in range(HOUR):
        found = days.tick(days.draw(0.5))
    assert min(found[f"shop-{i}"]["footfall"] for i in range(STORES)) > 1e-3
    assert found[node_of("North")]["footfall"] < 1e-9
    assert found[CHAIN]["footfall"] < 1e-9


def test_a_store_that_falls_alone_is_seen_at_once(days: Days) -> None:
    values = days.draw()
    values[2 * STORES - 2] = 20.0
    found = days.tick(values)
    assert found[f"shop-{STORES - 1}"]["footfall"] < 1e-6
    assert found["shop-0"]["footfall"] > 1e-3


def test_an_empty_shop_is_no_fault_of_its_tills(days: Days) -> None:
    for _ in range(2 * HOUR):
        found = days.tick(days.draw(0.7))
    last = found[f"shop-{STORES - 1}"]
    assert last["orders"] > 1e-3
    assert last["orders expected"] < 0.85 * last["orders usual"]
    assert last["orders usual"] == pytest.approx(SHARE * SIZES[-1], rel=0.25)


def test_tills_that_stop_are_seen_however_many_people_come(days: Days) -> None:
    for _ in range(2):
        values = days.draw(0.6)
        values[2 * STORES - 1] = 0.0
        found = days.tick(values)
    assert found[f"shop-{STORES - 1}"]["orders"] < 1e-6
    assert found[f"shop-{STORES - 2}"]["orders"] > 1e-3


def test_orders_are_judged_by_themselves_where_people_are_not_known(days: Days) -> None:
    for _ in range(3):
        values = days.draw()
        values[2 * STORES - 2] = np.nan
        values[2 * STORES - 1] = 0.0
        found = days.tick(values)
    last = found[f"shop-{STORES - 1}"]
    assert last["orders"] < 1e-6
    assert last["orders expected"] == last["orders usual"]


def test_an_absent_store_is_missing_on_both_sides_of_its_node(days: Days) -> None:
    twin = copy.deepcopy(days)
    whole = days.draw()
    part = whole.copy()
    part[2 * STORES - 2] = np.nan
    before, after = days.tick(whole)[CHAIN], twin.tick(part)[CHAIN]
    gone = before["footfall expected"] - after["footfall expected"]
    assert gone == pytest.approx(SIZES[-1], rel=0.25)
    assert after["footfall"] > 1e-3


def test_a_node_is_silent_while_most_of_its_stores_are(days: Days) -> None:
    values = days.draw()
    values[: STORES + 4] = np.nan
    assert CHAIN not in days.tick(values)


def test_what_is_paused_is_scored_and_teaches_nothing(days: Days) -> None:
    state = days.panel._detector.state
    before = {name: getattr(state, name).copy() for name in ("rate", "mass", "squares", "units")}
    values = days.draw(0.2)
    found = days.tick(values, paused=[*days.panel.places])
    assert found[CHAIN]["footfall"] < 1e-9
    for name, kept in before.items():
        assert np.array_equal(kept, getattr(state, name)), name
    days.tick(values)
    assert not np.array_equal(before["rate"], state.rate)


def test_a_sale_of_some_is_no_fault_of_theirs_nor_of_their_sisters(days: Days) -> None:
    factor = np.ones(len(SERIES))
    factor[: STORES // 2 * 2] = 3.0
    for _ in range(2 * HOUR):
        values = days.rng.poisson(means() * factor).astype(np.float64)
        found = days.tick(values, factor=factor)
    for i in range(STORES):
        times, shop = factor[2 * i], found[f"shop-{i}"]
        assert shop["footfall"] > 1e-3
        assert shop["orders"] > 1e-3
        assert shop["footfall usual"] == pytest.approx(times * SIZES[i], rel=0.3)
        assert shop["orders expected"] == pytest.approx(times * SHARE * SIZES[i], rel=0.4)
        assert not shop["footfall learning"]
    north = found[node_of("North")]
    assert north["footfall"] > 1e-3
    assert north["footfall expected"] == pytest.approx((SIZES * factor[:-2:2]).sum(), rel=0.2)


def test_a_store_that_falls_short_of_its_sale_is_seen(days: Days) -> None:
    factor = np.ones(len(SERIES))
    factor[2 * STORES - 2 :] = 3.0
    found = days.tick(days.draw(), factor=factor)
    assert found[f"shop-{STORES - 1}"]["footfall"] < 1e-6
    assert found["shop-0"]["footfall"] > 1e-3


def test_what_a_sale_brings_is_judged_against_sisters_while_learning() -> None:
    days, factor = Days(days=3), np.ones(len(SERIES))
    days.noon()
    factor[0], factor[2] = 3.0, 3.0
    for _ in range(3):
        values = days.rng.poisson(means() * factor).astype(np.float64)
        found = days.tick(values, factor=factor)
    assert found["shop-0"]["footfall expected"] == pytest.approx(3 * SIZES[0], rel=0.3)
    assert found["shop-2"]["footfall expected"] == pytest.approx(SIZES[2], rel=0.3)


def test_the_usual_is_a_series_own_rhythm(days: Days) -> None:
    slot = days.window // 96 % 7 * 96 + days.window % 96
    slots = np.full(len(SERIES), slot)
    slots[0] = CLOSED
    usual = days.panel.usual(slots)
    assert np.isnan(usual[0])
    np.testing.assert_allclose(usual[1:], means()[1:], rtol=0.4)


def test_the_least_p_is_that_of_what_may_raise_an_incident(days: Days) -> None:
    values = days.draw()
    values[0:2] = 200.0, 70.0
    days.tick(values)
    row = days.panel.places.index("shop-0")
    assert days.least[0, row] > 1e-3
    assert days.least[1, row] < 1e-9


def test_zeros_in_a_row_of_people_count_for_the_least_p(days: Days) -> None:
    values = days.draw()
    values[0] = 0.0
    for _ in range(2):
        days.tick(values)
    place = days.panel.places.index("shop-0")
    state = days.panel._detector.state
    assert days.least[0, place] <= np.exp(-state.silence[0]) * 1.01


def test_first_days_are_marked_as_learning() -> None:
    days = Days(days=8).noon()
    found = days.tick(days.draw())
    assert all(found[f"shop-{i}"]["footfall learning"] for i in range(STORES))
    assert np.isnan(days.least).all()


def test_a_store_that_is_learning_is_held_against_its_sisters() -> None:
    days = Days(days=2).noon()
    values = days.draw()
    values[2 * STORES - 2] = 5.0
    days.tick(values)
    slots = np.full(len(SERIES), 36 + OPEN // 2 + 2 * 96)
    ready = np.ones(len(SERIES), np.bool_)
    scores, _ = days.panel.tick(days.window, slots, values, ready, int(slots[0]))
    found = days.panel.readings(f"shop-{STORES - 1}", scores, days.window)["footfall"]
    assert (found.learning, found.pooled) == (True, True)
    assert found.p_low < 1e-6
    sister = days.panel.readings("shop-0", scores, days.window)["footfall"]
    assert sister.p_low > 1e-3


def test_few_stores_have_neither_sisters_nor_a_node() -> None:
    members = [Member("leeds"), Member("york")]
    panel = Panel(members, [("leeds", "footfall", ""), ("york", "footfall", "")])
    assert panel.nodes == {}
    assert panel.series == panel.sites


def test_a_closed_chain_says_nothing(days: Days) -> None:
    while days.window % 96 < 36 + OPEN:
        days.tick(days.draw())
    assert days.tick(np.zeros(len(SERIES))) == {}
