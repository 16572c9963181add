"""The intake's bench: an event follows from its number, and the check finds all that is wrong."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.intake.events import Intake, read
from central.store import Store
from edge import wire
from tests.bench import intake
from tests.bench.intake_feed import POOL, GeneratedOutbox, bodies, pool

START = datetime(2026, 3, 2, tzinfo=UTC)
KEY = ("shop-1", "door-1")
BATCHES = 6


def outbox(batches: int | None = BATCHES) -> GeneratedOutbox:
    return GeneratedOutbox(*KEY, START, batches)


def test_every_type_is_in_the_pool() -> None:
    assert {type(event) for event in pool(START)} == set(wire.EVENTS)


@pytest.mark.parametrize("batch", [0, 1, len(bodies(START).first) - 1, len(bodies(START).first)])
def test_an_event_follows_from_its_number(batch: int) -> None:
    payload = outbox(None).payload(batch)
    decoded = wire.decode(payload)
    assert decoded.header is not None
    assert decoded.rejected == []
    assert decoded.header.first == outbox().first(batch)
    assert decoded.header.first + decoded.header.count == outbox().first(batch + 1)
    for number, event in decoded.events:
        assert event == pool(START)[number % POOL]


@settings(max_examples=50)
@given(held=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 900)), max_size=8))
def test_what_is_acknowledged_is_no_longer_sent(held: list[tuple[int, int]]) -> None:
    box = outbox()
    intervals = [(first, first + length) for first, length in held]
    for interval in intervals:
        box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: (interval,)}))
    expected = [
        batch
        for batch in range(BATCHES)
        if not any(
            first <= box.first(batch) and box.first(batch + 1) - 1 <= last
            for first, last in intervals
        )
    ]
    assert box.waiting(100) == expected
    assert box.waiting(2) == expected[:2]
    assert box.still_waiting(range(BATCHES)) == set(expected)
    assert box.drained == (expected == [])


def test_an_outbox_without_end_has_numbers_for_what_was_sent() -> None:
    box = outbox(None)
    assert box.waiting(3) == [0, 1, 2]
    assert box.numbered == 0
    box.payload(0)
    box.payload(1)
    assert box.epochs() == {box.epoch: box.first(2)}
    box.finish()
    assert box.waiting(3) == [0, 1]
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, box.numbered - 1),)}))
    assert box.drained


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has taken in some batches."""
    folder = tmp_path_factory.mktemp("data")
    store = Store(folder)
    box = outbox()
    topic = str(wire.Topic(*KEY, "events"))
    Intake(store).take([read(topic, box.payload(batch)) for batch in range(BATCHES)])
    store.close()
    return folder


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("select 1", {}),
        ("delete from visit where rowid = 3", {"events": -1, "missing": 1}),
        (
            "insert into path select * from path where rowid = 3",
            {"events": 1, "twice": 1},
        ),
        ("update visit set dwell = dwell + 1 where rowid < 2", {"different": 2}),
        ("update queue set wait_histogram = [1, 2] where rowid = 0", {"different": 1}),
        ("update path set points = [] where rowid = 0", {"different": 1}),
        ("update crossing set track = null where rowid = 0", {"different": 1}),
        (
            "update coverage set seq = seq + 60000 * 7 where rowid = 0",
            {"beyond": 1},
        ),
        ("update occupancy set device = 'door-2'", None),
        ("update occupancy set epoch = 'f'", None),
        (
            "insert into quarantine by name select 'x' as reason",
            {"quarantined": 1},
        ),
    ],
)
def test_the_check_finds_what_is_wrong(
    taken: Path, tmp_path: Path, fault: str, found: dict[str, int] | None
) -> None:
    box = outbox()
    copy = tmp_path / "floor.duckdb"
    copy.write_bytes((taken / "floor.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as database:
        database.execute(fault)
    said = intake.check(tmp_path, {(*KEY, box.epoch): box.numbered}, START)
    assert intake.exact(said) == (found == {})
    if found is not None:
        expected = dict.fromkeys(said, 0) | found
        assert said == expected | {"events": box.numbered + expected["events"]}
