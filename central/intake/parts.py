"""Imports that go on where they stopped: parts, each a transaction that says how far it is.

How many rows of a file are in stands in the table `importing`, under the hash of the file's content
and of what it is imported as, until all of it is in.
"""

import hashlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import yaml
from pydantic import BaseModel, ValidationError

from central.config import CentralError, ConfigError
from central.intake import orders
from central.store import Store

ORDERS_A_PART = 5_000
Note = Callable[[duckdb.DuckDBPyConnection], object]
Model = TypeVar("Model", bound=BaseModel)


class ImportFileError(CentralError):
    """A file cannot be imported as it is."""

    exit_code = 2


def digest(path: Path, *purpose: str) -> str:
    """The name of an import: of the file's content, and of what it is imported as."""
    made = hashlib.sha256("\0".join(purpose).encode())
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            made.update(part)
    return made.hexdigest()


def begun(store: Store, name: str) -> int:
    """How many rows are in of an import that did not end."""
    rows = store.central().execute("select done from importing where digest = ?", [name])
    return next((int(done) for (done,) in rows.fetchall()), 0)


def noted(name: str, done: int) -> Note:
    """Says within a transaction how many rows are in."""
    return lambda cursor: cursor.execute(
        "insert or replace into importing values (?, ?)", [name, done]
    ).fetchall()


def ended(cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    """Forget how far an import was: all of it is in."""
    cursor.execute("delete from importing where digest = ?", [name]).fetchall()


def keep_orders(store: Store, brought: pa.Table, name: str) -> Generator[str, None, int]:
    """Keep the orders of one site, from where it stopped; returns how many were not known.

    brought: as `orders.keep` takes them, the same in the same order each time.
    """
    fresh = 0
    for start in range(begun(store, name), brought.num_rows, ORDERS_A_PART):
        part = brought.slice(start, ORDERS_A_PART)
        with store.write() as cursor:
            fresh += len(orders.keep(cursor, part))
            noted(name, start + part.num_rows)(cursor)
        yield f"{start + part.num_rows:,} of {brought.num_rows:,} orders"
    with store.write() as cursor:
        ended(cursor, name)
    return fresh


def mapping(path: Path, model: type[Model]) -> Model:
    """Read a mapping of columns. Raises ConfigError with the key and what is wrong with it."""
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name an existing file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConfigError(
            "\n".join(
                f"{path}: {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
                for problem in error.errors()
            )
        ) from error
