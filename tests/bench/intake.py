"""Events from MQTT into `floor.duckdb`: how many a second, each exactly once, and in what memory.

    python -m tests.bench.intake [--seconds 60] [--devices 4] [--json]
    python -m tests.bench.intake --backlog 10000000 [--devices 4] [--json]

Devices that publish batches as fast as the contract lets them (the agent's own publisher, over
outboxes that are made up as they are sent), a real Mosquitto and a real `passerby-central serve`,
all on this machine. A window of the rate begins and ends while all of them are busy; what counts is
what central has committed. At the end every row in the file is compared with the event that its
number says it is. Beside it, after that: the obvious script, and what decoding and appending alone
can do.

With a backlog the devices' outboxes hold so many events from the start, and what is measured is
central's resident memory while it takes them in.
"""

import argparse
import json
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import paho.mqtt.client as mqtt

from central.intake import columns
from central.intake.columns import EpochKey
from central.store import Store, transaction
from deploy.demo.broker import mosquitto
from edge import wire
from edge.wire.session import connect
from tests.bench.intake_feed import POOL, GeneratedOutbox, bodies, feed, pool
from tests.end_to_end.processes import Stack, wait_until

WARM_SECONDS = 5.0
DRAIN_SECONDS = 600.0
SCRIPT_SECONDS = 10.0
SLOWEST_SECONDS = 10.0
ON_THE_WAY = 200
MESSAGES_PER_COMMIT = 100
LINES = {"rate": 100_000.0, "growth_mb": 1024.0}
"""What is to be reached: events a second at least, megabytes more than at the start at most."""
Numbered = dict[EpochKey, int]
"""How many events each epoch has numbered, from 0 on."""


@dataclass(frozen=True)
class Sample:
    """What is seen at a moment: events that are committed, and central's memory in MB."""

    seconds: float
    stored: int
    memory: float


@dataclass(frozen=True)
class Run:
    """A whole run.

    `spent` is seconds of the processor over the samples, by part, "others" being whatever else runs
    on this machine; `tick` how long central's last one took, which counts windows; `found` what the
    check says of the file.
    """

    samples: list[Sample]
    spent: dict[str, float]
    tick: float
    numbered: Numbered
    found: dict[str, int]

    @property
    def seconds(self) -> float:
        return self.samples[-1].seconds - self.samples[0].seconds

    @property
    def rate(self) -> float:
        """Events a second."""
        return (self.samples[-1].stored - self.samples[0].stored) / self.seconds

    @property
    def slowest(self) -> float:
        """Events a second in the slowest ten seconds; NaN in a shorter run."""
        rates = [
            (later.stored - sample.stored) / (later.seconds - sample.seconds)
            for sample in self.samples
            for later in self.samples
            if SLOWEST_SECONDS <= later.seconds - sample.seconds < SLOWEST_SECONDS + 1.5
        ]
        return min(rates, default=float("nan"))


def run(folder: Path, devices: int, seconds: float, backlog: int) -> Run:
    """Feed central for so many seconds, or with a backlog of so many events; check its file."""
    keys = [(f"shop-{number}", "door-1") for number in range(1, devices + 1)]
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    batches = -(-backlog * len(bodies(start).first) // POOL // devices) if backlog else None
    sites = [{"id": site, "name": site} for site, _ in keys]
    folder.mkdir()
    stack = Stack(folder, {"sites": sites})
    fresh = multiprocessing.get_context("spawn")
    mine, other = fresh.Pipe()
    feeder = fresh.Process(target=feed, args=(stack.mqtt_port, keys, start, batches, other))
    feeder.start()
    other.close()  # so that a feeder that fails is noticed
    try:
        stack.start()
        assert mine.recv() == "ready"
        parts = {
            "broker": stack.broker.process,
            "central": stack.central.process,
            "devices": feeder,
        }
        numbers = {name: part.pid for name, part in parts.items() if part and part.pid}

        def sample() -> Sample:
            found = wait_until(stack.health, 120, "central answers")
            return Sample(time.monotonic(), found["events_stored"], resident(numbers["central"]))

        samples = [sample()]
        mine.send("begin")
        if not backlog:
            time.sleep(WARM_SECONDS)
            samples = [sample()]

        def used() -> dict[str, float]:
            each = {name: processor_seconds(number) for name, number in numbers.items()}
            return each | {"others": busy_seconds() - sum(each.values())}

        before = used()
        end = samples[0].seconds + seconds
        while not (mine.poll() if backlog else time.monotonic() >= end):
            time.sleep(0.5)
            samples.append(sample())
            if len(samples) % 20 == 0:
                seen = f"{samples[-1].stored:,} events, central {samples[-1].memory:.0f} MB"
                print(seen, file=sys.stderr, flush=True)
        spent = {name: seconds - before[name] for name, seconds in used().items()}
        tick = float(wait_until(stack.health, 120, "central answers")["tick_seconds"])
        if not backlog:
            mine.send("finish")
        if not mine.poll(DRAIN_SECONDS):
            raise RuntimeError(f"not all was acknowledged; see {stack.central.log}")
        numbered: Numbered = mine.recv()
        stack.central.stop(120.0)
    finally:
        feeder.kill()
        stack.close()
    return Run(samples, spent, tick, numbered, check(stack.data, numbered, start))


def resident(number: int) -> float:
    """A process's resident memory in megabytes."""
    pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def processor_seconds(number: int) -> float:
    """Seconds of the processor that a process has used, in all its threads."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Seconds of the processors that this machine has used."""
    _, *fields = Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system, _idle, _wait, interrupts, soft, *_ = map(int, fields)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def check(data: Path, numbered: Numbered, start: datetime) -> dict[str, int]:
    """What is wrong with the events in `floor.duckdb`, by kind of fault; `events` are all of them.

    `beyond` is epochs that have numbers which no device gave.
    """
    with duckdb.connect(str(data / "floor.duckdb"), read_only=True) as database:
        database.execute("set timezone = 'UTC'")
        tables = [columns.table(kind) for kind in wire.EVENTS]
        numbers = " union all ".join(
            f"select site, device, epoch, seq from {name}" for name in tables
        )
        rows = database.execute(
            "select site, device, epoch, count(*), count(distinct seq), min(seq), max(seq)"
            f" from ({numbers}) group by all"
        ).fetchall()
        stored = {(site, device, epoch): counts for site, device, epoch, *counts in rows}
        found = {"events": 0, "missing": 0, "twice": 0, "beyond": 0}
        for key in numbered.keys() | stored.keys():
            total, distinct, least, most = stored.get(key, (0, 0, 0, -1))
            expected = numbered.get(key, 0)
            found["events"] += total
            found["twice"] += total - distinct
            found["missing"] += max(expected - distinct, 0)
            found["beyond"] += int(least < 0 or most >= expected)
        found["different"] = sum(different(database, kind, start) for kind in wire.EVENTS)
        found["quarantined"] = count(database, "select count(*) from quarantine")
    return found


def different(database: duckdb.DuckDBPyConnection, kind: type[wire.Event], start: datetime) -> int:
    """How many rows of a table do not say what the event of their number says."""
    name = columns.table(kind)
    types = {
        column: str(type_)
        for column, type_, *_ in database.execute(f"describe {name}").fetchall()
        if column in kind.__struct_fields__
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expected.json"
        path.write_bytes(
            b"\n".join(
                b'{"place":%d,"event":%s}' % (place, wire.encode(event))
                for place, event in enumerate(pool(start))
                if isinstance(event, kind)
            )
        )
        said = ", ".join(f'"{column}" {type_}' for column, type_ in types.items())
        database.execute(
            "create or replace temp table expected as select place, unnest(event) from read_json("
            f"'{path}', columns = {{place: 'bigint', event: 'struct({said})'}})"
        )
    wrong = " or ".join(f'row."{column}" is distinct from expected."{column}"' for column in types)
    return count(
        database,
        f"select count(*) from {name} as row left join expected on row.seq % {POOL} = place"
        f" where place is null or {wrong}",
    )


def count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number that a query gives."""
    row = database.execute(query).fetchone()
    return int(row[0]) if row else 0


def obvious(folder: Path, seconds: float, every: int) -> float:
    """Events a second that the obvious script keeps, fed as fast as one publisher can."""
    folder.mkdir()
    stack = Stack(folder)
    path = folder / "events.sqlite"
    events = [wire.encode(event) for event in pool(datetime(2026, 3, 2, tzinfo=UTC))[:10_000]]
    arguments = [str(stack.mqtt_port), str(path), "--every", str(every)]
    stop = threading.Event()
    try:
        stack.broker.start()
        time.sleep(1.0)
        script = stack.run("script", "-m", "tests.bench.intake_peer", *arguments)
        wait_until(lambda: "ready" in script.words(), 30, "the script is ready")
        client = connect(
            "127.0.0.1",
            stack.mqtt_port,
            "device",
            lambda client: client.max_inflight_messages_set(ON_THE_WAY),
        )

        def publish() -> None:
            number = 0
            on_the_way: list[mqtt.MQTTMessageInfo] = []
            while not stop.is_set():
                topic = f"events/shop-1/door-1/{number}"
                on_the_way.append(client.publish(topic, events[number % len(events)], qos=1))
                number += 1
                if len(on_the_way) == ON_THE_WAY:
                    on_the_way.pop(0).wait_for_publish(10)

        publisher = threading.Thread(target=publish)
        publisher.start()
        time.sleep(2.0)
        rows = (rows_in(path), time.monotonic())
        time.sleep(seconds)
        later = (rows_in(path), time.monotonic())
        stop.set()
        publisher.join()
        client.disconnect()
        client.loop_stop()
    finally:
        stop.set()
        stack.close()
    return (later[0] - rows[0]) / (later[1] - rows[1])


def rows_in(path: Path) -> int:
    """How many events the obvious script has committed."""
    with closing(sqlite3.connect(path)) as database:
        found: int = database.execute("select count(*) from event").fetchone()[0]
    return found


def limits() -> dict[str, float]:
    """Events a second of decoding alone and of appending alone, the best of three."""
    start = datetime(2026, 3, 2, tzinfo=UTC)
    outbox = GeneratedOutbox("shop-1", "door-1", start, None)
    payloads = [outbox.payload(batch) for batch in range(3 * MESSAGES_PER_COMMIT)]
    decoded = [wire.decode(payload).events for payload in payloads]
    rows: dict[type[wire.Event], columns.Rows] = defaultdict(columns.Rows)
    for number, event in (pair for pairs in decoded[:MESSAGES_PER_COMMIT] for pair in pairs):
        rows[type(event)].keys.append(("shop-1", "door-1", outbox.epoch))
        rows[type(event)].numbers.append(number)
        rows[type(event)].events.append(event)
    together = sum(len(each.events) for each in rows.values())

    def decode() -> int:
        return sum(len(wire.decode(payload).events) for payload in payloads)

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        cursor = store.floor()

        def append() -> int:
            for _ in range(10):
                with transaction(cursor):
                    for kind, each in rows.items():
                        columns.append(cursor, kind, each, start.date())
            return 10 * together

        found = {"decode": fastest(decode), "append": fastest(append)}
        store.close()
    return found


def fastest(work: Callable[[], int]) -> float:
    """Events a second of the fastest of three times; `work` says how many it had."""
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        rates.append(work() / (time.perf_counter() - began))
    return max(rates)


def exact(found: dict[str, int]) -> bool:
    """Whether nothing is wrong with the file."""
    return found["events"] > 0 and not any(
        value for name, value in found.items() if name != "events"
    )


def show_file(result: Run) -> None:
    """Print what the file holds against what the devices numbered."""
    expected = sum(result.numbered.values())
    print(
        f"\n{expected:,} events numbered; in the file "
        + ", ".join(f"{value:,} {name}" for name, value in result.found.items())
    )


def show_parts(result: Run) -> None:
    """Print what each part used of the processor."""
    used = ", ".join(f"{name} {spent / result.seconds:.2f}" for name, spent in result.spent.items())
    print(f"cores in use, of {os.cpu_count()}: {used}")
    print(f"the last tick, which counts windows, took {result.tick:.1f} s")


def measure_rate(folder: Path, devices: int, seconds: float, as_json: bool) -> None:
    """The rate beside the obvious script's and the limits."""
    result = run(folder / "ours", devices, seconds, 0)
    peers = {}
    for every, title in ((1, "a commit an event"), (1000, "a commit a thousand")):
        peers[title] = obvious(folder / f"every-{every}", SCRIPT_SECONDS, every)
    bounds = limits()
    size = sum(map(len, bodies(datetime(2026, 3, 2, tzinfo=UTC)).events)) / POOL
    print(f"{result.seconds:.0f} seconds, {devices} devices, {size:.0f} bytes an event\n")
    print(f"{'':<40} {'events/s':>10} {'ours is':>8}")
    print(f"{'ours, the line is ' + format(LINES['rate'], ',.0f'):<40} {result.rate:>10,.0f}")
    print(f"{'ours, the slowest ten seconds':<40} {result.slowest:>10,.0f}")
    for title, rate in peers.items():
        print(f"{'obvious script, ' + title:<40} {rate:>10,.0f} {result.rate / rate:>7.0f}×")
    for title, rate in bounds.items():
        print(f"{title + ' alone':<40} {rate:>10,.0f} {result.rate / rate:>7.0%}")
    print()
    show_parts(result)
    show_file(result)
    reached = {"rate": result.rate >= LINES["rate"], "exactly_once": exact(result.found)}
    print("reached: " + ", ".join(f"{k} {'yes' if v else 'no'}" for k, v in reached.items()))
    if as_json:
        ours = {"rate": result.rate, "slowest": result.slowest, **result.found}
        print(
            json.dumps(
                {
                    "ours": ours,
                    "peers": peers,
                    "limits": bounds,
                    "reached": all(reached.values()),
                    "reached_each": reached,
                    "cores": {name: n / result.seconds for name, n in result.spent.items()},
                    "lines": LINES,
                }
            )
        )


def measure_memory(folder: Path, devices: int, backlog: int, as_json: bool) -> None:
    """Central's memory while it takes in a backlog."""
    result = run(folder / "ours", devices, 0.0, backlog)
    begin, peak = result.samples[0].memory, max(sample.memory for sample in result.samples)
    print(f"{backlog:,} events in the outboxes of {devices} devices\n")
    print(f"{'events taken in':>16} {'resident':>9}")
    step = max(len(result.samples) // 10, 1)
    for sample in result.samples[::step]:
        print(f"{sample.stored:>16,} {sample.memory:>6.0f} MB")
    print(f"\nat the start {begin:.0f} MB, at most {peak:.0f} MB, {peak - begin:+.0f} MB")
    print(f"{result.rate:,.0f} events/s")
    show_parts(result)
    show_file(result)
    reached = {
        "growth_mb": peak - begin <= LINES["growth_mb"],
        "exactly_once": exact(result.found),
    }
    print("reached: " + ", ".join(f"{k} {'yes' if v else 'no'}" for k, v in reached.items()))
    if as_json:
        ours = {"start_mb": begin, "peak_mb": peak, "growth_mb": peak - begin, **result.found}
        print(
            json.dumps(
                {
                    "ours": {**ours, "rate": result.rate},
                    "peers": {},
                    "reached": all(reached.values()),
                    "reached_each": reached,
                    "lines": LINES,
                }
            )
        )


def main() -> int:
    """Run, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.intake")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="of feeding (60)")
    parser.add_argument(
        "--backlog", type=int, default=0, metavar="N", help="memory while N events come in"
    )
    parser.add_argument("--devices", type=int, default=4, metavar="N", help="that publish (4)")
    parser.add_argument("--json", action="store_true", help="end with a line of JSON")
    options = parser.parse_args()
    if not mosquitto():
        print("Mosquitto is not here: `deploy/system mosquitto` installs it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        if options.backlog:
            measure_memory(Path(folder), options.devices, options.backlog, options.json)
        else:
            measure_rate(Path(folder), options.devices, options.seconds, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
