"""The command: strictly causal, defined for any input, and right about what is planted."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from central.__main__ import main
from central.detect import replay
from central.detect.budget import Reals
from central.detect.replay import Detected, Side, detect
from central.detect.table import Kind, Table
from central.ical import Occurrence

START = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 7 * 24
KINDS: tuple[Kind, ...] = ("count", "gauge", "ratio", "duration")


def table(values: Reals, step: int = 3_600, kind: Kind = "count") -> Table:
    """Values on an even grid from a Monday on."""
    times = int(START.timestamp()) + step * np.arange(values.size)
    impossible = np.isinf(values)
    text = [str(time) for time in times]
    return Table(text, times, times, np.where(impossible, np.nan, values), impossible, step, ())


def usual(part: Reals) -> Reals:
    """The level at a part of the day."""
    return 20 * np.exp(-(((part - 0.55) / 0.15) ** 2)) + 1


def ordinary(weeks: int, seed: int = 0, kind: Kind = "count", a_week: int = HOURS) -> Reals:
    random = np.random.default_rng(seed)
    part = np.arange(weeks * a_week) % (a_week // 7) / (a_week // 7)
    level = usual(part)
    if kind == "count":
        return random.poisson(level).astype(np.float64)
    if kind == "ratio":
        return np.clip(0.2 + level / 50 + random.normal(0, 0.02, part.size), 0, 1)
    if kind == "duration":
        return np.exp(1.0 + level / 20 + random.normal(0, 0.1, part.size))
    return level + random.normal(0, 1, part.size)


def same(one: Detected, other: Detected, upto: int) -> None:
    for name in ("expected", "lower", "upper"):
        a, b = getattr(one.scored, name), getattr(other.scored, name)
        np.testing.assert_array_equal(a[: upto + 1], b[: upto + 1])
    np.testing.assert_array_equal(one.score[:upto], other.score[:upto])
    np.testing.assert_array_equal(one.alert[:upto], other.alert[:upto])
    np.testing.assert_array_equal(one.cause[:upto], other.cause[:upto])


def event(
    name: str, kind: str, day: int, hours: int = 24, factor: float | None = None
) -> Occurrence:
    start = START + timedelta(days=day)
    return Occurrence(name, kind, factor, start, start + timedelta(hours=hours))  # type: ignore[arg-type]


EVENTS = [
    *(event("Sale", "scale", day) for day in (25, 39, 53)),
    *(event("Market", "profile", day) for day in (16, 30, 44, 58)),
    event("Holiday", "ignore", 47),
]
EVENTS.sort(key=lambda each: each.start)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(some.integers(0, 9 * HOURS - 1), some.integers(0, 99))
def test_what_comes_later_changes_nothing_before(kind: Kind, cut: int, seed: int) -> None:
    values = ordinary(9, seed, kind)
    values[np.random.default_rng(seed).uniform(size=values.size) < 0.05] = np.nan
    values[5 * HOURS + 10 : 5 * HOURS + 40] *= 3 if kind != "ratio" else 0.5
    later = values.copy()
    later[cut:] = np.random.default_rng(seed).permutation(later[cut:])
    one, other = (detect(table(each), kind, events=EVENTS) for each in (values, later))
    same(one, other, cut)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
def test_what_is_planted_alerts_and_says_which_way(kind: Kind, up: bool) -> None:
    values = ordinary(9, 3, kind)
    noon = slice(7 * HOURS + 59, 7 * HOURS + 66)
    values[noon] *= 1.8 if up else 0.3
    values = np.clip(np.round(values), 0, None) if kind == "count" else values
    found = detect(table(np.clip(values, 0, 1) if kind == "ratio" else values), kind)
    rows = np.flatnonzero(found.alert[noon])
    assert rows.size >= 3
    assert set(found.cause[noon][rows]) == {"high" if up else "low"}
    quiet = np.concatenate([found.alert[: noon.start - 24], found.alert[noon.stop + 24 :]])
    assert quiet.mean() < 0.02
    other: Side = "low" if up else "high"
    assert not detect(table(values), kind, other).alert[noon].any()


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_weeks_lie_in_the_band_and_keep_the_budget(kind: Kind) -> None:
    found = detect(table(ordinary(40, 5, kind)), kind)
    values = ordinary(40, 5, kind)
    scored = ~np.isnan(found.p)
    inside = (values >= found.scored.lower) & (values <= found.scored.upper)
    assert 0.9 < inside[scored].mean() <= 1.0
    assert found.budgeted.achieved <= 1.0
    assert np.all(found.cause[~scored] == "learning")
    assert found.cause[: 3 * HOURS].tolist() == ["learning"] * (3 * HOURS)


def test_a_dead_sensor_is_no_quiet_hour() -> None:
    values = ordinary(9, 1)
    values[7 * HOURS + 58 : 7 * HOURS + 82] = 0.0
    found = detect(table(values))
    assert "sensor?" in found.cause[7 * HOURS + 58 : 7 * HOURS + 68]
    assert "sensor?" not in found.cause[: 7 * HOURS + 58]


WILD: dict[str, Callable[[], Reals]] = {
    "nothing": lambda: np.full(9 * HOURS, np.nan),
    "infinite": lambda: np.full(9 * HOURS, np.inf),
    "zeros": lambda: np.zeros(9 * HOURS),
    "constant": lambda: np.full(9 * HOURS, 7.0),
    "one": lambda: np.array([3.0]),
    "two": lambda: np.array([3.0, np.nan]),
    "sparse": lambda: np.where(np.arange(9 * HOURS) % 50 == 0, 1.0, np.nan),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WILD)
def test_what_does_not_vary_never_alerts(kind: Kind, name: str) -> None:
    values = WILD[name]()
    found = detect(table(values), kind)
    assert not found.alert.any()
    known = np.isfinite(found.p)
    assert np.all((found.p[known] > 0.0) & (found.p[known] <= 1.0))
    assert not known[np.isnan(values) | np.isinf(values)].any()
    assert set(found.cause[np.isinf(values)]) <= {"sensor"}


@pytest.mark.parametrize(
    ("kind", "week"),
    [("count", 0), ("count", 4), ("gauge", 4), ("duration", 0), ("duration", 4)],
)
def test_a_spike_of_a_trillion_blinds_nobody(kind: Kind, week: int) -> None:
    """Three weeks after it, all is as if it had not been."""
    values = ordinary(12, 4, kind)
    plain = detect(table(values), kind)
    place = week * HOURS + 60
    values[place] = 1e12
    found = detect(table(values), kind)
    if week == 4:
        assert found.alert[place]
        assert found.cause[place] == "high"
    later = slice(place + 3 * HOURS, None)
    expected, usual = found.scored.expected[later], plain.scored.expected[later]
    assert np.median(np.abs(expected - usual) / usual) < 0.1
    values[11 * HOURS + 59 : 11 * HOURS + 66] *= 3
    assert detect(table(values), kind).alert[11 * HOURS + 59 : 11 * HOURS + 66].any()


@pytest.mark.parametrize("step", [60, 300, 1800, 86_400, 604_800])
def test_any_step(step: int) -> None:
    a_week = max(1, 7 * 86_400 // step)
    found = detect(table(np.random.default_rng(1).poisson(5.0, 5 * a_week).astype(float), step))
    assert np.isfinite(found.p[4 * a_week :]).all()


def test_ignored_time_is_neither_scored_nor_taught() -> None:
    values = ordinary(9, 2)
    day = slice(47 * 24, 48 * 24)
    wild = values.copy()
    wild[day] = 500.0
    events = [event("Holiday", "ignore", 47)]
    one, other = (detect(table(each), events=events) for each in (values, wild))
    assert set(other.cause[day]) == {"calendar"}
    assert np.isnan(other.p[day]).all()
    np.testing.assert_array_equal(one.p, other.p)


def sale(factor: float, days: list[int], wrong: int | None = None) -> Reals:
    values = ordinary(10, 6)
    random = np.random.default_rng(0)
    for day in days:
        here = slice(24 * day, 24 * day + 24)
        values[here] = random.poisson(usual(np.arange(24) / 24) * factor)
        if day == wrong:
            values[24 * day + 11 : 24 * day + 17] *= 0.3
    return np.round(values)


@pytest.mark.parametrize("told", [None, 3.0])
def test_a_sale_is_no_alert_but_what_deviates_within_it_is(told: float | None) -> None:
    days = [25, 39, 53, 67]
    events = [event("Sale", "scale", day, factor=told) for day in days]
    plain = detect(table(sale(3.0, days)))
    assert plain.alert[24 * 25 : 24 * 26].sum() >= 10
    found = detect(table(sale(3.0, days)), events=events)
    told_of = 0
    for day in days[1:]:
        here = slice(24 * day, 24 * day + 24)
        told_of += int(found.alert[here].sum())
        assert np.isfinite(found.p[here]).all()
        assert found.scored.expected[here].max() > 45
    assert told_of < 8
    first = found.cause[24 * 25 : 24 * 26]
    assert set(first) == ({"calendar"} if told is None else {""})
    low = detect(table(sale(3.0, days, wrong=67)), events=events)
    assert "low" in low.cause[24 * 67 : 24 * 68]


def test_a_day_of_its_own_rhythm_is_known_from_the_fourth_on() -> None:
    days = [9, 16, 23, 30, 37, 44, 51, 58, 65]
    values = ordinary(10, 8)
    random = np.random.default_rng(1)
    night = 1 + 20 * np.exp(-(((np.arange(24) - 22) / 2) ** 2))
    for day in days:
        values[24 * day : 24 * day + 24] = random.poisson(night)
    events = [event("Night", "profile", day) for day in days]
    found = detect(table(values), events=events)
    assert set(found.cause[24 * 23 : 24 * 24]) == {"learning"}
    for day in days[3:]:
        here = slice(24 * day, 24 * day + 24)
        assert np.isfinite(found.p[here]).all()
        assert not found.alert[here].any()
        assert abs(int(np.argmax(found.scored.expected[here])) - 22) <= 1
    values[24 * 65 + 20 : 24 * 65 + 24] = 0.0
    assert detect(table(values), events=events).alert[24 * 65 + 20 : 24 * 66].any()


def written(folder: Path, values: Reals) -> Path:
    path = folder / "visits.csv"
    lines = [
        f"{START + timedelta(hours=i):%Y-%m-%d %H:%M},{'' if np.isnan(value) else value}"
        for i, value in enumerate(values)
    ]
    path.write_text("\n".join(["hour,visitors", *lines, ""]))
    return path


def test_the_command_writes_a_line_for_each_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = ordinary(8, 9)
    values[6 * HOURS + 59 : 6 * HOURS + 66] *= 3
    values[100] = np.nan
    out, plot = tmp_path / "scores.csv", tmp_path / "band.png"
    main(
        [
            *("detect", str(written(tmp_path, values)), "--time", "hour", "--value", "visitors"),
            *("--out", str(out), "--plot", str(plot), "--budget", "0.5"),
        ]
    )
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("timestamp", "value", "expected", "lower", "upper", "score", "alert", "cause")
    ]
    assert len(rows) == values.size
    assert rows[0]["timestamp"] == "2026-01-05 00:00"
    assert (rows[100]["value"], rows[100]["cause"], rows[100]["alert"]) == ("", "absent", "0")
    told = [row for row in rows if row["alert"] == "1"]
    assert {row["cause"] for row in told} == {"high"}
    assert all(float(row["score"]) > 1 for row in told)
    assert plot.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "1,344 rows, an hour apart, 5 January 2026 to 1 March 2026; 1 of them absent" in said
    assert "0.5 promised" in said


def test_the_commands_calendar_and_zone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calendar = tmp_path / "shop.ics"
    calendar.write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        "DTSTART;VALUE=DATE:20260106\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    config = tmp_path / "central.yaml"
    config.write_text(
        "sites:\n  - {id: berlin, region: north, time_zone: Europe/Berlin}\n"
        f"regions:\n  north: {{calendar: {calendar}}}\n"
    )
    out = tmp_path / "scores.csv"
    main(
        [
            *("detect", str(written(tmp_path, ordinary(1))), "--time", "hour"),
            *("--value", "visitors", "--out", str(out), "--config", str(config)),
            *("--site", "berlin"),
        ]
    )
    with out.open(newline="") as file:
        ignored = [row["timestamp"] for row in csv.DictReader(file) if row["cause"] == "calendar"]
    assert (ignored[0], ignored[-1]) == ("2026-01-06 00:00", "2026-01-06 23:00")
    assert "no row could be scored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--value", "visits"], "visits.csv:1: no column `visits`"),
        (["--zone", "Mars"], "--zone Mars: not a time zone; write one like Europe/London"),
        (["--step", "soon"], "--step soon: not a step; write one like 15min, 1h or 1d"),
        (["--budget", "0"], "--budget 0: false alerts a week must be above 0, like 1"),
        (["--calendar", "none.ics"], "none.ics: No such file or directory; name an existing file"),
        (["--out", "none/scores.csv"], "none/scores.csv: "),
        (["--plot", "band.txt"], "band.txt: "),
    ],
)
def test_the_command_tells_mistakes_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    given = {"--time": "hour", "--value": "visitors", "--out": str(tmp_path / "scores.csv")}
    given |= dict([options])
    path = written(tmp_path, ordinary(1))
    with pytest.raises(SystemExit) as caught:
        main(["detect", str(path), *(word for pair in given.items() for word in pair)])
    assert caught.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("passerby-central: ")
    assert words in said


def test_five_digits() -> None:
    shown = replay._short(np.array([0.0, 1e12, 123.456789, -0.000123456, np.nan]))
    assert shown.to_pylist() == [0.0, 1e12, 123.46, -0.00012346, None]
