"""The zoo's file, and the files that it speaks of."""

import shutil
from pathlib import Path

import pytest

from edge.config import ConfigError
from edge.detector import Detector
from models import zoo

MODELS = zoo.load()


def test_the_test_material_is_what_the_zoo_says(shared: Path) -> None:
    for path in sorted((shared / "models").glob("*.onnx")):
        model = MODELS[path.stem]
        assert zoo.is_file_of(model, path)
        assert zoo.find(model, [shared / "nowhere", shared / "models"]) == path
        detector = Detector(path)
        assert (detector.family, "{}x{}".format(*detector.size)) == (model.family, model.input)
        assert model.licence == zoo.COPYLEFT or "AGPL" not in detector.licence
        assert len(detector.classes) in (0, model.classes)


def test_models_of_our_own_are_in_the_zoo() -> None:
    for path in sorted(zoo.ZOO.parent.glob("*.onnx")):
        assert zoo.is_file_of(MODELS[path.stem], path), f"{path} is not the zoo's"


def test_each_model_can_be_had_or_says_how() -> None:
    for model in MODELS.values():
        here = (zoo.ZOO.parent / model.file).exists()
        assert here or model.download or model.get, model.name


def test_the_places_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PASSERBY_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("PASSERBY_SHARED", str(tmp_path / "shared"))
    assert zoo.folders() == (tmp_path / "own", tmp_path / "shared/models", zoo.ZOO.parent)
    monkeypatch.delenv("PASSERBY_MODELS")
    monkeypatch.delenv("PASSERBY_SHARED")
    assert zoo.folders() == (zoo.ROOT.parent / "shared/models", zoo.ZOO.parent)


def test_only_the_tested_file_is_found(shared: Path, tmp_path: Path) -> None:
    model = MODELS["deimv2_atto_320"]
    copy = tmp_path / model.file
    shutil.copyfile(shared / "models" / model.file, copy)
    assert zoo.find(model, [tmp_path]) == copy
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert zoo.find(model, [tmp_path]) is None
    copy.unlink()
    copy.mkdir()
    assert zoo.find(model, [tmp_path]) is None


GOOD = f"""
  - name: one
    family: yolox
    input: 64x32
    classes: 80
    licence: MIT
    source: https://example.org
    sha256: {"a" * 64}
    bytes: 10
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("licence: MIT", "licence: GPL-3.0", r"zoo\.yaml:6: models\[0\]\.licence: .*'GPL-3.0'"),
        ("input: 64x32", "input: 64", r"zoo\.yaml:4: models\[0\]\.input: .*'?64'?"),
        ("aaaa", "aaa", r"models\[0\]\.sha256: "),
        ("family: yolox", "family: ssd", r"models\[0\]\.family: .*'ssd'"),
        ("bytes: 10", "bytes: 0", r"models\[0\]\.bytes: .*greater than 0, not 0"),
        ("bytes: 10", "size: 10", r"size: unknown key"),
        ("bytes: 10", "bytes: 10\n    coco_ap50: 62.6", r"coco_ap50: .*less than or equal to 1"),
        ("source: https://example.org", "source: somewhere", r"models\[0\]\.source: "),
        ("name: one", "name: ../one", r"models\[0\]\.name: "),
        ("\n  - name", "  - name: [", r"not YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("models:" + GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=words):
        zoo.load(path)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (GOOD, r"zoo\.yaml:11: models\[1\]\.name: a second model with one"),
        (GOOD.replace("one", "two"), r"zoo\.yaml:17: models\[1\]\.sha256: a second model with aa"),
    ],
)
def test_no_model_stands_there_twice(tmp_path: Path, other: str, words: str) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text("models:" + GOOD)
    assert list(zoo.load(path)) == ["one"]
    twice = tmp_path / "twice/zoo.yaml"
    twice.parent.mkdir()
    twice.write_text("models:" + GOOD + other)
    with pytest.raises(ConfigError, match=words):
        zoo.load(twice)
