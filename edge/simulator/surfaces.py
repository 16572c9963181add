"""What a store's surfaces look like: floor, walls, shelves of goods, racks of clothes, tills.

Colours follow from the place on a surface by whole-number noise, so a surface needs no picture and
looks the same from everywhere. Lengths are in metres, colours RGB from 0 to 1 in float32.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.simulator.store import STREET, Store

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FLOOR, CEILING, SKY = -1, -2, -3
"""What a ray meets that is no box of the store."""


def _colours(text: str) -> Floats:
    rgb = [[int(word[i : i + 2], 16) / 255 for i in (0, 2, 4)] for word in text.split()]
    return np.array(rgb, np.float32)


def _colour(text: str) -> Floats:
    return np.asarray(_colours(text)[0])


GOODS = _colours(
    "d94f3d e9b44c f2e8cf 4f8f6b 2f6690 e07a3f 8c4a5e 5fa8a0 c9d6c3 f4d35e 7a9e4b b23a48 "
    "3b5b7a eae4d6 d98c6a 6d597a 9cc5a1 f08a4b 47688e c8553d faf3dd 588157"
)
GARMENTS = _colours("2f3e4e c7b49a 8c6a5d e6ded2 5d737e a9746e 3d3a3f b7a99a 7d8a74 d8c3a5 463f52")
FRUIT = _colours("e0762f 7ca64c c94237 e9c046 8fb65a d9a03f 9b3b52 f0d58a")
LOOKS = {
    "supermarket": ("efe9df e9ecea f1ece2 e4e8e8", "2f7d62 b5483a 2c5f86 d08a2e", "dcd8cf d3d6d4"),
    "boutique": ("e7ddd0 dfe3dc ece2d6 d9d4cd", "6b4f3f 3f5148 7a4b45 3b4656", "b58f67 a27a55"),
}
"""The colours of walls, of what stands out, and of the floor, to draw from."""
WOOD, CRATE, PALE, GREY, DARK = map(_colour, ("9e7854", "99734d", "e6e6e3", "5c6166", "3d3a36"))


@dataclass(frozen=True)
class Face:
    """Points (n,) on the sides and tops of boxes of one kind.

    `u` along the side, of `length`; `z` up, to `tall`; on tops (`flat`) u along x and `v` along y,
    to `depth`. `key` is a number for each side of each box.
    """

    key: Integers
    u: Floats
    z: Floats
    v: Floats
    length: Floats
    tall: Floats
    depth: Floats
    flat: Flags


class Painter:
    """The colours of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        walls, accents, floors = map(_colours, LOOKS[store.name])
        rng = np.random.default_rng([store.seed, 77])
        self.wall, self.accent = walls[rng.integers(4)], accents[rng.integers(4)]
        self.floor = floors[rng.integers(2)]
        self.boarded = store.name == "boutique"
        self.low = np.array([box.low for box in store.boxes], np.float32)
        self.high = np.array([box.high for box in store.boxes], np.float32)
        kinds = [box.kind for box in store.boxes]
        self._names = sorted(set(kinds))
        self._kinds = np.array([self._names.index(kind) for kind in kinds])
        self._paints: dict[str, Callable[[Face], Floats]] = {
            "wall": self._wall,
            "shelf": self._shelf,
            "fridge": self._fridge,
            "rack": _rack,
            "table": _table,
            "bin": _bin,
            "counter": self._counter,
            "screen": self._screen,
        }

    def paint(self, which: Integers, points: Floats, sides: Integers) -> Floats:
        """(n, 3) colours of points (n, 3) on a box, the floor, the ceiling or the sky.

        `which` (n,) is the box's number, or one of the constants above; `sides` (n,) the axis, 0
        to 2, that the surface is across.
        """
        colours = np.empty((len(which), 3), np.float32)
        colours[which == SKY] = _colour("ccdbe6")
        rows = np.flatnonzero(which == CEILING)
        colours[rows] = _ceiling(points[rows])
        rows = np.flatnonzero(which == FLOOR)
        colours[rows] = self._floor(points[rows])
        kinds = np.where(which >= 0, self._kinds[np.maximum(which, 0)], -1)
        for kind, name in enumerate(self._names):
            rows = np.flatnonzero(kinds == kind)
            if len(rows):
                colours[rows] = self._box(name, which[rows], points[rows], sides[rows])
        return colours

    def _floor(self, points: Floats) -> Floats:
        x, y = points[:, 0], points[:, 1]
        width, depth = self.store.width, self.store.depth
        inside = (y < depth) & (y > 0) & (x > 0) & (x < width)
        colours = np.empty((len(points), 3), np.float32)
        colours[inside] = self._inner_floor(points[inside])
        x, y = x[~inside], y[~inside]
        stones = np.floor(x / 0.5) * 31 + np.floor(y / 0.5)
        pavement = _colour("bdbdba") * (0.93 + 0.1 * _noise(stones, 4))[:, None]
        road = y > depth + STREET
        pavement[road] = _colour("84868a")
        pavement[(y > depth + STREET - 0.15) & ~road] = _colour("cfcfca")
        colours[~inside] = pavement
        return colours

    def _inner_floor(self, points: Floats) -> Floats:
        x, y = points[:, 0], points[:, 1]
        shade = _boards(x, y) if self.boarded else _tiles(x, y)
        colours = self.floor * shade[:, None]
        left, right = self.store.door
        depth = self.store.depth
        mat = (x > left - 0.1) & (x < right + 0.1) & (y > depth - 1.5) & (y < depth - 0.1)
        colours[mat] = _colour("424447") * (0.92 + 0.18 * ((x[mat] / 0.06 % 1) < 0.5))[:, None]
        # Pools of light below the lamps, and daylight near the glass front.
        wave = np.cos((x / 3.6 - 0.5) * 2 * np.pi) * np.cos((y / 3.6 - 0.5) * 2 * np.pi)
        light = 0.96 + 0.05 * wave + 0.08 * np.exp((y - depth) / 1.5)
        return np.asarray(colours * (light * self._contact(x, y))[:, None], np.float32)

    def _contact(self, x: Floats, y: Floats) -> Floats:
        """The floor is darker close to what stands on it."""
        shade = np.ones(len(x), np.float32)
        for box in self.store.boxes:
            if box.low[2] > 0.3 or box.kind == "post":
                continue
            (left, top, _), (right, bottom, _) = box.low, box.high
            near = (x > left - 1) & (x < right + 1) & (y > top - 1) & (y < bottom + 1)
            rows = np.flatnonzero(near)
            dx = np.maximum(np.maximum(left - x[rows], x[rows] - right), 0)
            dy = np.maximum(np.maximum(top - y[rows], y[rows] - bottom), 0)
            gap = np.hypot(dx, dy)
            shade[rows] *= 1 - 0.33 * np.exp(-gap / 0.10) - 0.17 * np.exp(-gap / 0.4)
        return shade

    def _box(self, kind: str, which: Integers, points: Floats, sides: Integers) -> Floats:
        low, high = self.low[which], self.high[which]
        own, size = points - low, high - low
        across = sides == 0
        axis = np.take_along_axis(own / size, sides[:, None], axis=1)[:, 0]
        face = Face(
            key=which * 8 + sides * 2 + (axis > 0.5),
            u=np.where(across, own[:, 1], own[:, 0]),
            z=own[:, 2],
            v=own[:, 1],
            length=np.where(across, size[:, 1], size[:, 0]),
            tall=size[:, 2],
            depth=size[:, 1],
            flat=sides == 2,
        )
        paint = self._paints.get(kind)
        colours = paint(face) if paint else np.broadcast_to(GREY, points.shape)
        # Light comes from above: sides get less, and less again near the floor.
        shade = np.where(face.flat, 1.0, np.where(across, 0.86, 0.93))
        shade *= np.where(face.flat, 1.0, 0.74 + 0.26 * np.minimum(points[:, 2] / 0.9, 1))
        return np.asarray(colours * shade[:, None], np.float32)

    def _wall(self, face: Face) -> Floats:
        colours = np.broadcast_to(self.wall, (len(face.u), 3)).copy()
        full = face.tall > 1
        # The part above the door begins at 2.5 m.
        height = np.where(face.tall < 4, face.z + 2.5, face.z)
        colours[full & (height > 2.55) & (height < 2.85)] = self.accent
        colours[full & (height < 0.1)] *= 0.6
        return colours

    def _shelf(self, face: Face) -> Floats:
        goods = GARMENTS if self.boarded else GOODS
        return _goods(face, goods, self.accent * 0.45, _colour("cccccc"), DARK)

    def _fridge(self, face: Face) -> Floats:
        colours = _goods(face, GOODS, self.accent * 0.45, GREY * 0.8, _colour("9ea8b3"))
        door = ((face.u / 0.75 % 1 < 0.035) | (face.z > face.tall - 0.12)) & ~face.flat
        colours[door] = _colour("3d424a")
        colours[(face.z > face.tall - 0.06) & ~face.flat] = _colour("d9edf7")
        return colours

    def _counter(self, face: Face) -> Floats:
        colours = np.broadcast_to(_colour("d4d1cc"), (len(face.u), 3)).copy()
        colours[(face.z > 0.55) & (face.z < 0.72)] = self.accent
        colours[face.flat] = _colour("c7c7c7")
        belt = (face.u > 0.06) & (face.u < face.length - 0.06) & (face.v > 0.1) & (face.v < 1.15)
        colours[face.flat & belt] = _colour("33363b")
        return colours

    def _screen(self, face: Face) -> Floats:
        colours = np.broadcast_to(self.accent * 1.15 + 0.05, (len(face.u), 3)).copy()
        rim = (face.u < 0.02) | (face.u > face.length - 0.02)
        colours[rim | (face.z < 0.03) | (face.z > face.tall - 0.03)] = _colour("262626")
        return colours


def _tiles(x: Floats, y: Floats) -> Floats:
    u, v = x / np.float32(0.6), y / np.float32(0.6)
    shade = 0.95 + 0.06 * _noise(np.floor(u) * 57 + np.floor(v), 11)
    gap = np.minimum(np.abs(u - np.rint(u)), np.abs(v - np.rint(v)))
    return np.asarray(shade * np.where(gap < 0.018, 0.84, 1.0))


def _boards(x: Floats, y: Floats) -> Floats:
    row = np.floor(y / 0.18)
    along = x / 1.4 + _noise(row, 3) * 7
    board = row * 131 + np.floor(along)
    tone = 0.86 + 0.2 * _noise(board, 5)
    grain = 1 + 0.05 * np.sin(x * 9 + 20 * _noise(board, 9) + 3 * np.sin(y * 60))
    seam = (y / 0.18 % 1 < 0.05) | (along % 1 < 0.008)
    return np.asarray(tone * grain * np.where(seam, 0.72, 1.0))


def _ceiling(points: Floats) -> Floats:
    x, y = points[:, 0], points[:, 1]
    lamp = (np.abs(x / 3.6 % 1 - 0.5) < 0.06) & (np.abs(y / 3.6 % 1 - 0.5) < 0.33)
    return np.asarray(np.where(lamp[:, None], _colour("ffffff"), _colour("b3b5b8")))


def _goods(face: Face, goods: Floats, plinth: Floats, frame: Floats, back: Floats) -> Floats:
    """Shelf above shelf, on each blocks of one product, a row of its packs."""
    u, base = face.u, 0.12
    pitch = (face.tall - base) / np.maximum(np.round((face.tall - base) / 0.36), 2)
    level = np.floor((face.z - base) / pitch)
    rise = (face.z - base) / pitch - level
    shelf = face.key * 37 + level.astype(np.int64)
    block = np.floor(u / (0.42 + 0.4 * _noise(shelf, 1)) + 3 * _noise(shelf, 2))
    product = shelf * 101 + block.astype(np.int64)
    place = u / (0.07 + 0.10 * _noise(product, 3))
    pack = product * 17 + np.floor(place).astype(np.int64)
    height = 0.58 + 0.3 * _noise(product, 4) + 0.03 * _noise(pack, 8)
    colours = _pick(goods, product, 5)
    up = rise / height - 0.3
    label = (up > 0) & (up < 0.35 * _noise(product, 7))
    colours[label] = _pick(goods, product[label], 6)
    round_ = np.sqrt(np.maximum(np.sin(np.pi * (place % 1)), 0))
    colours *= (0.62 + 0.42 * round_)[:, None]
    colours[(rise > height) | (_noise(pack, 10) < 0.05)] = back
    colours *= (1.04 - 0.42 * np.clip(rise, 0, 1) ** 3)[:, None]
    rail = rise < 0.10
    colours[rail] = PALE
    tag = rail & (_noise(shelf * 59 + np.floor(u / 0.14).astype(np.int64), 9) < 0.4)
    tag &= u / 0.14 % 1 < 0.6
    sale = (_noise(product, 12) < 0.25)[:, None]
    colours[tag] = np.where(sale, _colour("edc72e"), _colour("ebebe8"))[tag]
    colours[face.z < base] = plinth
    colours[(u < 0.03) | (u > face.length - 0.03)] = frame
    colours[face.flat] = _colour("b3b0ab")
    return colours


def _rack(face: Face) -> Floats:
    """Clothes on hangers, mostly several of a kind."""
    piece = face.key * 211 + np.floor(face.u / 0.085).astype(np.int64)
    kind = face.key * 57 + np.floor(face.u / 0.5).astype(np.int64)
    colours = _pick(GARMENTS, np.where(_noise(piece, 1) < 0.7, kind, piece), 2)
    fold = np.maximum(np.sin(np.pi * (face.u / 0.085 % 1)), 0)
    colours *= np.where(face.flat, 0.85, 0.68 + 0.36 * fold)[:, None]
    colours[~face.flat & (face.z < 0.28 + 0.22 * _noise(piece, 4))] = _colour("524a45")
    colours[~face.flat & (face.z > face.tall - 0.07)] = _colour("735e4d")
    return colours


def _table(face: Face) -> Floats:
    """Folded clothes in piles."""
    u, v = face.u / 0.34, face.v / 0.38
    pile = face.key * 91 + (np.floor(u) * 7 + np.floor(v)).astype(np.int64)
    colours = _pick(GARMENTS, pile, 3) * (0.9 + 0.15 * (v % 1))[:, None]
    between = (np.abs(u % 1 - 0.5) > 0.38) | (np.abs(v % 1 - 0.5) > 0.38)
    colours[face.flat & between] = WOOD
    edge = (face.z > face.tall - 0.12) | (face.u < 0.1) | (face.u > face.length - 0.1)
    colours[~face.flat] = np.where(edge[:, None], WOOD * 0.8, DARK)[~face.flat]
    return np.asarray(colours, np.float32)


def _bin(face: Face) -> Floats:
    """Six trays of fruit in a crate."""
    u, v = face.u / face.length * 3, face.v / face.depth * 2
    tray = face.key * 17 + (np.floor(u) * 2 + np.floor(v)).astype(np.int64)
    size = 0.085
    row = np.floor(face.v / size)
    across = face.u / size + row % 2 * 0.5
    du, dv = across % 1 - 0.5, face.v / size % 1 - 0.5
    ball = np.clip(1 - 2.2 * (du**2 + dv**2), 0.25, 1)
    ball *= 0.85 + 0.3 * _noise((np.floor(across) * 71 + row).astype(np.int64), 2)
    colours = np.minimum(_pick(FRUIT, tray, 1) * ball[:, None], 1)
    colours[(np.abs(u % 1 - 0.5) > 0.46) | (np.abs(v % 1 - 0.5) > 0.46)] = CRATE
    slat = np.where((face.z / 0.2 % 1 < 0.12)[:, None], CRATE * 0.55, CRATE)
    colours[~face.flat] = slat[~face.flat]
    return np.asarray(colours, np.float32)


def _pick(palette: Floats, keys: Integers, salt: int) -> Floats:
    """(n, 3) a colour for each key, always the same."""
    return np.asarray(palette[(_noise(keys, salt) * len(palette)).astype(np.int64)])


def _noise(keys: npt.NDArray[np.generic], salt: int) -> Floats:
    """(n,) numbers in [0, 1), the same for the same key and salt.

    The finaliser of MurmurHash3 (Appleby 2008).
    """
    value = keys.astype(np.int64).astype(np.uint32)
    value += np.uint32(salt * 0x9E3779B1 % 2**32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value ^= value >> np.uint32(shift)
        value *= np.uint32(factor)
    value ^= value >> np.uint32(16)
    return (value >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
