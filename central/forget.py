"""Erase a person from both files, so that no trace is left in their bytes and none comes back.

What belongs to the person alone goes: events, links, and whatever in quarantine names them; what
the events counted stays in the sums. Orders stay, without the person, region and postcode: the
money was paid, the shop must keep it in its books, and its sums would be wrong without it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from central import forgotten, scrub, windows
from central.intake import identity
from central.store import Store, StoreError, transaction, utc

LEAST_LENGTH = 6
"""Shorter ids are not looked for in what others sent: `7` is in it as a quantity, too."""
ROUNDS = 3


@dataclass
class Erased:
    """What went, by table; `unnamed` rows are still there, without the person."""

    identities: set[str]
    rows: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counted = [f"{count:,} of {table}" for table, count in self.rows.items() if count]
        changed = [f"{count:,} of {table}" for table, count in self.unnamed.items() if count]
        return (
            f"{len(self.identities)} ids forgotten; rows removed: {', '.join(counted) or 'none'};"
            f" rows kept without the person: {', '.join(changed) or 'none'};"
            " no trace is left in the files"
        )


def forget(store: Store, folder: Path, wanted: str) -> Iterator[str | Erased]:
    """Erase an id and all that are linked to it, at all sites; yields its progress, then the end.

    Raises StoreError where the key of the hashes is lost, and where traces are left.
    """
    with store.writing, store.central() as cursor:
        known = cursor.execute("select count(*) from forgotten").fetchall()[0][0]
        secret = forgotten.key(folder, create=not known)
        erased = Erased(_linked(cursor, wanted))
        yield "overwriting what is free in central.duckdb"
        scrub.free_space(cursor)
        yield f"writing its tables anew without {len(erased.identities)} ids"
        with transaction(cursor):
            _erase_online(cursor, erased)
            cursor.executemany(
                "insert or ignore into forgotten values (?, ?)",
                [
                    (forgotten.mark(secret, each), utc(datetime.now(UTC)))
                    for each in sorted(erased.identities)
                ],
            )
            for table in set(scrub.tables(cursor)) - {"online", "link", "quarantine"}:
                scrub.rewrite(cursor, table)
        yield from _clean(cursor, folder / "central.duckdb", erased.identities)
    with store.floor() as cursor:
        yield "overwriting what is free in floor.duckdb"
        scrub.free_space(cursor)
        _retried(cursor, erased)
        yield from _clean(cursor, folder / "floor.duckdb", erased.identities)
    yield erased


def _linked(cursor: duckdb.DuckDBPyConnection, wanted: str) -> set[str]:
    """The id, whom it is counted for, and all that lead there; at any site."""
    sites = [site for (site,) in cursor.execute("select distinct site from link").fetchall()]
    found, before = {wanted}, set[str]()
    while found != before:
        before = set(found)
        for site in sites:
            people = identity.persons(cursor, site, before)
            found |= identity.behind(cursor, site, people.values())
    return found


def _erase_online(cursor: duckdb.DuckDBPyConnection, erased: Erased) -> None:
    cursor.register("gone", pa.table({"id": pa.array(sorted(erased.identities), pa.string())}))
    named = "coalesce(user_id, anonymous_id) in (from gone) or person in (from gone)"
    erased.unnamed["online"] = _changed(
        cursor,
        "update online set anonymous_id = null"
        f" where anonymous_id in (from gone) and not coalesce({named}, false)",
    )
    for word, other in _quoted(erased.identities):
        erased.unnamed["online"] += _changed(
            cursor,
            "update online set properties = replace(properties, $1, $2),"
            " campaign = replace(campaign, $1, $2) where (contains(properties, $1)"
            f" or contains(campaign, $1)) and not coalesce({named}, false)",
            [word, other],
        )
    erased.unnamed["orders"] = _changed(
        cursor,
        "update orders set customer = null, person = null, region = null, postcode = null"
        " where customer in (from gone) or person in (from gone)",
    )
    erased.rows["online"] = windows.let_go(cursor, "online", f"coalesce({named}, false)")
    scrub.rewrite(cursor, "online")
    erased.rows["link"] = scrub.rewrite(
        cursor, "link", "one not in (from gone) and other not in (from gone)"
    )
    _erase_quarantine(cursor, erased, ("place", "reason"))
    cursor.unregister("gone")


def _erase_quarantine(
    cursor: duckdb.DuckDBPyConnection, erased: Erased, texts: Iterable[str]
) -> None:
    """Remove what names the person in its bytes or its reason, or was cut off in their id."""
    pattern = re.compile(b"|".join(_bounded(word) for word in words(erased.identities)))
    tails = tuple(
        word[:length]
        for word in words(erased.identities)
        for length in range(LEAST_LENGTH, len(word))
    )
    columns = ", ".join(["id", "raw", "size", *texts])
    reading = cursor.execute(f"select {columns} from quarantine")
    named = []
    while rows := reading.fetchmany(1_000):
        for row, raw, size, *said in rows:
            text = b"\n".join([raw or b"", *((each or "").encode() for each in said)])
            cut = len(raw or b"") < (size or 0) and any(
                (raw or b"").endswith(tail) for tail in tails
            )
            if cut or pattern.search(text):
                named.append(row)
    cursor.register("named", pa.table({"id": pa.array(named, pa.int64())}))
    erased.rows["quarantine"] += scrub.rewrite(cursor, "quarantine", "id not in (from named)")
    cursor.unregister("named")


def _retried(cursor: duckdb.DuckDBPyConnection, erased: Erased) -> None:
    """The quarantine of the floor; a device's message that is being written makes us try again."""
    for attempt in range(ROUNDS * 10):
        try:
            with transaction(cursor):
                _erase_quarantine(cursor, erased, ("topic", "reason"))
        except duckdb.TransactionException:
            if attempt == ROUNDS * 10 - 1:
                raise
        else:
            return


def _clean(cursor: duckdb.DuckDBPyConnection, path: Path, identities: set[str]) -> Iterator[str]:
    for _ in range(ROUNDS):
        yield f"overwriting what was left in {path.name}"
        scrub.free_space(cursor)
        left = scrub.traces(path, (word for word in words(identities) if len(word) >= LEAST_LENGTH))
        if not left:
            return
    raise StoreError(f"{path}: {left} traces are left; run the command again")


def words(identities: Iterable[str]) -> list[bytes]:
    """How the ids may be written: as they are, and as JSON escapes them."""
    return sorted(
        {
            text.encode("utf-8", "surrogatepass")
            for each in identities
            for text in (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
        }
    )


def _bounded(word: bytes) -> bytes:
    if len(word) < LEAST_LENGTH:
        return rb'Id"\s*:\s*"?' + re.escape(word) + rb'"?\s*[,}]'
    return rb"(?<![\w@.+-])" + re.escape(word) + rb"(?![\w@+-])"


def _quoted(identities: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in sorted(identities):
        if len(each) >= LEAST_LENGTH:
            yield json.dumps(each, ensure_ascii=False), '"forgotten"'


def _changed(cursor: duckdb.DuckDBPyConnection, query: str, values: list[str] | None = None) -> int:
    return int(cursor.execute(query, values or []).fetchall()[0][0])
