"""Scenes: `sim://NAME?seed=7&people=40&minutes=10`, a store, a camera, and what goes wrong.

| key | meaning | unless told |
|---|---|---|
| `camera` | which of the store's views | overview |
| `seed` | the store and its people | 0 |
| `people` | in the store on average, 1 to 200 | 40 |
| `minutes` | how long, up to a day | 10 |
| `fps` | frames a second, 1 to 60 | 10 |
| `size` | of the picture | 640x360 |
| `lens`, `noise` | 0 for a picture without | 1 |
| `black`, `frozen` | the camera shows nothing, or the last picture again | |
| `moved` | the camera has been knocked and looks elsewhere | |
| `rush` | three times the arrivals | |
| `empty-till` | a till without a cashier: `60-600`, or `2:60-600` for the second | |
| `till-stopped` | a till that serves but records no sale | |

A fault holds for intervals in seconds, `60-120`, several with commas, `300-` until the end.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl, urlencode, urlsplit

from edge.config import ConfigError
from edge.simulator.crowd import Crowd, Interval, TillInterval
from edge.simulator.plans import STORES, plan
from edge.simulator.store import Pose, Store
from edge.simulator.view import Image, View

SCHEME = "sim://"


@dataclass(frozen=True)
class Scene:
    """A camera of a store for some time; see above. Intervals are in seconds, [start, stop)."""

    name: str
    camera: str = "overview"
    seed: int = 0
    people: int = 40
    minutes: float = 10.0
    fps: float = 10.0
    size: tuple[int, int] = (640, 360)
    lens: bool = True
    noise: bool = True
    black: tuple[Interval, ...] = ()
    moved: tuple[Interval, ...] = ()
    frozen: tuple[Interval, ...] = ()
    rush: tuple[Interval, ...] = ()
    empty_till: tuple[TillInterval, ...] = ()
    till_stopped: tuple[TillInterval, ...] = ()

    @property
    def frames(self) -> int:
        """How many pictures the scene has."""
        return round(self.minutes * 60 * self.fps)

    @property
    def store(self) -> Store:
        """The store that it shows."""
        return plan(self.name, self.seed)

    def crowd(self) -> Crowd:
        """Its people at the start: the same for every camera of the store."""
        return Crowd(
            self.store,
            self.people,
            self.seed,
            rush=self.rush,
            empty=self.empty_till,
            stopped=self.till_stopped,
        )

    def view(self, *, moved: bool = False) -> View:
        """Its camera's view, or that of the camera when it has been knocked."""
        pose = self.store.pose(self.camera)
        return View(
            self.store,
            knocked(pose) if moved else pose,
            self.size,
            lens=self.lens,
            noise=self.noise,
        )


def knocked(pose: Pose) -> Pose:
    """Where a camera looks after a knock: a quarter of its view to the side, and nearer."""
    x, y, _ = pose.position
    angle = math.radians(pose.field_of_view / 4)
    cos, sin = math.cos(angle), math.sin(angle)
    dx, dy = pose.target[0] - x, pose.target[1] - y
    target = (x + 0.8 * (cos * dx - sin * dy), y + 0.8 * (sin * dx + cos * dy), pose.target[2])
    return Pose(pose.position, target, pose.field_of_view)


def during(intervals: Sequence[Interval], seconds: float) -> bool:
    """Whether a time lies in one of the intervals."""
    return any(start <= seconds < stop for start, stop in intervals)


def pictures(scene: Scene) -> Iterator[Image]:
    """Every picture (height, width, 3), BGR, of a scene; picture n is of n / fps seconds."""
    crowd, view = scene.crowd(), scene.view()
    elsewhere: View | None = None
    last: Image | None = None
    for index in range(scene.frames):
        seconds = index / scene.fps
        crowd.step(seconds - crowd.time)
        if last is None or not during(scene.frozen, seconds):
            if during(scene.black, seconds):
                last = view.black(seconds)
            elif during(scene.moved, seconds):
                elsewhere = elsewhere or scene.view(moved=True)
                last = elsewhere.draw(crowd)
            else:
                last = view.draw(crowd)
        yield last.copy()


def parse(source: str) -> Scene:
    """The scene of an address.

    Raises:
        ConfigError: what is wrong with it, and what would do.
    """
    try:
        return _parse(source)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _parse(source: str) -> Scene:
    if not source.startswith(SCHEME):
        raise ValueError(f"not a rendered store: write {SCHEME}NAME?seed=7")
    parts = urlsplit(source)
    if parts.netloc not in STORES or parts.path.strip("/") or parts.fragment:
        name = source[len(SCHEME) :].split("?")[0].split("#")[0]
        raise ValueError(f'no rendered store "{name}": take {" or ".join(STORES)}')
    values: dict[str, object] = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in READERS:
            raise ValueError(f'unknown key "{key}": take {", ".join(READERS)}')
        field = key.replace("-", "_")
        if field in values:
            raise ValueError(f"{key} stands twice: leave one out")
        try:
            values[field] = READERS[key](text)
        except ValueError as error:
            raise ValueError(f"{key}={text}: {error}") from None
    scene = Scene(parts.netloc, **values)  # type: ignore[arg-type]
    store = scene.store
    if scene.camera not in dict(store.cameras):
        known = ", ".join(dict(store.cameras))
        raise ValueError(f'no camera "{scene.camera}" in the store: take {known}')
    for key, intervals in (("empty-till", scene.empty_till), ("till-stopped", scene.till_stopped)):
        for till, _, _ in intervals:
            if not 1 <= till <= len(store.tills):
                raise ValueError(f"{key}: no till {till}: the store has 1 to {len(store.tills)}")
    return scene


def address(scene: Scene) -> str:
    """The address that `parse` reads as this scene, without what is as usual."""
    given = []
    for field in fields(Scene)[1:]:
        value = getattr(scene, field.name)
        if value != field.default:
            given.append((field.name.replace("_", "-"), _text(value)))
    query = urlencode(given, safe=":,x")
    return f"{SCHEME}{scene.name}" + (f"?{query}" if query else "")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(int(value) if value.is_integer() else value)
    if not isinstance(value, tuple):
        return str(value)
    if value and isinstance(value[0], int):
        return "x".join(map(str, value))
    texts = []
    for *till, start, stop in value:
        end = "" if math.isinf(stop) else _text(stop)
        texts.append("".join(f"{number}:" for number in till) + f"{_text(start)}-{end}")
    return ",".join(texts)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} is needed")
        return int(text)

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ValueError(f"a number from {low:g} to {high:g} is needed")
        return float(text)

    return read


def _yes(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1 is needed")
    return text == "1"


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", text)
    if not match or not (64 <= int(match[1]) <= 3840 and 64 <= int(match[2]) <= 2160):
        raise ValueError("a size like 640x360 is needed, from 64x64 to 3840x2160")
    return int(match[1]), int(match[2])


def _interval(text: str) -> Interval:
    match = re.fullmatch(r"([0-9.]{1,9})-([0-9.]{0,9})", text)
    try:
        start, stop = float(match[1]), float(match[2] or "inf")  # type: ignore[index]
    except (TypeError, ValueError):
        raise ValueError("seconds like 60-120 are needed, or 60- until the end") from None
    if stop <= start:
        raise ValueError("an interval ends after it begins")
    return start, stop


def _intervals(text: str) -> tuple[Interval, ...]:
    return tuple(_interval(part) for part in text.split(","))


def _till_intervals(text: str) -> tuple[TillInterval, ...]:
    found = []
    for part in text.split(","):
        till, colon, rest = part.rpartition(":")
        if colon and not re.fullmatch(r"[0-9]{1,3}", till):
            raise ValueError("a till is a number: 2:60-600")
        found.append((int(till) if colon else 1, *_interval(rest)))
    return tuple(found)


READERS: dict[str, Callable[[str], object]] = {
    "camera": str,
    "seed": _whole(0, 999_999_999),
    "people": _whole(1, 200),
    "minutes": _number(0.01, 1440),
    "fps": _number(1, 60),
    "size": _size,
    "lens": _yes,
    "noise": _yes,
    "black": _intervals,
    "moved": _intervals,
    "frozen": _intervals,
    "rush": _intervals,
    "empty-till": _till_intervals,
    "till-stopped": _till_intervals,
}
