"""The subscriber with a real broker, which goes away and comes back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from central.config import Broker
from central.intake.commit import Message
from central.intake.events import Intake
from central.intake.mqtt import Subscriber
from central.store import Store
from deploy.demo import broker
from edge import wire
from edge.wire.session import connect
from tests.central import device
from tests.central.device import DEVICE, EPOCH, MONDAY, SITE, batch, event, health
from tests.end_to_end.processes import wait_until

EVENTS = [event(number) for number in range(3)]
ACK = f"{wire.ROOT}/{SITE}/{DEVICE}/ack"


class Wire:
    """A broker without memory, and a device's end of the line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = broker.free_port()
        self.got: dict[str, bytes] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._client: mqtt.Client | None = None

    def start(self) -> None:
        self._process, _ = broker.start(self._folder, self.port)

    def connect(self) -> None:
        def prepare(client: mqtt.Client) -> None:
            client.on_connect = lambda client, *_: client.subscribe(f"{wire.ROOT}/#", 1)
            client.on_message = lambda _, __, message: self.got.update(
                {message.topic: bytes(message.payload)}
            )

        self.hang_up()
        self._client = connect("127.0.0.1", self.port, "device", prepare)

    def send(self, message: Message) -> None:
        assert self._client is not None
        self._client.publish(message.topic, message.payload, qos=1).wait_for_publish(10)

    def hang_up(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def stop(self) -> None:
        self.hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ack(self) -> object:
        payload = self.got.get(ACK)
        return payload and wire.encode(wire.Ack(1, {EPOCH: ((0, 2),)})) == payload


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Wire]:
    found = Wire(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store)


@pytest.fixture
def subscriber(line: Wire, intake: Intake) -> Iterator[Subscriber]:
    found = Subscriber(Broker(port=line.port), intake)
    found.start()
    yield found
    found.stop()
    assert not found.connected


def test_what_is_published_is_kept_and_acknowledged(
    line: Wire, subscriber: Subscriber, store: Store
) -> None:
    assert not subscriber.publish(wire.Topic(SITE, "central", "alerts", "a"), b"early")
    line.start()
    line.connect()
    wait_until(lambda: subscriber.connected, 30, "not connected")
    line.send(batch(0, EVENTS))
    wait_until(line.ack, 30, "no acknowledgement")
    assert device.numbers(store) == [0, 1, 2]
    assert subscriber.publish(wire.Topic(SITE, "central", "alerts", "a"), b"now")
    wait_until(lambda: line.got.get(f"{wire.ROOT}/{SITE}/central/alerts/a"), 30, "no alert")
    assert subscriber.waiting() == 0


def test_acknowledgements_are_said_again_to_a_broker_that_forgot(
    line: Wire, subscriber: Subscriber
) -> None:
    line.start()
    line.connect()
    wait_until(lambda: subscriber.connected, 30, "not connected")
    line.send(health({EPOCH: 3}, {"door": MONDAY}))
    line.send(batch(0, EVENTS))
    wait_until(line.ack, 30, "no acknowledgement")
    line.stop()
    wait_until(lambda: not subscriber.connected, 30, "still connected")
    line.got.clear()
    line.start()
    line.connect()
    wait_until(line.ack, 60, "no acknowledgement after the broker came back")


def test_a_store_that_takes_nothing_for_a_while_is_tried_again(
    line: Wire, subscriber: Subscriber, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.intake.mqtt.RETRY_SECONDS", 0.05)
    failures, take = [OSError("disk full"), OSError("disk full")], intake.take

    def refuse_twice(messages: list[Message]) -> set[tuple[str, str]]:
        if failures:
            raise failures.pop()
        return take(messages)

    monkeypatch.setattr(intake, "take", refuse_twice)
    line.start()
    line.connect()
    wait_until(lambda: subscriber.connected, 30, "not connected")
    line.send(batch(0, EVENTS))
    wait_until(line.ack, 30, "no acknowledgement")
    assert failures == []
