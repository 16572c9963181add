"""From the picture to the floor: what the lens bends, and the homography of the rest.

Picture points are fractions of its width and height. A lens is described by one number, Brown's
first radial coefficient (1966): a point at radius r from the picture's middle, in half diagonals,
would be at r (1 + distortion r²) without it. Barrel distortion, which all wide lenses have, is
above 0. Lengths that a lens changes by a common factor are the homography's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Points = Sequence[tuple[float, float]]

LEAST_PAIRS = 4
LENS_PAIRS = 8
"""Fewer point pairs say too little of the lens."""
MOST_DISTORTION = 0.4
EDGE = 1e-6
FAR = 1e6
STATURE = 1.7
"""Metres that a person is tall who is not seen whole."""
CUT = 2
"""Boxes that end so many pixels from the picture's lower edge may go on beyond it."""
TOE = 0.12
"""Metres from the body's middle to what of it is nearest to the camera on the floor."""


@dataclass(frozen=True)
class Calibration:
    """How a camera sees its floor.

    `matrix` (3, 3) takes straightened picture fractions to floor metres, `distortion` is of the
    lens, `aspect` the picture's width in heights. `nadir` (2,) is the straightened picture point at
    which all upright things point, and `below` (2,) in metres the same point on the floor, below
    the camera. `heads` (3, 3) is like `matrix` for points at the height of `STATURE`.
    """

    matrix: Floats
    distortion: float
    aspect: float
    nadir: Floats
    below: Floats
    heads: Floats


def calibrate(
    picture: Points, floor: Points, distortion: float = 0.0, aspect: float = 16 / 9
) -> Calibration:
    """The calibration that n >= 4 pairs of points (n, 2) give, by least squares.

    Raises:
        ValueError: fewer than 4 pairs, or points that leave the homography open.
    """
    if len(picture) < LEAST_PAIRS:
        raise ValueError(f"a homography needs at least 4 point pairs, not {len(picture)}")
    source = straighten(np.asarray(picture, np.float64), distortion, aspect)
    target = np.asarray(floor, np.float64)
    if _freedom(source, target) < 1e-4:
        raise ValueError(
            "three of four points lie on one line, which leaves the homography open: "
            "take points at the corners of an area"
        )
    matrix, _ = cv2.findHomography(source, target, method=0)
    if matrix is None or not np.isfinite(matrix).all():
        raise ValueError("no homography fits these point pairs: check them")
    depth = np.column_stack([source, np.ones(len(source))]) @ matrix[2]
    if depth.min() * depth.max() <= 0:
        raise ValueError("the point pairs contradict one another: check their order")
    upright = np.asarray(matrix * np.sign(depth[0]), np.float64)
    to_picture = np.asarray(np.linalg.inv(upright), np.float64)
    up = _up(to_picture, aspect)
    nadir = np.clip(up[:2] / (up[2] or 1e-12), -FAR, FAR)
    below = upright @ (*nadir, 1.0)
    heads = np.linalg.inv(to_picture + np.outer(STATURE * up, [0, 0, 1]))
    return Calibration(upright, distortion, aspect, nadir, below[:2] / below[2], heads)


def fit_lens(picture: Points, floor: Points, aspect: float = 16 / 9) -> Calibration:
    """The calibration with the distortion that leaves the least reprojection error (RMS).

    Raises:
        ValueError: fewer than 8 pairs, or as `calibrate`.
    """
    if len(picture) < LENS_PAIRS:
        raise ValueError(f"a lens needs at least {LENS_PAIRS} point pairs, not {len(picture)}")
    best, step = 0.0, MOST_DISTORTION / 4

    def error(distortion: float) -> float:
        try:
            found = calibrate(picture, floor, distortion, aspect)
        except ValueError:
            return np.inf
        return float(np.square(reprojection_errors(found, picture, floor)).mean())

    # The error has one valley there: go down it by ever smaller steps.
    while step > 1e-4:
        tried = [
            max(min(best + way * step, MOST_DISTORTION), -MOST_DISTORTION) for way in (0, -1, 1)
        ]
        least = min(tried, key=error)
        step = step / 2 if least == best else step
        best = least
    return calibrate(picture, floor, round(best, 4), aspect)


def straighten(points: Floats, distortion: float, aspect: float) -> Floats:
    """Where picture fractions (n, 2) would be without the lens's distortion, (n, 2)."""
    away = points - 0.5
    square = (away * (aspect, 1.0)) ** 2 / ((aspect**2 + 1) / 4)
    return np.asarray(0.5 + away * (1 + distortion * square.sum(axis=1, keepdims=True)))


def foot_points(boxes: npt.NDArray[np.float32], width: int, height: int) -> Floats:
    """(n, 2) picture fractions of the bottom centres of boxes (n, 4) in xyxy pixels."""
    feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    # Not to the edge itself, where lines and zones end that are drawn up to it.
    return np.clip(feet.astype(np.float64) / (width, height), EDGE, 1.0 - EDGE)


def stand(
    calibration: Calibration, boxes: npt.NDArray[np.float32], width: int, height: int
) -> Floats:
    """Floor points (n, 2) in metres where people with boxes (n, 4) in xyxy pixels stand.

    At the sides of a picture that is taken from above, people lean away from the nadir: feet are
    not below the middle of a box, but where a line from the middle to the nadir meets its bottom.
    What touches the bottom is the foot nearest to the camera; the body is over a place behind it.
    Who is cut off by the picture's lower edge stands below their head, if they are `STATURE` tall.
    """
    middle = straighten(
        (boxes[:, :2] + boxes[:, 2:]).astype(np.float64) / (2 * width, 2 * height),
        calibration.distortion,
        calibration.aspect,
    )
    half = (boxes[:, 3] - boxes[:, 1]).astype(np.float64) / (2 * height)
    x, y = calibration.nadir
    # With a nadir in the picture, feet are no farther than the nadir itself.
    lean = np.clip(half / np.maximum(y - middle[:, 1], half), 0.0, 1.0)
    lean = (lean * (x - middle[:, 0]))[:, None] * (1.0, 0.0)
    bottom = straighten(
        foot_points(boxes, width, height), calibration.distortion, calibration.aspect
    )
    near = _to_floor(calibration.matrix, bottom + lean)
    away = near - calibration.below
    feet = near + away * (TOE / np.maximum(np.hypot(*away.T), TOE))[:, None]
    cut = boxes[:, 3] >= height - CUT
    if cut.any():
        tops = np.stack([(boxes[cut, 0] + boxes[cut, 2]) / 2, boxes[cut, 1]], axis=1)
        top = straighten(
            tops.astype(np.float64) / (width, height), calibration.distortion, calibration.aspect
        )
        feet[cut] = _to_floor(calibration.heads, top - lean[cut])
    return np.asarray(feet)


def project(calibration: Calibration, points: Floats) -> Floats:
    """Floor points (n, 2) in metres of picture fractions (n, 2); NaN above the horizon."""
    straight = straighten(points, calibration.distortion, calibration.aspect)
    return _to_floor(calibration.matrix, straight)


def _to_floor(matrix: Floats, straight: Floats) -> Floats:
    projected = np.column_stack([straight, np.ones(len(straight))]) @ matrix.T
    depth = np.where(projected[:, 2] > 1e-9, projected[:, 2], np.nan)
    return np.asarray(projected[:, :2] / depth[:, None])


def reprojection_errors(calibration: Calibration, picture: Points, floor: Points) -> Floats:
    """(n,) metres between where the calibration puts the picture's points and where they are."""
    projected = project(calibration, np.asarray(picture, np.float64))
    return np.asarray(np.linalg.norm(projected - np.asarray(floor), axis=1))


def _up(to_picture: Floats, aspect: float) -> Floats:
    """What a metre upwards adds to a floor point's homogenous picture point, (3,).

    A homography of a floor gives a camera's focal length, if its pixels are square and its axis
    goes through the picture's middle (Zhang 2000, A flexible new technique for camera
    calibration, 3.1), and with it the vertical, which is across both of the floor's axes.

    Args:
        to_picture: (3, 3) from floor metres to straightened picture fractions.
        aspect: the picture's width in heights.
    """
    middle = np.array([[aspect, 0, -aspect / 2], [0, 1, -0.5], [0, 0, 1]])
    axes = middle @ to_picture
    (ax, ay, az), (bx, by, bz), _ = (axes / np.linalg.norm(axes[:, 0])).T
    known = np.array([ax * bx + ay * by, ax**2 + ay**2 - bx**2 - by**2])
    unknown = np.array([az * bz, az**2 - bz**2])
    square = -(known @ unknown) / max(unknown @ unknown, 1e-12)
    # One that looks straight down leaves it open, and needs it least.
    focal = np.sqrt(square if 0.05 < square < 50 else aspect**2 / 2)
    lens = np.array([focal, focal, 1.0])
    one, two = axes[:, 0] / lens, axes[:, 1] / lens
    across = np.cross(one, two) / np.linalg.norm(one) * lens
    up = np.linalg.inv(middle) @ across
    # Upwards is up in the picture's middle.
    spot = np.linalg.solve(to_picture, [0.5, 0.5, 1.0])
    foot = to_picture @ spot / spot[2]
    higher = foot + 0.01 * up
    return np.asarray(up if higher[1] / higher[2] < foot[1] / foot[2] else -up)


def _freedom(source: Floats, target: Floats) -> float:
    """How far the pairs are from leaving the homography open: 0 is open.

    The ratio of the eighth to the first singular value of the direct linear transformation's
    equations, on normalised points (Hartley & Zisserman, Multiple View Geometry, 4.1).
    """
    (x, y), (u, v) = (
        ((points - points.mean(axis=0)) / (np.ptp(points, axis=0).max() or 1.0)).T
        for points in (source, target)
    )
    one, zero = np.ones_like(x), np.zeros_like(x)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    singular = np.linalg.svd(equations, compute_uv=False)
    return float(singular[7] / singular[0])
