"""Orders over HTTP, in the language of the Segment spec."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from central import windows
from central.config import Config, Site, WriteKey
from central.intake import http
from central.intake.http import MAX_BYTES, OnlineIntake, router
from central.store import Store

TILL, WEB = "till-key-1", "web-key-1"
CONFIG = Config(
    sites=(Site(id="leeds"), Site(id="web", kind="web", currency="EUR")),
    write_keys=(
        WriteKey(key=TILL, site="leeds"),
        WriteKey(key=WEB, site="web", channel="web"),
    ),
)


class Client:
    """Asks the application in this process; what it raises is raised here."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def post(self, body: bytes, auth: httpx.Auth) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post("/v1/track", content=body, auth=auth)

        return asyncio.run(ask())


@pytest.fixture
def intake(store: Store) -> OnlineIntake:
    return OnlineIntake(store, CONFIG)


@pytest.fixture
def client(intake: OnlineIntake) -> Client:
    app = FastAPI()
    app.include_router(router(intake))
    return Client(app)


def order(identity: str = "1", **more: Any) -> dict[str, Any]:
    said = {"order_id": identity, "total": 20.5, "products": [{"quantity": 2}, {}]}
    return {"event": "Order Completed", "properties": said} | more


def post(client: Client, body: Any, key: str = TILL) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(content, httpx.BasicAuth(key, ""))


def orders(store: Store) -> list[Any]:
    columns = "site, channel, order_id, value, units, currency, kind"
    return store.central().execute(f"select {columns} from orders order by all").fetchall()


def when(store: Store) -> datetime:
    (row,) = store.central().execute('select "time" from orders').fetchall()
    moment: datetime = row[0].replace(tzinfo=UTC)
    return moment


def test_an_order_is_kept_once(client: Client, intake: OnlineIntake, store: Store) -> None:
    assert intake.changed() == 0
    assert intake.changed() is None
    assert post(client, order()).json() == {"success": True, "stored": True}
    assert post(client, order()).json() == {"success": True, "stored": False}
    assert post(client, order(), WEB).json() == {"success": True, "stored": True}
    assert orders(store) == [
        ("leeds", "pos", "1", 20.5, 3.0, "GBP", "sale"),
        ("web", "web", "1", 20.5, 3.0, "EUR", "sale"),
    ]
    assert (intake.stored, intake.duplicates) == (2, 1)
    changed = intake.changed()
    assert changed is not None
    assert abs(changed - windows.key(datetime.now(UTC))) <= 1
    assert intake.changed() is None


@pytest.mark.parametrize(
    ("properties", "value", "units", "kind"),
    [
        ({"total": 5, "revenue": 4, "value": 3}, 5.0, 1.0, "sale"),
        ({"revenue": 4, "value": 3}, 4.0, 1.0, "sale"),
        ({"value": 3, "currency": "USD", "coupon": "SPRING"}, 3.0, 1.0, "sale"),
        ({"total": -7.5, "products": [{"quantity": 3, "sku": "x"}]}, -7.5, 3.0, "return"),
        ({}, 0.0, 1.0, "sale"),
    ],
)
def test_amounts(
    client: Client,
    store: Store,
    properties: dict[str, Any],
    value: float,
    units: float,
    kind: str,
) -> None:
    body = {"event": "Order Completed", "properties": {"order_id": "9", **properties}}
    assert post(client, body).status_code == 200
    currency = properties.get("currency", "GBP")
    assert orders(store) == [("leeds", "pos", "9", value, units, currency, kind)]


@pytest.mark.parametrize("key", ["unknown-key", "", "schlüssel"])
def test_an_unknown_key_is_refused(client: Client, store: Store, key: str) -> None:
    answer = post(client, order(), key)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert client.post(b"{}", httpx.Auth()).status_code == 401
    assert orders(store) == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "body: "),
        (b"{", "body: "),
        (b"[]", "body: "),
        (b"\xff", "body: "),
        (b"[" * 30_000, "body: "),
        ({"event": 7}, "event: "),
        ({"event": ""}, "event: "),
        ({"properties": {}}, "event: "),
        (order(properties=[]), "properties: "),
        (order(properties={"total": 1}), "order_id: Field required"),
        (order(properties={"order_id": ""}), "order_id: "),
        (order(properties={"order_id": "x", "total": "plenty"}), "total: "),
        (order(properties={"order_id": "x", "total": 1e12}), "total: "),
        (order(properties={"order_id": "x", "currency": "pounds"}), "currency: "),
        (order(properties={"order_id": "x", "products": [{"quantity": -1}]}), "products.0.qu"),
        (order(properties={"order_id": "x", "products": [{"quantity": None}]}), "products.0.qu"),
        (json.dumps(order(properties={"order_id": "x", "total": float("nan")})).encode(), "total"),
        (json.dumps(order(properties={"order_id": "x", "total": 1e999})).encode(), "total: "),
        (order(timestamp="2026-03-02T00:00:00"), "timestamp: "),
        (order(timestamp="soon"), "timestamp: "),
        (order(timestamp="1999-12-31T00:00:00Z"), "timestamp: "),
        (order(timestamp="0001-01-01T00:00:00+14:00"), "timestamp: "),
        (order(timestamp="9999-12-31T23:59:59-14:00"), "timestamp: "),
        (
            order(sentAt="9999-12-31T00:00:00Z", originalTimestamp="0001-01-01T00:00:00Z"),
            "timestamp: out of any calendar's range",
        ),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(
    client: Client, store: Store, body: Any, place: str
) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(place)
    assert orders(store) == []


def test_what_is_too_large_is_refused(client: Client, store: Store) -> None:
    assert post(client, order(context="x" * MAX_BYTES)).status_code == 413
    assert post(client, b" " * 5_000_000).status_code == 413
    assert orders(store) == []


def test_other_events_are_counted_by_name(
    client: Client, intake: OnlineIntake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "NAMES_TOLD_APART", 2)
    for name in ("Product Viewed", "Product Viewed", "Cart Viewed", "One", "Two"):
        answer = post(client, {"event": name, "properties": {"x": 1}})
        assert answer.json() == {"success": True, "stored": False}
    assert intake.ignored == {"Product Viewed": 2, "Cart Viewed": 1, "other events": 2}
    assert orders(store) == []


def test_a_time_is_put_right_by_the_senders_own_clock(client: Client, store: Store) -> None:
    """timestamp = receivedAt - (sentAt - originalTimestamp): the clock's error cancels."""
    post(
        client,
        order(originalTimestamp="2031-01-01T10:00:00Z", sentAt="2031-01-01T11:30:00+01:00"),
    )
    assert abs(when(store) - (datetime.now(UTC) - timedelta(minutes=30))) < timedelta(minutes=1)


def test_a_time_without_sent_at_is_believed(client: Client, store: Store) -> None:
    post(client, order(timestamp="2026-03-02T10:00:00+02:00"))
    assert when(store) == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_no_time_is_now(client: Client, store: Store) -> None:
    post(client, order())
    assert abs(when(store) - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_future_is_refused(client: Client, store: Store) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    answer = post(client, order(timestamp=ahead))
    assert answer.status_code == 400
    assert "more than a day ahead; send it as UTC" in answer.json()["detail"]
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    assert post(client, order(timestamp=soon)).status_code == 200


texts = st.text(max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = ["order_id", "total", "revenue", "currency", "products"]
calls = st.fixed_dictionaries(
    {"event": st.just("Order Completed") | anything},
    optional={
        "properties": anything | st.dictionaries(st.sampled_from(names), anything),
        "timestamp": anything,
        "sentAt": st.datetimes(timezones=st.just(UTC)).map(str) | anything,
        "originalTimestamp": st.datetimes(timezones=st.just(UTC)).map(str) | anything,
    },
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | calls.map(lambda call: json.dumps(call).encode()))
@example(b'{"event":"Order Completed","properties":{"order_id":"\\u0000","total":1}}')
@example(b'{"event":"Order Completed","properties":{"order_id":"\\ud800","total":1}}')
@example(b'{"event":"\\ud800"}')
def test_no_bytes_break_it(client: Client, body: bytes) -> None:
    assert post(client, body).status_code in (200, 400)
