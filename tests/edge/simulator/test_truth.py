"""The truth of scenes: plain cases worked by hand, and what must hold of every scene."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from edge.calibration import foot_points, project, stand
from edge.simulator import STORES, Scene, camera_config
from edge.simulator import truth as module
from edge.simulator.lens import BARREL, Lens
from edge.simulator.truth import Record, crossings, mot_rows, record, visits

PEOPLE = {0: 8, 1: 30, 2: 60}


@cache
def recorded(name: str, seed: int) -> Record:
    camera = ("entrance", "overview", "checkouts")[seed]
    return record(Scene(name, camera, seed, PEOPLE[seed], minutes=0.3, size=(160, 90)))


scenes = some.tuples(some.sampled_from(sorted(STORES)), some.sampled_from(sorted(PEOPLE)))
few = settings(max_examples=5, deadline=None)


@few
@given(scenes)
def test_ins_minus_outs_is_how_many_more_are_inside(which: tuple[str, int]) -> None:
    found = recorded(*which)
    y = found.scene.store.depth - 0.2
    entrance = [each for each in crossings(found) if each.line == "entrance"]
    net = sum(1 if each.direction == "in" else -1 for each in entrance)
    first, last = (found.frames == frame for frame in (0, found.scene.frames - 1))
    inside = found.positions[:, 1] < y
    # Who stands on the line at either end has not crossed for certain.
    unsure = (np.abs(found.positions[:, 1] - y) < 0.2) & (first | last)
    assert abs((inside & last).sum() - (inside & first).sum() - net) <= unsure.sum()


@few
@given(scenes)
def test_in_and_out_take_turns_and_staff_do_not_go_out(which: tuple[str, int]) -> None:
    found = recorded(*which)
    entrance = [each for each in crossings(found) if each.line == "entrance"]
    for person in {each.person for each in entrance}:
        ways = [each.direction for each in entrance if each.person == person]
        assert all(one != two for one, two in pairwise(ways))
    assert not [each for each in entrance if each.staff]
    assert [each.seconds for each in entrance] == sorted(each.seconds for each in entrance)


@few
@given(scenes)
def test_boxes_are_within_the_picture_and_rows_say_the_same(which: tuple[str, int]) -> None:
    found = recorded(*which)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= (160, 90, 160, 90)).all()
    rows = np.loadtxt(list(mot_rows(found)), delimiter=",", ndmin=2)
    shown = found.boxes[:, 2] > found.boxes[:, 0]
    assert len(rows) == shown.sum() > 0
    np.testing.assert_array_equal(rows[:, 0], found.frames[shown] + 1)
    np.testing.assert_array_equal(rows[:, 1], found.ids[shown])
    left, top, width, height = rows[:, 2:6].T
    boxes = np.stack([left, top, left + width, top + height], axis=1)
    np.testing.assert_allclose(boxes, found.boxes[shown], atol=0.011)
    assert (rows[:, 6:8] == 1).all()
    assert len({(frame, number) for frame, number in rows[:, :2].tolist()}) == len(rows)


@few
@given(scenes)
def test_visits_are_where_and_when_people_are(which: tuple[str, int]) -> None:
    found = recorded(*which)
    areas = {zone.id: np.array(zone.polygon) for zone in found.scene.store.zones}
    stays = visits(found)
    assert stays
    for stay in stays[:40]:
        low, high = areas[stay.zone].min(axis=0), areas[stay.zone].max(axis=0)
        own = found.ids == stay.person
        seconds = found.frames[own] / found.scene.fps
        inside = ((found.positions[own] > low) & (found.positions[own] < high)).all(axis=1)
        within = (seconds >= stay.entered) & (seconds <= stay.exited)
        around = (np.abs(seconds - stay.entered) < 1) | (np.abs(seconds - stay.exited) < 1)
        assert inside[within].mean() > 0.3
        assert inside[within][[0, -1]].all()
        assert not (inside & around & ~within).any()
        assert 0 <= stay.seen <= 1


def made(*places: tuple[float, float], visibility: float = 1.0) -> Record:
    """One person at 10 frames a second."""
    count = len(places)
    return Record(
        Scene("supermarket"),
        np.arange(count),
        np.full(count, 7),
        np.zeros(count, np.bool_),
        np.array(places, np.float64),
        np.zeros((count, 4), np.float32),
        np.full(count, visibility),
        (),
    )


STORE = Scene("supermarket").store
DOOR, LINE = sum(STORE.door) / 2, STORE.depth - 0.2
"""The middle of the entrance line."""


def at(*beyond: float) -> list[tuple[float, float]]:
    """Places in the doorway, so many metres inside the line."""
    return [(DOOR, LINE - each) for each in beyond]


@pytest.mark.parametrize(
    ("ways", "directions"),
    [
        (at(-0.5, -0.2, 0.1, 0.3), ["in"]),
        (at(0.5, 0.2, -0.1, -0.3), ["out"]),
        (at(-0.5, 0.5), ["in"]),
        # Not yet certain.
        (at(-0.5, -0.1, 0.1, 0.14), []),
        # Turned back, whether on the line or just beyond it.
        (at(-0.5, 0.1, -0.1, -0.5), []),
        (at(-0.3, 0.1, -0.1, 0.1, -0.3), []),
        (at(-0.3, 0.1, -0.1, 0.1, 0.3), ["in"]),
        # In, and out again for certain.
        (at(-0.5, 0.3, -0.3), ["in", "out"]),
        (at(-0.5, 0.1, 0.2, 0.1, -0.1, -0.2), ["in", "out"]),
        # Past the line's end.
        ([(STORE.door[1] + 1, LINE + 0.5), (STORE.door[1] + 1, LINE - 0.5)], []),
        (at(1.0, 0.5, 0.3, 0.5), []),
    ],
)
def test_a_crossing_is_one_passage(ways: list[tuple[float, float]], directions: list[str]) -> None:
    found = [each for each in crossings(made(*ways)) if each.line == "entrance"]
    assert [each.direction for each in found] == directions
    assert all(each.seen and each.person == 7 and not each.staff for each in found)


def test_a_crossing_has_the_time_of_the_step_over_the_line() -> None:
    found = crossings(made(*at(-0.4, -0.2, 0.05, 0.1, 0.2)))
    assert [each.seconds for each in found] == [0.2]


def test_a_crossing_is_seen_if_its_person_is_within_a_second() -> None:
    ways = at(*np.linspace(-2, 2, 41))
    dark = made(*ways, visibility=0.19)
    assert [each.seen for each in crossings(dark)] == [False]
    for frame, seen in ((10, False), (12, True), (30, True), (33, False)):
        dark.visibility[:] = 0.1
        dark.visibility[frame] = 0.2
        assert [each.seen for each in crossings(dark)] == [seen]


def test_a_visit_bridges_a_second_and_no_more() -> None:
    zone = next(zone for zone in STORE.zones if zone.role == "display")
    here = np.mean(zone.polygon, axis=0).tolist()
    away = (-2.0, STORE.depth + 1.0)
    steps = [away] * 3 + [here] * 5 + [away] * 9 + [here] * 2 + [away] * 10 + [here] * 4
    found = [stay for stay in visits(made(*map(tuple, steps))) if stay.zone == zone.id]
    assert [(stay.entered, stay.exited) for stay in found] == [(0.3, 1.8), (2.9, 3.2)]
    assert found[0].seen == 1.0


@pytest.mark.parametrize("fault", ["black", "frozen"])
def test_a_camera_that_shows_nothing_new_sees_nobody(fault: str) -> None:
    scene = replace(Scene("boutique", seed=1, people=10, size=(160, 90)), minutes=0.05)
    found = record(replace(scene, **{fault: ((1, 2),)}))  # type: ignore[arg-type]
    during = (found.frames >= 10) & (found.frames < 20)
    assert (found.visibility[during] == 0).all()
    assert (found.boxes[during] == 0).all()
    assert (found.visibility[~during] > 0.5).any()
    np.testing.assert_array_equal(found.positions, record(scene).positions)


def test_a_moved_camera_has_other_boxes() -> None:
    scene = replace(Scene("boutique", seed=1, people=10, size=(160, 90)), minutes=0.05)
    moved, usual = record(replace(scene, moved=((2, 9),))), record(scene)
    late = usual.frames >= 20
    np.testing.assert_array_equal(moved.boxes[~late], usual.boxes[~late])
    assert np.abs(moved.boxes[late] - usual.boxes[late]).mean() > 5


@pytest.mark.parametrize("name", sorted(STORES))
@pytest.mark.parametrize("camera", ["overview", "entrance", "aisles", "checkouts"])
def test_a_camera_is_calibrated_as_an_installer_would(name: str, camera: str) -> None:
    for seed in range(5):
        scene = Scene(name, camera, seed)
        config = camera_config(scene)
        calibration = config.calibration(scene.size[0] / scene.size[1])
        assert calibration is not None
        assert len(config.homography or ()) >= 8
        store, size = scene.store, np.array(scene.size)
        lens = Lens(store.pose(camera), scene.size, BARREL)
        rng = np.random.default_rng(seed)
        spots = rng.uniform(0, (store.width, store.depth), (400, 2))
        pixels, depth = lens.project(np.column_stack([spots, np.zeros(400)]))
        well = (depth > 0) & (np.hypot(*(spots - lens.position[:2]).T) < 10)
        well &= ((pixels > 0.05 * size) & (pixels < 0.95 * size)).all(axis=1)
        assert well.sum() > 20
        back = project(calibration, pixels[well] / size)
        assert np.hypot(*(back - spots[well]).T).max() < 0.03
        # The lens is found by the pairs alone, and with it where the camera hangs.
        assert calibration.distortion == pytest.approx(BARREL / (1 - BARREL), abs=0.003)
        assert np.hypot(*(calibration.below - lens.position[:2])) < 0.1


@pytest.mark.parametrize("name", sorted(STORES))
def test_some_camera_watches_what_matters(name: str) -> None:
    for seed in range(5):
        seen = {
            camera: camera_config(Scene(name, camera, seed))
            for camera, _ in Scene(name, seed=seed).store.cameras
        }
        for camera in ("entrance", "overview"):
            assert "entrance" in {line.id for line in seen[camera].lines}
        queues = {zone.id for zone in seen["checkouts"].zones if zone.role == "queue"}
        assert len(queues) == len(Scene(name, seed=seed).store.tills)
        assert [zone for zone in seen["aisles"].zones if zone.role == "display"]
        for config in seen.values():
            assert config.min_confidence == type(config).model_fields["min_confidence"].default


def test_a_box_says_where_one_stands() -> None:
    scene = Scene("supermarket", "overview", 3, 40, minutes=0.1)
    found, config = record(scene), camera_config(scene)
    calibration = config.calibration(scene.size[0] / scene.size[1])
    assert calibration is not None
    near = np.hypot(*(found.positions - scene.store.pose("overview").position[:2]).T) < 10
    whole = (found.visibility >= 0.9) & near & (found.boxes[:, 3] < 355)
    boxes, places = found.boxes[whole], found.positions[whole]
    assert whole.sum() > 100

    def off(points: np.ndarray) -> float:
        return float(np.median(np.hypot(*(points - places).T)))

    stood = off(stand(calibration, boxes, *scene.size))
    assert stood < 0.12
    # Below the middle of a box is where those who lean do not stand.
    assert stood < 0.7 * off(project(calibration, foot_points(boxes, *scene.size)))


def test_the_rules_are_those_that_are_documented() -> None:
    assert (module.BEYOND, module.SEEN, module.AROUND, module.BRIDGED) == (0.15, 0.2, 1.0, 1.0)
