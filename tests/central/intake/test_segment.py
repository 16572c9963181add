"""The Segment spec: times, ids, consent, and the orders in the events."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central.intake import batches, segment
from central.intake.batches import RefusedError
from central.intake.segment import Event, Order, Source

WEB = Source("web", "web", "EUR")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def read(call: dict[str, Any], **more: Any) -> Event:
    return segment.read(json.dumps(call).encode(), WEB, NOON, **{"kind": "track", **more})


def sold(name: str = "Order Completed", **properties: Any) -> dict[str, Any]:
    return {"event": name, "messageId": "m1", "properties": {"order_id": "9", **properties}}


@pytest.mark.parametrize(
    ("times", "moment"),
    [
        ({}, NOON),
        ({"timestamp": "2026-03-02T10:00:00+02:00"}, NOON - timedelta(hours=4)),
        (  # the sender's clock is years ahead, and its error cancels
            {"originalTimestamp": "2031-01-01T10:00:00Z", "sentAt": "2031-01-01T11:30:00+01:00"},
            NOON - timedelta(minutes=30),
        ),
        (
            {"timestamp": "2020-01-01T10:00:00Z", "sentAt": "2020-01-01T10:00:01Z"},
            NOON - timedelta(seconds=1),
        ),
        ({"sentAt": "2020-01-01T10:00:01Z"}, NOON),
        ({"timestamp": "2026-03-03T12:00:00Z"}, NOON + timedelta(days=1)),
    ],
)
def test_times_are_put_right_by_the_senders_own_clock(
    times: dict[str, str], moment: datetime
) -> None:
    assert read({"event": "x", **times}).time == moment


def test_a_call_without_message_id_is_known_again_by_its_content_and_its_time() -> None:
    dated = {"event": "x", "timestamp": "2026-03-02T10:00:00Z"}
    assert read(dated).message_id == read(dated, position=3).message_id
    assert read(dated).message_id != read({**dated, "userId": "ada"}).message_id
    assert read({"event": "x"}).message_id != read({"event": "x"}, position=1).message_id


def test_an_envelope_speaks_for_its_calls() -> None:
    body = {
        "sentAt": "2026-03-02T11:59:00Z",
        "context": {"campaign": {"source": "mail"}},
        "batch": [{"type": "page", "timestamp": "2026-03-02T11:58:00Z"}],
    }
    envelope = batches.split(json.dumps(body).encode())
    for raw in (envelope.batch[0], batches.split(batches.alone(envelope, b"{}")).batch[0]):
        event = segment.read(bytes(raw), WEB, NOON, kind="page", envelope=envelope)
        assert event.campaign == '{"source":"mail"}'
    event = segment.read(bytes(envelope.batch[0]), WEB, NOON, envelope=envelope)
    assert (event.kind, event.time) == ("page", NOON - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("consent", "granted"),
    [
        (None, (False, False, False)),
        ({}, (False, False, False)),
        ("yes", (False, False, False)),
        ({"categoryPreferences": []}, (False, False, False)),
        ({"categoryPreferences": {"analytics": True}}, (True, False, False)),
        ({"categoryPreferences": {"Advertising": True, "analytics": "true"}}, (False, True, False)),
        ({"categoryPreferences": {"ads": True, "personalization": True}}, (False, True, True)),
        ({"categoryPreferences": {"ads": False, "analytics": 1}}, (False, False, False)),
    ],
)
def test_what_is_not_granted_in_so_many_words_is_not_granted(
    consent: Any, granted: tuple[bool, bool, bool]
) -> None:
    assert read({"event": "x", "context": {"consent": consent}}).consent == granted


def test_what_is_kept_and_what_is_not() -> None:
    context = {
        "ip": "203.0.113.7",
        "campaign": {"name": "spring"},
        "location": {"region": "Yorkshire"},
        "traits": {"email": "ada@example.org", "address": {"postalCode": "LS1 4AP"}},
    }
    event = read({**sold(store="leeds", shipping_method="Collect"), "context": context})
    assert (event.campaign, event.region, event.postcode) == (
        '{"name":"spring"}',
        "Yorkshire",
        "LS1 4AP",
    )
    assert (event.store, event.fulfilment) == ("leeds", "collect")
    traits = {"email": "ada@example.org", "address": {"state": "Kent", "postalCode": "CT1"}}
    named = read({"userId": "ada", "traits": traits}, kind="identify")
    assert (named.region, named.postcode, named.properties) == ("Kent", "CT1", "{}")
    assert "203.0.113.7" not in repr(event)
    assert "ada@" not in repr(event) + repr(named)


@pytest.mark.parametrize(
    ("call", "order"),
    [
        (sold(total=5, revenue=4, value=3), Order("9", 5.0, 1.0, "EUR")),
        (sold(revenue=4, value=3), Order("9", 4.0, 1.0, "EUR")),
        (sold(value="3.50", currency="usd"), Order("9", 3.5, 1.0, "USD")),
        (sold(total=-7.5, products=[{"quantity": 3}]), Order("9", -7.5, -3.0, "EUR")),
        (sold(total=1, products=[{"quantity": 2}, {}]), Order("9", 1.0, 3.0, "EUR")),
        (sold(), Order("9", 0.0, 1.0, "EUR")),
        (sold("Order Refunded", total=3), Order("9/m1", -3.0, 0.0, "EUR", "9")),
        (sold("Order Refunded", refund_id=4), Order("9/4", None, None, "EUR", "9")),
        (
            sold("Order Refunded", total=-3, products=[{"quantity": 2}]),
            Order("9/m1", -3.0, -2.0, "EUR", "9"),
        ),
        (sold("Order Cancelled"), Order("9/cancelled", None, None, "EUR", "9")),
        (sold("Order Updated"), None),
    ],
)
def test_orders(call: dict[str, Any], order: Order | None) -> None:
    assert read(call).order == order


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"order_id": ""}, "order_id: Order Completed needs one"),
        ({"order_id": "x" * 201}, "order_id: "),
        ({"total": "plenty"}, "total: 'plenty' is no number"),
        ({"total": "NaN"}, "total: 'NaN' is no amount up to 1e+09"),
        ({"total": 1e12}, "total: "),
        ({"total": True}, "total: True is no number"),
        ({"total": 10**400}, "total: 1000"),
        ({"currency": "pounds"}, "currency: 'pounds' is no code"),
        ({"currency": 7}, "currency: "),
        ({"products": {"quantity": 1}}, "products: a list"),
        ({"products": [7]}, "products.0.quantity: None is no number"),
        ({"products": [{"quantity": None}]}, "products.0.quantity: "),
        ({"products": [{"quantity": 1e9}]}, "products.0.quantity: "),
    ],
)
def test_an_order_that_cannot_be_is_refused(properties: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read(sold(**properties))
    assert str(caught.value).startswith(words)


def test_an_event_may_have_32_kilobytes() -> None:
    fits = json.dumps({"event": "x", "pad": "y" * (segment.EVENT_BYTES - 25)}).encode()
    assert len(fits) == segment.EVENT_BYTES
    assert segment.read(fits, WEB, NOON, kind="track").name == "x"
    with pytest.raises(RefusedError, match="32769 bytes, of at most 32768"):
        segment.read(fits + b" ", WEB, NOON, kind="track")
