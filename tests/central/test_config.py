"""Settings: what is wrong is told with its line and its fix."""

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.config import Config, ConfigError, Hours, Site, load
from central.detect.panel import CHAIN, node_of

FRIDAY = date(2026, 3, 6)


def written(folder: Path, text: str) -> Path:
    path = folder / "central.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("sitse: []\n", 1, "sitse: unknown key; did you mean `sites`?"),
        (
            "sites:\n  - id: leeds\n    time_zon: UTC\n",
            3,
            "sites.0.time_zon: unknown key; did you mean `time_zone`?",
        ),
        (
            "sites:\n  - id: leeds\n  - id: york\n    time_zone: Europe/Londn\n",
            4,
            "sites.1.time_zone: not a time zone; write one like Europe/London",
        ),
        ("broker:\n  hots: mqtt\n", 2, "broker.hots: unknown key; did you mean `host`?"),
        ("broker:\n  port: 70000\n", 2, "broker.port: Input should be less than or equal"),
        ("http:\n  port: 8080\nraw_hours: 1\n", 3, "raw_hours: Input should be greater"),
        ("sites:\n  - id: Leeds Shop\n", 2, "sites.0.id: String should match pattern"),
        ("sites:\n  - name: Leeds\n", 2, "sites.0.id: Field required"),
        (
            "sites:\n  - id: leeds\n    hours:\n      open: 25:00\n",
            4,
            "sites.0.hours.open: Input should be in a valid time format",
        ),
        (
            "sites:\n  - id: leeds\n    hours:\n      open: 09:00Z\n",
            4,
            "sites.0.hours.open: a local time has no offset; write it like 09:00",
        ),
        ("webhooks:\n  - url: https://\n", 2, "webhooks.0.url: not a web address; write one like"),
        ("webhooks:\n  - url: http://x:99999/\n", 2, "webhooks.0.url: not a web address"),
        ("write_keys:\n  - key: short\n    site: leeds\n", 2, "write_keys.0.key: String should"),
        (
            "sites:\n  - id: a\n    zones:\n      till: {engaged_second: 9}\n",
            4,
            "sites.0.zones.till.engaged_second: unknown key; did you mean `engaged_seconds`?",
        ),
        (
            "sites:\n  - id: a\n    zones:\n      till: {engaged_seconds: 2}\n",
            4,
            "sites.0.zones.till.engaged_seconds: Input should be greater than or equal to 5",
        ),
        (
            "sites:\n  - id: a\n    rates: {EUR: -1}\n",
            3,
            "sites.0.rates.EUR: Input should be greater than 0",
        ),
        ("sites:\n  - id: a\n    rates: {euro: 1}\n", 3, "sites.0.rates.euro: String"),
        ("wholly_unlike_anything: 1\n", 1, "wholly_unlike_anything: unknown key"),
    ],
)
def test_a_mistake_names_its_line_and_its_fix(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: {words}")
    assert caught.value.exit_code == 2


def test_every_mistake_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "sitse: []\nbroker:\n  port: x\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [line.split(":")[1] for line in sorted(str(caught.value).splitlines())] == ["1", "3"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sites: [", "not YAML"),
        ("data: 2026-13-45\n", "not YAML: month must be in 1..12"),
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        (
            f"sites: [{{id: leeds}}, {{id: {CHAIN}}}, {{id: {node_of('North')}}}]",
            "sites named like all shops (`chain`) or like a region (`region-`): chain,"
            " region-north; rename them, like shop-chain",
        ),
        ("sites: [{id: leeds}, {id: york}, {id: leeds}]", "sites named twice: leeds; rename one"),
        ("broker: {password: '${NOT_SET_ANYWHERE}'}", "${NOT_SET_ANYWHERE} is not set"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert words in str(caught.value)
    assert "central.yaml" in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file.*; name an existing file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("data: Läden".encode("latin-1"))
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        load(tmp_path / "latin.yaml")


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "s3cret")
    config = load(written(tmp_path, "broker: {username: c, password: 'x-${BROKER_PASSWORD}'}"))
    assert config.broker.password == "x-s3cret"  # noqa: S105


@pytest.mark.parametrize("quote", ["", '"'])
def test_hours_may_stand_without_quotes(tmp_path: Path, quote: str) -> None:
    """YAML 1.1 reads 20:00 as the number 1200."""
    text = f"sites: [{{id: a, hours: {{open: {quote}08:30{quote}, close: {quote}20:00{quote}}}}}]"
    hours = load(written(tmp_path, text)).site("a").hours
    assert (hours.open, hours.close) == (time(8, 30), time(20))


def opened(hours: Hours, day: date) -> list[int]:
    """The hours of the clock, on a day, at which a shop is open."""
    return [h for h in range(24) if hours.contain(datetime.combine(day, time(h)))]


def test_hours_past_midnight_and_always() -> None:
    late = Hours(open=time(18), close=time(2))
    assert opened(late, FRIDAY) == [0, 1, *range(18, 24)]
    assert opened(Hours(), FRIDAY) == list(range(24))
    assert opened(Hours(open=time(9), close=time(0)), FRIDAY) == list(range(9, 24))


HOURS = """
sites:
  - id: leeds
    hours:
      open: 09:00
      close: 12:00
      friday: {open: 22:00, close: 02:00}
      saturday: closed
      exceptions:
        2026-03-08: closed
        2026-03-14: {open: "10:00", close: "11:00"}
"""


def test_hours_by_weekday_and_date(tmp_path: Path) -> None:
    hours = load(written(tmp_path, HOURS)).site("leeds").hours
    days = [FRIDAY + timedelta(days=n) for n in range(-1, 10)]
    assert [opened(hours, day) for day in days] == [
        [9, 10, 11],
        [22, 23],
        [0, 1],  # what is left of Friday
        [],  # an exception
        *([[9, 10, 11]] * 4),
        [22, 23],
        [0, 1, 10],
        [9, 10, 11],
    ]
    assert hash(hours) == hash(load(written(tmp_path, HOURS)).site("leeds").hours)


@pytest.mark.parametrize(
    ("line", "number", "words"),
    [
        ("saturday: shut", 8, "hours.saturday: write `closed`, or hours like {open:"),
        ("friday: {open: 26:00}", 7, "hours.friday.open: Input should be in a valid time format"),
        ("2026-03-08: noon", 10, "hours.exceptions.2026-03-08: write `closed`, or hours like"),
        ("  soon: closed", 11, "hours.exceptions.soon: Input should be a valid date"),
        ("saturdays: closed", 8, "hours.saturdays: unknown key; did you mean `saturday`?"),
        ("friday: {opens: 9:00}", 7, "hours.friday.opens: unknown key; did you mean `open`?"),
    ],
)
def test_a_mistake_in_hours_names_its_line(
    tmp_path: Path, line: str, number: int, words: str
) -> None:
    lines = HOURS.splitlines()
    indent = len(lines[number - 1]) - len(lines[number - 1].lstrip())
    lines[number - 1] = " " * indent + line.strip()
    path = written(tmp_path, "\n".join(lines))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{number}: sites.0.{words}")


def test_a_zone_says_when_a_visit_counts_as_engaged(tmp_path: Path) -> None:
    text = "sites: [{id: leeds, zones: {wine: {engaged_seconds: 40}}, rates: {EUR: 0.86}}]"
    site = load(written(tmp_path, text)).site("leeds")
    assert site.zones["wine"].engaged_seconds == 40
    assert site.rates == {"EUR": 0.86}


def test_a_site_that_nobody_configured_is_open_in_utc() -> None:
    config = Config(sites=(Site(id="leeds", name="Leeds", time_zone="Europe/London"),))
    assert config.site("leeds").title == "Leeds"
    assert config.site("york").title == "york"
    assert config.site("york").time_zone == "UTC"


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_loads_or_is_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(ConfigError):
        load(path)


def test_a_site_has_the_calendars_of_its_region_and_its_own(tmp_path: Path) -> None:
    text = (
        "regions:\n  north: {calendar: north.ics}\n  south: {}\n"
        "sites:\n  - {id: leeds, region: north, calendar: leeds.ics}\n"
        "  - {id: york, region: north}\n  - {id: dover, region: south}\n  - {id: web}\n"
    )
    config = load(written(tmp_path, text))
    found = {site.id: [str(path) for path in config.calendars(site)] for site in config.sites}
    assert found == {
        "leeds": ["north.ics", "leeds.ics"],
        "york": ["north.ics"],
        "dover": [],
        "web": [],
    }
    with pytest.raises(ConfigError, match="did you mean `calendar`"):
        load(written(tmp_path, "regions:\n  north: {calender: north.ics}\n"))
