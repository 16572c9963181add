"""What the command line can ask for, and what is said in answer.

`local` runs them: here, or in `serve`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from central import backup, export, forget, gaps, outlook, quarantine, retention, sql
from central.config import Config
from central.intake import files, imports, till
from central.intake.events import Intake
from central.intake.online import OnlineIntake
from central.store import Store

Arguments = dict[str, Any]
Words = str | Iterator[str]
"""What a command says: one that takes long says how far it is, and its result last."""


@dataclass(frozen=True)
class Scope:
    """What commands work on."""

    store: Store
    config: Config
    intake: Intake
    online: OnlineIntake


def _import_orders(scope: Scope, arguments: Arguments) -> Iterator[str]:
    site = arguments["site"]
    done = yield from files.order_import(
        scope.store,
        Path(arguments["file"]),
        site=site,
        channel=arguments["channel"],
        currency=scope.config.site(site).currency,
        shift=timedelta(seconds=arguments["shift"]),
    )
    yield str(done)


def _import_till(scope: Scope, arguments: Arguments) -> Iterator[str]:
    done = yield from till.till_import(
        scope.store, scope.config, Path(arguments["file"]), Path(arguments["mapping"])
    )
    yield str(done)


def _import_online(scope: Scope, arguments: Arguments) -> Iterator[str]:
    mapping = arguments["mapping"]
    done = yield from imports.online_import(
        scope.store,
        scope.config,
        Path(arguments["file"]),
        site=arguments["site"],
        channel=arguments["channel"],
        mapping=Path(mapping) if mapping else None,
    )
    yield str(done)


def _forget(scope: Scope, arguments: Arguments) -> Iterator[str]:
    return (str(words) for words in forget.forget(scope.store, scope.config.data, arguments["id"]))


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
    done = quarantine.replay(
        scope.store, scope.intake, _chosen(scope, arguments), scope.online.replay
    )
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


def _export_features(scope: Scope, arguments: Arguments) -> str:
    fresh = export.release(scope.store, scope.config, datetime.now(UTC))
    folder = Path(arguments["folder"] or scope.config.data / "features")
    rows = export.write(scope.store, scope.config, folder)
    return f"{rows:,} rows in {folder / 'in_store'}; {len(fresh)} dates have got new ones"


def _forecast(scope: Scope, arguments: Arguments) -> str:
    site = scope.config.site(arguments["site"])
    return _either(outlook.forecast(scope.store, site, arguments["metric"]), arguments)


def _unlike(scope: Scope, arguments: Arguments) -> str:
    day = date.fromisoformat(arguments["day"]) if arguments["day"] else None
    return _either(outlook.unlike(scope.store, scope.config, day), arguments)


def _either(found: outlook.Forecast | outlook.Comparison, arguments: Arguments) -> str:
    if arguments["json"]:
        return json.dumps(asdict(found), default=lambda moment: moment.isoformat())
    if isinstance(found, outlook.Forecast):
        return outlook.forecast_words(found)
    return outlook.unlike_words(found)


COMMANDS: dict[str, Callable[[Scope, Arguments], Words]] = {
    "import-orders": _import_orders,
    "import-till": _import_till,
    "import-online": _import_online,
    "import-windows": _import_windows,
    "quarantine-list": _quarantine_list,
    "quarantine-show": _quarantine_show,
    "quarantine-replay": _quarantine_replay,
    "quarantine-drop": _quarantine_drop,
    "gaps": _gaps,
    "retention": _retain,
    "backup": _backup,
    "sql": _sql,
    "forget": _forget,
    "export-features": _export_features,
    "forecast": _forecast,
    "unlike": _unlike,
}
