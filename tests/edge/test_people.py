"""Who is who: stitched over gaps, one where two cameras see them, never two of one camera."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.people import APART, FARTHEST, PATIENCE, REACH, SAME, Moved, People

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
Spot = tuple[float, float]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def see(
    people: People,
    seconds: float,
    there: dict[int, Spot],
    camera: str = "one",
    ended: Sequence[int] = (),
    metre: float = 1.0,
) -> Moved:
    points = np.array(list(there.values()), np.float64).reshape(-1, 2)
    tracks = np.array(list(there), np.int64)
    return people.update(camera, at(seconds), tracks, points, np.full(len(there), metre), ended)


@pytest.mark.parametrize(
    ("gap", "away", "same"),
    [
        pytest.param(0.5, REACH, True, id="at once and near"),
        pytest.param(0.5, REACH + 0.5, False, id="at once and far"),
        pytest.param(9.0, FARTHEST - 0.1, True, id="late and not far"),
        pytest.param(9.0, FARTHEST + 0.1, False, id="late and far"),
        pytest.param(PATIENCE.total_seconds() + 1, 0.0, False, id="too late"),
    ],
)
@pytest.mark.parametrize("metre", [1.0, 0.04])
def test_who_comes_back_near_and_soon_is_the_same(
    gap: float, away: float, same: bool, metre: float
) -> None:
    people = People()
    for frame in range(10):
        first = see(people, frame / 10, {1: (0.5, 0.5)}, metre=metre).numbers.tolist()
    see(people, 1.0, {}, ended=[1])
    back = see(people, 0.9 + gap, {2: (0.5 + away * metre, 0.5)}, metre=metre)
    assert (back.numbers.tolist() == first) is same
    assert back.found == (first if same and gap > 1 else [])


def test_who_walks_is_looked_for_ahead() -> None:
    people = People()
    for frame in range(30):
        (number,) = see(people, frame / 10, {1: (frame / 10, 0.0)}).numbers.tolist()
    see(people, 3.0, {}, ended=[1])
    moved = see(people, 4.0, {2: (2.9, 0.9), 3: (3.9, 0.0)})
    assert moved.numbers.tolist()[1] == number


def test_who_does_not_come_back_has_ended_once() -> None:
    people = People()
    (number,) = see(people, 0.0, {1: (0.0, 0.0)}).numbers.tolist()
    told = [see(people, seconds, {}, ended=[1]).ended for seconds in range(1, 30)]
    assert [ended for ended in told if ended] == [[number]]


def test_a_track_that_is_only_unseen_is_not_given_away_to_a_second_one() -> None:
    people = People()
    one, two = see(people, 0.0, {1: (0.0, 0.0), 2: (0.5, 0.0)}).numbers.tolist()
    assert see(people, 0.1, {1: (0.0, 0.0), 3: (0.5, 0.0)}).numbers.tolist() == [one, two]
    # The tracker finds its old number again: it is nobody else's now, so somebody new.
    moved = see(people, 0.2, {1: (0.0, 0.0), 2: (0.5, 0.0), 3: (0.5, 0.1)})
    assert len(set(moved.numbers.tolist())) == 3


def test_one_person_whom_two_cameras_see_is_one() -> None:
    people = People()
    merged: list[tuple[int, int]] = []
    for frame in range(13):
        one = see(people, frame / 10, {5: (0.0, 0.0)}, "one")
        two = see(people, frame / 10 + 0.05, {9: (0.3, 0.0)}, "two")
        merged += [*one.merged, *two.merged]
    assert merged == [(2, 1)]
    assert one.numbers.tolist() == two.numbers.tolist() == [1]
    # The place is between what both say.
    np.testing.assert_allclose(one.points, [[0.15, 0.0]])


def test_two_who_come_together_are_found_to_be_one() -> None:
    """Each camera has known them for a while, too far apart to be one, by a bad foot point."""
    people = People()
    merged: list[tuple[int, int]] = []
    for frame in range(40):
        away = SAME + 1 if frame < 10 else 0.2
        merged += see(people, frame / 10, {1: (0.0, 0.0)}, "one").merged
        merged += see(people, frame / 10 + 0.05, {1: (away, 0.0)}, "two").merged
    assert merged == [(2, 1)]
    assert see(people, 4.0, {1: (0.0, 0.0)}, "one").numbers.tolist() == [1]


def test_two_who_only_pass_each_other_stay_two() -> None:
    people = People()
    for frame in range(60):
        x = frame / 10 - 3
        left = see(people, frame / 10, {1: (x, 0.0)}, "one")
        right = see(people, frame / 10 + 0.05, {1: (-x, 0.4)}, "two")
        assert not left.merged
        assert not right.merged
    assert left.numbers.tolist() != right.numbers.tolist()


def test_who_were_taken_for_one_part_again() -> None:
    people = People()
    for frame in range(60):
        x = max(0, frame - 20) / 10
        one = see(people, frame / 10, {1: (0.0, 0.0)}, "one").numbers.tolist()
        two = see(people, frame / 10 + 0.05, {1: (x, 0.0)}, "two").numbers.tolist()
        if frame > 15 and x <= APART:
            assert one == two
        if x > APART + 0.2:
            assert one != two
    assert x > APART + 0.2


def test_a_camera_that_leaves_takes_only_its_own() -> None:
    people = People()
    for frame in range(13):
        one = see(people, frame / 10, {1: (0.0, 0.0), 2: (5.0, 5.0)}, "one").numbers.tolist()
        two = see(people, frame / 10, {1: (0.0, 0.0)}, "two").numbers.tolist()
    (both,) = two
    (alone,) = {*one} - {both}
    assert people.leave("one") == [alone]
    assert see(people, 1.3, {1: (0.0, 0.0)}, "two").numbers.tolist() == [both]


def test_whom_another_camera_saw_last_is_waited_for_all_the_same() -> None:
    people = People()
    (waited,) = see(people, 0.0, {1: (0.0, 0.0)}, "one").numbers.tolist()
    see(people, 0.1, {}, "one", ended=[1])
    see(people, 0.1, {1: (9.0, 9.0)}, "two")
    people.leave("two")
    assert see(people, 0.2, {2: (0.0, 0.0)}, "one").numbers.tolist() == [waited]


frames = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]),
        st.dictionaries(
            st.integers(1, 5), st.tuples(st.floats(-3, 3), st.floats(-3, 3)), max_size=4
        ),
        st.lists(st.integers(1, 5), max_size=2),
        st.floats(0, 4),
    ),
    max_size=30,
)


@given(frames)
def test_nobody_is_twice_in_a_frame_nor_comes_back_from_the_end(
    told: list[tuple[str, dict[int, Spot], list[int], float]],
) -> None:
    people, seconds, gone = People(), 0.0, set[int]()
    for camera, there, ended, step in told:
        seconds += step
        moved = see(people, seconds, there, camera, [n for n in ended if n not in there])
        numbers = moved.numbers.tolist()
        assert len(numbers) == len(set(numbers)) == len(there) == len(moved.points)
        assert np.isfinite(moved.points).all()
        gone |= {*moved.ended, *(number for number, _ in moved.merged)}
        assert not gone & set(numbers)
        assert not {into for _, into in moved.merged} & gone


def test_numbers_count_up() -> None:
    people = People()
    seen = [see(people, n, {n: (10.0 * n, 0.0)}).numbers.tolist()[0] for n in range(1, 9)]
    assert all(after == before + 1 for before, after in pairwise(seen))
