"""Replay: a video file through the same rooms as the agent's, to a file of events."""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edge import mot, wire
from edge.arrangement import cores
from edge.camera import Frame, file_rate, read
from edge.config import AgentConfig, CameraConfig
from edge.detector import Detector
from edge.flight import assemble, depth, fly
from edge.ground import Ground
from edge.pipeline import CameraPipeline
from edge.privacy import Gate

PROGRESS_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What a replay did; seconds are of the wall clock."""

    frames: int
    events: int
    seconds: float


def replay(
    video: str | Path,
    camera: CameraConfig,
    model: Path,
    *,
    seed: int,
    start: datetime,
    out: Path,
    tracks: Path | None = None,
) -> Summary:
    """Write the events of a video or rendered store, a line of JSON each as they are emitted.

    The same arguments write the same bytes. `tracks`, if given, gets the tracks too, in the
    MOTChallenge format: frame (from 1), id, left, top, width, height, score, -1, -1, -1. The
    camera's own `source` and `loop` do not matter.

    Raises:
        CameraError, ModelError: as `edge.camera.read` and `Detector`; what was read is written.
    """
    fps = camera.fps or file_rate(video)
    default = AgentConfig.model_fields
    step = default["position_step" if camera.homography else "fraction_step"].default
    gate = Gate(step, default["time_step"].default)
    ground = Ground([camera], gate, {camera.id: fps}, seed)
    pipeline = CameraPipeline(camera, Detector(model), ground, fps)
    began = told = time.perf_counter()
    count, end = 0, start
    with ExitStack() as files:
        lines = files.enter_context(out.open("wb"))
        rows = files.enter_context(tracks.open("w")) if tracks else None
        crew = files.enter_context(assemble(cores()))

        def write(events: list[wire.Event]) -> int:
            lines.writelines(wire.encode(event) + b"\n" for event in events)
            return len(events)

        try:
            for frame, events in fly(
                read(video, start, camera.fps), pipeline, crew, depth(cores(), 1)
            ):
                count += write(events)
                end = frame.time + timedelta(seconds=1 / fps)
                if rows and isinstance(frame, Frame):
                    rows.writelines(mot.rows(frame.index + 1, pipeline.tracks))
                if time.perf_counter() - told > PROGRESS_SECONDS:
                    told = time.perf_counter()
                    rate = pipeline.frames / (told - began)
                    log.info("%s: frame %d, %.0f frames/s", video, pipeline.frames, rate)
        finally:
            if pipeline.frames:
                count += write(pipeline.close(end))
    return Summary(pipeline.frames, count, time.perf_counter() - began)
