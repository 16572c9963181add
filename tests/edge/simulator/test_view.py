"""Pictures: what hides whom, where boxes are, and any pose that a camera may have."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from edge.simulator import Crowd, Pose, Scene, View, plan
from edge.simulator.lens import BARREL, Lens
from edge.simulator.people import ANKLES, HEAD_JOINT, PERSON, dressed, joints
from edge.simulator.store import Box, Store

SIZE = (320, 180)
STORE = plan("supermarket", 2)


@dataclass
class Placed:
    """People put where a test wants them."""

    people: npt.NDArray[np.void]
    time: float = 0.0


def standing(*places: tuple[float, float], height: float = 1.7) -> Placed:
    people = dressed(np.random.default_rng(1), len(places))
    people["id"] = np.arange(1, len(places) + 1)
    people["position"], people["height"] = places, height
    people["carries"] = 0
    return Placed(people)


def view(store: Store, pose: Pose, **more: bool) -> View:
    return View(store, pose, SIZE, **{"lens": False, "noise": False, **more})


SHELF = Box((4.0, 3.0, 0.0), (7.0, 3.6, 1.6), "shelf")
BARE = replace(STORE, boxes=(*(box for box in STORE.boxes if box.kind == "wall"), SHELF))
OPPOSITE = Pose((5.5, 10.5, 1.5), (5.5, 3.0, 1.0), 60)
"""Looks at the shelf from the front, no higher than its top."""


def changed(camera: View, crowd: Placed) -> npt.NDArray[np.bool_]:
    empty = camera.draw(Placed(crowd.people[:0]))
    return np.asarray((camera.draw(crowd) != empty).any(axis=2))


def test_who_is_wholly_behind_a_shelf_changes_no_pixel() -> None:
    camera, crowd = view(BARE, OPPOSITE), standing((5.5, 2.5), height=1.4)
    boxes, visibility = camera.boxes(crowd)
    assert visibility.tolist() == [0.0]
    assert not changed(camera, crowd).any()
    left, top, right, bottom = boxes[0]
    assert right - left > 5
    assert bottom - top > 30


@pytest.mark.parametrize("heading", [0.0, 1.0, 2.5, 4.0])
def test_who_stands_before_a_shelf_is_seen_whole_within_their_box(heading: float) -> None:
    camera, crowd = view(BARE, OPPOSITE), standing((5.5, 4.2), height=1.4)
    crowd.people["heading"] = heading
    boxes, visibility = camera.boxes(crowd)
    assert visibility.tolist() == [1.0]
    left, top, right, bottom = boxes[0]
    # The shadow lies on the floor round the feet, below the shins.
    shins = int(bottom - 0.2 * (bottom - top))
    rows, columns = np.nonzero(changed(camera, crowd)[:shins])
    assert left - 1.5 <= columns.min() <= left + 3
    assert right - 3 <= columns.max() + 1 <= right + 1.5
    assert top - 1.5 <= rows.min() <= top + 2
    assert changed(camera, crowd)[int(bottom) - 2].any()


def test_a_low_shelf_hides_the_legs() -> None:
    low = replace(BARE, boxes=(*BARE.boxes[:-1], replace(SHELF, high=(7.0, 3.6, 0.9))))
    camera, crowd = view(low, OPPOSITE), standing((5.5, 2.5))
    boxes, visibility = camera.boxes(crowd)
    assert 0.3 < visibility[0] < 0.8
    rows = np.nonzero(changed(camera, crowd))[0]
    edge = camera.lens.project(np.array([[5.5, 3.6, 0.9]]))[0][0, 1]
    assert rows.max() <= edge + 1
    assert boxes[0, 3] > edge + 10


def test_the_nearer_hides_the_farther() -> None:
    camera = view(BARE, OPPOSITE)
    both = standing((5.5, 4.5), (5.5, 6.0))
    _, visibility = camera.boxes(both)
    assert visibility[0] < 0.25
    assert visibility[1] == 1.0
    np.testing.assert_array_equal(
        changed(camera, both)[:60], changed(camera, Placed(both.people[1:]))[:60]
    )
    _, aside = camera.boxes(standing((4.5, 4.5), (5.5, 6.0)))
    assert aside.tolist() == [1.0, 1.0]


def test_a_wall_hides_who_is_behind_it() -> None:
    walled = replace(BARE, boxes=(*BARE.boxes, Box((0, 5, 0), (18, 5.1, 5.4), "wall")))
    crowd = standing((5.5, 4.2))
    assert view(BARE, OPPOSITE).boxes(crowd)[1].tolist() == [1.0]
    camera = view(walled, OPPOSITE)
    assert camera.boxes(crowd)[1].tolist() == [0.0]
    assert not changed(camera, crowd).any()


@pytest.mark.parametrize("lens", [False, True])
def test_what_begins_behind_the_camera_is_seen_before_it(lens: bool) -> None:
    long = replace(BARE, boxes=(Box((6.5, 0.0, 0.0), (7.0, 12.0, 3.5), "shelf"),))
    camera = view(long, Pose((5.0, 10.0, 3.0), (5.6, 5.0, 0.5), 90), lens=lens)
    face = np.array([[6.5, y, z] for y in np.arange(1, 9, 0.25) for z in (0.2, 1.5, 3.3)])
    pixels, depth = camera.lens.project(face)
    shown = (depth > 0.1) & ((pixels > 1) & (pixels < (319, 179))).all(axis=1)
    assert shown.sum() > 20
    x, y = pixels[shown].astype(int).T
    far = np.hypot(*(face[shown, :2] - (5.0, 10.0)).T)
    np.testing.assert_allclose(camera.range[y, x], far, rtol=0.1)


def test_glass_hides_nobody() -> None:
    middle = sum(STORE.door) / 2
    side = STORE.door[1] + 1.2 if STORE.door[1] + 3 < STORE.width else STORE.door[0] - 1.2
    pose = Pose((middle, STORE.depth - 5, 3.0), (side, STORE.depth, 0.5), 70)
    outside = standing((side, STORE.depth + 1.4))
    camera = view(STORE, pose)
    assert camera.boxes(outside)[1][0] > 0.5
    assert changed(camera, outside).any()


def test_who_is_out_of_the_picture_has_no_box() -> None:
    camera = view(BARE, OPPOSITE)
    boxes, visibility = camera.boxes(standing((5.5, 11.5), (0.5, 10.4)))
    assert boxes.tolist() == [[0, 0, 0, 0]] * 2
    assert visibility.tolist() == [0, 0]


def test_an_empty_crowd_is_no_trouble() -> None:
    camera = view(BARE, OPPOSITE, lens=True, noise=True)
    nobody = Placed(np.zeros(0, PERSON))
    assert camera.draw(nobody).shape == (180, 320, 3)
    assert camera.boxes(nobody)[0].shape == (0, 4)
    assert camera.boxes(nobody)[1].shape == (0,)


def test_right_is_right() -> None:
    """A plan with y down must not come out as its mirror image."""
    camera = Lens(Pose((5, 10, 3), (5, 5, 0)), SIZE)
    pixels, _ = camera.project(np.array([[6.0, 5.0, 0.0], [4.0, 5.0, 0.0], [5.0, 5.0, 1.0]]))
    assert pixels[0, 0] > 160 > pixels[1, 0]
    assert pixels[2, 1] < 90


@given(
    some.floats(2.3, 5.0),
    some.floats(math.radians(15), math.radians(70)),
    some.floats(0, 2 * math.pi),
    some.sampled_from([0.0, BARREL, 0.1]),
    some.tuples(some.floats(0, 320), some.floats(0, 180)),
)
def test_a_ray_goes_where_the_picture_point_came_from(
    height: float, down: float, turn: float, barrel: float, pixel: tuple[float, float]
) -> None:
    ahead = (math.cos(turn) * math.cos(down), math.sin(turn) * math.cos(down))
    pose = Pose((5, 5, height), (5 + ahead[0], 5 + ahead[1], height - math.sin(down)), 80)
    lens = Lens(pose, SIZE, barrel)
    ray = lens.rays(np.array([pixel]))
    back, depth = lens.project(lens.position + 3 * ray)
    np.testing.assert_allclose(back[0], pixel, atol=1e-3)
    assert depth[0] == pytest.approx(3)


def test_the_lens_bends_lines_outwards_and_keeps_the_corners() -> None:
    pose = Pose((5, 10, 3), (5, 5, 0))
    flat, bent = Lens(pose, SIZE), Lens(pose, SIZE, 0.1)
    corner = np.array([[0.0, 0.0], [320.0, 180.0]])
    np.testing.assert_allclose(flat.rays(corner), bent.rays(corner))
    points = flat.position + flat.rays(np.array([[80.0, 90.0]]))
    assert bent.project(points)[0][0, 0] < 80 - 3


@settings(max_examples=12, deadline=None)
@given(
    some.floats(2.3, 5.0),
    some.floats(math.radians(15), math.radians(70)),
    some.floats(0, 2 * math.pi),
    some.booleans(),
)
def test_any_sensible_pose_has_a_picture(
    height: float, down: float, turn: float, lens: bool
) -> None:
    x, y = STORE.width / 2, STORE.depth - 3.9
    ahead = (math.cos(turn) * math.cos(down), math.sin(turn) * math.cos(down))
    pose = Pose((x, y, height), (x + ahead[0], y + ahead[1], height - math.sin(down)), 85)
    camera = View(STORE, pose, (160, 90), lens=lens, noise=lens)
    picture = camera.draw(CROWD)
    assert picture.shape == (90, 160, 3)
    assert picture.dtype == np.uint8
    assert 40 < picture.mean() < 230
    boxes, visibility = camera.boxes(CROWD)
    assert len(boxes) == len(CROWD.people)
    assert (boxes >= 0).all()
    assert (boxes <= (160, 90, 160, 90)).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert ((visibility >= 0) & (visibility <= 1)).all()
    assert (visibility[boxes[:, 2] == boxes[:, 0]] == 0).all()


CROWD = Crowd(STORE, 40, 1)


def test_drawing_changes_nothing_and_the_noise_moves() -> None:
    camera = Scene("supermarket", seed=2, size=(160, 90)).view()
    before = CROWD.people.tobytes()
    first = camera.draw(CROWD)
    np.testing.assert_array_equal(camera.draw(CROWD), first)
    assert CROWD.people.tobytes() == before
    later = Placed(CROWD.people, CROWD.time + 0.1)
    assert (camera.draw(later) != first).mean() > 0.5


def test_feet_stand_on_the_floor_and_legs_swing() -> None:
    people = dressed(np.random.default_rng(3), 200)
    people["pace"] = np.linspace(0, 1.4, 200)
    body = joints(people)
    ankles = body[:, ANKLES]
    low = ankles[..., 2].min(axis=1) / people["height"]
    assert (np.abs(low - 0.045) < 1e-6).all()
    assert (body[..., 2] > 0).all()
    top = body[:, HEAD_JOINT, 2] / people["height"]
    assert ((top > 0.85) & (top < 0.95)).all()
    stride = np.hypot(*(ankles[:, 0] - ankles[:, 1])[:, :2].T)
    assert stride[:20].max() < 0.3
    assert stride[150:].max() > 0.5
