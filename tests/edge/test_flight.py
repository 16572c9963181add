"""Frames in flight: several at once, in order, and none waits for a later one."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pytest

from edge.camera import Frame, Lost, Signal
from edge.config import CameraError, ModelError
from edge.detector import Detections
from edge.flight import assemble, depth, fly
from edge.pipeline import NOBODY, CameraPipeline

START = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = np.zeros((4, 4, 3), np.uint8)


class Pipeline:
    """Notes what is begun and handled; a detection is `detect`."""

    def __init__(self, detect: Callable[[Frame], Detections] = lambda _: NOBODY) -> None:
        self.detect = detect
        self.handled: list[Signal] = []
        self.begun = 0

    def begin(self, signal: Signal, crew: Executor) -> Future[Detections] | None:
        self.begun += 1
        return crew.submit(self.detect, signal) if isinstance(signal, Frame) else None

    def handle(self, signal: Signal, ahead: Future[Detections] | None) -> list[Any]:
        if ahead:
            ahead.result()
        self.handled.append(signal)
        return [len(self.handled)]


def frame(index: int) -> Frame:
    return Frame(index, START + timedelta(seconds=index), IMAGE)


def flown(
    signals: Iterator[Signal], pipeline: Pipeline, callers: int = 3, deep: int = 5
) -> Iterator[tuple[Signal, list[Any]]]:
    with assemble(callers) as crew:
        yield from fly(signals, cast(CameraPipeline, pipeline), crew, deep)


def test_the_order_is_kept_however_long_each_takes() -> None:
    waits = random.Random(7)
    signals: list[Signal] = [frame(index) for index in range(60)]
    signals.insert(30, Lost(START, "offline"))

    def slow(_: Frame) -> Detections:
        time.sleep(waits.uniform(0, 0.01))
        return NOBODY

    pipeline = Pipeline(slow)
    found = list(flown(iter(signals), pipeline))
    assert found == [(signal, [number + 1]) for number, signal in enumerate(signals)]
    assert pipeline.handled == signals


def test_several_are_looked_at_at_once_and_no_more_than_that_are_taken() -> None:
    together = threading.Barrier(3, timeout=30)
    taken = 0

    def wait(_: Frame) -> Detections:
        together.wait()
        return NOBODY

    def signals() -> Iterator[Signal]:
        nonlocal taken
        for index in range(30):
            taken = index + 1
            yield frame(index)

    pipeline = Pipeline(wait)
    for number, _ in enumerate(flown(signals(), pipeline, callers=3, deep=5)):
        assert taken <= number + 5
    assert pipeline.begun == 30


def test_a_frame_waits_for_no_later_one() -> None:
    told = threading.Event()

    def signals() -> Iterator[Signal]:
        yield frame(0)
        assert told.wait(30)
        yield frame(1)

    for _ in flown(signals(), Pipeline()):
        told.set()
    assert told.is_set()


def test_what_goes_wrong_is_told_after_what_went_right() -> None:
    def cut() -> Iterator[Signal]:
        yield from map(frame, range(5))
        raise CameraError("cut off")

    def broken(each: Frame) -> Detections:
        if each.index == 3:
            raise ModelError("NaN")
        return NOBODY

    for signals, pipeline, error, count in (
        (cut(), Pipeline(), CameraError, 5),
        (map(frame, range(9)), Pipeline(broken), ModelError, 3),
    ):
        with pytest.raises(error):
            list(flown(signals, pipeline))
        assert len(pipeline.handled) == count


def test_who_leaves_ends_the_reader() -> None:
    ended = threading.Event()

    def signals() -> Iterator[Signal]:
        try:
            for index in range(1000):
                yield frame(index)
        finally:
            ended.set()

    flight = flown(signals(), Pipeline())
    assert next(flight)[0] == frame(0)
    cast(Any, flight).close()
    assert ended.wait(30)


@pytest.mark.parametrize(("callers", "cameras", "frames"), [(2, 1, 5), (2, 4, 2), (1, 16, 2)])
def test_one_camera_can_keep_the_crew_busy_and_many_share_it(
    callers: int, cameras: int, frames: int
) -> None:
    assert depth(callers, cameras) == frames
