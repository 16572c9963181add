"""What becomes of findings, window by window."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from central import life
from central.config import Site
from central.detect.budget import FAR
from central.detect.causes import Finding, Tick
from central.detect.reading import Reading
from central.life import HELD, Incident, Key, Limits, step

START, NOON = 1000, datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = Limits(1e-4, 1e-2)
NORTH = {"region-north": ("leeds", "york")}


class Story:
    """Windows of a few places one after the other; what changed in each."""

    def __init__(self, leaves: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.window, self.leaves = START, leaves or {}
        self.held: dict[Key, Incident] = {}
        self.values: dict[str, list[float]] = {}

    def go(
        self, *found: Finding, value: float = 20.0, room: int = 5, opened: bool = True
    ) -> list[Incident]:
        """One window in which all places count `value`, of 20 that are usual."""
        ticks = {}
        for place in ("leeds", "york", "region-north"):
            past = self.values.setdefault(place, [])
            past.append(value)
            values = np.array(past[::-1])
            flat = np.full(len(values), 20.0)
            numbers = self.window - np.arange(len(values))
            reading = Reading(numbers, values, flat, 1.5 * flat, flat)
            readings = {"footfall": reading, "orders": reading}
            ticks[place] = Tick(Site(id=place), self.window, opened, readings)
        now = NOON + timedelta(minutes=15 * (self.window - START))
        self.held, changed = step(self.held, found, ticks, self.leaves, LIMITS, room, now)
        self.window += 1
        return changed

    def found(self, cause: str = "demand", place: str = "leeds", p: float = 1e-9) -> Finding:
        return Finding(place, cause, self.window, p, "footfall", lost=1.0)  # type: ignore[arg-type]

    def open(self) -> list[tuple[str, str]]:
        held = self.held.values()
        return sorted((each.site, each.cause) for each in held if not each.resolved)


def test_two_ordinary_windows_end_an_incident() -> None:
    story = Story()
    (opened,) = story.go(story.found(), value=2)
    assert (opened.pushed, opened.resolved, opened.latest) == (START, None, START)
    assert story.go(story.found(), value=2) == []
    assert story.go() == []
    (ended,) = story.go()
    assert (ended.id, ended.resolved) == (opened.id, NOON + timedelta(minutes=45))
    assert ended.latest == START + 2


def test_one_ordinary_window_ends_nothing_and_a_closed_shop_neither() -> None:
    story = Story()
    story.go(story.found(), value=2)
    for value in (20, 2, 20):
        assert story.go(value=value) == []
    for _ in range(40):
        assert story.go(opened=False) == []
    assert story.open() == [("leeds", "demand")]
    assert [each.resolved is None for each in story.go()] == [False]


def test_an_echo_raises_nothing() -> None:
    story = Story()
    story.go(story.found(), value=2)
    story.go()
    story.go()
    for _ in range(HELD - 2):
        assert story.go(story.found(p=1e-9)) == []
    assert story.open() == []


def test_what_comes_again_is_the_same_incident_without_another_notice() -> None:
    story = Story()
    (first,) = story.go(story.found(), value=2)
    story.go()
    story.go()
    assert story.go(story.found(p=1e-6), value=2) == []
    (again,) = [each for each in story.held.values() if each.resolved is None]
    assert again.id == first.id


@pytest.mark.parametrize(("cause", "p"), [("conversion", 1e-6), ("demand", 1e-12)])
def test_what_is_worse_or_different_is_told_anew(cause: str, p: float) -> None:
    story = Story()
    (first,) = story.go(story.found(), value=2)
    story.go()
    story.go()
    (second,) = story.go(story.found(cause, p=p), value=2)
    assert second.id != first.id
    assert second.pushed == START + 3


def test_a_listed_incident_is_pushed_when_it_grows_rare() -> None:
    story = Story()
    (listed,) = story.go(story.found(p=1e-3), value=8)
    assert listed.pushed is None
    assert story.go(story.found(p=1e-3), value=8) == []
    (pushed,) = story.go(story.found(p=1e-5), value=8)
    assert (pushed.id, pushed.pushed) == (listed.id, START + 2)


def test_what_rests_on_sisters_alone_is_only_listed() -> None:
    story = Story()
    (guess,) = story.go(replace(story.found(), learning=True), value=2)
    assert guess.pushed is None
    (sure,) = story.go(story.found(), value=2)
    assert (sure.id, sure.learning, sure.pushed) == (guess.id, False, START + 1)


def test_many_people_are_only_listed() -> None:
    story = Story()
    (busy,) = story.go(story.found("busy", p=1e-30), value=80)
    assert busy.pushed is None


def test_the_dearest_are_told_first_and_the_others_when_there_is_room() -> None:
    story = Story()
    cheap = replace(story.found(), lost=1.0)
    dear = replace(story.found(place="york"), lost=9.0)
    changed = story.go(cheap, dear, value=2, room=1)
    assert {each.site: each.pushed for each in changed} == {"leeds": None, "york": START}
    assert story.go(cheap, dear, value=2, room=0) == []
    (later,) = story.go(cheap, dear, value=2, room=1)
    assert (later.site, later.pushed) == ("leeds", START + 2)


def test_a_cause_may_turn_out_to_be_another() -> None:
    story = Story()
    (first,) = story.go(story.found("conversion"), value=2)
    assert story.go(story.found("demand"), value=2) == []
    (now,) = story.held.values()
    assert (now.id, now.cause) == (first.id, "demand")


def test_a_node_takes_over_what_began_with_it() -> None:
    story = Story(NORTH)
    story.go(story.found("conversion"), value=2)
    changed = story.go(story.found(place="region-north"), value=2)
    assert {each.site: each.resolved is None for each in changed} == {
        "leeds": False,
        "region-north": True,
    }
    assert story.go(story.found(), story.found(place="region-north"), value=2) == []
    assert story.open() == [("region-north", "demand")]


def test_an_older_incident_stays_beside_its_node_s() -> None:
    story = Story(NORTH)
    for _ in range(life.TOGETHER + 1):
        story.go(replace(story.found("conversion"), since=START), value=2)
    story.go(story.found("conversion"), story.found(place="region-north"), value=2)
    assert story.open() == [("leeds", "conversion"), ("region-north", "demand")]


def test_a_camera_is_told_of_each_time() -> None:
    story = Story()
    blind = Finding("leeds", "sensor", START, metric="coverage", subject="door")
    (first,) = story.go(blind)
    story.held = {key: replace(each, calm=1) for key, each in story.held.items()}
    reading = Reading(*(np.ones(1) for _ in range(5)))  # type: ignore[arg-type]
    sees = Tick(Site(id="leeds"), START + 1, True, {"orders": reading}, {"door": [1.0]})
    story.held, ended = step(story.held, [], {"leeds": sees}, {}, LIMITS, 5, NOON)
    assert [each.id for each in ended] == [first.id]
    (second,) = story.go(blind)
    assert second.id != first.id


def test_what_is_real_teaches_nothing_for_a_week() -> None:
    story = Story(NORTH)
    story.go(story.found(place="region-north", p=1e-4 / FAR), value=2)
    since = life.real(story.held, NORTH, LIMITS)
    assert since == {"region-north": START, "leeds": START, "york": START}
    assert len(life.paused(since, START + life.PAUSE - 1)) == 3
    assert life.paused(since, START + life.PAUSE) == []
    likely = {key: replace(each, p=1e-4) for key, each in story.held.items()}
    assert life.real(likely, NORTH, LIMITS) == {}


def test_limits_keep_both_budgets_and_push_less_than_they_list() -> None:
    rng = np.random.default_rng(3)
    week = np.repeat(np.arange(4), 300)
    least = np.repeat(rng.random((1200, 1, 200)), 2, axis=1)
    found, brought = life.limits(least, week, 0.1, 1.0)
    assert found.pushed < found.listed
    assert 0.3 < brought[0] / 0.1 < 1.3
    assert 0.3 < brought[1] / 1.0 < 1.3
    for limit, budget in ((found.pushed, 0.1), (found.listed, 1.0)):
        achieved = (rng.random((300, 2000)) <= limit).sum() / 2000
        assert 0.4 * budget < achieved < budget


def test_without_a_past_p_is_taken_at_its_word() -> None:
    found, brought = life.limits(np.zeros((0, 2, 3)), np.zeros(0, np.int64), 0.1, 1.0)
    assert np.isnan(brought).all()
    assert found.listed == pytest.approx(10 * found.pushed)
    assert found.pushed < 0.1 / 672
