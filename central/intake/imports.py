"""Calls of the Segment spec from files."""

import csv
import gzip
import io
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from central import windows
from central.config import Config
from central.intake import parts
from central.intake.online import Arrived, OnlineIntake, Taken
from central.intake.parts import ImportFileError
from central.intake.segment import Kind, Source
from central.store import Store

LINES_A_PART = 1_000


class OnlineMapping(BaseModel):
    """Which column of a CSV is which field of a `track` or `page` call.

    `names` renames events, `pages` are names of pages; other columns are properties if they are
    listed. A time without an offset is UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    event: str
    time: str
    user_id: str | None = None
    anonymous_id: str | None = None
    names: dict[str, str] = {}
    pages: frozenset[str] = frozenset()
    properties: Annotated[tuple[str, ...], Field(max_length=50)] = ()


@dataclass(frozen=True)
class Imported:
    """What an import found and did; `begun` lines were in before it was stopped."""

    lines: int
    begun: int
    taken: Taken

    def __str__(self) -> str:
        taken = self.taken
        went_on = f", {self.begun:,} of them before it stopped" if self.begun else ""
        return (
            f"{self.lines:,} lines read{went_on}: {taken.events:,} events and {taken.orders:,}"
            f" orders, {taken.duplicates:,} known before, {taken.forgotten:,} of people who were"
            f" forgotten, {taken.refused.total():,} in quarantine"
        )


def online_import(
    store: Store,
    config: Config,
    path: Path,
    *,
    site: str,
    channel: str,
    mapping: Path | None = None,
) -> Generator[str, None, Imported]:
    """Calls of the Segment spec, one a line (`.gz` or not), or the rows of a CSV with a mapping.

    A line is taken as it was received (`receivedAt`), or its `timestamp` is believed.
    Yields how far it is. Raises ImportFileError, ConfigError.
    """
    if not path.is_file():
        raise ImportFileError(f"{path}: no such file")
    rules = parts.mapping(mapping, OnlineMapping) if mapping else None
    name = parts.digest(path, "online", site, channel, rules.model_dump_json() if rules else "")
    intake = OnlineIntake(store, config)
    intake.changed()
    source = Source(site, channel, config.site(site).currency)
    done = start = parts.begun(store, name)
    total = Taken()
    with _opened(path) as file:
        lines = _calls(path, file, rules)
        for _ in islice(lines, start):
            pass
        while part := list(islice(lines, LINES_A_PART)):
            arrived = Arrived()
            for number, (kind, line) in enumerate(part, done + 1):
                _add(arrived, line, source, f"import {path.name}:{number}", kind)
            done += len(part)
            total.add(intake.take(arrived, parts.noted(name, done)))
            yield f"{done:,} lines"
    with store.write() as cursor:
        parts.ended(cursor, name)
    changed = intake.changed()
    if changed is not None:
        windows.rebuild_orders(store, changed)
        windows.rebuild_online(store)
    return Imported(done, start, total)


def _opened(path: Path) -> io.BufferedReader | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _calls(
    path: Path, file: io.BufferedReader | gzip.GzipFile, rules: OnlineMapping | None
) -> Iterator[tuple[Kind | None, bytes]]:
    """The calls of a file, with the kind where the call does not say it itself."""
    try:
        if rules is None:
            yield from ((None, line.strip()) for line in file if line.strip())
            return
        rows = csv.DictReader(line.decode(errors="replace") for line in file)
        names = list(rows.fieldnames or [])
        wanted = {rules.event, rules.time, rules.user_id, rules.anonymous_id, *rules.properties}
        absent = wanted - set(names) - {None}
        twice = {each for each in wanted if each and names.count(each) > 1}
        if absent or twice:
            raise ImportFileError(
                f"{path}: the mapping's columns must be there once; absent:"
                f" {', '.join(sorted(map(str, absent))) or 'none'}, twice:"
                f" {', '.join(sorted(twice)) or 'none'}"
            )
        for row in rows:
            event = row[rules.event] or ""
            said: dict[str, object] = {
                "userId": row[rules.user_id] if rules.user_id else None,
                "anonymousId": row[rules.anonymous_id] if rules.anonymous_id else None,
                "timestamp": _utc(row[rules.time] or ""),
                "properties": {column: row[column] for column in rules.properties},
            }
            page = event in rules.pages
            said["name" if page else "event"] = rules.names.get(event, event)
            yield ("page" if page else "track"), msgspec.json.encode(said)
    except (OSError, EOFError, csv.Error) as error:
        raise ImportFileError(f"{path}: cannot be read: {error}") from error


def _utc(text: str) -> str:
    """A time as the spec writes it; what is none is left as it is, to be refused with its words."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


class _Received(msgspec.Struct, rename="camel"):
    received_at: datetime | None = None


_received = msgspec.json.Decoder(_Received)


def _add(arrived: Arrived, line: bytes, source: Source, place: str, kind: Kind | None) -> None:
    """A line, whose time is believed where it does not say `receivedAt`."""
    try:
        received = _received.decode(line).received_at
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        received = None
    if received is not None and received.tzinfo is None:
        received = None
    now = datetime.now(UTC)
    arrived.add(line, source, received or now, place, kind=kind, believed=received is None)
