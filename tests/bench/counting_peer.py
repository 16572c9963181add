"""Detections through `supervision` and `trackers`: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.counting_peer DETECTIONS.npz SETTINGS.json OUT.json

Both packages run with their defaults but for the frame rate and the anchor, which is the middle of
a box's bottom side, as ours is.
"""

import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

GRACE = 1.0
"""A visit goes on if its track is back in the zone within so many seconds; ours has the same."""


def count(detections: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What one camera's detections come to.

    Args:
        detections: `first` (frames + 1,) row of each frame's first box, `boxes` (n, 4) xyxy pixels,
            `scores` (n,).
        settings: `fps`; `lines` and `zones`, each an id and its points in pixels.

    Returns: `crossings` of seconds, line, direction; `visits` of zone, entered, exited in seconds;
    `points` of frame, track, x, y in pixels.
    """
    fps = settings["fps"]
    tracker = ByteTrackTracker(frame_rate=fps)
    anchor = [sv.Position.BOTTOM_CENTER]
    # A LineZone is straight: a line with bends is one for each of its pieces.
    lines = [
        (name, sv.LineZone(sv.Point(*start), sv.Point(*end), triggering_anchors=anchor))
        for name, points in settings["lines"].items()
        for start, end in pairwise(points)
    ]
    zones = {
        name: sv.PolygonZone(np.asarray(points).round().astype(np.int64), triggering_anchors=anchor)
        for name, points in settings["zones"].items()
    }
    crossings, visits, points = [], [], []
    stays: dict[tuple[str, int], tuple[float, float]] = {}
    first = detections["first"]
    for frame, (start, end) in enumerate(pairwise(first)):
        seconds = frame / fps
        scores = detections["scores"][start:end]
        found = sv.Detections(
            xyxy=detections["boxes"][start:end].reshape(-1, 4),
            confidence=scores,
            class_id=np.zeros(len(scores), int),
        )
        people = tracker.update(found)
        people = people[people.tracker_id >= 0]
        for name, line in lines:
            went_in, went_out = line.trigger(people)
            crossings += [(seconds, name, "in")] * int(went_in.sum())
            crossings += [(seconds, name, "out")] * int(went_out.sum())
        for name, zone in zones.items():
            for track in people.tracker_id[zone.trigger(people)].tolist():
                entered, last = stays.get((name, track), (seconds, seconds))
                if seconds - last > GRACE:
                    visits.append((name, entered, last))
                    entered = seconds
                stays[name, track] = entered, seconds
        feet = people.get_anchors_coordinates(sv.Position.BOTTOM_CENTER)
        points += [
            (frame, track, x, y)
            for track, (x, y) in zip(people.tracker_id.tolist(), feet.tolist(), strict=True)
        ]
    visits += [(name, entered, last) for (name, _), (entered, last) in stays.items()]
    return {"crossings": crossings, "visits": visits, "points": points}


def main() -> None:
    """Read, count, write."""
    detections, settings, out = map(Path, sys.argv[1:4])
    with np.load(detections) as arrays:
        result = count(dict(arrays), json.loads(settings.read_text()))
    out.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
