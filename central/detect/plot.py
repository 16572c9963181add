"""A picture of what `passerby-central detect` found."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from central.detect.table import TableError

if TYPE_CHECKING:
    from central.detect.replay import Detected
    from central.detect.table import Table

MOST = 1_000
"""Rows in a picture, the newest: of more, lines cover one another."""
VALUE, EXPECTED, ALERT = "#1f2328", "#0969da", "#bc4c00"


def draw(path: Path, table: "Table", found: "Detected", title: str) -> None:
    """Values, the band that holds 95 % of ordinary ones, and episodes; by the site's clock.

    Raises TableError where the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    shown = slice(max(0, table.times.size - MOST), None)
    times = table.local[shown].astype("datetime64[s]")
    values, scored, alert = table.values[shown], found.scored, found.alert[shown]
    lower, upper = scored.lower[shown], scored.upper[shown]
    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.fill_between(times, lower, upper, color=EXPECTED, alpha=0.2, linewidth=0, label="usual")
    axes.plot(times, scored.expected[shown], color=EXPECTED, linewidth=0.7, label="expected")
    axes.plot(times, values, color=VALUE, linewidth=0.7, label="value")
    axes.plot(times[alert], values[alert], "o", color=ALERT, markersize=3, label="alert")
    for start in np.flatnonzero(found.cause[shown] == "calendar"):
        axes.axvspan(
            times[start], times[start] + np.timedelta64(table.step, "s"), color="#59636e", alpha=0.1
        )
    seen = np.concatenate([values, upper[np.isfinite(values)]])
    seen = seen[np.isfinite(seen)]
    if seen.size:
        # One wild value must not flatten all others.
        top, bottom = np.quantile(seen, 0.999), np.quantile(seen, 0.001)
        room = 0.3 * (top - bottom) or 1.0
        axes.set_ylim(
            max(seen.min(), bottom - room) - 0.02 * room, min(seen.max(), top + room) + 0.1 * room
        )
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_title(title, loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise TableError(
            f"{path}: {error}; name a .png, .svg or .pdf in a folder there is"
        ) from error
