"""A CSV file as one series on an even grid, in the time of its site.

Missing is not zero: a cell that is empty, a row that is not there and a value that cannot be are
absent. Rows may come in any order and more than once, the last of them counts.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from central.config import CentralError

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Kind = Literal["count", "gauge", "ratio", "duration"]
Say = Callable[[str], None]

MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
EARLIEST, LATEST = 0, 7_258_118_400
"""Seconds since 1970: to the year 2200."""
RUN = 20
"""Equal steps in a row that are a sampling of its own."""
LASTING = 0.1
"""The share of the time that such runs must cover."""
COVERED = 0.9
"""The coverage below which a value is absent, and the share of a step that its rows must cover."""
LARGEST = 1e15
"""What is larger is no measurement."""
UNITS = {"min": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}


class TableError(CentralError):
    """A file that cannot be read as a series; the words name the line and the fix."""

    exit_code = 2


@dataclass(frozen=True)
class Table:
    """A series, oldest first; all arrays (n,).

    text: each time as the file writes it. times: seconds since 1970, UTC. local: the same by the
    site's clock. values: NaN where absent. impossible: absent since no such value can be, or since
    too little of its time was covered. step: seconds from one to the next, at least a minute.
    notes: what was odd about the file.
    """

    text: pa.ChunkedArray
    times: Integers
    local: Integers
    values: Reals
    impossible: NDArray[np.bool_]
    step: int
    notes: tuple[str, ...]

    @property
    def slots_a_day(self) -> int:
        """1 where a step is a day or more."""
        return -(-DAY // self.step) if self.step < DAY else 1

    @property
    def slots(self) -> Integers:
        """(n,) day of the week × slots a day + slot of the day; 0 for steps of a week or more."""
        days, second = self.local // DAY, self.local % DAY
        if self.step >= WEEK:
            return np.zeros(days.size, np.int64)
        return (days + 3) % 7 * self.slots_a_day + second // max(self.step, DAY // self.slots_a_day)


def step_of(words: str) -> int:
    """Seconds of a step like `15min`, `1h` or `1d`.

    Raises TableError.
    """
    match = re.fullmatch(r"(\d{1,5}) ?(min|h|d|w)", words)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    if seconds <= 0:
        raise TableError(f"--step {words}: not a step; write one like 15min, 1h or 1d")
    return seconds


def read(
    path: Path,
    time: str,
    value: str,
    kind: Kind = "count",
    coverage: str | None = None,
    zone: ZoneInfo | None = None,
    step: int | None = None,
) -> Table:
    """Read a series.

    time, value, coverage: names of columns. Times are ISO 8601, or seconds or milliseconds since
    1970; those without an offset are by the clock of `zone` (UTC where it is None), and an hour
    that the clocks show twice is first the one and, where its times come again, the other.
    Coverage is the share of the time that was observed, 0 to 1. step: seconds; without, what lies
    between rows: the longest that lasts, for a file that was sampled more finely at times, or else
    the most frequent. Finer rows are summed where kind is `count`, else their mean counts.

    Raises TableError.
    """
    zone = zone or ZoneInfo("UTC")
    rows = _rows(path, [time, value, *([coverage] if coverage else [])])
    line = rows["line"].to_numpy()
    times = _times(path, time, rows, zone)
    values = _numbers(path, value, rows, "c1", "leave it empty where there is none")
    shares = np.ones(times.size)
    if coverage:
        shares = _numbers(path, coverage, rows, "c2", "leave it empty where nothing is known")
        wrong = np.flatnonzero((shares < 0.0) | (shares > 1.0))
        if wrong.size:
            raise TableError(
                f"{path}:{line[wrong[0]]}: column `{coverage}`: {shares[wrong[0]]:g} is not a"
                " share; write 0 to 1"
            )
    notes = []
    order = np.argsort(times, kind="stable")
    if np.any(np.diff(times) < 0):
        notes.append("the rows were not in the order of time, and are sorted")
    last = np.append(np.diff(times[order]) > 0, True)
    if not last.all():
        notes.append(f"{np.count_nonzero(~last):,} times come again; their last row counts")
    order = order[last]
    times, values, shares = times[order], values[order], np.nan_to_num(shares[order])
    text = rows["c0"].take(pa.array(order))
    impossible = np.isinf(values) | (np.abs(values) > LARGEST) | (shares < COVERED)
    if kind == "count":
        impossible |= values < 0.0
    if kind == "duration":
        impossible |= values <= 0.0
    if kind == "ratio":
        impossible |= (values < 0.0) | (values > 1.0)
    values = np.where(impossible, np.nan, values)

    step = max(MINUTE, step or _step(times))
    local = to_local(times, zone)
    bins = (times if step <= HOUR else local) // step
    first = np.flatnonzero(np.append(True, np.diff(bins) != 0))
    if first.size < times.size:
        notes.append(f"rows closer than {spell(step)} are put together")
        values, short = _together(times, values, first, step, kind)
        impossible = np.logical_or.reduceat(impossible, first) | short
        times, local, text = times[first], local[first], text.take(pa.array(first))
    return Table(text, times, local, values, impossible, step, tuple(notes))


def spell(seconds: int) -> str:
    """A step in words.

    >>> spell(900), spell(3600), spell(172800)
    ('15 minutes', 'an hour', '2 days')
    """
    for name, unit, one in (("days", DAY, "a day"), ("hours", HOUR, "an hour")):
        if seconds % unit == 0:
            return one if seconds == unit else f"{seconds // unit} {name}"
    if seconds % MINUTE == 0:
        return "a minute" if seconds == MINUTE else f"{seconds // MINUTE} minutes"
    return f"{seconds} seconds"


def to_local(times: Integers, zone: ZoneInfo) -> Integers:
    """Seconds by a zone's clock, (n,) as times; clocks change at whole quarter hours of UTC."""
    quarters, place = np.unique(times // 900, return_inverse=True)
    offsets = [
        (datetime.fromtimestamp(int(each) * 900, zone).utcoffset() or timedelta()).total_seconds()
        for each in quarters
    ]
    return times + np.array(offsets, np.int64)[place]


def to_utc(local: Integers, zone: ZoneInfo) -> Integers:
    """Seconds since 1970 of what a clock shows, (n,) in the order in which it was written down."""
    quarters, place = np.unique(local // 900, return_inverse=True)
    clocks = [
        datetime.fromtimestamp(int(each) * 900, UTC).replace(tzinfo=zone) for each in quarters
    ]
    once = np.array([each.timestamp() for each in clocks], np.int64)[place]
    again = np.array([each.replace(fold=1).timestamp() for each in clocks], np.int64)[place]
    within = local % 900
    twice = np.flatnonzero(again > once)
    _, earlier = np.unique(local[twice], return_index=True)
    second = np.ones(twice.size, np.bool_)
    second[earlier] = False
    times = once + within
    times[twice[second]] = again[twice[second]] + within[twice[second]]
    return times


def _rows(path: Path, columns: list[str]) -> pa.Table:
    """Columns as text, named c0, c1, …, with the number of the line."""
    if not path.is_file():
        raise TableError(f"{path}: no such file; name an existing one")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not text in UTF-8; save it as that") from error
    separator = max(",;\t", key=head.count)
    header = next(csv.reader([head], delimiter=separator), [])
    for column in columns:
        if header.count(column) != 1:
            raise TableError(
                f"{path}:1: no column `{column}`, or more than one; the file has"
                f" {', '.join(header) or 'no header'}"
            )
    names = [f"column{number:05}" for number in range(len(header))]
    wanted = ", ".join(
        f"trim({names[header.index(column)]}) as c{i}" for i, column in enumerate(columns)
    )
    try:
        with duckdb.connect() as cursor:
            cursor.execute("set TimeZone = 'UTC'")
            rows = cursor.sql(
                f"with raw as (select row_number() over () + 1 as line, {wanted} from read_csv(?,"
                " auto_detect = false, header = false, skip = 1, columns = ?, delim = ?,"
                " quote = '\"', null_padding = true, strict_mode = false)) select *,"
                " regexp_matches(c0, '(Z|[+-]\\d\\d(:?\\d\\d)?)$') and c0 like '%:%' as zoned,"
                " epoch_us(try_cast(c0 as timestamp)) as clock,"
                " epoch_us(try_cast(c0 as timestamptz)) as instant,"
                " case when regexp_full_match(c0, '\\d{8,13}') then c0::bigint end as number"
                " from raw",
                params=[str(path), dict.fromkeys(names, "VARCHAR"), separator],
            ).to_arrow_table()
    except duckdb.Error as error:
        words = " ".join(str(error).split("\n")[0].split())
        raise TableError(f"{path}: cannot be read: {words}; save it as CSV in UTF-8") from error
    if rows.num_rows == 0:
        raise TableError(f"{path}:2: no rows below the header; add some")
    return rows


def _times(path: Path, column: str, rows: pa.Table, zone: ZoneInfo) -> Integers:
    def whole(name: str) -> Integers:
        return np.asarray(rows[name].fill_null(np.iinfo(np.int64).min).to_numpy(), np.int64)

    clock, instant, number = (whole(name) for name in ("clock", "instant", "number"))
    zoned = rows["zoned"].fill_null(False).to_numpy()
    numbered = number >= 0
    times = np.where(numbered, np.where(number >= 10**11, number // 1000, number), 0)
    times = np.where(numbered, times, np.where(zoned, instant, clock) // 1_000_000)
    for bad in np.flatnonzero((times < EARLIEST) | (times >= LATEST))[:1]:
        words = rows["c0"][bad].as_py() or ""
        raise TableError(
            f"{path}:{rows['line'][bad]}: column `{column}`: {words!r} is no"
            " time from 1970 to 2199; write it like 2026-03-01T09:00 or 2026-03-01T09:00+00:00"
        )
    plain = ~numbered & ~zoned
    times[plain] = to_utc(times[plain], zone)
    return times


def _numbers(path: Path, column: str, rows: pa.Table, name: str, advice: str) -> Reals:
    with duckdb.connect() as cursor:
        cursor.register("texts", rows.select([name, "line"]))
        numbers = cursor.sql(f"select try_cast({name} as double) from texts").to_arrow_table()
        wrong = cursor.sql(
            f"select line, {name} from texts where {name} <> '' and try_cast({name} as double)"
            " is null order by line limit 1"
        ).fetchall()
    for line, words in wrong:
        raise TableError(
            f"{path}:{line}: column `{column}`: {words!r} is no number; write it like 3.5,"
            f" or {advice}"
        )
    return np.asarray(numbers[0].fill_null(np.nan).to_numpy(), np.float64)


def _step(times: Integers) -> int:
    steps = np.diff(times)
    if steps.size == 0:
        return HOUR
    starts = np.flatnonzero(np.append(True, np.diff(steps) != 0))
    lengths = np.diff(np.append(starts, steps.size))
    long = lengths >= RUN
    sizes, where = np.unique(steps[starts[long]], return_inverse=True)
    covered = np.bincount(where, lengths[long] * steps[starts[long]], sizes.size)
    lasting = sizes[covered >= LASTING * (times[-1] - times[0])]
    if lasting.size:
        return int(lasting[-1])
    sizes, counts = np.unique(steps, return_counts=True)
    return int(sizes[np.argmax(counts)])


def _together(
    times: Integers, values: Reals, first: Integers, step: int, kind: Kind
) -> tuple[Reals, NDArray[np.bool_]]:
    """Values of the rows from each of `first` to the next, and whether they cover too little."""
    rows = np.diff(np.append(first, times.size))
    sums = np.add.reduceat(values, first)
    ahead = np.diff(times)
    lengths = np.minimum(np.append(ahead, step), np.append(step, ahead))
    short = (rows > 1) & (np.add.reduceat(lengths, first) < COVERED * step)
    sums = np.where(short, np.nan, sums)
    return (sums if kind == "count" else sums / rows), short
