"""The command line of the edge: `passerby-edge`, or `python -m edge`."""

import argparse
import logging
import math
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge import __version__, agent, contract, mot
from edge.calibration import LENS_PAIRS, Floats, fit_lens, reprojection_errors
from edge.config import ConfigError, EdgeError, load_agent, load_camera
from edge.replay import replay
from edge.simulator import parse
from edge.simulator.export import export
from edge.simulator.scene import READERS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code, with a sentence on stderr where it is not 0."""
    parser = argparse.ArgumentParser(
        prog="passerby-edge", description="Store cameras become anonymous events."
    )
    parser.add_argument("--version", action="version", version=f"passerby-edge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_run(commands.add_parser)
    add_replay(commands.add_parser)
    add_track(commands.add_parser)
    add_calibrate(commands.add_parser)
    add_simulate(commands.add_parser)
    add_contract(commands.add_parser)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        code: int = options.run(options)
    except EdgeError as error:
        print(f"passerby-edge: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"passerby-edge: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


Add = Callable[..., argparse.ArgumentParser]


def add_run(add: Add) -> None:
    """`run`: the agent."""
    command = add(
        "run",
        help="watch the cameras and publish",
        description="Watch the cameras of a device and publish their events until stopped.",
        epilog="example: passerby-edge run --config agent.yaml",
    )
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the device's YAML file"
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    agent.run(load_agent(options.config), stop)
    return 0


def add_contract(add: Add) -> None:
    """`contract`: the wire contract as AsyncAPI and JSON Schema."""
    command = add(
        "contract",
        help="write the wire contract's AsyncAPI and JSON Schema files",
        description="Write asyncapi.yaml and schema/ as generated from the program itself.",
        epilog="example: passerby-edge contract --out docs",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the files go"
    )
    command.set_defaults(run=_contract)


def _contract(options: argparse.Namespace) -> int:
    contract.write(options.out)
    return 0


def add_replay(add: Add) -> None:
    """`replay`: a video file to a file of events."""
    command = add(
        "replay",
        help="turn a video file into events",
        description="Run a video file through the agent's own rooms; no broker is needed. "
        "The same arguments write the same bytes.",
        epilog="example: passerby-edge replay aisle.mp4 --config aisle.yaml "
        "--model deimv2_atto_320.onnx --out events.jsonl --tracks tracks.txt",
    )
    command.add_argument("video", metavar="VIDEO", help="a video file, or sim://NAME (simulate)")
    command.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the camera's YAML file"
    )
    command.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="the detector, an ONNX file"
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="track ids follow from it (0)"
    )
    command.add_argument(
        "--start",
        type=_moment,
        default="2026-01-01T00:00:00Z",
        metavar="TIME",
        help="when the first frame was taken, RFC 3339 (%(default)s)",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the events, a line of JSON each"
    )
    command.add_argument(
        "--tracks", type=Path, metavar="FILE", help="the tracks too, in the MOTChallenge format"
    )
    command.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    summary = replay(
        options.video,
        load_camera(options.config),
        options.model,
        seed=options.seed,
        start=options.start,
        out=options.out,
        tracks=options.tracks,
    )
    print(
        f"{summary.frames} frames, {summary.events} events, "
        f"{summary.frames / max(summary.seconds, 1e-9):.1f} frames/s",
        file=sys.stderr,
    )
    return 0


def add_track(add: Add) -> None:
    """`track`: a file of detections to a file of tracks."""
    command = add(
        "track",
        help="turn a file of detections into tracks",
        description="Track detections, both files in the MOTChallenge format, as the agent would. "
        "The rows of a frame depend on none that comes after it.",
        epilog="example: passerby-edge track det.txt --fps 10 --out tracks.txt",
    )
    command.add_argument("detections", type=Path, metavar="DET.txt", help="rows of " + mot.COLUMNS)
    command.add_argument(
        "--fps", type=_rate, required=True, metavar="N", help="frames a second of the video"
    )
    command.add_argument(
        "--size", type=_size, metavar="WxH", help="the picture's size: no box may lie outside it"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where the tracks go"
    )
    command.set_defaults(run=_track)


def _track(options: argparse.Namespace) -> int:
    frames = mot.track(options.detections, options.out, options.fps, options.size)
    print(f"{frames} frames", file=sys.stderr)
    return 0


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate between 0 and 1000, like 10")
    return rate


def add_calibrate(add: Add) -> None:
    """`calibrate`: how well a camera's point pairs fit."""
    command = add(
        "calibrate",
        help="say how well a camera's point pairs fit",
        description="Print how far each point pair of a camera is off, and which distortion of the "
        "lens fits them best. A pair that is far off is mistyped; the others should be within a "
        "few centimetres.",
        epilog="example: passerby-edge calibrate entrance.yaml --size 1920x1080",
    )
    command.add_argument("config", type=Path, metavar="FILE", help="the camera's YAML file")
    command.add_argument(
        "--size",
        type=_shape,
        default="16x9",
        metavar="WxH",
        help="the picture's size, for its shape (%(default)s)",
    )
    command.set_defaults(run=_calibrate)


def _calibrate(options: argparse.Namespace) -> int:
    camera = load_camera(options.config)
    given = camera.calibration(options.size)
    if given is None:
        raise ConfigError(f"{options.config}: no homography: give at least 4 point pairs")
    picture = [pair.pixel for pair in camera.homography or ()]
    places = [pair.floor for pair in camera.homography or ()]
    off = reprojection_errors(given, picture, places)
    for (u, v), (x, y), metres in zip(picture, places, off.tolist(), strict=True):
        print(f"pixel [{u:.3f}, {v:.3f}]  floor [{x:.2f}, {y:.2f}]  off by {metres:.3f} m")
    print(f"distortion {given.distortion:g}: off by {_rms(off):.3f} m (RMS)")
    if len(picture) < LENS_PAIRS:
        print(f"to find the lens's distortion, give at least {LENS_PAIRS} pairs")
    else:
        best = fit_lens(picture, places, options.size)
        error = _rms(reprojection_errors(best, picture, places))
        print(f"distortion {best.distortion:g} fits best: off by {error:.3f} m (RMS)")
    return 0


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no size like 1920x1080")
    return int(match[1]), int(match[2])


def _shape(text: str) -> float:
    width, height = _size(text)
    return width / height


def add_simulate(add: Add) -> None:
    """`simulate`: a rendered store's truth, and its camera's configuration."""
    command = add(
        "simulate",
        help="write what really happens in a rendered store",
        description="Write a rendered store's truth, which no footage has: boxes, tracks on the "
        "floor, crossings, visits, queues and sales; and camera.yaml, with which `replay` runs "
        "the same store through the agent's rooms.",
        epilog="example: passerby-edge simulate 'sim://supermarket?seed=7&people=40&minutes=10' "
        "--out supermarket --video",
    )
    command.add_argument(
        "source", metavar="SOURCE", help=f"sim://NAME?KEY=VALUE&...; keys: {', '.join(READERS)}"
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the files go"
    )
    command.add_argument("--video", action="store_true", help="draw it too, as video.mp4")
    command.set_defaults(run=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    export(parse(options.source), options.out, video=options.video)
    return 0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time like 2026-01-01T00:00:00Z"
        ) from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no time zone; write {text}Z for UTC")
    return moment.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
