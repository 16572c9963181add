"""Who was forgotten: no id, only its keyed hash, so that what comes again is known and not kept.

The key lies in a file beside the databases that only their owner may read, not in them: who has a
copy of the databases alone cannot try ids.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

import duckdb

from central.store import StoreError

KEY_FILE = "forget.key"


def key(folder: Path, *, create: bool = False) -> bytes:
    """The key of the hashes. Raises StoreError where it is not there, unless it may be made."""
    path = folder / KEY_FILE
    if create and not path.exists():
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "w") as file:
            file.write(os.urandom(32).hex())
            file.flush()
            os.fsync(file.fileno())
    try:
        return bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: people were forgotten, and without this file they would come back;"
            " restore it from where you keep it"
        ) from error


def mark(secret: bytes, identity: str) -> str:
    """The keyed hash of an id."""
    return hmac.new(secret, identity.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def among(cursor: duckdb.DuckDBPyConnection, identities: Iterable[str]) -> set[str]:
    """Those of the ids that were forgotten. Raises StoreError where the key is lost."""
    rows = cursor.execute("select hash from forgotten limit 1").fetchall()
    if not rows:
        return set()
    place = cursor.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    secret = key(Path(place[0][0]).parent)
    marks = {mark(secret, identity): identity for identity in identities}
    found = cursor.execute(
        "select hash from forgotten where hash in (select unnest(?::varchar[]))", [list(marks)]
    ).fetchall()
    return {marks[hash_] for (hash_,) in found}
