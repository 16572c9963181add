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
from tests.central import device, floor
from tests.central.device import MONDAY, SITE, batch, layout
from tests.central.floor import ENGAGED, TRACK, Said, cells

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
        ("dwell_seconds", 0): 20.0,
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
