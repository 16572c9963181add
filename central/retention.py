"""What is too old goes: once a day while `serve` runs, or by command.

Raw floor events have a rule of their own (`windows.rebuild`), and the ledger is kept for ever. An
order or online event that goes has been counted, and stays counted.
"""

import shutil
from datetime import datetime, timedelta

import duckdb

from central import windows
from central.config import Config
from central.store import REPLACED, Store, transaction, utc


def apply(store: Store, config: Config, now: datetime) -> dict[str, int]:
    """Delete what is too old; returns how many rows of which table, where there were any."""
    kept = config.retention

    def before(days: float) -> datetime:
        return now - timedelta(days=days)

    quarantine, gaps = utc(before(kept.quarantine_days)), utc(before(kept.gaps_days))
    gone = {
        "orders": windows.expire_orders(store, before(kept.orders_days)),
        "online": windows.expire_online(store, windows.key(before(kept.online_days))),
    }
    with transaction(store.floor()) as cursor:
        gone["quarantine"] = _delete(cursor, "quarantine", "received < ?", quarantine)
        _delete(cursor, "overflow", "day < ?", quarantine)
        # The newest of an epoch says how far its numbers have been named.
        gone["numbered"] = _delete(
            cursor,
            "numbered",
            "hour < ? and exists (select 1 from numbered n where n.site = numbered.site and"
            " n.device = numbered.device and n.epoch = numbered.epoch and n.hour > numbered.hour)",
            gaps,
        )
    with store.write() as cursor:
        gone["quarantine"] += _delete(cursor, "quarantine", "received < ?", quarantine)
        _delete(cursor, "overflow", "day < ?", quarantine)
        gone["link"] = _delete(
            cursor,
            "link",
            "since < ? and one not in (select person from online where person is not null)"
            " and other not in (select person from online where person is not null)",
            utc(before(kept.online_days)),
        )
        for table, days in (
            ("audit", kept.audits_days),
            ("expectation", kept.expectations_days),
            ("partial", kept.windows_days),
        ):
            gone[table] = _delete(cursor, table, '"window" < ?', windows.key(before(days)))
        gone["released"] = _delete(
            cursor, "released", "event_timestamp < ?", utc(before(kept.windows_days))
        )
        gone["unlike"] = _delete(cursor, "unlike", "day < ?", utc(before(kept.expectations_days)))
        resolved = "select id from incident where resolved < ?"
        notices = utc(before(kept.notices_days))
        gone["notice"] = _delete(cursor, "notice", f"incident in ({resolved})", notices)
        incidents = utc(before(max(kept.incidents_days, kept.notices_days)))
        gone["incident"] = _delete(cursor, "incident", "resolved < ?", incidents)
    replaced = store.folder / REPLACED
    if replaced.exists() and now.timestamp() - replaced.stat().st_mtime > config.raw_hours * 3600:
        shutil.rmtree(replaced)
        gone[f"the files in {REPLACED}/"] = 1
    return {table: rows for table, rows in gone.items() if rows}


def _delete(
    cursor: duckdb.DuckDBPyConnection, table: str, condition: str, before: datetime | int
) -> int:
    row = cursor.execute(f"delete from {table} where {condition}", [before]).fetchone()
    return int(row[0]) if row else 0
