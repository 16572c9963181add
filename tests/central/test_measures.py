"""The definitions against a slow, obvious twin, and in both dialects that they are written for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import ibis
import ibis.expr.types as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central import measures, windows
from central.config import Site, Zone
from central.intake.events import Intake
from central.metrics import DWELL_EDGES, VISIT_SECONDS
from central.store import Store
from edge import wire
from tests.central import device, floor, online
from tests.central.device import MONDAY, SITE, batch, layout
from tests.central.floor import ENGAGED, TRACK, Said, cells
from tests.central.online import Event

SHOP = Site(id=SITE, zones={zone: Zone(engaged_seconds=s) for zone, s in ENGAGED.items()})


def rebuild(store: Store) -> None:
    windows.rebuild(store, 24.0, datetime.now(UTC), [SHOP])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(floor.said_by, min_size=10, max_size=80))
def test_floor_measures_equal_their_twin(store: Store, sent: list[Said]) -> None:
    for table in (*windows.RAW_TABLES, "ledger"):
        device.rows(store, f"truncate {table}")
    store.central().execute("truncate partial")
    intake = Intake(store)
    floor.lay_out(intake)
    for name in ("door-1", "door-2"):
        own = [event for by, event in sent if by == name]
        if own:
            intake.take([batch(0, own, device=name)])
    for _ in range(2):
        rebuild(store)
        assert cells(store) == pytest.approx(floor.twin(sent))


def test_a_visit_counts_from_five_seconds_on(store: Store) -> None:
    intake = Intake(store)
    intake.take([layout({}, ["till"])])
    stays = [
        wire.Visit("g", "till", ("door",), TRACK, MONDAY, MONDAY, dwell, nth, "left")
        for nth, dwell in enumerate((4.75, 5.0, 15.0), 1)
    ]
    intake.take([batch(0, stays)])
    rebuild(store)
    found = {(measure, place): value for (_, measure, _, _, place), value in cells(store).items()}
    assert found == {
        ("visits", 0): 2.0,
        ("people", 0): 0.0,
        ("engaged", 0): 1.0,
        ("dwell", 0): 1.0,
        ("dwell", 2): 1.0,
    }


def test_nothing_is_told_of_a_zone_for_staff(store: Store) -> None:
    intake = Intake(store)
    intake.take([layout({}, {"office": "staff"})])
    stop = MONDAY + timedelta(minutes=1)
    said = [
        wire.Visit("g", "office", ("door",), TRACK, MONDAY, stop, 60.0, 1, "left"),
        wire.Occupancy("g", "office", MONDAY, stop, 1, 1.0, 1),
        wire.Queue("g", "office", MONDAY, stop, 1.0, 1, 1, 1, 0, 0, 0, (1, *[0] * 8)),
    ]
    intake.take([batch(0, said)])
    rebuild(store)
    assert cells(store) == {}


def test_the_edges_of_dwell_are_in_order() -> None:
    assert list(DWELL_EDGES) == sorted(set(DWELL_EDGES))
    assert DWELL_EDGES[0] == VISIT_SECONDS


class SparkOptions(ibis.config.Config):  # type: ignore[misc]
    """What the compiler asks of the back end, which would need an installed Spark."""

    treat_nan_as_null: bool = False


@pytest.mark.parametrize("name", measures.DEFINITIONS)
@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_definitions_compile_for_both_dialects(
    name: str, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ibis.options, "pyspark", SparkOptions())
    definition: Callable[[], ir.Table] = measures.DEFINITIONS[name]
    text = str(ibis.to_sql(definition(), dialect=dialect))
    assert text.lstrip().upper().startswith(("SELECT", "WITH"))
    assert ("`site`" if dialect == "pyspark" else '"site"') in text
    assert "900" in text
    # Python functions that Ibis would bring to Spark by itself: slow there, and not ours.
    assert "UNWRAP_JSON" not in text
    assert "DATE_TRUNC" not in text


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(online.streams)
def test_online_measures_equal_their_twin(store: Store, sent: list[Event]) -> None:
    store.central().execute("truncate partial; truncate online")
    online.put(store, sent)
    for _ in range(2):
        windows.rebuild_online(store)
        assert cells(store) == online.twin(sent)


def test_a_session_ends_when_nothing_comes_for_more_than_half_an_hour(store: Store) -> None:
    online.put(store, [Event(n, second) for n, second in enumerate((0, 1800, 3601))])
    windows.rebuild_online(store)
    first = windows.key(MONDAY)
    found = {key[1::2]: value for key, value in cells(store).items() if key[1] != "events"}
    assert found == {
        ("product_views", first): 1.0,
        ("product_views", first + 2): 1.0,
        ("product_views", first + 4): 1.0,
        ("sessions", first): 1.0,
        ("engaged_seconds", first + 2): 1800.0,
        ("sessions", first + 4): 1.0,
    }


def test_money_is_kept_apart_by_currency(store: Store) -> None:
    for number, (value, currency) in enumerate([(10, "GBP"), (7, "EUR"), (-2, "GBP"), (1, None)]):
        store.central().execute(
            'insert into orders (site, channel, order_id, "time", value, units, currency, kind)'
            " values ('leeds', 'pos', ?, ?, ?, 1, ?, ?)",
            [str(number), MONDAY, value, currency, "sale" if value > 0 else "return"],
        )
    windows.rebuild_orders(store)
    found = {key[1]: value for key, value in cells(store).items()}
    assert found == {
        "orders": 3,
        "returns": 1,
        "units": 4,
        "sold_units": 3,
        "revenue:GBP": 8,
        "sales:GBP": 10,
        "sold:GBP": 1,
        "sold:EUR": 1,
        "sold:": 1,
        "revenue:EUR": 7,
        "sales:EUR": 7,
        "revenue:": 1,
        "sales:": 1,
    }
