"""The command line of `passerby-central`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from central import __version__, local
from central.config import CentralError, Config, load


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a mistake of the user's ends with a sentence and its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
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
    windows = _command(
        imports,
        "windows",
        "load windows that were counted elsewhere",
        "import windows history.parquet --config central.yaml",
    )
    windows.add_argument("file", type=Path, help="columns site, measure, subject, start, value")
    windows.set_defaults(run=_import_windows)

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


def _import_orders(config: Config, options: argparse.Namespace) -> None:
    arguments = {"site": options.site, "channel": options.channel, "shift": options.shift}
    file = str(options.file.absolute())
    print(local.run(config, "import-orders", {"file": file, **arguments}))


def _import_windows(config: Config, options: argparse.Namespace) -> None:
    print(local.run(config, "import-windows", {"file": str(options.file.absolute())}))


def _export_features(config: Config, options: argparse.Namespace) -> None:
    folder = str(options.folder.absolute()) if options.folder else ""
    print(local.run(config, "export-features", {"folder": folder}))


def _attack(config: Config, options: argparse.Namespace) -> None:
    from central import attack

    report = attack.attack(options.seed)
    print(attack.text(report))
    if options.json:
        print(json.dumps(attack.summary(report)))


if __name__ == "__main__":
    main()
