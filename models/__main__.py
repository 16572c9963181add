"""The command line of `passerby-models`, or `python -m models`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from edge import __version__, arrangement
from edge.config import EdgeError
from edge.detector import Detector
from models import bench, export, fetch, zoo


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code, with a sentence on stderr where it is not 0."""
    parser = argparse.ArgumentParser(prog="passerby-models", description="Detectors for devices.")
    parser.add_argument("--version", action="version", version=f"passerby-models {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_list, add_get, add_check, add_bench, add_export):
        add(commands.add_parser)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except EdgeError as error:
        print(f"passerby-models: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"passerby-models: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


Add = Callable[..., argparse.ArgumentParser]


def add_list(add: Add) -> None:
    """`list`: the zoo."""
    command = add(
        "list",
        help="show the detectors that were tested",
        description="Show the detectors that were tested, and which of their files are here.",
        epilog="example: passerby-models list",
    )
    command.set_defaults(run=_list)


def _list(_: argparse.Namespace) -> int:
    heads = ["name", "family", "input", "licence", "MB", "COCO", "PETS", "ms", "here"]
    rows = [
        [
            model.name,
            model.family,
            model.input,
            model.licence,
            f"{model.bytes / 1e6:.1f}",
            _figure(model.coco_ap50),
            _figure(model.pets_ap50),
            _figure(model.ms, 1),
            "yes" if zoo.find(model, zoo.folders()) else "no",
        ]
        for model in zoo.load().values()
    ]
    _table([heads, *rows])
    print("COCO and PETS: AP50 of people. ms: a frame, one thread, on the machine that measured.")
    return 0


def add_get(add: Add) -> None:
    """`get`: a model's file."""
    command = add(
        "get",
        help="bring a detector's file here, and know that it is the one that was tested",
        description="Bring a detector's file here: from the folder PASSERBY_MODELS, from "
        "PASSERBY_SHARED/models, or from its source. Its SHA-256 must be that of the tested file. "
        "Prints its path.",
        epilog="example: passerby-models get deimv2_atto_320 --out /var/lib/passerby",
    )
    command.add_argument("name", metavar="NAME", help="a name that `list` shows")
    command.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where it goes (PASSERBY_MODELS, or else the current folder)",
    )
    command.add_argument(
        "--accept-agpl", action="store_true", help="take a model under the AGPL, and its duties"
    )
    command.set_defaults(run=_get)


def _get(options: argparse.Namespace) -> int:
    folder = options.out or Path(os.environ.get("PASSERBY_MODELS") or ".")
    model = zoo.named(options.name, zoo.load())
    print(fetch.get(model, folder, accept_agpl=options.accept_agpl, tell=_tell))
    return 0


def add_check(add: Add) -> None:
    """`check`: what a file is."""
    command = add(
        "check",
        help="say whether a device can run a model",
        description="Say what an ONNX file is, whether a device can run it, and how long a frame "
        "takes here.",
        epilog="example: passerby-models check yolox_nano_416.onnx",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the detector, an ONNX file")
    command.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    detector = Detector(options.file)
    digest = zoo.sha256(options.file)
    known = next((each for each in zoo.load().values() if each.sha256 == digest), None)
    spent = bench.frame_ms(detector)
    # Boxes and scores that are no numbers are refused by the detector itself.
    detector.detect(bench.noise(), 0.0)
    rates = arrangement.measure(options.file, detector)
    names = detector.classes
    lines = [
        ["family", detector.family],
        ["input", _size(detector)],
        ["classes", f"{len(names)}" if names else "without names; COCO's, or people alone"],
        ["person", f"class {detector.person}"],
        ["licence", _licence(detector.licence, known)],
        ["zoo", known.name if known else "not in it: nobody tested this file"],
        ["SHA-256", digest],
        ["time", f"{spent:.1f} ms a frame with one thread (median of {bench.RUNS})"],
        ["answers", "numbers, on a grey picture and on noise"],
        *(
            [
                "rate",
                f"{each.rate:.1f} frames/s by {each.provider}, frames at once × {each.callers}, "
                f"threads for each × {each.threads}",
            ]
            for _, each in rates
        ),
    ]
    print(options.file)
    _table([["  " + key, value] for key, value in lines])
    return 0


def _licence(stated: str, known: zoo.Model | None) -> str:
    licence = known.licence if known else stated
    if "AGPL" in licence:
        return (
            f"{licence}: offer the users of what you ship or serve the source of the whole work, "
            "or buy another licence"
        )
    return licence or "the file states none: ask where it comes from"


def add_bench(add: Add) -> None:
    """`bench`: accuracy and time, measured."""
    command = add(
        "bench",
        help="measure how well detectors find people, and how long they take",
        description="Measure AP50 of people on 128 pictures of COCO's val2017 and on frames of "
        "PETS09-S2L1, and the time of a frame with one thread, beside another decoder's AP50 and "
        f"the zoo's time. Exits with 1 where an AP50 is further off than {bench.HELD}.",
        epilog="example: passerby-models bench yolox_nano_416 mine.onnx --json",
    )
    command.add_argument(
        "models", nargs="*", metavar="NAME|FILE", help="of the zoo, or files (all that are here)"
    )
    command.add_argument(
        "--all", action="store_true", help="all 795 frames of PETS, beside the zoo's own figure"
    )
    command.add_argument(
        "--min-confidence",
        type=float,
        default=bench.MIN_CONFIDENCE,
        metavar="P",
        help="leave out boxes below it (%(default)s)",
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    models = zoo.load()
    chosen = [_file(word, models) for word in options.models] or [
        (model, path)
        for model in models.values()
        if (path := zoo.find(model, zoo.folders())) is not None
    ]
    if not chosen:
        raise EdgeError("no model is here: `passerby-models get NAME` brings one")
    frames = None if options.all else bench.SAMPLE
    results = []
    for model, path in chosen:
        name = model.name if model else str(path)
        _tell(f"{name} ...")
        found = bench.measure(Detector(path), zoo.shared(), frames, options.min_confidence)
        stated = None
        if model:
            coco, pets = model.reference or (None, None)
            stated = bench.Measured(coco, model.pets_all_ap50 if options.all else pets, model.ms)
        results.append((name, found, stated, bench.held(found, stated)))
    if options.json:
        keys = ("name", "measured", "stated", "held")
        plain = [
            (name, asdict(found), stated and asdict(stated), held)
            for name, found, stated, held in results
        ]
        print(json.dumps([dict(zip(keys, each, strict=True)) for each in plain], indent=2))
    else:
        heads = ["name", "COCO", "other", "PETS", "other", "ms", "zoo", "held"]
        _table([heads, *(_row(*each) for each in results)])
    return int(any(held is False for *_, held in results))


def _row(
    name: str, found: bench.Measured, stated: bench.Measured | None, held: bool | None
) -> list[str]:
    other = stated or bench.Measured(None, None, None)
    return [
        name,
        _figure(found.coco_ap50),
        _figure(other.coco_ap50),
        _figure(found.pets_ap50),
        _figure(other.pets_ap50),
        _figure(found.ms, 1),
        _figure(other.ms, 1),
        {True: "yes", False: "NO", None: "-"}[held],
    ]


def _file(word: str, models: Mapping[str, zoo.Model]) -> tuple[zoo.Model | None, Path]:
    """A model by its name in the zoo, or a file that may or may not be one of the zoo's."""
    if word in models:
        path = zoo.find(models[word], zoo.folders())
        if path is None:
            raise EdgeError(f"{word} is not here: `passerby-models get {word}` brings it")
        return models[word], path
    path = Path(word)
    return next((each for each in models.values() if zoo.is_file_of(each, path)), None), path


def add_export(add: Add) -> None:
    """`export`: weights to an ONNX file."""
    command = add(
        "export",
        help="make an ONNX detector of ultralytics weights",
        description="Make an ONNX detector of ultralytics weights, compare it with torch, and load "
        "it as a device would. An architecture (yolo11n.yaml) gets random weights, for tests. "
        "Weights can run code when they are read: export only those that you trust.",
        epilog="example: passerby-models export yolo11n.pt --imgsz 640x384",
    )
    command.add_argument("weights", metavar="WEIGHTS.pt|ARCH.yaml", help="what is exported")
    command.add_argument(
        "--imgsz",
        type=_pixels,
        required=True,
        metavar="N",
        help="the input's side in pixels, or WIDTHxHEIGHT",
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="the ONNX file (named after the weights, here)"
    )
    command.add_argument(
        "--opset", type=int, metavar="N", help="of the ONNX operators (ultralytics' own choice)"
    )
    command.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    out = options.out or Path(Path(options.weights).stem + ".onnx")
    made = export.export(options.weights, options.imgsz, out, options.opset)
    if made.random:
        _tell(f"{options.weights}: an architecture: the weights are random, always the same")
    _tell(
        f"largest difference from torch: {made.pixels:.1e} pixels in boxes (at most "
        f"{export.PIXELS}), {made.scores:.1e} in scores (at most {export.SCORES}), on "
        f"{export.PICTURES} random pictures"
    )
    _tell(
        "under the AGPL-3.0, as all that ultralytics exports of its weights, unless you have "
        "their enterprise licence: offer the users of what you ship or serve the source of the "
        "whole work"
    )
    print(f"{out}: {made.detector.family}, {_size(made.detector)}, {made.detector.model_hash}")
    return 0


def _pixels(text: str) -> tuple[int, int]:
    words = text.split("x")
    sides = [int(word) for word in words if word.isdecimal()]
    if len(words) > 2 or len(sides) < len(words) or not all(sides):
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 640 or 640x384")
    return sides[0], sides[-1]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _size(detector: Detector) -> str:
    return "{}x{}".format(*detector.size)


def _figure(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
