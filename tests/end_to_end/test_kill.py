"""Every event is in the store exactly once, whoever is killed, and whenever.

`make soak` repeats each of these PASSERBY_ROUNDS times; `make test` runs each once.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.broker import mosquitto
from tests.end_to_end import feeder
from tests.end_to_end.processes import Feeder, Stack, wait_until

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
def test_central_is_restored_from_a_copy(stack: Stack, tmp_path: Path, repetition: int) -> None:
    device = feed(stack, "--later")
    half = {"waiting": 0, "numbered": TOTAL // 2}
    wait_until(lambda: device.progress() == half, SECONDS, "the first half is acknowledged")
    stack.central.stop()
    stack.copy_data(tmp_path / "copy")
    stack.start_central()
    (tmp_path / "state" / "go").touch()
    everything = {"waiting": 0, "numbered": TOTAL}
    wait_until(lambda: device.progress() == everything, SECONDS, "the second half, too")
    stack.central.stop()
    newer = stack.query("select count(*) from crossing")
    stack.copy_back(tmp_path / "copy")
    assert stack.query("select count(*) from crossing") < newer
    stack.start_central()
    wait_until(
        lambda: (stack.health() or {"events": {}})["events"].get("crossing") == TOTAL // 2,
        SECONDS,
        "the second half is sent again",
    )
    everything_once(stack, device)


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
