"""Intersection over union, one pair at a time: what fast code is compared with."""

from collections.abc import Sequence


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """IoU of two boxes, xyxy."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)
