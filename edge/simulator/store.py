"""A store: where its walls, shelves, tills, cameras, lines and zones are, in metres.

x to the right, y down as on a printed plan, z up from the floor. The door is in the front wall,
which runs along the bottom of the plan, and the street lies below it.
"""

from dataclasses import dataclass
from typing import Literal

from edge.config import ConfigError, LineConfig, Point, ZoneConfig

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom on the plan."""
Corner = tuple[float, float, float]
Kind = Literal[
    "wall", "shelf", "fridge", "rack", "table", "bin", "counter", "screen", "post", "glass"
]

CEILING = 5.4
STREET = 3.0
"""The street reaches this far from the front wall."""


@dataclass(frozen=True)
class Box:
    """A block with its two opposite corners; glass stops people, not looks."""

    low: Corner
    high: Corner
    kind: Kind


@dataclass(frozen=True)
class Display:
    """Where goods are looked at: people stand in `area` and look towards `facing` (radians).

    It is one of the store's zones if it is `watched`.
    """

    id: str
    name: str
    area: Rectangle
    facing: float
    watched: bool = True


@dataclass(frozen=True)
class Till:
    """A till: `places` are where its customers stand, the first is served.

    `entry` is where one turns into the lane.
    """

    number: int
    places: tuple[Point, ...]
    entry: Point
    cashier: Point
    queue: Rectangle
    service: Rectangle
    staff: Rectangle


@dataclass(frozen=True)
class Pose:
    """A camera's place, the point that it looks at, and its horizontal field of view (degrees)."""

    position: Corner
    target: Corner
    field_of_view: float = 80.0


@dataclass(frozen=True)
class Store:
    """A whole store; `door` is the opening's left and right end on the front wall."""

    name: str
    seed: int
    width: float
    depth: float
    door: tuple[float, float]
    boxes: tuple[Box, ...]
    displays: tuple[Display, ...]
    tills: tuple[Till, ...]
    lines: tuple[LineConfig, ...]
    zones: tuple[ZoneConfig, ...]
    cameras: tuple[tuple[str, Pose], ...]
    staff: int
    stay: float
    """Seconds that a shopper is in the store on average, where the tills keep up."""
    shopping: float
    """Those of them before one turns to a till or the door."""

    @property
    def outline(self) -> tuple[Point, ...]:
        """The floor within the walls."""
        return ((0, 0), (self.width, 0), (self.width, self.depth), (0, self.depth))

    def pose(self, camera: str) -> Pose:
        """The pose of a camera by its name.

        Raises:
            ConfigError: the store has no such camera.
        """
        poses = dict(self.cameras)
        if camera not in poses:
            raise ConfigError(f'no camera "{camera}" in the store: take {", ".join(poses)}')
        return poses[camera]
