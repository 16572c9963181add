"""Commands that need the files: run here, or, while `serve` has them open, by `serve`.

DuckDB admits one process. `serve` listens on a socket in the data folder that its own user alone
may open.
"""

import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, HTTPException

from central import backup, gaps, quarantine, retention, sql
from central.config import CentralError, Config
from central.intake import files
from central.intake.events import Intake
from central.store import LockedError, Store

SOCKET = "central.sock"
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What commands work on."""

    store: Store
    config: Config
    intake: Intake


Command = Callable[[Scope, Arguments], str]


class LocalError(CentralError):
    """`serve` has the files open and could not run the command."""


def _import_orders(scope: Scope, arguments: Arguments) -> str:
    site = arguments["site"]
    done = files.import_orders(
        scope.store,
        Path(arguments["file"]),
        site=site,
        channel=arguments["channel"],
        currency=scope.config.site(site).currency,
        shift=timedelta(seconds=arguments["shift"]),
    )
    return (
        f"{done.lines:,} lines read ({done.repeated:,} repeat another): {done.orders:,} orders and"
        f" {done.returns:,} returns, {done.known:,} of them known before"
    )


def _import_windows(scope: Scope, arguments: Arguments) -> str:
    return f"{files.import_windows(scope.store, Path(arguments['file'])):,} values taken"


def _quarantine_list(scope: Scope, arguments: Arguments) -> str:
    counts = quarantine.counts(scope.store)
    lines = [f"{number:>9,}  {_printable(reason)}" for reason, number in counts.items()]
    more = len(lines) - quarantine.SHOWN_REASONS
    lines[quarantine.SHOWN_REASONS :] = [f"{'':9}  and {more:,} other reasons"] if more > 0 else []
    lost = quarantine.overflow(scope.store)
    if lost:
        lines.append(f"{lost:>9,}  found no room, and are counted alone")
    if not lines:
        return "the quarantine is empty"
    found = quarantine.entries(scope.store, reason=arguments["reason"], limit=arguments["limit"])
    rows = [
        (
            each.name,
            f"{each.received:%Y-%m-%d %H:%M:%S}",
            each.origin,
            each.size,
            _printable(each.reason),
        )
        for each in found
    ]
    columns = ("name", "received (UTC)", "from", "bytes", "reason")
    return "\n".join([*lines, "", sql.table(columns, rows)])


def _quarantine_show(scope: Scope, arguments: Arguments) -> str:
    (entry,) = quarantine.entries(scope.store, [arguments["name"]])
    cut = f", of which {len(entry.raw):,} were kept" if entry.cut else ""
    return "\n".join(
        [
            f"{entry.name}, received {entry.received:%Y-%m-%d %H:%M:%S} UTC from {entry.origin}",
            f"reason: {_printable(entry.reason)}",
            f"{entry.size:,} bytes{cut}:",
            _printable(entry.raw.decode(errors="backslashreplace")),
        ]
    )


def _printable(text: str) -> str:
    """What a stranger wrote, without what would move a terminal's cursor."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text
    )


def _chosen(scope: Scope, arguments: Arguments) -> list[str]:
    """The names given, or, without any, those of a reason."""
    names: list[str] = arguments["names"]
    if names:
        return names
    return [entry.name for entry in quarantine.entries(scope.store, reason=arguments["reason"])]


def _quarantine_replay(scope: Scope, arguments: Arguments) -> str:
    done = quarantine.replay(scope.store, scope.intake, _chosen(scope, arguments))
    lines = [f"{done.taken:,} taken in, {len(done.refused):,} still refused"]
    return "\n".join(
        lines + [f"{name}: {_printable(reason)}" for name, reason in done.refused.items()]
    )


def _quarantine_drop(scope: Scope, arguments: Arguments) -> str:
    return f"{quarantine.drop(scope.store, _chosen(scope, arguments)):,} dropped"


def _gaps(scope: Scope, arguments: Arguments) -> str:
    now = datetime.now(UTC)
    start = now - timedelta(hours=arguments["hours"])
    found = gaps.report(scope.store, arguments["site"], start, now)
    shown = [gap for gap in found if gap.missing or arguments["all"]]
    if arguments["json"]:
        return json.dumps([asdict(gap) for gap in shown], default=datetime.isoformat)
    missing, expected = sum(gap.missing for gap in found), sum(gap.expected for gap in found)
    last = f"{missing:,} of {expected:,} events are missing"
    columns = ("site", "device", "hour (UTC)", "numbered since", "expected", "received", "missing")
    rows = [
        (
            *(gap.site, gap.device, f"{gap.hour:%Y-%m-%d %H:%M}", f"{gap.since:%m-%d %H:%M}"),
            *(gap.expected, gap.received, gap.missing),
        )
        for gap in shown
    ]
    return "\n".join([sql.table(columns, rows), last] if rows else [last])


def _retain(scope: Scope, arguments: Arguments) -> str:
    gone = retention.apply(scope.store, scope.config, datetime.now(UTC))
    return "\n".join(f"{rows:,} of {table}" for table, rows in gone.items()) or "nothing is too old"


def _backup(scope: Scope, arguments: Arguments) -> str:
    saved = backup.backup(scope.store, Path(arguments["folder"]), datetime.now(UTC))
    return f"generation {saved.generation}, {saved.size:,} bytes"


def _sql(scope: Scope, arguments: Arguments) -> str:
    return sql.write(sql.ask(scope.store, arguments["query"]), arguments["form"])


COMMANDS: dict[str, Command] = {
    "import-orders": _import_orders,
    "import-windows": _import_windows,
    "quarantine-list": _quarantine_list,
    "quarantine-show": _quarantine_show,
    "quarantine-replay": _quarantine_replay,
    "quarantine-drop": _quarantine_drop,
    "gaps": _gaps,
    "retention": _retain,
    "backup": _backup,
    "sql": _sql,
}


def run(config: Config, command: str, arguments: Arguments) -> str:
    """Run a command and return its words. Raises CentralError."""
    try:
        store = Store(config.data)
    except LockedError:
        return _ask(config, command, arguments)
    try:
        return COMMANDS[command](Scope(store, config, Intake(store)), arguments)
    finally:
        store.close()


def _ask(config: Config, command: str, arguments: Arguments) -> str:
    path = config.data / SOCKET
    transport = httpx.HTTPTransport(uds=str(path))
    try:
        with httpx.Client(transport=transport, timeout=None) as client:
            answer = client.post(f"http://local/{command}", json=arguments)
    except httpx.TransportError as error:
        raise LocalError(
            f"{config.data}: in use by another process that does not answer at {path}; stop it"
        ) from error
    if answer.status_code == 400:
        raise LocalError(answer.json()["detail"])
    answer.raise_for_status()
    words: str = answer.json()
    return words


class LocalServer:
    """Listens for commands in a thread of its own."""

    def __init__(self, scope: Scope) -> None:
        self._path = scope.config.data / SOCKET
        app = FastAPI(openapi_url=None)

        @app.post("/{command}")
        def command(command: str, arguments: Arguments) -> str:
            if command not in COMMANDS:
                raise HTTPException(404)
            try:
                return COMMANDS[command](scope, arguments)
            except CentralError as error:
                raise HTTPException(400, str(error)) from error

        self._server = uvicorn.Server(
            uvicorn.Config(app, loop="asyncio", log_config=None, access_log=False)
        )
        self._thread = threading.Thread(target=self._run, name="local", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(before)
        self._thread.start()

    def stop(self) -> None:
        """Finish the command that runs, and stop."""
        self._server.should_exit = True
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
