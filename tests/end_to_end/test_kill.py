"""Every event is in the store exactly once, whoever is killed, and whenever.

`make soak` repeats each of these PASSERBY_ROUNDS times, and kills a hundred times where `make test`
kills ten times.
"""

import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import paho.mqtt.publish as mqtt
import pytest

from central import windows
from central.backup import restore
from central.store import Store
from deploy.demo.broker import mosquitto
from edge import wire
from tests.end_to_end import feeder, keeper
from tests.end_to_end.processes import ROOT, SITE, Feeder, Forked, Process, Stack, wait_until

BATCHES, PER_BATCH = 4_000, 5
TOTAL = BATCHES * PER_BATCH
UNACKNOWLEDGED = 1_000
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
ROUNDS = int(os.environ.get("PASSERBY_ROUNDS", "1"))
SECONDS = 120.0

pytestmark = pytest.mark.skipif(
    mosquitto() is None, reason="Mosquitto is not installed: apt-get install mosquitto"
)
rounds = pytest.mark.parametrize("repetition", range(ROUNDS))


def feed(stack: Stack, *options: str) -> Feeder:
    return Feeder(stack, BATCHES, "--start", START.isoformat(), *options)


def in_the_middle(stack: Stack, device: Feeder) -> None:
    """Wait until central has stored some while more than a thousand batches wait."""

    def check() -> bool:
        stored = (stack.health() or {"batches": 0})["batches"]
        return stored > 100 and device.progress()["waiting"] > UNACKNOWLEDGED

    wait_until(check, SECONDS, lambda: f"stored some, many waiting: {device.progress()}")
    assert device.progress()["waiting"] > UNACKNOWLEDGED


def everything_once(stack: Stack, device: Feeder) -> None:
    """All are acknowledged, and the store holds what the generator made: no more, no less."""

    def done() -> bool:
        return device.progress() == {"waiting": 0, "numbered": TOTAL}

    wait_until(done, SECONDS, lambda: f"everything acknowledged: {device.progress()}")
    wait_until(
        lambda: (stack.health() or {"gaps": -1})["gaps"] == 0, 30, "central sees no gap at all"
    )
    stack.central.stop()
    rows = stack.query('select track, line, "time", direction, staff from crossing order by track')
    expected = [feeder.event(number, START) for number in range(TOTAL)]
    assert rows == [
        (e.track, e.line, e.time.replace(tzinfo=None), e.direction, e.staff) for e in expected
    ]
    assert stack.query("select count(*) from coverage") == [(60,)]
    identities = "(select device, epoch, seq from crossing union all"
    identities += " select device, epoch, seq from coverage)"
    twice = f"select * from {identities} group by all having count(*) > 1"
    assert stack.query(twice) == []
    for firsts, lasts in stack.query("select firsts, lasts from ledger"):
        assert len(firsts) == 1
        assert firsts == [0], lasts


@rounds
def test_central_is_killed(stack: Stack, repetition: int) -> None:
    device = feed(stack)
    in_the_middle(stack, device)
    stack.central.kill()
    stack.start_central()
    everything_once(stack, device)


@rounds
def test_the_broker_is_killed(stack: Stack, repetition: int) -> None:
    device = feed(stack)
    in_the_middle(stack, device)
    stack.broker.kill()
    stack.broker.start()
    everything_once(stack, device)


@rounds
def test_the_device_is_killed(stack: Stack, repetition: int) -> None:
    device = feed(stack)
    in_the_middle(stack, device)
    device.process.kill()
    device.restart()
    everything_once(stack, device)


@rounds
def test_central_is_restored_from_a_backup(stack: Stack, tmp_path: Path, repetition: int) -> None:
    """It is made while events come in; what came in afterwards is sent again."""
    device = feed(stack)
    in_the_middle(stack, device)
    copied = stack.command("backup", str(tmp_path / "copy"))
    everything = {"waiting": 0, "numbered": TOTAL}
    wait_until(lambda: device.progress() == everything, SECONDS, "everything acknowledged")
    refused = stack.command("restore", str(tmp_path / "copy"), code=2)
    assert "stop `serve` first" in refused
    stack.central.stop()
    newer = stack.query("select count(*) from crossing")
    restored = stack.command("restore", str(tmp_path / "copy"))
    assert copied.split("generation ")[1].split(",")[0] in restored
    copy = stack.query("select count(*) from crossing")
    assert copy < newer
    stack.start_central()
    wait_until(
        lambda: (stack.health() or {"events": {}})["events"].get("crossing") == TOTAL - copy[0][0],
        SECONDS,
        "what came after the backup is sent again",
    )
    everything_once(stack, device)


KILLS = 10 if ROUNDS == 1 else 100
PROGRAMS = ["keeper"] if ROUNDS == 1 else ["keeper", "serve"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_central_is_killed_at_random_points(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts, takes in, rebuilds, replays, copies: whatever comes first.

    At first another device owns the line, so that events are refused; then it gives it up.
    """
    chance = random.Random(KILLS)
    stack = Stack(tmp_path)
    copies = tmp_path / "copies"
    copies.mkdir()
    central: Forked | Process = stack.central
    if program == "keeper":
        # Where the server that the processes are forked from finds the module.
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        central = Forked(keeper.keep, stack.data, stack.mqtt_port, copies)
    batches = KILLS * 100
    events = batches * PER_BATCH
    try:
        stack.broker.start()
        wait_until(lambda: own(stack, feeder.LAYOUT.lines), 30, "the broker is there")
        device = Feeder(stack, batches, "--start", START.isoformat(), "--later", "--resend=1")
        wait_until(lambda: device.progress()["waiting"] > 0, 30, "there is something to send")
        claimed = [0]
        for kill in range(KILLS):
            if kill == 2:
                own(stack, ())
            allow(tmp_path / "state", events // 2 + (kill + 1) * events // 2 // KILLS)
            central.start()
            if kill % 3:
                taken_in(device)
            time.sleep(chance.uniform(0.0, 0.5))
            assert central.alive, stack.central.words()
            central.kill()
            claimed.append(opens(stack.data))
        assert len(set(claimed)) > KILLS / 4, f"hardly ever killed at work: {claimed}"
        central.start()
        everything = {"waiting": 0, "numbered": events}
        wait_until(lambda: device.progress() == everything, SECONDS, device.progress().__repr__)
        assert central.stop(120) == 0
        stack.command("quarantine", "replay", "--all")
        holds_once(stack.data, events)
        for copy in copies.iterdir():
            if copy.suffix != ".unfinished":
                restore(copy, tmp_path / "restored")
                holds_once(tmp_path / "restored", None)
    finally:
        if central.alive:
            central.kill()
        stack.close()


def taken_in(device: Feeder) -> None:
    """Wait until more is acknowledged than now."""
    before = acknowledged(device)
    wait_until(lambda: acknowledged(device) != before, SECONDS, "more is acknowledged")


def acknowledged(device: Feeder) -> int:
    """How many batches of what was numbered do not wait any more."""
    progress = device.progress()
    return progress["numbered"] // PER_BATCH - progress["waiting"]


def allow(state: Path, events: int) -> None:
    """Let the device number so many events in all."""
    (state / "next").write_text(f"{events}")
    (state / "next").replace(state / "go")


def own(stack: Stack, lines: tuple[wire.Line, ...]) -> bool:
    """Another device says, retained, that these lines are its own."""
    layout = msgspec.structs.replace(feeder.LAYOUT, lines=lines, config=f"{len(lines)}")
    topic = str(wire.Topic(SITE, "door-0", "layout"))
    try:
        mqtt.single(topic, wire.encode(layout), qos=1, retain=True, port=stack.mqtt_port)
    except OSError:
        return False
    return True


def opens(data: Path) -> int:
    """Open both files, as any start does; how many numbers the ledger holds."""
    store = Store(data)
    size = "list_sum(lasts) - list_sum(firsts) + len(lasts)"
    row = store.floor().execute(f"select coalesce(sum({size}), 0) from ledger").fetchone()
    store.close()
    return int(row[0]) if row else 0


def holds_once(data: Path, total: int | None) -> None:
    """Each number that was claimed is an event or in quarantine, once; windows count each event.

    total: how many crossings there are, none of them in quarantine; a copy has what it has.
    """
    store = Store(data)
    floor = store.floor()
    tracks = [track for (track,) in floor.execute("select track from crossing").fetchall()]
    assert len(tracks) == len(set(tracks))
    if total is not None:
        assert sorted(tracks) == [f"{number:016x}" for number in range(total)]
    found = floor.execute(
        "select epoch, seq from crossing union all select epoch, seq from coverage union all"
        " select epoch, unnest(range(first, first + count)) from quarantine where first is not null"
    ).fetchall()
    held = floor.execute("select epoch, firsts, lasts from ledger").fetchall()
    claimed = [
        (epoch, number)
        for epoch, firsts, lasts in held
        for first, last in zip(firsts, lasts, strict=True)
        for number in range(first, last + 1)
    ]
    assert sorted(found) == sorted(claimed)
    owned = "select count(*) from crossing join line using (site, device, line)"
    counted = f"{owned} where direction = 'in' and not staff"
    windows.rebuild(store, 24, datetime.now(UTC))
    footfall = "select coalesce(sum(value), 0) from partial where measure = 'footfall'"
    assert store.central().execute(footfall).fetchall() == floor.execute(counted).fetchall()
    store.close()


@rounds
def test_a_device_comes_back_a_week_later(stack: Stack, repetition: int) -> None:
    week_ago = START - timedelta(days=7)
    span = {
        "site": feeder.SITE,
        "metric": "footfall",
        "start": week_ago.isoformat(),
        "stop": (week_ago + timedelta(hours=1)).isoformat(),
    }
    before = stack.get("/v1/series", **span)["points"]
    assert [point["value"] for point in before] == [None] * 4
    device = Feeder(stack, BATCHES, "--start", week_ago.isoformat())
    everything = {"waiting": 0, "numbered": TOTAL}
    wait_until(lambda: device.progress() == everything, SECONDS, "everything acknowledged")
    expected = sum(
        each.direction == "in" and not each.staff
        for each in (feeder.event(number, week_ago) for number in range(TOTAL))
    )

    def counted() -> float:
        points = stack.get("/v1/series", **span)["points"]
        return sum(point["value"] or 0 for point in points)

    wait_until(lambda: counted() == expected, 30, lambda: f"{expected} people, not {counted()}")
