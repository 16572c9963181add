"""Expected, received and missing, by device and hour."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import gaps
from central.intake import events
from central.intake.commit import Message
from central.intake.events import Intake
from central.store import Store
from edge import wire
from tests.central.device import EPOCH, MONDAY, batch, event, health

OTHER = "f" * 16


class Clock(datetime):
    """Central's clock, as the test sets it."""

    moment = MONDAY

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(events, "datetime", Clock)
    Clock.moment = MONDAY
    return Clock


def crossings(first: int, count: int, epoch: str = EPOCH) -> Message:
    return batch(first, [event(number) for number in range(first, first + count)], epoch=epoch)


def found(store: Store) -> list[tuple[int, int, int, int]]:
    """Hour of the day, expected, received, missing."""
    day = gaps.report(store, None, MONDAY, MONDAY + timedelta(days=1))
    return [(gap.hour.hour, gap.expected, gap.received, gap.missing) for gap in day]


def test_a_number_belongs_to_the_hour_in_which_it_was_named(
    store: Store, clock: type[Clock]
) -> None:
    intake = Intake(store)
    clock.moment = MONDAY + timedelta(hours=9, minutes=10)
    intake.take([crossings(0, 4), health({EPOCH: 6}, {})])
    assert found(store) == [(9, 6, 4, 2)]
    clock.moment += timedelta(minutes=40)
    intake.take([health({EPOCH: 10}, {}), health({EPOCH: 8}, {})])
    assert found(store) == [(9, 10, 4, 6)]
    # Away until noon, with a restart of the device and one of central in between.
    intake = Intake(store)
    clock.moment = MONDAY + timedelta(hours=12)
    intake.take([crossings(10, 5), health({EPOCH: 20, OTHER: 3}, {})])
    assert found(store) == [(9, 10, 4, 6), (12, 13, 5, 8)]
    (_, noon) = gaps.report(store, None, MONDAY, MONDAY + timedelta(days=1))
    assert noon.since == MONDAY + timedelta(hours=9, minutes=50)
    # What comes late comes to its own hour; an epoch that is named again is not counted again.
    intake.take([crossings(0, 20), crossings(0, 2, OTHER), health({EPOCH: 20}, {})])
    intake.take([health({EPOCH: 20, OTHER: 3}, {})])
    assert found(store) == [(9, 10, 10, 0), (12, 13, 12, 1)]


def test_what_is_in_quarantine_was_received(store: Store, clock: type[Clock]) -> None:
    intake = Intake(store)
    intake.take([batch(0, [{"type": "unheard-of"}]), health({EPOCH: 1}, {})])
    assert found(store) == [(0, 1, 1, 0)]


def test_sites_and_times_are_kept_apart(store: Store, clock: type[Clock]) -> None:
    intake = Intake(store)
    intake.take([health({EPOCH: 1}, {}), health({EPOCH: 2}, {}, site="york")])
    hour = timedelta(hours=1)
    assert [gap.site for gap in gaps.report(store, None, MONDAY, MONDAY + hour)] == [
        "leeds",
        "york",
    ]
    assert [gap.expected for gap in gaps.report(store, "york", MONDAY, MONDAY + hour)] == [2]
    assert gaps.report(store, None, MONDAY - hour, MONDAY) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.dictionaries(st.sampled_from([EPOCH, OTHER]), st.integers(0, 50), min_size=1),
        ),
        max_size=12,
    )
)
def test_each_number_is_expected_once(healths: list[tuple[int, dict[str, int]]]) -> None:
    """As many as the highest that was ever named, whatever order healths come in."""
    highest: dict[str, int] = {}
    moment = MONDAY
    named = []
    before = None
    for hours, epochs in healths:
        moment += timedelta(hours=hours)
        health = wire.Health(1, MONDAY, epochs, {}, "synced", "0")
        named += gaps.named(("leeds", "door-1"), before, health, moment)
        before = health
        for epoch, following in epochs.items():
            highest[epoch] = max(highest.get(epoch, 0), following)
    covered = {(each.epoch, n) for each in named for n in range(each.first, each.following)}
    assert covered == {(epoch, n) for epoch, top in highest.items() for n in range(top)}
