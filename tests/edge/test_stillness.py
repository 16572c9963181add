"""The motion gate: what must be looked at, and that it loses nobody."""

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge.stillness import HOLD, LOOK, Image, Stillness

START = datetime(2026, 1, 1, tzinfo=UTC)
TENTH = timedelta(seconds=0.1)


def room(seed: int, noise: float = 5.0, light: float = 0.0) -> Image:
    """A wall and a floor as a camera sees them, (360, 640, 3)."""
    picture = np.full((360, 640, 3), 170.0)
    picture[200:] = 110.0
    picture += np.random.default_rng(seed).normal(0, noise, picture.shape) + light
    return picture.clip(0, 255).astype(np.uint8)


def looks(pictures: list[Image]) -> list[bool]:
    gate = Stillness()
    return [gate.must_look(START + n * TENTH, picture) for n, picture in enumerate(pictures)]


@pytest.mark.parametrize("noise", [0.0, 5.0, 12.0])
def test_an_empty_room_is_looked_at_once_a_second(noise: float) -> None:
    found = looks([room(seed, noise) for seed in range(100)])
    hold = round(HOLD / TENTH) + 1
    assert all(found[:hold])
    assert [n for n, look in enumerate(found[hold:], hold) if look] == list(
        range(hold - 1 + 10, 100, 10)
    )


@pytest.mark.parametrize(
    ("width", "height", "contrast"), [(14, 40, 30), (14, 40, -30), (40, 120, 12), (200, 350, 12)]
)
def test_who_comes_in_is_looked_at_at_once(width: int, height: int, contrast: int) -> None:
    pictures = [room(seed) for seed in range(100)]
    for n in range(65, 100):
        x = 8 * (n - 64)
        place = pictures[n][:height, max(x - width, 0) : x]
        place[:] = np.clip(place.astype(int) + contrast, 0, 255)
    assert all(looks(pictures)[66:])


def test_light_that_fades_slowly_is_no_motion_and_a_switch_is() -> None:
    fading = looks([room(n, light=-0.3 * n) for n in range(100)])
    assert sum(fading[40:]) == 6
    switched = looks([room(n, light=20 * (n >= 55)) for n in range(100)])
    assert all(switched[55 : 55 + round(HOLD / TENTH)])


steps = some.lists(
    some.tuples(some.booleans(), some.booleans(), some.sampled_from([0.04, 0.1, 0.5, 2.0])),
    max_size=60,
)


@given(steps)
def test_the_rule_is_kept(history: list[tuple[bool, bool, float]]) -> None:
    """Against the rule, said frame by frame; a step is moved, somebody there, seconds since."""
    pictures = [np.full((90, 160, 3), level, np.uint8) for level in (50, 200)]
    gate = Stillness()
    now, shown = START, 0
    moments: list[tuple[datetime, int, bool, bool]] = []
    for number, (moved, somebody, seconds) in enumerate(history):
        now += timedelta(seconds=seconds)
        shown ^= moved
        looked = [each for each in moments if each[2]]
        moves = not looked or shown != looked[-1][1]
        lately = [time for time, _, look, why in moments if look and why and now <= time + HOLD]
        expected = moves or bool(lately) or now >= looked[-1][0] + LOOK
        assert gate.must_look(now, pictures[shown]) == expected, number
        if expected and somebody:
            gate.saw(now)
        moments.append((now, shown, expected, expected and (moves or somebody)))


def test_a_clock_that_is_set_back_makes_no_pause() -> None:
    gate = Stillness()
    picture = cv2.resize(room(0), (160, 90)).astype(np.uint8)
    for second in range(20):
        gate.must_look(START + timedelta(seconds=second), picture)
    assert not gate.open
    assert gate.must_look(START - timedelta(hours=1), picture)
    assert gate.must_look(START - timedelta(hours=1) + LOOK, picture)
