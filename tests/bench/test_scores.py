"""The scores that judge the counts: exact on what is right, and wrong by what is known."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.bench import scores
from tests.bench.scores import Crossing, Stay

moments = some.integers(0, 40).map(float)
crossings = some.lists(
    some.tuples(moments, some.sampled_from(["door", "aisle"]), some.sampled_from(["in", "out"])),
    max_size=6,
)
stays = some.lists(
    some.tuples(some.sampled_from(["till", "shelf"]), moments, some.integers(1, 9)).map(
        lambda each: (each[0], each[1], each[1] + each[2])
    ),
    max_size=4,
)


def most_pairs(truth: list[Crossing], found: list[Crossing]) -> int:
    """All ways to pair them, tried out."""
    if not truth:
        return 0
    first, *rest = truth
    best = most_pairs(rest, found)
    for index, other in enumerate(found):
        if other[1:] == first[1:] and abs(other[0] - first[0]) <= scores.TOGETHER:
            best = max(best, 1 + most_pairs(rest, found[:index] + found[index + 1 :]))
    return best


@given(truth=crossings, found=crossings)
def test_as_many_crossings_are_the_same_as_can_be_paired(
    truth: list[Crossing], found: list[Crossing]
) -> None:
    assert scores.same_crossings(truth, found) == most_pairs(truth, found)


def shared(mine: Stay, other: Stay) -> float:
    return max(min(mine[2], other[2]) - max(mine[1], other[1]), 0.0) * (mine[0] == other[0])


@given(truth=stays, found=stays)
def test_stays_are_paired_by_the_time_they_share(truth: list[Stay], found: list[Stay]) -> None:
    """Some pairing shares the most time in sum; the errors are those of such a one."""
    padded = [*found, *[None] * len(truth)]
    best = -1.0
    wanted: set[tuple[float, ...]] = set()
    for chosen in itertools.permutations(padded, len(truth)) if len(padded) < 7 else ():
        time = sum(shared(mine, each) for mine, each in zip(truth, chosen, strict=True) if each)
        errors = tuple(
            abs((each[2] - each[1]) - (mine[2] - mine[1]))
            if each and shared(mine, each)
            else mine[2] - mine[1]
            for mine, each in zip(truth, chosen, strict=True)
        )
        if time > best:
            best, wanted = time, set()
        if time == best:
            wanted.add(errors)
    if wanted:
        assert tuple(scores.stay_errors(truth, found).tolist()) in wanted


def test_what_is_found_exactly_has_no_error() -> None:
    truth: list[Stay] = [("till", 1.0, 9.0), ("till", 2.0, 4.0), ("shelf", 0.0, 5.0)]
    assert not scores.stay_errors(truth, truth[::-1]).any()
    assert scores.stay_errors(truth, []).tolist() == [8.0, 2.0, 5.0]


def test_dots_are_who_is_nearest_in_their_frame() -> None:
    truth = np.array([[0, 7, 1.0, 1.0], [0, 8, 3.0, 1.0], [1, 7, 1.0, 1.0]])
    found = np.array([[0, 1, 3.0, 1.5], [0, 2, 1.0, 1.1], [1, 1, 2.5, 1.0], [2, 1, 1.0, 1.0]])
    rows, metres = scores.who_is_who(truth, found)
    assert rows.tolist() == [1, 0, -1, -1]
    np.testing.assert_allclose(metres[:2], [0.5, 0.1])
    assert np.isnan(metres[2:]).all()


@pytest.mark.parametrize(
    ("zones", "right"), [(["a", "a", "b"], 1), (["b", "a", "b"], 0), (["", "", "a"], 0)]
)
def test_a_stay_is_in_the_zone_where_its_dots_are_most_often(zones: list[str], right: int) -> None:
    truth = np.array([[frame, 7, 1.0, 1.0] for frame in range(3)])
    found = np.array([[frame, 1, 1.0, 1.0] for frame in range(3)])
    rows, _ = scores.who_is_who(truth, found)
    told = [(7, "a", 0.0, 0.2), (9, "a", 0.0, 0.2)]
    assert scores.zones_right(truth, told, found, rows, zones, 10.0) == (right, 2)
