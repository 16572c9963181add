"""Three cameras that overlap, in a rendered store: everybody is counted once.

The detector is the truth itself, whoever is seen by at least 20 %, so that what is judged is the
trackers and the floor.
"""

from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import pytest

from edge import wire
from edge.camera import Frame
from edge.detector import Detections, Detector
from edge.ground import Ground
from edge.pipeline import CameraPipeline
from edge.privacy import Gate
from edge.simulator import camera_config, parse, truth

START = datetime(2026, 1, 1, tzinfo=UTC)
STORE = "sim://supermarket?seed=4&people=40&minutes=6&camera="
CAMERAS = ("overview", "entrance", "checkouts")
LEAST_STAY = 5.0
LEAST_SEEN = 0.5


class Seeing:
    """A detector that knows the truth, frame by frame."""

    def __init__(self, record: truth.Record) -> None:
        box = record.boxes
        seen = (record.visibility >= truth.SEEN) & (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])
        self._boxes = [box[seen & (record.frames == frame)] for frame in range(record.scene.frames)]
        self._frame = 0

    def detect(self, _image: object, _least: float) -> Detections:
        boxes = self._boxes[self._frame]
        self._frame += 1
        return Detections(boxes, np.full(len(boxes), 0.9, np.float32))


@pytest.fixture(scope="module")
def records() -> list[truth.Record]:
    return [truth.record(parse(STORE + camera)) for camera in CAMERAS]


@pytest.fixture(scope="module")
def events(records: list[truth.Record]) -> list[wire.Event]:
    scenes = [record.scene for record in records]
    cameras = [camera_config(scene) for scene in scenes]
    ground = Ground(
        cameras, Gate(0.25), {c.id: s.fps for c, s in zip(cameras, scenes, strict=True)}
    )
    pipelines = [
        CameraPipeline(camera, cast(Detector, Seeing(record)), ground, record.scene.fps)
        for camera, record in zip(cameras, records, strict=True)
    ]
    blank = np.zeros((*scenes[0].size[::-1], 3), np.uint8)
    found: list[wire.Event] = []
    for index in range(scenes[0].frames):
        frame = Frame(index, START + timedelta(seconds=index / scenes[0].fps), blank)
        for pipeline in pipelines:
            found += pipeline.process(frame)
    for pipeline in pipelines:
        found += pipeline.close(START + timedelta(minutes=scenes[0].minutes))
    return found


def test_footfall_is_that_of_one_camera_that_sees_all(
    records: list[truth.Record], events: list[wire.Event]
) -> None:
    true = {
        (each.person, each.seconds)
        for record in records
        for each in truth.crossings(record)
        if each.line == "entrance" and each.direction == "in" and each.seen and not each.staff
    }
    found = [
        each
        for each in events
        if isinstance(each, wire.Crossing)
        and each.line == "entrance"
        and each.direction == "in"
        and not each.staff
    ]
    assert len(true) > 60
    assert len(found) == pytest.approx(len(true), rel=0.02)
    assert {each.cameras for each in found} == {("supermarket-overview", "supermarket-entrance")}


def test_visits_are_not_doubled(records: list[truth.Record], events: list[wire.Event]) -> None:
    watched = {
        zone.id
        for record in records
        for zone in camera_config(record.scene).zones
        if zone.role != "queue"
    }
    seen: dict[tuple[int, str, float], float] = {}
    for record in records:
        for each in truth.visits(record):
            if each.zone in watched and each.exited - each.entered >= LEAST_STAY:
                key = each.person, each.zone, each.entered
                seen[key] = max(seen.get(key, 0.0), 0.0 if each.staff else each.seen)
    true = [key for key, share in seen.items() if share >= LEAST_SEEN]
    found = [
        each
        for each in events
        if isinstance(each, wire.Visit)
        and each.zone in watched
        and each.dwell >= LEAST_STAY
        and not each.staff
    ]
    assert len(true) > 60
    # Not 0.02 yet: where many stand close together, a track that is broken makes two visits.
    assert len(found) == pytest.approx(len(true), rel=0.06)
