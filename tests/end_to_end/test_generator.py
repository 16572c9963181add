"""The generated shops: the same from the same seed, busy at now, with two faults and no more."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from central.detect.detector import Detector, threshold, usual_range
from central.detect.state import SLOTS
from deploy.demo import generator
from edge import wire

NOW = datetime(2026, 5, 14, 9, 37, 12, tzinfo=UTC)
NOWS = [
    NOW,
    datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, tzinfo=UTC),
]
QUARTER = timedelta(minutes=15)


def values(table: pa.Table, site: str, measure: str) -> dict[datetime, float]:
    chosen = pc.and_(pc.equal(table["site"], site), pc.equal(table["measure"], measure))
    rows = table.filter(chosen)
    return dict(zip(rows["start"].to_pylist(), rows["value"].to_pylist(), strict=True))


def entries(part: generator.Slice) -> int:
    return sum(isinstance(e, wire.Crossing) and e.direction == "in" for e in part.events)


def test_the_same_seed_gives_the_same_shops() -> None:
    assert generator.history(NOW, 3, 1).equals(generator.history(NOW, 3, 1))
    assert not generator.history(NOW, 3, 1).equals(generator.history(NOW, 4, 1))
    assert generator.last_hours(NOW, 3) == generator.last_hours(NOW, 3)
    assert generator.last_hours(NOW, 3) != generator.last_hours(NOW, 4)


def test_the_history_is_whole() -> None:
    table = generator.history(NOW, 0, weeks=2)
    assert table.schema == pa.schema(
        [
            ("site", pa.string()),
            ("measure", pa.string()),
            ("subject", pa.string()),
            ("start", pa.timestamp("us", "UTC")),
            ("value", pa.float64()),
        ]
    )
    assert len(table) == 11 * 6 * 2 * 672
    assert len(set(table["site"].to_pylist())) == 11
    starts = sorted(values(table, "leeds", "footfall"))
    assert starts[-1] == datetime(2026, 5, 14, 7, 15, tzinfo=UTC)
    assert all(after - before == QUARTER for before, after in pairwise(starts))
    assert pc.min(table["value"]).as_py() == 0.0


@pytest.mark.parametrize("now", NOWS)
def test_a_busy_noon_falls_at_now(now: datetime) -> None:
    end = generator.last_quarter(now)
    assert timedelta(0) <= now - end < QUARTER
    footfall = values(generator.history(now, 1, weeks=4), "oxford", "footfall")
    # A week ago, and the night before.
    busy = [footfall[end - timedelta(weeks=1) - n * QUARTER] for n in range(1, 5)]
    assert sum(busy) > 0.75 * 200
    night = [footfall[end - timedelta(hours=10) - n * QUARTER] for n in range(4)]
    assert night == [0.0] * 4
    by_hour = [sum(busy)] + [
        sum(footfall[end - timedelta(days=7, hours=h) - n * QUARTER] for n in range(1, 5))
        for h in (4, 8, 12, 16, 20)
    ]
    assert max(by_hour) == by_hour[0]
    slices = generator.last_hours(now, 1)
    assert len(slices) == 11 * 8
    assert {part.start for part in slices} == {end - n * QUARTER for n in range(1, 9)}


def test_a_time_zone_is_asked_for() -> None:
    with pytest.raises(ValueError, match="time zone"):
        generator.history(datetime(2026, 1, 1), 0)


def moment(event: wire.Event) -> datetime:
    match event:
        case wire.Crossing():
            return event.time
        case wire.Visit():
            return event.exited
        case wire.Coverage() | wire.Occupancy():
            return event.stop
        case _:
            raise AssertionError(f"the generator makes no {type(event).__name__}")


def test_events_are_of_the_contract_in_order_and_few() -> None:
    slices = generator.last_hours(NOW, 2)
    assert sum(len(part.events) for part in slices) < 20_000
    assert [part.start for part in slices] == sorted(part.start for part in slices)
    seen: dict[str, list[str]] = {}
    for part in slices:
        times = [moment(event) for event in part.events]
        assert times == sorted(times)
        assert all(part.start <= time <= part.start + QUARTER for time in times)
        assert all(part.start <= order.time < part.start + QUARTER for order in part.orders)
        for event in part.events:
            if isinstance(event, wire.Crossing):
                seen.setdefault(event.track, []).append(event.direction)
        batch = wire.Batch(
            1, part.site, "door", "0" * 16, 0, len(part.events[:256]), NOW, "", "", "synced",
            tuple(part.events[:256]),
        )  # fmt: skip
        decoded = wire.decode(wire.encode(batch))
        assert not decoded.rejected
        assert [event for _, event in decoded.events] == part.events[:256]
    assert set(map(tuple, seen.values())) <= {("in",), ("out",), ("in", "out")}
    both = sum(len(directions) == 2 for directions in seen.values())
    assert both > 0.7 * len(seen)
    orders = [order.order_id for part in slices for order in part.orders]
    assert len(orders) == len(set(orders))


@pytest.mark.parametrize("seed", range(3))
def test_the_two_faults_are_there(seed: int) -> None:
    end = generator.last_quarter(NOW)
    before: list[generator.Slice] = []
    after: list[generator.Slice] = []
    for part in generator.last_hours(NOW, seed):
        (after if part.start >= end - generator.FAULT else before).append(part)
    york = [part for part in after if part.site == "york"]
    assert all(isinstance(e, wire.Coverage) for part in york for e in part.events)
    minutes = [e for part in york for e in part.events if isinstance(e, wire.Coverage)]
    assert {(minute.seen, minute.expected, minute.cause) for minute in minutes} == {
        (0, 600, "offline")
    }
    assert sum(len(part.orders) for part in york) > 15
    leeds = [part for part in after if part.site == "leeds"]
    assert sum(len(part.orders) for part in leeds) == 0
    assert 20 <= sum(entries(part) for part in leeds) <= 70
    for shop in generator.SHOPS:
        parts = [part for part in before if part.site == shop.site]
        assert sum(entries(part) for part in parts) > 0
        assert sum(len(part.orders) for part in parts) > 0


def test_layouts_hold_what_the_events_name() -> None:
    for shop in generator.SHOPS:
        layout = generator.layout(shop)
        assert [(line.id, line.role) for line in layout.lines] == [("entrance", "entrance")]
        assert {zone.id: zone.role for zone in layout.zones} == {
            "display": "display",
            "till": "service",
        }
        assert wire.parse_topic(f"passerby/v1/{shop.site}/{shop.device}/layout")
    configs = {generator.layout(shop).config for shop in generator.SHOPS}
    assert len(configs) == len(generator.SHOPS)


def alarms(now: datetime, seed: int) -> tuple[set[tuple[str, str, str]], tuple[int, int]]:
    """What alarms in the last two hours, and the usual range of Leeds' orders in the last one."""
    table = generator.history(now, seed)
    series = [
        (shop.site, measure, generator.SUBJECTS[measure])
        for shop in generator.SHOPS
        for measure in ("footfall", "orders")
    ]
    columns = np.array([list(values(table, site, measure).values()) for site, measure, _ in series])
    starts = list(values(table, "leeds", "footfall"))
    slices = generator.last_hours(now, seed)
    detector = Detector(series)
    ready = np.ones(len(series), bool)
    for number, start in enumerate(starts):
        detector.tick(slot_of(start), columns[:, number].copy(), ready)
    limit = threshold(0.1, SLOTS, 2)
    found: set[tuple[str, str, str]] = set()
    expected, variance = 0.0, 0.0
    for window in range(8):
        parts = {part.site: part for part in slices[window * 11 : window * 11 + 11]}
        now_values = np.zeros(len(series))
        for i, (site, measure, _) in enumerate(series):
            part = parts[site]
            blind = not any(isinstance(event, wire.Occupancy) for event in part.events)
            now_values[i] = len(part.orders) if measure == "orders" else entries(part)
            if blind and measure == "footfall":
                now_values[i] = np.nan
        scores = detector.tick(slot_of(parts["leeds"].start), now_values, ready)
        for i, (site, measure, _) in enumerate(series):
            if scores.p_low[i] <= limit:
                found.add((site, measure, "low"))
            if scores.p_high[i] <= limit:
                found.add((site, measure, "high"))
        if window >= 4:
            expected += float(scores.expected[1])
            variance += float(scores.variance[1])
    return found, usual_range(expected, variance)


def slot_of(start: datetime) -> int:
    return start.weekday() * 96 + start.hour * 4 + start.minute // 15


@pytest.mark.parametrize("now", NOWS[:4])
def test_the_detector_finds_the_stopped_till_and_nothing_else(now: datetime) -> None:
    leeds = generator.SHOPS[0]
    truth = generator.expected_entries(leeds, np.arange(-4, 0)).sum() * leeds.conversion
    assert 12 < truth < 19
    for seed in range(3):
        found, (low, high) = alarms(now, seed)
        assert found == {("leeds", "orders", "low")}
        assert low < truth < high
        assert high - low < truth
