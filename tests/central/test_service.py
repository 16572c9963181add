"""The tick: how often it comes."""

import pytest

from central import windows
from central.config import Config
from central.service import TICK_SECONDS, Service
from central.store import Store


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
