"""The command line of `passerby-models`."""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge import __version__
from edge.config import EdgeError
from edge.detector import Detector

RUNS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code, with a sentence on stderr where it is not 0."""
    parser = argparse.ArgumentParser(prog="passerby-models", description="Detectors for devices.")
    parser.add_argument("--version", action="version", version=f"passerby-models {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="say whether a device can run a model",
        description="Say which family an ONNX file belongs to, and how long a frame takes here.",
        epilog="example: passerby-models check yolox_nano_416.onnx",
    )
    check.add_argument("file", type=Path, metavar="FILE", help="the detector, an ONNX file")
    check.set_defaults(run=_check)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except EdgeError as error:
        print(f"passerby-models: {error}", file=sys.stderr)
        return error.exit_code
    return code


def _check(options: argparse.Namespace) -> int:
    detector = Detector(options.file)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        detector.detect(image)
        seconds.append(time.perf_counter() - began)
    print(
        f"{options.file}: {detector.family}, {detector.size} × {detector.size} pixels,"
        f" hash {detector.model_hash}, {1000 * statistics.median(seconds):.1f} ms a frame"
        f" with one thread (median of {RUNS})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
