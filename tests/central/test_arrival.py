"""However events arrive, the windows are those of the sorted, complete stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central import windows
from central.intake import events
from central.intake.events import Intake
from central.store import Store
from tests.central import device, floor, online
from tests.central.device import MONDAY, batch
from tests.central.floor import Said, cells
from tests.central.online import Event
from tests.central.test_measures import SHOP

patient = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
RAW_HOURS = 24.0
SESSIONS = ("sessions", "engaged_seconds")


@dataclass(frozen=True)
class Step:
    """What is delivered, how many hours after the step before, and what happens then."""

    hours: int
    first: int
    count: int
    restart: bool
    rebuild: bool


steps = st.builds(
    Step,
    hours=st.sampled_from([0, 0, 1, 20, 30, 200]),
    first=st.integers(0, 29),
    count=st.integers(1, 12),
    restart=st.booleans(),
    rebuild=st.booleans(),
)


@contextmanager
def clock(now: datetime) -> Iterator[None]:
    """The intake's clock shows `now`."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.combine(now.date(), now.time(), tz)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(events, "datetime", Clock)
        yield


@patient
@given(st.lists(floor.said_by, min_size=1, max_size=30), st.lists(steps, max_size=12))
def test_floor_events_may_arrive_in_any_way(
    store: Store, sent: list[Said], steps: list[Step]
) -> None:
    """In any order, any split, again and again, over restarts, and after raw events are gone."""
    for table in (*windows.RAW_TABLES, "ledger"):
        device.rows(store, f"truncate {table}")
    store.central().execute("truncate partial; truncate frozen")
    intake = Intake(store)
    floor.lay_out(intake)
    now = MONDAY
    said = {name: [event for by, event in sent if by == name] for name in ("door-1", "door-2")}
    for step in (*steps, Step(0, 0, len(sent), restart=True, rebuild=True)):
        now += timedelta(hours=step.hours)
        if step.restart:
            intake = Intake(store)
        with clock(now):
            for name, own in said.items():
                some = own[step.first : step.first + step.count]
                if some:
                    intake.take([batch(step.first, some, device=name)])
        if step.rebuild:
            windows.rebuild(store, RAW_HOURS, now, [SHOP])
    assert cells(store) == pytest.approx(floor.twin(sent))


def start_online(store: Store) -> None:
    store.central().execute("truncate partial; truncate online")


groups = st.lists(st.lists(st.integers(0, 24), max_size=6), max_size=6)


@patient
@given(online.streams, groups, st.integers(0, 6))
def test_online_events_may_arrive_in_any_way(
    store: Store, sent: list[Event], order: list[list[int]], restart: int
) -> None:
    """Rebuilt only around what has come; a restart rebuilds everything."""
    start_online(store)
    for number, group in enumerate([*order, range(len(sent))]):
        changed = online.put(store, [sent[n] for n in group if n < len(sent)])
        windows.rebuild_online(store, None if number == restart else changed)
    assert cells(store) == online.twin(sent)


@patient
@given(online.streams, st.lists(st.integers(-4, 20), min_size=1, max_size=4))
def test_what_was_counted_online_stays_when_events_expire(
    store: Store, sent: list[Event], firsts: list[int]
) -> None:
    start_online(store)
    online.put(store, sent)
    windows.rebuild_online(store)
    for first in firsts:
        horizon = windows.key(MONDAY) + first
        windows.expire_online(store, horizon)
        assert (
            not store.central()
            .execute(f'select 1 from online where "time" < to_timestamp({(horizon - 96) * 900})')
            .fetchall()
        )
        assert cells(store) == online.twin(sent)
        windows.rebuild_online(store)
        assert cells(store) == online.twin(sent)


@patient
@given(online.streams, groups, st.lists(st.integers(-4, 20), max_size=6))
def test_an_online_backlog_after_expiry_is_added(
    store: Store, sent: list[Event], order: list[list[int]], firsts: list[int]
) -> None:
    """All that does not ask who else was there; sessions cannot be joined to what is gone."""
    start_online(store)
    delivered: set[int] = set()
    for number, group in enumerate([*order, range(len(sent))]):
        fresh = {n for n in group if n < len(sent)} - delivered
        delivered |= fresh
        windows.rebuild_online(store, online.put(store, [sent[n] for n in sorted(fresh)]))
        if number < len(firsts):
            windows.expire_online(store, windows.key(MONDAY) + firsts[number])
    windows.rebuild_online(store)
    found = {key: value for key, value in cells(store).items() if key[1] not in SESSIONS}
    expected = {key: value for key, value in online.twin(sent).items() if key[1] not in SESSIONS}
    assert found == expected
