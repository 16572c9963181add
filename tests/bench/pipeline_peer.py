"""`ultralytics` track on a file: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.pipeline_peer MODEL.onnx VIDEO

Prints a line of JSON: `rate`, frames a second, and `spent`, milliseconds of the processor a frame.
"""

import json
import sys
import time

from ultralytics import YOLO

LEAST = 0.1
"""Least score: its trackers want the weak detections too, and ours takes them as well."""


def main() -> None:
    """Once to load and warm up, then the file from its beginning."""
    model, video = sys.argv[1:3]
    detector = YOLO(model, task="detect")
    settings = {"imgsz": 320, "conf": LEAST, "classes": [0], "tracker": "bytetrack.yaml"}
    for _, _ in zip(range(5), _track(detector, video, settings), strict=False):
        pass
    began, spent = time.perf_counter(), time.process_time()
    frames = sum(1 for _ in _track(detector, video, settings))
    spent = time.process_time() - spent
    rate = frames / (time.perf_counter() - began)
    print(json.dumps({"rate": rate, "spent": 1000 * spent / frames}))


def _track(detector: YOLO, video: str, settings: dict[str, object]):  # type: ignore[no-untyped-def]
    return detector.track(video, stream=True, verbose=False, save=False, **settings)


if __name__ == "__main__":
    main()
