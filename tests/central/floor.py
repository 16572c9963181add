"""What devices may say of a floor, and a slow, obvious twin of the measures that come from it."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

from hypothesis import strategies as st

from central.intake.events import Intake
from central.metrics import DWELL_EDGES
from central.store import Store
from edge import wire
from tests.central.device import MONDAY, SITE, layout

Cells = dict[tuple[str, str, str, int, int], float]
"""Values by site, measure, subject, window and bin."""
Said = tuple[str, wire.Event]
"""A device, and what it says."""

ENGAGED = {"display": 30.0}
TRACK = "0" * 16

moments = st.integers(0, 3 * 3600 * 4).map(lambda quarter: MONDAY + timedelta(seconds=quarter / 4))
spans = st.tuples(moments, st.integers(1, 1800)).map(
    lambda pair: (pair[0], pair[0] + timedelta(seconds=pair[1]))
)
lines = st.sampled_from(["front", "side", "stairs", "pavement", "unheard-of"])
zones = st.sampled_from(["till", "display", "office", "unheard-of"])
cameras = st.sampled_from(["one", "two"])
counts = st.integers(0, 50)
dwells = st.sampled_from([0.0, 4.75, 15.0, 29.75, 30.0, 5e4, *map(float, DWELL_EDGES)])

crossings = st.builds(
    lambda line, time, way, staff: wire.Crossing("g", line, ("one",), time, way, TRACK, staff),
    lines,
    moments,
    st.sampled_from(["in", "out"]),
    st.booleans(),
)
visits = st.builds(
    lambda zone, span, dwell, nth, ended, staff: wire.Visit(
        "g", zone, ("one",), TRACK, span[0], span[1], dwell, nth, ended, staff=staff
    ),
    zones,
    spans,
    dwells,
    st.integers(1, 3),
    st.sampled_from(["left", "left", "lost", "occluded", "shutdown"]),
    st.booleans(),
)
occupancies = st.builds(
    lambda zone, span, mean: wire.Occupancy("g", zone, span[0], span[1], 0, mean, 9),
    zones,
    spans,
    st.floats(0, 9, width=16),
)
queues = st.builds(
    lambda zone, span, mean, numbers, waits: wire.Queue(
        "g",
        zone,
        span[0],
        span[1],
        mean,
        length_max=9,
        joined=numbers[0],
        served=numbers[1],
        abandoned=numbers[2],
        lost=numbers[3],
        waiting=0,
        wait_histogram=tuple(waits),
    ),
    zones,
    spans,
    st.floats(0, 9, width=16),
    st.tuples(counts, counts, counts, counts),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
)
coverages = st.builds(
    lambda camera, span, seen, expected: wire.Coverage(
        camera, span[0], span[1], seen, expected, "ok"
    ),
    cameras,
    spans,
    counts,
    counts,
)
said_by: st.SearchStrategy[Said] = st.tuples(
    st.sampled_from(["door-1", "door-2"]),
    st.one_of(crossings, visits, occupancies, queues, coverages),
)


def lay_out(intake: Intake) -> None:
    """Device 1 owns all but the side entrance; the office is the staff's."""
    lines: dict[str, wire.LineRole] = {
        "front": "entrance",
        "stairs": "internal",
        "pavement": "street",
    }
    zones: dict[str, wire.ZoneRole] = {"till": "queue", "display": "display", "office": "staff"}
    intake.take([layout(lines, zones)])
    intake.take([layout({"front": "entrance", "side": "entrance"}, ["till"], device="door-2")])


def twin(sent: list[Said]) -> Cells:
    """What the windows should hold, spelled out."""
    cells: Cells = defaultdict(float)

    def add(measure: str, subject: str, moment: datetime, value: float, place: int = 0) -> None:
        cells[SITE, measure, subject, int(moment.timestamp() // 900), place] += value

    for name, event in sent:
        owner = name == "door-1"
        if isinstance(event, wire.Crossing):
            if event.staff:
                continue
            if event.line == ("front" if owner else "side"):
                add("footfall", event.line, event.time, event.direction == "in")
                add("exits", event.line, event.time, event.direction == "out")
            elif event.line == "pavement" and owner:
                add("passersby", event.line, event.time, 1)
        elif isinstance(event, wire.Coverage):
            if event.expected:
                share = min(1.0, event.seen / event.expected)
                add("covered_seconds", event.camera, event.start, _seconds(event) * share)
                add("watched_seconds", event.camera, event.start, _seconds(event))
        elif isinstance(event, wire.Path) or not owner or event.zone not in ("till", "display"):
            continue
        elif isinstance(event, wire.Visit):
            if event.dwell < 5 or event.staff:
                continue
            add("visits", event.zone, event.exited, 1)
            add("people", event.zone, event.exited, event.nth == 1)
            add("engaged", event.zone, event.exited, event.dwell >= ENGAGED.get(event.zone, 15.0))
            histogram = "dwell" if event.ended == "left" else "dwell_censored"
            place = max(i for i, edge in enumerate(DWELL_EDGES) if edge <= event.dwell)
            add(histogram, event.zone, event.exited, 1, place)
        elif isinstance(event, wire.Occupancy):
            add("person_seconds", event.zone, event.start, event.mean * _seconds(event))
            add("zone_seconds", event.zone, event.start, _seconds(event))
        else:
            for measure in ("joined", "served", "abandoned", "lost"):
                add(measure, event.zone, event.start, getattr(event, measure))
            length = event.length_mean * _seconds(event)
            add("queue_person_seconds", event.zone, event.start, length)
            add("queue_seconds", event.zone, event.start, _seconds(event))
            for place, people in enumerate(event.wait_histogram):
                if people:
                    add("wait", event.zone, event.start, people, place)
    return cells


def _seconds(event: wire.Occupancy | wire.Queue | wire.Coverage) -> int:
    return int(event.stop.timestamp()) - int(event.start.timestamp())


def cells(store: Store) -> Cells:
    """What the windows hold, partials merged."""
    rows = store.central().execute(
        'select site, measure, subject, "window", bin, sum(value) from partial group by all'
    )
    found = {tuple(key): value for *key, value in rows.fetchall()}
    assert Counter(len(key) for key in found).keys() <= {5}
    return found
