"""A person who is forgotten: no trace in the bytes of the files, and none comes back."""

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from central import forget, forgotten, scrub, windows
from central.config import Config, Site
from central.forget import Erased
from central.intake import orders
from central.intake.online import Arrived, OnlineIntake
from central.intake.segment import Source
from central.service import Service
from central.store import Store, StoreError

CONFIG = Config(sites=(Site(id="web", kind="web"),))
WEB = Source("web", "web", "GBP")
ADA, COOKIE, BOB = "marguerite@example.org", "cookie-of-marguerite", "robert@example.org"
# The files keep the first bytes of the least and the greatest text of a column.
TRACES = (ADA.encode(), COOKIE.encode(), b"margueri", b"cookie-o")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def intake(store: Store) -> OnlineIntake:
    return OnlineIntake(store, CONFIG)


def take(intake: OnlineIntake, *calls: dict[str, Any]) -> Any:
    arrived = Arrived()
    arrived.add_batch(json.dumps({"batch": calls}).encode(), WEB, datetime.now(UTC))
    return intake.take(arrived)


def call(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Product Viewed", "messageId": f"m{number}", **more}


def bought(number: int, **more: Any) -> dict[str, Any]:
    said = {"order_id": f"o{number}", "total": 5, "postcode": "LS1", "region": "Kent"}
    return {**call(number), "event": "Order Completed", "properties": said, **more}


HERS = [
    call(1, anonymousId=COOKIE),
    {"type": "identify", "anonymousId": COOKIE, "userId": ADA, "messageId": "m2"},
    call(3, userId=ADA, properties={"email": ADA}),
    bought(4, userId=ADA),
    bought(5, anonymousId=COOKIE),
    {"type": "alias", "previousId": "marguerite.before", "userId": ADA, "messageId": "m6"},
]
WRONG = [call(7, userId=ADA, timestamp="soon"), {"type": f"call of {COOKIE}", "x": "é" * 9}]
OTHERS = [
    call(11, userId=BOB),
    call(12, userId=BOB, anonymousId=COOKIE, properties={"friend": ADA, "size": "7"}),
    bought(13, userId=BOB),
    call(14, userId=BOB, timestamp="soon"),
]


def done(store: Store, folder: Path, identity: str) -> Erased:
    *said, last = forget.forget(store, folder, identity)
    assert all(isinstance(words, str) for words in said)
    assert isinstance(last, Erased)
    return last


def kept(store: Store) -> dict[str, list[Any]]:
    read = store.central().execute
    return {
        "online": read(
            "select message_id, user_id, anonymous_id, person, properties from online order by 1"
        ).fetchall(),
        "orders": read(
            "select order_id, value, customer, person, postcode, region from orders order by 1"
        ).fetchall(),
        "link": read("select one, other from link").fetchall(),
        "quarantine": read("select decode(raw) from quarantine").fetchall(),
    }


def left(folder: Path) -> int:
    return sum(scrub.traces(folder / name, TRACES) for name in ("central.duckdb", "floor.duckdb"))


@pytest.mark.parametrize("identity", [ADA, COOKIE, "marguerite.before"])
def test_whichever_id_is_named_all_of_the_person_goes(
    store: Store, folder: Path, intake: OnlineIntake, identity: str
) -> None:
    take(intake, *HERS, *WRONG, *OTHERS)
    floor = store.floor()
    for raw in (json.dumps({"type": "visit", "zone": ADA}).encode(), b"other"):
        query = "insert into quarantine (topic, reason, raw) values ('a', 'b', ?)"
        floor.execute(query, [raw]).fetchall()
    assert left(folder) > 0
    erased = done(store, folder, identity)
    assert erased.identities == {ADA, COOKIE, "marguerite.before"}
    assert erased.rows == {"online": 6, "link": 2, "quarantine": 3}
    assert erased.unnamed == {"online": 2, "orders": 2}
    assert "3 ids forgotten; rows removed: 6 of online, 2 of link, 3 of quarantine" in str(erased)
    assert kept(store) == {
        "online": [
            ("m11", BOB, None, BOB, "{}"),
            ("m12", BOB, None, BOB, '{"friend":"forgotten","size":"7"}'),
            ("m13", BOB, None, BOB, kept(store)["online"][2][4]),
        ],
        "orders": [
            ("o13", 5.0, BOB, BOB, "LS1", "Kent"),
            ("o4", 5.0, None, None, None, None),
            ("o5", 5.0, None, None, None, None),
        ],
        "link": [],
        "quarantine": [(kept(store)["quarantine"][0][0],)],
    }
    assert BOB in kept(store)["quarantine"][0][0]
    assert floor.execute("select raw from quarantine").fetchall() == [(b"other",)]
    assert left(folder) == 0
    store.close()
    assert left(folder) == 0


def test_what_was_counted_stays(store: Store, folder: Path, intake: OnlineIntake) -> None:
    take(intake, *HERS, *OTHERS)

    def counted() -> list[Any]:
        windows.rebuild_online(store)
        query = (
            "select measure, subject, sum(value) from partial where part like 'online%'"
            " group by all order by all"
        )
        return store.central().execute(query).fetchall()

    before = counted()
    assert ("events", "web", 9.0) in before
    done(store, folder, ADA)
    assert counted() == before


def test_a_repetition_brings_nothing_back(store: Store, folder: Path, intake: OnlineIntake) -> None:
    take(intake, *HERS)
    done(store, folder, ADA)
    again = take(intake, *HERS, bought(40, userId=ADA), call(41, userId=BOB, anonymousId=COOKIE))
    assert (again.events, again.forgotten, again.orders) == (1, 7, 1)
    found = kept(store)
    assert [row[:3] for row in found["online"]] == [("m41", BOB, None)]
    assert found["orders"][1] == ("o40", 5.0, None, None, None, None)
    with store.write() as cursor:
        table = orders._table([])
        assert table.num_rows == 0
        assert forgotten.among(cursor, [ADA, BOB, COOKIE]) == {ADA, COOKIE}
    store.central().execute("checkpoint")
    assert left(folder) == 0


def test_only_the_owner_reads_the_key_and_without_it_nothing_is_taken(
    store: Store, folder: Path, intake: OnlineIntake
) -> None:
    take(intake, *HERS)
    done(store, folder, ADA)
    key = folder / forgotten.KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    hashes = store.central().execute("select hash from forgotten").fetchall()
    secret = forgotten.key(folder)
    assert (forgotten.mark(secret, ADA),) in hashes
    assert key.read_bytes() not in (folder / "central.duckdb").read_bytes()
    os.truncate(key, 0)
    key.unlink()
    for refuse in (
        lambda: done(store, folder, BOB),
        lambda: take(intake, call(50, userId=BOB)),
        lambda: Service(store, CONFIG),
    ):
        with pytest.raises(StoreError, match="restore it from where you keep it"):
            refuse()


def test_short_ids_are_no_part_of_what_others_say(
    store: Store, folder: Path, intake: OnlineIntake
) -> None:
    take(intake, call(1, userId="7"), call(2, userId=BOB, properties={"size": "7"}))
    take(intake, call(3, userId="7", timestamp="soon"), call(4, timestamp="7"))
    erased = done(store, folder, "7")
    assert erased.rows == {"online": 1, "link": 0, "quarantine": 1}
    assert kept(store)["online"][0][4] == '{"size":"7"}'


def test_an_id_that_is_cut_off_goes_too(store: Store, folder: Path, intake: OnlineIntake) -> None:
    with store.write() as cursor:
        cursor.execute(
            "insert into quarantine (reason, size, raw) values ('r', 99, ?), ('r', 99, 'x')",
            [b"... " + ADA.encode()[:10]],
        ).fetchall()
    assert done(store, folder, ADA).rows["quarantine"] == 1


def test_nobody_of_that_name_leaves_all_as_it_was(
    store: Store, folder: Path, intake: OnlineIntake
) -> None:
    take(intake, *HERS)
    found = kept(store)
    assert done(store, folder, "nobody-we-know").rows.total() == 0
    assert kept(store) == found


def test_while_others_write_and_read(store: Store, folder: Path, intake: OnlineIntake) -> None:
    """Row groups that are compressed, a writer on each file and a reader, as when `serve` runs."""
    count = 130_000
    with store.write() as cursor:
        cursor.execute(
            "insert into online"
            " (site, channel, message_id, kind, name, person, user_id, properties)"
            " select 'web', 'web', 'x' || i, 'track', 'Product Viewed', who, who, '{}' from"
            " (select i, case when i % 400 = 0 then ? else 'user-' || (i % 5000) end as who"
            " from range(?) t(i))",
            [ADA, count],
        ).fetchall()
    take(intake, *HERS, *WRONG)
    store.central().execute("checkpoint")
    stop, problems, written = threading.Event(), list[BaseException](), [0]

    def work(step: Any) -> None:
        number = 1_000
        try:
            while not stop.is_set():
                number += 1
                step(number)
                time.sleep(0.005)
        except BaseException as problem:
            problems.append(problem)

    def write(number: int) -> None:
        written[0] += take(intake, call(number, userId=BOB)).events

    floor, reader = store.floor(), store.central()
    steps = (
        write,
        lambda number: floor.execute("insert into ledger values ('a', 'b', ?, [], [])", [number]),
        lambda _: reader.execute("select count(*), max(person) from online").fetchall(),
    )
    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    try:
        done(store, folder, ADA)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert left(folder) == 0
    total = store.central().execute("select count(*) from online").fetchall()
    assert total == [(count - count // 400 + written[0],)]
    store.close()
    assert left(folder) == 0


@pytest.fixture
def busy(store: Store) -> Iterator[None]:
    reading = store.central()
    reading.execute("select * from range(1000000)")
    reading.fetchone()
    yield
    reading.close()


@pytest.mark.usefixtures("busy")
def test_who_reads_all_the_time_is_named(
    store: Store, folder: Path, intake: OnlineIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub, "PATIENCE_SECONDS", 0.1)
    take(intake, *HERS)
    with pytest.raises(scrub.BusyError, match="run the command again"):
        done(store, folder, ADA)
