"""The obvious script: one message an event, json, SQLite.

    python -m tests.bench.intake_peer PORT FILE [--every N]

It commits after every message, as a PUBACK is to say that the event is kept, or after every N.
"""

import argparse
import json
import sqlite3

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    """Take in until killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intake_peer")
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    options = parser.parse_args()
    database = sqlite3.connect(options.file)
    database.execute("pragma journal_mode = wal")
    database.execute("create table event (site, device, number, type, time, body)")
    taken = 0

    def on_message(client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        nonlocal taken
        _, site, device, number = message.topic.split("/")
        event = json.loads(message.payload)
        time = event.get("time") or event.get("exited") or event["start"]
        row = (site, device, int(number), event["type"], time, message.payload)
        database.execute("insert into event values (?, ?, ?, ?, ?, ?)", row)
        taken += 1
        if taken % options.every == 0:
            database.commit()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("events/#", qos=1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.on_message = on_message
    client.connect("127.0.0.1", options.port)
    client.loop_forever()


if __name__ == "__main__":
    main()
