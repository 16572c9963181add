"""`make figures`: the picture of docs/privacy-review.md, where data goes and what it is there."""

import sys
from collections.abc import Iterator
from pathlib import Path

from docs import drawing

PATH = Path(__file__).with_name("figures") / "privacy.svg"
WIDTH, HEIGHT, GAP, LEFT, TOP = 172.0, 66.0, 30.0, 14.0, 44.0
PLACES = (
    "In the shop, on the device",
    "On the server, floor.duckdb",
    "On the server, central.duckdb",
)
ANONYMISED = "the point of anonymisation: below it are no tracks"
ROWS = (
    (
        ("Camera", "pictures, in memory", "for a moment"),
        ("Detector, tracker", "boxes, tracks on the floor", "for seconds"),
        ("Gate, outbox", "events of the contract", "24 hours"),
    ),
    (("Raw events", "pseudonymous tracks", "24 hours"),),
    (
        ("Windows", "sums of 15 minutes", "as set"),
        ("k-gate", "cells of enough people", "as set"),
        ("Features, API", "files by date", "as set"),
    ),
)
"""By place, from top to bottom: what is there, as what, and how long."""


def flow() -> str:
    """Boxes in three rows, arrows between them, and the line behind which nobody is a track."""
    parts: list[str] = []
    down = HEIGHT + 62
    for row, (place, boxes) in enumerate(zip(PLACES, ROWS, strict=True)):
        y = TOP + row * down
        parts.append(drawing.text(LEFT + (WIDTH if row else 0), y - 12, place, "soft"))
        for column, words in enumerate(boxes):
            x = LEFT + column * (WIDTH + GAP)
            parts += _box(x, y, words)
            if column:
                parts.append(_arrow(x - GAP, x, y + HEIGHT / 2))
        if row:
            last = LEFT + (len(ROWS[row - 1]) - 1) * (WIDTH + GAP) + WIDTH / 2
            turn = y - down + HEIGHT + 14
            way = f"M{last:.1f} {turn - 14:.1f}V{turn:.1f}H{LEFT + 150:.1f}V{y:.1f}"
            parts.append(f'<path class="way" d="{way}l-4 -6m4 6l4 -6"/>')
    y = TOP + 2 * down - 34
    across = LEFT + 3 * WIDTH + 2 * GAP
    parts += [
        f'<path class="gap" d="M{LEFT} {y:.1f}H{across:.1f}"/>',
        drawing.text(
            across, y - 6, "the point of anonymisation: below it are no tracks", "yes", "end"
        ),
    ]
    return drawing.svg(across + LEFT, TOP + 2 * down + HEIGHT + LEFT, parts)


def _box(x: float, y: float, words: tuple[str, str, str]) -> Iterator[str]:
    yield (
        f'<rect class="floor" x="{x:.1f}" y="{y:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
    )
    for line, (word, kind) in enumerate(zip(words, ("yes", "", "soft"), strict=True)):
        yield drawing.text(x + WIDTH / 2, y + 21 + 18 * line, word, kind, "middle")


def _arrow(start: float, stop: float, y: float) -> str:
    return f'<path class="way" d="M{start:.1f} {y:.1f}H{stop:.1f}l-6 -4m6 4l-6 4"/>'


def main() -> int:
    """Draw it."""
    PATH.write_text(flow())
    return 0


if __name__ == "__main__":
    sys.exit(main())
