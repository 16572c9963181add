"""The Segment spec: a call in JSON becomes an event of ours, or is refused with its reason.

Pure functions; nothing here knows of a network or of the store. Everything online comes this way:
what speaks another language (Shopify, an exported file) is put into this one first. Kept are ids,
name, time, properties, campaign, consent, region, postcode, store and fulfilment; traits, addresses
of the network and of pages, and whatever else a context holds are not.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from central.intake import batches
from central.intake.batches import RefusedError

EVENT_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
TEXT_LENGTH = 200
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
MONEY = 1e9
QUANTITY = 1e6

Kind = Literal["track", "identify", "page", "screen", "group", "alias"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ORDERS = {"Order Completed": "sale", "Order Refunded": "refund", "Order Cancelled": "cancelled"}
NAMES = frozenset(
    """Products Searched|Product List Viewed|Product List Filtered|Promotion Viewed
    |Promotion Clicked|Product Clicked|Product Viewed|Product Added|Product Removed|Cart Viewed
    |Checkout Started|Checkout Step Viewed|Checkout Step Completed|Payment Info Entered
    |Order Updated|Order Completed|Order Refunded|Order Cancelled|Coupon Entered|Coupon Applied
    |Coupon Denied|Coupon Removed|Product Added to Wishlist|Product Removed from Wishlist
    |Wishlist Product Added to Cart|Product Shared|Cart Shared|Product Reviewed
    |Application Installed|Application Opened|Application Updated|Application Backgrounded
    |Application Crashed|Application Uninstalled|Push Notification Received
    |Push Notification Tapped|Push Notification Bounced|Install Attributed|Deep Link Opened
    |Deep Link Clicked|Email Delivered|Email Opened|Email Link Clicked|Email Bounced
    |Email Marked as Spam|Unsubscribed|Live Chat Conversation Started|Live Chat Message Sent
    |Live Chat Message Received|Live Chat Conversation Ended""".replace("\n    ", "").split("|")
)
"""The names that the spec gives: ecommerce version 2, mobile, email and live chat."""
_AMOUNTS = ("total", "revenue", "value")
_FULFILMENT = {
    **dict.fromkeys(("collect", "click and collect", "pickup", "pick up", "bopis"), "collect"),
    **dict.fromkeys(("ship", "shipping", "delivery", "home delivery"), "ship"),
}
_CONSENT = {
    "analytics": ("analytics",),
    "ads": ("ads", "advertising"),
    "personalization": ("personalization", "personalisation"),
}


class Source(NamedTuple):
    """Who sends: the site and channel of a write key, and the site's currency."""

    site: str
    channel: str
    currency: str


@dataclass(frozen=True)
class Order:
    """What was sold, or taken back of the order `of`; without `value` all that is left of it."""

    order_id: str
    value: float | None
    units: float | None
    currency: str
    of: str | None = None


@dataclass(frozen=True)
class Event:
    """A row of the table `online`; of an alias, `anonymous_id` is the id from before."""

    source: Source
    message_id: str
    kind: Kind
    name: str
    time: datetime
    received: datetime
    anonymous_id: str | None
    user_id: str | None
    group_id: str | None
    campaign: str | None
    region: str | None
    postcode: str | None
    store: str | None
    fulfilment: str | None
    consent: tuple[bool, bool, bool]
    properties: str
    order: Order | None = None

    @property
    def own_id(self) -> str | None:
        """The id that the event came with: the user's where there is one."""
        return self.user_id or self.anonymous_id


Id = str | int | float | None
Moment = Annotated[datetime, msgspec.Meta(tz=True)] | None
Fields = dict[str, Any]


class Call(msgspec.Struct, rename="camel"):
    """A call of the spec, as far as it is read. Times are RFC 3339 with an offset."""

    type: str | None = None
    event: str | None = None
    name: str | None = None
    user_id: Id = None
    anonymous_id: Id = None
    previous_id: Id = None
    group_id: Id = None
    message_id: Id = None
    properties: Fields | None = None
    traits: Fields | None = None
    context: Fields | None = None
    timestamp: Moment = None
    original_timestamp: Moment = None
    sent_at: Moment = None
    received_at: Moment = None


_call = msgspec.json.Decoder(Call)


def read(
    raw: bytes,
    source: Source,
    received: datetime,
    *,
    kind: Kind | None = None,
    envelope: batches.Envelope | None = None,
    position: int = 0,
    believed: bool = False,
) -> Event:
    """One call as an event.

    kind: what the address says; else the call's own `type`. position: its place in the batch.
    believed: its time is right as it is, and must be there.
    A call without `messageId` gets one made of its content, so that a repetition is known where the
    call has a time of its own; else each is an event of its own.

    Raises RefusedError.
    """
    if len(raw) > EVENT_BYTES:
        raise RefusedError(f"{len(raw)} bytes, of at most {EVENT_BYTES} an event")
    try:
        call = _call.decode(raw)
        if envelope is not None:
            _inherit(call, envelope)
        if believed:
            call.sent_at = None
            if call.original_timestamp is None and call.timestamp is None:
                raise RefusedError("timestamp: a call in a file needs one")
        return _event(call, kind or call.type, raw, source, received, position)
    except RefusedError:
        raise
    except batches.UNREADABLE as error:
        raise RefusedError(batches.words(error)) from error
    except OverflowError as error:
        raise RefusedError("timestamp: out of any calendar's range") from error


def _inherit(call: Call, envelope: batches.Envelope) -> None:
    if call.sent_at is None:
        call.sent_at = msgspec.json.decode(envelope.sent_at, type=Moment)
    if call.context is None:
        call.context = msgspec.json.decode(envelope.context, type=Fields | None)


def _event(
    call: Call, said: str | None, raw: bytes, source: Source, received: datetime, position: int
) -> Event:
    kind = next((kind for kind in KINDS if kind == said), None)
    if kind is None:
        raise RefusedError(f"type: {_shown(said)} is none of {', '.join(KINDS)}")
    time = _time(call, received)
    name = call.event if kind == "track" else call.name
    user, anonymous = _id(call.user_id, "userId"), _id(call.anonymous_id, "anonymousId")
    group = _id(call.group_id, "groupId")
    if kind == "track" and not name:
        raise RefusedError("event: a track call needs the event's name")
    if name and len(name) > TEXT_LENGTH:
        raise RefusedError(f"name: {len(name)} characters, of at most {TEXT_LENGTH}")
    if kind == "alias":
        anonymous = _id(call.previous_id, "previousId")
        if not (anonymous and user):
            raise RefusedError("previousId: an alias needs previousId and userId")
    if kind == "group" and not group:
        raise RefusedError("groupId: a group call needs one")
    message = _id(call.message_id, "messageId")
    if message is None:
        own_time = call.original_timestamp or call.timestamp
        which = b"" if own_time else f"{received.isoformat()} {position}".encode()
        message = "content-" + hashlib.sha256(kind.encode() + raw + which).hexdigest()[:32]
    properties = call.properties or {}
    context = call.context or {}
    traits = call.traits or _dict(context, "traits")
    kept = properties if kind in ("track", "page", "screen") else {}
    campaign = _dict(context, "campaign")
    return Event(
        source=source,
        message_id=message,
        kind=kind,
        name=name or "",
        time=time,
        received=received,
        anonymous_id=anonymous,
        user_id=user,
        group_id=group,
        campaign=_json(campaign) if campaign else None,
        region=_text(properties, "region", "state")
        or _text(_dict(properties, "shipping_address"), "region", "state", "province")
        or _text(_dict(context, "location"), "region")
        or _text(_dict(traits, "address"), "region", "state"),
        postcode=_text(properties, *_POSTCODE)
        or _text(_dict(properties, "shipping_address"), *_POSTCODE)
        or _text(_dict(traits, "address"), *_POSTCODE),
        store=_text(properties, "store", "store_id", "storeId"),
        fulfilment=_FULFILMENT.get(
            (_text(properties, "fulfilment", "fulfillment", "shipping_method") or "").lower()
        ),
        consent=_consent(_dict(_dict(context, "consent"), "categoryPreferences")),
        properties=_json(kept),
        order=_order(name, properties, message, source) if kind == "track" and name else None,
    )


_POSTCODE = ("postcode", "postal_code", "postalCode", "zip")


def _time(call: Call, received: datetime) -> datetime:
    """When it happened by our clock: receivedAt − (sentAt − originalTimestamp)."""
    said = call.original_timestamp or call.timestamp
    late = call.sent_at - said if call.sent_at and said else None
    time = received - late if late is not None else said or received
    if time < EARLIEST:
        raise RefusedError(f"timestamp: {time} is before the year {EARLIEST.year}")
    if time - received > AHEAD:
        raise RefusedError(f"timestamp: {time} is more than a day ahead; send it as UTC")
    return time


def _order(name: str, properties: Fields, message: str, source: Source) -> Order | None:
    what = ORDERS.get(name)
    if what is None:
        return None
    identity = _text(properties, "order_id", "orderId")
    if not identity:
        raise RefusedError(f"order_id: {name} needs one, of at most {TEXT_LENGTH} characters")
    currency = properties.get("currency") or source.currency
    if not (isinstance(currency, str) and re.fullmatch("[A-Za-z]{3}", currency)):
        raise RefusedError(f"currency: {_shown(currency)} is no code of three letters")
    said = next((name for name in _AMOUNTS if properties.get(name) is not None), None)
    value = _number(properties[said], said, MONEY) if said else None
    products = properties.get("products") or []
    if not isinstance(products, list):
        raise RefusedError("products: a list is needed")
    units = sum(
        _number(
            product.get("quantity", 1) if isinstance(product, dict) else None,
            f"products.{number}.quantity",
            QUANTITY,
        )
        for number, product in enumerate(products)
    )
    if what == "sale":
        total, items = value or 0.0, units or 1.0
        return Order(identity, total, -abs(items) if total < 0 else items, currency.upper())
    # Of one order there may be many refunds, but it is cancelled once.
    which = (_text(properties, "refund_id") or message) if what == "refund" else what
    return Order(
        f"{identity}/{which}",
        value if value is None else -abs(value),
        None if value is None and not units else -abs(units),
        currency.upper(),
        of=identity,
    )


def _number(value: object, place: str, most: float) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError(f"{place}: {_shown(value)} is no number") from None
    if not math.isfinite(number) or abs(number) > most:
        raise RefusedError(f"{place}: {_shown(value)} is no amount up to {most:g}")
    return number


def _id(value: Id, place: str) -> str | None:
    text = "" if value is None else str(value)
    if len(text) > TEXT_LENGTH:
        raise RefusedError(f"{place}: {len(text)} characters, of at most {TEXT_LENGTH}")
    return text or None


def _text(fields: Fields, *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value).strip()
            if 0 < len(text) <= TEXT_LENGTH:
                return text
    return None


def _dict(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _consent(preferences: Fields) -> tuple[bool, bool, bool]:
    """Whether analytics, ads and personalization are granted; what is not said is not granted."""
    said = {str(name).lower(): value is True for name, value in preferences.items()}
    analytics, ads, personalization = (
        any(said.get(name, False) for name in names) for names in _CONSENT.values()
    )
    return analytics, ads, personalization


def _json(value: Fields) -> str:
    return msgspec.json.encode(value).decode()


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
