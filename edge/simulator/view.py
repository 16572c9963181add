"""Pictures of a store's crowd, as one camera takes them, and where in them everybody is."""

import math
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge.simulator import background
from edge.simulator import people as bodies
from edge.simulator.figures import PARTS, Figures, colours, figures, sequences, turned
from edge.simulator.lens import BARREL, Lens
from edge.simulator.store import Pose, Store

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

SHIFT = 4
"""Bits of a pixel's fraction that polygons are drawn with."""
ROUGH = 76 / 360
"""People who are less tall on the picture than this share of its height go without details."""
RING = 0.34 * np.array(
    [*((math.cos(a), math.sin(a), 0) for a in np.arange(8) * math.pi / 4), (0, 0, 0)]
)
DARK = 78
"""The floor round somebody, and its middle, that is in their shadow, and how dark that is."""
SAMPLES = [
    *(*bodies.HIPS, *bodies.KNEES, *bodies.ANKLES, *bodies.SHOULDERS, *bodies.ELBOWS),
    *(*bodies.HANDS, bodies.NECK_JOINT, bodies.HEAD_JOINT),
]
"""The joints that tell, with the trunk's middle, how much of somebody is seen."""
SILHOUETTE = (
    [-0.03, 0.0, 0.4, 0.52, 0.6, 0.85, 0.9, 0.93, 1.05, 1.07],
    [0.0, 0.09, 0.08, 0.115, 0.11, 0.13, 0.06, 0.07, 0.06, 0.0],
)
"""Half the breadth of a body, in its height, from the feet (0) to the middle of the head (1)."""


class Scenery(Protocol):
    """What is drawn: people (see `edge.simulator.people.PERSON`) at a time in seconds."""

    @property
    def people(self) -> npt.NDArray[np.void]: ...

    @property
    def time(self) -> float: ...


class View:
    """One camera's view of a store; the empty store is drawn once, at the start.

    Args:
        store: what stands in it.
        pose: where the camera is and looks to.
        size: the picture's width and height in pixels.
        lens: barrel distortion, a vignette, and light that slowly wavers.
        noise: a sensor's noise.
    """

    def __init__(
        self,
        store: Store,
        pose: Pose,
        size: tuple[int, int] = (640, 360),
        *,
        lens: bool = True,
        noise: bool = True,
    ) -> None:
        self.lens = Lens(pose, size, BARREL if lens else 0.0)
        self.size = size
        self._wavers = lens
        width, height = size
        ys, xs = np.mgrid[:height, :width] + 0.5
        self._vignette = np.ones((height, width), np.float32)
        if lens:
            away = np.hypot(xs - width / 2, ys - height / 2) / np.hypot(width / 2, height / 2)
            self._vignette = (1 - 0.26 * away**2.6).astype(np.float32)
        picture, self.range = background.empty(store, self.lens)
        shaded = np.rint(picture * self._vignette[:, :, None])
        self._empty: Image = shaded.astype(np.uint8)
        # How much a shadow may take: nothing of what stands, and less of a dark floor.
        light = cv2.cvtColor(self._empty, cv2.COLOR_BGR2GRAY) * 0.4
        self._floor = np.where(np.isinf(self.range), light, 0).astype(np.uint8)
        self._top = int(self._floor.any(axis=1).argmax()) // 4 * 4
        self._noise: Image | None = None
        if noise:
            rng = np.random.default_rng(5)
            grain = rng.normal(0, 2.4, (height + 64, width + 64, 3))
            grain += rng.normal(0, 1.6, (height + 64, width + 64, 1))
            self._noise = np.clip(np.round(grain + 12), 0, 24).astype(np.uint8)

    def draw(self, crowd: Scenery) -> Image:
        """A picture (height, width, 3), BGR, of the crowd now."""
        picture = self._empty.copy()
        people = crowd.people
        over = people["position"] - self.lens.position[:2]
        # `take`: indexing copies rows field by field, of which there are many.
        people = people.take(np.argsort(-np.hypot(over[:, 0], over[:, 1])))
        shown = figures(people, self.lens)
        within = self._within(shown)
        if within.any():
            self._shadows(picture, people.take(np.flatnonzero(within)))
            self._people(picture, people, shown, within)
        return self._light(picture, crowd.time)

    def black(self, time: float) -> Image:
        """The picture of a camera that gets no light."""
        return self._light(np.zeros_like(self._empty), time)

    def _within(self, shown: Figures) -> npt.NDArray[np.bool_]:
        return np.asarray(
            (shown.depth > 0.3) & (shown.high > 0).all(axis=1) & (shown.low < self.size).all(axis=1)
        )

    def _shadows(self, picture: Image, people: npt.NDArray[np.void]) -> None:
        """Soft shadows on the floor, below everybody."""
        width, height = self.size
        middle = np.column_stack([people["position"], np.zeros(len(people))])
        points, depth = self.lens.project(middle[:, None] + RING)
        # Who stands behind a shelf has their shadow there too.
        x, y = points[:, -1].astype(int).clip(0, (width - 1, height - 1)).T
        cast = np.isinf(self.range[y, x]) & (depth.min(axis=1) > 0.3)
        polygons = ((points[cast, :-1] / 4 - 0.5) * 2**SHIFT).astype(np.int32)
        small = np.zeros((height // 4, width // 4), np.uint8)
        for polygon in polygons:
            cv2.fillConvexPoly(small, polygon, DARK, cv2.LINE_8, SHIFT)
        # Only below the farthest floor.
        soft = cv2.blur(small, (5, 5))[self._top // 4 :]
        shade = cv2.resize(soft, (width, height - self._top), interpolation=cv2.INTER_LINEAR)
        shade = cv2.cvtColor(cv2.min(shade, self._floor[self._top :]), cv2.COLOR_GRAY2BGR)
        cv2.subtract(picture[self._top :], shade, picture[self._top :])

    def _people(
        self,
        picture: Image,
        people: npt.NDArray[np.void],
        shown: Figures,
        within: npt.NDArray[np.bool_],
    ) -> None:
        """Far to near, and after each what stands before them again."""
        width, height = self.size
        low = np.floor(shown.low - 1).astype(int).clip(0)
        high = np.ceil(shown.high + 2).astype(int)
        outlines = np.ascontiguousarray(shown.outlines.transpose(3, 2, 1, 0))
        # OpenCV counts from the middle of the first pixel, not from its corner.
        outlines = np.rint((outlines - 0.5) * 2**SHIFT).astype(np.int32)
        x, y = shown.joints[:, bodies.NECK_JOINT].astype(int).clip(0, (width - 1, height - 1)).T
        away, right_side = turned(people, self.lens)
        tints = colours(people, right_side, 0.97 * self._vignette[y, x])
        rough = high[:, 1] - low[:, 1] < ROUGH * height
        orders = sequences(people, away, right_side, rough)
        lows, highs, overs = low.tolist(), high.tolist(), shown.over.tolist()
        for row in np.flatnonzero(within).tolist():
            (left, top), (right, bottom), over = lows[row], highs[row], overs[row]
            before = self.range[top:bottom, left:right] < over
            hidden = np.count_nonzero(before)
            if hidden == before.size:
                continue
            body, first = outlines[row], row * PARTS
            for part in orders[row]:
                tint = tints[first + part]
                cv2.fillConvexPoly(picture, body[part], tint, cv2.LINE_AA, SHIFT)
            if hidden:
                cv2.copyTo(
                    self._empty[top:bottom, left:right],
                    before.view(np.uint8),
                    picture[top:bottom, left:right],
                )

    def _light(self, picture: Image, time: float) -> Image:
        gain = 1.0
        if self._wavers:
            gain += 0.018 * math.sin(time * 0.83) + 0.009 * math.sin(time * 2.9 + 1)
        if self._noise is not None:
            tick = round(time * 1000)
            x, y = tick * 7919 % 64, tick * 104729 % 61
            width, height = self.size
            grain = self._noise[y : y + height, x : x + width]
            return np.asarray(cv2.addWeighted(picture, gain, grain, 1.0, -12.0), np.uint8)
        if gain != 1.0:
            return np.asarray(cv2.convertScaleAbs(picture, alpha=gain), np.uint8)
        return picture

    def boxes(self, crowd: Scenery) -> tuple[npt.NDArray[np.float32], Floats]:
        """Everybody's box (n, 4), and how much of each is seen (n,), in the order of the people.

        Boxes are left, top, right, bottom in pixels round the whole body, hidden or not, clipped
        to the picture (width and height 0: outside it). Visibility is the share, 0 to 1, of a
        body's sample points that lie in the picture and that no shelf, wall or nearer person hides.
        """
        people = crowd.people
        shown = figures(people, self.lens)
        within = self._within(shown)
        boxes = np.concatenate([shown.low, shown.high], axis=1).clip(0, (*self.size, *self.size))
        boxes[~within] = 0
        seen = np.zeros(len(people))
        seen[within] = self._seen(shown[np.flatnonzero(within)])
        return boxes.astype(np.float32), seen

    def _seen(self, shown: Figures) -> Floats:
        width, height = self.size
        joints, over = shown.joints, shown.over
        trunk = joints[:, [*bodies.HIPS, *bodies.SHOULDERS]].mean(axis=1, keepdims=True)
        samples = np.concatenate([joints[:, SAMPLES], trunk], axis=1)
        x, y = np.floor(samples).astype(int).transpose(2, 0, 1)
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        bare = self.range[y.clip(0, height - 1), x.clip(0, width - 1)] >= over[:, None]
        feet, head = joints[:, bodies.ANKLES].mean(axis=1), joints[:, bodies.HEAD_JOINT]
        # Only those whose boxes meet can hide each other.
        meet = ((shown.low[:, None] < shown.high) & (shown.low < shown.high[:, None])).all(axis=2)
        back, front = np.nonzero(meet & (over[:, None] > over))
        axis = (head - feet)[front]
        length = np.maximum(np.hypot(axis[:, 0], axis[:, 1]), 1e-6)[:, None]
        apart = samples[back] - feet[front, None]
        along = (apart * axis[:, None]).sum(axis=2) / length**2
        across = np.abs(apart[..., 0] * axis[:, 1:] - apart[..., 1] * axis[:, :1]) / length**2
        covered = np.zeros(inside.shape, np.bool_)
        np.logical_or.at(covered, back, across < np.interp(along, *SILHOUETTE))
        return np.asarray((inside & bare & ~covered).mean(axis=1))
