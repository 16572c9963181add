"""Frames in flight: the next ones are read and looked at while the last one is followed.

One thread reads a camera and a crew of threads, which all cameras share, detects. What must keep
the order of time, from the tracker on, runs in the thread of whoever iterates. So the events are
those of one frame after the other, and a frame waits for no later one.
"""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import cv2

from edge import wire
from edge.camera import Signal
from edge.detector import Detections
from edge.pipeline import CameraPipeline

Underway = tuple[Signal, Future[Detections] | None]


def assemble(callers: int) -> ThreadPoolExecutor:
    """So many threads that detect, for all cameras of the process.

    OpenCV gets one thread from then on: its own would take the cores from the detector's.
    """
    cv2.setNumThreads(1)
    return ThreadPoolExecutor(callers, thread_name_prefix="detect")


def depth(callers: int, cameras: int) -> int:
    """How many frames of each camera may be in flight.

    Twice what the crew looks at, so that one that is slow does not stop the others, and one more.
    """
    return math.ceil(2 * callers / cameras) + 1


def fly(
    signals: Iterator[Signal], pipeline: CameraPipeline, crew: ThreadPoolExecutor, depth: int
) -> Iterator[tuple[Signal, list[wire.Event]]]:
    """Each signal of a camera and the events that it makes certain, in order.

    A signal is taken only when fewer than `depth` are in flight, so a camera that gives its latest
    frame gives a late one at no time.

    Raises: what reading or detecting raises, after the signals before it.
    """
    free = threading.Semaphore(depth)
    underway: SimpleQueue[Underway | Exception | None] = SimpleQueue()
    over = threading.Event()
    reader = threading.Thread(
        target=_read,
        args=(signals, pipeline, crew, free, underway, over),
        name=f"read {threading.current_thread().name}",
        daemon=True,
    )
    reader.start()
    try:
        while (taken := underway.get()) is not None:
            if isinstance(taken, Exception):
                raise taken
            signal, ahead = taken
            yield signal, pipeline.handle(signal, ahead)
            free.release()
    finally:
        over.set()
        free.release()
        # One that waits for its camera's next frame ends with that, not with us.
        reader.join(timeout=1.0)


def _read(
    signals: Iterator[Signal],
    pipeline: CameraPipeline,
    crew: ThreadPoolExecutor,
    free: threading.Semaphore,
    underway: "SimpleQueue[Underway | Exception | None]",
    over: threading.Event,
) -> None:
    """Put every signal, with its detection begun, then None or what went wrong."""
    try:
        while True:
            free.acquire()
            signal = None if over.is_set() else next(signals, None)
            if signal is None:
                break
            underway.put((signal, pipeline.begin(signal, crew)))
    except Exception as error:
        underway.put(error)
    else:
        underway.put(None)
