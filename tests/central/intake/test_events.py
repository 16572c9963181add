"""Messages into a real store: each event once, and what is bad kept apart with its reason."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.intake import events
from central.intake.commit import Message
from central.intake.events import STATE_BYTES, Intake
from central.intake.rejects import RAW_BYTES
from central.store import Store
from edge import wire
from tests.central import device
from tests.central.device import DEVICE, EPOCH, MONDAY, SITE, batch, event, health, layout

KEY = (SITE, DEVICE, EPOCH)
GOOD = json.loads(wire.encode(event(0)))


def crossings(first: int, count: int) -> list[wire.Crossing]:
    return [event(number) for number in range(first, first + count)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_any_repetition_any_overlap_gives_each_event_once(
    store: Store, data: st.DataObject
) -> None:
    device.rows(store, "truncate ledger")
    device.rows(store, "truncate crossing")
    total = data.draw(st.integers(1, 60), "events")
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, total - 1), st.integers(1, 20)), max_size=12), "overlaps"
    )
    spans += [(first, 7) for first in range(0, total, 7)]
    sent = [
        batch(first, crossings(first, min(count, total - first)))
        for first, count in data.draw(st.permutations(spans), "order")
    ]
    sent += data.draw(st.lists(st.sampled_from(sent), max_size=5), "repeated")
    if data.draw(st.booleans(), "decoded before"):
        sent = [events.read(message.topic, message.payload) for message in sent]
    intake = Intake(store)
    while sent:
        size = data.draw(st.integers(1, len(sent)), "together")
        assert intake.take(sent[:size]) == {(SITE, DEVICE)}
        sent = sent[size:]
        if data.draw(st.booleans(), "restart"):
            intake = Intake(store)
    assert device.numbers(store) == list(range(total))
    assert intake.held(KEY) == ((0, total - 1),)
    tracks = device.rows(store, "select seq, track from crossing")
    assert all(track == f"{number:016x}" for number, track in tracks)


def test_all_that_an_event_says_is_kept(store: Store) -> None:
    moment = MONDAY
    said: list[Any] = [
        wire.Visit(
            "g", "till", ("a", "b"), "0" * 16, moment, moment, 9.5, 1, "lost", 2, staff=True
        ),
        wire.Path("g", ("a",), "0" * 16, moment, 3.0, 2.5, ((0.0, 1.0, 2.0),), ("till",)),
        wire.Occupancy("g", "till", moment, moment, 0, 1.5, 3),
        wire.Queue("g", "till", moment, moment, 1.5, 4, 5, 3, 1, 0, 1, (1, 2, 0)),
        wire.Coverage("a", moment, moment, 590, 600, "overloaded"),
    ]
    Intake(store).take([batch(0, said)])
    naive = moment.replace(tzinfo=None)
    found = {
        table: device.rows(store, f"select * exclude receipt_day from {table}")
        for table in ("visit", "path", "occupancy", "queue", "coverage")
    }
    place = (SITE, DEVICE, EPOCH)
    visit = ("g", "till", ["a", "b"], "0" * 16, naive, naive, 9.5, 1, "lost", 2, True)
    assert found == {
        "visit": [(*place, 0, *visit)],
        "path": [(*place, 1, "g", ["a"], "0" * 16, naive, 3.0, 2.5, [[0.0, 1.0, 2.0]], ["till"])],
        "occupancy": [(*place, 2, "g", "till", naive, naive, 0, 1.5, 3)],
        "queue": [(*place, 3, "g", "till", naive, naive, 1.5, 4, 5, 3, 1, 0, 1, [1, 2, 0])],
        "coverage": [(*place, 4, "a", naive, naive, 590, 600, "overloaded")],
    }


@pytest.mark.parametrize(
    ("sent", "reason", "claimed"),
    [
        (device.message("events", b"\xff\xfe not JSON"), "malformed", ()),
        (device.message("events", b""), "truncated", ()),
        (device.message("events", b'{"d":' * 10_000), "recursion", ()),
        (batch(0, [GOOD], v=7, events="of the future"), "version 7 of the contract", ((0, 0),)),
        (batch(4, [GOOD], count=3), "count says 3, but there are 1 events", ((4, 6),)),
        (batch(0, [GOOD], events={}), "Expected `array`, got `object`", ((0, 0),)),
        (batch(0, [GOOD], count=0), "Expected `int` >= 1", ()),
        (batch(0, [GOOD], count=10**9), "Expected `int` <= 256", ()),
        (batch(0, [GOOD], first=2**53), "Expected `int` <= 9007199254740991", ()),
        (batch(0, [GOOD], first=2**70), "", ()),
        (batch(0, [GOOD], first=-1), "Expected `int` >= 0", ()),
        (batch(0, [GOOD], epoch="../../etc"), "Expected `str` matching", ()),
        (batch(0, [GOOD], topic_device="door-2"), "says it is from leeds/door-1", ()),
        (batch(0, [GOOD], clock="sundial"), "Invalid enum value 'sundial'", ((0, 0),)),
        (device.message("health", b"{}"), "missing required field", ()),
        (device.message("layout", b"[]"), "Expected `object`", ()),
        (device.message("status", {"v": 1, "state": "asleep"}), "Invalid enum value", ()),
        (device.message("status", {"v": 2, "state": "online"}), "version 2 of the contract", ()),
        (device.message("health", b'{"d":' * 10_000), "recursion", ()),
        (device.message("layout", b" " * (STATE_BYTES + 1)), "1048577 bytes, of at most", ()),
        (device.message("occupancy/till", {"v": 1, "count": 1}), "missing required field", ()),
        (device.message("status", b"{}", site="No Slug"), "Expected `str` matching", ()),
    ],
)
def test_what_is_bad_is_kept_apart_with_its_reason(
    store: Store, sent: Message, reason: str, claimed: tuple[tuple[int, int], ...]
) -> None:
    intake = Intake(store)
    good = batch(100, crossings(100, 3))
    due = intake.take([sent, good])
    assert due == {(SITE, DEVICE)}
    (found,) = device.rows(store, "select topic, reason, raw from quarantine")
    assert found[0] == sent.topic
    assert reason.lower() in found[1].lower()
    assert found[2] == sent.payload[:RAW_BYTES]
    assert intake.held(KEY) == (*claimed, (100, 102))
    assert intake.ack((SITE, DEVICE)).epochs == {EPOCH: (*claimed, (100, 102))}
    assert device.numbers(store) == [100, 101, 102]
    assert sum(intake.tally.quarantined.values()) == 1
    # Sent again, what is claimed is a repetition; what is not claimed is refused again.
    intake.take([sent])
    assert len(device.reasons(store)) == (1 if claimed else 2)


def test_ten_megabytes_leave_sixty_four_kilobytes(store: Store) -> None:
    intake = Intake(store)
    body = b'{"v":1,"junk":"' + b"x" * 10_000_000 + b'"}'
    large = batch(0, [GOOD], config="x" * 10_000_000)
    for sent in (device.message("events", body), large, device.message("health", body)):
        intake.take([sent])
    assert device.rows(store, "select max(octet_length(raw)) from quarantine") == [(RAW_BYTES,)]
    assert all(" bytes, of at most " in reason for reason in device.reasons(store))
    assert intake.held(KEY) == ((0, 0),)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({**GOOD, "type": "teleport"}, "Invalid value 'teleport'"),
        ({**GOOD, "time": "yesterday"}, "Invalid RFC3339"),
        ({**GOOD, "time": "2026-03-02T00:00:00"}, "Expected `datetime` with a timezone"),
        ({**GOOD, "cameras": []}, "Expected `array` of length >= 1"),
        ({**GOOD, "track": "Mr Smith"}, "Expected `str` matching"),
        (17, "Expected `object`, got `int`"),
    ],
)
@pytest.mark.parametrize("read", [events.read, Message])
def test_one_bad_event_spoils_only_itself(
    store: Store, bad: object, reason: str, read: Callable[[str, bytes], Message]
) -> None:
    intake = Intake(store)
    sent = batch(10, [event(10), bad, event(12)])
    intake.take([read(sent.topic, sent.payload)])
    assert device.numbers(store) == [10, 12]
    assert intake.held(KEY) == ((10, 12),)
    (row,) = device.rows(store, "select epoch, first, count, reason, raw from quarantine")
    assert row[:3] == (EPOCH, 11, 1)
    assert reason in row[3]
    assert json.loads(row[4]) == bad


def test_a_deep_event_spoils_its_batch_and_no_other(store: Store) -> None:
    sent = batch(0, [event(0), "HERE", event(2)])
    deep = sent._replace(payload=sent.payload.replace(b'"HERE"', b"[" * 10_000 + b"]" * 10_000))
    intake = Intake(store)
    intake.take([deep, batch(3, crossings(3, 2))])
    assert device.numbers(store) == [3, 4]
    (reason,) = device.reasons(store)
    assert "recursion" in reason


def test_what_is_new_to_the_contract_is_left_out_and_the_rest_kept(store: Store) -> None:
    Intake(store).take([batch(0, [{**GOOD, "mood": "cheerful"}], weather="fair")])
    assert device.numbers(store) == [0]
    assert device.reasons(store) == []


@pytest.mark.parametrize("length", [2**31, 2**63, 2**64 - 1, 2**70])
def test_one_message_that_cannot_be_stored_holds_up_no_other(store: Store, length: int) -> None:
    """Numbers grow past what the columns hold, one way or another."""
    queue = wire.Queue("g", "till", MONDAY, MONDAY, 1.0, length, 1, 1, 0, 0, 0, (1,))
    intake = Intake(store)
    due = intake.take(
        [
            batch(0, crossings(0, 3)),
            batch(3, [json.loads(wire.encode(queue))]),
            batch(4, crossings(4, 3)),
            health({EPOCH: 7}, {"door": MONDAY}),
        ]
    )
    assert due == {(SITE, DEVICE)}
    assert device.numbers(store) == [0, 1, 2, 4, 5, 6]
    assert intake.held(KEY) == ((0, 6),)
    assert intake.gaps() == {(SITE, DEVICE): 0}
    stored = device.rows(store, "select length_max from queue")
    assert (stored == [(length,)]) != (len(device.reasons(store)) == 1)
    assert Intake(store).held(KEY) == ((0, 6),)


def test_a_refusal_of_the_database_is_a_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.rows(store, "alter table crossing alter staff set data type date using null")
    intake = Intake(store)
    coverage = wire.Coverage("door", MONDAY, MONDAY, 1, 1, "ok")
    intake.take([batch(0, crossings(0, 2)), batch(2, [coverage])])
    assert device.rows(store, "select seq from coverage") == [(2,)]
    assert intake.held(KEY) == ((0, 2),)
    (reason,) = device.reasons(store)
    assert reason.startswith("the database refuses it: ")
    assert intake.tally.events == {"coverage": 1}


def test_where_nothing_can_be_stored_nothing_is_acknowledged(store: Store) -> None:
    intake = Intake(store)
    device.rows(store, "alter table quarantine rename to elsewhere")
    device.rows(store, "alter table crossing rename to nowhere")
    with pytest.raises(Exception, match="does not exist"):
        intake.take([batch(0, crossings(0, 2))])
    assert intake.ack((SITE, DEVICE)).epochs == {}
    assert intake.held(KEY) == ()
    device.rows(store, "alter table nowhere rename to crossing")
    device.rows(store, "alter table elsewhere rename to quarantine")
    assert intake.take([batch(0, crossings(0, 2))]) == {(SITE, DEVICE)}
    assert device.numbers(store) == [0, 1]


def test_a_line_has_one_owner(store: Store) -> None:
    intake = Intake(store)
    mine = layout({"entrance": "entrance"}, ["till"])
    other = layout({"entrance": "entrance", "yard": "internal"}, ["till"], device="door-2")
    intake.take([mine])
    intake.take([other])
    owners = (
        "select 'line', line, device from line where current"
        " union select 'zone', zone, device from zone where current"
    )
    assert sorted(device.rows(store, owners)) == [
        ("line", "entrance", "door-1"),
        ("line", "yard", "door-2"),
        ("zone", "till", "door-1"),
    ]
    assert device.reasons(store) == [
        "line entrance belongs to door-1; give this one another id",
        "zone till belongs to door-1; give this one another id",
    ]
    # The owner may say the same again, or give it up; then another may have it.
    intake.take([mine])
    assert len(device.rows(store, owners)) == 3
    intake.take([layout({"side": "entrance"})])
    intake.take([other])
    assert sorted(device.rows(store, owners)) == [
        ("line", "entrance", "door-2"),
        ("line", "side", "door-1"),
        ("line", "yard", "door-2"),
        ("zone", "till", "door-2"),
    ]
    # At another site the same ids are other lines.
    intake.take([layout({"entrance": "entrance"}, site="york")])
    assert len(device.reasons(store)) == 2


def test_the_acknowledgement_names_what_the_device_named_and_what_came_since(store: Store) -> None:
    intake = Intake(store)
    old, new, later = "a" * 16, "b" * 16, "c" * 16
    intake.take([batch(0, crossings(0, 2), epoch=old)])
    assert intake.ack((SITE, DEVICE)).epochs == {old: ((0, 1),)}
    assert intake.take([health({new: 5}, {"door": MONDAY})]) == {(SITE, DEVICE)}
    assert intake.ack((SITE, DEVICE)).epochs == {new: ()}
    intake.take([batch(0, crossings(0, 5), epoch=later), batch(2, crossings(2, 1), epoch=new)])
    expected = {new: ((2, 2),), later: ((0, 4),)}
    assert intake.ack((SITE, DEVICE)).epochs == expected
    assert intake.gaps() == {(SITE, DEVICE): 4}
    assert intake.holes((SITE, DEVICE)) == [(new, (0, 1)), (new, (3, 4))]
    # After a restart the epochs in health are named, and whatever comes in is known.
    again = Intake(store)
    assert again.ack((SITE, DEVICE)).epochs == {new: ((2, 2),)}
    assert again.health == intake.health
    assert again.received == intake.received
    again.take([batch(0, crossings(0, 5), epoch=later)])
    assert again.tally.duplicates == 5
    assert again.ack((SITE, DEVICE)).epochs == expected
    assert again.ack(("york", "unheard-of")).epochs == {}


def test_devices_are_kept_apart(store: Store) -> None:
    intake = Intake(store)
    due = intake.take([batch(0, crossings(0, 2)), batch(0, crossings(0, 3), device="door-2")])
    assert due == {(SITE, "door-1"), (SITE, "door-2")}
    assert intake.held((SITE, "door-1", EPOCH)) == ((0, 1),)
    assert intake.held((SITE, "door-2", EPOCH)) == ((0, 2),)


def test_what_is_not_of_the_contract_is_passed_over(store: Store) -> None:
    intake = Intake(store)
    sent = [
        Message("homeassistant/status", b"online"),
        device.message("events", b"{", device="central"),
        device.message("occupancy/till", b""),
        device.message("ack", b"{"),
    ]
    assert intake.take(sent) == set()
    assert device.reasons(store) == []


def test_gauges_and_status(store: Store) -> None:
    intake = Intake(store)
    gauge = wire.Gauge(1, MONDAY, 3)
    intake.take(
        [
            device.message("occupancy/till", gauge),
            device.message("status", wire.Status(1, "online")),
        ]
    )
    assert intake.gauges == {(SITE, DEVICE, "till"): gauge}
    assert intake.online == {(SITE, DEVICE): True}
    intake.take([device.message("status", wire.Status(1, "offline"))])
    assert intake.online == {(SITE, DEVICE): False}


def test_gauges_and_reasons_do_not_grow_for_ever(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "GAUGES_PER_DEVICE", 2)
    monkeypatch.setattr(events, "REASONS_TOLD_APART", 2)
    intake = Intake(store)
    gauge = wire.Gauge(1, MONDAY, 3)
    intake.take([device.message(f"occupancy/zone-{number}", gauge) for number in (0, 1, 2, 1)])
    assert {zone for _, _, zone in intake.gauges} == {"zone-0", "zone-1"}
    for version in (2, 3, 4):
        intake.take([device.message("status", {"v": version, "state": "online"})])
    assert intake.tally.quarantined["other reasons"] == 2
    assert len(intake.tally.quarantined) == 3


def test_what_changes_windows_is_told(store: Store) -> None:
    intake = Intake(store)
    assert intake.dirty
    for sent, changes in (
        (batch(0, crossings(0, 2)), True),
        (batch(0, crossings(0, 2)), False),
        (health({EPOCH: 2}, {"door": MONDAY}), False),
        (device.message("health", b"{}"), False),
        (layout({"entrance": "entrance"}), True),
    ):
        intake.dirty = False
        intake.take([sent])
        assert intake.dirty is changes


def test_an_unset_clock_is_remembered(store: Store) -> None:
    intake = Intake(store)
    intake.take([health({EPOCH: 1}, {}), batch(0, crossings(0, 1), clock="unsynced")])
    assert device.rows(store, "select unsynced from device") == [(True,)]


def test_others_may_look_while_messages_are_taken(store: Store) -> None:
    """The tick and the API ask for gaps and health while new devices come in."""
    intake = Intake(store)
    stop, failures = threading.Event(), list[Exception]()

    def look() -> None:
        try:
            # A pause, or lookers keep the interpreter from who takes.
            while not stop.wait(0.001):
                gaps = intake.gaps()
                assert all(gap in (0, 5) for gap in gaps.values())
                for known in intake.health:
                    assert intake.received[known]
                    intake.ack(known)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(60):
        name = f"door-{number}"
        intake.take([health({EPOCH: 5}, {"door": MONDAY}, device=name)])
        intake.take([batch(0, crossings(0, 5), device=name)])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert device.rows(store, "select count(*) from crossing") == [(300,)]
    held = device.rows(store, "select distinct firsts, lasts from ledger")
    assert held == [([0], [4])]


def test_nobody_who_looks_waits_for_what_is_taken(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(store)
    intake.take([health({EPOCH: 5}, {"door": MONDAY}), batch(0, crossings(0, 2))])
    writing, looked, write = threading.Event(), threading.Event(), Intake._write

    def slowly(*arguments: Any) -> None:
        writing.set()
        assert looked.wait(30)
        write(*arguments)

    monkeypatch.setattr(Intake, "_write", slowly)
    taking = threading.Thread(target=intake.take, args=([batch(2, crossings(2, 3))],))
    taking.start()
    assert writing.wait(30)
    seen: list[object] = []

    def look() -> None:
        seen.extend((intake.gaps(), intake.ack((SITE, DEVICE)).epochs, intake.held(KEY)))
        seen.append(intake.held((SITE, DEVICE, "f" * 16)))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(20)
    waited = looking.is_alive()
    looked.set()
    taking.join()
    assert not waited
    assert seen == [{(SITE, DEVICE): 3}, {EPOCH: ((0, 1),)}, ((0, 1),), ()]
    assert intake.gaps() == {(SITE, DEVICE): 0}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["events", "health", "layout", "status", "occupancy/till"]),
    payload=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["v", "site", "events", "epochs"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_nothing_raises(store: Store, kind: str, payload: bytes) -> None:
    Intake(store).take([device.message(kind, payload)])
