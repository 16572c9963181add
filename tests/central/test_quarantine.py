"""What is refused is seen, and taken in once when it can be."""

import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import pytest

from central import quarantine
from central.config import Config
from central.intake import events, rejects
from central.intake.commit import Message
from central.intake.events import Intake
from central.intake.online import Arrived, OnlineIntake
from central.intake.segment import Source
from central.quarantine import OnlineRow, QuarantineError
from central.store import Store
from edge import wire
from tests.central import device
from tests.central.device import DEVICE, EPOCH, MONDAY, SITE, batch, event, layout

KEY = (SITE, DEVICE, EPOCH)
DECODER: msgspec.json.Decoder[wire.Event] = msgspec.json.Decoder(wire.Event)
GOOD = json.loads(wire.encode(event(0)))


def nothing(cursor: duckdb.DuckDBPyConnection, row: OnlineRow) -> str | None:
    raise AssertionError(f"{row} is no online event")


def names(store: Store) -> list[str]:
    return [entry.name for entry in quarantine.entries(store)]


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next release: version 7 of the contract is this one, and a `?` in a track is a 0."""
    decode = wire.decode

    def newer(payload: bytes) -> wire.Decoded:
        return decode(payload.replace(b'"v":7', b'"v":1').replace(b"?", b"0"))

    class Newer:
        def decode(self, payload: bytes) -> wire.Event:
            return DECODER.decode(payload.replace(b"?", b"0"))

    monkeypatch.setattr(wire, "decode", newer)
    monkeypatch.setattr(events, "_event", Newer())


def unreadable(number: int) -> dict[str, Any]:
    return {**json.loads(wire.encode(event(number))), "track": "?" * 16}


def online(store: Store, *raws: bytes) -> None:
    with store.write() as cursor:
        columns = ("received", "site", "channel", "place", "reason")
        rows = [(MONDAY, "web", "web", "track", "no such event", raw) for raw in raws]
        rejects.keep(cursor, MONDAY.date(), columns, rows)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (batch(10, [event(10), unreadable(11), event(12)]), [10, 11, 12]),
        (batch(10, [event(10), event(11)], v=7), [10, 11]),
        (batch(10, [unreadable(10)] * 3), [10, 11, 12]),
    ],
)
def test_after_a_fix_each_event_is_taken_in_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, sent: Message, expected: list[int]
) -> None:
    intake = Intake(store)
    intake.take([sent])
    before = quarantine.entries(store)
    done = quarantine.replay(store, intake, names(store), nothing)
    assert done.taken == 0
    assert done.refused.keys() == {entry.name for entry in before}
    assert quarantine.entries(store) == before
    mend(monkeypatch)
    intake.dirty = False
    waiting = names(store)
    assert quarantine.replay(store, intake, waiting, nothing).taken == len(waiting)
    assert intake.dirty
    assert device.numbers(store) == expected
    assert names(store) == []
    with pytest.raises(QuarantineError, match=f"{waiting[0]}.*: not in quarantine"):
        quarantine.replay(store, intake, waiting, nothing)
    intake.take([sent])
    assert device.numbers(store) == expected
    assert intake.tally.duplicates == len(expected)


def test_a_batch_that_is_half_mended_leaves_the_other_half(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(store)
    intake.take([batch(0, [unreadable(0), {**GOOD, "line": "No Slug"}, unreadable(2)], v=7)])
    (before,) = quarantine.entries(store)
    mend(monkeypatch)
    done = quarantine.replay(store, intake, [before.name], nothing)
    assert "line" in done.refused[before.name]
    assert device.numbers(store) == [0, 2]
    (left,) = quarantine.entries(store)
    assert json.loads(left.raw)["line"] == "No Slug"
    assert left.received == before.received
    assert device.rows(store, "select epoch, first, count from quarantine") == [(EPOCH, 1, 1)]


def test_what_others_brought_meanwhile_is_not_brought_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that overlap: each number is claimed once, by an event or by a row here."""
    intake = Intake(store)
    intake.take([batch(3, [event(3), event(4)])])
    intake.take([batch(0, [event(n) for n in range(8)], v=7)])
    claims = device.rows(store, "select first, count from quarantine order by first")
    assert claims == [(0, 3), (5, 3)]
    intake.take([batch(0, [event(n) for n in range(8)])])
    mend(monkeypatch)
    assert quarantine.replay(store, intake, names(store), nothing).taken == 2
    assert device.numbers(store) == list(range(8))


def test_a_message_that_came_twice_is_taken_in_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was claimed by either, and many others come in with them."""
    intake = Intake(store)
    sent = batch(0, [event(0), event(1)], epoch="?" * 16)
    intake.take([sent, sent])
    intake.take([batch(number, [unreadable(number)]) for number in range(5)])
    mend(monkeypatch)
    monkeypatch.setattr(quarantine, "PER_COMMIT", 3)
    done = quarantine.replay(store, intake, names(store), nothing)
    assert (done.taken, done.refused) == (7, {})
    found = device.rows(store, "select epoch, seq from crossing order by all")
    assert found == [("0" * 16, 0), ("0" * 16, 1), *((EPOCH, number) for number in range(5))]
    assert intake.tally.duplicates == 2


def test_one_row_that_the_database_refuses_holds_up_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(store)
    coverage = wire.Coverage("door", MONDAY, MONDAY, 1, 1, "ok")
    intake.take([batch(0, [event(0), coverage], v=7)])
    intake.take([batch(2, [event(2)], v=7)])
    device.rows(store, "alter table coverage rename to elsewhere")
    mend(monkeypatch)
    done = quarantine.replay(store, intake, names(store), nothing)
    assert done.taken == 1
    assert all(why.startswith("the database refuses it: ") for why in done.refused.values())
    assert device.numbers(store) == [2]
    assert device.rows(store, "select first, count from quarantine") == [(0, 2)]


def test_what_was_not_claimed_is_claimed_by_its_replay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = batch(0, [event(0), event(1)], epoch="?" * 16)
    intake = Intake(store)
    intake.take([sent])
    assert intake.held((SITE, DEVICE, "0" * 16)) == ()
    mend(monkeypatch)
    assert quarantine.replay(store, intake, names(store), nothing).taken == 1
    assert intake.held((SITE, DEVICE, "0" * 16)) == ((0, 1),)
    intake.take([sent])
    assert device.numbers(store) == [0, 1]


def test_what_the_database_refused_is_claimed_and_can_come_back(store: Store) -> None:
    device.rows(store, "alter table crossing alter staff set data type date using null")
    intake = Intake(store)
    intake.take([batch(0, [event(0), event(1)])])
    (name,) = names(store)
    done = quarantine.replay(store, intake, [name], nothing)
    assert done.refused[name].startswith("the database refuses it: ")
    assert names(store) == [name]
    device.rows(store, "alter table crossing alter staff set data type boolean using false")
    assert quarantine.replay(store, intake, [name], nothing).taken == 1
    assert device.numbers(store) == [0, 1]


def test_an_event_for_a_line_of_another_device_waits_for_the_line(store: Store) -> None:
    intake = Intake(store)
    intake.take(
        [
            layout({"entrance": "entrance"}, ["till"]),
            layout({"entrance": "entrance", "yard": "internal"}, ["till"], device="door-2"),
            batch(0, [event(0)], device="door-2"),
            batch(0, [event(0)]),
        ]
    )
    visit = wire.Visit("g", "till", ("a",), "0" * 16, MONDAY, MONDAY, 9.5, 1, "left")
    intake.take([batch(1, [event(1), visit], device="door-2")])
    again = Intake(store)
    yard = json.loads(wire.encode(event(3))) | {"line": "yard"}
    again.take([batch(3, [event(3), yard], device="door-2")])
    who = "select device, seq, line from crossing order by all"
    assert device.rows(store, who) == [(DEVICE, 0, "entrance"), ("door-2", 4, "yard")]
    assert again.held((SITE, "door-2", EPOCH)) == ((0, 4),)
    assert set(quarantine.counts(store).items()) == {
        ("line entrance belongs to door-1; give this one another id", 4),
        ("zone till belongs to door-1; give this one another id", 2),
    }
    # Said again, as a retained layout is, the claims are not refused once more.
    again.take([layout({"entrance": "entrance", "yard": "internal"}, ["till"], device="door-2")])
    assert len(names(store)) == 6
    done = quarantine.replay(store, again, names(store), nothing)
    assert (done.taken, len(done.refused), len(names(store))) == (0, 6, 6)
    again.take([layout({"side": "entrance"})])
    done = quarantine.replay(store, again, names(store), nothing)
    assert (done.taken, done.refused) == (6, {})
    assert len(device.rows(store, who)) == 5
    assert device.rows(store, "select device from zone where current") == [("door-2",)]


def test_what_a_state_once_was_is_not_taken_in(store: Store) -> None:
    intake = Intake(store)
    intake.take([device.message("health", b"{}")])
    (name,) = names(store)
    done = quarantine.replay(store, intake, [name], nothing)
    assert done.refused == {name: "an old health: the device has sent newer ones since; drop it"}


def test_what_was_cut_off_says_so(store: Store) -> None:
    intake = Intake(store)
    intake.take([batch(0, [GOOD], config="x" * 100_000)])
    (entry,) = quarantine.entries(store)
    assert entry.cut
    done = quarantine.replay(store, intake, [entry.name], nothing)
    assert done.refused[entry.name].startswith(f"cut off: 65,536 of {entry.size:,} bytes")
    assert quarantine.drop(store, [entry.name]) == 1
    assert quarantine.drop(store, [entry.name]) == 0


def test_the_quarantine_is_bounded_and_what_is_lost_is_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejects, "TABLE_BYTES", 3 * (rejects.ROW_BYTES + 100))
    intake = Intake(store)
    for _ in range(5):
        intake.take([device.message("events", b"x" * 100)])
    assert len(names(store)) == 3
    assert device.rows(store, "select count, bytes from overflow") == [(2, 200)]
    assert quarantine.overflow(store) == 2
    assert intake.tally.quarantined.total() == 5
    quarantine.drop(store, names(store)[:1])
    intake.take([device.message("events", b"y" * 100)])
    assert quarantine.entries(store)[0].raw == b"y" * 100
    # The other file has room of its own.
    online(store, b"z" * 100)
    assert len(names(store)) == 4


def test_online_events_are_taken_in_once(store: Store) -> None:
    online(store, b"good", b"bad", b"raises", b"x" * 100_000)
    found = quarantine.entries(store, reason="no such")
    assert {entry.origin for entry in found} == {"web web track"}

    def take(cursor: duckdb.DuckDBPyConnection, row: OnlineRow) -> str | None:
        cursor.execute("insert into progress values (?, ?)", [row.raw.decode(), row.id])
        if row.raw == b"raises":
            cursor.execute("insert into nowhere values (1)")
        return "still bad" if row.raw == b"bad" else None

    intake = Intake(store)
    everything = names(store)
    done = quarantine.replay(store, intake, everything, take)
    assert done.taken == 1
    assert store.central().execute("select * from progress").fetchall() == [("good", 1)]
    reasons = {entry.raw: entry.reason for entry in quarantine.entries(store)}
    assert reasons[b"bad"] == "still bad"
    assert reasons[b"raises"].startswith("the database refuses it: ")
    assert b"good" not in reasons


def test_a_refund_comes_in_once_its_order_is_known(store: Store) -> None:
    shop = OnlineIntake(store, Config())

    def say(event: str) -> None:
        arrived = Arrived()
        total = {"total": 20} if event == "Order Completed" else {}
        call = {"event": event, "messageId": event, "properties": {"order_id": "7", **total}}
        arrived.add(
            json.dumps(call).encode(),
            Source("web", "web", "GBP"),
            datetime.now(UTC),
            "/v1/track",
            kind="track",
        )
        shop.take(arrived)

    say("Order Refunded")
    (name,) = names(store)
    refused = quarantine.replay(store, Intake(store), [name], shop.replay).refused
    assert refused == {name: "Order Refunded: no total, and order 7 is not known"}
    say("Order Completed")
    shop.changed()
    assert quarantine.replay(store, Intake(store), [name], shop.replay).taken == 1
    assert names(store) == []
    assert shop.changed() is not None
    found = store.central().execute("select value from orders order by 1").fetchall()
    assert found == [(-20.0,), (20.0,)]


@pytest.mark.parametrize(
    "name", ["12", "floor-", "floor--1", "floor-1x", "shop-1", "floor-" + "9" * 30]
)
def test_a_name_that_is_none_is_told(store: Store, name: str) -> None:
    with pytest.raises(QuarantineError, match="look like floor-12, online-7"):
        quarantine.drop(store, [name])
