"""MOTChallenge files in and out, through the command line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.__main__ import main
from edge.mot import MotError, read_detections

WALK = [f"{frame},-1,{5 * frame},100,20,60,0.95,-1,-1,-1" for frame in range(1, 11)]


def run(folder: Path, lines: list[str], *more: str) -> tuple[int, Path]:
    given, out = folder / "det.txt", folder / "tracks.txt"
    given.write_text("\n".join(lines))
    return main(["track", str(given), "--fps", "10", "--out", str(out), *more]), out


def test_a_walker_becomes_one_track(tmp_path: Path) -> None:
    code, out = run(tmp_path, WALK, "--size", "640x480")
    assert code == 0
    found = np.loadtxt(out, delimiter=",")
    assert set(found[:, 1]) == {1}
    assert found[-1, 0] == 10
    np.testing.assert_allclose(found[-1, 2:6], [50, 100, 20, 60], atol=2)


def test_the_rows_of_a_frame_depend_on_none_after_it(tmp_path: Path) -> None:
    _, out = run(tmp_path, WALK)
    whole = out.read_text()
    _, out = run(tmp_path, WALK[:6])
    assert whole.startswith(out.read_text())
    assert out.read_text()


def test_frames_without_rows_count_and_rows_may_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    path.write_text("3,-1,0,0,10,20,0.5\n\n1,-1,5,5,10,20,0.6,-1,-1,-1\n")
    frames = read_detections(path)
    assert [len(scores) for _, scores in frames] == [1, 0, 1]
    np.testing.assert_array_equal(frames[0][0], [[5, 5, 15, 25]])
    np.testing.assert_array_equal(frames[2][1], np.array([0.5], np.float32))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,-1,0,0,10", "5 of 7 columns"),
        ("1 -1 0 0 10 20 0.5", "with commas"),
        ("1,-1,0,0,ten,20,0.5", "not all numbers"),
        ("0,-1,0,0,10,20,0.5", "whole numbers from 1"),
        ("1.5,-1,0,0,10,20,0.5", "whole numbers from 1"),
        ("1e18,-1,0,0,10,20,0.5", "whole numbers from 1"),
        ("1,-1,0,0,0,20,0.5", "sides above 0"),
        ("1,-1,0,0,10,-20,0.5", "sides above 0"),
        ("1,-1,nan,0,10,20,0.5", "not finite"),
        ("1,-1,1e30,0,10,20,0.5", "beyond a million"),
        ("1,-1,0,0,10,20,55", "between 0 and 1"),
        ("1,-1,900,0,10,20,0.5", "outside a picture of 640x480"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(
    row: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(tmp_path, [WALK[0], row], "--size", "640x480")
    assert code == 1
    assert not out.exists()
    told = capsys.readouterr().err
    assert "det.txt: line 2: " in told
    assert says in told


def test_a_file_without_rows_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    for content, says in ((b"\n", "no detections"), (b"\xff\xfe\x00", "not a text file")):
        path.write_bytes(content)
        with pytest.raises(MotError, match=says):
            read_detections(path)


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "fast", "inf"])
def test_a_rate_that_is_none_is_refused(
    rate: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["track", "det.txt", "--fps", rate, "--out", str(tmp_path / "out.txt")])
    assert "is no rate" in capsys.readouterr().err


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("mot") / "det.txt"
    path.write_text(text, encoding="utf-8", errors="ignore")
    try:
        frames = read_detections(path)
    except MotError:
        return
    assert all(np.isfinite(boxes).all() for boxes, _ in frames)
