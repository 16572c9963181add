"""Reading what the nights left: forecasts, and the stores that were unlike the others."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

from central.config import CentralError, Config, Site
from central.detect import peers
from central.detect.peers import Part
from central.metrics import CATALOGUE, WATCHED
from central.store import Store

BAND = 0.95
"""The share of the hours that a forecast's band is to hold."""


class OutlookError(CentralError):
    """There is nothing like that to tell."""


@dataclass(frozen=True)
class Hour:
    """What is expected of the hour that begins at `start`, and the band."""

    start: datetime
    expected: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Forecast:
    """The next seven days of a metric at a site, open hours alone.

    made: when, None where no night has been since the site was first seen. ready: the day from
    which on there is a forecast, where there is none yet. problem: what went wrong last night.
    """

    site: str
    metric: str
    made: datetime | None
    ready: date | None
    problem: str
    band: float
    hours: tuple[Hour, ...]


@dataclass(frozen=True)
class Odd:
    """A store that was unlike the others: its place, by how much, in what, and that in words."""

    site: str
    name: str
    place: int
    score: float
    metrics: tuple[Part, ...]
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """The stores of a day; `compared` is 0 where fewer than eight could be."""

    day: date | None
    compared: int
    unlike: tuple[Odd, ...]


def forecast(store: Store, site: Site, metric: str) -> Forecast:
    """The newest forecast. Raises OutlookError for a metric that none is made of."""
    if metric not in WATCHED:
        raise OutlookError(f"no forecast of {metric}; there are {', '.join(WATCHED)}")
    cursor = store.central()
    made, ready, problem = cursor.execute(
        "select made, ready, problem from baseline where site = ? and metric = ?",
        [site.id, metric],
    ).fetchone() or (None, None, "")
    rows = cursor.execute(
        "select start, expected, lower, upper from forecast where site = ? and metric = ?"
        " order by start",
        [site.id, metric],
    ).fetchall()
    return Forecast(
        site.id,
        metric,
        made and made.replace(tzinfo=UTC),
        ready,
        problem,
        BAND,
        tuple(
            Hour(start.replace(tzinfo=UTC).astimezone(site.zone), *values)
            for start, *values in rows
        ),
    )


def unlike(store: Store, config: Config, day: date | None = None) -> Comparison:
    """The stores that were unlike the others on a day, the newest that was compared unless told."""
    cursor = store.central()
    if day is None:
        ((day,),) = cursor.execute("select max(day) from unlike").fetchall()
    rows = cursor.execute(
        "select site, score, metrics from unlike where day = ?"
        " order by metrics = '[]', score desc, site",
        [day],
    ).fetchall()
    found = []
    for place, (name, score, metrics) in enumerate(rows, 1):
        parts = tuple(Part(**part) for part in json.loads(metrics))
        if parts:
            site = config.site(name)
            words = f"{site.title}: {'; '.join(map(_words, parts))}."
            found.append(Odd(name, site.title, place, score, parts, words))
    return Comparison(day, len(rows), tuple(found))


def forecast_words(found: Forecast) -> str:
    """A forecast for people to read."""
    head = f"{found.metric} at {found.site}: "
    if found.problem:
        return f"{head}no forecast, last night's work failed: {found.problem}"
    if found.ready:
        return f"{head}ready on {found.ready}, when there are three weeks of it"
    if not found.hours:
        return f"{head}no forecast; one is made each night of what was seen"
    lines = [
        f"{each.start:%a %Y-%m-%d %H:%M}  {each.expected:8.1f}  {each.lower:8.1f} to"
        f" {each.upper:8.1f}"
        for each in found.hours
    ]
    return "\n".join([f"{head}expected, and the band of {found.band:.0%}", *lines])


def unlike_words(found: Comparison) -> str:
    """A day's comparison for people to read."""
    if not found.compared:
        return f"fewer than {peers.LEAST_STORES} stores could be compared"
    head = f"{found.day}: {len(found.unlike)} of {found.compared} stores unlike the others"
    return "\n".join([head, *(f"{each.place}. {each.sentence}" for each in found.unlike)])


def _words(part: Part) -> str:
    """A metric's part in a sentence.

    >>> _words(Part("conversion", -0.38, 0.021, -8.0, 0.6))
    'conversion 38 % below its usual (others 2 % above theirs)'
    """
    title = CATALOGUE[part.metric].title.lower() if part.metric in CATALOGUE else "returns by order"
    return f"{title} {_change(part.change, 'its')} (others {_change(part.peers, 'theirs')})"


def _change(change: float, whose: str) -> str:
    if abs(change) < 0.005:
        return "as usual"
    side = "below" if change < 0 else "above"
    return f"{abs(change) * 100:.0f} % {side} {whose}" + (" usual" if whose == "its" else "")
