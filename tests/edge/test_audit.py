"""The self-audit: each check alone, and a rendered store whose input is damaged."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import combinations, product
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import pipeline, wire
from edge.audit import HOUR, KEPT, Audit, agreement, balance, beyond_chance, completeness, newest
from edge.config import CameraConfig, LineConfig
from edge.ground import Ground, Sight
from edge.pipeline import at_rim
from edge.privacy import Gate
from edge.simulator import parse, truth
from edge.tracker import Tracker, Tracks
from tests.bench.self_audit import crossings, entrance, knocked, without_people
from tests.edge.room import PAIRS, START

Boxes = npt.NDArray[np.float32]
DOOR = {"id": "door", "name": "Door", "role": "entrance", "points": [(2, 3), (5, 3)]}
HALL = {
    "id": "hall",
    "name": "Hall",
    "role": "area",
    "polygon": [(2, 1), (5, 1), (5, 3), (2, 3)],
}
FAR = {"id": "far", "name": "Far", "role": "display", "polygon": [(8, 0), (9, 0), (9, 1), (8, 1)]}

numbers = st.integers(0, 1000)
CAMERAS = frozenset("abc")
sightings = st.dictionaries(
    st.sampled_from([frozenset(who) for n in range(4) for who in combinations("abc", n)]), numbers
)


@given(numbers, numbers)
def test_an_agreement_is_a_share_and_falls_with_what_is_missing(count: int, missing: int) -> None:
    found = agreement(count, beyond_chance(missing))
    worse = agreement(count, beyond_chance(missing + 1))
    if found is None:
        assert count == 0
        assert missing <= 1
        return
    assert 0 <= found <= 1
    assert worse is not None
    assert worse <= found
    if missing <= 1:
        assert found == 1


@given(numbers, numbers, numbers)
def test_the_balance_allows_for_chance_and_falls_with_the_difference(
    flow: int, begun: int, more: int
) -> None:
    even, odd = balance(flow, begun, begun), balance(flow, begun, begun + more)
    assert even == (1 if flow else None)
    assert odd is None or 0 <= odd <= 1
    assert odd == balance(flow, begun + more, begun)
    further = balance(flow, begun, begun + more + 1)
    # Chance takes no more than the difference adds.
    if odd is not None and more:
        assert further is not None
        assert further <= odd


@given(sightings)
def test_completeness_is_a_share(seen: Mapping[frozenset[str], int]) -> None:
    found = completeness(seen, CAMERAS)
    if not any(seen.values()):
        assert found is None
    else:
        assert found is not None
        assert 0 <= found <= 1
    assert completeness(seen, frozenset("a")) is None


@given(numbers, st.integers(1, 1000), numbers)
def test_completeness_falls_with_whom_one_camera_alone_saw(one: int, both: int, more: int) -> None:
    def pair(left: int, right: int) -> float:
        seen = {frozenset("a"): left, frozenset("b"): right, frozenset("ab"): both}
        found = completeness(seen, frozenset("ab"))
        assert found is not None
        return found

    assert pair(one, more + 1) <= pair(one, more)
    assert pair(one, more) == pytest.approx(pair(more, one))


def test_completeness_is_the_share_that_is_found_of_people_seen_at_random() -> None:
    """Against a draw: three cameras miss people each for itself."""
    random = np.random.default_rng(1)
    shares = np.array([0.5, 0.7, 0.6])
    saw = random.random((20_000, 3)) < shares
    seen = Counter(frozenset(np.array(list("abc"))[row].tolist()) for row in saw)
    del seen[frozenset()]
    assert completeness(seen, CAMERAS) == pytest.approx(saw.any(axis=1).mean(), abs=0.01)


def test_one_who_is_taken_for_two_counts_against_both_cameras() -> None:
    doubled = {frozenset("a"): 50, frozenset("b"): 50}
    found = completeness(doubled, frozenset("ab"))
    assert found is not None
    assert found < 0.05


def test_at_the_rim_is_who_is_out_of_the_picture_in_a_frame() -> None:
    boxes = np.array([[0, 50, 20, 90], [8, 50, 28, 90], [50, 20, 70, 99], [50, 20, 70, 80]], "f4")
    assert at_rim(boxes, 200, 100, 10.0).tolist() == [True, False, True, False]
    assert at_rim(boxes, 200, 100, 2.0).tolist() == [True, True, True, True]


@dataclass(frozen=True)
class Walk:
    """A way in a straight line, a place a frame; whether one comes and leaves by the rim."""

    start: tuple[float, float]
    stop: tuple[float, float]
    comes: bool = True
    leaves: bool = True
    frames: int = 40


IN, OUT = Walk((2.5, 5.5), (2.5, 0.2)), Walk((4.5, 0.2), (4.5, 5.5))


def camera(name: str, **settings: object) -> CameraConfig:
    given = {"id": name, "source": "0", "homography": PAIRS, "lines": [DOOR], "zones": [HALL, FAR]}
    return CameraConfig.model_validate(given | settings)


def audits(
    *walks: Walk,
    cameras: tuple[CameraConfig, ...] = (camera("one"),),
    sees: Callable[[str, int], bool] = lambda camera, person: True,
    lost: int | None = None,
) -> dict[str, wire.Audit]:
    """The audits of a minute of walks, which begin between its 5th and its 30th second.

    `sees` says which camera sees whom, by their number in the walks; from the frame `lost` on no
    camera has a picture.
    """
    minute = timedelta(minutes=1)
    ground = Ground(cameras, Gate(0.25), {each.id: 10.0 for each in cameras}, seed=0, hour=minute)
    starts = np.linspace(50, 300, len(walks)).astype(int).tolist()
    for frame, each in product(range(600), cameras):
        time = START + timedelta(seconds=frame / 10)
        if lost is not None and frame >= lost:
            ground.lost(each.id, time, "offline")
            continue
        tracks, points, rim, ended = [], [], [], []
        for number, (walk, start) in enumerate(zip(walks, starts, strict=True)):
            if not sees(each.id, number):
                continue
            share = (frame - start) / (walk.frames - 1)
            if 0 <= share <= 1:
                tracks.append(number)
                points.append((1 - share) * np.array(walk.start) + share * np.array(walk.stop))
                rim.append((walk.comes and share == 0) or (walk.leaves and share == 1))
            elif frame - start == walk.frames:
                ended.append(number)
        sight = Sight(
            time,
            np.array(tracks, np.int64),
            np.array(points, np.float64).reshape(-1, 2),
            np.ones(len(tracks)),
            np.zeros(len(tracks), np.bool_),
            np.array(rim, np.bool_),
            np.array(ended, np.int64),
        )
        ground.see(each.id, sight)
    for each in cameras:
        ground.close(each.id, START + minute)
    return {each.id: each for each in ground.audits()}


def test_what_agrees_with_itself_is_believed() -> None:
    found = audits(IN, OUT, IN, OUT, IN)
    sure = {"ends": 1.0, "adjacent": 1.0, "balance": 1.0, "coverage": 1.0}
    assert found["door"] == wire.Audit("line", "door", START, 5, 1.0, sure)
    del sure["balance"]
    assert found["hall"] == wire.Audit("zone", "hall", START, 5, 1.0, sure)
    assert "far" not in found


def test_nothing_is_said_of_an_hour_in_which_nothing_was_counted() -> None:
    assert audits() == {}


def test_who_vanishes_or_comes_out_of_nothing_is_held_against_what_is_near() -> None:
    # Seen outside, lost on the way through, found again inside: somebody who was not counted.
    outside = Walk((3.5, 5.5), (3.5, 3.4), leaves=False)
    inside = Walk((3.5, 1.2), (6.5, 1.2), comes=False)
    found = audits(IN, OUT, *[outside, inside] * 4, IN, OUT)
    assert found["door"].count == 4
    # Eight ends and beginnings, less their standard deviation, beside four who were counted.
    assert found["door"].checks["ends"] == round(4 / (4 + 8 - sqrt(8)), 3)
    assert found["door"].confidence == found["door"].checks["ends"]
    assert found["hall"].checks["ends"] < 1
    assert audits(IN, OUT, replace(outside, leaves=True), IN)["door"].checks["ends"] == 1


def test_who_is_seen_last_going_through_a_door_has_left() -> None:
    short = Walk((4.5, 0.2), (4.5, 3.2), leaves=False)
    found = audits(*[short] * 6)
    assert (found["door"].count, found["door"].confidence) == (6, 1.0)


def test_those_who_go_out_without_having_come_in_are_missing() -> None:
    appear = Walk((4.5, 0.2), (4.5, 5.5), comes=False, frames=60)
    found = audits(*[appear] * 9)
    assert found["door"].count == 9
    assert found["door"].checks["balance"] == round(9 / (9 + 9 - 3), 3)
    # As many who vanish are broken ways, and no sign that somebody came or went uncounted.
    vanish = Walk((2.5, 5.5), (2.5, 0.2), leaves=False, frames=60)
    assert audits(*[appear, vanish] * 4)["door"].checks["balance"] == 1


def test_who_goes_round_the_line_has_not_been_counted() -> None:
    round_ = Walk((1.2, 5.5), (1.2, 0.2))
    found = audits(IN, OUT, *[round_] * 4, IN, OUT, IN, OUT)
    assert found["door"].count == 6
    assert found["door"].confidence == found["door"].checks["round"] == 6 / (6 + 4 - 2)
    there_and_back = [Walk((1.2, 3.4), (1.2, 3.0)), Walk((1.2, 3.0), (1.2, 3.4))]
    assert "round" not in audits(IN, *there_and_back, OUT)["door"].checks


def test_who_enters_a_zone_beside_its_line_did_not_cross_it() -> None:
    narrow = camera("one", lines=[{**DOOR, "points": [(2.4, 3), (5, 3)]}])
    beside = Walk((2.2, 5.5), (2.2, 0.2))
    into = Walk((4.5, 5.5), (4.5, 0.2))
    found = audits(*[into, beside] * 4, cameras=(narrow,))
    assert (found["door"].count, found["hall"].count) == (4, 8)
    assert found["hall"].checks["adjacent"] == round(4 / (4 + 4 - 2), 3)
    assert found["door"].checks["adjacent"] == found["hall"].checks["adjacent"]
    aside = Walk((5.5, 2.0), (4.5, 1.5))
    assert audits(into, aside, into)["hall"].checks["adjacent"] == 1


def test_cameras_that_see_different_people_miss_some_together() -> None:
    pair = camera("one"), camera("two")
    assert audits(*[IN] * 8, cameras=pair)["door"].checks["cameras"] == round(1 - 0.1**2, 3)

    def half(name: str, person: int) -> bool:
        return (person % 2 == 0) == (name == "one")

    apart = audits(*[IN] * 8, cameras=pair, sees=half)
    assert (apart["door"].count, apart["hall"].count) == (8, 8)
    assert apart["door"].confidence == apart["hall"].confidence < 0.4


def test_a_camera_that_is_lost_covers_less_and_makes_nobody_vanish() -> None:
    found = audits(IN, OUT, IN, OUT, IN, OUT, lost=200)
    assert found["door"].count == 3
    assert found["door"].checks["ends"] == 1
    assert found["door"].confidence == found["door"].checks["coverage"] == 0.333


def test_who_leaps_is_somebody_else() -> None:
    audit = Audit([line_of(DOOR)], [], {("line", "door"): ("one",)})

    def see(seconds: float, y: float) -> None:
        place = np.array([[3.5, y]])
        audit.see(at(seconds), "one", ["a"], place, np.ones(1), np.zeros(1, np.bool_))

    audit.interrupt(START, ())
    for second, y in enumerate((4.5, 3.5, 1.5)):
        see(second, y)
    crossing = wire.Crossing("ground", "door", ("one",), at(2), "in", "a")
    hour = wire.Coverage("one", START, START + HOUR, 10, 10, "ok")
    audit.tell([crossing, hour])
    (found,) = audit.hours()
    assert found.checks == {"ends": 1.0, "balance": 1.0, "coverage": 1.0}
    for second in range(6):
        see(2.1 + second / 10, 4.5 if second % 2 else 1.5)
    (found,) = audit.hours()
    assert found.checks["ends"] == round(1 / (1 + 10 - sqrt(10)), 3)


def test_the_last_hours_are_kept_and_older_ones_are_left_alone() -> None:
    audit = Audit([line_of(DOOR)], [], {("line", "door"): ("one",)})

    def crossing(hour: int) -> wire.Crossing:
        return wire.Crossing("ground", "door", ("one",), START + hour * HOUR, "in", "a")

    for hour in range(6):
        begin = START + hour * HOUR
        audit.tell([crossing(hour), wire.Coverage("one", begin, begin + HOUR, 1, 2, "ok")])
        found = audit.hours()
        assert len(found) == min(hour + 1, KEPT + 1)
        assert (found[-1].start, found[-1].confidence) == (begin, 0.5)
    audit.tell([crossing(0), crossing(4)])
    assert [each.count for each in audit.hours()] == [1, 1, 2, 1]


def test_where_a_message_holds_not_all_it_holds_the_newest() -> None:
    old, new = (
        [wire.Audit("zone", f"z-{n}", start, 1, 1.0, {}) for n in range(wire.MAX_AUDITS - 1)]
        for start in (START, START + HOUR)
    )
    found = newest([*new, *old])
    assert len(found) == wire.MAX_AUDITS
    assert found[1:] == tuple(new)
    assert newest(old) == tuple(old)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def line_of(settings: Mapping[str, object]) -> LineConfig:
    return LineConfig.model_validate(settings)


@pytest.fixture(scope="module")
def record() -> truth.Record:
    return truth.record(parse("sim://supermarket?seed=1&minutes=4&camera=entrance"))


def test_sound_input_is_believed_and_right(record: truth.Record) -> None:
    found = entrance(record)
    assert found.count == pytest.approx(crossings(record), rel=0.02)
    assert found.count > 80
    assert found.confidence >= 0.97


def test_the_more_people_are_missed_the_less_is_believed(record: truth.Record) -> None:
    right, believed = [], []
    for share in (0.0, 0.15, 0.3, 0.5):
        found = entrance(without_people(record, share, 2.0))
        right.append(found.count / crossings(record))
        believed.append(found.confidence)
    assert right[0] > 0.97
    assert right[-1] < 0.75
    assert right == sorted(right, reverse=True)
    assert believed == sorted(believed, reverse=True)
    assert believed[-1] < 0.9
    # Who is unseen on the whole way past the line leaves no trace of it.
    half = entrance(without_people(record, 0.5, 1.0))
    assert half.confidence == pytest.approx(half.count / crossings(record), abs=0.15)


def test_single_boxes_that_are_missing_cost_little_of_both(record: truth.Record) -> None:
    found = entrance(without_people(record, 0.3, 0.1))
    assert found.count == pytest.approx(crossings(record), rel=0.03)
    assert 0.85 <= found.confidence < entrance(record).confidence


class Switching(Tracker):
    """Two of its tracks, wherever they are, change their numbers in three frames of a hundred."""

    def __init__(self, fps: float, sure: float, unsure: float) -> None:
        super().__init__(fps, sure, unsure)
        self._random = np.random.default_rng(0)
        self._called: dict[int, int] = {}

    def update(self, boxes: Boxes, scores: Boxes) -> Tracks:
        found = super().update(boxes, scores)
        ids, called = found.ids.tolist(), self._called
        if len(ids) > 1 and self._random.random() < 0.03:
            one, other = self._random.choice(ids, 2, replace=False).tolist()
            called[one], called[other] = called.get(other, other), called.get(one, one)
        return replace(
            found,
            ids=np.array([called.get(number, number) for number in ids], np.int64),
            ended=np.array([called.get(n, n) for n in found.ended.tolist()], np.int64),
        )


def test_numbers_that_change_hands_cost_confidence(
    record: truth.Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "Tracker", Switching)
    found = entrance(record)
    assert found.count > 1.15 * crossings(record)
    assert found.confidence == found.checks["ends"] < 0.75


def test_a_camera_that_was_knocked_sees_people_go_round_its_line(record: truth.Record) -> None:
    found = entrance(knocked(record))
    assert found.count < 0.8 * crossings(record)
    assert found.confidence == found.checks["round"] <= 0.85


def test_of_two_cameras_one_that_was_knocked_contradicts_the_other(record: truth.Record) -> None:
    short = replace(record, scene=replace(record.scene, minutes=2.0))
    overview = truth.record(replace(short.scene, camera="overview"))
    sound = entrance(short, overview)
    assert sound.checks["cameras"] >= 0.97
    assert entrance(short, knocked(overview)).confidence < sound.confidence - 0.2
