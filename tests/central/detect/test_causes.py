"""The rules: what is off, and why, from windows made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.config import Site
from central.detect import causes
from central.detect.causes import Finding, Tick, calm, explained, findings, story
from central.detect.panel import CHAIN
from central.detect.reading import Reading, Sum

NOW, LIMIT = 1000, 1e-4
LEEDS, WEB = Site(id="leeds", name="Leeds"), Site(id="web", kind="web")
REGION = Site(id="region-north", name="North")


def reading(values: list[float], expected: float, phi: float = 1.2, **p: Any) -> Reading:
    """Windows up to now, the newest last; always the same expectation."""
    n = len(values)
    flat = np.full(n, expected)
    return Reading(
        window=NOW - np.arange(n),
        value=np.array(values[::-1], np.float64),
        expected=flat,
        variance=phi * flat,
        usual=flat,
        **p,
    )


def off(values: list[float], expected: float, side: str = "low", span: int = 2) -> Reading:
    return reading(values, expected, span=span, **{f"p_{side}": 1e-9})


FEW, USUAL = off([20, 20, 3, 2], 20), reading([21, 19, 20, 20], 20)
NO_SALES, SALES, FEW_SALES = off([7, 7, 0, 0], 7), reading([6, 8, 7, 6], 7), off([7, 8, 1, 1], 7)
MANY = off([20, 20, 60, 70], 20, "high")
WAVE, RETURNS = off([0, 1, 9, 12], 0.5, "high"), reading([0, 1, 0, 0], 0.5)
SESSIONS, CROWD = reading([900, 910, 890, 905], 900), reading([900, 910, 1600, 1700], 900)


def tick(site: Site = LEEDS, **readings: Reading) -> Tick:
    return Tick(site, NOW, True, readings, {"door": [1.0] * 4} if site == LEEDS else {})


def web(sessions: Reading, **readings: Reading) -> Tick:
    return tick(WEB, sessions=sessions, **readings)


@pytest.mark.parametrize(
    ("shop", "beside", "cause", "metric"),
    [
        (tick(footfall=USUAL, orders=SALES), None, None, ""),
        (tick(footfall=USUAL, orders=NO_SALES), None, "conversion", "orders"),
        (tick(footfall=FEW, orders=SALES), None, "sensor", "footfall"),
        (tick(footfall=FEW, orders=FEW_SALES), None, "demand", "footfall"),
        (tick(footfall=FEW, orders=FEW_SALES), web(SESSIONS), "demand", "footfall"),
        (tick(footfall=FEW, orders=FEW_SALES), web(CROWD), "shift", "footfall"),
        (tick(footfall=FEW), None, "demand", "footfall"),
        (tick(orders=NO_SALES), None, "orders", "orders"),
        (tick(footfall=reading([20, 20, 20, np.nan], 20), orders=NO_SALES), None, "orders", ""),
        (tick(footfall=MANY, orders=SALES), None, "busy", "footfall"),
        (tick(footfall=USUAL, orders=SALES, returns=WAVE), None, "abuse", "returns"),
        (tick(footfall=USUAL, orders=SALES, returns=RETURNS), None, None, ""),
        (web(SESSIONS, orders=SALES), None, None, ""),
        (web(SESSIONS, orders=NO_SALES), None, "conversion", "orders"),
        (web(SESSIONS, searches=off([90, 90, 200, 220], 90, "high")), None, "trend", "searches"),
        (web(CROWD, searches=off([90, 90, 200, 220], 90, "high")), None, None, ""),
        (web(SESSIONS, coupons=WAVE), None, "abuse", "coupons"),
        (web(off([900, 900, 90, 80], 900), orders=FEW_SALES), None, "demand", "sessions"),
    ],
)
def test_the_rules(shop: Tick, beside: Tick | None, cause: str | None, metric: str) -> None:
    found = findings(shop, LIMIT, beside)
    assert [each.cause for each in found] == ([cause] if cause else [])
    if metric:
        assert (found[0].metric, found[0].since, found[0].p) == (metric, NOW - 1, 1e-9)


NOBODY = reading([2, 0, 0, 0], 2, silence=1e-9)


@pytest.mark.parametrize(
    ("shop", "cause", "since"),
    [
        (tick(footfall=NOBODY), "sensor", NOW - 2),
        (tick(footfall=replace(NOBODY, p_low=1e-6, span=4)), "sensor", NOW - 2),
        (tick(footfall=NOBODY, orders=reading([9, np.nan, np.nan, np.nan], 7)), "sensor", NOW - 2),
        (tick(footfall=NOBODY, orders=SALES), "sensor", NOW - 2),
        (tick(footfall=NOBODY, orders=reading([1, 0, 0, 0], 1)), "demand", NOW - 2),
        (tick(footfall=off([20, 20, 0, 0], 20)), "sensor", NOW - 1),
        (tick(footfall=off([20, 20, 1, 0], 20)), "demand", NOW - 1),
        (tick(footfall=replace(NOBODY, silence=1e-3)), None, 0),
        (tick(footfall=replace(NOBODY, learning=True)), None, 0),
        (tick(footfall=replace(NOBODY, learning=True, pooled=True)), None, 0),
        (replace(tick(footfall=NOBODY), children=("leeds", "york")), None, 0),
    ],
)
def test_nobody_for_too_long_is_a_counter_in_doubt(
    shop: Tick, cause: str | None, since: int
) -> None:
    found = [(each.cause, each.since, each.learning) for each in findings(shop, LIMIT)]
    assert found == ([(cause, since, False)] if cause else [])


def test_zeros_begin_after_what_was_counted_last() -> None:
    zeros = reading([0, 3, 0, np.nan, 0], 2)
    assert zeros.silent_since == NOW - 2
    assert reading([0, 0], 2).silent_since == NOW - 1
    assert reading([0, 3], 2).silent_since == NOW + 1


def test_nothing_is_off_while_learning_or_closed_or_absent() -> None:
    learning = replace(NO_SALES, learning=True)
    assert findings(tick(footfall=USUAL, orders=learning), LIMIT) == []
    assert findings(replace(tick(orders=NO_SALES), opened=False), LIMIT) == []
    assert findings(tick(orders=replace(NO_SALES, value=np.full(4, np.nan))), LIMIT) == []


@pytest.mark.parametrize(
    ("seen", "since"),
    [
        ([0.49, 1.0, 1.0, 1.0], NOW),
        ([0.5, 1.0, 1.0, 1.0], None),
        ([0.8, 0.8, 0.8, 0.8], NOW - 3),
        ([0.8, 0.8, 0.8], None),
        ([0.8, 0.8, 0.8, 0.95], None),
    ],
)
def test_a_camera_that_sees_too_little(seen: list[float], since: int | None) -> None:
    found = findings(replace(tick(orders=SALES), coverage={"door": seen}), LIMIT)
    expected = [Finding("leeds", "sensor", since or 0, metric="coverage", subject="door")]
    assert found == (expected if since else [])


def test_a_blind_camera_is_never_fewer_people() -> None:
    blind = tick(footfall=reading([20, 20, np.nan, np.nan], 20, p_low=1.0), orders=NO_SALES)
    found = findings(replace(blind, coverage={"door": [0.0]}), LIMIT)
    assert [each.cause for each in found] == ["sensor", "orders"]


def test_a_node_has_no_sensor_and_the_chain_has_one_cause() -> None:
    silent = {"footfall": FEW, "orders": SALES}
    region = replace(tick(REGION, **silent), children=("leeds", "york"))
    chain = replace(region, site=Site(id=CHAIN))
    assert findings(region, LIMIT)[0].cause == "data"
    for readings in (silent, {"footfall": USUAL, "orders": NO_SALES}, {"orders": NO_SALES}):
        assert findings(replace(chain, readings=readings), LIMIT)[0].cause == "data"
    both = {"footfall": FEW, "orders": FEW_SALES}
    assert findings(replace(chain, readings=both), LIMIT, web(CROWD))[0].cause == "shift"


def test_what_is_lost_is_sales_that_did_not_come() -> None:
    conversion = findings(tick(footfall=USUAL, orders=NO_SALES), LIMIT)[0]
    demand = findings(tick(footfall=FEW, orders=FEW_SALES), LIMIT)[0]
    assert (conversion.lost, demand.lost) == (14.0, 12.0)
    assert findings(tick(footfall=FEW, orders=SALES), LIMIT)[0].lost == 0.0


def test_sales_of_windows_that_were_not_seen_tell_nothing_of_people() -> None:
    people = off([3, 2, np.nan, 3], 20, span=4)
    orders = reading([1, 1, 30, 1], 7)
    assert findings(tick(footfall=people, orders=orders), LIMIT)[0].cause == "demand"


counts = st.integers(0, 60)


@given(counts, counts)
def test_the_story_is_the_one_nearest_to_the_counts(people: int, sales: int) -> None:
    """Against a search over all falls, with the same quasi-likelihood."""
    came, sold = Sum(people, 40.0, 60.0), Sum(sales, 12.0, 15.0)
    if people == 0 and sales > 0:
        assert story(came, sold) == "people"
        return

    def fit(total: Sum, share: float) -> float:
        mean = share * total.expected
        gain = float(total.observed * np.log(mean) - mean)
        return gain / (total.variance / total.expected)

    falls = np.linspace(1e-6, 1.0, 4001)
    best = {
        "people": max(fit(came, fall) for fall in falls) + fit(sold, 1.0),
        "sales": fit(came, 1.0) + max(fit(sold, fall) for fall in falls),
        "both": max(fit(came, fall) + fit(sold, fall) for fall in falls),
    }
    assert best[story(came, sold)] == pytest.approx(max(best.values()), abs=1e-3)


@pytest.mark.parametrize(
    ("shop", "family", "quiet"),
    [
        (tick(footfall=USUAL, orders=SALES), "trade", True),
        (tick(footfall=FEW, orders=SALES), "trade", False),
        (tick(footfall=USUAL, orders=NO_SALES), "trade", False),
        (tick(footfall=MANY, orders=SALES), "busy", False),
        (tick(footfall=reading([np.nan], 20), orders=SALES), "trade", None),
        (tick(returns=WAVE), "abuse", False),
        (tick(returns=RETURNS), "abuse", True),
        (tick(orders=SALES), "trend", None),
        (replace(tick(orders=SALES), opened=False), "trade", None),
    ],
)
def test_calm(shop: Tick, family: str, quiet: bool | None) -> None:
    assert calm(shop, family, "") is quiet


@pytest.mark.parametrize(("seen", "quiet"), [([1.0], True), ([0.89], False), (None, None)])
def test_a_camera_is_calm_when_it_sees(seen: list[float] | None, quiet: bool | None) -> None:
    shop = replace(tick(orders=SALES), opened=False, coverage={"door": seen} if seen else {})
    assert calm(shop, "sensor", "door") is quiet


SITES = tuple(f"shop-{number}" for number in range(6))
LEAVES = {"region-north": SITES}


def town(values: dict[str, list[float]]) -> dict[str, Tick]:
    """Six shops, and their region; those that are not named do as usual."""
    ticks = {
        site: tick(Site(id=site), footfall=reading(values.get(site, [40, 41, 39, 40]), 40))
        for site in SITES
    }
    total = np.sum([t.readings["footfall"].value[::-1] for t in ticks.values()], axis=0)
    node = tick(REGION, footfall=off(total.tolist(), 240))
    return {**ticks, "region-north": replace(node, children=SITES)}


def test_a_fall_that_all_share_is_told_once_and_names_those_who_fell() -> None:
    ticks = town({site: [40, 40, 12, 9] for site in SITES[:5]})
    found = [Finding(site, "demand", NOW - 1, 1e-9, "footfall") for site in SITES[:5]]
    found += findings(ticks["region-north"], LIMIT)
    (finding,) = explained(found, ticks, LEAVES)
    assert (finding.place, finding.cause, finding.children) == ("region-north", "demand", SITES[:5])


def test_what_one_shop_does_is_not_told_of_its_region() -> None:
    ticks = town({"shop-0": [40, 40, 0, 0]})
    mine = Finding("shop-0", "sensor", NOW - 1, 1e-9, "footfall")
    blind = Finding("shop-1", "sensor", NOW, metric="coverage", subject="door")
    found = explained([mine, blind, *findings(ticks["region-north"], LIMIT)], ticks, LEAVES)
    assert found == [mine, blind]


def test_a_node_leaves_cameras_and_waves_to_their_shops() -> None:
    ticks = town({site: [40, 40, 12, 9] for site in SITES})
    blind = Finding("shop-1", "sensor", NOW, metric="coverage", subject="door")
    wave = Finding("shop-2", "abuse", NOW, 1e-9, "returns")
    found = explained([blind, wave, *findings(ticks["region-north"], LIMIT)], ticks, LEAVES)
    assert [each.place for each in found] == ["shop-1", "shop-2", "region-north"]


def test_the_chain_explains_its_regions() -> None:
    ticks = town({site: [40, 40, 12, 9] for site in SITES})
    north = ticks["region-north"]
    south = replace(north, site=Site(id="region-south"))
    chain = replace(north, site=Site(id=CHAIN), children=("region-north", "region-south"))
    ticks |= {"region-south": south, CHAIN: chain}
    leaves = {CHAIN: SITES, "region-north": SITES[:3], "region-south": SITES[3:]}
    found = [each for t in (chain, north, south) for each in findings(t, LIMIT)]
    (finding,) = explained(found, ticks, leaves)
    assert (finding.place, finding.cause, finding.children) == (CHAIN, "data", SITES)


def test_families() -> None:
    assert Finding("leeds", "demand", 0).key == Finding("leeds", "conversion", 0).key
    assert Finding("leeds", "abuse", 0).key != Finding("leeds", "demand", 0).key
    assert causes.family("sensor", "door") == "sensor"
