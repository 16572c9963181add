"""The commands about the files, while `serve` has them open."""

import json
from pathlib import Path

import paho.mqtt.publish as mqtt
import pytest

from deploy.demo.broker import mosquitto
from edge import wire
from tests.end_to_end.processes import DEVICE, SITE, Feeder, Stack, wait_until

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="Mosquitto is not installed")


def test_everything_but_restore_and_compact_works_while_serve_runs(
    stack: Stack, tmp_path: Path
) -> None:
    device = Feeder(stack, 20)
    topic = str(wire.Topic(SITE, DEVICE, "events"))
    mqtt.single(topic, b"\x1b[2Jrubbish", qos=1, port=stack.mqtt_port)
    done = {"waiting": 0, "numbered": 100}
    wait_until(lambda: device.progress() == done, 60, "everything is acknowledged")
    wait_until(lambda: (stack.health() or {})["quarantined"], 60, "the rest is refused")
    assert "        1  JSON is malformed" in stack.command("quarantine", "list")
    shown = stack.command("quarantine", "show", "floor-1")
    assert "11 bytes:\n\\x1b[2Jrubbish" in shown
    replayed = stack.command("quarantine", "replay", "--reason", "malformed")
    assert replayed.startswith("0 taken in, 1 still refused\nfloor-1: JSON is malformed")
    assert stack.command("quarantine", "drop", "floor-1") == "1 dropped\n"
    assert stack.command("quarantine", "list") == "the quarantine is empty\n"
    assert "name some of them" in stack.command("quarantine", "drop", code=1)
    wait_until(
        lambda: [gap["expected"] for gap in stack.get("/v1/gaps")] == [160], 30, "all are named"
    )
    assert stack.command("gaps") == "0 of 160 events are missing\n"
    (gap,) = json.loads(stack.command("gaps", "--all", "--json"))
    assert (gap["device"], gap["received"], gap["missing"]) == (DEVICE, 160, 0)
    query = "select count(*) > 0 as counted from partial where measure = 'footfall'"
    wait_until(
        lambda: stack.command("sql", "--csv", query) == "counted\nTrue\n", 30, "windows are there"
    )
    refused = stack.command("sql", f"from '{stack.data / 'floor.duckdb'}'", code=1)
    assert "disabled by configuration" in refused
    assert stack.command("retention") == "nothing is too old\n"
    assert "generation 2" in stack.command("backup", str(tmp_path / "copy"))
    assert "stop it first" in stack.command("compact", code=2)
    assert "stop `serve` first" in stack.command("restore", str(tmp_path / "copy"), code=2)
