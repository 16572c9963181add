"""A scene's truth as files, and its camera's configuration, for `passerby-edge simulate`."""

import csv
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import yaml

from edge.config import CameraConfig, CameraError
from edge.simulator import truth
from edge.simulator.calibration import camera_config
from edge.simulator.scene import Scene, pictures

PROGRESS_SECONDS = 5.0

log = logging.getLogger(__name__)


def export(scene: Scene, folder: Path, *, video: bool = False) -> None:
    """Write a scene to a folder, which is made.

    camera.yaml for `passerby-edge replay`; seqinfo.ini and gt/gt.txt (MOTChallenge); floor.csv,
    crossings.csv, visits.csv, queue.csv and sales.csv; video.mp4 where it is wanted.

    Raises:
        CameraError: no video can be written here.
    """
    (folder / "gt").mkdir(parents=True, exist_ok=True)
    camera = camera_config(scene)
    (folder / "camera.yaml").write_text(_yaml(camera))
    found = truth.record(scene, _progress("truth", scene.frames))
    with (folder / "gt/gt.txt").open("w") as file:
        file.writelines(truth.mot_rows(found))
    (folder / "seqinfo.ini").write_text(_seqinfo(camera.id, scene))
    _table(
        folder / "floor.csv",
        ("frame", "id", "x", "y"),
        (
            (frame + 1, number, f"{x:.3f}", f"{y:.3f}")
            for frame, number, (x, y) in zip(
                found.frames.tolist(), found.ids.tolist(), found.positions.tolist(), strict=True
            )
        ),
    )
    _table(
        folder / "crossings.csv",
        ("seconds", "line", "direction", "person", "staff", "seen"),
        (
            (f"{c.seconds:.2f}", c.line, c.direction, c.person, int(c.staff), int(c.seen))
            for c in truth.crossings(found)
        ),
    )
    _table(
        folder / "visits.csv",
        ("zone", "person", "entered", "exited", "staff", "seen"),
        (
            (v.zone, v.person, f"{v.entered:.2f}", f"{v.exited:.2f}", int(v.staff), f"{v.seen:.2f}")
            for v in truth.visits(found)
        ),
    )
    _table(
        folder / "queue.csv",
        ("till", "person", "joined", "served", "left", "wait", "service"),
        (
            (
                turn.till,
                turn.person,
                f"{turn.joined:.1f}",
                "" if turn.served is None else f"{turn.served:.1f}",
                f"{turn.left:.1f}",
                f"{turn.wait:.1f}",
                "" if turn.service is None else f"{turn.service:.1f}",
            )
            for turn in found.turns
        ),
    )
    _table(
        folder / "sales.csv",
        ("till", "seconds", "value"),
        (
            (turn.till, f"{turn.left:.1f}", f"{turn.value:.2f}")
            for turn in found.turns
            if turn.value is not None
        ),
    )
    if video:
        _video(scene, folder / "video.mp4")


def _table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _yaml(camera: CameraConfig) -> str:
    content = camera.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)


def _seqinfo(name: str, scene: Scene) -> str:
    width, height = scene.size
    return (
        f"[Sequence]\nname={name}\nimDir=img1\nframeRate={scene.fps:g}\nseqLength={scene.frames}\n"
        f"imWidth={width}\nimHeight={height}\nimExt=.jpg\n"
    )


def _video(scene: Scene, path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), scene.fps, scene.size)
    if not writer.isOpened():
        raise CameraError(f"{path}: this build of OpenCV writes no mp4; leave --video out")
    tell = _progress("video", scene.frames)
    try:
        for index, picture in enumerate(pictures(scene)):
            tell(index)
            writer.write(np.ascontiguousarray(picture))
    finally:
        writer.release()


def _progress(what: str, frames: int) -> Callable[[int], None]:
    begun = told = time.monotonic()

    def tell(frame: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told > PROGRESS_SECONDS:
            told = now
            log.info("%s: frame %d of %d, %.0f/s", what, frame, frames, frame / (now - begun))

    return tell
