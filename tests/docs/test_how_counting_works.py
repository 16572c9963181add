"""The page about counting: its numbers are the code's, its pictures are what the code says now."""

import importlib
import re
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docs.figures import FIGURES, FOLDER
from edge import people, queues, visits
from edge.config import AgentConfig

PAGE = Path(__file__).parents[2] / "docs" / "how-counting-works.md"
LIMIT = re.compile(r"^\| `(\w+)\.([A-Z_]+)` \| ([\d.]+)(?: (m|s))? \|", re.MULTILINE)
LENGTH = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) (?:m|s)\b")


def limits() -> dict[tuple[str, str], float]:
    return {(room, name): float(value) for room, name, value, _ in LIMIT.findall(PAGE.read_text())}


def number(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def test_the_limits_are_those_of_the_code() -> None:
    for (room, name), value in limits().items():
        there = number(getattr(importlib.import_module(f"edge.{room}"), name))
        assert (room, name, value) == (room, name, there)


@pytest.mark.parametrize("room", [visits, people, queues])
def test_no_limit_is_left_out(room: ModuleType) -> None:
    name = room.__name__.removeprefix("edge.")
    there = {
        constant
        for constant, value in vars(room).items()
        if constant.isupper() and isinstance(value, int | float | timedelta)
    }
    assert {constant for where, constant in limits() if where == name} == there


def test_the_text_has_no_other_numbers() -> None:
    text = PAGE.read_text()
    known = {*limits().values(), AgentConfig.model_fields["position_step"].default}
    known.add(AgentConfig.model_fields["time_step"].default)
    example = "A dwell of 2.6 s is told as 3."
    assert example in text
    assert {float(found) for found in LENGTH.findall(text.replace(example, ""))} <= known


@pytest.mark.parametrize("name", FIGURES)
def test_the_pictures_are_up_to_date(name: str) -> None:
    assert f"(figures/{name}.svg)" in PAGE.read_text()
    drawn = FIGURES[name]()
    assert (FOLDER / f"{name}.svg").read_text() == drawn, "run `make figures`"


@pytest.mark.parametrize(
    ("name", "verdicts"),
    [
        ("crossing", ["one crossing, in"] * 3 + ["no crossing"] * 3),
        ("who", ["the same person", "somebody else", "one person", "two people"]),
        ("queue", ["joined, served", "joined, abandoned", "joined, lost", "has not joined"]),
    ],
)
def test_the_pictures_say_what_the_text_says(name: str, verdicts: list[str]) -> None:
    said = re.findall(r">([^<]+)</text>\n</g>", FIGURES[name]())
    assert said == verdicts


def test_of_two_visits_one_is_left_and_one_is_lost() -> None:
    said = re.findall(r"visit (\d)|ended: (\w+)", FIGURES["visit"]())
    assert said == [("1", ""), ("", "left"), ("2", ""), ("", "lost")]
