"""Replay of real clips with real models, from the command line."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge import wire
from edge.__main__ import main
from edge.camera import Lost, Restarted, read
from edge.config import load_camera
from edge.detector import Detector
from edge.ground import Ground
from edge.pipeline import CameraPipeline
from edge.privacy import Gate

ROOT = Path(__file__).parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)


def arguments(
    shared: Path, folder: Path, clip: str = "store-aisle.gif", **more: object
) -> list[str]:
    options: dict[str, object] = {
        "config": ROOT / "deploy/demo/store-aisle.yaml",
        "model": shared / "models/deimv2_atto_320.onnx",
        "seed": 7,
        "out": folder / "events.jsonl",
        "tracks": folder / "tracks.txt",
        **more,
    }
    flat = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return ["replay", str(shared / "video" / clip), *flat]


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def aisle(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aisle")
    assert main(arguments(shared, folder)) == 0
    return folder


def test_two_runs_give_the_same_bytes(shared: Path, aisle: Path, tmp_path: Path) -> None:
    assert main(arguments(shared, tmp_path)) == 0
    for name in ("events.jsonl", "tracks.txt"):
        assert (tmp_path / name).read_bytes() == (aisle / name).read_bytes()


def test_the_seed_turns_the_track_ids_and_nothing_else(
    shared: Path, aisle: Path, tmp_path: Path
) -> None:
    assert main(arguments(shared, tmp_path, seed=8)) == 0
    one, other = ((folder / "events.jsonl").read_text() for folder in (aisle, tmp_path))
    ids = re.compile(r'"track":"[0-9a-f]{16}"')
    assert one != other
    assert not set(ids.findall(one)) & set(ids.findall(other))
    assert ids.sub("", one) == ids.sub("", other)


def test_the_events_are_of_the_contract_and_tell_of_the_aisle(aisle: Path) -> None:
    lines = (aisle / "events.jsonl").read_bytes().splitlines()
    decoder: msgspec.json.Decoder[wire.Event] = msgspec.json.Decoder(wire.Event)
    kinds = Counter(type(decoder.decode(line)).__name__ for line in lines)
    assert kinds["Coverage"] == 1
    assert kinds["Occupancy"] == 2
    assert kinds["Visit"] >= 2
    assert kinds["Path"] >= 3
    (coverage,) = (event for event in events(aisle) if event["type"] == "coverage")
    assert (coverage["seen"], coverage["expected"]) == (67, 67)
    assert all(event["time"] >= "2026-01-01" for event in events(aisle) if "time" in event)


def test_the_tracks_are_in_the_motchallenge_format(aisle: Path) -> None:
    rows = np.loadtxt(aisle / "tracks.txt", delimiter=",", ndmin=2)
    assert rows.shape[1] == 10
    assert (rows[:, 0] >= 1).all()
    assert rows[:, 0].max() == 67
    assert (np.diff(rows[:, 0]) >= 0).all()
    assert set(rows[:, 1]) == set(range(1, int(rows[:, 1].max()) + 1))
    assert (rows[:, 4:6] > 0).all()
    assert (rows[:, 7:] == -1).all()
    assert 1.5 < len(rows) / 67 < 4.5


def test_the_demo_s_cameras_all_load_and_see_people(shared: Path, tmp_path: Path) -> None:
    config = ROOT / "deploy/demo/supermarket.yaml"
    assert main(arguments(shared, tmp_path, "supermarket.mp4", config=config)) == 0
    told = events(tmp_path)
    zones = {event["zone"] for event in told if event["type"] == "visit"}
    assert {"till-5", "queue-5", "cashier-4"} <= zones
    assert {
        event["staff"] for event in told if event.get("zone") == "cashier-4" and "staff" in event
    } == {True}


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        ({"model": "none.onnx"}, 2, "none.onnx: No such file"),
        ({"config": "none.yaml"}, 2, "none.yaml: No such file"),
        ({"out": "no/such/folder/x"}, 1, "no/such/folder/x"),
        ({"clip": "none.mp4"}, 1, "none.mp4: no such file"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    broken: dict[str, str],
    code: int,
    words: str,
) -> None:
    clip = broken.pop("clip", "store-aisle.gif")
    assert main(arguments(shared, tmp_path, clip, **broken)) == code
    told = capsys.readouterr().err
    assert told.startswith("passerby-edge: ")
    assert words in told
    assert "Traceback" not in told


@pytest.mark.parametrize("start", ["yesterday", "2026-01-01T00:00:00"])
def test_a_start_must_be_a_moment(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], start: str
) -> None:
    with pytest.raises(SystemExit):
        main(arguments(shared, tmp_path, start=start))
    assert "2026-01-01T00:00:00" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["replay", "--help"])
    assert "example: passerby-edge replay" in capsys.readouterr().out


def test_a_pipeline_ends_tracks_on_loss_and_restart_and_names_them_at_random(
    shared: Path,
) -> None:
    camera = load_camera(ROOT / "deploy/demo/store-aisle.yaml")
    detector = Detector(shared / "models/yolox_nano_416.onnx")
    frames = list(islice(read(shared / "video/store-aisle.gif", START), 30))
    seen: set[str] = set()
    for gone in (Restarted(frames[-1].time), Lost(frames[-1].time, "offline")):
        pipeline = CameraPipeline(
            camera, detector, Ground([camera], Gate(0.02), {camera.id: 16.67}), 16.67
        )
        for frame in frames:
            assert not [e for e in pipeline.handle(frame) if isinstance(e, wire.Path)]
        ids = set(pipeline.track_ids)
        assert len(ids) == len(pipeline.positions) == len(pipeline.tracks.boxes) >= 2
        assert sum(pipeline.people.values()) >= 1
        assert pipeline.through == START + timedelta(seconds=1)
        told = pipeline.handle(gone)
        assert {e.track for e in told if isinstance(e, wire.Path)} >= ids
        assert {e.ended for e in told if isinstance(e, wire.Visit)} <= {"lost", "left"}
        assert (pipeline.track_ids, sum(pipeline.people.values())) == ([], 0)
        assert pipeline.state == ("ok" if isinstance(gone, Restarted) else "offline")
        assert not ids & seen
        seen |= ids
