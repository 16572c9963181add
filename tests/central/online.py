"""What comes in online, and a slow, obvious twin of the measures that come from it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from hypothesis import strategies as st

from central import windows
from central.measures import EVENTS
from central.store import Store, utc
from tests.central.device import MONDAY
from tests.central.floor import Cells

NAMES = tuple(name for names in EVENTS.values() for name in names)


@dataclass(frozen=True)
class Event:
    """An online event; `second` counts from Monday."""

    id: int
    second: float
    person: str | None = "ann"
    channel: str = "web"
    kind: str = "track"
    name: str = "Product Viewed"
    properties: str = "{}"
    site: str = "web"

    @property
    def time(self) -> datetime:
        return MONDAY + timedelta(seconds=self.second)


events = st.builds(
    Event,
    id=st.integers(0, 40),
    second=st.one_of(
        st.integers(0, 4 * 3600).map(float),
        st.integers(0, 5).map(lambda n: n * 1800.0),
        st.floats(0, 4 * 3600),
    ),
    person=st.sampled_from(["ann", "ann", "ben", None]),
    channel=st.sampled_from(["web", "web", "app", "email"]),
    kind=st.sampled_from(["track", "track", "page", "screen", "identify"]),
    name=st.sampled_from(NAMES),
    properties=st.sampled_from(
        ["{}", '{"results":0}', '{"query":"x", "result_count": 0, "a":1}', '{"results":10}']
    ),
)
streams = st.lists(events, min_size=1, max_size=25, unique_by=lambda event: event.id)


def put(store: Store, sent: Iterable[Event]) -> set[int]:
    """Write events as the intake does, one with a known id not again; returns their windows."""
    changed = set()
    for event in sent:
        with store.write() as cursor:
            cursor.execute(
                "insert or ignore into online (site, channel, message_id, kind, name,"
                ' "time", received, person, properties) values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
                [
                    *(event.site, event.channel, str(event.id), event.kind, event.name),
                    *(utc(event.time), utc(MONDAY), event.person, event.properties),
                ],
            )
        changed.add(windows.key(event.time))
    return changed


def twin(sent: Iterable[Event]) -> Cells:
    """What the windows should hold of events with ids of their own, spelled out."""
    cells: Cells = defaultdict(float)

    def add(measure: str, event: Event, value: float = 1.0) -> None:
        if value:
            cells[event.site, measure, event.channel, int(event.time.timestamp()) // 900, 0] += (
                value
            )

    active = []
    for event in sent:
        add("events", event)
        if event.kind in ("page", "screen"):
            add("page_views", event)
        if event.kind == "track":
            for measure, names in EVENTS.items():
                add(measure, event, event.name in names)
            if event.name == "Products Searched" and '"result' in event.properties:
                add("zero_result_searches", event, "10" not in event.properties)
        if event.kind != "identify" and event.channel in ("web", "app") and event.person:
            active.append(event)
    active.sort(key=lambda event: (event.site, event.channel, event.person or "", event.time))
    people = groupby(active, lambda event: (event.site, event.channel, event.person))
    for _, theirs in people:
        before = None
        for event in theirs:
            second = int(event.time.timestamp())
            if before is None or second - before > 1800:
                add("sessions", event)
            else:
                add("engaged_seconds", event, second - before)
            before = second
    return cells
