"""A device without cameras: seeded events through the real outbox and the real publisher.

Usage: feeder.py PORT STATE BATCHES [options]. Event n has n as its track, so that each can be told
from all others whatever epoch it is sent in. One half is numbered before anything is sent, the
other half meanwhile (`--later`: as far as a file STATE/go says, to the end where it is empty).
After a kill it goes on with the event after the last one on disk.
"""

import argparse
import json
import random
import signal
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from edge import wire
from edge.outbox import Outbox
from edge.publisher import Broker, Publisher

SITE, DEVICE, CAMERA, LINE = "leeds", "door-1", "door", "entrance"
LAYOUT = wire.Layout(
    v=wire.VERSION,
    config="c0ffee",
    name="Leeds, door",
    floors=(wire.Floor("ground", "Ground", "metre", ((0, 0), (9, 0), (9, 9))),),
    lines=(wire.Line(LINE, "ground", "Entrance", "entrance", (CAMERA,), ((0, 0), (3, 0))),),
    zones=(),
    cameras=(wire.Camera(CAMERA, "ground", "Door"),),
)


def event(number: int, start: datetime) -> wire.Crossing:
    """Event `number`: everything about it follows from its number."""
    chance = random.Random(number)
    return wire.Crossing(
        floor="ground",
        line=LINE,
        cameras=(CAMERA,),
        time=start + timedelta(seconds=chance.randrange(3600)),
        direction=chance.choice(("in", "out")),
        track=f"{number:016x}",
        staff=chance.random() < 0.1,
    )


def covered(start: datetime) -> list[wire.Event]:
    """Four quarters of an hour in which the camera saw everything."""
    minute = timedelta(minutes=1)
    return [
        wire.Coverage(CAMERA, start + n * minute, start + (n + 1) * minute, 600, 600, "ok")
        for n in range(60)
    ]


def on_disk(state: Path) -> tuple[int, bool]:
    """How many events are on disk already, and whether the coverage that comes last is, too."""
    path = state / "outbox.sqlite"
    if not path.exists():
        return 0, False
    with sqlite3.connect(path) as database:
        batches = database.execute("select events from batch").fetchall()
    database.close()
    bodies = [body for (events,) in batches for body in msgspec.json.decode(events)]
    tracks = [int(body["track"], 16) for body in bodies if body["type"] == "crossing"]
    return max(tracks, default=-1) + 1, any(body["type"] == "coverage" for body in bodies)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("state", type=Path)
    parser.add_argument("batches", type=int)
    parser.add_argument("--per-batch", type=int, default=5)
    parser.add_argument("--start", type=datetime.fromisoformat, default=None)
    parser.add_argument("--later", action="store_true")
    parser.add_argument("--resend", type=float, default=2.0)
    options = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = options.start or now - timedelta(hours=1)
    done, seen = on_disk(options.state)
    outbox = Outbox(options.state, SITE, DEVICE)
    through = start + timedelta(hours=1) if seen else start

    def health() -> wire.Health:
        camera = wire.CameraHealth(through, "ok", 0, 10.0, 0)
        return wire.Health(
            wire.VERSION, datetime.now(UTC), outbox.epochs(), {CAMERA: camera}, "synced", "test"
        )

    publisher = Publisher(
        Broker(port=options.port),
        outbox,
        site=SITE,
        device=DEVICE,
        status=wire.Status(wire.VERSION, "online"),
        layout=LAYOUT,
        health=health,
        resend_seconds=options.resend,
        health_seconds=1.0,
    )
    total: int = options.batches * options.per_batch
    half = total // 2

    def number(goal: int) -> None:
        nonlocal done
        while done < goal and not stop.is_set():
            count = min(options.per_batch, goal - done)
            events: list[wire.Event] = [event(n, start) for n in range(done, done + count)]
            outbox.append(events, config="c0ffee", model="", clock="synced")
            done += count

    def allowed() -> int:
        go = options.state / "go"
        if not options.later:
            return total
        return min(int(go.read_text() or total), total) if go.exists() else half

    number(half)
    publisher.start()
    while not stop.is_set():
        number(min(done + 200 * options.per_batch, allowed()))
        if done == total and through == start:
            outbox.append(covered(start), config="c0ffee", model="", clock="synced")
            through = start + timedelta(hours=1)
        waiting = len(outbox.waiting(1_000_000))
        print(json.dumps({"waiting": waiting, "numbered": done}), flush=True)
        stop.wait(0.02)
    publisher.stop()
    outbox.close()


if __name__ == "__main__":
    main()
