"""A CSV file to a series: what is odd has a meaning, what is wrong is told with its line."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from central.detect import table
from central.detect.table import Kind, Table, TableError, read, step_of, to_local, to_utc

LONDON = ZoneInfo("Europe/London")
START = datetime(2026, 3, 2, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "visits.csv"
    path.write_text(text, encoding="utf-8")
    return path


def rows(folder: Path, *lines: str, kind: Kind = "count", zone: str = "UTC") -> Table:
    path = written(folder, "\n".join(["t,v", *lines, ""]))
    return read(path, "t", "v", kind, zone=ZoneInfo(zone))


def every(minutes: int, count: int, start: datetime = START, value: int = 1) -> list[str]:
    moments = (start + timedelta(minutes=minutes * i) for i in range(count))
    return [f"{moment:%Y-%m-%dT%H:%M},{value}" for moment in moments]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a,v\n1,2\n", 1, "no column `t`, or more than one; the file has a, v"),
        ("t,v,t\n1,2,3\n", 1, "no column `t`, or more than one; the file has t, v, t"),
        ("", 1, "no column `t`, or more than one; the file has no header"),
        ("t,v\n", 2, "no rows below the header; add some"),
        ("t,v\n2026-03-02,1\nsoon,1\n", 3, "column `t`: 'soon' is no time from 1970 to 2199"),
        ("t,v\n,1\n", 2, "column `t`: '' is no time"),
        ("t,v\n2026-02-30T09:00,1\n", 2, "column `t`: '2026-02-30T09:00' is no time"),
        ("t,v\n2026-03-02,1\n2026-03-03,\"3,5\"\n", 3, "column `v`: '3,5' is no number"),
        ("t,v\n2026-03-02,n/a\n", 2, "column `v`: 'n/a' is no number; write it like 3.5, or leave"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_its_fix(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(TableError) as caught:
        read(written(tmp_path, text), "t", "v")
    assert f"visits.csv:{line}: {words}" in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        read(tmp_path / "none.csv", "t", "v")
    path = tmp_path / "visits.csv"
    for content in (b"\xff\xfet,v\n", b"t,v\n2026-03-02,\xff\xfe\n"):
        path.write_bytes(content)
        with pytest.raises(TableError, match="UTF-8"):
            read(path, "t", "v")


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T09:00",
        "2026-03-02 09:00:00",
        "2026-03-02T09:00:00Z",
        "2026-03-02T10:00+01:00",
        "1772442000",
        "1772442000000",
    ],
)
def test_times(tmp_path: Path, text: str) -> None:
    found = rows(tmp_path, f"{text},1")
    assert found.times.tolist() == [1772442000]
    assert found.text.to_pylist() == [text]


def test_separators_and_other_columns(tmp_path: Path) -> None:
    text = 'who;v;t\n"a;b";1.5;2026-03-02T09:00\n;2;2026-03-02T09:15\n'
    assert read(written(tmp_path, text), "t", "v").values.tolist() == [1.5, 2.0]


def test_missing_is_not_zero(tmp_path: Path) -> None:
    found = rows(tmp_path, *every(15, 40), "2026-03-02T12:00,", "2026-03-02T12:15,nan")
    assert found.times.size == 42
    assert np.isnan(found.values[40:]).all()
    assert not found.impossible.any()


@pytest.mark.parametrize(
    ("kind", "text", "possible"),
    [
        ("count", "-1", False),
        ("count", "inf", False),
        ("count", "1e16", False),
        ("count", "1e12", True),
        ("count", "0", True),
        ("gauge", "-1", True),
        ("gauge", "-inf", False),
        ("ratio", "1.01", False),
        ("ratio", "1", True),
        ("duration", "0", False),
    ],
)
def test_what_cannot_be_is_absent(tmp_path: Path, kind: Kind, text: str, possible: bool) -> None:
    found = rows(tmp_path, f"2026-03-02,{text}", kind=kind)
    assert found.impossible.tolist() == [not possible]
    assert np.isnan(found.values).tolist() == [not possible]


def test_coverage_below_nine_tenths_is_absent(tmp_path: Path) -> None:
    text = "t,v,c\n" + "\n".join(
        f"2026-03-02T0{hour}:00,5,{share}" for hour, share in enumerate(["1", ".9", ".89", ""])
    )
    found = read(written(tmp_path, text), "t", "v", coverage="c")
    assert found.impossible.tolist() == [False, False, True, True]
    with pytest.raises(TableError, match=r"visits.csv:2: column `c`: 95 is not a share; write 0"):
        read(written(tmp_path, "t,v,c\n2026-03-02,5,95\n"), "t", "v", coverage="c")


def test_order_and_repetition(tmp_path: Path) -> None:
    lines = every(60, 30)
    shuffled = [*lines[10:], *lines[:10], "2026-03-02T03:00,9"]
    found = rows(tmp_path, *shuffled)
    assert found.times.tolist() == rows(tmp_path, *lines).times.tolist()
    assert found.values[3] == 9.0
    assert found.notes == (
        "the rows were not in the order of time, and are sorted",
        "1 times come again; their last row counts",
    )


@pytest.mark.parametrize(
    ("minutes", "count", "step"), [(1, 30, 60), (5, 30, 300), (30, 3, 1800), (1440, 9, 86400)]
)
def test_the_step_is_found(tmp_path: Path, minutes: int, count: int, step: int) -> None:
    found = rows(tmp_path, *every(minutes, count))
    assert (found.step, found.times.size, found.notes) == (step, count, ())


def test_nights_and_weekends_without_rows_are_no_step(tmp_path: Path) -> None:
    day = [line for line in every(30, 48 * 28) if 9 <= int(line[11:13]) < 20]
    assert rows(tmp_path, *day).step == 1800
    working = [line for i, line in enumerate(every(1440, 28)) if i % 7 < 5]
    assert rows(tmp_path, *working).step == 86400


def test_finer_rows_are_put_together(tmp_path: Path) -> None:
    """Hours, then quarter hours: a count is their sum, a gauge their mean."""
    fine = every(15, 4 * 40, START + timedelta(hours=40), value=2)
    del fine[4 * 10 + 1]
    found = rows(tmp_path, *every(60, 40), *fine)
    assert found.step == 3600
    assert found.values[:40].tolist() == [1.0] * 40
    assert found.values[[40, 79]].tolist() == [8.0, 8.0]
    assert np.isnan(found.values[50])
    assert found.impossible[50]
    assert found.notes == ("rows closer than an hour are put together",)
    assert rows(tmp_path, *every(60, 40), *fine, kind="gauge").values[40] == 2.0


def test_the_step_may_be_told(tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(["t,v", *every(15, 8)]))
    assert read(path, "t", "v", step=3600).values.tolist() == [4.0, 4.0]
    assert (step_of("15min"), step_of("1h"), step_of("1 d")) == (900, 3600, 86400)
    for wrong in ("15", "0min", "h", "-1h", "1 month"):
        with pytest.raises(TableError, match="write one like 15min, 1h or 1d"):
            step_of(wrong)


@pytest.mark.parametrize(
    ("step", "a_day", "slots"),
    [
        (900, 96, [96 + 36, 96 + 37]),
        (1800, 48, [48 + 18, 48 + 18]),
        (86400, 1, [1, 1]),
        (604800, 1, [0, 0]),
        (420, 206, [206 + 77, 206 + 79]),
    ],
)
def test_slots_are_of_the_local_week(step: int, a_day: int, slots: list[int]) -> None:
    """Tuesday at 9:00 and 9:15."""
    times = np.array([1772528400, 1772529300])
    found = Table(None, times, times, np.zeros(2), np.zeros(2, bool), step, ())
    assert (found.slots_a_day, found.slots.tolist()) == (a_day, slots)


@given(some.integers(60, 200_000), some.integers(0, table.LATEST))
def test_slots_are_from_nought_to_seven_days(step: int, time: int) -> None:
    times = np.array([time])
    found = Table(None, times, times, np.zeros(1), np.zeros(1, bool), step, ())
    assert 0 <= found.slots[0] < 7 * found.slots_a_day


def test_an_hour_that_clocks_show_twice_is_two(tmp_path: Path) -> None:
    lines = [f"2026-10-25T{clock},1" for clock in ("00:30", "01:00", "01:30", "01:00", "01:30")]
    found = rows(tmp_path, *lines, "2026-10-25T02:00,1", zone="Europe/London")
    assert np.diff(found.times).tolist() == [1800] * 5
    assert found.slots.tolist() == [289, 290, 291, 290, 291, 292]


def test_an_hour_that_is_left_out_leaves_none_between(tmp_path: Path) -> None:
    lines = [f"2026-03-29T{clock},1" for clock in ("00:00", "00:30", "02:00", "02:30")]
    found = rows(tmp_path, *lines, zone="Europe/London")
    assert np.diff(found.times).tolist() == [1800] * 3


@given(some.sampled_from(["Europe/London", "Asia/Kathmandu", "Australia/Lord_Howe"]), some.data())
def test_a_clock_read_off_is_the_time_it_was(name: str, data: some.DataObject) -> None:
    zone = ZoneInfo(name)
    start = data.draw(some.integers(0, 3_000_000_000 // 900)) * 900
    times = np.arange(start, start + 90_000, 900)
    local = to_local(times, zone)
    wanted = [datetime.fromtimestamp(int(t), zone).replace(tzinfo=UTC).timestamp() for t in times]
    assert local.tolist() == wanted
    assert to_utc(local, zone).tolist() == times.tolist()


cells = some.one_of(
    some.text(max_size=12),
    some.sampled_from(["nan", "inf", "-1", "1e12", "1e400", "", "0", '"', "2026-03-02", "\x00"]),
    some.datetimes(datetime(1960, 1, 1), datetime(2300, 1, 1)).map(str),
    some.floats().map(str),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.lists(some.tuples(cells, cells), max_size=8),
    some.sampled_from([",", ";"]),
    some.sampled_from(["count", "gauge", "ratio", "duration"]),
)
def test_any_file_is_read_or_refused_in_words(
    tmp_path: Path, lines: list[tuple[str, str]], separator: str, kind: Kind
) -> None:
    text = "\n".join(separator.join(each) for each in [("t", "v"), *lines])
    path = tmp_path / "any.csv"
    path.write_bytes(text.encode("utf-8", "replace"))
    with suppress(TableError):
        found = read(path, "t", "v", kind, zone=LONDON)
        assert np.all(np.diff(found.times) > 0)
        assert found.times.size == found.values.size == len(found.text)
        assert not np.isinf(found.values).any()
