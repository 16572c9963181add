"""Addresses of scenes, and that a scene is what its address and seed say, whoever looks."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from edge.config import ConfigError
from edge.simulator import STORES, Scene, address, parse, pictures, plan

SMALL = Scene("supermarket", seed=3, people=25, minutes=0.05, size=(160, 90))
INF = float("inf")


def test_an_address_says_everything() -> None:
    scene = parse(
        "sim://boutique?camera=entrance&seed=7&people=12&minutes=0.5&fps=12.5&size=320x240&lens=0"
        "&noise=0&black=60-120&moved=300-&frozen=1.5-2,3-4&rush=0-9&empty-till=5-6"
        "&till-stopped=1:7-8,9-"
    )
    assert scene == Scene(
        "boutique",
        camera="entrance",
        seed=7,
        people=12,
        minutes=0.5,
        fps=12.5,
        size=(320, 240),
        lens=False,
        noise=False,
        black=((60, 120),),
        moved=((300, INF),),
        frozen=((1.5, 2), (3, 4)),
        rush=((0, 9),),
        empty_till=((1, 5, 6),),
        till_stopped=((1, 7, 8), (1, 9, INF)),
    )
    assert parse(address(scene)) == scene
    assert scene.frames == 375


def test_a_name_alone_will_do() -> None:
    scene = parse("sim://supermarket")
    assert scene == Scene("supermarket")
    assert address(scene) == "sim://supermarket"
    assert (scene.people, scene.minutes, scene.fps, scene.size) == (40, 10, 10, (640, 360))


tenths = some.integers(0, 9999).map(lambda tenth: tenth / 10)
intervals = some.tuples(tenths, tenths | some.just(INF)).filter(lambda pair: pair[0] < pair[1])
faults = some.lists(intervals, max_size=3).map(tuple)
till_faults = some.lists(
    some.tuples(some.just(1), intervals).map(lambda pair: (pair[0], *pair[1])), max_size=2
).map(tuple)


@given(
    some.builds(
        Scene,
        some.sampled_from(sorted(STORES)),
        camera=some.sampled_from(["overview", "checkouts"]),
        seed=some.integers(0, 10**9 - 1),
        people=some.integers(1, 200),
        minutes=some.integers(1, 14400).map(lambda tenth: tenth / 10),
        fps=some.sampled_from([1, 7.5, 10.0, 60]),
        size=some.tuples(some.integers(64, 3840), some.integers(64, 2160)),
        lens=some.booleans(),
        noise=some.booleans(),
        black=faults,
        rush=faults,
        empty_till=till_faults,
    )
)
def test_what_is_written_is_read_again(scene: Scene) -> None:
    assert parse(address(scene)) == scene


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("kiosk", 'no rendered store "kiosk": take supermarket or boutique'),
        ("", 'no rendered store "": take supermarket or boutique'),
        ("supermarket/x", 'no rendered store "supermarket/x"'),
        ("supermarket?poeple=3", 'unknown key "poeple": take camera, seed, people'),
        ("supermarket?camera=roof", 'no camera "roof" in the store: take overview, entrance'),
        ("supermarket?people=0", "people=0: a whole number from 1 to 200"),
        ("supermarket?people=many", "people=many: a whole number"),
        ("supermarket?seed=-1", "seed=-1: a whole number from 0"),
        ("supermarket?seed=", "seed=: a whole number"),
        ("supermarket?seed=1&seed=2", "seed stands twice"),
        ("supermarket?minutes=0", "minutes=0: a number from 0.01 to 1440"),
        ("supermarket?minutes=nan", "minutes=nan: a number"),
        ("supermarket?fps=100", "fps=100: a number from 1 to 60"),
        ("supermarket?size=640", "size=640: a size like 640x360"),
        ("supermarket?size=9999x90", "from 64x64 to 3840x2160"),
        ("supermarket?lens=yes", "lens=yes: 0 or 1"),
        ("supermarket?black=60", "black=60: seconds like 60-120 are needed"),
        ("supermarket?black=9-3", "an interval ends after it begins"),
        ("supermarket?black=.-3", "black=.-3: seconds like"),
        ("supermarket?empty-till=x:1-2", "a till is a number: 2:60-600"),
        ("supermarket?empty-till=4:1-2", "empty-till: no till 4: the store has 1 to 3"),
        ("boutique?till-stopped=2:1-2", "till-stopped: no till 2: the store has 1 to 1"),
    ],
)
def test_a_wrong_address_is_told_what_would_do(rest: str, words: str) -> None:
    source = f"sim://{rest}"
    with pytest.raises(ConfigError) as caught:
        parse(source)
    assert str(caught.value).startswith(f"{source}: ")
    assert words in str(caught.value)


@given(some.text(alphabet="&=?:,-.x0123456789abceilmnopstuy", max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        scene = parse(f"sim://supermarket?{text}")
    except ConfigError:
        return
    assert scene.name == "supermarket"


def test_the_same_address_gives_the_same_bytes() -> None:
    first, second = ([picture.tobytes() for picture in pictures(SMALL)] for _ in range(2))
    assert len(first) == SMALL.frames == 30
    assert first == second
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("name", sorted(STORES))
def test_a_seed_is_a_store_of_its_own(name: str) -> None:
    assert plan(name, 5) == plan(name, 5)
    assert len({plan(name, seed).boxes for seed in range(6)}) == 6
    sides = {
        plan(name, seed).tills[0].places[0][0] * 2 > plan(name, seed).width for seed in range(6)
    }
    assert sides == {False, True}


@pytest.mark.parametrize(
    "other",
    [
        {"camera": "entrance"},
        {"size": (320, 240)},
        {"lens": False},
        {"noise": False},
        {"black": ((0, 3),)},
        {"moved": ((0, 3),)},
    ],
)
def test_the_people_do_not_mind_who_looks(other: dict[str, object]) -> None:
    one, two = SMALL.crowd(), replace(SMALL, **other).crowd()  # type: ignore[arg-type]
    view = replace(SMALL, **other).view()  # type: ignore[arg-type]
    for _ in range(20):
        one.step(0.1)
        two.step(0.1)
        view.draw(two)
        view.boxes(two)
    assert one.people.tobytes() == two.people.tobytes()


def test_the_people_do_not_mind_how_often_one_looks() -> None:
    crowds = {fps: SMALL.crowd() for fps in (10, 5, 25)}
    for fps, crowd in crowds.items():
        for _ in range(4 * fps):
            crowd.step(1 / fps)
    tenth = crowds[10].people
    for crowd in crowds.values():
        np.testing.assert_array_equal(crowd.people["id"], tenth["id"])
        np.testing.assert_allclose(crowd.people["position"], tenth["position"], atol=1e-9)


def test_between_two_ticks_people_are_on_their_way() -> None:
    crowd = SMALL.crowd()
    crowd.step(0.1)
    before = crowd.people.copy()
    crowd.step(0.05)
    middle = crowd.people.copy()
    crowd.step(0.05)
    after = crowd.people
    common = np.intersect1d(before["id"], after["id"])
    before, middle, after = (each[np.isin(each["id"], common)] for each in (before, middle, after))
    halfway = (before["position"] + after["position"]) / 2
    np.testing.assert_allclose(middle["position"], halfway, atol=1e-9)
    assert np.abs(after["position"] - before["position"]).max() > 0.05


def gap(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


def test_a_black_camera_shows_next_to_nothing() -> None:
    frames = list(islice(pictures(replace(SMALL, black=((1, 2),))), 30))
    means = [picture.mean() for picture in frames]
    assert max(means[10:20]) < 10
    assert min(means[:10] + means[20:]) > 60


def test_a_frozen_camera_shows_the_last_picture_again_while_people_go_on() -> None:
    frozen = list(islice(pictures(replace(SMALL, frozen=((1, 2),))), 30))
    usual = list(islice(pictures(SMALL), 30))
    assert {picture.tobytes() for picture in frozen[10:20]} == {usual[9].tobytes()}
    for index in (0, 9, 20, 29):
        assert frozen[index].tobytes() == usual[index].tobytes()


def test_a_moved_camera_looks_elsewhere() -> None:
    moved = list(islice(pictures(replace(SMALL, moved=((1, INF),))), 20))
    usual = list(islice(pictures(SMALL), 20))
    assert moved[9].tobytes() == usual[9].tobytes()
    assert gap(moved[10], usual[10]) > 5 * gap(usual[9], usual[10])


def test_pictures_are_the_taker_s_own() -> None:
    frames = pictures(replace(SMALL, frozen=((0, 1),)))
    first = next(frames)
    first[:] = 0
    assert next(frames).mean() > 60
