"""The command line of `passerby-central`."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from central import __version__, backup, compaction, local
from central.config import CHANNELS, CentralError, Config, load
from central.store import REPLACED


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a mistake of the user's ends with a sentence and its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    for library in ("httpx", "matplotlib"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        options.run(load(options.config) if options.config else Config(), options)
    except CentralError as error:
        print(f"passerby-central: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "passerby-central", description="Floor events and orders become series and incidents."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = _command(commands, "serve", "run central", "serve --config central.yaml")
    serve.set_defaults(run=_serve)

    imports = commands.add_parser("import", help="load a file").add_subparsers(
        required=True, metavar="KIND"
    )
    orders = _command(
        imports,
        "orders",
        "load orders from Parquet or CSV",
        "import orders orders.parquet --site web --channel web --config central.yaml",
    )
    orders.add_argument("file", type=Path)
    orders.add_argument("--site", required=True, help="the shop, or the web shop")
    orders.add_argument("--channel", default="web", choices=["web", "pos", "app"])
    orders.add_argument("--shift", type=float, default=0.0, help="seconds added to every time")
    orders.set_defaults(run=_import_orders)
    till = _command(
        imports,
        "till",
        "load a till's receipts from CSV",
        "import till receipts.csv --mapping till.yaml --config central.yaml",
    )
    till.add_argument("file", type=Path)
    till.add_argument("--mapping", type=Path, required=True, help="which column is what (YAML)")
    till.set_defaults(run=_import_till)
    online = _command(
        imports,
        "online",
        "load calls of the Segment spec, one a line, or a CSV with a mapping",
        "import online events.ndjson.gz --site web --channel web --config central.yaml",
    )
    online.add_argument("file", type=Path)
    online.add_argument("--site", required=True, help="the shop, or the web shop")
    online.add_argument("--channel", default="web", choices=CHANNELS)
    online.add_argument("--mapping", type=Path, help="which column of a CSV is what (YAML)")
    online.set_defaults(run=_import_online)
    windows = _command(
        imports,
        "windows",
        "load windows that were counted elsewhere",
        "import windows history.parquet --config central.yaml",
    )
    windows.add_argument("file", type=Path, help="columns site, measure, subject, start, value")
    windows.set_defaults(run=_import_windows)
    forget = _command(
        commands,
        "forget",
        "erase a person from both files, so that no repetition brings them back",
        "forget ada@example.org --config central.yaml",
    )
    forget.add_argument("id", help="a user's or an anonymous id; all linked to it go, too")
    forget.set_defaults(run=_forget)
    _quarantine_parsers(commands)
    _file_parsers(commands)

    told = commands.add_parser("features", help="what segmentation jobs read").add_subparsers(
        required=True, metavar="ACTION"
    )
    export = _command(
        told,
        "export",
        "release what may be told, and write it as Parquet by date",
        "features export --config central.yaml",
    )
    export.add_argument("--folder", type=Path, help="instead of `features` in the data folder")
    export.set_defaults(run=_export_features)

    _detect_parser(commands)
    gate = commands.add_parser("privacy", help="try the k-gate").add_subparsers(
        required=True, metavar="ACTION"
    )
    attack = _command(
        gate,
        "attack",
        "let three attackers guess secrets of generated people from what the k-gate releases",
        "privacy attack --json",
    )
    attack.add_argument("--seed", type=int, default=1, help="other people")
    attack.add_argument("--json", action="store_true", help="end with a line of JSON")
    attack.set_defaults(run=_attack)
    return parser


def _quarantine_parsers(parent: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands = parent.add_parser(
        "quarantine", help="what could not be taken in, and why"
    ).add_subparsers(required=True, metavar="COMMAND")
    listing = _command(
        commands, "list", "count reasons, list the newest", "quarantine list --config central.yaml"
    )
    listing.add_argument("--reason", default="", help="only those whose reason contains this")
    listing.add_argument("--limit", type=int, default=20, help="how many to list (20)")
    listing.set_defaults(run=_local("quarantine-list", "reason", "limit"))
    show = _command(commands, "show", "show one with its bytes", "quarantine show floor-12")
    show.add_argument("name")
    show.set_defaults(run=_local("quarantine-show", "name"))
    for name, words in (
        ("replay", "try again to take in, each exactly once"),
        ("drop", "delete for good"),
    ):
        command = _command(commands, name, words, f"quarantine {name} floor-12 online-7")
        command.add_argument("names", nargs="*", help="as `list` shows them")
        command.add_argument("--all", action="store_true", help="all there are")
        command.add_argument("--reason", default="", help="all whose reason contains this")
        command.set_defaults(run=_choose(f"quarantine-{name}"))


def _file_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    gaps = _command(commands, "gaps", "say which events are missing", "gaps --hours 48")
    gaps.add_argument("--site", help="one site alone")
    gaps.add_argument("--hours", type=float, default=24.0, help="how far back (24)")
    gaps.add_argument("--all", action="store_true", help="hours without a gap, too")
    gaps.add_argument("--json", action="store_true", help="for programs")
    gaps.set_defaults(run=_local("gaps", "site", "hours", "all", "json"))
    saving = _command(
        commands, "backup", "copy both files, while `serve` runs or not", "backup /backups/monday"
    )
    saving.add_argument("folder", type=Path, help="a new folder")
    saving.set_defaults(run=_backup)
    restore = _command(
        commands, "restore", "put a backup in the place of both files", "restore /backups/monday"
    )
    restore.add_argument("folder", type=Path, help="what `backup` wrote")
    restore.set_defaults(run=_restore)
    retention = _command(
        commands, "retention", "delete what is too old now, not tonight", "retention"
    )
    retention.set_defaults(run=_local("retention"))
    compact = _command(commands, "compact", "shrink both files; `serve` must not run", "compact")
    compact.set_defaults(run=_compact)
    sql = _command(
        commands,
        "sql",
        "ask central.duckdb, read-only",
        "sql \"select site, sum(value) from partial where measure = 'footfall' group by site\"",
    )
    sql.add_argument("query")
    form = sql.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv")
    form.add_argument("--json", dest="form", action="store_const", const="json")
    sql.set_defaults(run=_local("sql", "query", "form"), form="table")


def _detect_parser(parent: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    detect = _command(
        parent,
        "detect",
        "try the detectors on a CSV file: what was expected, how odd each row is, what alerts",
        "detect visits.csv --time hour --value visitors --zone Europe/London --out scores.csv",
    )
    detect.add_argument("file", type=Path)
    detect.add_argument("--time", required=True, help="the column with the times")
    detect.add_argument("--value", required=True, help="the column with the values")
    detect.add_argument(
        "--kind",
        default="count",
        choices=["count", "gauge", "ratio", "duration"],
        help="whole numbers of things; a level; a share from 0 to 1; a length of time (count)",
    )
    detect.add_argument(
        "--side", default="both", choices=["both", "high", "low"], help="what alerts (both)"
    )
    detect.add_argument("--coverage", help="the column with the share of time observed, 0 to 1")
    detect.add_argument(
        "--calendar", type=Path, action="append", default=[], help="an iCal file; may come again"
    )
    detect.add_argument("--zone", help="the time zone of the place (UTC)")
    detect.add_argument("--site", help="take time zone and calendars of this site from --config")
    detect.add_argument("--step", help="what lies between rows, like 15min, 1h, 1d (found out)")
    detect.add_argument("--budget", type=float, default=1.0, help="false alerts a week (1)")
    detect.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    detect.add_argument("--plot", type=Path, help="a picture to draw (PNG, SVG or PDF)")
    detect.set_defaults(run=_detect)


def _command(
    parent: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = parent.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=f"example: passerby-central {example}",
    )
    parser.add_argument("--config", type=Path, help="settings (YAML)")
    return parser


def _serve(config: Config, options: argparse.Namespace) -> None:
    from central.service import serve

    serve(config)


def _local(command: str, *names: str) -> Callable[[Config, argparse.Namespace], None]:
    """Run a local command with these of the options."""
    return lambda config, options: print(
        local.run(config, command, {name: getattr(options, name) for name in names})
    )


def _choose(command: str) -> Callable[[Config, argparse.Namespace], None]:
    def run(config: Config, options: argparse.Namespace) -> None:
        if sum([bool(options.names), options.all, bool(options.reason)]) != 1:
            raise CentralError("name some of them, or give --reason, or --all")
        print(local.run(config, command, {"names": options.names, "reason": options.reason}))

    return run


def _backup(config: Config, options: argparse.Namespace) -> None:
    words = local.run(config, "backup", {"folder": str(options.folder.absolute())})
    print(f"{options.folder}: {words}")


def _restore(config: Config, options: argparse.Namespace) -> None:
    done = backup.restore(options.folder, config.data)
    print(f"{config.data}: generation {done.generation} is restored; start `serve`")
    if done.replaced:
        print(f"what it took the place of is in {config.data / REPLACED} for now")


def _compact(config: Config, options: argparse.Namespace) -> None:
    for each in compaction.compact(config.data):
        print(f"{each.file}: {each.after:,} bytes, {each.before:,} before")


def _import_orders(config: Config, options: argparse.Namespace) -> None:
    arguments = {"site": options.site, "channel": options.channel, "shift": options.shift}
    file = str(options.file.absolute())
    print(local.run(config, "import-orders", {"file": file, **arguments}, _progress))


def _import_till(config: Config, options: argparse.Namespace) -> None:
    arguments = {"file": str(options.file.absolute()), "mapping": str(options.mapping.absolute())}
    print(local.run(config, "import-till", arguments, _progress))


def _import_online(config: Config, options: argparse.Namespace) -> None:
    arguments = {
        "file": str(options.file.absolute()),
        "site": options.site,
        "channel": options.channel,
        "mapping": str(options.mapping.absolute()) if options.mapping else None,
    }
    print(local.run(config, "import-online", arguments, _progress))


def _forget(config: Config, options: argparse.Namespace) -> None:
    print(local.run(config, "forget", {"id": options.id}, _progress))


def _progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _import_windows(config: Config, options: argparse.Namespace) -> None:
    print(local.run(config, "import-windows", {"file": str(options.file.absolute())}))


def _export_features(config: Config, options: argparse.Namespace) -> None:
    folder = str(options.folder.absolute()) if options.folder else ""
    print(local.run(config, "export-features", {"folder": folder}))


def _detect(config: Config, options: argparse.Namespace) -> None:
    from central.detect import replay

    site = config.site(options.site) if options.site else None
    arguments = replay.Arguments(
        time=options.time,
        value=options.value,
        kind=options.kind,
        side=options.side,
        coverage=options.coverage,
        calendars=(*options.calendar, *(config.calendars(site) if site else ())),
        zone=options.zone or (site.time_zone if site else "UTC"),
        step=options.step,
        budget=options.budget,
    )
    print(replay.run(options.file, arguments, options.out, options.plot, _progress))


def _attack(config: Config, options: argparse.Namespace) -> None:
    from central import attack, verdict

    report = attack.attack(options.seed)
    print(verdict.text(report))
    if options.json:
        print(json.dumps(verdict.summary(report)))


if __name__ == "__main__":
    main()
