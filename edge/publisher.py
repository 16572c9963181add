"""The publisher: outbox, layout and health to MQTT; central's acknowledgement back."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import paho.mqtt.client as mqtt

from edge import wire
from edge.outbox import Outbox, OutboxError
from edge.wire.session import connect

log = logging.getLogger(__name__)

_ack = msgspec.json.Decoder(wire.Ack)


@dataclass(frozen=True)
class Broker:
    """Where the broker is and how to log in."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False


class Publisher:
    """Sends what waits in the outbox until central has it.

    At most `outstanding` batches are on their way at once. They are sent again after
    `resend_seconds` without any progress, since a broker may have dropped them, and a batch that
    others have overtaken after a tenth of that. `health` and `gauges` (people per zone) are called
    from the publisher's thread.
    """

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        *,
        site: str,
        device: str,
        status: wire.Status,
        layout: wire.Layout,
        health: Callable[[], wire.Health],
        gauges: Callable[[], dict[str, int]] = dict,
        outstanding: int = 200,
        resend_seconds: float = 60.0,
        health_seconds: float = 60.0,
    ) -> None:
        self._broker, self._outbox = broker, outbox
        self._site, self._device = site, device
        self._status, self._layout = status, layout
        self._health, self._gauges = health, gauges
        self._limit = outstanding
        self._resend_seconds, self._health_seconds = resend_seconds, health_seconds
        self._client: mqtt.Client | None = None
        self._outstanding: dict[int, float] = {}
        self._progress = 0.0
        self._health_next = 0.0
        self._shown: dict[str, int] = {}
        self._health_due = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin to connect and publish, in a thread."""
        self._thread.start()

    def report(self) -> None:
        """Publish health soon: something changed."""
        self._health_due.set()

    def drained(self, seconds: float) -> bool:
        """Wait until central has acknowledged everything; False after `seconds`."""
        deadline = time.monotonic() + seconds
        while self._outbox.waiting(1):
            if time.monotonic() > deadline:
                return False
            self.report()
            time.sleep(0.1)
        return True

    def stop(self) -> None:
        """Say `offline` and leave. What waits stays in the outbox."""
        self._stop.set()
        self._thread.join()
        client, self._client = self._client, None
        if client is None:
            return
        client.publish(self._topic("health"), wire.encode(self._health()), qos=1)
        offline = msgspec.structs.replace(self._status, state="offline")
        last = client.publish(self._topic("status"), wire.encode(offline), qos=1, retain=True)
        try:
            last.wait_for_publish(timeout=2)
        except (RuntimeError, ValueError):
            log.warning("the broker went away before this device could say that it stops")
        client.disconnect()
        client.loop_stop()

    def _topic(self, kind: str, name: str = "") -> str:
        return str(wire.Topic(self._site, self._device, kind, name))

    def _run(self) -> None:
        pause = 0.5
        while not self._stop.is_set():
            if self._client is None or not self._client.is_connected():
                try:
                    self._connect()
                    pause = 0.5
                except ConnectionError as error:
                    log.warning("no broker at %s; trying again", error)
                    self._stop.wait(pause * random.uniform(0.5, 1.5))
                    pause = min(pause * 2, 30.0)
                    continue
            try:
                self._pump()
            except Exception:
                # Whatever it was: a device that no longer publishes, and runs on, is worse.
                log.exception("nothing was published this time; trying again")
                self._stop.wait(5.0)
            self._stop.wait(0.1)

    def _connect(self) -> None:
        if self._client is not None:
            self._client.loop_stop()
            self._client = None
        name = f"passerby-{self._site}-{self._device}"
        self._client = connect(self._broker.host, self._broker.port, name, self._prepare)
        self._outstanding.clear()
        self._shown.clear()
        self._send(self._topic("status"), wire.encode(self._status), retain=True)
        self._send(self._topic("layout"), wire.encode(self._layout), retain=True)
        self._health_due.set()
        self._health_next = 0.0
        log.info("connected to the broker at %s:%d", self._broker.host, self._broker.port)

    def _prepare(self, client: mqtt.Client) -> None:
        offline = msgspec.structs.replace(self._status, state="offline")
        client.will_set(self._topic("status"), wire.encode(offline), qos=1, retain=True)
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set()
        client.on_connect = lambda client, *_: client.subscribe(self._topic("ack"), qos=1)
        client.on_message = self._on_message

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic != self._topic("ack"):
            return  # amqtt hands every retained message to every new subscriber
        try:
            ack = _ack.decode(message.payload)
        except msgspec.MsgspecError as error:
            log.warning("an acknowledgement that cannot be read is ignored: %s", error)
            return
        try:
            self._outbox.acknowledge(ack)
        except OutboxError as error:
            log.error("an acknowledgement is not kept, and will come again: %s", error)

    def _send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self._client is not None:
            self._client.publish(topic, payload, qos=1, retain=retain)

    def _forget_what_is_lost(self, now: float) -> None:
        """Take off the outstanding batches what is acknowledged, and what must be sent again."""
        still = self._outbox.still_waiting(self._outstanding)
        acknowledged = [sent for batch, sent in self._outstanding.items() if batch not in still]
        self._outstanding = {batch: self._outstanding[batch] for batch in sorted(still)}
        if acknowledged or not still:
            self._progress = now
        if now - self._progress > self._resend_seconds:
            log.warning("no acknowledgement for %g s: sending again", self._resend_seconds)
            self._outstanding.clear()
            self._progress = now
        # MQTT keeps the order: what was sent before a batch that has arrived, and has not arrived
        # itself, is lost. Left outstanding it would hold its place for as long as others progress.
        newest = max(acknowledged, default=0.0)
        patience = self._resend_seconds / 10
        for batch, sent in list(self._outstanding.items()):
            if sent < newest and now - sent > patience:
                del self._outstanding[batch]

    def _pump(self) -> None:
        now = time.monotonic()
        self._forget_what_is_lost(now)
        if self._health_due.is_set() or now >= self._health_next:
            self._health_due.clear()
            self._health_next = now + self._health_seconds
            self._send(self._topic("health"), wire.encode(self._health()))
        for identity in self._outbox.waiting(self._limit):
            if identity in self._outstanding or len(self._outstanding) >= self._limit:
                continue
            payload = self._outbox.payload(identity)
            if payload is not None:
                self._send(self._topic("events"), payload)
                self._outstanding[identity] = now
        for zone, count in self._gauges().items():
            if self._shown.get(zone) != count:
                gauge = wire.Gauge(wire.VERSION, datetime.now(UTC), count)
                self._send(self._topic("occupancy", zone), wire.encode(gauge), retain=True)
                self._shown[zone] = count
