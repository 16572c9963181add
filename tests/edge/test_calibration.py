"""From the picture to the floor: the homography, the lens, and where people stand."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edge import calibration
from edge.__main__ import main
from edge.calibration import calibrate, fit_lens, project, reprojection_errors, stand

# A camera that looks down on the floor: far rows are squeezed, the horizon is at y = 0.2.
MATRIX = np.array([[4.0, 0.0, -2.0], [0.0, 0.0, 3.0], [0.0, 1.0, -0.2]])
PICTURE = [(0.1, 0.4), (0.9, 0.4), (0.9, 0.9), (0.1, 0.9), (0.5, 0.6)]


def on_floor(u: float, v: float) -> tuple[float, float]:
    x, y, depth = MATRIX @ (u, v, 1.0)
    return float(x / depth), float(y / depth)


def test_a_homography_gives_back_its_points_and_loses_those_above_the_horizon() -> None:
    metres = [on_floor(*each) for each in PICTURE]
    found = calibrate(PICTURE, metres)
    assert reprojection_errors(found, PICTURE, metres).max() < 1e-6
    projected = project(found, np.array([(0.5, 0.1), (0.3, 0.7)]))
    assert np.isnan(projected[0]).all()
    np.testing.assert_allclose(projected[1], [(4 * 0.3 - 2) / 0.5, 3 / 0.5])


def test_a_wrong_pair_shows_in_the_reprojection_error() -> None:
    picture = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.5, 0.5), (0.25, 0.75)]
    metres = [(10 * x, 10 * y) for x, y in picture]
    metres[4] = (8.0, 5.0)
    errors = reprojection_errors(calibrate(picture, metres), picture, metres)
    assert errors.argmax() == 4
    assert errors.max() > 1.0


def slowly_bent(u: float, v: float, distortion: float, aspect: float) -> tuple[float, float]:
    """Where a lens shows what a straight one would show there: by trying, not by formula."""
    x, y = (u - 0.5) * aspect, v - 0.5
    radius, half = math.hypot(x, y), math.hypot(aspect, 1) / 2
    low, high = 0.0, radius
    for _ in range(80):
        middle = (low + high) / 2
        reached = middle * (1 + distortion * (middle / half) ** 2)
        low, high = (middle, high) if reached < radius else (low, middle)
    share = low / radius if radius else 1.0
    return 0.5 + x * share / aspect, 0.5 + y * share


@given(st.floats(0, 0.2), st.floats(1, 2), st.randoms(use_true_random=False))
def test_the_lens_is_found_by_the_pairs(distortion: float, aspect: float, random: object) -> None:
    straight = [(u, v) for u in (0.05, 0.35, 0.65, 0.95) for v in (0.4, 0.6, 0.8, 0.95)]
    picture = [slowly_bent(u, v, distortion, aspect) for u, v in straight]
    metres = [on_floor(u, v) for u, v in straight]
    found = fit_lens(picture, metres, aspect)
    assert found.distortion == pytest.approx(distortion, abs=2e-3)
    assert reprojection_errors(found, picture, metres).max() < 0.05


@pytest.mark.parametrize(
    ("count", "fit", "words"),
    [(3, calibrate, "at least 4 point pairs, not 3"), (7, fit_lens, "at least 8 point pairs")],
)
def test_too_few_pairs_are_refused(count: int, fit: object, words: str) -> None:
    pairs = [(0.1 * n, 0.4 + 0.01 * n * n) for n in range(count)]
    assert callable(fit)
    with pytest.raises(ValueError, match=words):
        fit(pairs, pairs)


def pinhole(
    height: float, tilt: float, view: float, aspect: float
) -> tuple[np.ndarray, np.ndarray]:
    """A camera over (0, 0) that looks along y, `tilt` below the horizon: its place and matrix, from
    points of the store (homogenous, z up) to picture fractions."""
    focal = aspect / 2 / math.tan(view / 2)
    inner = np.array([[focal, 0, aspect / 2], [0, focal, 0.5], [0, 0, 1]])
    sin, cos = math.sin(tilt), math.cos(tilt)
    turn = np.array([[1, 0, 0], [0, -sin, -cos], [0, cos, -sin]])
    place = np.array([0.0, 0.0, height])
    full = inner @ np.column_stack([turn, -turn @ place])
    return place, np.diag([1 / aspect, 1.0, 1.0]) @ full


@given(
    st.floats(2.5, 5), st.floats(0.35, 1.2), st.floats(0.9, 1.7), st.floats(1.2, 2), st.floats(0, 6)
)
def test_people_are_found_where_they_stand_though_they_lean(
    height: float, tilt: float, view: float, aspect: float, turned: float
) -> None:
    _, matrix = pinhole(height, tilt, view, aspect)
    spin = np.array([[math.cos(turned), -math.sin(turned)], [math.sin(turned), math.cos(turned)]])

    def shown(points: np.ndarray) -> np.ndarray:
        seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
        return np.asarray(seen[:, :2] / seen[:, 2:])

    ahead = height / math.tan(tilt)
    xs, ys = np.meshgrid([-1.5, 0.0, 1.5], [0.8 * ahead, ahead, 1.2 * ahead + 0.5])
    spots = np.column_stack([xs.ravel(), ys.ravel(), np.zeros(9)])
    feet = shown(spots)
    floor_points = [(x, y) for x, y in (spots[:, :2] @ spin.T).tolist()]
    found = calibrate([(u, v) for u, v in feet.tolist()], floor_points, aspect=aspect)
    np.testing.assert_allclose(found.below, [0, 0], atol=1e-3)
    # Sticks of 1.7 m, at whose feet a stone lies on the camera's side.
    tops = shown(spots + np.array([0, 0, 1.7]))
    near = spots * (1 - calibration.TOE / np.hypot(*spots.T[:2]))[:, None]
    stones = shown(near)
    low, high = np.minimum(tops, stones), np.maximum(tops, stones)
    size = np.array([1000 * aspect, 1000])
    boxes = np.hstack([low * size, high * size]).astype(np.float32)
    whole = ((low > 0) & (high < 1)).all(axis=1) & (tops[:, 1] < stones[:, 1])
    truth = np.array(floor_points)[whole]
    places = stand(found, boxes[whole], int(size[0]), int(size[1]))
    assert (np.hypot(*(places - truth).T) < 0.05).all()


def test_whose_feet_are_out_of_the_picture_is_found_by_the_head() -> None:
    _, matrix = pinhole(3.5, 0.6, 1.5, 16 / 9)

    def shown(*points: tuple[float, float, float]) -> np.ndarray:
        seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
        return np.asarray(seen[:, :2] / seen[:, 2:])

    corners = [(x, y) for x in (-2.0, 2.0) for y in (3.0, 9.0)]
    pixels = [(u, v) for u, v in shown(*((x, y, 0.0) for x, y in corners)).tolist()]
    found = calibrate(pixels, corners)
    for x, y in ((0.0, 1.6), (1.0, 1.8), (-1.2, 1.7)):
        (foot, head) = shown((x, y, 0.0), (x, y, calibration.STATURE)) * (1600, 900)
        assert foot[1] > 900
        # The box ends at the edge, where the body is between head and foot.
        edge = head + (foot - head) * (900 - head[1]) / (foot[1] - head[1])
        left, right = sorted((head[0], edge[0]))
        box = np.array([[left, head[1], right, 900]], np.float32)
        (place,) = stand(found, box, 1600, 900)
        assert np.hypot(*(place - (x, y))) < 0.02


def test_foot_points_are_bottom_centres_within_the_picture() -> None:
    boxes = np.array([[10, 20, 30, 80], [-50, 0, 10, 500]], np.float32)
    feet = calibration.foot_points(boxes, 100, 200)
    np.testing.assert_allclose(feet, [[0.2, 0.4], [0.0, 1.0]], atol=1e-5)
    assert (feet > 0).all()
    assert (feet < 1).all()


def test_the_command_names_the_pair_that_is_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = [slowly_bent(u, v, 0.1, 16 / 9) for u in (0.1, 0.5, 0.9) for v in (0.4, 0.7, 0.95)]
    places = [on_floor(u, v) for u in (0.1, 0.5, 0.9) for v in (0.4, 0.7, 0.95)]
    file = tmp_path / "door.yaml"

    def told(count: int) -> list[str]:
        pairs = [
            {"pixel": list(pixel), "floor": list(place)}
            for pixel, place in zip(picture[:count], places, strict=False)
        ]
        file.write_text(yaml.safe_dump({"id": "door", "source": "0", "homography": pairs}))
        assert main(["calibrate", str(file), "--size", "1920x1080"]) == 0
        return capsys.readouterr().out.splitlines()

    lines = told(9)
    assert len(lines) == 11
    assert lines[-1].startswith("distortion 0.1 fits best: off by 0.00")
    assert told(7)[-1] == "to find the lens's distortion, give at least 8 pairs"
    places[4] = (places[4][0] + 3, places[4][1])
    off = [float(line.split("off by ")[1].split()[0]) for line in told(9)[:9]]
    assert max(off) == off[4] > 1


def test_the_command_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "door.yaml"
    file.write_text(yaml.safe_dump({"id": "door", "source": "0"}))
    assert main(["calibrate", str(file)]) == 2
    assert "no homography: give at least 4 point pairs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["calibrate", str(file), "--size", "0x9"])
