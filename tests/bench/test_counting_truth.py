"""The bench's own truth, on walks that can be counted on one's fingers."""

from pathlib import Path

import pytest

from tests.bench import counting_truth
from tests.bench.counting_truth import BEYOND, Step

LINE = [(0.0, 10.0), (20.0, 10.0)]
BENT = [(0.0, 10.0), (10.0, 20.0), (20.0, 10.0)]
SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
METRE = 20.0
"""Pixels: a crossing is certain 3 pixels beyond the line."""


def walk(*places: tuple[float, float], seconds: float = 1.0) -> list[Step]:
    return [Step(seconds * index, place, METRE) for index, place in enumerate(places)]


@pytest.mark.parametrize(
    ("line", "places", "expected"),
    [
        pytest.param(LINE, [(5, 15), (5, 5)], [(1.0, "in")], id="in"),
        pytest.param(LINE, [(5, 5), (5, 15)], [(1.0, "out")], id="out"),
        pytest.param(LINE, [(25, 15), (25, 5)], [], id="beside it"),
        pytest.param(LINE, [(5, 15), (5, 9), (5, 15)], [], id="turns back"),
        pytest.param(LINE, [(5, 15), (5, 9)], [], id="not far enough"),
        pytest.param(LINE, [(5, 15), (5, 9), (5, 6)], [(1.0, "in")], id="in two steps"),
        pytest.param(
            LINE, [(5, 15), (5, 5), (5, 15)], [(1.0, "in"), (2.0, "out")], id="there and back"
        ),
        pytest.param(LINE, [(5, 15), (5, 10), (5, 6)], [(2.0, "in")], id="upon it"),
        pytest.param(BENT, [(10, 25), (10, 15)], [(1.0, "in")], id="through the corner's mouth"),
        pytest.param(BENT, [(5, 0), (5, 25)], [(1.0, "out")], id="over a slope"),
        pytest.param(BENT, [(-1, 12), (21, 12)], [], id="over both slopes at once"),
    ],
)
def test_a_passage_counts_once_it_is_certain(
    line: list[tuple[float, float]],
    places: list[tuple[float, float]],
    expected: list[tuple[float, str]],
) -> None:
    found = counting_truth.crossings(walk(*places), "door", line)
    assert list(found) == [(seconds, "door", way) for seconds, way in expected]
    assert BEYOND * METRE == 3


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param("0111100", [(0.5, 2.0)], id="one stay"),
        pytest.param("1110111", [(0.0, 3.0)], id="bridged"),
        pytest.param("1110001111", [(0.0, 1.0), (3.0, 4.5)], id="two"),
        pytest.param("0110000", [], id="too short"),
        pytest.param("0000000", [], id="never"),
    ],
)
def test_a_stay_is_bridged_and_not_too_short(
    inside: str, expected: list[tuple[float, float]]
) -> None:
    places = [(5.0, 5.0) if there == "1" else (15.0, 5.0) for there in inside]
    found = counting_truth.stays(walk(*places, seconds=0.5), "shelf", SQUARE)
    assert list(found) == [("shelf", begin, end) for begin, end in expected]


def test_who_was_out_of_the_picture_has_two_walks(tmp_path: Path) -> None:
    rows = [(1, 7, 1), (2, 7, 1), (4, 8, 0), (13, 7, 1), (24, 7, 1), (1, 9, 1)]
    path = tmp_path / "gt.txt"
    path.write_text("".join(f"{f},{who},8,16,8,34,{real},-1,-1\n" for f, who, real in rows))
    found = counting_truth.walks(path, 10.0, 0.5)
    assert [[step.seconds for step in steps] for steps in found] == [
        [0.0, 0.1],
        [1.2],
        [2.3],
        [0.0],
    ]
    assert found[0][0] == Step(0.0, (6.0, 25.0), 10.0)
