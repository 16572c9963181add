"""A camera's geometry: from the store to the picture and back."""

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge.simulator.store import Pose

Floats = npt.NDArray[np.float64]
Number = TypeVar("Number", np.float32, np.float64)

BARREL = 0.045
"""How far the middle of the picture is pulled outwards by the lens."""


class Lens:
    """A pinhole camera at a pose, with barrel distortion where `barrel` is not 0.

    A picture point at radius r, in half diagonals from the middle, shows what a pinhole would show
    at r (1 - barrel + barrel r^2), so corners stay corners and no picture edge is black.
    """

    def __init__(self, pose: Pose, size: tuple[int, int], barrel: float = 0.0) -> None:
        self.pose, self.size, self.barrel = pose, size, barrel
        self.position = np.array(pose.position, np.float64)
        self.middle = np.array(size) / 2
        self.focal = size[0] / 2 / math.tan(math.radians(pose.field_of_view) / 2)
        self._radius = float(np.hypot(*self.middle))
        ahead = np.array(pose.target) - self.position
        ahead /= np.linalg.norm(ahead)
        # With y down the plan the axes are left-handed: the right hand is up x ahead.
        right = np.array([-ahead[1], ahead[0], 0.0])
        right /= np.linalg.norm(right)
        down = np.array([0.0, 0.0, -1.0]) + ahead[2] * ahead
        self.rotation = np.stack([right, down / np.linalg.norm(down), ahead])

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Picture points (..., 2) in pixels of points (..., 3), and their depth (...) in metres.

        Where the depth is not positive, the point lies behind the camera.
        """
        seen = (points - self.position) @ self.rotation.T
        depth = seen[..., 2]
        flat = seen[..., :2] * (self.focal / np.maximum(depth, 0.05))[..., None]
        if self.barrel:
            flat *= self._bent(np.hypot(flat[..., 0], flat[..., 1]) / self._radius)[..., None]
        return flat + self.middle, depth

    def _bent(self, radius: Floats) -> Floats:
        """The factor on a pinhole's radius that gives the lens's, by Newton's method."""
        radius = np.minimum(radius, 3.0)
        bent = radius.copy()
        for _ in range(4):
            value = bent * (1 - self.barrel + self.barrel * bent**2) - radius
            bent -= value / (1 - self.barrel + 3 * self.barrel * bent**2)
        return np.asarray(bent / np.maximum(radius, 1e-9))

    def rays(self, points: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """(n, 3) directions in the store of picture points (n, 2) in pixels, as exact as these."""
        kind = points.dtype
        flat = points - self.middle.astype(kind)
        if self.barrel:
            square = (flat * flat).sum(axis=1, keepdims=True) / kind.type(self._radius**2)
            flat *= 1 + kind.type(self.barrel) * (square - 1)
        ahead = np.ones((len(flat), 3), kind)
        ahead[:, :2] = flat / kind.type(self.focal)
        return ahead @ self.rotation.astype(kind)
