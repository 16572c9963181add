"""The tick: how often it comes, and when features are released."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from central import windows
from central.config import Config, Site
from central.service import TICK_SECONDS, Service
from central.store import Store
from tests.central import shop
from tests.central.shop import MONDAY, SITE
from tests.central.test_features import visitors


def test_windows_take_a_tenth_of_the_time_however_long_they_take(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 100.0
    monkeypatch.setattr("central.service.time.monotonic", lambda: clock)
    found = Service(store, Config())

    def rebuild_for(seconds: float) -> None:
        def rebuild(*_: object) -> None:
            nonlocal clock
            clock += seconds

        monkeypatch.setattr(windows, "rebuild", rebuild)
        found.tick()

    rebuild_for(20.0)
    assert found.pause == TICK_SECONDS
    found.intake.dirty = True
    rebuild_for(30.0)
    assert found.pause == pytest.approx(180.0)
    found.intake.dirty = True
    rebuild_for(40.0)
    assert found.pause == pytest.approx(270.0)
    # What was slow holds nothing up once nothing new comes in.
    rebuild_for(40.0)
    assert found.pause == TICK_SECONDS


def test_times_are_released_by_the_hour_and_the_rest_by_the_day(
    store: Store, tmp_path: Path
) -> None:
    found = Service(store, Config(data=tmp_path, sites=(Site(id=SITE),)))
    shop.put(store, shop.seen(2) + visitors(0, 9, 60) + visitors(0, 11, 60))
    file = tmp_path / "features" / "in_store" / "date=2026-03-02" / "in_store.parquet"
    for hour, about in (
        (8, []),
        (10, ["dwell"]),
        (11, ["dwell"]),
        (12, ["dwell"] * 2),
        (24, ["dwell"] * 2 + ["site"] * 2 + ["zone"] * 2),
    ):
        moment = MONDAY + timedelta(hours=hour)
        shop.close(store, moment)
        for _ in range(2):
            found._release([SITE], moment)
        if about:
            rows = pq.read_table(file, partitioning=None).to_pylist()
            assert sorted(row["about"] for row in rows if row["status"] == "ok") == about
        else:
            assert not file.exists()
