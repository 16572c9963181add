"""One camera's way from frames to events: crowds, sizes, gaps, and the motion gate."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from edge import wire
from edge.camera import Frame, Lost, Restarted, read
from edge.config import CameraConfig
from edge.detector import Detections, Detector
from edge.ground import Ground
from edge.pipeline import NOBODY, CameraPipeline
from edge.privacy import Gate

START = datetime(2026, 1, 1, tzinfo=UTC)
ROOM = {
    "id": "a",
    "source": "none",
    "zones": [
        {
            "id": "all",
            "name": "All",
            "role": "area",
            "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]],
        }
    ],
}


class Seen:
    """A detector that finds the same people in every picture."""

    def __init__(self, found: Detections = NOBODY) -> None:
        self.found = found
        self.asked = 0

    def detect(self, _: npt.NDArray[np.uint8], __: float) -> Detections:
        self.asked += 1
        return self.found


def pipeline(detector: object, **more: object) -> CameraPipeline:
    camera = CameraConfig.model_validate({**ROOM, **more})
    ground = Ground([camera], Gate(0.02), {camera.id: 10.0}, seed=0)
    return CameraPipeline(camera, cast(Detector, detector), ground, 10.0)


def frame(index: int, size: tuple[int, int] = (90, 160), seconds: float | None = None) -> Frame:
    moment = index / 10 if seconds is None else seconds
    return Frame(index, START + timedelta(seconds=moment), np.zeros((*size, 3), np.uint8))


def crowd(people: int) -> Detections:
    """People (20 a row) of 6 by 12 pixels, apart from one another."""
    places = np.array([(8 * (n % 20), 14 * (n // 20)) for n in range(people)], np.float32)
    corners = places.reshape(-1, 2)
    return Detections(
        np.hstack([corners, corners + np.array([6, 12], np.float32)]),
        np.full(people, 0.9, np.float32),
    )


def test_two_hundred_people_at_once_are_two_hundred() -> None:
    room = pipeline(Seen(crowd(200)))
    for index in range(30):
        assert room.handle(frame(index, (150, 160))) == []
    assert len(room.tracks.ids) == len(room.positions) == 200
    assert room.people == {"all": 200}
    events = room.close(START + timedelta(seconds=3))
    assert sum(isinstance(event, wire.Visit) for event in events) == 200
    assert len({event.track for event in events if isinstance(event, wire.Path)}) == 200


def test_a_picture_of_another_size_ends_all_tracks_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = pipeline(Seen(crowd(3)))
    for index in range(20):
        room.handle(frame(index))
    before = set(room.track_ids)
    events = room.handle(frame(20, (180, 320)))
    assert {e.track for e in events if isinstance(e, wire.Path)} == before
    assert "camera a: the picture is 320 x 180 now, and was 160 x 90" in caplog.text
    for index in range(21, 40):
        room.handle(frame(index, (180, 320)))
    assert len(room.tracks.ids) == 3
    assert not before & set(room.track_ids)
    assert caplog.text.count("all tracks begin anew") == 1
    assert room.state == "ok"


def test_numbers_that_are_left_out_are_dropped_frames() -> None:
    room = pipeline(Seen())
    for index in (0, 1, 5, 6):
        room.handle(frame(index))
    assert (room.frames, room.dropped) == (4, 3)
    room.handle(Restarted(START + timedelta(seconds=1)))
    for index in (0, 2):
        room.handle(frame(index, seconds=1 + index / 10))
    room.handle(Lost(START + timedelta(seconds=9), "offline"))
    room.handle(frame(3, seconds=10))
    assert (room.frames, room.dropped) == (7, 4)


@pytest.mark.parametrize(("motion_gate", "asked"), [(False, 100), (True, 37)])
def test_an_empty_scene_is_followed_but_not_looked_at(motion_gate: bool, asked: int) -> None:
    """3 s after the first frame, and once in each of the 7 that follow, less the last."""
    detector = Seen()
    room = pipeline(detector, motion_gate=motion_gate)
    for index in range(100):
        room.handle(frame(index))
    assert detector.asked == asked
    assert (room.frames, room.still) == (100, 100 - asked)
    (coverage,) = [e for e in room.close(frame(100).time) if isinstance(e, wire.Coverage)]
    assert (coverage.seen, coverage.expected) == (100, 100)


def test_whoever_stands_still_is_looked_at_all_the_time() -> None:
    detector = Seen(crowd(1))
    room = pipeline(detector)
    for index in range(100):
        room.handle(frame(index))
    assert (detector.asked, room.people) == (100, {"all": 1})


def test_the_gate_loses_nothing_on_a_real_clip(shared: Path) -> None:
    """An empty room, and somebody who comes in."""
    detector = Detector(shared / "models/deimv2_atto_320.onnx")
    frames = list(islice(read(shared / "video/one-by-one.mp4", START), 140))
    found: dict[bool, list[Any]] = {}
    for motion_gate in (False, True):
        room = pipeline(detector, motion_gate=motion_gate)
        events = [event for each in frames for event in room.handle(each)]
        found[motion_gate] = events + room.close(frames[-1].time)
        assert (room.still > 20) == motion_gate
    assert found[True] == found[False]
    assert sum(isinstance(event, wire.Visit) for event in found[True]) == 1
