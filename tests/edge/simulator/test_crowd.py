"""What people in a rendered store never do, and what its tills' faults do to them."""

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from edge.simulator import STORES, Crowd, Store, plan
from edge.simulator.paths import BODY, blocked, paths

SECONDS = 30
PEOPLE = {0: 3, 1: 110, 2: 45}


@cache
def lived(name: str, seed: int) -> tuple[Store, Crowd, list[npt.NDArray[np.void]]]:
    """A store, its crowd at the end, and everybody at each tenth of a second."""
    store = plan(name, seed)
    crowd = Crowd(store, PEOPLE[seed], seed)
    ticks = [crowd.people.copy()]
    for _ in range(SECONDS * 10):
        crowd.step()
        ticks.append(crowd.people.copy())
    return store, crowd, ticks


crowds = some.tuples(some.sampled_from(sorted(STORES)), some.sampled_from(sorted(PEOPLE)))
few = settings(max_examples=6, deadline=None)


@few
@given(crowds)
def test_nobody_is_ever_in_a_shelf_or_a_wall(which: tuple[str, int]) -> None:
    store, _, ticks = lived(*which)
    places = np.concatenate([people["position"] for people in ticks])
    left, top, right, bottom = np.array(blocked(store)).T
    x, y = places[:, :1], places[:, 1:]
    apart = np.hypot(
        np.maximum(np.maximum(left - x, x - right), 0),
        np.maximum(np.maximum(top - y, y - bottom), 0),
    )
    assert apart.min() > BODY


@few
@given(crowds)
def test_nobody_moves_faster_than_people_walk(which: tuple[str, int]) -> None:
    _, _, ticks = lived(*which)
    for before, after in pairwise(ticks):
        _, one, two = np.intersect1d(before["id"], after["id"], return_indices=True)
        way = after["position"][two] - before["position"][one]
        assert np.hypot(*way.T).max() <= 0.2 + 1e-9
        turn = np.abs(after["heading"][two] - before["heading"][one])
        assert turn.max() <= 0.25


@few
@given(crowds)
def test_people_come_and_go_at_the_ends_of_the_street_alone(which: tuple[str, int]) -> None:
    store, _, ticks = lived(*which)
    for before, after in pairwise(ticks):
        new = after[~np.isin(after["id"], before["id"])]
        gone = before[~np.isin(before["id"], after["id"])]
        x, y = np.concatenate([new["position"], gone["position"]]).T
        assert ((x < 0) | (x > store.width)).all()
        assert (y > store.depth).all()


@few
@given(crowds)
def test_first_come_first_served(which: tuple[str, int]) -> None:
    store, crowd, _ = lived(*which)
    for till in range(1, len(store.tills) + 1):
        served = [turn for turn in crowd.turns if turn.till == till and turn.served is not None]
        assert served == sorted(served, key=lambda turn: turn.joined)
        for turn in served:
            assert turn.served is not None
            assert turn.joined <= turn.served < turn.left
        for one, two in pairwise(served):
            assert two.served is not None
            assert two.served >= one.left


@few
@given(crowds)
def test_staff_stay_inside(which: tuple[str, int]) -> None:
    store, _, ticks = lived(*which)
    for people in (ticks[0], ticks[-1]):
        staff = people[people["staff"]]
        assert len(staff) == len(store.tills) + store.staff
        assert (staff["position"][:, 1] < store.depth).all()


def inside(crowd: Crowd) -> int:
    people = crowd.people
    return int((~people["staff"] & (people["position"][:, 1] < crowd.store.depth)).sum())


@pytest.mark.parametrize(("name", "people"), [("supermarket", 40), ("boutique", 15)])
def test_about_as_many_are_in_the_store_as_was_asked_for(name: str, people: int) -> None:
    counts = []
    for seed in range(4):
        crowd = Crowd(plan(name, seed), people, seed)
        counts.append(inside(crowd))
        crowd.step(60)
        counts.append(inside(crowd))
    assert 0.75 * people < np.mean(counts) < 1.3 * people


def test_it_begins_in_the_midst_of_things() -> None:
    crowd = Crowd(plan("supermarket", 1), 40, 1)
    assert crowd.time == 0
    assert crowd.turns == []
    assert 25 < inside(crowd) < 65
    assert 0 < (crowd.people["pace"] > 0.3).sum() < len(crowd.people)
    assert sum(crowd.waiting) > 0


def test_groups_walk_together() -> None:
    _, _, ticks = lived("supermarket", 2)
    rows = ticks[-1]
    shoppers = rows[~rows["staff"] & (rows["state"] == 1)]
    gaps = []
    for group in np.unique(shoppers["group"]):
        members = shoppers[shoppers["group"] == group]["position"]
        gaps += [float(np.hypot(*(one - members[0]))) for one in members[1:]]
    assert len(gaps) >= 3
    assert np.median(gaps) < 2.0


def arrivals(crowd: Crowd, seconds: int) -> int:
    known = set(crowd.people["id"].tolist())
    new: set[int] = set()
    for _ in range(seconds):
        crowd.step(1)
        people = crowd.people
        inner = people["position"][:, 1] < crowd.store.depth
        new |= set(people["id"][inner].tolist()) - known
    return len(new)


def test_a_rush_brings_three_times_as_many() -> None:
    store = plan("supermarket", 2)
    usual = arrivals(Crowd(store, 40, 2), 100)
    rush = arrivals(Crowd(store, 40, 2, rush=((0, 100),)), 100)
    assert usual > 10
    assert 2 * usual < rush < 4 * usual


def test_nobody_is_served_at_an_empty_till() -> None:
    store = plan("supermarket", 4)
    crowd = Crowd(store, 60, 5, empty=((2, 30, 150),))
    longest, staffed = 0, []
    for _ in range(240):
        crowd.step(1)
        longest = max(longest, crowd.waiting[1])
        left, top, right, bottom = store.tills[1].staff
        x, y = crowd.people[crowd.people["staff"]]["position"].T
        staffed.append(bool(((x > left) & (x < right) & (y > top) & (y < bottom)).any()))
    served = sorted(
        turn.served for turn in crowd.turns if turn.till == 2 and turn.served is not None
    )
    # Who is being served when the cashier goes is served to the end.
    assert not [when for when in served if 30 < when < 150]
    assert [when for when in served if when < 30]
    assert [when for when in served if when >= 150]
    assert all(staffed[:28])
    assert not any(staffed[75:148])
    assert all(staffed[190:])
    assert longest >= 3
    joined = [turn.joined for turn in crowd.turns if turn.till == 2 and turn.served is not None]
    assert joined == sorted(joined)
    others = [turn for turn in crowd.turns if turn.till != 2 and turn.served is not None]
    assert [turn for turn in others if turn.served and 60 < turn.served < 150]


def test_a_stopped_till_serves_and_records_nothing() -> None:
    store = plan("supermarket", 4)
    usual, stopped = Crowd(store, 60, 4), Crowd(store, 60, 4, stopped=((1, 40, 120),))
    for _ in range(180):
        usual.step(1)
        stopped.step(1)
    assert usual.people.tobytes() == stopped.people.tobytes()
    assert len(usual.turns) == len(stopped.turns)
    for one, two in zip(usual.turns, stopped.turns, strict=True):
        off = two.till == 1 and 40 <= two.left < 120
        assert two.value == (None if off else one.value)
        assert (two.joined, two.served, two.left) == (one.joined, one.served, one.left)
    assert [turn for turn in usual.turns if turn.till == 1 and 40 <= turn.left < 120 and turn.value]


def test_some_lose_patience() -> None:
    crowd = Crowd(plan("boutique", 1), 15, 1, empty=((1, 0, 1e9),))
    for _ in range(400):
        crowd.step(1)
    gone = [turn for turn in crowd.turns if turn.served is None]
    assert len(gone) >= 3
    assert all(turn.value is None and turn.service is None for turn in gone)
    assert np.mean([turn.wait for turn in gone]) > 60


def test_ways_do_not_depend_on_how_many_threads_opencv_has() -> None:
    before = cv2.getNumThreads()
    ways = []
    try:
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            ways.append(paths.__wrapped__(plan("supermarket", 11)).aims)
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(ways[0], each) for each in ways[1:])
