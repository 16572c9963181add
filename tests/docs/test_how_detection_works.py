"""The page about detection: its numbers are the code's, its pictures are what the code says now."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from central.detect import budget
from docs.detection import FIGURES, FOLDER

PAGE = Path(__file__).parents[2] / "docs" / "how-detection-works.md"
LIMIT = re.compile(r"^\| `(\w+)\.([A-Z_]+)` \| ([\d.]+) \|", re.MULTILINE)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def limits() -> dict[tuple[str, str], float]:
    return {(room, name): float(value) for room, name, value in LIMIT.findall(PAGE.read_text())}


def test_the_limits_are_those_of_the_code() -> None:
    for (room, name), value in limits().items():
        there = float(getattr(importlib.import_module(f"central.detect.{room}"), name))
        assert (room, name, value) == (room, name, there)


@pytest.mark.parametrize("room", [budget])
def test_no_limit_is_left_out(room: ModuleType) -> None:
    there = {
        name
        for name, value in vars(room).items()
        if name.isupper() and isinstance(value, int | float) and name != "LEAST"
    }
    assert {name for where, name in limits() if where == room.__name__.split(".")[-1]} == there


@pytest.mark.parametrize("name", FIGURES)
def test_the_pictures_are_up_to_date(name: str) -> None:
    """To a pixel, as the last bit of a score may differ between machines."""
    assert f"(figures/{name}.svg)" in PAGE.read_text()
    drawn, kept = FIGURES[name](), (FOLDER / f"{name}.svg").read_text()
    assert NUMBER.sub("", drawn) == NUMBER.sub("", kept), "run `make figures`"
    one, other = (np.array(NUMBER.findall(each), np.float64) for each in (drawn, kept))
    np.testing.assert_allclose(one, other, atol=1.0)
