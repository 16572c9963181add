"""The configuration of a scene's camera, as somebody who installs it would make it."""

import numpy as np
import numpy.typing as npt

from edge.calibration import fit_lens
from edge.config import CameraConfig, LineConfig, Point, PointPair, ZoneConfig
from edge.simulator import background
from edge.simulator.lens import BARREL, Lens
from edge.simulator.scene import Scene, address
from edge.simulator.store import Store

Floats = npt.NDArray[np.float64]

PAIRS = 16
"""Points on the floor that are clicked on the picture."""
FARTHEST = 14.0
"""Metres from the camera beyond which nothing is measured."""
LINE_SEEN, ZONE_SEEN = 0.95, 0.75
"""The shares of a line's and a zone's floor that must be in view for the camera to watch it."""


def camera_config(scene: Scene) -> CameraConfig:
    """The camera with its homography, and those of the store's lines and zones that it sees well.

    The pairs are spread over the floor in view and read off the picture to a tenth of a pixel;
    the lens's distortion is the one that fits them, as `passerby-edge calibrate` tells it.
    """
    store = scene.store
    lens = Lens(store.pose(scene.camera), scene.size, BARREL if scene.lens else 0.0)
    chosen = _spread(store, lens)
    pixels, _ = lens.project(np.column_stack([chosen, np.zeros(len(chosen))]))
    fractions = np.round(np.round(pixels, 1) / scene.size, 6).tolist()
    places = np.round(chosen, 3).tolist()
    aspect = scene.size[0] / scene.size[1]
    return CameraConfig(
        id=f"{scene.name}-{scene.camera}",
        name=f"{scene.name.capitalize()}, {scene.camera}",
        source=address(scene),
        homography=tuple(
            PointPair(pixel=pixel, floor=place)
            for pixel, place in zip(fractions, places, strict=True)
        ),
        distortion=fit_lens(fractions, places, aspect).distortion if scene.lens else 0.0,
        lines=tuple(line for line in store.lines if _line_seen(store, lens, line)),
        zones=tuple(zone for zone in store.zones if _zone_seen(store, lens, zone)),
    )


def floor_seen(store: Store, lens: Lens, points: Floats) -> npt.NDArray[np.bool_]:
    """(n,) which floor points (n, 2) are in the picture, near enough, with nothing before them."""
    spots = np.column_stack([points, np.zeros(len(points))])
    pixels, depth = lens.project(spots)
    margin = 0.01 * np.array(lens.size)
    within = (depth > 0) & ((pixels > margin) & (pixels < lens.size - margin)).all(axis=1)
    within &= np.hypot(*(points - lens.position[:2]).T) < FARTHEST
    solid = [box for box in store.boxes if box.kind != "glass"]
    far, _, _ = background.cast(
        lens.position.astype(np.float32),
        (spots - lens.position).astype(np.float32),
        np.array([box.low for box in solid], np.float32),
        np.array([box.high for box in solid], np.float32),
        [np.arange(len(points))] * len(solid),
    )
    return np.asarray(within & (far > 0.999))


def _spread(store: Store, lens: Lens) -> Floats:
    """Points far from each other on the floor in view."""
    xs, ys = np.meshgrid(
        np.arange(0.25, store.width, 0.25), np.arange(0.25, store.depth, 0.25), indexing="ij"
    )
    grid = np.stack([xs.ravel(), ys.ravel()], axis=1)
    grid = grid[floor_seen(store, lens, grid)]
    chosen = [int(np.hypot(*(grid - lens.position[:2]).T).argmin())]
    apart = np.full(len(grid), np.inf)
    while len(chosen) < PAIRS:
        apart = np.minimum(apart, np.hypot(*(grid - grid[chosen[-1]]).T))
        chosen.append(int(apart.argmax()))
    return grid[chosen]


def _line_seen(store: Store, lens: Lens, line: LineConfig) -> bool:
    first, last = np.array(line.points[0]), np.array(line.points[-1])
    along = np.linspace(0.08, 0.92, 30)[:, None]
    return bool(floor_seen(store, lens, first + along * (last - first)).mean() >= LINE_SEEN)


def _zone_seen(store: Store, lens: Lens, zone: ZoneConfig) -> bool:
    corners: list[Point] = list(zone.polygon)
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    xs, ys = np.meshgrid(*(np.linspace(a, b, 9)[1:-1] for a, b in zip(low, high, strict=True)))
    points = np.stack([xs.ravel(), ys.ravel()], axis=1)
    return bool(floor_seen(store, lens, points).mean() >= ZONE_SEEN)
