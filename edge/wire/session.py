"""How both sides connect to the broker."""

import queue
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


def connect(
    host: str,
    port: int,
    client_id: str,
    prepare: Callable[[mqtt.Client], None],
    *,
    patience: float = 3.0,
) -> mqtt.Client:
    """A connected client whose network loop runs in a thread of its own.

    Both sides connect alike: no session is kept by the broker; MQTT 5 is tried first, then 3.1.1
    where no CONNACK comes within `patience` seconds. `prepare` sets callbacks, will and
    credentials. A lost connection is not taken up again by itself: the caller connects anew.

    Raises ConnectionError with what the broker, or the network, said.
    """
    refusal = ""
    for protocol in (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311):
        client, refusal = _attempt(host, port, client_id, prepare, protocol, patience)
        if not refusal:
            return client
        client.disconnect()
        client.loop_stop()
    raise ConnectionError(f"{host}:{port}: {refusal}")


def _attempt(
    host: str,
    port: int,
    client_id: str,
    prepare: Callable[[mqtt.Client], None],
    protocol: MQTTProtocolVersion,
    patience: float,
) -> tuple[mqtt.Client, str]:
    newest = protocol == MQTTProtocolVersion.MQTTv5
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=None if newest else True,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    prepare(client)
    answer: queue.SimpleQueue[str] = queue.SimpleQueue()
    prepared = client.on_connect

    def on_connect(
        client: mqtt.Client,
        userdata: Any,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if prepared and not reason.is_failure:
            prepared(client, userdata, flags, reason, properties)  # type: ignore[call-arg, arg-type]
        answer.put(str(reason) if reason.is_failure else "")

    client.on_connect = on_connect
    try:
        client.connect(
            host,
            port,
            keepalive=30,
            clean_start=True if newest else mqtt.MQTT_CLEAN_START_FIRST_ONLY,
        )
    except (OSError, ValueError) as error:
        raise ConnectionError(f"{host}:{port}: {error}") from error
    client.loop_start()
    try:
        return client, answer.get(timeout=patience)
    except queue.Empty:
        return client, f"no CONNACK within {patience:g} s"
