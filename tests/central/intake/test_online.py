"""Events, orders and people in the store: each once, in any order."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from central import windows
from central.config import Config
from central.intake import online
from central.intake.online import Arrived, OnlineIntake, Taken
from central.intake.segment import Source
from central.store import Store, transaction
from tests.central.intake.online_app import CONFIG, rows

WEB = Source("web", "web", "EUR")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def call(event: str, message: str, **properties: Any) -> dict[str, Any]:
    who: dict[str, Any] = {
        key: properties.pop(key) for key in ("userId", "anonymousId") if key in properties
    }
    moment = properties.pop("at", NOON).isoformat()
    said = {"type": "track", "event": event, "messageId": message, "timestamp": moment}
    return {**said, **who, "properties": properties}


def arrived(*calls: dict[str, Any], source: Source = WEB) -> Arrived:
    made = Arrived()
    body = json.dumps({"batch": calls}).encode()
    assert made.add_batch(body, source, datetime.now(UTC)) is None
    return made


@pytest.fixture
def intake(store: Store) -> OnlineIntake:
    return OnlineIntake(store, CONFIG)


def money(store: Store) -> list[Any]:
    return rows(store, "select order_id, value, units, currency, kind from orders order by 1")


def test_a_message_is_kept_once(intake: OnlineIntake, store: Store) -> None:
    assert intake.changed() == 0
    assert intake.changed() is None
    twice = [call("Product Viewed", "m1"), call("Product Viewed", "m1"), call("Odd", "m2")]
    assert intake.take(arrived(*twice)) == Taken(events=2, duplicates=1)
    assert intake.changed() == windows.key(NOON)
    assert intake.take(arrived(*twice)) == Taken(events=0, duplicates=3)
    assert intake.changed() is None
    elsewhere = Source("web", "app", "EUR")
    assert intake.take(arrived(*twice, source=elsewhere)).events == 2
    assert [
        (each["channel"], each["name"], each["count"], each["known"])
        for each in online.names(store)
    ] == [
        ("app", "Odd", 1, False),
        ("app", "Product Viewed", 1, True),
        ("web", "Odd", 1, False),
        ("web", "Product Viewed", 1, True),
    ]


def test_orders_are_kept_once_and_currencies_as_they_come(
    intake: OnlineIntake, store: Store
) -> None:
    bought = call("Order Completed", "m1", order_id="1", total=20, userId="ada", postcode="LS1")
    again = call("Order Completed", "m2", order_id="1", total=99)
    dollars = call("Order Completed", "m3", order_id="2", total=7, currency="USD")
    assert intake.take(arrived(bought, again, dollars)).orders == 2
    assert money(store) == [
        ("1", 20.0, 1.0, "EUR", "sale"),
        ("2", 7.0, 1.0, "USD", "sale"),
    ]
    query = "select customer, person, postcode from orders where order_id = '1'"
    assert rows(store, query) == [("ada", "ada", "LS1")]


RETURNS = [
    call("Order Completed", "m1", order_id="1", total=100, products=[{"quantity": 4}]),
    call("Order Refunded", "m2", order_id="1", total=30, products=[{"quantity": 1}]),
    call("Order Refunded", "m3", order_id="1", total=30),
    call("Order Cancelled", "m4", order_id="1", total=100),
]


@pytest.mark.parametrize("order", list(itertools.permutations(RETURNS[1:])))
@pytest.mark.parametrize("together", [False, True])
def test_no_more_is_taken_back_than_was_sold(
    intake: OnlineIntake, store: Store, order: Any, *, together: bool
) -> None:
    calls = [*order, RETURNS[0]] if together else [RETURNS[0], *order]
    for part in [calls] if together else [[each] for each in calls]:
        intake.take(arrived(*part))
    assert rows(store, "select count(*), sum(value) from orders") == [(4, 0.0)]


def test_a_return_without_its_amount_takes_back_what_is_left(
    intake: OnlineIntake, store: Store
) -> None:
    whole = call("Order Refunded", "m9", order_id="1")
    refused = intake.take(arrived(call("Odd", "m0"), whole))
    reason = "Order Refunded: no total, and order 1 is not known"
    assert refused == Taken(events=1, refused=Counter({reason: 1}))
    intake.take(arrived(*RETURNS[:2]))
    ((number, *row),) = rows(
        store, "select id, received, site, channel, place, raw from quarantine"
    )
    with transaction(store.central()) as cursor:
        cursor.execute("delete from quarantine where id = ?", [number]).fetchall()
        assert intake.replay(cursor, Row(*row)) is None
    assert money(store)[-1] == ("1/m9", -70.0, -3.0, "EUR", "return")
    with transaction(store.central()) as cursor:
        assert intake.replay(cursor, Row(*row)) is None, "known: exactly once"
    assert len(money(store)) == 3


class Row:
    def __init__(self, received: datetime, site: str, channel: str, place: str, raw: bytes) -> None:
        self.received, self.site, self.channel = received, site, channel
        self.place, self.raw = place, raw


@pytest.mark.parametrize(
    ("place", "raw", "words"),
    [
        ("/v1/track", b'{"event":7}', "Expected `str | null`"),
        ("/v1/batch", b"{", "batch: "),
        ("import a.csv:7", b"{}", "mend the file"),
    ],
)
def test_what_is_still_wrong_is_refused_again(
    intake: OnlineIntake, store: Store, place: str, raw: bytes, words: str
) -> None:
    with transaction(store.central()) as cursor:
        problem = intake.replay(cursor, Row(NOON, "web", "web", place, raw))
    assert problem
    assert words in problem


def test_what_the_database_refuses_alone_is_quarantined_alone(
    intake: OnlineIntake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = online._keep

    def picky(cursor: duckdb.DuckDBPyConnection, events: Any) -> Any:
        if any(event.name == "Odd" for event in events):
            raise duckdb.ConversionException("odd")
        return kept(cursor, events)

    monkeypatch.setattr(online, "_keep", picky)
    taken = intake.take(arrived(call("A", "1"), call("Odd", "2"), call("B", "3")))
    assert taken.refused == {"the database refuses it: odd": 1}
    assert rows(store, "select name from online order by 1") == [("A",), ("B",)]
    assert len(rows(store, "from quarantine")) == 1


def test_a_full_disk_takes_nothing(
    intake: OnlineIntake, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("full")

    monkeypatch.setattr(online, "_keep", full)
    with pytest.raises(duckdb.IOException):
        intake.take(arrived(call("A", "1")))
    assert rows(store, "from quarantine") == []


def test_reasons_are_counted_within_bounds(
    intake: OnlineIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "REASONS_TOLD_APART", 1)
    for name in ("a", "b", "c"):
        intake.take(arrived({"type": name}))
    assert sorted(intake.tally.refused.values()) == [1, 2]


def test_events_years_old_are_kept(intake: OnlineIntake, store: Store) -> None:
    intake.take(arrived(call("Old", "1", at=NOON - timedelta(days=8000))))
    assert rows(store, 'select "time" from online') == [(datetime(2004, 4, 6, 12),)]


def test_a_site_that_nobody_configured_has_pounds(store: Store) -> None:
    source = Source("nowhere", "web", Config().site("nowhere").currency)
    OnlineIntake(store, Config()).take(
        arrived(call("Order Completed", "1", order_id="1", total=1), source=source)
    )
    assert rows(store, "select site, currency from orders") == [("nowhere", "GBP")]
