"""`simulate`, and `replay` on what it wrote."""

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import replay
from edge.__main__ import main
from edge.camera import file_rate, read
from edge.config import load_camera
from edge.detector import Detections
from edge.simulator import parse

SOURCE = "sim://supermarket?camera=entrance&seed=5&people=45&minutes=1&size=320x180"


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulate") / "store"
    assert main(["simulate", SOURCE, "--out", str(out)]) == 0
    return out


def test_every_file_is_there_and_says_what_the_others_say(folder: Path) -> None:
    names = "camera.yaml crossings.csv floor.csv gt/gt.txt queue.csv sales.csv seqinfo.ini"
    assert sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    ) == [*names.split(), "visits.csv"]
    floor = {(row["frame"], row["id"]) for row in table(folder / "floor.csv")}
    boxes = [line.split(",") for line in (folder / "gt/gt.txt").read_text().splitlines()]
    assert {(row[0], row[1]) for row in boxes} <= floor
    assert {int(frame) for frame, _ in floor} == set(range(1, 601))
    crossings = table(folder / "crossings.csv")
    assert {row["line"] for row in crossings} <= {line.id for line in parse(SOURCE).store.lines}
    assert [row for row in crossings if row["line"] == "entrance" and row["direction"] == "in"]
    visits = table(folder / "visits.csv")
    assert {row["zone"] for row in visits} <= {zone.id for zone in parse(SOURCE).store.zones}
    assert all(float(row["exited"]) >= float(row["entered"]) for row in visits)
    turns = table(folder / "queue.csv")
    for row in turns:
        end = row["served"] or row["left"]
        assert float(row["wait"]) == pytest.approx(float(end) - float(row["joined"]), abs=0.2)
    left = {(row["till"], row["left"]) for row in turns}
    sales = table(folder / "sales.csv")
    assert sales
    assert {(row["till"], row["seconds"]) for row in sales} <= left


def test_seqinfo_describes_the_sequence(folder: Path) -> None:
    text = (folder / "seqinfo.ini").read_text()
    for line in ("frameRate=10", "seqLength=600", "imWidth=320", "imHeight=180"):
        assert line in text.splitlines()


def test_camera_yaml_is_ready_for_replay(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a detector that knows the truth, the edge's own rooms count what crosses the line."""
    boxes: dict[int, list[list[float]]] = {}
    for line in (folder / "gt/gt.txt").read_text().splitlines():
        frame, _, left, top, width, height, _, _, visibility = map(float, line.split(","))
        if visibility >= 0.25:
            boxes.setdefault(int(frame), []).append([left, top, left + width, top + height])

    class Knowing:
        def __init__(self, *_: object) -> None:
            self.frame = 0

        def detect(self, image: Any, _: float) -> Detections:
            assert image.shape == (180, 320, 3)
            self.frame += 1
            found = np.array(boxes.get(self.frame, []), np.float32).reshape(-1, 4)
            return Detections(found, np.full(len(found), 0.9, np.float32))

    monkeypatch.setattr(replay, "Detector", Knowing)
    events = tmp_path / "events.jsonl"
    config = folder / "camera.yaml"
    assert load_camera(config).source == SOURCE
    arguments = ["--config", str(config), "--model", "none.onnx", "--out", str(events)]
    assert main(["replay", SOURCE, *arguments]) == 0
    told = [json.loads(line) for line in events.read_text().splitlines()]
    counted = Counter(
        event["direction"]
        for event in told
        if event["type"] == "crossing" and event["line"] == "entrance"
    )
    truth = Counter(
        row["direction"]
        for row in table(folder / "crossings.csv")
        if row["line"] == "entrance" and row["seen"] == "1"
    )
    assert sum(truth.values()) >= 8
    for direction in ("in", "out"):
        assert abs(counted[direction] - truth[direction]) <= 1


def test_the_video_is_the_scene(tmp_path: Path) -> None:
    source = "sim://boutique?seed=1&people=5&minutes=0.02&fps=12&size=160x120"
    assert main(["simulate", source, "--out", str(tmp_path), "--video"]) == 0
    assert file_rate(tmp_path / "video.mp4") == 12
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frames = list(read(tmp_path / "video.mp4", start))
    assert len(frames) == parse(source).frames == 14
    drawn = list(read(source, start))
    assert [frame.time for frame in drawn] == [frame.time for frame in frames]
    for one, two in zip(frames, drawn, strict=True):
        assert np.abs(one.image.astype(int) - two.image).mean() < 12


@pytest.mark.parametrize("command", ["simulate", "replay"])
def test_a_wrong_address_is_one_sentence(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path / "x")]
    if command == "replay":
        arguments += ["--config", str(folder / "camera.yaml"), "--model", "none.onnx"]
    assert main([command, "sim://kiosk", *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert (
        told
        == 'passerby-edge: sim://kiosk: no rendered store "kiosk": take supermarket or boutique'
    )
