from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import wire

slugs = st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True)
devices = slugs.filter(lambda name: name != wire.CENTRAL)
tracks = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
cameras = st.lists(slugs, min_size=1, max_size=3).map(tuple)
amounts = st.floats(0, 1e6)
counts = st.integers(0, 10_000)
points = st.lists(st.tuples(amounts, amounts, amounts), max_size=20).map(tuple)
ended = st.sampled_from(("left", "lost", "occluded", "shutdown"))

events = st.one_of(
    st.builds(
        wire.Crossing,
        slugs,
        slugs,
        cameras,
        times,
        st.sampled_from(("in", "out")),
        tracks,
        st.booleans(),
    ),
    st.builds(
        wire.Visit,
        slugs,
        slugs,
        cameras,
        tracks,
        times,
        times,
        amounts,
        st.integers(1, 99),
        ended,
        st.integers(0, 9),
        st.booleans(),
    ),
    st.builds(
        wire.Path,
        slugs,
        cameras,
        tracks,
        times,
        amounts,
        amounts,
        points,
        st.lists(slugs, max_size=5).map(tuple),
    ),
    st.builds(wire.Occupancy, slugs, slugs, times, times, counts, amounts, counts),
    st.builds(
        wire.Queue,
        slugs,
        slugs,
        times,
        times,
        amounts,
        *[counts] * 6,
        st.lists(counts, max_size=9).map(tuple),
    ),
    st.builds(
        wire.Coverage,
        slugs,
        times,
        times,
        counts,
        counts,
        st.sampled_from(("ok", "offline", "frozen")),
    ),
)


@st.composite
def batches(draw: st.DrawFn) -> wire.Batch:
    found = draw(st.lists(events, min_size=1, max_size=8))
    return wire.Batch(
        v=wire.VERSION,
        site=draw(slugs),
        device=draw(devices),
        epoch=draw(tracks),
        first=draw(st.integers(0, 2**50)),
        count=len(found),
        sent=draw(times),
        config="c0ffee",
        model="",
        clock=draw(st.sampled_from(("synced", "unsynced"))),
        events=tuple(found),
    )


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CROSSING = wire.Crossing("ground", "door", ("cam",), NOW, "in", "0" * 16)
BATCH = wire.Batch(
    wire.VERSION, "leeds", "door-1", "a" * 16, 40, 2, NOW, "", "", "synced", (CROSSING, CROSSING)
)


@given(batches())
def test_a_batch_comes_back_as_it_was(batch: wire.Batch) -> None:
    decoded = wire.decode(wire.encode(batch))
    assert decoded.batch == batch
    assert decoded.rejected == []
    assert decoded.events == list(enumerate(batch.events, batch.first))


@given(batches(), st.data())
def test_one_bad_event_spoils_only_itself(batch: wire.Batch, data: st.DataObject) -> None:
    body = msgspec.json.decode(wire.encode(batch))
    spoilt = data.draw(st.integers(0, batch.count - 1))
    body["events"][spoilt]["type"] = "embedding"
    decoded = wire.decode(msgspec.json.encode(body))
    assert [(bad.first, bad.count) for bad in decoded.rejected] == [(batch.first + spoilt, 1)]
    assert "embedding" in decoded.rejected[0].reason
    expected = list(enumerate(batch.events, batch.first))
    assert decoded.events == expected[:spoilt] + expected[spoilt + 1 :]


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_an_error(payload: bytes) -> None:
    decoded = wire.decode(payload)
    assert decoded.header is None
    assert decoded.events == []
    assert decoded.rejected[0].raw == payload


@given(batches(), st.data())
def test_cut_or_changed_bytes_never_raise(batch: wire.Batch, data: st.DataObject) -> None:
    payload = bytearray(wire.encode(batch))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    decoded = wire.decode(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
    claimed = sum(bad.count for bad in decoded.rejected) + len(decoded.events)
    assert decoded.header is None or claimed == decoded.header.count


def spoil(**changes: object) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(wire.encode(BATCH)), **changes})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (spoil(v=2), "version 2"),
        (spoil(count=3), "count says 3"),
        (spoil(clock="sundial"), "clock"),
        (spoil(sent="yesterday"), "sent"),
        (spoil(padding="x" * wire.MAX_BYTES), "bytes, of at most"),
        (spoil(events=7), "events"),
    ],
)
def test_a_batch_that_cannot_be_read_is_claimed_whole(payload: bytes, reason: str) -> None:
    decoded = wire.decode(payload)
    assert decoded.header is not None
    (rejected,) = decoded.rejected
    assert (rejected.first, rejected.count) == (40, decoded.header.count)
    assert reason in rejected.reason


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[" * 10_000 + b"]" * 10_000,
        spoil(site="Leeds"),
        spoil(site="leeds\n"),
        spoil(site="a" * 41),
        spoil(device="central"),
        spoil(epoch="xyz"),
        spoil(first=-1),
        spoil(first=2**60),
        spoil(count=0),
        spoil(count=257),
        spoil(count=10**12),
    ],
)
def test_without_a_sound_header_nothing_is_claimed(payload: bytes) -> None:
    decoded = wire.decode(payload)
    assert decoded.header is None
    assert [(bad.first, bad.count) for bad in decoded.rejected] == [(0, 0)]


def test_a_later_contract_may_add_fields() -> None:
    body = msgspec.json.decode(wire.encode(BATCH))
    body["weather"] = "rain"
    body["events"][0]["speed"] = 1.2
    assert wire.decode(msgspec.json.encode(body)).batch == BATCH


def test_times_need_their_zone_and_are_written_in_utc() -> None:
    body = msgspec.json.decode(wire.encode(BATCH))
    body["events"][0]["time"] = "2026-03-01T12:00:00"
    decoded = wire.decode(msgspec.json.encode(body))
    assert len(decoded.rejected) == 1
    assert b'"2026-03-01T12:00:00Z"' in wire.encode(BATCH)
    assert BATCH.sent - NOW == timedelta(0)


@given(slugs, devices, slugs)
def test_topics_come_back_as_they_were(site: str, device: str, zone: str) -> None:
    topic = wire.Topic(site, device, "occupancy", zone)
    assert wire.parse_topic(str(topic)) == topic


@pytest.mark.parametrize(
    "topic",
    ["", "passerby/v1/leeds", "passerby/v2/a/b/events", "passerby/v1/a//events", "a/b/c/d/e"],
)
def test_other_topics_are_none_of_ours(topic: str) -> None:
    assert wire.parse_topic(topic) is None


def test_nothing_in_the_contract_could_hold_a_picture() -> None:
    """Text is ids, hashes, names of places and closed lists; there is no free text about people."""
    for kind in wire.EVENTS:
        schema = msgspec.json.schema(kind)
        fields = schema["$defs"][kind.__name__]["properties"]
        for name, field in fields.items():
            if field.get("type") == "string":
                closed = {"enum", "const", "pattern", "format"} & field.keys()
                assert closed, f"{kind.__name__}.{name} takes any text"


def test_health_of_an_older_device_has_no_audits_and_of_a_newer_one_more_fields() -> None:
    said = {"v": 1, "time": "2026-03-01T12:00:00Z", "epochs": {}, "cameras": {}, "clock": "synced"}
    body = said | {"version": "0", "mood": "good"}
    assert msgspec.json.decode(msgspec.json.encode(body), type=wire.Health).audits == ()
    audit = {"kind": "line", "id": "door", "start": "2026-03-01T11:00:00Z", "count": 3}
    audit |= {"confidence": 0.5, "checks": {"a-check-of-the-future": 0.5}}
    decode = msgspec.json.Decoder(wire.Health).decode
    assert decode(msgspec.json.encode(body | {"audits": [audit]})).audits[0].confidence == 0.5
    for wrong in (
        {"confidence": 1.1},
        {"checks": {"ends": -0.1}},
        {"id": "No slug"},
        {"count": -1},
    ):
        with pytest.raises(msgspec.ValidationError):
            decode(msgspec.json.encode(body | {"audits": [audit | wrong]}))
