"""Configuration: YAML files to frozen models, with errors that name the place and the fix.

Lines and zones are drawn on the floor: in metres where the camera has a homography, else in
fractions of the picture (0..1, x to the right, y down).

A line's inner side. Walk from its first point to its last on a plan whose y points down, as on the
picture: `in` is a crossing from your right hand to your left. A line drawn from left to right is
thus entered upwards, one drawn from right to left downwards. Turn the points round to turn `in`.
"""

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge import floor, wire, yaml_model
from edge.calibration import MOST_DISTORTION, Calibration, calibrate
from edge.yaml_model import wrong as _wrong

Point = tuple[float, float]
Provider = Literal["tensorrt", "cuda", "coreml", "openvino", "cpu"]
"""Our names for ONNX Runtime's execution providers."""


class EdgeError(Exception):
    """Something that its reader can put right; the command line shows it without a traceback."""

    exit_code = 1


class ConfigError(EdgeError):
    """A configuration file that cannot be used, one problem a line."""

    exit_code = 2


class ModelError(EdgeError):
    """A detector's file that cannot be used."""

    exit_code = 2


class CameraError(EdgeError):
    """A source that gives no frames, or fewer than it should."""


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def _expand(value: object) -> object:
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise _wrong(f"the environment has no {name}: set it, or write ${{{name}:-default}}")
        return found

    return _VARIABLE.sub(look_up, value)


def _locate(path: str, info: ValidationInfo) -> str:
    """A relative path as it stands if that exists, else from the YAML file's folder."""
    beside = (info.context or {}).get("folder", Path()) / path
    return str(beside) if not Path(path).exists() and beside.exists() else path


def _source(value: object, info: ValidationInfo) -> object:
    expanded = _expand(value)
    if isinstance(expanded, int) and not isinstance(expanded, bool):
        return str(expanded)
    if not isinstance(expanded, str) or "://" in expanded or expanded.isdecimal():
        return expanded
    return _locate(expanded, info)


def _path(value: str, info: ValidationInfo) -> Path:
    return Path(_locate(value, info))


Slug = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Expanded = Annotated[str, BeforeValidator(_expand)]
ExpandedPath = Annotated[Path, BeforeValidator(_path), BeforeValidator(_expand)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Area(_Model):
    id: Slug
    name: str


class LineConfig(_Area):
    """A line that people cross, as a polyline on the floor; see above for which side is `in`."""

    role: wire.LineRole
    points: tuple[Point, ...]

    @field_validator("points")
    @classmethod
    def _has_length(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        if len(points) < 2:
            raise _wrong(f"a line needs at least 2 points, not {len(points)}")
        for index, (first, second) in enumerate(itertools.pairwise(points)):
            if first == second:
                raise _wrong("the same point twice running: leave one out", index + 1)
        return points


class ZoneConfig(_Area):
    """A zone that people stand in, as a polygon on the floor."""

    role: wire.ZoneRole
    polygon: tuple[Point, ...]

    @field_validator("polygon")
    @classmethod
    def _is_simple(cls, polygon: tuple[Point, ...]) -> tuple[Point, ...]:
        if len(polygon) < 3:
            raise _wrong(f"a zone needs at least 3 corners, not {len(polygon)}")
        if len(set(polygon)) < len(polygon):
            raise _wrong("the same corner twice: leave one out (the polygon closes itself)")
        crossed = floor.self_crossing(polygon)
        if crossed is not None:
            raise _wrong(
                f"sides {crossed[0] + 1} and {crossed[1] + 1} cross or touch: "
                "give the corners in order, round the zone"
            )
        return polygon


class PointPair(_Model):
    """A point on the picture, in fractions of its width and height, and on the floor in metres."""

    pixel: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
    floor: Point


def _no_twice(what: str, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(ids):
        if name in seen:
            raise _wrong(f'a second {what} "{name}": give it another id', index, "id")
        seen.add(name)


class CameraConfig(_Model):
    """One camera: where its frames come from and what is watched on its floor.

    `source` is a file, an rtsp:// or http:// address, a number for a USB camera, or a rendered
    store (sim://, see `edge.simulator`). `loop` begins a file again at its end. `fps` overrides
    what a file says of itself, and is how many frames a second are taken from a live camera (10
    unless told). `motion_gate: false` has every frame looked at, see `edge.stillness`.
    """

    id: Slug
    name: str = ""
    source: Annotated[str, BeforeValidator(_source), Field(min_length=1)]
    floor: Slug = "ground"
    homography: tuple[PointPair, ...] | None = None
    distortion: Annotated[float, Field(ge=-MOST_DISTORTION, le=MOST_DISTORTION)] = 0.0
    lines: tuple[LineConfig, ...] = ()
    zones: tuple[ZoneConfig, ...] = ()
    loop: bool = False
    staff_after: Annotated[float, Field(gt=0)] | None = None
    min_confidence: Annotated[float, Field(gt=0, lt=1)] = 0.35
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    motion_gate: bool = True

    @model_validator(mode="before")
    @classmethod
    def _named_by_default(cls, data: Any) -> Any:
        return {"name": data["id"], **data} if isinstance(data, dict) and "id" in data else data

    @field_validator("homography")
    @classmethod
    def _has_a_homography(cls, pairs: tuple[PointPair, ...] | None) -> tuple[PointPair, ...] | None:
        if pairs is not None:
            try:
                calibrate([pair.pixel for pair in pairs], [pair.floor for pair in pairs])
            except ValueError as error:
                raise _wrong(str(error)) from error
        return pairs

    def calibration(self, aspect: float) -> Calibration | None:
        """How the camera sees its floor, if it is calibrated; pictures are `aspect` times as wide
        as high.
        """
        if self.homography is None:
            return None
        pairs = self.homography
        return calibrate(
            [pair.pixel for pair in pairs],
            [pair.floor for pair in pairs],
            self.distortion,
            aspect,
        )

    @field_validator("lines")
    @classmethod
    def _lines_fit(
        cls, lines: tuple[LineConfig, ...], info: ValidationInfo
    ) -> tuple[LineConfig, ...]:
        _no_twice("line", (line.id for line in lines))
        for index, line in enumerate(lines):
            _inside_picture(line.points, info, index, "points")
        return lines

    @field_validator("zones")
    @classmethod
    def _zones_fit(
        cls, zones: tuple[ZoneConfig, ...], info: ValidationInfo
    ) -> tuple[ZoneConfig, ...]:
        _no_twice("zone", (zone.id for zone in zones))
        for index, zone in enumerate(zones):
            _inside_picture(zone.polygon, info, index, "polygon")
        return zones


def _inside_picture(points: Sequence[Point], info: ValidationInfo, *at: int | str) -> None:
    if info.data.get("homography", ()) is not None:
        return
    for index, point in enumerate(points):
        if not all(0 <= value <= 1 for value in point):
            raise _wrong(
                "outside the picture: without a homography, x and y are fractions of it, 0 to 1",
                *at,
                index,
            )


class BrokerConfig(_Model):
    """The MQTT broker that the device speaks to."""

    host: Expanded
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: Expanded | None = None
    password: Annotated[SecretStr, BeforeValidator(_expand)] | None = None
    tls: bool = False


class FloorConfig(_Model):
    """A floor's name for people and its outline, in the unit of its cameras."""

    id: Slug
    name: str
    outline: tuple[Point, ...] = ()


def _no_central(device: str) -> str:
    if device == wire.CENTRAL:
        raise _wrong(f'"{wire.CENTRAL}" is no device\'s name: choose another')
    return device


class AgentConfig(_Model):
    """One device: its cameras, its broker, and how it keeps and coarsens what it sends.

    Positions are published in steps of `position_step` metres, or `fraction_step` of the picture
    where a camera has no homography; times in steps of `time_step` seconds. `providers` are the
    execution providers that may run the model, the preferred one first; all that are installed
    unless told.
    """

    site: Slug
    device: Annotated[Slug, AfterValidator(_no_central)]
    name: str
    model: ExpandedPath
    providers: tuple[Provider, ...] = ()
    broker: BrokerConfig
    state: ExpandedPath
    floors: tuple[FloorConfig, ...] = ()
    cameras: Annotated[tuple[CameraConfig, ...], Field(min_length=1)]
    position_step: Annotated[float, Field(gt=0)] = 0.25
    fraction_step: Annotated[float, Field(gt=0, le=1)] = 0.02
    time_step: Annotated[float, Field(gt=0, le=60)] = 1.0
    keep_acknowledged_hours: Annotated[float, Field(ge=0)] = 24.0
    max_outbox_mb: Annotated[float, Field(gt=0)] = 200.0
    resend_after_seconds: Annotated[float, Field(gt=0)] = 60.0
    health_every_seconds: Annotated[float, Field(gt=0)] = 60.0
    outstanding_batches: Annotated[int, Field(ge=1)] = 200

    @field_validator("floors")
    @classmethod
    def _floors_differ(cls, floors: tuple[FloorConfig, ...]) -> tuple[FloorConfig, ...]:
        _no_twice("floor", (each.id for each in floors))
        return floors

    @field_validator("cameras")
    @classmethod
    def _cameras_agree(cls, cameras: tuple[CameraConfig, ...]) -> tuple[CameraConfig, ...]:
        _no_twice("camera", (camera.id for camera in cameras))
        known: dict[tuple[str, str], object] = {}
        for index, camera in enumerate(cameras):
            calibrated = camera.homography is not None
            if known.setdefault(("floor", camera.floor), calibrated) != calibrated:
                raise _wrong(
                    f'floor "{camera.floor}" has cameras with and without a homography: '
                    "calibrate them all, or put them on floors of their own",
                    index,
                )
            areas: Sequence[_Area]
            for kind, areas in (("line", camera.lines), ("zone", camera.zones)):
                for place, area in enumerate(areas):
                    if known.setdefault((kind, area.id), (camera.floor, area)) != (
                        camera.floor,
                        area,
                    ):
                        raise _wrong(
                            f'{kind} "{area.id}" is another on an earlier camera: '
                            "define both alike, or give one another id",
                            *(index, f"{kind}s", place),
                        )
        return cameras

    def step(self, camera: CameraConfig) -> float:
        """The position step of a camera, in the unit of its floor."""
        return self.fraction_step if camera.homography is None else self.position_step


def load_camera(path: Path) -> CameraConfig:
    """The camera of a YAML file.

    Raises:
        ConfigError: every problem, a line each: file, line, key, what is wrong and the fix.
    """
    try:
        return yaml_model.read(path).validate(CameraConfig)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def load_agent(path: Path) -> AgentConfig:
    """The device of a YAML file; its cameras stand in it or are paths of camera files.

    Raises:
        ConfigError: as `load_camera`, for this file and the cameras' files.
    """
    try:
        document = yaml_model.read(path)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    problems = []
    cameras = document.data.get("cameras") if isinstance(document.data, dict) else None
    if not isinstance(cameras, list):
        cameras = []
    for index, camera in enumerate(cameras):
        if isinstance(camera, str):
            beside = path.parent / camera
            try:
                cameras[index] = load_camera(beside if beside.exists() else Path(camera))
            except ConfigError as error:
                problems.append(str(error))
    try:
        config = document.validate(AgentConfig)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return config
