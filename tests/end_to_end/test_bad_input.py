"""What users and networks get wrong: a message names place and fix, and the rest goes on."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from deploy.demo.broker import free_port, mosquitto
from edge import simulator, wire
from tests.edge import graphs
from tests.end_to_end.processes import ROOT, Stack, wait_until

SCENE = "sim://boutique?seed=7&people=10&minutes=1"
MODEL = ROOT / "models" / "demo.onnx"
CAMERA: dict[str, Any] = {"id": "cam", "source": "video.mp4"}
ZONE = {"id": "till", "name": "Till", "role": "service", "polygon": [[0, 0], [1, 0], [1, 1]]}

needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="Mosquitto is not installed")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def replay(folder: Path, video: Path | str, model: Path, camera: dict[str, Any]) -> tuple[int, str]:
    path = folder / "camera.yaml"
    path.write_text(yaml.safe_dump(camera, sort_keys=False))
    done = command(
        *("edge", "replay", str(video), "--config", str(path), "--model", str(model)),
        *("--out", str(folder / "events.jsonl")),
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ({**CAMERA, "zonse": []}, ["camera.yaml:3", "zonse", "zones"]),
        (
            {**CAMERA, "zones": [{**ZONE, "polygon": [[0, 0], [1, 0]]}]},
            ["camera.yaml:7", "zones[0].polygon", "3 corners"],
        ),
        ({**CAMERA, "id": "Cam 1"}, ["camera.yaml:1", "id"]),
    ],
)
def test_a_mistake_in_a_camera_file(
    tmp_path: Path, camera: dict[str, Any], words: list[str]
) -> None:
    code, said = replay(tmp_path, tmp_path / "video.mp4", tmp_path / "model.onnx", camera)
    assert code == 2
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("video", "model", "code", "words"),
    [
        ("none.mp4", "good", 1, ["none.mp4", "no such file"]),
        ("cut.avi", "good", 1, ["cut.avi", "cut off"]),
        ("sim://kiosk", "good", 2, ["sim://kiosk", "supermarket", "boutique"]),
        ("good", "none.onnx", 2, ["none.onnx"]),
        ("good", "cut.onnx", 2, ["cut.onnx", "again"]),
        ("good", "model.onnx", 2, ["model.onnx", "segmentation", "1x3x64x96", "YOLOX", "DEIM"]),
    ],
)
def test_a_video_or_model_that_cannot_be_used(
    tmp_path: Path, video: str, model: str, code: int, words: list[str]
) -> None:
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 360))
    for picture in simulator.pictures(simulator.parse(SCENE.replace("minutes=1", "minutes=0.1"))):
        writer.write(picture)
    writer.release()
    (tmp_path / "cut.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "cut.onnx").write_bytes(MODEL.read_bytes()[:100_000])
    graphs.save(graphs.masks(), tmp_path)
    ended, said = replay(
        tmp_path,
        {"good": whole}.get(video, video if "://" in video else tmp_path / video),
        {"good": MODEL}.get(model, tmp_path / model),
        CAMERA,
    )
    assert ended == code, said
    assert all(word in said for word in words), said


def test_a_mistake_in_centrals_settings(tmp_path: Path) -> None:
    path = tmp_path / "central.yaml"
    path.write_text("data: here\nsites:\n  - id: leeds\n    tme_zone: UTC\n")
    done = command("central", "serve", "--config", str(path))
    assert done.returncode == 2
    assert f"{path}:4" in done.stderr
    assert "time_zone" in done.stderr
    assert "Traceback" not in done.stderr


@needs_mosquitto
def test_a_port_or_a_folder_in_use(stack: Stack, tmp_path: Path) -> None:
    settings = yaml.safe_load(stack.settings.read_text())
    path = tmp_path / "second.yaml"
    path.write_text(yaml.safe_dump({**settings, "data": str(tmp_path / "other")}))
    done = command("central", "serve", "--config", str(path))
    assert done.returncode == 2
    assert f"127.0.0.1:{stack.http_port}" in done.stderr
    assert "http.port" in done.stderr
    path.write_text(yaml.safe_dump({**settings, "http": {"port": free_port()}}))
    done = command("central", "serve", "--config", str(path))
    assert done.returncode == 2
    assert "in use" in done.stderr


@needs_mosquitto
def test_what_cannot_be_read_is_quarantined_and_the_rest_goes_on(stack: Stack) -> None:
    now = datetime.now(UTC)
    crossing = wire.Crossing("ground", "door", ("cam",), now, "in", "0" * 16)
    good = wire.Batch(
        wire.VERSION, "leeds", "door-1", "a" * 16, 0, 1, now, "", "", "synced", (crossing,)
    )
    future = wire.encode(good).replace(b'"v":1', b'"v":9').replace(b'"first":0', b'"first":1')
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "rogue")
    client.connect("127.0.0.1", stack.mqtt_port)
    client.loop_start()
    acks: list[bytes] = []
    client.on_message = lambda _, __, message: acks.append(bytes(message.payload))
    client.subscribe("passerby/v1/leeds/door-1/ack", 1)
    for payload in (b"hello", future, b'{"v":1,' + b" " * 10_000_000 + b"}", wire.encode(good)):
        client.publish("passerby/v1/leeds/door-1/events", payload, qos=1).wait_for_publish(30)

    def settled() -> bool:
        health = stack.health() or {}
        return health.get("events") == {"crossing": 1} and len(health["quarantined"]) == 3

    wait_until(settled, 30, lambda: str(stack.health()))
    wait_until(lambda: acks and b"[[0,1]]" in acks[-1], 60, lambda: f"both claimed: {acks}")
    client.disconnect()
    client.loop_stop()
    stack.central.stop()
    rows = stack.query("select first, count, reason, octet_length(raw) from quarantine order by 3")
    assert len(rows) == 3
    assert [row[:2] for row in rows if "version 9" in row[2]] == [(1, 1)]
    reasons = " ".join(reason for _, _, reason, _ in rows)
    assert "JSON is malformed" in reasons
    assert "10000008 bytes, of at most 65536" in reasons
    assert all(kept <= 64 * 1024 for *_, kept in rows)


@needs_mosquitto
def test_a_camera_that_is_not_there_leaves_the_others_going(stack: Stack, tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(cut), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(20):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 7 // 10])
    settings = {
        "site": "leeds",
        "device": "door-1",
        "name": "Leeds",
        "model": str(MODEL),
        "broker": {"host": "127.0.0.1", "port": stack.mqtt_port},
        "state": str(tmp_path / "state"),
        "health_every_seconds": 1,
        "cameras": [
            {"id": "gone", "source": str(tmp_path / "none.mp4")},
            {"id": "cut", "source": str(cut)},
            {"id": "kiosk", "source": "sim://kiosk"},
            {"id": "aisle", "source": SCENE, "loop": True},
        ],
    }
    path = tmp_path / "agent.yaml"
    path.write_text(yaml.safe_dump(settings))
    agent = stack.run("agent", "-m", "edge", "run", "--config", str(path))

    def cameras() -> dict[str, Any]:
        devices = (stack.health() or {"devices": []})["devices"]
        found: dict[str, Any] = devices[0]["cameras"] if devices else {}
        return found

    wait_until(
        lambda: (
            cameras().get("aisle", {}).get("frames", 0) > 20
            and cameras()["gone"]["state"] == "offline"
            and cameras()["cut"]["state"] == "offline"
            and cameras()["kiosk"]["state"] == "offline"
        ),
        60,
        lambda: f"{cameras()}\n{agent.words()}",
    )
    assert "none.mp4: no such file" in agent.words()
    assert "camera cut is off" in agent.words()
    assert "damaged, copy it again; the other cameras go on" in agent.words()
    assert 'sim://kiosk: no rendered store "kiosk"' in agent.words()
    assert agent.stop() == 0
