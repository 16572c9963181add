"""The wire contract, version 1: what a device and central say to each other over MQTT.

UTF-8 JSON. Times are RFC 3339 in UTC, lengths in metres, durations in seconds. This module is
the one thing that both programs import; `docs/asyncapi.yaml` and `docs/schema/` are generated
from it. Nothing here can hold a picture, an embedding or an appearance attribute.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

VERSION = 1
ROOT = f"passerby/v{VERSION}"
CENTRAL = "central"
MAX_EVENTS = 256
MAX_BYTES = 64 * 1024
MAX_AUDITS = 512

# The look-ahead refuses the line feed that `$` alone lets through in Python.
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$(?!\n)", description="an id")]
DeviceName = Annotated[
    str,
    Meta(
        pattern=r"^(?!central$)[a-z0-9-]{1,40}$(?!\n)",
        description="an id; `central` is no device's name",
    ),
]
Random64 = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16}$(?!\n)", description="64 random bits, in hexadecimal")
]
Hash = Annotated[str, Meta(max_length=64, description="a hash, in hexadecimal, or empty")]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339, UTC")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Sequence = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Cameras = Annotated[tuple[Slug, ...], Meta(min_length=1)]
Point = tuple[float, float]
Ended = Literal["left", "lost", "occluded", "shutdown"]
Cause = Literal["ok", "offline", "obstructed", "moved", "frozen", "overloaded", "stopped"]
Clock = Literal["synced", "unsynced"]
LineRole = Literal["entrance", "internal", "street"]
ZoneRole = Literal["queue", "service", "staff", "display", "area"]
Place = tuple[Literal["line", "zone"], str]
"""A line or zone, by its id; both may have the same."""


class Crossing(Struct, tag_field="type", tag="crossing", frozen=True, gc=False):
    """One passage of one track over a line; `in` is towards the line's inner side."""

    floor: Slug
    line: Slug
    cameras: Cameras
    time: Time
    direction: Literal["in", "out"]
    track: Random64
    staff: bool = False


class Visit(Struct, tag_field="type", tag="visit", frozen=True, gc=False):
    """One stay of one track in a zone. Unless `ended` is `left`, dwell is a lower bound."""

    floor: Slug
    zone: Slug
    cameras: Cameras
    track: Random64
    entered: Time
    exited: Time
    dwell: Seconds
    nth: Annotated[int, Meta(ge=1, le=2**31 - 1, description="the track's n-th visit here")]
    ended: Ended
    stitched: Annotated[int, Meta(ge=0, le=2**31 - 1, description="gaps bridged in it")] = 0
    staff: bool = False


class Path(Struct, tag_field="type", tag="path", frozen=True, gc=False):
    """A track's way over the floor, simplified and quantised; t is seconds from `start`."""

    floor: Slug
    cameras: Cameras
    track: Random64
    start: Time
    duration: Seconds
    distance: Annotated[float, Meta(ge=0, description="metres, or fractions uncalibrated")]
    points: tuple[tuple[float, float, float], ...]
    zones: tuple[Slug, ...]


class Occupancy(Struct, tag_field="type", tag="occupancy", frozen=True, gc=False):
    """People in a zone between `start` and `stop`, mean weighted by time."""

    floor: Slug
    zone: Slug
    start: Time
    stop: Time
    min: Count
    mean: Seconds
    max: Count


class Queue(Struct, tag_field="type", tag="queue", frozen=True, gc=False):
    """A queue between `start` and `stop`; served = went on to a zone with role `service`."""

    floor: Slug
    zone: Slug
    start: Time
    stop: Time
    length_mean: Seconds
    length_max: Count
    joined: Count
    served: Count
    abandoned: Count
    lost: Count
    waiting: Count
    wait_histogram: Annotated[
        tuple[Count, ...], Meta(description="people by wait, fixed bins: see WAIT_EDGES")
    ]


WAIT_EDGES = (15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0)
"""Upper edges in seconds of `wait_histogram`'s bins; the last bin has none."""


class Coverage(Struct, tag_field="type", tag="coverage", frozen=True, gc=False):
    """Frames a camera saw of those expected between `start` and `stop`, and why not more."""

    camera: Slug
    start: Time
    stop: Time
    seen: Count
    expected: Count
    cause: Cause


Event = Crossing | Visit | Path | Occupancy | Queue | Coverage
EVENTS: tuple[type[Event], ...] = (Crossing, Visit, Path, Occupancy, Queue, Coverage)


class Header(Struct, frozen=True):
    """The part of a batch that stays the same in every version: what it claims to hold."""

    v: int
    site: Slug
    device: DeviceName
    epoch: Random64
    first: Sequence
    count: Annotated[int, Meta(ge=1, le=MAX_EVENTS)]


class Batch(Header, frozen=True):
    """Events `first` to `first + count - 1` of one epoch of one device."""

    sent: Time
    config: Hash
    model: Hash
    clock: Clock
    events: Annotated[tuple[Event, ...], Meta(max_length=MAX_EVENTS)]


class RawBatch(Header, frozen=True):
    """A batch whose events are not looked at yet, so that one bad event spoils only itself."""

    sent: Time
    config: Hash
    model: Hash
    clock: Clock
    events: tuple[msgspec.Raw, ...]


class Status(Struct, frozen=True):
    """Retained: the birth says `online`, the last will `offline`."""

    v: int
    state: Literal["online", "offline"]
    version: str = ""
    config: Hash = ""
    model: Hash = ""


class Floor(Struct, frozen=True):
    """A floor; with unit `fraction` x and y are fractions of the picture (no calibration)."""

    id: Slug
    name: str
    unit: Literal["metre", "fraction"]
    outline: tuple[Point, ...]


class Line(Struct, frozen=True):
    """A line, and the cameras that watch it."""

    id: Slug
    floor: Slug
    name: str
    role: LineRole
    cameras: Cameras
    points: tuple[Point, ...]


class Zone(Struct, frozen=True):
    """A zone, and the cameras that watch it."""

    id: Slug
    floor: Slug
    name: str
    role: ZoneRole
    cameras: Cameras
    polygon: tuple[Point, ...]


class Camera(Struct, frozen=True):
    """A camera; its source's address never leaves the device."""

    id: Slug
    floor: Slug
    name: str


class Layout(Struct, frozen=True):
    """Retained: what a device watches. A new `config` hash starts a new baseline."""

    v: int
    config: Hash
    name: str
    floors: tuple[Floor, ...]
    lines: tuple[Line, ...]
    zones: tuple[Zone, ...]
    cameras: tuple[Camera, ...]


class CameraHealth(Struct, frozen=True):
    """A camera now; all its events up to `through` have been numbered."""

    through: Time
    state: Cause
    frames: Count
    fps: Seconds
    dropped: Annotated[
        int,
        Meta(ge=0, le=2**53 - 1, description="frames damaged, or that nobody took in time"),
    ]
    inference_p50: Annotated[float, Meta(ge=0, description="milliseconds")] = 0.0
    inference_p95: Annotated[float, Meta(ge=0, description="milliseconds")] = 0.0


class Audit(Struct, frozen=True):
    """How far a whole hour's count of a line or zone can be believed, 0 to 1.

    `checks` says why: the share of the count that each finds nothing against, by its name in
    `edge/audit.py`; `confidence` is the least of them. `count` is of crossings, or of visits by
    when they ended.
    """

    kind: Literal["line", "zone"]
    id: Slug
    start: Time
    count: Count
    confidence: Share
    checks: dict[Slug, Share]


class Health(Struct, frozen=True):
    """`epochs`: for every epoch still in the outbox, its next sequence number.

    `audits` are those of the last whole hours, and are sent again with what has changed since.
    """

    v: int
    time: Time
    epochs: dict[Random64, Sequence]
    cameras: dict[Slug, CameraHealth]
    clock: Clock
    version: str
    lost: Annotated[int, Meta(ge=0, description="events dropped because the disk was full")] = 0
    audits: Annotated[tuple[Audit, ...], Meta(max_length=MAX_AUDITS)] = ()


class Gauge(Struct, frozen=True):
    """Retained: people in a zone now."""

    v: int
    time: Time
    count: Count


class Ack(Struct, frozen=True):
    """Retained: what central has committed, as closed intervals, for the epochs in `health`."""

    v: int
    epochs: dict[Random64, tuple[tuple[Sequence, Sequence], ...]]


class Alert(Struct, frozen=True):
    """Retained while the incident is open, then cleared by an empty payload."""

    v: int
    id: str
    site: Slug
    cause: str
    severity: str
    opened: Time
    sentence: str
    resolved: Time | None = None


class Topic(NamedTuple):
    """passerby/v1/{site}/{device}/{kind}[/{name}]"""

    site: str
    device: str
    kind: str
    name: str = ""

    def __str__(self) -> str:
        path = f"{ROOT}/{self.site}/{self.device}/{self.kind}"
        return f"{path}/{self.name}" if self.name else path


def parse_topic(topic: str) -> Topic | None:
    """The parts of a topic of this contract, or None.

    >>> parse_topic("passerby/v1/leeds/door-1/occupancy/till")
    Topic(site='leeds', device='door-1', kind='occupancy', name='till')
    >>> parse_topic("homeassistant/status") is None
    True
    """
    parts = topic.split("/")
    if len(parts) not in (5, 6) or "/".join(parts[:2]) != ROOT or not all(parts):
        return None
    return Topic(*parts[2:])


@dataclass(frozen=True, slots=True)
class Rejected:
    """What could not be read: `first` to `first + count - 1` are claimed all the same."""

    first: int
    count: int
    reason: str
    raw: bytes


class Decoded(NamedTuple):
    """A payload read as far as it goes. Without a header nothing is claimed."""

    header: Header | None
    batch: Batch | None
    events: list[tuple[int, Event]]
    rejected: list[Rejected]


encoder = msgspec.json.Encoder()
encode = encoder.encode
_batch = msgspec.json.Decoder(Batch)
_raw_batch = msgspec.json.Decoder(RawBatch)
_header = msgspec.json.Decoder(Header)
_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def decode(payload: bytes) -> Decoded:
    """Read a batch event by event; raises nothing.

    A bad event is rejected alone. Where the batch as a whole cannot be read but its header can
    (a version of the future, say), every sequence number that it claims is rejected, so that it
    can be acknowledged and is not sent for ever.
    """
    if len(payload) > MAX_BYTES:
        return _refuse(payload, f"{len(payload)} bytes, of at most {MAX_BYTES}")
    try:
        batch = _batch.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_singly(payload)
    problem = _problem(batch, len(batch.events))
    if problem:
        return _refuse(payload, problem)
    return Decoded(batch, batch, list(enumerate(batch.events, batch.first)), [])


def _decode_singly(payload: bytes) -> Decoded:
    try:
        raw = _raw_batch.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refuse(payload, str(error))
    problem = _problem(raw, len(raw.events))
    if problem:
        return _refuse(payload, problem)
    events: list[tuple[int, Event]] = []
    rejected = []
    for sequence, body in enumerate(raw.events, raw.first):
        try:
            events.append((sequence, _event.decode(body)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            rejected.append(Rejected(sequence, 1, str(error), bytes(body)))
    fields = {name: getattr(raw, name) for name in raw.__struct_fields__ if name != "events"}
    batch = Batch(**fields, events=tuple(event for _, event in events))
    return Decoded(batch, batch, events, rejected)


def _problem(header: Header, events: int) -> str:
    if header.v != VERSION:
        return f"version {header.v} of the contract, of which {VERSION} is known"
    if header.count != events:
        return f"count says {header.count}, but there are {events} events"
    return ""


def _refuse(payload: bytes, reason: str) -> Decoded:
    try:
        header = _header.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Decoded(None, None, [], [Rejected(0, 0, reason, payload)])
    if header.v != VERSION:
        reason = _problem(header, header.count)
    return Decoded(header, None, [], [Rejected(header.first, header.count, reason, payload)])
