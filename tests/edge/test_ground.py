"""One floor of one or more cameras: from sights to admitted events."""

from collections import Counter
from datetime import datetime, timedelta

import numpy as np

from edge import wire
from edge.config import CameraConfig
from edge.ground import Ground, Sight, floors
from edge.privacy import Gate
from tests.edge.room import PAIRS, START

LINE = {"id": "door", "name": "Door", "role": "entrance", "points": [(0, 3), (8, 3)]}
ZONE = {
    "id": "till",
    "name": "Till",
    "role": "service",
    "polygon": [(0, 0), (4, 0), (4, 2), (0, 2)],
}


def camera(name: str, **settings: object) -> CameraConfig:
    given = {"id": name, "source": "0", "homography": PAIRS, "lines": [LINE], "zones": [ZONE]}
    return CameraConfig.model_validate(given | settings)


def ground(*cameras: CameraConfig) -> Ground:
    return Ground(cameras, Gate(0.01, 0.1), {each.id: 10.0 for each in cameras}, seed=0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sight(seconds: float, there: dict[int, tuple[float, float]], ended: list[int]) -> Sight:
    count = len(there)
    return Sight(
        at(seconds),
        np.array(list(there), np.int64),
        np.array(list(there.values()), np.float64).reshape(-1, 2),
        np.ones(count),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.array(ended, np.int64),
    )


def test_cameras_share_a_floor_if_they_are_calibrated() -> None:
    one, two, up = camera("one"), camera("two"), camera("up", floor="first")
    plain = [CameraConfig.model_validate({"id": name, "source": "0"}) for name in ("left", "right")]
    grouped = [[each.id for each in group] for group in floors([one, plain[0], two, up, plain[1]])]
    assert grouped == [["one", "two"], ["left"], ["up"], ["right"]]


def test_one_who_is_seen_by_two_cameras_is_counted_once() -> None:
    floor = ground(camera("one"), camera("two"))
    events: list[wire.Event] = []
    for frame in range(80):
        y = 6 - 0.1 * frame if frame < 50 else 1.0
        events += floor.see("one", sight(frame / 10, {4: (2.0, y)}, []))
        events += floor.see("two", sight(frame / 10 + 0.05, {7: (2.2, y)}, []))
    events += floor.close("one", at(8))
    assert not [each for each in events if isinstance(each, wire.Path)]
    events += floor.close("two", at(8))
    (crossing,) = (each for each in events if isinstance(each, wire.Crossing))
    assert (crossing.direction, crossing.cameras) == ("in", ("one", "two"))
    (visit,) = (each for each in events if isinstance(each, wire.Visit))
    assert (visit.track, visit.ended) == (crossing.track, "shutdown")
    assert len([each for each in events if isinstance(each, wire.Path)]) == 1
    coverage = [each for each in events if isinstance(each, wire.Coverage)]
    assert {(each.camera, each.seen) for each in coverage} == {("one", 80), ("two", 80)}
    assert len([each for each in events if isinstance(each, wire.Occupancy)]) == 1


def test_a_zone_keeps_its_people_when_one_of_its_cameras_is_lost() -> None:
    floor = ground(camera("one"), camera("two"))
    for frame in range(20):
        floor.see("one", sight(frame / 10, {1: (1.0, 1.0), 2: (3.0, 1.0)}, []))
        floor.see("two", sight(frame / 10, {1: (1.0, 1.0)}, []))
    assert floor.people == {"till": 2}
    told = floor.lost("one", at(2), "offline")
    assert [each.ended for each in told if isinstance(each, wire.Visit)] == ["lost"]
    assert floor.people == {"till": 1}
    assert not [each for each in told if isinstance(each, wire.Occupancy)]
    told = floor.lost("two", at(3), "offline")
    assert [each.mean for each in told if isinstance(each, wire.Occupancy)]
    assert floor.people == {"till": 0}


def test_through_waits_for_the_slower_camera_and_for_whoever_may_come_back() -> None:
    floor = ground(camera("one"), camera("two"))
    assert floor.through("one") is None
    floor.see("one", sight(0, {}, []))
    floor.see("two", sight(0, {}, []))
    floor.see("one", sight(5, {}, []))
    assert (floor.through("one"), floor.through("two")) == (at(5), at(0))
    floor.see("two", sight(5, {1: (1.0, 1.0)}, []))
    floor.see("two", sight(8, {}, [1]))
    floor.see("one", sight(8, {}, []))
    assert floor.through("one") == at(5)
    events = floor.see("one", sight(20, {}, []))
    assert not [each for each in events if isinstance(each, wire.Visit)]
    assert floor.through("one") == at(20)


def test_a_minute_s_events_come_with_the_first_frame_after_it() -> None:
    floor = ground(camera("one"))
    assert floor.see("one", sight(59.5, {}, [])) == []
    told = {type(each) for each in floor.see("one", sight(60, {}, []))}
    assert told == {wire.Coverage, wire.Occupancy}


def test_a_clock_that_leaps_or_goes_back_does_no_harm() -> None:
    floor = ground(camera("one"))
    for frame in range(50):
        floor.see("one", sight(frame / 10, {1: (1.0, 1.0)}, []))
    assert floor.see("one", sight(0, {1: (1.0, 1.0)}, [])) == []
    years = floor.see("one", sight(3650 * 86400, {1: (1.0, 1.0)}, []))
    assert Counter(type(each).__name__ for each in years) == {
        "Visit": 1,
        "Path": 1,
        "Coverage": 1,
        "Occupancy": 1,
    }


def test_where_a_file_begins_again_nobody_is_left() -> None:
    floor = ground(camera("one"))
    for frame in range(30):
        floor.see("one", sight(frame / 10, {1: (1.0, 1.0)}, []))
    told = floor.restart("one", at(3))
    assert {type(each) for each in told} == {wire.Visit, wire.Path}
    assert floor.people == {"till": 0}
    before = {each.track for each in told if isinstance(each, wire.Visit)}
    for frame in range(30, 60):
        floor.see("one", sight(frame / 10, {1: (1.0, 1.0)}, []))
    after = [each for each in floor.close("one", at(6)) if isinstance(each, wire.Visit)]
    assert len(after) == 1
    assert not before & {each.track for each in after}


def test_nowhere_is_no_place() -> None:
    floor = ground(camera("one"))
    floor.see("one", sight(0, {1: (float("nan"), 1.0)}, []))
    assert not [each for each in floor.close("one", at(1)) if isinstance(each, wire.Path)]


def test_a_clock_that_is_put_right_backwards_begins_anew() -> None:
    """A box that woke in the future must not be silent until the future comes."""
    floor = ground(camera("one"))
    ahead = 3 * 86400.0
    events: list[wire.Event] = []
    for frame in range(20):
        events += floor.see("one", sight(ahead + frame / 10, {1: (2.0, 4.0)}, []))
    for frame in range(80):
        events += floor.see("one", sight(frame / 10, {1: (2.0, 4.0 - 0.05 * frame)}, []))
    (crossing,) = (each for each in events if isinstance(each, wire.Crossing))
    assert START < crossing.time < at(8)
    (path,) = (each for each in events if isinstance(each, wire.Path))
    assert path.track != crossing.track
    assert floor.through("one") == at(7.9)
    events += floor.close("one", at(8))
    told = {each.start for each in events if isinstance(each, wire.Coverage)}
    assert told == {at(0), at(ahead)}


def test_a_line_and_a_zone_of_one_name_have_their_own_cameras() -> None:
    floor = ground(camera("one", lines=[LINE | {"id": "till"}]))
    events: list[wire.Event] = []
    for frame in range(80):
        events += floor.see("one", sight(frame / 10, {1: (2.0, 6 - 0.07 * frame)}, []))
    events += floor.close("one", at(8))
    told = {each.cameras for each in events if isinstance(each, wire.Crossing | wire.Visit)}
    assert told == {("one",)}
