"""The empty store as a camera sees it, and how far away everything is.

The ray of each picture point meets the boxes, the floor or the ceiling in one exact step (the slab
method, Kay and Kajiya 1986), which gives colours and distances at once.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.simulator.lens import Lens
from edge.simulator.store import CEILING, Store
from edge.simulator.surfaces import CEILING as LID
from edge.simulator.surfaces import FLOOR, SKY, Floats, Integers, Painter

SMOOTH = 2
"""Rays a pixel each way."""


def empty(store: Store, lens: Lens) -> tuple[npt.NDArray[np.uint8], Floats]:
    """A picture (height, width, 3), BGR, and metres over the floor (height, width) to what stands.

    Infinite where nothing stands. Distances over the floor, not along the ray, tell at any height
    of a standing body whether a shelf is before it.
    """
    width, height = lens.size
    wide, tall = width * SMOOTH, height * SMOOTH
    across = (np.arange(wide, dtype=np.float32) + 0.5) / SMOOTH
    down = (np.arange(tall, dtype=np.float32) + 0.5) / SMOOTH
    grid = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    rays: Floats = lens.rays(grid.astype(np.float32, copy=False))
    origin = lens.position.astype(np.float32)
    painter = Painter(store)
    solid = np.array([n for n, box in enumerate(store.boxes) if box.kind != "glass"])
    low, high = painter.low[solid], painter.high[solid]
    far, which, side = cast(origin, rays, low, high, _parts(lens, low, high))
    which[which >= 0] = solid[which[which >= 0]]
    over = far * np.hypot(rays[:, 0], rays[:, 1])

    rise = rays[:, 2]
    with np.errstate(divide="ignore"):
        floor = np.where(rise < 0, -origin[2] / rise, np.inf)
        lid = np.where(rise > 0, (CEILING - origin[2]) / rise, np.inf)
    place = origin[:2] + np.where(np.isfinite(lid), lid, 0)[:, None] * rays[:, :2]
    roofed = ((place > 0) & (place < (store.width, store.depth))).all(axis=1)
    for away, what in ((floor, FLOOR), (np.where(roofed, lid, np.inf), LID)):
        nearer = away < far
        far[nearer], which[nearer], side[nearer] = away[nearer], what, 2
    reach = np.where(np.isfinite(far), far, 0).astype(np.float32)
    points: Floats = origin + reach[:, None] * rays
    colours = painter.paint(which, points, side)

    inside = ((points[:, :2] > 0) & (points[:, :2] < (store.width, store.depth))).all(axis=1)
    _polish(painter, lens, solid, rays, colours, (which == FLOOR) & inside)
    fine = colours[:, ::-1].reshape(tall, wide, 3) * np.float32(255)
    picture = cv2.resize(fine, lens.size, interpolation=cv2.INTER_AREA)
    shape = (height, SMOOTH, width, SMOOTH)
    return (
        np.clip(np.rint(picture), 0, 255).astype(np.uint8),
        np.asarray(over.reshape(shape).min(axis=(1, 3))),
    )


def _polish(
    painter: Painter,
    lens: Lens,
    solid: Integers,
    rays: Floats,
    colours: Floats,
    polished: npt.NDArray[np.bool_],
) -> None:
    """A polished floor mirrors what stands on it a little, the more the flatter one looks.

    What a mirror in the floor shows is a store below the floor, seen through it.
    """
    low, high = painter.low[solid].copy(), painter.high[solid].copy()
    low[:, 2], high[:, 2] = -painter.high[solid, 2], -painter.low[solid, 2]
    origin = lens.position.astype(np.float32)
    parts = [part[polished[part]] for part in _parts(lens, low, high)]
    far, which, side = cast(origin, rays, low, high, parts)
    rows = np.flatnonzero(polished)
    rays, far, which, side = rays[rows], far[rows], which[rows], side[rows]
    which[which >= 0] = solid[which[which >= 0]]
    lid = (-CEILING - origin[2]) / rays[:, 2]
    over = lid < far
    far[over], which[over] = lid[over], LID
    points = origin + far[:, None] * rays
    points[:, 2] *= -1
    shown = np.zeros_like(colours)
    shown[rows] = painter.paint(which, points, side)
    # A dull floor blurs what it mirrors.
    shape = lens.size[1] * SMOOTH, lens.size[0] * SMOOTH
    weight = cv2.blur(polished.reshape(shape).astype(np.float32), (5, 13)).reshape(-1, 1)
    blurred = cv2.blur(shown.reshape(*shape, 3), (5, 13)).reshape(-1, 3)
    flat = 1 + rays[:, 2:] / np.linalg.norm(rays, axis=1, keepdims=True)
    share = (0.07 + 0.40 * flat**4) * (0.75 if painter.boarded else 1.0)
    colours[rows] += share * (blurred[rows] / np.maximum(weight[rows], 1e-3) - colours[rows])


def _parts(lens: Lens, low: Floats, high: Floats) -> list[Integers]:
    """For each box, the rays through the part of the picture that it may be in."""
    width, height = lens.size[0] * SMOOTH, lens.size[1] * SMOOTH
    picks = [np.array(pick) for pick in np.ndindex(2, 2, 2)]
    corners = np.stack([np.where(pick, high, low) for pick in picks], axis=1)
    pixels, depth = lens.project(corners.astype(np.float64))
    grid = np.arange(width * height).reshape(height, width)
    parts = []
    for points, deep in zip(pixels * SMOOTH, depth, strict=True):
        if (deep < 0.05).all():
            parts.append(grid[:0].ravel())
        elif (deep < 0.05).any():
            parts.append(grid.ravel())
        else:
            # The lens bends edges outwards by a few pixels.
            slack = 0.04 * np.ptp(points, axis=0).max() + 3
            left, top = np.floor(points.min(axis=0) - slack).astype(int).clip(0)
            right, bottom = np.ceil(points.max(axis=0) + slack).astype(int).clip(0)
            parts.append(grid[top:bottom, left:right].ravel())
    return parts


def cast(
    origin: Floats, rays: Floats, low: Floats, high: Floats, parts: list[Integers]
) -> tuple[Floats, Integers, Integers]:
    """Where rays first meet boxes: how far along (n,) (inf: nowhere), which box, and its side.

    Args:
        origin: (3,) where all rays begin.
        rays: (n, 3) directions.
        low, high: (boxes, 3) opposite corners.
        parts: for each box, the rays that may meet it.
    """
    far = np.full(len(rays), np.inf, np.float32)
    which = np.full(len(rays), SKY, np.int64)
    side = np.zeros(len(rays), np.int64)
    with np.errstate(divide="ignore"):
        # A ray along an axis would be 0 x inf at a face; nothing stands as far out as this.
        inverse = np.clip(np.ascontiguousarray(1 / rays.T), -1e9, 1e9)
    for box, rows in enumerate(parts):
        if not len(rows):
            continue
        near, leave = [], np.full(len(rows), np.inf, np.float32)
        for axis in range(3):
            some = inverse[axis][rows]
            one = (low[box, axis] - origin[axis]) * some
            two = (high[box, axis] - origin[axis]) * some
            near.append(np.minimum(one, two))
            leave = np.minimum(leave, np.maximum(one, two))
        enter = np.maximum(np.maximum(near[0], near[1]), near[2])
        met = np.flatnonzero((enter < leave) & (enter > 1e-3) & (enter < far[rows]))
        hit, first = rows[met], enter[met]
        far[hit], which[hit] = first, box
        side[hit] = np.where(first == near[0][met], 0, np.where(first == near[1][met], 1, 2))
    return far, which, side
