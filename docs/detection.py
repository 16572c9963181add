"""`make figures`: the pictures of docs/how-detection-works.md, as SVG.

What a picture shows of a series is what `central.detect` says of it. Each is of a made-up shop, an
hour a row, from a Monday on.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from central.detect import budget, replay
from central.detect.budget import Reals
from central.detect.table import HOUR, Table
from central.ical import Kind, Occurrence
from docs import drawing

FOLDER = Path(__file__).with_name("figures")
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY, WEEK = 24, 168
LEFT, TOP, WIDE, HIGH, BETWEEN = 44.0, 26.0, 620.0, 110.0, 46.0


def usual(hours: Reals) -> Reals:
    """Visitors to be expected at hours since the start: noon and the early evening are busy."""
    clock, day = hours % DAY, hours // DAY % 7
    shape = np.exp(-(((clock - 12.5) / 1.8) ** 2)) + 1.2 * np.exp(-(((clock - 17.5) / 1.6) ** 2))
    return np.asarray((0.4 + 22 * shape) * np.where(day < 5, 1.0, 1.5), np.float64)


def visits(weeks: int, seed: int) -> Reals:
    """Visitors an hour."""
    hours = np.arange(weeks * WEEK, dtype=np.float64)
    return np.random.default_rng(seed).poisson(usual(hours)).astype(np.float64)


def found(values: Reals, events: Sequence[Occurrence] = ()) -> tuple[Table, replay.Detected]:
    """What is said of such a series."""
    times = int(START.timestamp()) + HOUR * np.arange(values.size)
    text = [str(time) for time in times]
    dead = np.zeros(values.size, np.bool_)
    table = Table(text, times, times, values, dead, HOUR, ())
    return table, replay.detect(table, events=events)


@dataclass(frozen=True)
class Axes:
    """A strip of the picture: rows from `first` up to `stop`, values from 0 to `most`."""

    first: int
    stop: int
    most: float
    top: float

    def x(self, row: float) -> float:
        """Pixels from the left."""
        return LEFT + WIDE * (row - self.first) / (self.stop - self.first)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.top + HIGH * (1 - min(max(value, 0.0), self.most) / self.most)

    def curve(self, values: Reals, kind: str) -> list[str]:
        """Lines through the values, broken where there is none."""
        parts: list[list[str]] = [[]]
        for row in range(self.first, self.stop):
            if np.isnan(values[row]):
                parts.append([])
            else:
                parts[-1].append(f"{self.x(row + 0.5):.1f},{self.y(values[row]):.1f}")
        return [f'<polyline class="{kind}" points="{" ".join(each)}"/>' for each in parts if each]

    def band(self, lower: Reals, upper: Reals) -> str:
        """What lies between."""
        parts = []
        known = np.flatnonzero(~np.isnan(upper[self.first : self.stop])) + self.first
        for rows in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            points = [(self.x(row + 0.5), self.y(upper[row])) for row in rows]
            points += [(self.x(row + 0.5), self.y(lower[row])) for row in rows[::-1]]
            words = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polygon class="zone" points="{words}"/>')
        return "".join(parts)

    def dots(self, rows: Sequence[int], values: Reals, kind: str) -> list[str]:
        """Dots at rows."""
        return [
            f'<circle class="{kind}" cx="{self.x(row + 0.5):.1f}" cy="{self.y(values[row]):.1f}"'
            ' r="3"/>'
            for row in rows
        ]

    def frame(self, step: float) -> list[str]:
        """Days below, values on the left."""
        parts = [
            f'<path class="axis" d="M{LEFT} {self.y(0):.1f}h{WIDE}"/>',
            *(
                drawing.text(LEFT - 6, self.y(value) + 4, f"{value:g}", "soft", "end")
                for value in np.arange(0, self.most + 1e-9, step)
            ),
        ]
        for row in range(self.first, self.stop, DAY):
            day = START + timedelta(hours=row)
            words = f"{day:%a} {day.day} {day:%b}"
            parts.append(drawing.text(self.x(row) + 3, self.y(0) + 17, words, "soft"))
            parts.append(f'<path class="axis" d="M{self.x(row):.1f} {self.y(0):.1f}v5"/>')
        return parts


def strip(table: Table, said: replay.Detected, axes: Axes, step: float) -> list[str]:
    """Band, values and alerts of some rows, with each episode's cause."""
    rows = [row for row in range(axes.first, axes.stop) if said.alert[row]]
    parts = [
        axes.band(said.scored.lower, said.scored.upper),
        *axes.curve(table.values, "way"),
        *axes.dots(rows, table.values, "other"),
        *axes.frame(step),
    ]
    for row in rows:
        if row - 1 not in rows:
            y = axes.y(table.values[row]) - 9
            parts.append(drawing.text(axes.x(row + 0.5), y, str(said.cause[row])))
    return parts


def band() -> str:
    """Four days: a crowd, hours that are absent, and a sensor that died."""
    values = visits(9, 3)
    first = 8 * WEEK
    values[first + 11 : first + 15] *= 2.2
    values[first + DAY + 9 : first + DAY + 14] = np.nan
    values[first + 2 * DAY + 11 : first + 2 * DAY + 16] *= 0.45
    values[first + 3 * DAY + 14 : first + 4 * DAY] = 0
    table, said = found(np.round(values))
    axes = Axes(first, first + 4 * DAY, 70, TOP)
    return drawing.svg(LEFT + WIDE + 14, TOP + HIGH + 28, strip(table, said, axes, 20))


def spent() -> str:
    """Twelve weeks of scores, the limit of each week, and what alerted."""
    values = visits(16, 11)
    for place in (9 * WEEK + 60, 13 * WEEK + 85):
        values[place : place + 5] *= 2.5
    said = found(np.round(values))[1]
    score, limit = said.score, -np.log10(np.maximum(said.budgeted.limit, 1e-12))
    first = 4 * WEEK
    axes = Axes(first, values.size, 9, TOP)
    tops = budget.peaks(np.nan_to_num(said.p, nan=1.0), budget.GAP)
    shown = [int(row) for row in tops if row >= first and score[row] > 1]
    real = said.budgeted.real[:, 0]
    parts = [
        *axes.dots([row for row in shown if not said.alert[row]], score, "shelf"),
        *axes.dots([row for row in shown if said.alert[row] and not real[row]], score, "dot"),
        *axes.dots([row for row in shown if real[row]], score, "other"),
        f'<path class="axis" d="M{LEFT} {axes.y(0):.1f}h{WIDE}"/>',
        *(
            drawing.text(LEFT - 6, axes.y(value) + 4, words, "soft", "end")
            for value, words in ((0, "1"), (3, "10⁻³"), (6, "10⁻⁶"), (9, "10⁻⁹"))
        ),
    ]
    for week in range(4, 16):
        x, y = axes.x(week * WEEK), axes.y(limit[week * WEEK])
        parts.append(f'<path class="line" d="M{x:.1f} {y:.1f}h{WIDE / 12:.1f}"/>')
        if week % 2 == 0:
            parts.append(drawing.text(x + 3, axes.y(0) + 17, f"week {week + 1}", "soft"))
    y = axes.y(0) + 42
    x = LEFT
    for kind, words in (
        ("shelf", "ordinary peaks"),
        ("dot", "alerts that count as false"),
        ("other", "taken for real"),
    ):
        parts.append(f'<circle class="{kind}" cx="{x + 4:.1f}" cy="{y - 4:.1f}" r="3"/>')
        parts.append(drawing.text(x + 14, y, words, "soft"))
        x += 24 + 6.6 * len(words)
    return drawing.svg(LEFT + WIDE + 14, TOP + HIGH + 54, parts)


def kinds() -> str:
    """The same Saturday sale by the four things that a calendar may say of it."""
    values = visits(13, 5)
    days = [7 * week + 5 for week in (3, 6, 9, 12)]
    random = np.random.default_rng(8)
    for day in days:
        rows = np.arange(day * DAY, day * DAY + DAY)
        values[rows] = random.poisson(2.2 * usual(rows.astype(np.float64)))
    values[days[-1] * DAY + 16 : days[-1] * DAY + 20] *= 0.3
    panels: tuple[tuple[str, Kind | None], ...] = (
        ("not in the calendar", None),
        ("ignore", "ignore"),
        ("scale: the band is the usual one, times what earlier sales showed", "scale"),
        ("profile: the band is that of earlier sales", "profile"),
    )
    parts: list[str] = []
    first = (days[-1] - 1) * DAY
    for place, (title, kind) in enumerate(panels):
        events = [
            Occurrence("Sale", kind, None, start, start + timedelta(days=1))
            for start in (START + timedelta(days=day) for day in days)
            if kind
        ]
        table, said = found(np.round(values), events)
        axes = Axes(first, first + 3 * DAY, 120, TOP + place * (HIGH + BETWEEN))
        parts.append(drawing.text(LEFT, axes.top - 8, title))
        parts += strip(table, said, axes, 40)
    height = TOP + len(panels) * (HIGH + BETWEEN)
    return drawing.svg(LEFT + WIDE + 14, height, parts)


FIGURES = {"band": band, "budget": spent, "calendar": kinds}


def main() -> int:
    """Draw all."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (FOLDER / f"{name}.svg").write_text(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
