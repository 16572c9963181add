"""People as a camera draws them: the outlines and colours of the parts of their bodies.

A part is a strip along two or three joints, as thick as the body is there, with round ends.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.simulator import people as bodies
from edge.simulator.lens import Lens

Floats = npt.NDArray[np.float32]

LEG, SHOE, ARM, CUFF = (0, 1), (2, 3), (4, 5), (6, 7)
"""Left and right; a cuff is the hand of a long sleeve, or the sleeve of a bare arm."""
SKIRT, TORSO, SHADE, NECK, HAIR, FACE, BAG = range(8, 15)
PARTS = 15
CORNERS = 12
EDGE = 0.6
"""So many pixels OpenCV draws a smoothed polygon beyond its corners."""
DETAILS = frozenset({SHADE, NECK, *CUFF})
"""What is too small to be seen of people far away."""


def _chains(short: bool) -> list[tuple[int, int, int]]:
    """The joints of each part; those of the skirt and the trunk are not single joints."""
    sleeves = (bodies.SHOULDERS, bodies.ELBOWS, bodies.ELBOWS)
    neck, hair, face = bodies.NECK_JOINT, bodies.HAIR_JOINT, bodies.FACE_JOINT
    return [
        *zip(bodies.HIPS, bodies.KNEES, bodies.ANKLES, strict=True),
        *zip(bodies.ANKLES, bodies.ANKLES, bodies.TOES, strict=True),
        *zip(bodies.SHOULDERS, bodies.ELBOWS, bodies.HANDS, strict=True),
        *zip(*(sleeves if short else (bodies.HANDS,) * 3), strict=True),
        *[(neck, neck, neck)] * 3,
        (neck, neck, bodies.HEAD_JOINT),
        (hair, hair, hair),
        (face, face, face),
        (bodies.BAG_JOINT, bodies.BAG_JOINT, bodies.BAG_END),
    ]


_TRUNK = bodies.SHOULDERS, bodies.HIPS
_CHAINS = np.array([_chains(short) for short in (False, True)]).T
# The outline's corners: which joint each is at, and how far along and across the strip.
_AT = np.array([0, 0, 0, 1, 2, 2, 2, 2, 2, 1, 0, 0])
_ALONG, _ACROSS = np.array(
    [
        [-1, -0.7, 0, 0, 0, 0.7, 1, 0.7, 0, 0, 0, -0.7],
        [0, 0.7, 1, 1, 1, 0.7, 0, -0.7, -1, -1, -1, -0.7],
    ],
    np.float32,
).reshape(2, CORNERS, 1, 1)

SKIN, TOP, BOTTOM, SHOES, HAIRS, EXTRA = range(6)
_WEAR = np.array(
    [BOTTOM, BOTTOM, SHOES, SHOES, TOP, TOP, SKIN, SKIN, BOTTOM, TOP, TOP, SKIN, HAIRS, SKIN, EXTRA]
)
_TONE = np.array([[0.97, 0.97, 1, 1, 0.93, 0.93, 0.96, 0.96, 1, 1.03, 0.89, 0.8, 1, 1, 1]] * 2)
# The far leg and arm are darker: the right ones of whose left side is near, or the left ones.
_TONE[[[0], [1]], [[LEG[1], ARM[1]], [LEG[0], ARM[0]]]] *= 0.82


def _wear(short: bool, skirt: bool) -> npt.NDArray[np.int64]:
    wear = _WEAR.copy()
    if short:
        wear[list(ARM)], wear[list(CUFF)] = SKIN, TOP
    if skirt:
        wear[list(LEG)] = SKIN
    return wear


_WEARS = np.stack([_wear(short, skirt) for short in (False, True) for skirt in (False, True)])


def _order(away: bool, right: bool, skirt: bool, bag: bool) -> tuple[int, ...]:
    """Parts from far to near, of one turned away or not, with the right side near or not."""
    near, far = (1, 0) if right else (0, 1)
    arm = (ARM[near], CUFF[near])
    trunk = (*((SKIRT,) if skirt else ()), TORSO, SHADE, NECK)
    carried = (BAG,) if bag else ()
    legs = (LEG[far], SHOE[far], LEG[near], SHOE[near], ARM[far], CUFF[far])
    if away:
        return (*legs, *arm, *trunk, HAIR, *carried)
    return (*legs, *carried, *trunk, *arm, HAIR, FACE)


_ORDERS = [
    _order(bool(case & 8), bool(case & 4), bool(case & 2), bool(case & 1)) for case in range(16)
]
_ROUGH = [tuple(part for part in order if part not in DETAILS) for order in _ORDERS]


@dataclass(frozen=True)
class Figures:
    """Everybody in a picture, in the order of the people.

    `outlines` (2, CORNERS, PARTS, n): x and y in pixels. `low`, `high` (n, 2): their extent.
    `joints` (n, joints, 2) in pixels, `depth` (n,) the least in metres, `over` (n,) metres over
    the floor from the camera.
    """

    outlines: Floats
    low: Floats
    high: Floats
    joints: Floats
    depth: Floats
    over: Floats

    def __getitem__(self, index: npt.NDArray[np.int64]) -> "Figures":
        return Figures(
            self.outlines[..., index],
            self.low[index],
            self.high[index],
            self.joints[index],
            self.depth[index],
            self.over[index],
        )


def figures(people: npt.NDArray[np.void], lens: Lens) -> Figures:
    """The outlines of people through a lens."""
    exact, distant = lens.project(bodies.joints(people))
    depth: Floats = distant.astype(np.float32)
    points: Floats = np.ascontiguousarray(exact.transpose(2, 0, 1), np.float32)
    height, build = people["height"].astype(np.float32), people["build"].astype(np.float32)
    scale = np.float32(lens.focal) / np.maximum(depth, np.float32(0.3)) * height[:, None]
    radius = bodies.RADII * scale
    radius[:, : bodies.NECK_JOINT] *= build[:, None]
    joints = _CHAINS[..., people["short_sleeves"] * 1] + bodies.JOINTS * np.arange(len(people))
    chain = points.reshape(2, -1).take(joints, axis=1)
    girth = np.asarray(radius.ravel().take(joints), np.float32)
    girth[:, CUFF] *= 1.08

    (left, right), (one, two) = ([points[:, :, n] for n in pair] for pair in _TRUNK)
    shoulders, hips = (left + right) / 2, (one + two) / 2
    waist = 0.35 * shoulders + 0.65 * hips
    spine = hips - shoulders
    spine /= np.maximum(np.hypot(*spine), 1e-6)
    # Across the hips and shoulders a body is broad or thin as it is turned.
    span = left - right
    broad = (span[1] * spine[0] - span[0] * spine[1]) / 2
    size = scale[:, bodies.NECK_JOINT]
    thick = 0.068 * size * build
    upper = np.hypot(np.abs(broad) + 0.012 * size, thick)
    middle = 0.80 * upper + 0.10 * thick
    chain[:, :, TORSO] = np.stack([shoulders, waist, hips], axis=1)
    girth[:, TORSO] = 0.92 * upper, middle, middle + 0.04 * thick
    shift = np.stack([-spine[1], spine[0]]) * (0.5 * upper)
    chain[:, :, SHADE] = chain[:, :, TORSO] - shift[:, None]
    girth[:, SHADE] = girth[:, TORSO] * 0.45
    hem = (points[:, :, bodies.KNEES[0]] + points[:, :, bodies.KNEES[1]]) / 2
    flared = np.maximum(middle * 1.2, thick * 1.4)
    chain[:, :, SKIRT] = np.stack([waist, (waist + hem) / 2, hem], axis=1)
    girth[:, SKIRT] = (middle, (middle + flared) / 2, flared) * people["skirt"]
    girth[:, BAG] *= people["carries"] > 0
    # Long hair falls on the shoulders.
    fall = np.float32(0.45) * people["long_hair"]
    chain[:, 2, HAIR] += fall * (shoulders - chain[:, 2, HAIR])

    outlines = _strips(chain, girth)
    flat = outlines.reshape(2, CORNERS * PARTS, len(people))
    over = people["position"] - lens.position[:2]
    return Figures(
        outlines,
        flat.min(axis=1).T - EDGE,
        flat.max(axis=1).T + EDGE,
        points.transpose(1, 2, 0),
        depth.min(axis=1),
        np.hypot(over[:, 0], over[:, 1]),
    )


def _strips(chain: Floats, girth: Floats) -> Floats:
    """(2, CORNERS, parts, n) round strips along chains (2, 3, parts, n) of half-widths."""
    way = np.empty_like(chain)
    way[:, 0] = chain[:, 1] - chain[:, 0]
    way[:, 2] = chain[:, 2] - chain[:, 1]
    way[:, 1] = way[:, 0] + way[:, 2]
    size = np.hypot(way[0], way[1])
    short = size < 1e-3
    # Where two of three joints are one, the strip goes on as it goes; a lone point is a disc.
    for end in (0, 2):
        way[:, end] = np.where(short[end], way[:, 1], way[:, end])
    size = np.hypot(way[0], way[1])
    lone = size < 1e-3
    way[1] += lone
    way /= size + lone
    dx, dy = way.take(_AT, axis=1)
    breadth = girth.take(_AT, axis=0)
    outlines = chain.take(_AT, axis=1)
    outlines[0] += breadth * (_ALONG * dx - _ACROSS * dy)
    outlines[1] += breadth * (_ALONG * dy + _ACROSS * dx)
    return outlines


def turned(
    people: npt.NDArray[np.void], lens: Lens
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(n,) who is turned away from the camera, and (n,) whose right side is near."""
    to = people["position"] - lens.position[:2]
    cos, sin = np.cos(people["heading"]), np.sin(people["heading"])
    return cos * to[:, 0] + sin * to[:, 1] > 0, sin * to[:, 0] - cos * to[:, 1] > 0


def sequences(
    people: npt.NDArray[np.void],
    away: npt.NDArray[np.bool_],
    right: npt.NDArray[np.bool_],
    rough: npt.NDArray[np.bool_],
) -> list[tuple[int, ...]]:
    """The parts of each body in the order of drawing; a rough body (n,) without details."""
    case = away * 8 + right * 4 + people["skirt"] * 2 + (people["carries"] > 0)
    return [
        (_ROUGH if few else _ORDERS)[one]
        for one, few in zip(case.tolist(), rough.tolist(), strict=True)
    ]


def colours(
    people: npt.NDArray[np.void], right: npt.NDArray[np.bool_], light: Floats
) -> list[tuple[float, float, float]]:
    """The colour, BGR, of each part of each body, body by body, where there is this light (n,)."""
    base = np.empty((len(people), 6, 3), np.float32)
    for index, name in enumerate(("skin", "top", "bottom", "shoes", "hair", "extra")):
        base[:, index] = people[name]
    wear = _WEARS[people["short_sleeves"] * 2 + people["skirt"]]
    wear += 6 * np.arange(len(people))[:, None]
    tone = _TONE[right * 1] * light[:, None]
    tint = np.minimum(base.reshape(-1, 3).take(wear, axis=0) * tone[..., None], 255.0)
    # OpenCV takes tuples in half the time that it takes lists in.
    return list(map(tuple, tint.reshape(-1, 3).tolist()))
