"""The command line of `passerby-central`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from central import __version__, local
from central.config import CHANNELS, CentralError, Config, load


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


if __name__ == "__main__":
    main()
