"""The stores that there are, by name, each varied by a seed."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from edge.config import ConfigError, LineConfig, Point, ZoneConfig
from edge.simulator.store import CEILING, Box, Corner, Display, Pose, Rectangle, Store, Till

WALL = 0.15
SPACING = 0.85
"""Metres from one place in a queue to the next."""
GROCERIES = (
    *("Bread", "Dairy", "Coffee", "Pasta", "Wine", "Snacks", "Cereals", "Soap", "Household"),
    *("Frozen", "Fruit", "Juice", "Spices", "Chocolate", "Pets", "Flowers", "Cheese", "Baby"),
    *("Tea", "Honey", "Oils", "Rice", "Paper", "Magazines", "Eggs", "Nuts", "Sauces", "Soups"),
)
CLOTHES = ("Shirts", "Coats", "Denim", "Shoes", "Knitwear", "Dresses", "Bags", "Scarves", "Basics")
FACING = {"right": 0.0, "down": math.pi / 2, "left": math.pi, "up": -math.pi / 2}
Looks = Literal["right", "down", "left", "up"]


def plan(name: str, seed: int = 0) -> Store:
    """The store of a name, as the seed varies it; the same arguments give the same store.

    Raises:
        ConfigError: no store has that name.
    """
    if name not in STORES:
        raise ConfigError(f'no rendered store "{name}": take {" or ".join(STORES)}')
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    store = replace(STORES[name](rng), seed=seed)
    if rng.random() < 0.5:
        store = _mirrored(store)
    return replace(store, lines=tuple(_lines(store)), zones=tuple(_zones(store)))


def _supermarket(rng: np.random.Generator) -> Store:
    """Shelves in rows along the back, tills on the right, the door left of them."""
    width, depth = 18 + rng.uniform(-0.8, 1.5), 12 + rng.uniform(-0.4, 1.2)
    left = rng.uniform(5.2, 6.6)
    door = (left, left + rng.uniform(2.2, 2.7))
    last = width - 1.95 - rng.uniform(0, 0.5)
    tills, boxes = _tills([last - 4.2, last - 2.1, last], depth - 1.9, 5)
    goods = iter(rng.permutation(GROCERIES).tolist())
    displays: list[Display] = []

    fridge = rng.uniform(0.35, 0.55) * width
    boxes.append(Box((fridge, 0, 0), (width - 0.6, 0.75, 2.05), "fridge"))
    boxes.append(Box((0.6, 0, 0), (fridge, 0.6, 2.2), "shelf"))
    displays += _along((0.8, fridge - 0.2), 0.6, "up", goods, 2)
    displays += _along((fridge + 0.2, width - 1.0), 0.75, "up", goods, 2)
    end = depth - rng.uniform(4.2, 5.2)
    boxes.append(Box((0, 2.0, 0), (0.55, end, 2.1), "shelf"))
    displays += _along((2.2, end - 0.2), 0.55, "left", goods, 2)

    broad, height = rng.uniform(0.85, 1.0), rng.uniform(1.45, 1.8)
    for x in np.linspace(2.75, width - 1.7 - broad, int(rng.integers(4, 6))).tolist():
        # Before the tills there must be room to queue.
        short = x + broad > tills[0].queue[0] - 0.8
        end = depth - (6.7 if short else rng.uniform(4.9, 5.6))
        boxes.append(Box((x, 2.2, 0), (x + broad, end, height), "shelf"))
        displays += _along((2.4, end - 0.2), x, "right", goods, 1 if short else 2)
        displays += _along((2.4, end - 0.2), x + broad, "left", goods, 1 if short else 2)

    y = depth - rng.uniform(3.1, 3.4)
    for x in (left - 2.5, left - 4.9):
        boxes.append(Box((x, y, 0), (x + 1.7, y + 0.95, 0.85), "bin"))
        displays += _along((x, x + 1.7), y, "down", goods)
    # Those in the open are always watched.
    watched = {*range(len(displays) - 2, len(displays))}
    watched |= {*rng.permutation(len(displays))[:13].tolist()}

    high = rng.uniform(3.7, 4.3)
    doorway, queues, aisles = sum(door) / 2, tills[1].places[0][0], width * 0.42
    cameras = (
        Pose(
            (width - 0.4, depth - rng.uniform(0.5, 0.9), high),
            (width - 8.1, depth - rng.uniform(5.6, 6.1), 0),
            rng.uniform(90, 94),
        ),
        Pose(
            (doorway + rng.uniform(0.8, 1.8), depth - 5.0, rng.uniform(3.1, 3.6)),
            (doorway, depth - 0.9, 0),
            rng.uniform(74, 82),
        ),
        Pose(
            (aisles + rng.uniform(-1, 1), depth - rng.uniform(1.6, 2.2), high),
            (aisles, 4.0, 0),
            rng.uniform(88, 94),
        ),
        Pose(
            (queues - rng.uniform(0.7, 1.5), depth - 0.2, rng.uniform(3.8, 4.2)),
            (queues, depth - 4.4, 0),
            rng.uniform(86, 92),
        ),
    )
    return Store(
        name="supermarket",
        seed=0,
        width=width,
        depth=depth,
        door=door,
        boxes=(*_shell(width, depth, door), *boxes),
        displays=tuple(replace(each, watched=n in watched) for n, each in enumerate(displays)),
        tills=tuple(tills),
        lines=(),
        zones=(),
        cameras=tuple(zip(CAMERAS, cameras, strict=True)),
        staff=2,
        stay=190.0,
        shopping=150.0,
    )


def _boutique(rng: np.random.Generator) -> Store:
    """Racks and shelves along the walls, tables and racks in the middle, one till on the right."""
    width, depth = 10 + rng.uniform(-0.5, 0.8), 8 + rng.uniform(-0.2, 0.8)
    left = rng.uniform(1.4, 2.2)
    door = (left, left + rng.uniform(1.8, 2.2))
    tills, boxes = _tills([width - 2.2], depth - 1.9, 4)
    goods = iter(rng.permutation(CLOTHES).tolist())
    displays: list[Display] = []

    half = width * rng.uniform(0.45, 0.6)
    boxes.append(Box((0.5, 0, 0), (half, 0.55, 2.1), "shelf"))
    boxes.append(Box((half, 0, 0), (width - 0.5, 0.6, 1.9), "rack"))
    displays += _along((0.7, half - 0.2), 0.55, "up", goods)
    displays += _along((half + 0.2, width - 0.8), 0.6, "up", goods)
    end = depth - rng.uniform(2.4, 2.9)
    boxes.append(Box((0, 1.6, 0), (0.55, end, 1.9), "rack"))
    displays += _along((1.7, end - 0.1), 0.55, "left", goods)
    for x in (2.0, width - 4.7):
        for y, looks in ((2.1, "up"), (2.1 + rng.uniform(2.0, 2.3), "down")):
            if rng.random() < 0.5:
                box = Box((x, y, 0), (x + 1.5, y + 0.8, 0.8), "table")
            else:
                box = Box((x, y, 0), (x + 1.6, y + 0.6, 1.35), "rack")
            boxes.append(box)
            if looks == "up":
                displays += _along((x, box.high[0]), box.high[1], "up", goods)
            else:
                displays += _along((x, box.high[0]), y, "down", goods)

    doorway = sum(door) / 2
    cameras = (
        Pose(
            (width - 0.3, depth - rng.uniform(0.4, 0.7), rng.uniform(3.4, 3.9)),
            (width - 5.2, depth - rng.uniform(3.6, 4.0), 0),
            rng.uniform(90, 94),
        ),
        Pose(
            (doorway + rng.uniform(0.3, 1.0), depth - 4.4, rng.uniform(3.0, 3.4)),
            (doorway, depth - 0.8, 0),
            rng.uniform(74, 82),
        ),
        Pose(
            (width * 0.36, depth - rng.uniform(2.0, 2.4), rng.uniform(4.0, 4.3)),
            (width * 0.38, 2.3, 0),
            rng.uniform(86, 92),
        ),
        Pose(
            (width - rng.uniform(3.2, 4.0), depth - 0.3, rng.uniform(3.2, 3.7)),
            (width - 2.2, depth - 3.6, 0),
            rng.uniform(80, 88),
        ),
    )
    return Store(
        name="boutique",
        seed=0,
        width=width,
        depth=depth,
        door=door,
        boxes=(*_shell(width, depth, door), *boxes),
        displays=tuple(displays),
        tills=tuple(tills),
        lines=(),
        zones=(),
        cameras=tuple(zip(CAMERAS, cameras, strict=True)),
        staff=1,
        stay=190.0,
        shopping=150.0,
    )


STORES: dict[str, Callable[[np.random.Generator], Store]] = {
    "supermarket": _supermarket,
    "boutique": _boutique,
}
CAMERAS = ("overview", "entrance", "aisles", "checkouts")


def _shell(width: float, depth: float, door: tuple[float, float]) -> list[Box]:
    """Walls round the outline, and a glass front with a door in it."""
    low, high = -WALL, depth + WALL
    boxes = [
        Box((low, low, 0), (0, high, CEILING), "wall"),
        Box((width, low, 0), (width + WALL, high, CEILING), "wall"),
        Box((0, low, 0), (width, 0, CEILING), "wall"),
        Box((0, depth, 2.5), (width, high, CEILING), "wall"),
    ]
    for start, stop in ((0.0, door[0]), (door[1], width)):
        boxes.append(Box((start, depth, 0), (stop, high, 0.45), "wall"))
        boxes.append(Box((start, depth, 0.45), (stop, high, 2.5), "glass"))
        posts = np.linspace(start, stop - 0.08, max(2, round((stop - start) / 1.8) + 1))
        boxes += [Box((x, depth, 0.45), (x + 0.08, high, 2.5), "post") for x in posts.tolist()]
    return boxes


def _tills(lanes: Sequence[float], front: float, places: int) -> tuple[list[Till], list[Box]]:
    """Tills with their lanes' middles at `lanes`, where the served stand `front` down the plan."""
    tills, boxes = [], []
    last = front - SPACING * (places - 1)
    for number, x in enumerate(lanes, start=1):
        boxes += [
            Box((x + 0.5, front - 1.25, 0), (x + 1.05, front + 0.5, 0.9), "counter"),
            Box((x + 0.62, front - 0.05, 0.9), (x + 0.72, front + 0.3, 1.3), "screen"),
            Box((x + 1.0, front + 0.42, 0.9), (x + 1.05, front + 0.47, 2.0), "post"),
            Box((x + 0.9, front + 0.36, 1.95), (x + 1.15, front + 0.5, 2.25), "screen"),
        ]
        tills.append(
            Till(
                number,
                places=tuple((x, front - SPACING * place) for place in range(places)),
                entry=(x, last - 0.55),
                cashier=(x + 1.42, front - 0.1),
                queue=(x - 0.5, last - 0.4, x + 0.5, front - 0.45),
                service=(x - 0.5, front - 0.45, x + 0.5, front + 0.55),
                staff=(x + 1.07, front - 0.8, x + 1.68, front + 0.5),
            )
        )
    return tills, boxes


def _along(
    ends: tuple[float, float], face: float, looks: Looks, names: Iterator[str], count: int = 1
) -> list[Display]:
    """Displays side by side along a shelf's face, named while there are names.

    The face runs between `ends` at `face` across, and its customers look up, down, left or right.
    """
    near, far = (0.1, 0.9) if looks in ("up", "left") else (-0.9, -0.1)
    across = (face + near, face + far)
    displays = []
    for start, stop in pairwise(np.linspace(*ends, count + 1).tolist()):
        name = next(names, None)
        if name is None:
            break
        middle, half = (start + stop) / 2, min((stop - start) / 2, 1.1)
        along = (middle - half, middle + half)
        (left, right), (top, bottom) = (
            (along, across) if looks in ("up", "down") else (across, along)
        )
        displays.append(Display(name.lower(), name, (left, top, right, bottom), FACING[looks]))
    return displays


def _lines(store: Store) -> Iterator[LineConfig]:
    # Just inside the door and a little beyond its posts, so that nobody can walk round its ends.
    left, right = store.door
    yield _line("entrance", "Entrance", left - 0.25, right + 0.25, store.depth - 0.2)
    # The mouth of the aisle before the camera that watches the aisles.
    ahead = store.pose("aisles").target[0]
    rows = [box for box in store.boxes if box.kind == "shelf" and 2.1 < box.low[1] < 2.3]
    rows.sort(key=lambda box: box.low[0])
    mouths = list(pairwise(rows))
    if mouths:
        one, two = min(mouths, key=lambda pair: abs(pair[0].high[0] + pair[1].low[0] - 2 * ahead))
        y = min(one.high[1], two.high[1]) - 0.2
        yield _line("aisle", "Into the aisle", one.high[0], two.low[0], y)


def _line(number: str, name: str, left: float, right: float, y: float) -> LineConfig:
    points = (round(left, 3), round(y, 3)), (round(right, 3), round(y, 3))
    role: Literal["entrance", "internal"] = "entrance" if number == "entrance" else "internal"
    return LineConfig(id=number, name=name, role=role, points=points)


def _zones(store: Store) -> Iterator[ZoneConfig]:
    for display in store.displays:
        if display.watched:
            polygon = _corners(display.area)
            yield ZoneConfig(id=display.id, name=display.name, role="display", polygon=polygon)
    roles: tuple[Literal["queue", "service", "staff"], ...] = ("queue", "service", "staff")
    for till in store.tills:
        for role, area in zip(roles, (till.queue, till.service, till.staff), strict=True):
            yield ZoneConfig(
                id=f"{role}-{till.number}",
                name=f"{role.capitalize()} {till.number}",
                role=role,
                polygon=_corners(area),
            )


def _corners(area: Rectangle) -> tuple[Point, ...]:
    left, top, right, bottom = (round(value, 3) for value in area)
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _mirrored(store: Store) -> Store:
    """The same store with left and right exchanged."""
    width = store.width

    def rectangle(area: Rectangle) -> Rectangle:
        return (width - area[2], area[1], width - area[0], area[3])

    def point(place: Point) -> Point:
        return (width - place[0], place[1])

    def corner(place: Corner) -> Corner:
        return (width - place[0], place[1], place[2])

    return replace(
        store,
        door=(width - store.door[1], width - store.door[0]),
        boxes=tuple(
            replace(
                box,
                low=(width - box.high[0], *box.low[1:]),
                high=(width - box.low[0], *box.high[1:]),
            )
            for box in store.boxes
        ),
        displays=tuple(
            replace(each, area=rectangle(each.area), facing=math.pi - each.facing)
            for each in store.displays
        ),
        tills=tuple(
            Till(
                till.number,
                places=tuple(point(place) for place in till.places),
                entry=point(till.entry),
                cashier=point(till.cashier),
                queue=rectangle(till.queue),
                service=rectangle(till.service),
                staff=rectangle(till.staff),
            )
            for till in store.tills
        ),
        cameras=tuple(
            (name, replace(pose, position=corner(pose.position), target=corner(pose.target)))
            for name, pose in store.cameras
        ),
    )
