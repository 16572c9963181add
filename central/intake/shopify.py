"""Shopify's order webhooks, put into the Segment spec.

Of an order its id, time, money, items, customer's id and where it goes are read; names, mail
addresses and streets are not.
"""

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from central.intake.batches import RefusedError

BODY_BYTES = 2 * 1024 * 1024
_SOLD = ("orders/create", "orders/paid")
_payload = msgspec.json.Decoder(dict[str, Any])


def signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether the signature (base64 of HMAC-SHA256) is that of the body as it came."""
    made = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    return hmac.compare_digest(made, signature.encode("utf-8", "surrogatepass"))


def translate(topic: str, body: bytes) -> bytes | None:
    """A webhook as a `track` call; None for a topic that is no order's, and for a test.

    An order is known by its id whichever of its webhooks comes first. Raises RefusedError.
    """
    try:
        payload = _payload.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError(str(error)) from error
    except RecursionError as error:
        raise RefusedError("too deep") from error
    if payload.get("test") is True or topic not in (*_SOLD, "orders/cancelled", "refunds/create"):
        return None
    if topic == "refunds/create":
        tried = any(each.get("test") is True for each in _items(payload, "transactions"))
        return None if tried else msgspec.json.encode(_refund(payload))
    name, moment = "Order Completed", payload.get("processed_at") or payload.get("created_at")
    if topic == "orders/cancelled":
        name, moment = "Order Cancelled", payload.get("cancelled_at") or moment
    where = _dict(payload, "shipping_address")
    call = {
        "messageId": f"shopify-{name.lower().replace(' ', '-')}-{payload.get('id')}",
        "event": name,
        "userId": _dict(payload, "customer").get("id"),
        "timestamp": moment,
        "properties": {
            "order_id": payload.get("id"),
            "total": payload.get("total_price"),
            "currency": payload.get("currency"),
            "products": [_item(item, item.get("quantity", 1)) for item in _items(payload)],
            "region": where.get("province"),
            "postcode": where.get("zip"),
            "store": payload.get("location_id"),
            "fulfilment": "ship" if where else None,
        },
    }
    return msgspec.json.encode(call)


def _refund(payload: dict[str, Any]) -> dict[str, Any]:
    paid = [
        transaction
        for transaction in _items(payload, "transactions")
        if transaction.get("kind") == "refund"
        and transaction.get("status") in (None, "success", "pending")
    ]
    try:
        total = sum(float(transaction["amount"]) for transaction in paid)
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"transactions: an amount is no number ({error})") from error
    items = _items(payload, "refund_line_items")
    return {
        "messageId": f"shopify-refund-{payload.get('id')}",
        "event": "Order Refunded",
        "timestamp": payload.get("processed_at") or payload.get("created_at"),
        "properties": {
            "order_id": payload.get("order_id"),
            "refund_id": payload.get("id"),
            "total": total,
            "currency": paid[0].get("currency") if paid else None,
            "products": [
                _item(_dict(item, "line_item"), item.get("quantity", 1)) for item in items
            ],
        },
    }


def _item(item: dict[str, Any], quantity: object) -> dict[str, Any]:
    return {"product_id": item.get("product_id"), "quantity": quantity}


def _items(payload: dict[str, Any], name: str = "line_items") -> list[dict[str, Any]]:
    value = payload.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _dict(payload: dict[str, Any], name: str) -> dict[str, Any]:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}
