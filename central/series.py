"""Reading series: points of a metric, with the expected band and what is known of each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb

from central import audits, calendar, windows
from central.config import Site
from central.histograms import quantile
from central.measures import MONEY
from central.metrics import EDGES, Metric
from central.store import Store
from central.watch import COVERED_SHARE

Resolution = Literal["15min", "hour", "day"]
Status = Literal["observed", "observed-zero", "absent", "suppressed", "open"]
Sums = dict[tuple[str, str, int], float]
"""By subject, measure and bin."""
PEOPLE = 10
"""What describes people is told of at least so many."""


@dataclass(frozen=True)
class Point:
    """A value between `start` and the next point's. Missing is not zero.

    value: None where absent or suppressed, and where a ratio has nothing to be divided by.
    observed: the share of the point's windows of which it tells.
    confidence: how far its counts can be believed, 0 to 1, by the devices' own audits of the hours
        that it lies in, weighted by their counts; None where there are none.
    """

    start: datetime
    value: float | None
    status: Status
    observed: float
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float | None = None


@dataclass
class _Window:
    window: int
    sums: Sums = field(default_factory=dict)
    seen: bool = False
    open: bool = False
    hidden: bool = False
    band: tuple[float | None, float | None, float | None] = (None, None, None)
    sure: tuple[float, float] = (0.0, 0.0)


def read(
    store: Store,
    site: Site,
    metric: Metric,
    start: datetime,
    stop: datetime,
    step: Resolution,
    subject: str = "",
) -> list[Point]:
    """The points of a metric in [start, stop). Hours and days are the site's own.

    subject: one line, zone, camera or channel; all of them where empty.
    What describes people is told by whole hours and days, without the hours (of a zone) in which
    there were fewer than PEOPLE; so no two values differ by fewer than these.
    """
    first, last = windows.key(start), windows.key(stop)
    if metric.people and step != "15min":
        first, last = (windows.key(calendar.hour(site, window)) for window in (first, last + 3))
    found = _windows(store, site, metric, first, last, subject)
    if metric.people:
        for hour in _groups(found, site, "hour").values():
            _hide(hour, metric, whole=step != "15min")
    weights = _weights(metric, site)
    zone = UTC if step == "15min" else site.zone
    groups = _groups(found, site, step)
    return [
        _point(begin.astimezone(zone), group, metric, weights) for begin, group in groups.items()
    ]


def other_money(
    store: Store, site: Site, metric: Metric, start: datetime, stop: datetime, subject: str = ""
) -> dict[str, float]:
    """By currency, what a metric of money leaves out for want of a rate."""
    if metric.kind != "money":
        return {}
    weights = _weights(metric, site)
    rows = store.central().execute(
        "select split_part(measure, ':', 2), sum(value) from partial"
        ' where site = ? and "window" >= ? and "window" < ? and ? in (\'\', subject)'
        " and measure like ? group by measure order by 1",
        [site.id, windows.key(start), windows.key(stop), subject, f"{metric.measure}:%"],
    )
    return {
        currency: value
        for currency, value in rows.fetchall()
        if f"{metric.measure}:{currency}" not in weights
    }


def _groups(
    found: Iterable[_Window], site: Site, step: Resolution
) -> dict[datetime, list[_Window]]:
    # By the instant: by the local clock, the two hours of a clock change would be one.
    groups: dict[datetime, list[_Window]] = defaultdict(list)
    for each in found:
        groups[_begin(each.window, site, step).astimezone(UTC)].append(each)
    return groups


def _begin(window: int, site: Site, step: Resolution) -> datetime:
    if step == "15min":
        return windows.start(window)
    return calendar.day(site, window) if step == "day" else calendar.hour(site, window)


def _weights(metric: Metric, site: Site) -> dict[str, float]:
    """The measures behind a metric, and what one of each counts."""
    rates = {"": 1.0, **site.rates, site.currency: 1.0}
    weights = dict.fromkeys((metric.measure, *metric.over), 1.0)
    for measure in weights.keys() & set(MONEY):
        exchanged = metric.kind == "money" and measure != "sold"
        weights |= {
            f"{measure}:{currency}": rate if exchanged else 1.0 for currency, rate in rates.items()
        }
    if metric.quantile:
        weights[f"{metric.measure}_censored"] = 1.0
    if metric.people:
        weights[metric.people] = 1.0
    return weights


def _windows(
    store: Store, site: Site, metric: Metric, first: int, stop: int, subject: str
) -> list[_Window]:
    cursor = store.central()
    span = {"site": site.id, "first": first, "stop": stop, "subject": subject}
    found = {window: _Window(window) for window in range(first, stop)}
    row = cursor.execute("select processed from progress where site = ?", [site.id]).fetchone()
    closed = row[0] if row else first - 1
    imported = _add_sums(cursor, found, metric, site, span)
    covered = _covered(cursor, store, metric, span)
    since = _since(cursor, metric, site, subject)
    for window, each in found.items():
        each.open = window > closed
        if metric.subject == "camera":
            each.seen = bool(each.sums)
            continue
        each.seen = since is not None and window >= since
        if metric.counted:
            share = covered.get(window, 0.0)
            each.seen = each.seen and (window in imported or share >= COVERED_SHARE)
    _add_sure(cursor, found, metric, span)
    if not subject:
        rows = cursor.execute(
            'select "window", expected, lower, upper from expectation'
            ' where site = ? and metric = ? and "window" >= ? and "window" < ?',
            [site.id, metric.name, first, stop],
        )
        for window, *band in rows.fetchall():
            found[window].band = (band[0], band[1], band[2])
    return list(found.values())


def _add_sums(
    cursor: duckdb.DuckDBPyConnection,
    found: Mapping[int, _Window],
    metric: Metric,
    site: Site,
    span: dict[str, Any],
) -> set[int]:
    """Put the measures' sums into the windows; returns those whose basis is imported."""
    basis = metric.over[0] if metric.over else metric.measure
    rows = cursor.execute(
        """
        select "window", subject, measure, bin, sum(value),
            bool_or(measure = $basis and part like 'import:%')
        from partial
        where site = $site and "window" >= $first and "window" < $stop
            and measure in (select unnest($measures)) and $subject in ('', subject)
        group by all
        """,
        {**span, "basis": basis, "measures": list(_weights(metric, site))},
    )
    imported = set()
    for window, subject, measure, place, value, brought in rows.fetchall():
        if brought:
            imported.add(window)
        if measure in metric.over or not metric.channels or subject in metric.channels:
            found[window].sums[subject, measure, place] = value
    return imported


def _since(
    cursor: duckdb.DuckDBPyConnection, metric: Metric, site: Site, subject: str
) -> int | None:
    """The window from which on a metric is known at a site."""
    if not metric.since:
        return 0
    row = cursor.execute(
        'select min("window") from partial where site = ? and measure in (select unnest(?))'
        " and ? in ('', subject) and (len(?) = 0 or subject in (select unnest(?)))",
        [site.id, list(metric.since), subject, list(metric.channels), list(metric.channels)],
    ).fetchone()
    return row[0] if row else None


def _roles(metric: Metric) -> tuple[str, ...]:
    return ("entrance", "street") if "passersby" in metric.since else ("entrance",)


def _covered(
    cursor: duckdb.DuckDBPyConnection, store: Store, metric: Metric, span: dict[str, Any]
) -> dict[int, float]:
    """By window, the share that the worst of the cameras behind a metric saw.

    Those that watch its lines or zones by the layout, from when on they were first heard of; those
    that were heard of in the window, where no layout is known.
    """
    needed = {
        camera
        for (camera,) in store.floor()
        .execute(
            "select distinct unnest(cameras) from line where $counted = 'line' and current"
            " and site = $site and role in (select unnest($roles)) and $subject in ('', line)"
            " union select distinct unnest(cameras) from zone where $counted = 'zone' and current"
            " and site = $site and role <> 'staff' and $subject in ('', zone)",
            {
                "site": span["site"],
                "subject": span["subject"],
                "counted": metric.counted,
                "roles": list(_roles(metric)),
            },
        )
        .fetchall()
    }
    place = {name: span[name] for name in ("site", "first", "stop")}
    began: dict[str, int] = dict(
        cursor.execute(
            'select subject, min("window") from partial where site = ?'
            " and measure = 'watched_seconds' group by 1",
            [span["site"]],
        ).fetchall()
    )
    shares: dict[int, dict[str, float]] = defaultdict(dict)
    rows = cursor.execute(
        'select "window", subject, sum(value) from partial where site = $site'
        ' and "window" >= $first and "window" < $stop and measure = \'covered_seconds\''
        " group by all",
        place,
    )
    for window, camera, seconds in rows.fetchall():
        shares[window][camera] = seconds / windows.SECONDS
    worst = {}
    for window, by_camera in shares.items():
        known = [camera for camera in needed if began.get(camera, window + 1) <= window]
        worst[window] = min(by_camera.get(camera, 0.0) for camera in known or by_camera)
    return worst


def _add_sure(
    cursor: duckdb.DuckDBPyConnection,
    found: Mapping[int, _Window],
    metric: Metric,
    span: dict[str, Any],
) -> None:
    rows = cursor.execute(
        """
        select "window", sum(confidence * greatest(count, 1)), sum(greatest(count, 1)) from audit
        where site = $site and kind = $counted and $subject in ('', subject)
            and (kind = 'zone' or role in (select unnest($roles)))
            and "window" > $first - $hour and "window" < $stop
        group by 1
        """,
        {**span, "counted": metric.counted, "roles": list(_roles(metric)), "hour": audits.HOUR},
    )
    for window, sure, counted in rows.fetchall():
        for each in range(window, window + audits.HOUR):
            if each in found:
                found[each].sure = sure, counted


def _hide(hour: list[_Window], metric: Metric, *, whole: bool) -> None:
    """Drop what an hour says of fewer people than may be told of."""
    people: Counter[str] = Counter()
    for each in hour:
        for (subject, measure, _), value in each.sums.items():
            if measure == metric.people:
                people[subject if metric.subject else ""] += int(value)
    whole = whole and not any(each.open for each in hour)
    for each in hour:
        told = {
            key: value
            for key, value in each.sums.items()
            if whole and people[key[0] if metric.subject else ""] >= PEOPLE
        }
        each.hidden = len(told) < len(each.sums)
        each.sums = told


def _point(
    start: datetime, group: list[_Window], metric: Metric, weights: Mapping[str, float]
) -> Point:
    seen = [each for each in group if each.seen or (each.open and each.sums)]
    sums: Sums = defaultdict(float)
    for each in seen:
        for key, summed in each.sums.items():
            sums[key] += summed
    value = _value(metric, weights, sums) if seen else None
    status: Status = "observed" if seen else "absent"
    if any(each.open for each in group):
        status = "open"
    elif seen and not sums and any(each.hidden for each in seen):
        status, value = "suppressed", None
    elif seen and not any(summed for key, summed in sums.items() if _counts(metric, key)):
        status = "observed-zero"
    single = group[0].band if len(group) == 1 else (None, None, None)
    counted = sum(each.sure[1] for each in seen)
    confidence = sum(each.sure[0] for each in seen) / counted if counted else None
    observed = sum(bool(each.sums) or not each.hidden for each in seen) / len(group)
    return Point(start, value, status, observed, *single, confidence)


def _counts(metric: Metric, key: tuple[str, str, int]) -> bool:
    """Whether a sum belongs to what a metric counts, rather than to what that is divided by."""
    return key[1].partition(":")[0] == metric.measure and (
        not metric.channels or key[0] in metric.channels
    )


def _value(metric: Metric, weights: Mapping[str, float], sums: Sums) -> float | None:
    if metric.quantile:
        bins: dict[str, dict[int, float]] = {name: defaultdict(float) for name in weights}
        for (_, measure, place), value in sums.items():
            bins[measure][place] += value
        ended, censored = bins[metric.measure], bins[f"{metric.measure}_censored"]
        return quantile(metric.quantile, EDGES[metric.measure], ended, censored)
    if metric.added:
        zones = {subject for subject, _, _ in sums}
        values = [_ratio(metric, weights, _of(sums, zone)) for zone in zones]
        known = [value for value in values if value is not None]
        return sum(known) if known else None
    return _ratio(metric, weights, sums)


def _of(sums: Sums, subject: str) -> Sums:
    return {key: value for key, value in sums.items() if key[0] == subject}


def _ratio(metric: Metric, weights: Mapping[str, float], sums: Sums) -> float | None:
    top = sum(value * weights[key[1]] for key, value in sums.items() if _counts(metric, key))
    if not metric.over:
        return top
    over = sum(
        value * weights[key[1]]
        for key, value in sums.items()
        if key[1].partition(":")[0] in metric.over
    )
    return top / over if over else None


def points(store: Store) -> int:
    """How many values stand in windows that did not come from an import."""
    row = (
        store.central()
        .execute("select count(*) from partial where part not like 'import:%'")
        .fetchone()
    )
    return int(row[0]) if row else 0
