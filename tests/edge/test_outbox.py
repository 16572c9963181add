import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import wire
from edge.outbox import Outbox, OutboxError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def crossing(number: int) -> wire.Crossing:
    return wire.Crossing("ground", "door", ("cam",), NOW, "in", f"{number:016x}")


def path(points: int) -> wire.Path:
    way = tuple((float(n), 1.25, 2.5) for n in range(points))
    return wire.Path("ground", ("cam",), "0" * 16, NOW, 1.0, 1.0, way, ())


def outbox(folder: Path, **options: float) -> Outbox:
    return Outbox(folder, "leeds", "door-1", **options)  # type: ignore[arg-type]


def fill(box: Outbox, events: list[wire.Event]) -> None:
    box.append(events, config="c", model="m", clock="synced")


def batches(box: Outbox) -> list[wire.Batch]:
    found = []
    for identity in box.waiting(10_000):
        payload = box.payload(identity)
        assert payload is not None
        decoded = wire.decode(payload)
        assert decoded.batch is not None, decoded.rejected
        found.append(decoded.batch)
    return found


def test_events_are_numbered_without_a_gap_and_come_back_as_they_were(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    events: list[wire.Event] = [crossing(n) for n in range(600)]
    fill(box, events[:1])
    fill(box, events[1:])
    found = batches(box)
    assert [(batch.first, batch.count) for batch in found] == [
        (0, 1),
        (1, 256),
        (257, 256),
        (513, 87),
    ]
    assert [event for batch in found for event in batch.events] == events
    assert {(batch.site, batch.device, batch.epoch) for batch in found} == {
        ("leeds", "door-1", box.epoch)
    }
    assert box.epochs() == {box.epoch: 600}


@given(st.lists(st.integers(1, 1500), min_size=1, max_size=40))
def test_no_batch_is_larger_than_the_contract_allows(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    box = outbox(tmp_path_factory.mktemp("outbox"))
    fill(box, [path(points) for points in sizes])
    payloads = [box.payload(identity) or b"" for identity in box.waiting(1000)]
    assert all(0 < len(payload) <= wire.MAX_BYTES for payload in payloads)
    assert sum(batch.count for batch in batches(box)) == len(sizes)
    box.close()


def test_only_what_is_wholly_held_is_acknowledged(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    fill(box, [crossing(n) for n in range(600)])
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 300),)}))
    assert [batch.first for batch in batches(box)] == [256, 512]
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 599),)}))
    assert box.waiting(10) == []


def test_a_central_restored_from_an_older_copy_is_refilled(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    fill(box, [crossing(n) for n in range(600)])
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 599),)}))
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 255),)}))
    assert [batch.first for batch in batches(box)] == [256, 512]
    box.acknowledge(wire.Ack(wire.VERSION, {}))
    assert [batch.first for batch in batches(box)] == [0, 256, 512]


def test_a_restart_keeps_what_waits_and_begins_an_epoch(tmp_path: Path) -> None:
    first = outbox(tmp_path)
    fill(first, [crossing(1)])
    first.close()
    second = outbox(tmp_path)
    fill(second, [crossing(2)])
    assert [batch.epoch for batch in batches(second)] == [first.epoch, second.epoch]
    assert second.epochs() == {first.epoch: 1, second.epoch: 1}
    # What the old epoch had acknowledged is not known to the new process: an ack tells it again.
    second.acknowledge(wire.Ack(wire.VERSION, {first.epoch: ((0, 0),), second.epoch: ()}))
    assert [batch.epoch for batch in batches(second)] == [second.epoch]


def test_what_was_acknowledged_is_kept_for_its_time(tmp_path: Path) -> None:
    box = outbox(tmp_path, keep_seconds=3600.0)
    fill(box, [crossing(1)])
    box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 0),)}))
    box.prune()
    box.acknowledge(wire.Ack(wire.VERSION, {}))
    assert len(box.waiting(10)) == 1
    box.close()
    impatient = outbox(tmp_path, keep_seconds=0.0)
    impatient.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 0),)}))
    assert impatient.prune() == 0
    impatient.acknowledge(wire.Ack(wire.VERSION, {}))
    assert impatient.waiting(10) == []


def test_a_full_outbox_drops_acknowledged_batches_first_then_counts_what_is_lost(
    tmp_path: Path,
) -> None:
    box = outbox(tmp_path, max_bytes=400_000)
    for n in range(10):
        fill(box, [crossing(n) for n in range(256)])
        if n < 4:
            box.acknowledge(wire.Ack(wire.VERSION, {box.epoch: ((0, 256 * (n + 1) - 1),)}))
    assert box.prune() == 0
    kept = [batch.first for batch in batches(box)]
    assert kept == [256 * n for n in range(4, 10)]
    for _ in range(20):
        fill(box, [crossing(n) for n in range(256)])
    lost = box.prune()
    assert lost > 0
    assert lost % 256 == 0
    assert sum(batch.count for batch in batches(box)) + lost == 26 * 256
    box.close()
    assert outbox(tmp_path, max_bytes=400_000).prune() == lost


def test_a_folder_in_use_or_unusable_is_said_with_its_fix(tmp_path: Path) -> None:
    first = outbox(tmp_path)
    fill(first, [crossing(1)])
    with pytest.raises(OutboxError, match="another agent"):
        outbox(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match="folder"):
        outbox(tmp_path / "file")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "outbox.sqlite").write_bytes(b"no database" * 500)
    with pytest.raises(OutboxError, match="broken"):
        outbox(broken)


def test_the_disk_has_it_when_append_returns(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    fill(box, [crossing(1)])
    mode = box._db.execute("pragma synchronous").fetchone()
    assert mode == (2,)
    journal = box._db.execute("pragma journal_mode").fetchone()
    assert journal == ("wal",)
    box.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as database:
        assert database.execute("select sum(count) from batch").fetchone() == (1,)
    database.close()


def test_a_full_disk_takes_nothing_and_later_everything(tmp_path: Path) -> None:
    box = outbox(tmp_path)
    pages = box._db.execute("pragma page_count").fetchone()[0]
    box._db.execute(f"pragma max_page_count = {pages}")
    events: list[wire.Event] = [crossing(n) for n in range(3000)]
    with pytest.raises(OutboxError, match="full; make room"):
        fill(box, events)
    assert box.epochs() == {box.epoch: 0}
    assert box.waiting(10) == []
    box._db.execute("pragma max_page_count = 100000")
    fill(box, events)
    assert [event for batch in batches(box) for event in batch.events] == events
