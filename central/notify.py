"""Notices: each incident to each receiver once, retried until it arrives.

What is to be sent stands in the file before it is sent; (incident, receiver, event) is its
identity, and goes along as `webhook-id`, so that a receiver can tell a repetition.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from central.config import Config, Webhook
from central.life import Incident
from central.store import Store, utc
from edge import wire

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = 40
BROKEN_SECONDS = 5.0
MQTT_RECEIVER = "mqtt"

Publish = Callable[[wire.Topic, bytes], bool]
Send = Callable[[wire.Alert, str], str]
"""Sends an alert and its event; says what went wrong, or nothing."""


class Notifier:
    """One thread a receiver, so that a dead one slows no other."""

    def __init__(self, store: Store, config: Config, publish: Publish) -> None:
        self._store, self._publish = store, publish
        self._wake = threading.Condition()
        self._stop = threading.Event()
        self.delivered = 0
        self._senders: dict[str, Send] = {MQTT_RECEIVER: self._to_mqtt}
        for webhook in config.webhooks:
            self._senders[webhook.url] = _poster(webhook)
        self._threads = [
            threading.Thread(target=self._run, args=(receiver,), name="notify", daemon=True)
            for receiver in self._senders
        ]

    def start(self) -> None:
        """Begin to send, first of all what waited when the program last stopped."""
        self._add_forgotten()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what was not delivered waits in the file."""
        self._stop.set()
        with self._wake:
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def add(self, incident: Incident) -> None:
        """Send the opening or the end of an incident that is told, to every receiver."""
        event = "resolved" if incident.resolved else "opened"
        with self._store.write() as cursor:
            cursor.executemany(
                "insert or ignore into notice values (?, ?, ?, ?, 'waiting', 0, ?, '')",
                [
                    (incident.id, receiver, event, incident.sentence, utc(datetime.now(UTC)))
                    for receiver in self._senders
                ],
            )
        with self._wake:
            self._wake.notify_all()

    def _add_forgotten(self) -> None:
        """What changed just before the program last stopped, too late to become a notice."""
        receivers = list(self._senders)
        now = utc(datetime.now(UTC))
        with self._store.write() as cursor:
            cursor.execute(
                "insert or ignore into notice"
                " select id, unnest(?::varchar[]), 'opened', sentence, 'waiting', 0, ?, ''"
                " from incident where resolved is null and pushed is not null",
                [receivers, now],
            )
            cursor.execute(
                "insert or ignore into notice"
                " select id, receiver, 'resolved', i.sentence, 'waiting', 0, ?, ''"
                " from incident i join notice n on n.incident = i.id and n.event = 'opened'"
                " where i.resolved is not null and list_contains(?, receiver)",
                [now, receivers],
            )

    def _run(self, receiver: str) -> None:
        while not self._stop.is_set():
            try:
                sent = self._send_next(receiver)
            except Exception:
                log.exception("the notices to %s have to wait", receiver)
                self._stop.wait(BROKEN_SECONDS)
                continue
            if not sent:
                with self._wake:
                    self._wake.wait(1.0)

    def _send_next(self, receiver: str) -> bool:
        row = (
            self._store.central()
            .execute(
                # An end never overtakes its beginning: it would stay open at the receiver.
                "select incident, event, attempts from notice n where receiver = ?"
                " and status = 'waiting' and next_try <= ? and not (event = 'resolved'"
                " and exists (select 1 from notice o where o.incident = n.incident"
                " and o.receiver = n.receiver and o.event = 'opened' and o.status = 'waiting'))"
                " order by next_try limit 1",
                [receiver, utc(datetime.now(UTC))],
            )
            .fetchone()
        )
        if row is None:
            return False
        incident, event, attempts = row
        problem = self._senders[receiver](self._alert(incident, event), event)
        attempts += 1
        status = "waiting" if problem else "delivered"
        if problem and attempts >= GIVE_UP_AFTER:
            status = "failed"
        pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
        with self._store.write() as cursor:
            cursor.execute(
                "update notice set status = ?, attempts = ?, next_try = ?, detail = ?"
                " where incident = ? and receiver = ? and event = ?",
                [
                    status,
                    attempts,
                    utc(datetime.now(UTC) + pause),
                    problem,
                    incident,
                    receiver,
                    event,
                ],
            )
        if problem:
            log.warning(
                "notice of %s to %s: %s (attempt %d)", incident, receiver, problem, attempts
            )
        else:
            self.delivered += 1
        return True

    def _alert(self, incident: str, event: str) -> wire.Alert:
        row = (
            self._store.central()
            .execute(
                "select i.site, i.cause, i.severity, i.opened, i.resolved, n.sentence"
                " from incident i join notice n on n.incident = i.id where i.id = ?"
                " and n.event = ? limit 1",
                [incident, event],
            )
            .fetchone()
        )
        if row is None:
            raise LookupError(f"no incident {incident}")
        site, cause, severity, opened, resolved, sentence = row
        return wire.Alert(
            v=wire.VERSION,
            id=incident,
            site=site,
            cause=cause,
            severity=severity,
            opened=opened.replace(tzinfo=UTC),
            sentence=sentence,
            resolved=resolved.replace(tzinfo=UTC) if resolved else None,
        )

    def _to_mqtt(self, alert: wire.Alert, event: str) -> str:
        topic = wire.Topic(alert.site, wire.CENTRAL, "alerts", alert.id)
        payload = b"" if event == "resolved" else wire.encode(alert)
        return "" if self._publish(topic, payload) else "no broker"


def _poster(webhook: Webhook) -> Send:
    client = httpx.Client(timeout=5.0, trust_env=False)

    def post(alert: wire.Alert, event: str) -> str:
        headers = {"content-type": "application/json", "webhook-id": f"{alert.id}-{event}"}
        content = wire.encode({"type": f"incident.{event}", "data": alert})
        try:
            answer = client.post(webhook.url, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return str(error) or type(error).__name__
        return "" if answer.is_success else f"answered {answer.status_code}"

    return post
