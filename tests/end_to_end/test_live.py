"""The agent, over a real broker, into a real database: as replay says it."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Any

import msgspec
import pytest
import yaml

from deploy.demo.broker import mosquitto
from edge import simulator, wire
from tests.end_to_end.processes import ROOT, Stack, wait_until

SHARED = Path(os.environ.get("PASSERBY_SHARED", ROOT.parent / "shared"))
VIDEO = SHARED / "video" / "store-aisle.gif"
AISLE = (str(VIDEO), SHARED / "models" / "deimv2_atto_320.onnx", 67)
SCENE = "sim://supermarket?seed=7&people=30&minutes=0.5"
RENDERED = (SCENE, ROOT / "models" / "demo.onnx", 300)
with_footage = pytest.mark.skipif(
    not VIDEO.exists(), reason=f"no footage at {VIDEO}; set PASSERBY_SHARED"
)

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="Mosquitto is not installed")


def stored(stack: Stack) -> list[wire.Event]:
    """Every event in the store, in the order of its number."""
    found: list[tuple[int, wire.Event]] = []
    for kind in wire.EVENTS:
        names = ", ".join(f'"{name}"' for name in kind.__struct_fields__)
        for sequence, *values in stack.query(f"select seq, {names} from {kind.__name__.lower()}"):
            fields = dict(zip(kind.__struct_fields__, map(aware, values), strict=True))
            found.append((sequence, msgspec.convert(fields, kind, strict=False)))
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def without_names(events: list[wire.Event]) -> list[wire.Event]:
    """Tracks numbered in the order in which they are first heard of."""
    numbers: dict[str, str] = {}
    renamed = []
    for event in events:
        track = getattr(event, "track", None)
        if track is not None:
            number = numbers.setdefault(track, f"{len(numbers):016x}")
            event = msgspec.structs.replace(event, track=number)
        renamed.append(event)
    return renamed


def replayed(
    source: str, camera: Path, model: Path, start: datetime, out: Path
) -> list[wire.Event]:
    command = [sys.executable, "-m", "edge", "replay", source, "--config", str(camera)]
    command += ["--model", str(model), "--seed", "0", "--start", start.isoformat()]
    run([*command, "--out", str(out)], check=True, cwd=ROOT)
    decoder = msgspec.json.Decoder(wire.Event)
    return [decoder.decode(line) for line in out.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("source", "model", "frames"),
    [pytest.param(*AISLE, marks=with_footage), RENDERED],
    ids=["footage", "rendered"],
)
def test_what_the_store_holds_is_what_replay_says(
    stack: Stack, tmp_path: Path, source: str, model: Path, frames: int
) -> None:
    if source.startswith(simulator.SCHEME):
        camera = simulator.camera_config(simulator.parse(source)).model_dump(mode="json")
    else:
        camera = yaml.safe_load((ROOT / "deploy/demo/store-aisle.yaml").read_text())
    settings = {
        "site": "leeds",
        "device": "door-1",
        "name": "Leeds",
        "model": str(model),
        "broker": {"host": "127.0.0.1", "port": stack.mqtt_port},
        "state": str(tmp_path / "state"),
        "health_every_seconds": 1,
        "cameras": [{**camera, "source": source, "loop": False}],
    }
    path = tmp_path / "agent.yaml"
    path.write_text(yaml.safe_dump(settings))
    agent = stack.run("agent", "-m", "edge", "run", "--config", str(path))

    def over() -> bool:
        health = stack.health()
        devices = health["devices"] if health else []
        return any(
            camera["state"] == "stopped" and camera["frames"] == frames and not device["missing"]
            for device in devices
            for camera in device["cameras"].values()
        )

    wait_until(over, 120, lambda: f"the camera is over\n{agent.words()}")
    assert agent.stop() == 0
    stack.central.stop()
    events = stored(stack)
    start = min(event.start for event in events if isinstance(event, wire.Coverage))
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump({**camera, "source": source}))
    expected = replayed(source, tmp_path / "camera.yaml", model, start, tmp_path / "events.jsonl")
    kinds = {type(event) for event in expected}
    assert kinds >= {wire.Crossing, wire.Visit, wire.Path, wire.Occupancy, wire.Coverage}
    assert without_names(events) == without_names(expected)
    assert len({event.track for event in events if isinstance(event, wire.Path)}) > 1
