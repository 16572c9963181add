"""MQTT intake: messages from the broker, acknowledgements to it.

A bounded queue stands between the network and the database: when it is full the network thread
waits, and so does the broker. Whatever the broker forgets meanwhile, the outboxes send again. The
network thread decodes: while the database works, which needs no Python, so can it.
"""

import logging
import queue
import threading
import time

import paho.mqtt.client as mqtt

from central.config import Broker
from central.intake.commit import Message
from central.intake.events import Intake, read
from edge import wire
from edge.wire.session import connect

log = logging.getLogger(__name__)

MESSAGES_PER_COMMIT = 200
QUEUE_MESSAGES = 400
GATHER_SECONDS = 0.1
"""A commit waits so long for more messages: what it costs hardly depends on how many there are."""
RETRY_SECONDS = 5.0
_TOPICS = [(f"{wire.ROOT}/+/+/{kind}", 1) for kind in ("events", "status", "layout", "health")]
_TOPICS.append((f"{wire.ROOT}/+/+/occupancy/+", 1))


class Subscriber:
    """Follows the broker in two threads: one connects and commits, paho's own reads."""

    def __init__(self, broker: Broker, intake: Intake) -> None:
        self._broker, self._intake = broker, intake
        self._queue: queue.Queue[Message] = queue.Queue(QUEUE_MESSAGES)
        self._client: mqtt.Client | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begin to connect and to take in."""
        self._thread.start()

    def stop(self) -> None:
        """Take in what has arrived, then leave."""
        self._stop.set()
        self._thread.join()
        self._hang_up()

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        client = self._client
        return client is not None and client.is_connected()

    def waiting(self) -> int:
        """Messages that have arrived and are not committed."""
        return self._queue.qsize()

    def publish(self, topic: wire.Topic, payload: bytes) -> bool:
        """Publish, retained; False without a broker."""
        client = self._client
        if client is None or not client.is_connected():
            return False
        sent = client.publish(str(topic), payload, qos=1, retain=True)
        return sent.rc == mqtt.MQTT_ERR_SUCCESS

    def _run(self) -> None:
        pause = 0.5
        while not (self._stop.is_set() and self._queue.empty()):
            if not self.connected and not self._stop.is_set():
                try:
                    self._connect()
                    pause = 0.5
                except ConnectionError as error:
                    log.warning("no broker at %s; trying again", error)
                    self._stop.wait(pause)
                    pause = min(pause * 2, 10.0)
            self._take()

    def _connect(self) -> None:
        self._hang_up()
        name = f"passerby-central-{time.time_ns():x}"
        self._client = connect(self._broker.host, self._broker.port, name, self._prepare)
        log.info("connected to the broker at %s:%d", self._broker.host, self._broker.port)
        for device in list(self._intake.health):
            self._acknowledge(*device)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _prepare(self, client: mqtt.Client) -> None:
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set()
        client.on_connect = lambda client, *_: client.subscribe(_TOPICS)
        client.on_message = self._on_message

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        arrived = read(message.topic, bytes(message.payload))
        while not self._stop.is_set():
            try:
                self._queue.put(arrived, timeout=1.0)
                break
            except queue.Full:
                continue

    def _take(self) -> None:
        messages: list[Message] = []
        try:
            messages.append(self._queue.get(timeout=0.2))
            until = time.monotonic() + GATHER_SECONDS
            while len(messages) < MESSAGES_PER_COMMIT:
                messages.append(self._queue.get(timeout=max(until - time.monotonic(), 0.0)))
        except queue.Empty:
            pass
        while messages:
            try:
                due = self._intake.take(messages)
                break
            except Exception:
                log.exception("nothing can be stored; the devices keep what they have")
                if self._stop.wait(RETRY_SECONDS):
                    return
        else:
            return
        for device in due:
            self._acknowledge(*device)

    def _acknowledge(self, site: str, device: str) -> None:
        ack = wire.encode(self._intake.ack((site, device)))
        self.publish(wire.Topic(site, device, "ack"), ack)
