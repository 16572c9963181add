"""The publisher against real brokers: Mosquitto, and amqtt, which speaks MQTT 3.1.1 only."""

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from deploy.demo import broker
from edge import wire
from edge.outbox import Outbox
from edge.publisher import Broker, Publisher
from edge.wire.session import connect
from tests.end_to_end.processes import wait_until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATUS = wire.Status(wire.VERSION, "online", "1", "c", "m")
LAYOUT = wire.Layout(wire.VERSION, "c", "Leeds", (), (), (), ())
needs_mosquitto = pytest.mark.skipif(
    broker.mosquitto() is None, reason="Mosquitto is not installed: apt-get install mosquitto"
)


@pytest.fixture(params=[pytest.param("mosquitto", marks=needs_mosquitto), "amqtt"])
def port(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    if request.param == "amqtt":
        monkeypatch.setattr(broker, "mosquitto", lambda: None)
    free = broker.free_port()
    process, _ = broker.start(tmp_path, free)
    yield free
    process.terminate()
    process.wait()


class Listener:
    """Hears everything; `latest` is the newest payload by topic."""

    def __init__(self, port: int) -> None:
        self.arrived: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.latest: dict[str, bytes] = {}
        self.batches: list[wire.Batch] = []
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "listener", protocol=MQTTProtocolVersion.MQTTv311
        )
        self.client.on_connect = lambda client, *_: client.subscribe("passerby/#", 1)
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        self.latest[message.topic] = bytes(message.payload)
        if message.topic.endswith("/events"):
            decoded = wire.decode(bytes(message.payload)).batch
            assert decoded is not None
            self.batches.append(decoded)

    def ack(self, **epochs: tuple[tuple[int, int], ...]) -> None:
        body = wire.encode(wire.Ack(wire.VERSION, epochs))
        self.client.publish("passerby/v1/leeds/door-1/ack", body, qos=1, retain=True)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listener(port: int) -> Iterator[Listener]:
    listener = Listener(port)
    yield listener
    listener.stop()


Make = Callable[..., tuple[Publisher, Outbox]]


@pytest.fixture
def make(port: int, tmp_path: Path) -> Iterator[Make]:
    made: list[tuple[Publisher, Outbox]] = []

    def build(batches: int, **options: float) -> tuple[Publisher, Outbox]:
        outbox = Outbox(tmp_path / "state", "leeds", "door-1")
        for n in range(batches):
            event = wire.Crossing("ground", "door", ("cam",), NOW, "in", f"{n:016x}")
            outbox.append([event], config="c", model="m", clock="synced")

        def health() -> wire.Health:
            return wire.Health(wire.VERSION, NOW, outbox.epochs(), {}, "synced", "1")

        publisher = Publisher(
            Broker(port=port),
            outbox,
            site="leeds",
            device="door-1",
            status=STATUS,
            layout=LAYOUT,
            health=health,
            gauges=lambda: {"till": 3},
            **options,  # type: ignore[arg-type]
        )
        made.append((publisher, outbox))
        publisher.start()
        return publisher, outbox

    yield build
    for publisher, outbox in made:
        publisher.stop()
        outbox.close()


def test_birth_layout_health_gauge_and_events(listener: Listener, make: Make) -> None:
    _, outbox = make(3)
    root = "passerby/v1/leeds/door-1"
    wait_until(lambda: len(listener.batches) == 3, 20, "three batches")
    wait_until(lambda: f"{root}/occupancy/till" in listener.latest, 10, "the gauge")
    assert msgspec.json.decode(listener.latest[f"{root}/status"], type=wire.Status) == STATUS
    assert msgspec.json.decode(listener.latest[f"{root}/layout"], type=wire.Layout) == LAYOUT
    health = msgspec.json.decode(listener.latest[f"{root}/health"], type=wire.Health)
    assert health.epochs == {outbox.epoch: 3}
    assert [batch.first for batch in listener.batches] == [0, 1, 2]


def test_what_is_acknowledged_is_not_sent_again_and_the_rest_is(
    listener: Listener, make: Make
) -> None:
    publisher, outbox = make(3, resend_seconds=1.0)
    wait_until(lambda: len(listener.batches) == 3, 20, "three batches")
    listener.ack(**{outbox.epoch: ((0, 1),)})
    wait_until(lambda: len(listener.batches) >= 5, 20, "the third again, and again")
    assert {batch.first for batch in listener.batches[3:]} == {2}
    assert not publisher.drained(0.1)
    listener.ack(**{outbox.epoch: ((0, 2),)})
    assert publisher.drained(20)


def test_a_batch_that_others_overtook_is_sent_again_while_they_progress(
    listener: Listener, make: Make
) -> None:
    _, outbox = make(40, outstanding=4, resend_seconds=30.0)
    wait_until(lambda: len(listener.batches) == 4, 20, "four batches")
    # The first three never arrive at central; the fourth does, and so does all that follows.
    held = 3

    def answered() -> bool:
        nonlocal held
        held = max(held, *(batch.first for batch in listener.batches))
        listener.ack(**{outbox.epoch: ((3, held),)})
        return [batch.first for batch in listener.batches].count(0) > 1

    wait_until(answered, 20, "the first batch again")


def test_only_so_many_batches_are_on_their_way(listener: Listener, make: Make) -> None:
    _, outbox = make(30, outstanding=10)
    wait_until(lambda: len(listener.batches) == 10, 20, "ten batches")
    assert not threading.Event().wait(0.5)
    assert len(listener.batches) == 10
    listener.ack(**{outbox.epoch: ((0, 4),)})
    wait_until(lambda: len(listener.batches) == 15, 20, "five more")


def test_a_stop_says_offline(listener: Listener, make: Make, port: int) -> None:
    publisher, _ = make(0)
    topic = "passerby/v1/leeds/door-1/status"
    wait_until(lambda: topic in listener.latest, 20, "the birth")
    publisher.stop()
    wait_until(lambda: b"offline" in listener.latest[topic], 20, "offline")


def test_a_port_where_nobody_listens_is_said(tmp_path: Path) -> None:
    port = broker.free_port()
    with pytest.raises(ConnectionError, match=str(port)):
        connect("127.0.0.1", port, "test", lambda client: None)


def test_a_server_that_never_answers_is_given_up_after_both_versions() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ConnectionError, match="no CONNACK"):
            connect("127.0.0.1", port, "test", lambda client: None, patience=0.2)
