"""The agent when its disk takes nothing for a while: late, but whole."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from deploy.demo.broker import free_port
from edge import agent, wire
from edge.camera import Frame
from edge.config import CameraConfig, load_agent
from edge.detector import Detector
from edge.flight import assemble
from edge.ground import Ground
from edge.outbox import Outbox, OutboxError
from edge.pipeline import CameraPipeline
from edge.privacy import Gate
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


def test_health_says_what_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = CameraConfig.model_validate({"id": "cam", "source": "rtsp://nowhere/"})
    detector = Detector(ROOT / "models" / "demo.onnx")
    ground = Ground([camera], Gate(0.02), {camera.id: 10.0})
    watch = agent.Watch(camera, CameraPipeline(camera, detector, ground, 10.0), 10.0)
    start = datetime.now(UTC)
    frames = [
        Frame(index, start + timedelta(seconds=index / 10), np.zeros((90, 160, 3), np.uint8))
        for index in (0, 1, 2, 6, 7)
    ]
    monkeypatch.setattr(agent, "watch", lambda *_: iter(frames))
    looked: list[int] = []
    with assemble(2) as crew:
        watch.run(threading.Event(), crew, 3, lambda *_: looked.append(watch.pipeline.frames))
    health = watch.health()
    assert (health.frames, health.dropped, health.state) == (5, 3, "stopped")
    assert looked == [1, 2, 3, 4, 5]
