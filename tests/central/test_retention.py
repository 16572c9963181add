"""What is too old goes, and has been counted."""

import os
from datetime import UTC, datetime, timedelta

from central import retention, windows
from central.config import Config, Retention
from central.store import REPLACED, Store, utc

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAYS = Retention(
    quarantine_days=30,
    gaps_days=30,
    online_days=30,
    orders_days=30,
    audits_days=30,
    expectations_days=30,
    notices_days=30,
    incidents_days=60,
    windows_days=30,
)
CONFIG = Config(retention=DAYS)


def fill(store: Store) -> None:
    """Everything twice in each table: 10 and 40 days old."""
    for days in (10, 40):
        old = utc(NOW - timedelta(days=days))
        window = windows.key(NOW - timedelta(days=days))
        floor = store.floor()
        floor.execute("insert into quarantine (received, reason) values (?, 'why')", [old])
        floor.execute("insert into overflow values (?, 1, 1)", [old.date()])
        floor.execute(
            "insert into numbered values ('leeds', 'door', 'e', ?, ?, ?, ?)",
            [old, old, 50 - days, 60 - days],
        )
        with store.write() as cursor:
            cursor.execute("insert into quarantine (received) values (?)", [old])
            cursor.execute("insert into overflow values (?, 1, 1)", [old.date()])
            cursor.execute(
                'insert into orders (site, channel, order_id, "time", received, value, units, kind)'
                " values ('web', 'web', ?, timestamp '2010-12-01', ?, ?, 1, 'sale')",
                [str(days), old, float(days)],
            )
            cursor.execute(
                'insert into online (site, channel, message_id, "time", person)'
                " values ('web', 'web', ?, ?, ?)",
                [str(days), old, f"anonymous-{days}"],
            )
            cursor.execute(
                "insert into link values ('web', ?, ?, ?)",
                [f"anonymous-{days}", f"user-{days}", old],
            )
            cursor.execute(
                'insert into audit (site, kind, subject, device, "window")'
                " values ('leeds', 'line', 'door', 'door', ?)",
                [window],
            )
            cursor.execute(
                "insert into expectation (site, \"window\") values ('leeds', ?)", [window]
            )
            cursor.execute(
                "insert into unlike (day, site, metrics) values (?, 'leeds', '[]')", [old.date()]
            )
            cursor.execute(
                "insert into released (site, about, zone, start, snapshot, event_timestamp)"
                " values ('leeds', 'site', '', ?, 1, ?)",
                [old, old],
            )
            cursor.execute(
                'insert into partial (part, site, measure, subject, "window", value)'
                " values ('import:x', 'leeds', 'footfall', 'door', ?, 1)",
                [window],
            )
    for name, resolved in (("open", None), ("new", 10), ("old", 40), ("oldest", 70)):
        moment = utc(NOW - timedelta(days=resolved)) if resolved else None
        with store.write() as cursor:
            cursor.execute("insert into incident (id, resolved) values (?, ?)", [name, moment])
            cursor.execute(
                "insert into notice (incident, receiver, event) values (?, 'x', 'opened')", [name]
            )


def count(store: Store, table: str) -> int:
    cursor = store.floor() if table == "numbered" else store.central()
    row = cursor.execute(f"select count(*) from {table}").fetchone()
    assert row
    return int(row[0])


def test_each_table_keeps_what_is_young_enough(store: Store) -> None:
    fill(store)
    gone = retention.apply(store, CONFIG, NOW)
    assert gone == {
        "quarantine": 2,
        "numbered": 1,
        "orders": 1,
        "online": 1,
        "link": 1,
        "audit": 1,
        "expectation": 1,
        "partial": 14,
        "released": 1,
        "unlike": 1,
        "notice": 2,
        "incident": 1,
    }
    for table in ("quarantine", "overflow", "numbered", "orders", "online", "link", "audit"):
        assert count(store, table) == 1, table
    assert store.floor().execute("select count(*) from overflow").fetchall() == [(1,)]
    left = store.central().execute("select id from incident order by id").fetchall()
    assert left == [("new",), ("old",), ("open",)]
    assert retention.apply(store, CONFIG, NOW) == {}


def test_orders_that_go_stay_counted(store: Store) -> None:
    kept = Config(retention=DAYS.model_copy(update={"windows_days": 36_500.0}))
    fill(store)
    windows.rebuild_orders(store)
    query = (
        "select measure, sum(value) from partial where part like 'orders%'"
        " group by all order by all"
    )
    before = store.central().execute(query).fetchall()
    assert ("revenue:", 50.0) in before
    for days in (0, 0, 25):
        retention.apply(store, kept, NOW + timedelta(days=days))
        assert store.central().execute(query).fetchall() == before
        windows.rebuild_orders(store)
        assert store.central().execute(query).fetchall() == before
    assert count(store, "orders") == 0


def test_how_far_an_epoch_was_named_is_never_forgotten(store: Store) -> None:
    fill(store)
    retention.apply(store, CONFIG, NOW + timedelta(days=100))
    assert store.floor().execute("select following from numbered").fetchall() == [(50,)]


def test_what_a_restore_replaced_goes_like_raw_events(store: Store) -> None:
    folder = store.folder / REPLACED
    folder.mkdir()
    (folder / "floor.duckdb").touch()
    os.utime(folder, times=(NOW.timestamp(), NOW.timestamp()))
    retention.apply(store, CONFIG, NOW + timedelta(hours=23))
    assert folder.exists()
    retention.apply(store, CONFIG, NOW + timedelta(hours=25))
    assert not folder.exists()
