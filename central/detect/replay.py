"""`passerby-central detect`: the detectors over a CSV file, and what they say of each of its rows.

Strictly causal: what is said of a row follows from it and earlier ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from central import ical
from central.detect import budget as budgets
from central.detect import single
from central.detect.table import (
    WEEK,
    Integers,
    Kind,
    Reals,
    Say,
    Table,
    TableError,
    read,
    spell,
    step_of,
)

Side = Literal["both", "high", "low"]
DEAD = 1e-6
"""The p of a run of zeros from which the sensor is in doubt."""


@dataclass(frozen=True)
class Arguments:
    """What the command is told, as `passerby-central detect --help` says."""

    time: str
    value: str
    kind: Kind = "count"
    side: Side = "both"
    coverage: str | None = None
    calendars: tuple[Path, ...] = ()
    zone: str = "UTC"
    step: str | None = None
    budget: float = budgets.LISTED


@dataclass(frozen=True)
class Detected:
    """What is known of each row; arrays are (n,).

    scored: in units of the values. p: calibrated, NaN where not scored. budgeted: under the budget.
    cause: a word for what is told, or for why nothing is: `high` and `low`; `sensor?` for zeros
    where there should be some, `sensor` for a value that cannot be or was not covered; `absent`,
    `calendar`, `learning`; empty for ordinary rows.
    """

    scored: single.Scored
    p: Reals
    budgeted: budgets.Budgeted
    cause: NDArray[np.str_]

    @property
    def score(self) -> Reals:
        """-log10 p: 3 is one in a thousand."""
        return -np.log10(self.p)

    @property
    def alert(self) -> NDArray[np.bool_]:
        """Whether a row belongs to an episode."""
        told: NDArray[np.bool_] = self.budgeted.episode[:, 0] > 0
        return told


def run(path: Path, told: Arguments, out: Path, plot: Path | None, say: Say) -> str:
    """Read, score, write; returns the summary in words.

    Raises TableError, CalendarError.
    """
    if not (0.0 < told.budget <= 1_000.0):
        raise TableError(f"--budget {told.budget:g}: false alerts a week must be above 0, like 1")
    if told.zone not in available_timezones():
        raise TableError(f"--zone {told.zone}: not a time zone; write one like Europe/London")
    zone = ZoneInfo(told.zone)
    say(f"reading {path}")
    table = read(
        *(path, told.time, told.value, told.kind, told.coverage, zone),
        step=step_of(told.step) if told.step else None,
    )
    first = datetime.fromtimestamp(int(table.times[0]), UTC)
    last = datetime.fromtimestamp(int(table.times[-1]) + table.step, UTC)
    events = [
        event for file in told.calendars for event in ical.occurrences(file, zone, first, last)
    ]
    events.sort(key=lambda event: event.start)
    found = detect(table, told.kind, told.side, told.budget, events, say)
    write(out, table, found)
    if plot:
        from central.detect.plot import draw

        draw(plot, table, found, path.name)
    return summary(table, found)


def detect(
    table: Table,
    kind: Kind = "count",
    side: Side = "both",
    budget: float = budgets.LISTED,
    events: Sequence[ical.Occurrence] = (),
    say: Say = lambda _: None,
) -> Detected:
    """Score a series against its own past, and alert under a budget of false episodes a week."""
    marks = ical.mark(events, table.times)
    scored, ignored = _score(table, kind, events, marks, say)
    say("calibrating")
    low = budgets.combine(np.stack([scored.p_low, scored.drift_low, scored.silence]))
    high = budgets.combine(np.stack([scored.p_high, scored.drift_high]))
    p = {"both": budgets.combine(np.stack([low, high])), "low": low, "high": high}[side]
    week = (table.times - table.times[0]) // WEEK
    p = budgets.calibrate(p[:, None], week)
    budgeted = budgets.spend(p, week, budget, ticks=max(1, WEEK // table.step))
    cause = np.full(table.times.size, "", "<U8")
    cause[np.isnan(p[:, 0])] = "learning"
    told = budgeted.episode[:, 0] > 0
    cause[told] = np.where(low[told] < high[told], "low", "high")
    cause[told & (low < high) & (scored.silence <= DEAD)] = "sensor?"
    cause[np.isnan(table.values)] = "absent"
    cause[table.impossible] = "sensor"
    cause[ignored] = "calendar"
    return Detected(scored, p[:, 0], budgeted, cause)


def _score(
    table: Table, kind: Kind, events: Sequence[ical.Occurrence], marks: Integers, say: Say
) -> tuple[single.Scored, NDArray[np.bool_]]:
    """Scores, and what the calendar keeps from being scored."""

    def run(rows: NDArray[np.bool_], slots: Integers, values: Reals, by: Reals) -> single.Scored:
        total = f"{np.count_nonzero(rows):,}"
        return single.run(
            *(values[rows], slots[rows], table.slots_a_day, kind, by[rows]),
            say=lambda done: say(f"{done:,} of {total} rows"),
        )

    n = table.times.size
    of_kind = {kind: np.zeros(n, np.bool_) for kind in ical.KINDS}
    for i, event in enumerate(events):
        of_kind[event.kind] |= marks == i
    usual = ~of_kind["ignore"] & ~of_kind["profile"]
    factor = np.ones(n)
    if of_kind["scale"].any():
        outside = np.where(of_kind["scale"], np.nan, table.values)
        factor[usual] = _factors(
            table.values[usual],
            run(usual, table.slots, outside, factor).expected,
            events,
            marks[usual],
        )
    unknown = np.isnan(factor)
    parts = [(usual & ~unknown, table.slots)]
    for name in sorted({event.name for event in events if event.kind == "profile"}):
        own = [i for i, event in enumerate(events) if (event.kind, event.name) == ("profile", name)]
        parts.append((np.isin(marks, own), table.slots % table.slots_a_day))
    found = single.Scored(*(np.full(n, np.nan) for _ in fields(single.Scored)))
    for rows, slots in parts:
        scored = run(rows, slots, table.values, factor)
        for field in fields(scored):
            getattr(found, field.name)[rows] = getattr(scored, field.name)
    return found, of_kind["ignore"] | unknown


def _factors(
    values: Reals, expected: Reals, events: Sequence[ical.Occurrence], marks: Integers
) -> Reals:
    """What the expectation is multiplied by; NaN in an event of whose kind there was none before.

    expected: without any factor. All (n,). An event's factor is what earlier events of its name
    showed in sum, over what was expected of them.
    """
    factor = np.ones(values.size)
    sums: dict[str, tuple[float, float]] = {}
    for i, event in enumerate(events):
        rows = np.flatnonzero(marks == i)
        if event.kind != "scale" or rows.size == 0:
            continue
        shown, usual = sums.get(event.name, (0.0, 0.0))
        learnt = shown / usual if shown > 0.0 and usual > 0.0 else np.nan
        factor[rows] = event.factor or learnt
        known = rows[np.isfinite(values[rows]) & np.isfinite(expected[rows])]
        sums[event.name] = (
            shown + float(values[known].sum()),
            usual + float(expected[known].sum()),
        )
    return factor


def write(path: Path, table: Table, found: Detected) -> None:
    """One line for each row of the table.

    Raises TableError where the file cannot be written.
    """
    scored = found.scored
    columns = {
        "timestamp": table.text,
        "value": pa.array(table.values, from_pandas=True),
        "expected": _short(scored.expected),
        "lower": _short(scored.lower),
        "upper": _short(scored.upper),
        "score": pa.array(np.round(found.score, 3), from_pandas=True),
        "alert": pa.array(found.alert.astype(np.int8)),
        "cause": pa.array(found.cause),
    }
    try:
        pcsv.write_csv(pa.table(columns), path, pcsv.WriteOptions(quoting_style="needed"))
    except OSError as error:
        raise TableError(
            f"{path}: {error.strerror or error}; name a file in a folder that is there"
        ) from error


def _short(values: Reals) -> pa.Array:
    """Five significant digits."""
    size = np.floor(np.log10(np.maximum(np.abs(np.nan_to_num(values)), 1e-9)))
    scale = 10.0 ** np.clip(4.0 - size, -15.0, 15.0)
    return pa.array(np.round(values * scale) / scale, from_pandas=True)


def summary(table: Table, found: Detected) -> str:
    """What was found, in words: how long, how many episodes, promised and achieved."""
    numbers = found.budgeted.episode[:, 0]
    episodes, first = np.unique(numbers[numbers > 0], return_index=True)
    starts = np.flatnonzero(numbers > 0)[first]
    real = np.count_nonzero(found.budgeted.real[starts, 0])
    absent = np.count_nonzero(np.isnan(table.values))
    gaps = _missing(table)
    lines = [
        f"{table.times.size:,} rows, {spell(table.step)} apart, {_day(table, 0)} to"
        f" {_day(table, -1)}; {absent:,} of them absent, and {gaps:,} more not there",
        *table.notes,
    ]
    scored = np.flatnonzero(~np.isnan(found.p))
    if scored.size == 0:
        return "\n".join(
            [
                *lines,
                "no row could be scored: that takes three weeks of history and values that vary",
            ]
        )
    by_cause = ", ".join(
        f"{np.count_nonzero(found.cause[starts] == cause)} {cause}"
        for cause in ("high", "low", "sensor?")
        if np.any(found.cause[starts] == cause)
    )
    lines.append(
        f"{episodes.size} episodes since {_day(table, int(scored[0]))}"
        f"{f' ({by_cause})' if by_cause else ''}, {real} of them too far out for chance"
    )
    budgeted = found.budgeted
    if budgeted.store_weeks:
        lines.append(
            f"false episodes a week: {budgeted.promised:g} promised, {budgeted.achieved:.2f}"
            f" achieved in {budgeted.store_weeks:.1f} weeks, if all the others were false"
        )
    lines += [
        f"  {table.text[int(i)]}  {found.cause[i]:<7} {table.values[i]:g}, usual"
        f" {found.scored.lower[i]:.4g} to {found.scored.upper[i]:.4g}"
        for i in starts[-5:]
    ]
    return "\n".join(lines)


def _missing(table: Table) -> int:
    """Rows that an even grid would have between the first and the last."""
    steps = np.round(np.diff(table.times) / table.step)
    return int(np.maximum(steps - 1, 0).sum())


def _day(table: Table, row: int) -> str:
    return datetime.fromtimestamp(int(table.local[row]), UTC).strftime("%-d %B %Y")
