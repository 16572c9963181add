"""Reading series: points of a metric, with the expected band and what is known of each."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from central import calendar, seen, windows
from central.config import Site
from central.dictionary import COLUMNS
from central.metrics import Metric
from central.seen import Sums, Window
from central.store import Store

Resolution = Literal["15min", "hour", "day"]
Status = Literal["observed", "observed-zero", "absent", "suppressed", "open"]
Told = tuple[frozenset[int], float, int]
"""Of a released cell the hours that it holds, a value, and how many people's it is."""
ABOUT = {column.name: column.about for column in COLUMNS}
"""The rows in which a column is."""


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
    What describes people is told from released cells alone, which do not change with what is late
    until the k-gate lets it: see `_released`.
    """
    first, last = windows.key(start), windows.key(stop)
    if metric.released and step != "15min":
        first, last = (windows.key(calendar.hour(site, window)) for window in (first, last + 3))
    found = seen.read(store, site, metric, first, last, subject)
    weights = seen.weights(metric, site)
    zone = UTC if step == "15min" else site.zone
    groups = _groups(found, site, step)
    if metric.released:
        cells = _cells(store, site, metric, (first, last), step, subject)
        return [
            _released(begin.astimezone(zone), group, cells.get(begin, []), site)
            for begin, group in groups.items()
        ]
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


def _cells(
    store: Store,
    site: Site,
    metric: Metric,
    span: tuple[int, int],
    step: Resolution,
    subject: str,
) -> dict[datetime, list[Told]]:
    """The newest snapshots of the released cells, by the point that all of their hours lie in."""
    if step == "15min":
        return {}
    rows = store.central().execute(
        f"select held, {metric.name}, counts[-1] from released"
        " where site = $site and about = $about and $subject in ('', zone) and status = 'ok'"
        " and held[1] >= $first and held[-1] < $stop"
        " qualify row_number() over (partition by zone, start order by snapshot desc) = 1"
        " order by zone, start",
        {
            "site": site.id,
            "about": ABOUT[metric.name],
            "subject": subject,
            "first": span[0],
            "stop": span[1],
        },
    )
    cells: dict[datetime, list[Told]] = defaultdict(list)
    for held, value, people in rows.fetchall():
        begin, end = (_begin(held[place], site, step).astimezone(UTC) for place in (0, -1))
        if begin == end and value is not None:
            cells[begin].append((frozenset(held), value, people))
    return cells


def _released(start: datetime, group: list[Window], cells: list[Told], site: Site) -> Point:
    """A point of what describes people: the mean over the cells in it, weighted by their people.

    It is made of what the features tell of each cell and of how many people are in it, and of
    nothing else: who reads both knows no more than who reads the features.
    """
    hours = frozenset[int]().union(*(held for held, _, _ in cells))
    told = sum(windows.key(calendar.hour(site, each.window)) in hours for each in group)
    people = sum(count for _, _, count in cells)
    value = round(sum(each * count for _, each, count in cells) / people, 2) if cells else None
    status: Status = "observed"
    if any(each.open for each in group):
        status = "open"
    elif not cells:
        status = "suppressed" if any(each.seen for each in group) else "absent"
    return Point(start, value, status, told / len(group), confidence=_confidence(group))


def _confidence(known: Iterable[Window]) -> float | None:
    sure, counted = (sum(each.sure[place] for each in known) for place in (0, 1))
    return sure / counted if counted else None


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
    elif known and not any(summed for key, summed in sums.items() if _counts(metric, key)):
        status = "observed-zero"
    single = group[0].band if len(group) == 1 else (None, None, None)
    return Point(start, value, status, len(known) / len(group), *single, _confidence(known))


def _counts(metric: Metric, key: tuple[str, str, int]) -> bool:
    """Whether a sum belongs to what a metric counts, rather than to what that is divided by."""
    return key[1].partition(":")[0] == metric.measure and (
        not metric.channels or key[0] in metric.channels
    )


def _value(metric: Metric, weights: Mapping[str, float], sums: Sums) -> float | None:
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
