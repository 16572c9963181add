"""The figures of the counting bench, where they are known."""

import pytest

from tests.bench import counting
from tests.bench.counting import Found

RIGHT = Found(
    [(1.0, "door", "in"), (9.0, "door", "in"), (20.0, "door", "out"), (5.0, "aisle", "in")],
    [("till", 0.0, 10.0), ("till", 20.0, 24.0), ("shelf", 3.0, 5.4)],
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            RIGHT,
            {
                "crossings": 0.0,
                "total": 0.0,
                "dwell": 0.0,
                "dwell_whole": 0.0,
                "found": 1.0,
                "right": 1.0,
            },
            id="all right",
        ),
        pytest.param(
            Found(
                [(1.5, "door", "in"), (20.0, "door", "out"), (21.0, "door", "out")],
                [("till", 0.0, 9.6), ("shelf", 3.0, 4.8)],
            ),
            # Missed are one way in and the aisle, one way out is too many: the sum is off by one.
            {
                "crossings": 0.75,
                "total": 0.25,
                "dwell": 0.25,
                "dwell_whole": 1 / 6,
                "found": 0.5,
                "right": 2 / 3,
            },
            id="some wrong",
        ),
        pytest.param(
            Found([], []),
            {
                "crossings": 1.0,
                "total": 1.0,
                "dwell": 1.0,
                "dwell_whole": 1.0,
                "found": 0.0,
                "right": 0.0,
            },
            id="nothing",
        ),
    ],
)
def test_figures_say_how_far_counts_are_from_the_truth(
    found: Found, expected: dict[str, float]
) -> None:
    assert counting.figures(RIGHT, found) == pytest.approx(expected)


def test_lines_and_zones_are_as_many_as_are_wanted_and_a_camera_can_have_them() -> None:
    camera = counting.camera()
    assert len(camera.lines) >= 6
    assert len(camera.zones) >= 4
