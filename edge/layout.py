"""What a device watches, as the others are told it: its layout and the hash of its settings."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from edge import wire
from edge.config import AgentConfig, CameraConfig

Watchers = Mapping[wire.Place, tuple[str, ...]]
"""Which cameras watch each line and zone; a line and a zone may have the same id."""


def config_hash(config: AgentConfig | CameraConfig) -> str:
    """12 hexadecimal digits of SHA-256 over what shapes the events.

    Passwords and source addresses stay out, and so does what no event depends on (broker, state,
    limits), since a new hash starts a new baseline. The model has a hash of its own.
    """
    if isinstance(config, CameraConfig):
        content = config.model_dump(mode="json", exclude={"source"})
    else:
        shaping = {"site", "device", "name", "floors", "position_step", "fraction_step"}
        content = config.model_dump(mode="json", include=shaping | {"time_step"})
        content["cameras"] = [
            camera.model_dump(mode="json", exclude={"source"}) for camera in config.cameras
        ]
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def watchers(cameras: Sequence[CameraConfig]) -> Watchers:
    """The cameras of each line and zone, in their order."""
    found: dict[wire.Place, tuple[str, ...]] = {}
    for camera in cameras:
        places: list[wire.Place] = [("line", line.id) for line in camera.lines]
        places += [("zone", zone.id) for zone in camera.zones]
        for place in places:
            found[place] = (*found.get(place, ()), camera.id)
    return found


def layout(config: AgentConfig) -> wire.Layout:
    """What the device watches, as it is published: each line and zone once, with its cameras."""
    names = {each.id: each for each in config.floors}
    floors = {
        camera.floor: wire.Floor(
            camera.floor,
            names[camera.floor].name if camera.floor in names else camera.floor,
            "fraction" if camera.homography is None else "metre",
            names[camera.floor].outline if camera.floor in names else (),
        )
        for camera in config.cameras
    }
    watching = watchers(config.cameras)
    lines = {
        line.id: wire.Line(
            line.id, camera.floor, line.name, line.role, watching["line", line.id], line.points
        )
        for camera in config.cameras
        for line in camera.lines
    }
    zones = {
        zone.id: wire.Zone(
            zone.id, camera.floor, zone.name, zone.role, watching["zone", zone.id], zone.polygon
        )
        for camera in config.cameras
        for zone in camera.zones
    }
    cameras = tuple(wire.Camera(each.id, each.floor, each.name) for each in config.cameras)
    return wire.Layout(
        v=wire.VERSION,
        config=config_hash(config),
        name=config.name,
        floors=tuple(floors.values()),
        lines=tuple(lines.values()),
        zones=tuple(zones.values()),
        cameras=cameras,
    )
