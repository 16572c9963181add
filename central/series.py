"""Reading series: points of a metric, with the expected band and what is known of each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from central import calendar, durations, seen, windows
from central.config import Site
from central.metrics import EDGES, Metric
from central.privacy import IN_STORE
from central.seen import Sums, Window
from central.store import Store

Resolution = Literal["15min", "hour", "day"]
Status = Literal["observed", "observed-zero", "absent", "suppressed", "open"]


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
    there were fewer than `privacy.IN_STORE`; so no two values differ by fewer than these.
    """
    first, last = windows.key(start), windows.key(stop)
    if metric.people and step != "15min":
        first, last = (windows.key(calendar.hour(site, window)) for window in (first, last + 3))
    found = seen.read(store, site, metric, first, last, subject)
    if metric.people:
        for hour in _groups(found, site, "hour").values():
            _hide(hour, metric, whole=step != "15min")
    weights = seen.weights(metric, site)
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
    weights = seen.weights(metric, site)
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


def _groups(found: Iterable[Window], site: Site, step: Resolution) -> dict[datetime, list[Window]]:
    # By the instant: by the local clock, the two hours of a clock change would be one.
    groups: dict[datetime, list[Window]] = defaultdict(list)
    for each in found:
        groups[_begin(each.window, site, step).astimezone(UTC)].append(each)
    return groups


def _begin(window: int, site: Site, step: Resolution) -> datetime:
    if step == "15min":
        return windows.start(window)
    return calendar.day(site, window) if step == "day" else calendar.hour(site, window)


def _hide(hour: list[Window], metric: Metric, *, whole: bool) -> None:
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
            if whole and people[key[0] if metric.subject else ""] >= IN_STORE
        }
        each.hidden = len(told) < len(each.sums)
        each.sums = told


def _point(
    start: datetime, group: list[Window], metric: Metric, weights: Mapping[str, float]
) -> Point:
    known = [each for each in group if each.seen or (each.open and each.sums)]
    sums: Sums = defaultdict(float)
    for each in known:
        for key, summed in each.sums.items():
            sums[key] += summed
    value = _value(metric, weights, sums) if known else None
    status: Status = "observed" if known else "absent"
    if any(each.open for each in group):
        status = "open"
    elif known and not sums and any(each.hidden for each in known):
        status, value = "suppressed", None
    elif known and not any(summed for key, summed in sums.items() if _counts(metric, key)):
        status = "observed-zero"
    single = group[0].band if len(group) == 1 else (None, None, None)
    counted = sum(each.sure[1] for each in known)
    confidence = sum(each.sure[0] for each in known) / counted if counted else None
    observed = sum(bool(each.sums) or not each.hidden for each in known) / len(group)
    return Point(start, value, status, observed, *single, confidence)


def _counts(metric: Metric, key: tuple[str, str, int]) -> bool:
    """Whether a sum belongs to what a metric counts, rather than to what that is divided by."""
    return key[1].partition(":")[0] == metric.measure and (
        not metric.channels or key[0] in metric.channels
    )


def _value(metric: Metric, weights: Mapping[str, float], sums: Sums) -> float | None:
    if metric.quantile:
        edges = np.array(EDGES[metric.measure])
        bins = {name: np.zeros(len(edges)) for name in weights}
        for (_, measure, place), summed in sums.items():
            if measure in (metric.measure, f"{metric.measure}_censored"):
                bins[measure][place] += summed
        lasting = durations.survival(bins[metric.measure], bins[f"{metric.measure}_censored"])
        value, _, _ = durations.quantile(lasting, edges, metric.quantile)
        return None if np.isnan(value) else float(value)
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
