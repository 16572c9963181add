"""Devices without cameras, for `tests.bench.intake`: outboxes that are made up as they are sent.

Event n of a device is event n mod len(POOL) of one pool, so that everything about each event in the
store can be told from its number. The publisher is the agent's own, with its rules: at most 200
batches outstanding, and sent again when they are lost.
"""

import random
import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing.connection import Connection
from typing import Literal, cast

from edge import wire
from edge.outbox import Outbox
from edge.publisher import Broker, Publisher

POOL = 60_000
FLOOR, LINE, CAMERA = "ground", "entrance", "door"
ZONES: dict[str, wire.ZoneRole] = {"shelf": "display", "queue": "queue", "till": "service"}
_HEADROOM = 1024


@cache
def pool(start: datetime) -> tuple[wire.Event, ...]:
    """What a busy shop says of the two hours from `start`, all six types, in no order.

    Of 100 events 30 are crossings, 30 visits, 10 paths, 15 occupancies, 5 queues, 10 coverages.
    """
    chance = random.Random(0)
    makers = [_crossing] * 30 + [_visit] * 30 + [_path] * 10
    makers += [_occupancy] * 15 + [_queue] * 5 + [_coverage] * 10
    return tuple(
        chance.choice(makers)(chance, start + timedelta(seconds=chance.randrange(7200)))
        for _ in range(POOL)
    )


def _track(chance: random.Random) -> str:
    return f"{chance.getrandbits(64):016x}"


def _zone(chance: random.Random) -> str:
    return chance.choice(list(ZONES))


def _crossing(chance: random.Random, time: datetime) -> wire.Event:
    direction: Literal["in", "out"] = "in" if chance.random() < 0.5 else "out"
    staff = chance.random() < 0.1
    return wire.Crossing(FLOOR, LINE, (CAMERA,), time, direction, _track(chance), staff)


def _visit(chance: random.Random, time: datetime) -> wire.Event:
    dwell = float(chance.randrange(5, 300))
    exited = time + timedelta(seconds=dwell)
    ended = chance.choice((*("left",) * 8, "lost", "occluded"))
    place = FLOOR, _zone(chance), (CAMERA,), _track(chance)
    return wire.Visit(*place, time, exited, dwell, chance.randrange(1, 4), cast(wire.Ended, ended))


def _path(chance: random.Random, time: datetime) -> wire.Event:
    points = [(15.0 * n, chance.randrange(80) / 4, chance.randrange(48) / 4) for n in range(10)]
    minute = time.replace(second=0)
    zones = (_zone(chance), _zone(chance))
    return wire.Path(FLOOR, (CAMERA,), _track(chance), minute, 135.0, 31.5, tuple(points), zones)


def _occupancy(chance: random.Random, time: datetime) -> wire.Event:
    most, stop = chance.randrange(1, 20), time + timedelta(minutes=1)
    return wire.Occupancy(FLOOR, _zone(chance), time, stop, 0, round(most / 3, 2), most)


def _queue(chance: random.Random, time: datetime) -> wire.Event:
    waits = tuple(chance.randrange(3) for _ in range(len(wire.WAIT_EDGES) + 1))
    stop, served = time + timedelta(minutes=1), sum(waits)
    return wire.Queue(FLOOR, "queue", time, stop, 1.5, 4, served + 3, served, 2, 1, 0, waits)


def _coverage(chance: random.Random, time: datetime) -> wire.Event:
    stop = time + timedelta(minutes=1)
    return wire.Coverage(CAMERA, time, stop, chance.randrange(550, 601), 600, "ok")


@dataclass(frozen=True)
class Bodies:
    """The pool as bodies of batches: `first[i]` is the place of the i-th one's first event."""

    first: list[int]
    count: list[int]
    events: list[bytes]


@cache
def bodies(start: datetime) -> Bodies:
    """The pool, encoded, in batches that are as large as the contract allows."""
    first, count, events = [0], [0], [b""]
    for place, event in enumerate(pool(start)):
        body = wire.encode(event)
        size = len(events[-1]) + len(body) + 1
        if count[-1] == wire.MAX_EVENTS or size > wire.MAX_BYTES - _HEADROOM:
            first.append(place)
            count.append(0)
            events.append(b"")
        events[-1] += b"," * (count[-1] > 0) + body
        count[-1] += 1
    return Bodies(first, count, events)


class GeneratedOutbox:
    """What the publisher asks of an outbox, for `batches` batches of one epoch, or without end.

    Batches are made up when they are sent; those without end have a number when they are.
    """

    def __init__(self, site: str, device: str, start: datetime, batches: int | None) -> None:
        self.epoch = f"{random.Random(site + device).getrandbits(64):016x}"
        self._head = {"v": wire.VERSION, "site": site, "device": device, "epoch": self.epoch}
        self._bodies = bodies(start)
        self._lock = threading.Lock()
        self._end = batches
        self._following = batches or 0
        self._low = 0
        self._beyond: set[int] = set()

    def first(self, batch: int) -> int:
        """The sequence number of a batch's first event."""
        rounds, place = divmod(batch, len(self._bodies.first))
        return rounds * POOL + self._bodies.first[place]

    def finish(self) -> None:
        """Nothing new from now on."""
        with self._lock:
            self._end = self._following

    @property
    def numbered(self) -> int:
        """Events that have a sequence number."""
        return self.first(self._following)

    @property
    def drained(self) -> bool:
        """Whether everything that has a number is acknowledged, and nothing is to come."""
        return self._end is not None and self._low >= self._end

    def waiting(self, limit: int) -> list[int]:
        """The oldest batches that are not acknowledged."""
        with self._lock:
            found: list[int] = []
            batch = self._low
            while len(found) < limit and (self._end is None or batch < self._end):
                if batch not in self._beyond:
                    found.append(batch)
                batch += 1
            return found

    def still_waiting(self, batches: Iterable[int]) -> set[int]:
        """Those that are not acknowledged."""
        with self._lock:
            return {each for each in batches if each >= self._low and each not in self._beyond}

    def payload(self, batch: int) -> bytes:
        """A batch as it is published."""
        place = batch % len(self._bodies.first)
        with self._lock:
            if self._end is None:
                self._following = max(self._following, batch + 1)
        head = {
            **self._head,
            "first": self.first(batch),
            "count": self._bodies.count[place],
            "sent": datetime.now(UTC),
            "config": "c0ffee",
            "model": "",
            "clock": "synced",
        }
        return wire.encode(head)[:-1] + b',"events":[' + self._bodies.events[place] + b"]}"

    def acknowledge(self, ack: wire.Ack) -> None:
        """Take off what central has."""
        with self._lock:
            for first, last in ack.epochs.get(self.epoch, ()):
                batch = max(self._low, self._place(first))
                while self.first(batch + 1) - 1 <= last:
                    self._beyond.add(batch)
                    batch += 1
            while self._low in self._beyond:
                self._beyond.remove(self._low)
                self._low += 1

    def _place(self, number: int) -> int:
        """The first batch that starts at `number` or after it."""
        rounds, place = divmod(number, POOL)
        return rounds * len(self._bodies.first) + bisect_left(self._bodies.first, place)

    def epochs(self) -> dict[str, int]:
        """The next sequence number."""
        return {self.epoch: self.numbered}


def layout(device: str) -> wire.Layout:
    """One line and three zones, which the device owns."""
    corners = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))
    return wire.Layout(
        v=wire.VERSION,
        config="c0ffee",
        name=device,
        floors=(wire.Floor(FLOOR, "Ground", "metre", corners),),
        lines=(wire.Line(LINE, FLOOR, "Entrance", "entrance", (CAMERA,), corners[:2]),),
        zones=tuple(
            wire.Zone(zone, FLOOR, zone, role, (CAMERA,), corners) for zone, role in ZONES.items()
        ),
        cameras=(wire.Camera(CAMERA, FLOOR, "Door"),),
    )


def feed(
    port: int,
    devices: Sequence[tuple[str, str]],
    start: datetime,
    batches: int | None,
    parent: Connection,
) -> None:
    """Publish as these devices (site, device), to be run in a process of its own.

    Says "ready" when the pool is made and begins when it is told anything. Without a number of
    batches it goes on until it is told anything again. At the end, when all is acknowledged, it
    says how many events each (site, device, epoch) has numbered.
    """
    outboxes = {key: GeneratedOutbox(*key, start, batches) for key in devices}
    publishers = [_publisher(port, *key, outbox) for key, outbox in outboxes.items()]
    parent.send("ready")
    parent.recv()
    for publisher in publishers:
        publisher.start()
    if batches is None:
        parent.recv()
        for outbox in outboxes.values():
            outbox.finish()
    while not all(outbox.drained for outbox in outboxes.values()):
        time.sleep(0.05)
    for publisher in publishers:
        publisher.stop()
    parent.send({(*key, box.epoch): box.numbered for key, box in outboxes.items()})


def _publisher(port: int, site: str, device: str, outbox: GeneratedOutbox) -> Publisher:
    def health() -> wire.Health:
        now = datetime.now(UTC)
        camera = wire.CameraHealth(now, "ok", 0, 10.0, 0)
        return wire.Health(wire.VERSION, now, outbox.epochs(), {CAMERA: camera}, "synced", "bench")

    return Publisher(
        Broker(port=port),
        cast(Outbox, outbox),
        site=site,
        device=device,
        status=wire.Status(wire.VERSION, "online"),
        layout=layout(device),
        health=health,
    )
