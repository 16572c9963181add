"""Notices to a real receiver: each once, retried until it arrives, none held up by another."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from central import notify
from central.config import Config, Webhook
from central.life import Incident
from central.notify import Notifier
from central.store import Store, utc
from deploy.demo.broker import free_port
from edge import wire
from tests.end_to_end.processes import wait_until

OPENED = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
INCIDENT = Incident(
    id="abc123",
    site="leeds",
    cause="conversion",
    subject="",
    began=1,
    latest=2,
    opened=OPENED,
    sentence="Leeds: tills stopped.",
    pushed=2,
)
RESOLVED = replace(INCIDENT, resolved=OPENED + timedelta(hours=1))


class Receiver:
    """A web server that answers with the given codes, one after the other, then with 204."""

    def __init__(self, *answers: int, port: int = 0) -> None:
        self.got: list[tuple[str, Any]] = []
        left, got = list(answers), self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                got.append((self.headers["webhook-id"], body))
                self.send_response(left.pop(0) if left else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/incidents"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def ids(self) -> list[str]:
        return [name for name, _ in self.got]


class Broker:
    """Takes what is published, while it is there."""

    def __init__(self) -> None:
        self.there = True
        self.got: list[tuple[str, bytes]] = []

    def publish(self, topic: wire.Topic, payload: bytes) -> bool:
        if self.there:
            self.got.append((str(topic), payload))
        return self.there


class Bench:
    """A file, receivers, and notifiers that are stopped when the test ends."""

    def __init__(self, store: Store) -> None:
        self.store, self.broker = store, Broker()
        self.receivers: list[Receiver] = []
        self._running: list[Notifier] = []

    def receiver(self, *answers: int, port: int = 0) -> Receiver:
        self.receivers.append(Receiver(*answers, port=port))
        return self.receivers[-1]

    def start(self, *urls: str) -> Notifier:
        config = Config(webhooks=tuple(Webhook(url=url) for url in urls))
        notifier = Notifier(self.store, config, self.broker.publish)
        notifier.start()
        self._running.append(notifier)
        return notifier

    def stop(self, notifier: Notifier) -> None:
        notifier.stop()
        self._running.remove(notifier)

    def close(self) -> None:
        for notifier in self._running:
            notifier.stop()
        for receiver in self.receivers:
            receiver.stop()

    def write(self, incident: Incident) -> None:
        """As `Incidents` does, before anyone is told."""
        self.store.central().execute(
            "insert or replace into incident (id, site, cause, subject, severity, began, latest,"
            " opened, resolved, sentence, pushed) values (?, ?, ?, '', ?, 1, 2, ?, ?, ?, ?)",
            [
                incident.id,
                incident.site,
                incident.cause,
                incident.severity,
                utc(incident.opened),
                utc(incident.resolved) if incident.resolved else None,
                incident.sentence,
                incident.pushed,
            ],
        )

    def tell(self, notifier: Notifier, incident: Incident) -> None:
        self.write(incident)
        notifier.add(incident)

    def notices(self) -> list[Any]:
        query = "select receiver, event, status, attempts, detail from notice order by 1, 2"
        return self.store.central().execute(query).fetchall()

    def all_delivered(self, count: int) -> None:
        def delivered() -> bool:
            found = self.notices()
            return len(found) == count and all(row[2] == "delivered" for row in found)

        wait_until(delivered, 30, lambda: str(self.notices()))


@pytest.fixture
def bench(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(notify, "FIRST_PAUSE", timedelta(milliseconds=20))
    monkeypatch.setattr(notify, "LONGEST_PAUSE", timedelta(milliseconds=200))
    found = Bench(store)
    yield found
    found.close()


def test_a_notice_says_what_happened(bench: Bench) -> None:
    receiver = bench.receiver()
    notifier = bench.start(receiver.url)
    bench.tell(notifier, INCIDENT)
    bench.all_delivered(2)
    bench.tell(notifier, RESOLVED)
    bench.all_delivered(4)
    assert receiver.ids() == ["abc123-opened", "abc123-resolved"]
    first, last = (body for _, body in receiver.got)
    assert first == {
        "type": "incident.opened",
        "data": {
            "v": 1,
            "id": "abc123",
            "site": "leeds",
            "cause": "conversion",
            "severity": "critical",
            "opened": "2026-03-02T09:30:00Z",
            "sentence": "Leeds: tills stopped.",
            "resolved": None,
        },
    }
    assert last["type"] == "incident.resolved"
    assert last["data"]["resolved"] == "2026-03-02T10:30:00Z"
    assert notifier.delivered == 4


def test_an_alert_stands_on_the_broker_until_it_is_over(bench: Bench) -> None:
    notifier = bench.start()
    bench.tell(notifier, INCIDENT)
    bench.all_delivered(1)
    bench.tell(notifier, RESOLVED)
    bench.all_delivered(2)
    (topic, alert), (again, cleared) = bench.broker.got
    assert topic == again == "passerby/v1/leeds/central/alerts/abc123"
    assert json.loads(alert)["sentence"] == "Leeds: tills stopped."
    # An empty payload takes a retained message away.
    assert cleared == b""


def test_each_notice_arrives_once_whatever_is_started_again(bench: Bench) -> None:
    receiver = bench.receiver()
    notifier = bench.start(receiver.url)
    bench.tell(notifier, INCIDENT)
    bench.tell(notifier, INCIDENT)
    bench.all_delivered(2)
    for _ in range(2):
        bench.stop(notifier)
        notifier = bench.start(receiver.url)
        notifier.add(INCIDENT)
    bench.tell(notifier, RESOLVED)
    bench.all_delivered(4)
    assert receiver.ids() == ["abc123-opened", "abc123-resolved"]
    assert len(bench.broker.got) == 2


def test_what_waited_is_sent_after_a_restart(bench: Bench) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/incidents"
    notifier = bench.start(url)
    bench.tell(notifier, INCIDENT)
    wait_until(lambda: bench.notices()[0][3] >= 2, 30, "no second attempt")
    bench.stop(notifier)
    (row, _) = bench.notices()
    assert (row[0], row[2]) == (url, "waiting")
    assert "refused" in row[4]
    receiver = bench.receiver(port=port)
    bench.start(url)
    bench.all_delivered(2)
    assert receiver.ids() == ["abc123-opened"]


def test_a_stop_before_anyone_was_told_is_made_up_for(bench: Bench) -> None:
    """The incident is in the file, the program ends, and only then would notices be written."""
    receiver = bench.receiver()
    bench.write(INCIDENT)
    notifier = bench.start(receiver.url)
    bench.all_delivered(2)
    bench.stop(notifier)
    bench.write(RESOLVED)
    notifier = bench.start(receiver.url)
    bench.all_delivered(4)
    bench.stop(notifier)
    bench.start(receiver.url)
    assert receiver.ids() == ["abc123-opened", "abc123-resolved"]
    assert len(bench.broker.got) == 2


def test_a_new_receiver_hears_of_open_incidents_only(bench: Bench) -> None:
    notifier = bench.start()
    bench.tell(notifier, INCIDENT)
    bench.tell(notifier, RESOLVED)
    bench.all_delivered(2)
    bench.stop(notifier)
    bench.write(replace(INCIDENT, id="def456"))
    receiver = bench.receiver()
    bench.start(receiver.url)
    bench.all_delivered(4)
    assert receiver.ids() == ["def456-opened"]


@pytest.mark.parametrize("answer", [500, 429, 404, 302])
def test_a_refusal_is_tried_again(bench: Bench, answer: int) -> None:
    receiver = bench.receiver(answer, answer)
    bench.tell(bench.start(receiver.url), INCIDENT)
    bench.all_delivered(2)
    assert receiver.ids() == ["abc123-opened"] * 3
    assert bench.notices()[0][3] == 3


def test_a_dead_receiver_holds_up_no_other(bench: Bench) -> None:
    dead = f"http://127.0.0.1:{free_port()}/"
    alive = bench.receiver()
    notifier = bench.start(dead, alive.url)
    for number in range(3):
        bench.tell(notifier, replace(INCIDENT, id=f"i{number}"))
    wait_until(lambda: len(alive.got) == 3 and len(bench.broker.got) == 3, 30, "held up")
    assert {row[2] for row in bench.notices() if row[0] == dead} == {"waiting"}


def test_a_notice_is_given_up_at_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "GIVE_UP_AFTER", 3)
    dead = f"http://127.0.0.1:{free_port()}/"
    bench.tell(bench.start(dead), INCIDENT)
    wait_until(lambda: bench.notices()[0][2] == "failed", 30, "not given up")
    assert bench.notices()[0][3] == 3


def test_an_end_never_overtakes_its_beginning(bench: Bench) -> None:
    """Else an alert would stand on the broker for ever."""
    bench.broker.there = False
    notifier = bench.start()
    bench.tell(notifier, INCIDENT)
    wait_until(lambda: bench.notices()[0][3] >= 3, 30, "not tried")
    bench.tell(notifier, RESOLVED)
    bench.broker.there = True
    bench.all_delivered(2)
    assert [bool(payload) for _, payload in bench.broker.got] == [True, False]


def test_a_receiver_that_breaks_the_sender_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BROKEN_SECONDS", 0.01)
    failures = [OSError("no route"), OSError("no route")]
    publish = bench.broker.publish

    def break_twice(topic: wire.Topic, payload: bytes) -> bool:
        if failures:
            raise failures.pop()
        return publish(topic, payload)

    bench.broker.publish = break_twice  # type: ignore[method-assign]
    bench.tell(bench.start(), INCIDENT)
    bench.all_delivered(1)
    assert failures == []
