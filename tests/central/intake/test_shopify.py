"""Shopify's webhooks: signed, each order once, refunds and cancellations taken back."""

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from central.store import Store
from tests.central.intake.online_app import SECRET, Client, quarantine, rows

ORDER = {
    "id": 820982911946154508,
    "email": "ada@example.org",
    "created_at": "2026-03-02T10:00:00-05:00",
    "currency": "EUR",
    "total_price": "403.00",
    "test": False,
    "customer": {"id": 115310627314723954, "first_name": "Ada"},
    "shipping_address": {"address1": "1 Chestnut St", "zip": "40202", "province": "Kentucky"},
    "line_items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}],
}
REFUND = {
    "id": 890088186047892319,
    "order_id": ORDER["id"],
    "created_at": "2026-03-03T10:00:00-05:00",
    "refund_line_items": [{"quantity": 1, "line_item": {"product_id": 1}}],
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "199.00", "currency": "EUR"},
        {"kind": "refund", "status": "failure", "amount": "1.00", "currency": "EUR"},
    ],
}
CANCELLED = {**ORDER, "cancelled_at": "2026-03-04T10:00:00-05:00"}


def hook(client: Client, topic: str, payload: Any, secret: str = SECRET) -> httpx.Response:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return client.post(
        "/v1/shopify/web", body, None, x_shopify_topic=topic, x_shopify_hmac_sha256=signature
    )


def orders(store: Store) -> list[Any]:
    query = "select order_id, value, units, kind from orders order by value desc, order_id"
    return rows(store, query)


SOLD = (str(ORDER["id"]), 403.0, 3.0, "sale")


def test_an_order_is_kept_once_whichever_webhook_comes(client: Client, store: Store) -> None:
    for topic in ("orders/paid", "orders/create", "orders/create", "orders/updated", "app/x"):
        assert hook(client, topic, ORDER).json() == {"success": True}
    assert orders(store) == [SOLD]
    query = 'select customer, region, postcode, fulfilment, "time"::varchar from orders'
    person = "115310627314723954"
    assert rows(store, query) == [(person, "Kentucky", "40202", "ship", "2026-03-02 15:00:00")]
    assert rows(store, "select name, user_id from online") == [("Order Completed", person)]
    stored = repr(rows(store, "from online") + rows(store, "from orders"))
    assert not any(word in stored for word in ("ada@", "Ada", "Chestnut"))


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_what_is_given_back_is_given_back_once(
    client: Client, store: Store, *, cancelled_first: bool
) -> None:
    hook(client, "orders/create", ORDER)
    after = [("refunds/create", REFUND), ("orders/cancelled", CANCELLED)]
    for topic, payload in (after[::-1] if cancelled_first else after) * 2:
        assert hook(client, topic, payload).status_code == 200
    assert sum(value for _, value, _, _ in orders(store)) == 0
    assert len(orders(store)) == 3


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("orders/create", {**ORDER, "test": True}),
        ("refunds/create", {**REFUND, "transactions": [{"test": True, "kind": "refund"}]}),
    ],
)
def test_tests_are_skipped(client: Client, store: Store, topic: str, payload: Any) -> None:
    assert hook(client, topic, payload).status_code == 200
    assert orders(store) == quarantine(store) == []


def test_what_is_not_signed_is_refused(client: Client, store: Store) -> None:
    assert hook(client, "orders/create", ORDER, "another-secret").status_code == 401
    assert client.post("/v1/shopify/web", b"{}", None).status_code == 401
    assert client.post("/v1/shopify/leeds", b"{}", None).status_code == 404
    assert client.post("/v1/shopify/web", b" " * 3_000_000, None).status_code == 400
    assert orders(store) == quarantine(store) == []


@pytest.mark.parametrize(
    ("topic", "payload", "words"),
    [
        ("orders/create", b"{", "truncated"),
        ("orders/create", b"[]", "Expected `object`"),
        ("orders/create", b'{"a":' * 9_000, "too deep"),
        ("orders/create", {**ORDER, "total_price": "NaN"}, "total: 'NaN'"),
        ("orders/create", {**ORDER, "total_price": [1]}, "total: [1] is no number"),
        ("orders/create", {**ORDER, "id": None}, "order_id: "),
        ("orders/create", {**ORDER, "created_at": "soon"}, "Invalid RFC3339"),
        ("refunds/create", {**REFUND, "transactions": [{"kind": "refund"}]}, "an amount is no"),
    ],
)
def test_what_cannot_be_read_is_seen_in_quarantine(
    client: Client, store: Store, topic: str, payload: Any, words: str
) -> None:
    assert hook(client, topic, payload).status_code == 200
    ((_, reason),) = quarantine(store)
    assert words in reason
    assert orders(store) == []
