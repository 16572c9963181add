"""Central's settings: YAML to frozen models; a mistake is told with its place and its fix."""

import difflib
import os
import re
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from central.metrics import ENGAGED_SECONDS, VISIT_SECONDS


class CentralError(Exception):
    """A mistake of the user's or of the machine; the CLI shows it without a traceback."""

    exit_code = 1


class ConfigError(CentralError):
    """The settings cannot be used as they are."""

    exit_code = 2


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not a time zone; write one like Europe/London")
    return name


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        raise ValueError("not a web address; write one like https://example.com/incidents")
    return url


def _clock(value: object) -> object:
    # YAML 1.1 reads an unquoted 20:00 to base 60, as 1200.
    return f"{value // 60:02}:{value % 60:02}" if type(value) is int else value


def _local(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("a local time has no offset; write it like 09:00")
    return value


ClockTime = Annotated[time, BeforeValidator(_clock), AfterValidator(_local)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(_Model):
    """The MQTT broker."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False


class Http(_Model):
    """Where the page and the API listen."""

    host: str = "127.0.0.1"
    port: Port = 8080


class Opening(_Model):
    """Opening hours of a day, local time; those that pass midnight belong to the day they begin."""

    open: ClockTime = time(0)
    close: ClockTime = time(0)

    def _today(self, moment: time) -> bool:
        return self.open <= moment and (moment < self.close or self.close <= self.open)

    def _tomorrow(self, moment: time) -> bool:
        return self.close <= self.open and moment < self.close


def _closed(value: object) -> object:
    if isinstance(value, str):
        if value != "closed":
            raise ValueError('write `closed`, or hours like {open: "09:00", close: "18:00"}')
        return None
    return value


Day = Annotated[Opening | None, BeforeValidator(_closed)]


class Hours(Opening):
    """Opening hours of every day, of weekdays that differ, and of dates that differ from both.

    Until midnight is `close: "00:00"`; a day may be `closed`.
    """

    monday: Day = None
    tuesday: Day = None
    wednesday: Day = None
    thursday: Day = None
    friday: Day = None
    saturday: Day = None
    sunday: Day = None
    exceptions: dict[date, Day] = {}

    def of(self, day: date) -> Opening | None:
        """The hours of a day; None where it is closed."""
        if day in self.exceptions:
            return self.exceptions[day]
        name = WEEKDAYS[day.weekday()]
        return getattr(self, name) if name in self.model_fields_set else self

    def contain(self, moment: datetime) -> bool:
        """Whether the site is open at a local time.

        >>> late = Hours(open=time(18), close=time(2), sunday=None)
        >>> late.contain(datetime(2026, 3, 1, 1)), late.contain(datetime(2026, 3, 2, 1))
        (True, False)
        """
        today, before = self.of(moment.date()), self.of(moment.date() - timedelta(days=1))
        clock = moment.time()
        return bool((today and today._today(clock)) or (before and before._tomorrow(clock)))

    @cached_property
    def _key(self) -> int:
        days = (getattr(self, name) for name in WEEKDAYS)
        return hash((self.open, self.close, *days, *self.exceptions.items()))

    def __hash__(self) -> int:
        return self._key


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Zone(_Model):
    """What central is told of a zone: from when on a visit there counts as engaged, in seconds."""

    engaged_seconds: Annotated[float, Field(ge=VISIT_SECONDS, le=86_400)] = ENGAGED_SECONDS


class Catchment(_Model):
    """Where a shop's customers live: what their postcodes begin with, or their regions."""

    postcodes: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    regions: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class Region(_Model):
    """What the sites of a region share: an iCal file of its holidays and sales."""

    calendar: Path | None = None


class Site(_Model):
    """A shop, or the web shop; `rates` say what one unit of another currency is in its own.

    `calendar` is an iCal file, beside that of the site's region.
    """

    id: Slug
    name: str = ""
    kind: Literal["store", "web"] = "store"
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    hours: Hours = Hours()
    zones: dict[Slug, Zone] = {}
    region: str = ""
    calendar: Path | None = None
    catchment: Catchment = Catchment()
    currency: Currency = "GBP"
    rates: dict[Currency, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def title(self) -> str:
        """The name that people read."""
        return self.name or self.id


Channel = Literal["store", "pos", "web", "app", "search", "email", "social", "support"]
CHANNELS: tuple[str, ...] = get_args(Channel)


class WriteKey(_Model):
    """A key with which somebody may send events and orders for one site and channel."""

    key: Annotated[str, Field(min_length=8)]
    site: Slug
    channel: Channel = "pos"


class ShopifyShop(_Model):
    """A shop whose order webhooks come to `/v1/shopify/{site}`, signed with its secret."""

    site: Slug
    secret: Annotated[str, Field(min_length=8)]
    channel: Channel = "web"


class Webhook(_Model):
    """A receiver of incidents: each notice is one POST of JSON."""

    url: Annotated[str, AfterValidator(_address)]


Days = Annotated[float, Field(ge=1, le=36_500)]


class Retention(_Model):
    """For how many days each kind of row is kept; `raw_hours` says it of raw floor events."""

    quarantine_days: Days = 30.0
    gaps_days: Days = 35.0
    online_days: Days = 400.0
    orders_days: Days = 3_650.0
    audits_days: Days = 400.0
    expectations_days: Days = 400.0
    notices_days: Days = 90.0
    incidents_days: Days = 1_100.0
    windows_days: Days = 7_300.0


class Config(_Model):
    """All of central's settings."""

    data: Path = Path("data")
    broker: Broker = Broker()
    http: Http = Http()
    sites: tuple[Site, ...] = ()
    regions: dict[str, Region] = {}
    write_keys: tuple[WriteKey, ...] = ()
    shopify: tuple[ShopifyShop, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    grace_seconds: Annotated[float, Field(gt=0)] = 300.0
    settle_seconds: Annotated[float, Field(ge=0)] = 60.0
    raw_hours: Annotated[float, Field(ge=24)] = 24.0
    retention: Retention = Retention()
    false_alarms: Annotated[float, Field(gt=0, le=10)] = 0.1

    def site(self, identity: str) -> Site:
        """The site of that id; one that nobody configured is open at all hours of UTC."""
        return next((site for site in self.sites if site.id == identity), Site(id=identity))

    def calendars(self, site: Site) -> tuple[Path, ...]:
        """The iCal files that speak of a site: its region's, and its own."""
        region = self.regions.get(site.region, Region())
        return tuple(path for path in (region.calendar, site.calendar) if path is not None)


def load(path: Path) -> Config:
    """Read the settings.

    Raises ConfigError with a line for each mistake: file, line, key and fix.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name an existing file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file; save it as UTF-8") from error
    try:
        node = yaml.compose(text)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: the file holds no settings; begin with `sites:`")
    try:
        config = Config.model_validate(_expand(values))
    except ValidationError as error:
        lines = [_explain(path, node, problem) for problem in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    except KeyError as error:
        raise ConfigError(f"{path}: ${{{error.args[0]}}} is not set; export it first") from error
    names = [site.id for site in config.sites]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"{path}: sites named twice: {', '.join(sorted(twice))}; rename one")
    nodes = [name for name in names if name == "chain" or name.startswith("region-")]
    if nodes:
        raise ConfigError(
            f"{path}: sites named like all shops (`chain`) or like a region (`region-`):"
            f" {', '.join(nodes)}; rename them, like shop-{nodes[0]}"
        )
    return config


def _expand(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _expand(item) for key, item in value.items()}  # a date is a key, too
    if isinstance(value, list):
        return [_expand(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], value)
    return value


def _explain(path: Path, node: yaml.Node | None, problem: Any) -> str:
    parts = [part for part in problem["loc"] if part != "[key]"]
    *parents, last = parts or ("",)
    for part in parents:
        node = _child(node, part) or node
    line = _line(node, last)
    place = ".".join(map(str, parts))
    words = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        words = "unknown key"
        close = difflib.get_close_matches(str(last), _keys(problem["loc"]), 1)
        if close:
            words += f"; did you mean `{close[0]}`?"
    return f"{path}:{line}: {place}: {words}"


def _child(node: yaml.Node | None, part: object) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return next(iter(node.value[part : part + 1]), None)
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    return None


def _line(node: yaml.Node | None, last: object) -> int:
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value == last:
                return int(key.start_mark.line) + 1
    child = _child(node, last) or node
    return int(child.start_mark.line) + 1 if child else 1


def _keys(place: tuple[object, ...]) -> list[str]:
    model: type[BaseModel] = Config
    sections: dict[object, type[BaseModel]] = {
        "broker": Broker,
        "http": Http,
        "sites": Site,
        "regions": Region,
        "hours": Hours,
        **dict.fromkeys((*WEEKDAYS, "exceptions"), Opening),
        "zones": Zone,
        "catchment": Catchment,
        "write_keys": WriteKey,
        "shopify": ShopifyShop,
        "webhooks": Webhook,
        "retention": Retention,
    }
    for part in place[:-1]:
        model = sections.get(part, model)
    return list(model.model_fields)
