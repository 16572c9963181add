"""HTTP intake: orders in the language of the Segment spec.

Source: the Segment HTTP tracking API and its ecommerce events, version 2. The write key is the
user name of HTTP Basic; it says which shop and channel the orders belong to.
"""

import secrets
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from central import windows
from central.config import Config, WriteKey
from central.store import Store, utc

MAX_BYTES = 32 * 1024
ORDER_COMPLETED = "Order Completed"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
NAMES_TOLD_APART = 1_000
_basic = HTTPBasic(description="The write key as user name; no password.")
Money = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]


class Product(BaseModel):
    """One line of an order."""

    model_config = ConfigDict(extra="allow")
    quantity: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e6)] = 1.0


class Order(BaseModel):
    """Properties of `Order Completed`; `total` is what was paid, else `revenue` or `value`."""

    model_config = ConfigDict(extra="allow")
    order_id: Annotated[str, Field(min_length=1, max_length=200)]
    total: Money | None = None
    revenue: Money | None = None
    value: Money | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    products: Annotated[list[Product], Field(max_length=1000)] = []


class Track(BaseModel):
    """A `track` call. Times are RFC 3339 with an offset."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)
    event: Annotated[str, Field(min_length=1, max_length=200)]
    properties: dict[str, Any] = {}
    timestamp: AwareDatetime | None = None
    original_timestamp: Annotated[AwareDatetime | None, Field(alias="originalTimestamp")] = None
    sent_at: Annotated[AwareDatetime | None, Field(alias="sentAt")] = None

    def time(self, received: datetime) -> datetime:
        """When it happened by our clock: receivedAt − (sentAt − originalTimestamp).

        Raises OverflowError for a time that no calendar has.
        """
        said = self.original_timestamp or self.timestamp
        if said is None:
            return received
        return received - (self.sent_at - said) if self.sent_at else said


class OnlineIntake:
    """Takes orders in; one with a known (site, channel, id) adds nothing."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config = store, config
        self._changed: int | None = 0
        self._lock = threading.Lock()
        self.stored = 0
        self.duplicates = 0
        self.ignored: Counter[str] = Counter()

    def key(self, written: str) -> WriteKey | None:
        """The settings of a write key, if there is such a key."""
        keys = self._config.write_keys
        return next(
            (key for key in keys if secrets.compare_digest(key.key.encode(), written.encode())),
            None,
        )

    def ignore(self, event: str) -> None:
        """Count an event that is not kept; names beyond the first thousand count together."""
        with self._lock:
            known = event in self.ignored or len(self.ignored) < NAMES_TOLD_APART
            self.ignored[event if known else "other events"] += 1

    def add(self, key: WriteKey, order: Order, time: datetime) -> bool:
        """Keep an order; False where it was known."""
        amounts = (order.total, order.revenue, order.value)
        value = next((amount for amount in amounts if amount is not None), 0.0)
        currency = order.currency or self._config.site(key.site).currency
        units = sum(product.quantity for product in order.products) or 1.0
        kind = "return" if value < 0 else "sale"
        now = utc(datetime.now(UTC))
        place = key.site, key.channel
        with self._store.write() as cursor:
            row = cursor.execute(
                'insert or ignore into orders (site, channel, order_id, "time", received, value,'
                " units, currency, kind) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [*place, order.order_id, utc(time), now, value, units, currency, kind],
            ).fetchone()
        fresh = bool(row and row[0])
        with self._lock:
            self.stored += fresh
            self.duplicates += not fresh
        if fresh:
            self.change(windows.key(time))
        return fresh

    def change(self, window: int) -> None:
        """Remember that the orders of a window are not those that were counted."""
        with self._lock:
            self._changed = window if self._changed is None else min(window, self._changed)

    def changed(self) -> int | None:
        """The first window that has had orders since the last call; None without any."""
        with self._lock:
            changed, self._changed = self._changed, None
            return changed


def router(intake: OnlineIntake) -> APIRouter:
    """The routes of the HTTP intake."""
    routes = APIRouter(prefix="/v1", tags=["intake"])
    body = {"content": {"application/json": {"schema": Track.model_json_schema()}}}

    @routes.post("/track", openapi_extra={"requestBody": {**body, "required": True}})
    async def track(
        request: Request, credentials: Annotated[HTTPBasicCredentials, Depends(_basic)]
    ) -> dict[str, bool | str]:
        """Take in one event. `Order Completed` is kept; others are counted by name."""
        key = intake.key(credentials.username)
        if key is None:
            raise HTTPException(
                401, "unknown write key; add it under `write_keys`", {"WWW-Authenticate": "Basic"}
            )
        received = datetime.now(UTC)
        try:
            call = Track.model_validate_json(await _body(request))
            if call.event != ORDER_COMPLETED:
                intake.ignore(call.event)
                return {"success": True, "stored": False}
            order = Order.model_validate(call.properties)
        except ValidationError as error:
            raise HTTPException(400, _explain(error)) from error
        try:
            time = call.time(received)
        except OverflowError as error:
            raise HTTPException(400, "timestamp: out of any calendar's range") from error
        if time < EARLIEST:
            raise HTTPException(400, f"timestamp: {time} is before the year {EARLIEST.year}")
        if time - received > timedelta(days=1):
            raise HTTPException(400, f"timestamp: {time} is more than a day ahead; send it as UTC")
        stored = await run_in_threadpool(intake.add, key, order, time)
        return {"success": True, "stored": stored}

    return routes


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"an event may have {MAX_BYTES} bytes; send smaller ones")
    return bytes(body)


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
