"""A floor that a camera looks down on, for tests: four points of it, in metres."""

from datetime import UTC, datetime

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAIRS = [
    {"pixel": pixel, "floor": floor}
    for pixel, floor in (
        ((0.1, 0.4), (0, 0)),
        ((0.9, 0.4), (8, 0)),
        ((1.0, 0.9), (6, 6)),
        ((0.0, 0.9), (2, 6)),
    )
]
