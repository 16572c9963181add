import os
from pathlib import Path

import pytest

from models.__main__ import main

SHARED = Path(os.environ.get("PASSERBY_SHARED", Path(__file__).parents[3] / "shared"))
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"no models at {SHARED}; set PASSERBY_SHARED"
)


@needs_shared
@pytest.mark.parametrize(
    ("file", "words"),
    [("yolox_nano_416.onnx", "yolox, 416 × 416"), ("deimv2_atto_320.onnx", "320 × 320")],
)
def test_check_names_family_and_size(
    file: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(SHARED / "models" / file)]) == 0
    assert words in capsys.readouterr().out


def test_check_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert main(["check", str(tmp_path / "model.onnx")]) == 2
    assert "model.onnx" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["check"]])
def test_help_has_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    assert "passerby-models" in capsys.readouterr().out
