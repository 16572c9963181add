"""The command line: `list`, `get`, `check` and `bench`; `export` has tests of its own."""

import json
from pathlib import Path

import pytest

from edge.detector import Detector
from models import bench, zoo
from models.__main__ import main
from tests.edge import graphs


def test_list_shows_each_model_and_whether_it_is_here(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["list"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert list(lines)[1:-1] == list(zoo.load())
    assert lines["deimv2_atto_320"][1:5] == ["deim", "320x320", "Apache-2.0", "2.2"]
    assert lines["deimv2_atto_320"][-1] == "yes"
    assert lines["yolox_nano_0.1.1rc0"][-1] == "no"
    monkeypatch.setenv("PASSERBY_SHARED", str(shared / "nowhere"))
    assert main(["list"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines["deimv2_atto_320"][-1] == "no"


def test_get_prints_the_path_of_a_copy(
    shared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["get", "deimv2_atto_320", "--out", str(tmp_path / "out")]) == 0
    out = tmp_path / "out/deimv2_atto_320.onnx"
    assert capsys.readouterr().out == f"{out}\n"
    assert zoo.sha256(out) == zoo.load()["deimv2_atto_320"].sha256
    monkeypatch.setenv("PASSERBY_MODELS", str(tmp_path / "own"))
    assert main(["get", "yolox_nano_416"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/own/yolox_nano_416.onnx\n"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("yolo11n_int8_320", 1, "--accept-agpl"),
        ("deimv2_atto_320", 1, "DEIMv2 publishes checkpoints and no ONNX files"),
        ("yolo", 2, "no model is named 'yolo'; known are demo, deimv2_femto_416, "),
    ],
)
def test_get_says_why_not(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv("PASSERBY_SHARED", str(tmp_path))
    monkeypatch.delenv("PASSERBY_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["get", name]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "yolox_nano_416",
            [
                "family   yolox",
                "input    416x416",
                "classes  without names; COCO's, or people alone",
                "person   class 0",
                "licence  Apache-2.0",
                "zoo      yolox_nano_416",
            ],
        ),
        (
            "yolo11n_int8_320",
            [
                "family   ultralytics",
                "input    320x320",
                "classes  80",
                "person   class 0",
                "licence  AGPL-3.0-only: offer the users of what you ship or serve the source of "
                "the whole work, or buy another licence",
                "zoo      yolo11n_int8_320",
            ],
        ),
    ],
)
def test_check_knows_the_zoo(
    shared: Path, capsys: pytest.CaptureFixture[str], name: str, lines: list[str]
) -> None:
    path = shared / "models" / f"{name}.onnx"
    assert main(["check", str(path)]) == 0
    out = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert out[: len(lines) + 1] == [str(path), *lines]
    assert out[len(lines) + 1] == f"SHA-256  {zoo.load()[name].sha256}"


def test_check_says_what_a_file_of_ones_own_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graphs.save(graphs.raw(3, "{0: 'cat', 1: 'Person', 2: 'dog'}"), tmp_path)
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "threads for each × 1" in out
    assert "family   ultralytics" in out
    assert "input    96x64" in out
    assert "classes  3" in out
    assert "person   class 1" in out
    assert "licence  the file states none" in out
    assert "zoo      not in it: nobody tested this file" in out
    assert "ms a frame with one thread" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a model", "not a whole ONNX model"),
        (graphs.raw(value=float("nan")).SerializeToString(), "NaN or infinity"),
        (graphs.masks().SerializeToString(), "a segmentation model"),
        (graphs.raw(3).SerializeToString(), "3 classes without names"),
    ],
)
def test_check_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert main(["check", str(tmp_path / "model.onnx")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/model.onnx: " in said
    assert words in said


def test_bench_finds_a_model_as_the_zoo_says(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = graphs.save(graphs.raw(), tmp_path)
    assert main(["bench", "deimv2_atto_320", str(silent), "--json"]) == 0
    known, own = json.loads(capsys.readouterr().out)
    assert known["name"] == "deimv2_atto_320"
    assert known["held"] is True
    assert known["stated"]["coco_ap50"] == 0.562
    assert known["measured"]["ms"] > 0
    assert own == {
        "name": str(silent),
        "measured": {"coco_ap50": 0, "pets_ap50": 0, "ms": own["measured"]["ms"]},
        "stated": None,
        "held": None,
    }


@pytest.mark.parametrize(
    "name",
    [
        "deimv2_femto_416",
        "deimv2_atto_320",
        "yolox_nano_416",
        "yolov8n_int8_640",
        "yolo11n_int8_320",
    ],
)
def test_the_accuracy_is_that_of_another_decoder(shared: Path, name: str) -> None:
    model = zoo.load()[name]
    path = zoo.find(model, [shared / "models"])
    assert path
    assert model.reference
    found = bench.measure(Detector(path), shared)
    assert (found.coco_ap50, found.pets_ap50) == pytest.approx(model.reference, abs=0.01)
    assert (model.coco_ap50, model.pets_ap50) == pytest.approx(model.reference, abs=0.01)


def test_bench_prints_a_table_and_fails_where_a_figure_is_not_held(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo.load()["deimv2_atto_320"]
    stated = model.model_copy(update={"reference": (0.5, 0.6), "pets_all_ap50": 0.7, "ms": 20.0})
    monkeypatch.setattr(zoo, "load", lambda: {model.name: stated})
    given = []

    def measure(_: object, material: Path, frames: object, least: float) -> bench.Measured:
        given.append((material, frames, least))
        return bench.Measured(0.5101, 0.6099, 33.3)

    monkeypatch.setattr(bench, "measure", measure)
    assert main(["bench"]) == 0
    assert main(["bench", "--all", "--min-confidence", "0.1"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["name", "COCO", "other", "PETS", "other", "ms", "zoo", "held"]
    held, not_held = out[1].split()[1:], out[3].split()[1:]
    assert held == ["0.510", "0.500", "0.610", "0.600", "33.3", "20.0", "yes"]
    assert not_held == ["0.510", "0.500", "0.610", "0.700", "33.3", "20.0", "NO"]
    assert given == [(shared, bench.SAMPLE, 0.02), (shared, None, 0.1)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench"], "no model is here: `passerby-models get NAME` brings one"),
        (["bench", "yolox_nano_416"], "`passerby-models get yolox_nano_416` brings it"),
        (["bench", "model.onnx"], "no pictures in {}/images/coco128/images/val2017"),
    ],
)
def test_bench_without_models_or_pictures_says_so(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.setenv("PASSERBY_SHARED", str(tmp_path))
    monkeypatch.delenv("PASSERBY_MODELS", raising=False)
    monkeypatch.setattr(zoo, "ZOO", tmp_path / "zoo.yaml")
    monkeypatch.chdir(tmp_path)
    graphs.save(graphs.raw(), tmp_path)
    assert main(arguments) == 1
    assert words.format(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["list"], ["get"], ["check"], ["bench"], ["export"]])
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    out = capsys.readouterr().out
    assert "passerby-models" in out
    assert not command or "example: passerby-models" in out
