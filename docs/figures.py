"""`make figures`: the pictures of docs/how-counting-works.md, as SVG.

What a picture says of a walk is what the edge's own rooms say of it: each is shown to them, and
their verdict is written below. Lengths are metres on a floor that is seen from above, y down.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from docs import drawing
from docs.drawing import MARGIN, SCALE, WIDTH, Place
from edge import people, queues, visits, wire
from edge.config import LineConfig, ZoneConfig
from edge.people import People
from edge.queues import Outcome
from edge.visits import Observer, Watched

FOLDER = Path(__file__).with_name("figures")
START = datetime(2026, 1, 1, tzinfo=UTC)
Sights = tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.bool_],
]
"""Numbers, points, what a metre is there, and whether hidden, as `Observer.observe` takes them."""


@dataclass(frozen=True)
class Walk:
    """Where somebody is seen, every `step` seconds."""

    title: str
    places: Sequence[Place]
    step: float = 0.2


def way(*corners: Place, steps: int = 8) -> list[Place]:
    """So many even steps from each corner to the next."""
    places = [corners[0]]
    for (ax, ay), (bx, by) in pairwise(corners):
        places += [
            (ax + (bx - ax) * k / steps, ay + (by - ay) * k / steps) for k in range(1, steps + 1)
        ]
    return places


def told(
    walk: Walk, line: Sequence[Place] = (), zones: Sequence[ZoneConfig] = ()
) -> tuple[list[wire.Event], Outcome | None]:
    """What the edge says of a walk: its events, and what became of the queue among the zones."""
    lines = [LineConfig(id="line", name="", role="entrance", points=tuple(line))] if line else []
    cameras: dict[wire.Place, tuple[str, ...]] = {("line", each.id): ("camera",) for each in lines}
    cameras |= {("zone", each.id): ("camera",) for each in zones}
    observer = Observer(Watched("ground", True, lines, zones, cameras), lambda _: "0" * 16)
    events: list[wire.Event] = []
    for frame, place in enumerate(walk.places):
        events += observer.observe(
            START + timedelta(seconds=walk.step * frame), "camera", *_seen(1, [place])
        )
    events += observer.end(1)
    over = timedelta(seconds=walk.step * len(walk.places)) + queues.SERVED
    observer.observe(START + over, "camera", *_seen(1, []))
    queue = [index for index, zone in enumerate(zones) if zone.role == "queue"]
    return events, observer.queues.take(queue[0]) if queue else None


def _seen(number: int, places: Sequence[Place]) -> Sights:
    count = len(places)
    return (
        np.full(count, number),
        np.array(places, np.float64).reshape(-1, 2),
        np.ones(count),
        np.zeros(count, np.bool_),
    )


LINE: Sequence[Place] = ((0.0, 0.9), (3.3, 0.9))
CROSSINGS = (
    Walk("Walks over it", way((0.6, 1.6), (2.7, 0.2))),
    Walk("Is over it between two frames", [(0.5, 1.6), (1.2, 1.25), (2.1, 0.5), (2.8, 0.2)], 1.0),
    Walk("Is last seen just beyond it", way((0.9, 1.6), (1.9, 0.84))),
    Walk("Turns back on it", way((0.7, 1.6), (1.65, 0.82), (2.6, 1.6))),
    Walk(
        "Stands on it",
        [
            *way((0.7, 1.6), (1.5, 0.95)),
            *[(1.5 + 0.1 * (k % 4), 0.9 + 0.1 * (-1) ** k) for k in range(20)],
            *way((1.8, 1.0), (2.6, 1.6)),
        ],
    ),
    Walk(
        "Is seen wrong once",
        [*way((0.6, 1.5), (1.5, 1.25)), (1.6, 0.5), *way((1.7, 1.25), (2.7, 1.5))],
    ),
)

ROOM = ZoneConfig(
    id="zone",
    name="",
    role="area",
    polygon=((-9.0, -9.0), (9.0, -9.0), (9.0, 0.0), (-9.0, 0.0)),
)
"""A zone with a side along y = 0, so that y is how far outside somebody is."""
OUTSIDE = (
    *((0.0, 0.9), (2.0, -0.4), (4.0, -0.6), (5.5, 0.2), (6.0, -0.1), (6.5, 0.25), (7.5, -0.5)),
    *((8.5, -0.2), (9.0, 0.45), (9.4, 0.45), (10.0, -0.5), (13.0, -0.4), (15.0, 0.8), (17.0, 0.9)),
    *((18.5, 0.3), (20.0, -0.5), (24.0, -0.4)),
)
"""Seconds, and how far outside somebody is then."""
EDGE_WALK = Walk(
    "",
    [
        (0.0, float(np.interp(tenth / 10, [time for time, _ in OUTSIDE], [y for _, y in OUTSIDE])))
        for tenth in range(240)
    ],
    0.1,
)

QUEUE = ZoneConfig(
    id="queue",
    name="",
    role="queue",
    polygon=((0.3, 0.5), (1.5, 0.5), (1.5, 1.3), (0.3, 1.3)),
)
SERVICE = ZoneConfig(
    id="service",
    name="",
    role="service",
    polygon=((1.9, 0.5), (2.9, 0.5), (2.9, 1.3), (1.9, 1.3)),
)
QUEUES = (
    Walk(
        "Waits, and comes to the till",
        [*way((0.1, 1.6), (0.7, 1.0)), *[(0.7, 1.0)] * 12, *way((1.1, 0.9), (2.3, 0.9))],
        0.3,
    ),
    Walk(
        "Waits, and goes",
        [*way((0.1, 1.6), (0.9, 1.0)), *[(0.9, 1.0)] * 12, *way((1.0, 0.9), (1.3, 0.15), steps=6)],
        0.3,
    ),
    Walk("Waits, and is seen no more", [*way((0.1, 1.6), (0.9, 0.9)), *[(0.9, 0.9)] * 12], 0.3),
    Walk("Walks through", way((0.1, 1.6), (1.3, 0.15), steps=8), 0.3),
)


def crossing() -> str:
    """Six walks at a line, and how often each crosses it."""
    panels = []
    for walk in CROSSINGS:
        events, _ = told(walk, LINE)
        ways = [event.direction for event in events if isinstance(event, wire.Crossing)]
        clear = visits.CLEAR
        content = [
            drawing.box((0.0, 0.9 - clear), (3.3, 0.9 + clear), "band"),
            drawing.path(LINE, "line"),
            drawing.text(WIDTH - 6, SCALE * 0.7, "in ↑", "soft", "end"),
            *drawing.walk(walk.places),
        ]
        verdict = " and ".join(f"one crossing, {way}" for way in ways)
        panels.append(drawing.panel(walk.title, content, verdict or "no crossing", bool(ways)))
    return drawing.sheet(panels, 3)


def visit() -> str:
    """How far outside a zone somebody is over time, and the visits that come of it."""
    across, down, left, top = 27.0, 75.0, 66.0, 70.0
    events, _ = told(EDGE_WALK, zones=[ROOM])
    length = len(EDGE_WALK.places) * EDGE_WALK.step

    def point(seconds: float, outside: float) -> str:
        return f"{left + across * seconds:.1f},{top + down * (0.3 - outside):.1f}"

    def strip(high: float, low: float, kind: str) -> str:
        y = top + down * (0.3 - high)
        height = down * (high - low)
        return (
            f'<rect class="{kind}" x="{left}" y="{y:.1f}" width="{across * length:.1f}"'
            f' height="{height:.1f}"/>'
        )

    curve = " ".join(
        point(EDGE_WALK.step * frame, y) for frame, (_, y) in enumerate(EDGE_WALK.places)
    )
    bottom = top + down * 1.05
    parts = [
        strip(visits.BAND, 0.0, "band"),
        strip(0.0, -0.7, "zone"),
        f'<polyline class="way" stroke-width="2" points="{curve}"/>',
        drawing.text(left - 6, top + 15, f"{visits.BAND} m", "soft", "end"),
        drawing.text(left - 6, top + 60, "zone", "soft", "end"),
        drawing.text(left - 6, top - 25, "outside", "soft", "end"),
    ]
    for seconds in range(0, round(length) + 1, 4):
        x = left + across * seconds
        parts += [
            f'<path class="axis" d="M{x:.1f} {bottom - 8:.1f}v5"/>',
            drawing.text(x, bottom + 10, f"{seconds} s", "soft", "middle"),
        ]
    for event in events:
        if isinstance(event, wire.Visit):
            begin = left + across * (event.entered - START).total_seconds()
            parts += [
                f'<rect class="dot" x="{begin:.1f}" y="{bottom + 18:.1f}"'
                f' width="{across * event.dwell:.1f}" height="6"/>',
                drawing.text(begin, bottom + 40, f"visit {event.nth}: {event.dwell:.1f} s", "yes"),
                drawing.text(begin, bottom + 57, f"ended: {event.ended}", "soft"),
            ]
    return drawing.svg(left + across * length + 2 * MARGIN, bottom + 68, parts)


def queue() -> str:
    """Four walks at a queue and a till, and what becomes of each."""
    panels = []
    for walk in QUEUES:
        _, outcome = told(walk, zones=[QUEUE, SERVICE])
        content = [
            drawing.area(QUEUE.polygon, "zone"),
            drawing.area(SERVICE.polygon, "band"),
            drawing.text(SCALE * 0.35, SCALE * 0.5 - 4, "queue", "soft"),
            drawing.text(SCALE * 1.95, SCALE * 0.5 - 4, "service", "soft"),
            *drawing.walk(walk.places),
        ]
        counts = [
            name
            for name in ("joined", "served", "abandoned", "lost")
            if outcome and getattr(outcome, name)
        ]
        panels.append(
            drawing.panel(walk.title, content, ", ".join(counts) or "has not joined", bool(counts))
        )
    return drawing.sheet(panels, 2)


def who() -> str:
    """New tracks that are somebody known or not, and two cameras' tracks of one person or two."""
    return drawing.sheet(
        [
            _stitched("Comes out near", (2.4, 0.7)),
            _stitched("Comes out far away", (3.0, 0.4)),
            _merged("Two cameras, one place", 0.3),
            _merged("Two cameras, two places", 0.8),
        ],
        2,
    )


def _stitched(title: str, out: Place) -> str:
    """Somebody walks behind a shelf, and two seconds later a new track begins."""
    crowd, unseen, step = People(), 2.0, 0.2
    walked, later = way((0.2, 1.4), (1.2, 1.2)), way(out, (out[0] + 0.2, 0.1), steps=4)
    for frame, place in enumerate(walked):
        first = _look(crowd, frame * step, "camera", 1, place)
    again = (len(walked) - 1) * step + unseen
    number = _look(crowd, again, "camera", 2, later[0])
    reach = min(people.REACH + people.PACE * unseen, people.FARTHEST)
    (ax, ay), (bx, by) = walked[-2:]
    ahead = people.DRIFT / step
    there = (bx + ahead * (bx - ax), by + ahead * (by - ay))
    same = number == first
    content = [
        drawing.circle(there, reach, "band"),
        drawing.box((1.35, 0.85), (2.15, 1.3), "shelf"),
        drawing.path((walked[-1], there), "gap"),
        *drawing.walk(walked),
        *drawing.walk(later, "dot" if same else "other"),
    ]
    return drawing.panel(title, content, "the same person" if same else "somebody else", same)


def _merged(title: str, apart: float) -> str:
    """Two cameras' tracks of the same floor, side by side."""
    crowd, step = People(), 0.2
    one = way((0.4, 1.3), (2.9, 0.9), steps=12)
    two = [(x, y - apart) for x, y in one]
    for frame, (here, there) in enumerate(zip(one, two, strict=True)):
        left = _look(crowd, frame * step, "left", 1, here)
        right = _look(crowd, frame * step, "right", 1, there)
    same = left == right
    content = [*drawing.walk(one), *drawing.walk(two, "dot" if same else "other")]
    return drawing.panel(title, content, "one person" if same else "two people", same)


def _look(crowd: People, seconds: float, camera: str, track: int, place: Place) -> int:
    """Who the one track is that a camera sees then; whom it saw before, it has given up."""
    moved = crowd.update(
        camera, START + timedelta(seconds=seconds), *_seen(track, [place])[:3], range(1, track)
    )
    return int(moved.numbers[0])


FIGURES = {"crossing": crossing, "visit": visit, "queue": queue, "who": who}


def main() -> int:
    """Draw all."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (FOLDER / f"{name}.svg").write_text(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
