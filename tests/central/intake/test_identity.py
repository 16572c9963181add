"""Who is who: the same whatever the order, and as before when a link is taken away."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from central import windows
from central.intake import identity
from central.intake.identity import Links
from central.intake.online import Arrived, OnlineIntake
from central.intake.segment import Source
from central.store import Store
from tests.central.intake.online_app import CONFIG, rows

WEB = Source("web", "web", "EUR")
IDS = st.sampled_from("abcdef")
PAIRS = st.lists(st.tuples(IDS, IDS), max_size=8)


def links(pairs: list[tuple[str, str]]) -> Links:
    found: Links = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
    return found


def ends(start: str, leads: Links) -> set[frozenset[str]]:
    """The slow, obvious twin: the sets of ids that are never left again, from a start."""

    def reach(identity: str) -> set[str]:
        found = {identity}
        for _ in leads:
            found |= {other for each in found for other in leads.get(each, ())}
        return found

    return {
        frozenset(reach(each))
        for each in reach(start)
        if all(each in reach(other) for other in reach(each))
    }


@given(PAIRS, IDS)
@example([("a", "b"), ("b", "a")], "a")
@example([("a", "b"), ("a", "c")], "a")
def test_a_person_is_where_all_links_lead(pairs: list[tuple[str, str]], start: str) -> None:
    found = ends(start, links(pairs))
    expected = min(next(iter(found))) if len(found) == 1 else start
    assert identity.person(start, links(pairs)) == expected


def test_too_many_links_make_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_LINKS", 3)
    chain = {str(number): {str(number + 1)} for number in range(9)}
    assert identity.person("0", chain) == "0"
    assert identity.person("7", chain) == "9"


Calls = list[dict[str, Any]]


def take(intake: OnlineIntake, *calls: dict[str, Any]) -> None:
    for call in calls:
        arrived = Arrived()
        body = json.dumps({"event": "Product Viewed", "timestamp": "2026-03-02T12:00:00Z", **call})
        arrived.add(body.encode(), WEB, datetime.now(UTC), "/v1/track")
        assert not arrived.refused
        intake.take(arrived)


VIEW = {"type": "track", "anonymousId": "cookie"}
IDENTIFY = {"type": "identify", "anonymousId": "cookie", "userId": "ada"}
BOUGHT: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "anonymousId": "cookie",
    "properties": {"order_id": "1", "total": 3},
}
RENAMED = {"type": "alias", "previousId": "ada", "userId": "ada.l"}


def people(store: Store) -> dict[str, str]:
    query = "select distinct coalesce(user_id, anonymous_id), person from online"
    return dict(rows(store, query))


@pytest.mark.parametrize("late", [False, True])
def test_events_before_and_after_a_link_have_one_person(store: Store, *, late: bool) -> None:
    intake = OnlineIntake(store, CONFIG)
    known: Calls = [IDENTIFY, RENAMED]
    take(intake, *([VIEW, BOUGHT, *known] if late else [*known, VIEW, BOUGHT]))
    assert people(store) == {"cookie": "ada.l", "ada": "ada.l", "ada.l": "ada.l"}
    assert rows(store, "select customer, person from orders") == [("cookie", "ada.l")]


def test_what_an_earlier_event_counts_is_counted_anew(store: Store) -> None:
    """Two sessions at once, of a browser and of a user, are one once the two are one person."""
    intake = OnlineIntake(store, CONFIG)
    user = {"type": "track", "userId": "ada", "timestamp": "2026-03-02T12:05:00Z"}
    take(intake, VIEW, user)
    sessions = "select sum(value) from partial where measure = 'sessions'"
    windows.rebuild_online(store)
    assert rows(store, sessions) == [(2.0,)]
    intake.changed()
    take(intake, {**IDENTIFY, "timestamp": "2026-03-05T12:00:00Z"})
    first = intake.changed()
    assert first == windows.key(datetime(2026, 3, 2, 12, tzinfo=UTC))
    windows.rebuild_online(store, range(first, first + windows.DAY * 4))
    assert rows(store, sessions) == [(1.0,)]


def test_a_shared_browser_makes_no_one_of_two(store: Store) -> None:
    intake = OnlineIntake(store, CONFIG)
    take(intake, VIEW, IDENTIFY)
    assert people(store)["cookie"] == "ada"
    take(intake, {**IDENTIFY, "userId": "bob"})
    assert people(store) == {"cookie": "cookie", "ada": "ada", "bob": "bob"}


def test_a_link_can_be_taken_away(store: Store) -> None:
    intake = OnlineIntake(store, CONFIG)
    take(intake, VIEW, BOUGHT, IDENTIFY)
    before = people(store)
    take(intake, {**IDENTIFY, "userId": "bob"})
    with store.write() as cursor:
        cursor.execute("delete from link where other = 'bob'").fetchall()
        identity.attribute(cursor, "web", ["cookie"])
    assert people(store) == {**before, "bob": "bob"}
    assert rows(store, "select person from orders") == [("ada",)]


def test_sites_know_nothing_of_each_other(store: Store) -> None:
    intake = OnlineIntake(store, CONFIG)
    take(intake, IDENTIFY)
    with store.write() as cursor:
        assert identity.persons(cursor, "web", ["cookie"]) == {"cookie": "ada"}
        assert identity.persons(cursor, "leeds", ["cookie"]) == {"cookie": "cookie"}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PAIRS, st.randoms())
def test_any_order_of_arrival_gives_the_same_people(
    store: Store, pairs: list[tuple[str, str]], random: Any
) -> None:
    calls: Calls = [{"type": "track", "userId": each} for each in "abcdef"]
    calls += [{"type": "alias", "previousId": one, "userId": other} for one, other in pairs]
    random.shuffle(calls)
    with store.write() as cursor:
        for table in ("online", "link"):
            cursor.execute(f"delete from {table}").fetchall()
    take(OnlineIntake(store, CONFIG), *calls)
    expected = {each: identity.person(each, links(pairs)) for each in "abcdef"}
    query = "select user_id, person from online where kind = 'track'"
    assert dict(rows(store, query)) == expected
