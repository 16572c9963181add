"""Calls over HTTP, in the language of the Segment spec."""

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from central.intake.segment import BATCH_BYTES, EVENT_BYTES, KINDS
from central.store import Store
from tests.central.intake.online_app import TILL, WEB, Client, quarantine, rows

OK = {"success": True}


def viewed(message: str = "m1", **more: Any) -> dict[str, Any]:
    return {"event": "Product Viewed", "userId": "ada", "messageId": message, **more}


def batch(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"batch": [{"type": "track", **call} for call in calls], **more}


def events(store: Store) -> list[Any]:
    return rows(store, "select site, channel, message_id, kind, name from online order by all")


CALLS: dict[str, dict[str, Any]] = {
    "track": viewed(),
    "identify": {"userId": "ada", "anonymousId": "cookie", "traits": {"email": "a@example.org"}},
    "page": {"anonymousId": "cookie", "name": "Home", "properties": {"path": "/"}},
    "screen": {"anonymousId": "phone", "name": "Basket"},
    "group": {"userId": "ada", "groupId": "acme"},
    "alias": {"previousId": "ada", "userId": "ada.l"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("short", [False, True])
def test_each_call_has_its_address(client: Client, store: Store, kind: str, *, short: bool) -> None:
    answer = client.post(f"/v1/{kind[0] if short else kind}", CALLS[kind])
    assert (answer.status_code, answer.json()) == (200, OK)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert [(row[0], row[1], row[3]) for row in events(store)] == [("web", "web", kind)]
    assert quarantine(store) == []


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import"])
def test_a_batch_is_taken_and_its_repetition_adds_nothing(
    client: Client, store: Store, path: str
) -> None:
    calls = [{"type": kind, "messageId": kind, **call} for kind, call in CALLS.items()]
    for _ in range(2):
        assert client.post(path, {"batch": calls}).json() == OK
    assert {row[3] for row in events(store)} == set(KINDS)
    tally = client.intake.tally
    assert (tally.events, tally.duplicates) == (6, 6)


def test_the_key_says_site_and_channel(client: Client, store: Store) -> None:
    for key in (TILL, WEB, "search-key", "email-key", "social-key", "support-key", "app-key-1"):
        assert client.post("/v1/track", viewed(), key).status_code == 200
    assert {(site, channel) for site, channel, *_ in events(store)} == {
        ("leeds", "pos"),
        *(("web", name) for name in ("web", "search", "email", "social", "support", "app")),
    }


def test_the_key_may_stand_in_the_body(client: Client, store: Store) -> None:
    assert client.post("/v1/t", viewed("1", writeKey=WEB), None).json() == OK
    assert client.post("/v1/batch", batch(viewed("2"), writeKey=WEB), None).json() == OK
    deep = json.dumps(batch(viewed("3"), {}, writeKey=WEB)).replace("{}", "[" * 9000 + "]" * 9000)
    assert client.post("/v1/batch", deep.encode(), None).json() == OK
    assert [row[2] for row in events(store)] == ["1", "2", "3"]


@pytest.mark.parametrize("key", ["unknown-key", "", "schlüssel", None])
def test_an_unknown_key_is_refused(client: Client, store: Store, key: str | None) -> None:
    for body in (viewed(), b"{", viewed(writeKey=7), viewed(writeKey="\ud800")):
        answer = client.post("/v1/track", body, key)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert events(store) == quarantine(store) == []


def test_a_page_elsewhere_may_ask_first(client: Client) -> None:
    answer = client.send("OPTIONS", "/v1/track")
    assert answer.status_code == 204
    assert "authorization" in answer.headers["access-control-allow-headers"]


NO_JSON = [b"", b"{", b"[]", b"\xff", b"null", b'{"event": NaN}', b"[" * 9000]


@pytest.mark.parametrize("body", NO_JSON)
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_what_is_no_json_is_refused_and_kept_to_be_seen(
    client: Client, store: Store, path: str, body: bytes
) -> None:
    assert client.post(path, body).status_code in (200, 400)
    ((place, reason),) = quarantine(store)
    assert place == path
    assert reason
    assert rows(store, "select raw, size from quarantine") == [(body, len(body))]


UNFIT: list[tuple[dict[str, Any], str]] = [
    (viewed(event=7), "Expected `str | null`, got `int` - at `$.event`"),
    ({"userId": "ada"}, "event: a track call needs"),
    (viewed(event="x" * 201), "name: 201 characters, of at most 200"),
    (viewed(userId="x" * 201), "userId: 201 characters"),
    (viewed(properties=[]), "Expected `object | null`"),
    (viewed(timestamp="2026-03-02T00:00:00"), "timezone component - at `$.timestamp`"),
    (viewed(timestamp="soon"), "Invalid RFC3339"),
    (viewed(timestamp="1999-12-31T00:00:00Z"), "is before the year 2000"),
    (viewed(timestamp="0001-01-01T00:00:00+14:00"), "timestamp: "),
    (viewed(timestamp="9999-12-31T23:59:59-14:00"), "timestamp: "),
    (
        viewed(sentAt="9999-12-31T00:00:00Z", timestamp="0001-01-01T00:00:00Z"),
        "timestamp: out of any calendar's range",
    ),
    (
        viewed(timestamp=(datetime.now(UTC) + timedelta(days=2)).isoformat()),
        "is more than a day ahead; send it as UTC",
    ),
    (viewed(context="x" * EVENT_BYTES), "bytes, of at most 32768 an event"),
]


@pytest.mark.parametrize(("call", "words"), UNFIT)
def test_an_unfit_call_of_a_batch_is_quarantined_and_the_rest_kept(
    client: Client, store: Store, call: dict[str, Any], words: str
) -> None:
    body = batch(viewed("before"), call, viewed("after"), sentAt=datetime.now(UTC).isoformat())
    body["sentAt"] = call.get("sentAt", body["sentAt"])
    answer = client.post("/v1/batch", body)
    assert (answer.status_code, answer.json()) == (200, OK)
    assert [row[2] for row in events(store)] == ["after", "before"]
    ((place, reason),) = quarantine(store)
    assert place == "/v1/batch"
    assert words in reason
    assert sum(client.intake.tally.refused.values()) == 1


@pytest.mark.parametrize(("call", "words"), UNFIT[:-1])
def test_an_unfit_call_alone_is_answered_as_the_spec_does(
    client: Client, store: Store, call: dict[str, Any], words: str
) -> None:
    for _ in range(2):
        assert client.post("/v1/track", call).status_code == 200
    ((place, reason),) = quarantine(store)
    assert (place, events(store)) == ("/v1/track", [])
    assert words in reason


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("[" * 10_000 + "]" * 10_000, "too deep"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "too deep"),
        ('"\\ud800"', "truncated"),
        ('"\\ud83d\\ude00 \\u0000"', None),
        ('"}],[{\\"batch\\":["', None),
        ("1e999", "out of range"),
    ],
)
def test_what_cannot_be_decoded_takes_nothing_else_with_it(
    client: Client, store: Store, part: str, reason: str | None
) -> None:
    odd = f'{{"type":"track","event":"Odd","messageId":"odd","properties":{{"x":{part}}}}}'
    calls = [json.dumps({"type": "track", **viewed(name)}) for name in ("before", "after")]
    body = f'{{"context":{{"batch":[1]}},"batch":[{calls[0]}, {odd} ,{calls[1]}],"sentAt":null}}'
    assert client.post("/v1/batch", body.encode()).json() == OK
    kept = ["after", "before"] if reason else ["after", "before", "odd"]
    assert [row[2] for row in events(store)] == kept
    assert [reason in words for _, words in quarantine(store) if reason] == [True] * bool(reason)


def test_what_is_too_large_is_refused(client: Client, store: Store) -> None:
    big = viewed(properties={"x": "x" * 1_000_000})
    assert client.post("/v1/track", big).status_code == 400
    assert client.post("/v1/batch", batch(big)).status_code == 400
    assert client.post("/v1/batch", b" " * 5_000_000).status_code == 400
    assert events(store) == []
    assert [reason for _, reason in quarantine(store)] == [
        f"more than {EVENT_BYTES} bytes; send smaller ones",
        *[f"more than {BATCH_BYTES} bytes; send smaller ones"] * 2,
    ]
    assert rows(store, "select max(octet_length(raw)) from quarantine") == [(64 * 1024,)]


def test_gzip_is_unpacked(client: Client, store: Store) -> None:
    packed = gzip.compress(json.dumps(batch(viewed())).encode())
    assert client.post("/v1/batch", packed, content_encoding="gzip").json() == OK
    assert len(events(store)) == 1


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (gzip.compress(b" " * 50_000_000), "gzip", "bytes when unpacked"),
        (gzip.compress(b"{}")[:-4], "gzip", "the end is missing"),
        (b"{}", "gzip", "not gzip"),
        (zlib.compress(b"{}"), "deflate", "only gzip"),
    ],
    ids=["a bomb", "cut off", "not gzip", "deflate"],
)
def test_what_cannot_be_unpacked_is_refused(
    client: Client, store: Store, body: bytes, encoding: str, words: str
) -> None:
    answer = client.post("/v1/batch", body, content_encoding=encoding)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    ((_, reason),) = quarantine(store)
    assert words in reason


def test_a_store_that_takes_nothing_asks_to_come_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("the disk is full")

    monkeypatch.setattr(client.intake, "take", full)
    assert client.post("/v1/track", viewed()).status_code == 503


texts = st.text(max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = ["order_id", "total", "revenue", "currency", "products", "refund_id", "store"]
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat()) | anything
calls = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | anything},
    optional={
        "event": st.sampled_from(["Order Completed", "Order Refunded", "Order Cancelled"]) | texts,
        "name": texts | anything,
        "properties": anything | st.dictionaries(st.sampled_from(names), anything),
        "context": st.dictionaries(
            st.sampled_from(["campaign", "consent", "location", "traits"]), anything
        )
        | anything,
        "traits": st.fixed_dictionaries({"address": anything}) | anything,
        **dict.fromkeys(("timestamp", "sentAt", "originalTimestamp"), moments),
        **dict.fromkeys(("userId", "anonymousId", "previousId", "groupId"), texts | anything),
        "messageId": texts | anything,
    },
)
bodies = st.binary(max_size=200) | calls.map(lambda call: json.dumps(call).encode())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies, st.sampled_from([*(f"/v1/{kind}" for kind in KINDS), "/v1/batch"]))
@example(b'{"event":"Order Completed","properties":{"order_id":"\\u0000","total":1}}', "/v1/track")
@example(b'{"event":"Order Completed","properties":{"order_id":"\\ud800"}}', "/v1/track")
@example(b'{"event":"\\ud800"}', "/v1/track")
def test_no_bytes_break_it(client: Client, body: bytes, path: str) -> None:
    assert client.post(path, body).status_code in (200, 400)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, max_size=5), moments)
def test_no_batch_loses_a_call(client: Client, calls: list[Any], sent: Any) -> None:
    before = len(events(client_store(client))), counted(client)
    assert client.post("/v1/batch", {"batch": calls, "sentAt": sent}).status_code in (200, 400)
    assert len(events(client_store(client))) - before[0] == counted(client) - before[1]


def client_store(client: Client) -> Store:
    return client.intake.store


def counted(client: Client) -> int:
    return client.intake.tally.events
