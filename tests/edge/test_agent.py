"""The agent when its disk takes nothing for a while: late, but whole."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.demo.broker import free_port
from edge import agent, wire
from edge.config import load_agent
from edge.outbox import Outbox, OutboxError
from tests.end_to_end.processes import ROOT, wait_until

SCENE = "sim://boutique?seed=7&people=10&minutes=0.1"


def kept(state: Path) -> list[wire.Event]:
    with sqlite3.connect(state / "outbox.sqlite") as database:
        rows = database.execute("select events from batch order by id").fetchall()
    database.close()
    decoder = msgspec.json.Decoder(tuple[wire.Event, ...])
    return [event for (events,) in rows for event in decoder.decode(events)]


def test_events_wait_for_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    zone = {"id": "all", "name": "All", "role": "area", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    settings = {
        "site": "leeds",
        "device": "door-1",
        "name": "Leeds",
        "model": str(ROOT / "models" / "demo.onnx"),
        "broker": {"host": "127.0.0.1", "port": free_port()},
        "state": str(tmp_path / "state"),
        "cameras": [{"id": "cam", "source": SCENE, "zones": [zone]}],
    }
    path = tmp_path / "agent.yaml"
    path.write_text(yaml.safe_dump(settings))
    offered: list[wire.Event] = []
    refusals = 0
    append = Outbox.append

    def full_at_first(outbox: Outbox, events: list[wire.Event], **header: Any) -> None:
        nonlocal refusals
        if refusals < 3:
            refusals += 1
            raise OutboxError("database or disk is full")
        offered.extend(events)
        append(outbox, events, **header)

    monkeypatch.setattr(Outbox, "append", full_at_first)
    stop = threading.Event()
    thread = threading.Thread(target=agent.run, args=(load_agent(path), stop))
    thread.start()
    try:
        wait_until(lambda: any(isinstance(e, wire.Coverage) for e in offered), 60, "the clip ends")
    finally:
        stop.set()
        thread.join()
    assert refusals == 3
    assert "wait in memory, 0 are lost: database or disk is full" in caplog.text
    events = kept(tmp_path / "state")
    assert events == offered
    assert {type(event) for event in events} >= {wire.Visit, wire.Path, wire.Occupancy}
