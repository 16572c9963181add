"""Reading series: points of a metric, with the expected band and what is known of each."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal

from central import audits, windows
from central.config import Site
from central.metrics import Metric
from central.store import Store
from central.watch import COVERED_SHARE

Resolution = Literal["15min", "hour", "day"]
Status = Literal["observed", "absent", "open"]
ONLINE = {"orders", "revenue", "units"}


@dataclass(frozen=True)
class Point:
    """A value between `start` and the next point's. Missing is not zero.

    value: None where absent, and where a ratio has nothing to be divided by.
    observed: the share of the point's windows in which it was seen.
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


@dataclass(frozen=True)
class _Window:
    window: int
    value: float | None
    over: float | None
    status: Status
    band: tuple[float | None, float | None, float | None]
    sure: float
    counted: float


def read(
    store: Store, site: Site, metric: Metric, start: datetime, stop: datetime, step: Resolution
) -> list[Point]:
    """The points of a metric in [start, stop). Hours and days are the site's own."""
    found = _windows(store, site, metric, windows.key(start), windows.key(stop))
    if step == "15min":
        return [_point(windows.start(each.window), [each], metric) for each in found]
    # By the instant: by the local clock, the two hours of a clock change would be one.
    groups: dict[datetime, list[_Window]] = {}
    for each in found:
        groups.setdefault(_begin(each.window, site, step).astimezone(UTC), []).append(each)
    return [_point(begin.astimezone(site.zone), group, metric) for begin, group in groups.items()]


def _begin(window: int, site: Site, step: Resolution) -> datetime:
    local = windows.start(window).astimezone(site.zone)
    if step == "day":
        return datetime.combine(local.date(), time(0), site.zone)
    return (windows.start(window) - timedelta(minutes=local.minute)).astimezone(site.zone)


def _windows(store: Store, site: Site, metric: Metric, first: int, stop: int) -> list[_Window]:
    cursor = store.central()
    row = cursor.execute("select processed from progress where site = ?", [site.id]).fetchone()
    closed = row[0] if row else first - 1
    row = cursor.execute(
        "select min(\"window\") from partial where site = ? and measure = 'orders'", [site.id]
    ).fetchone()
    first_order = row[0] if row and row[0] is not None else stop
    rows: list[Any] = cursor.execute(
        """
        with summed as (
            select "window",
                sum(value) filter (measure = $measure) as value,
                sum(value) filter (measure = $over) as over,
                coalesce(bool_or(measure = $basis and part like 'import:%'), false) as imported
            from partial where site = $site and "window" >= $first and "window" < $stop
            group by 1),
        camera as (
            select "window", sum(value) / $seconds as covered from partial
            where site = $site and "window" >= $first and "window" < $stop
                and measure = 'covered_seconds'
            group by "window", subject),
        seen as (select "window", min(covered) as covered from camera group by 1),
        sure as (
            select "window", sum(confidence * greatest(count, 1)) as sure,
                sum(greatest(count, 1)) as counted
            from audit
            where site = $site and kind = $counted and (kind = 'zone' or role = 'entrance')
                and "window" > $first - $hour and "window" < $stop
            group by 1)
        select w."window", s.value, s.over, c.covered, coalesce(s.imported, false),
            coalesce(a.sure, 0), coalesce(a.counted, 0), e.expected, e.lower, e.upper
        from (select unnest(range($first, $stop)) as "window") w
        left join summed s on s."window" = w."window"
        left join seen c on c."window" = w."window"
        left join sure a on a."window" = w."window" // $hour * $hour
        left join expectation e
            on e.site = $site and e.metric = $metric and e."window" = w."window"
        order by 1
        """,
        {
            "site": site.id,
            "metric": metric.name,
            "measure": metric.measure,
            "over": metric.over,
            "basis": metric.over or metric.measure,
            "counted": metric.counted,
            "hour": audits.HOUR,
            "seconds": windows.SECONDS,
            "first": first,
            "stop": stop,
        },
    ).fetchall()
    found = []
    for window, value, over, covered, imported, sure, counted, *band in rows:
        if metric.name in ONLINE:
            seen = window >= first_order
        elif metric.name == "coverage":
            seen = over is not None
        else:
            seen = imported or (covered or 0.0) >= COVERED_SHARE
        status: Status = "open" if window > closed else "observed" if seen else "absent"
        kept = value if value is not None else 0.0 if seen else None
        kept = None if status == "absent" else kept
        expected, lower, upper = band
        found.append(_Window(window, kept, over, status, (expected, lower, upper), sure, counted))
    return found


def _point(start: datetime, group: list[_Window], metric: Metric) -> Point:
    seen = [each for each in group if each.value is not None]
    value: float | None = sum(each.value or 0.0 for each in seen)
    over = sum(each.over or 0.0 for each in seen)
    if metric.over:
        value = value / over if value is not None and over else None
    status: Status = "observed" if seen else "absent"
    if any(each.status == "open" for each in group):
        status = "open"
    single = group[0].band if len(group) == 1 else (None, None, None)
    counted = sum(each.counted for each in seen)
    confidence = sum(each.sure for each in seen) / counted if counted else None
    shown = value if seen else None
    return Point(start, shown, status, len(seen) / len(group), *single, confidence)


def points(store: Store) -> int:
    """How many values stand in windows that did not come from an import."""
    row = (
        store.central()
        .execute("select count(*) from partial where part not like 'import:%'")
        .fetchone()
    )
    return int(row[0]) if row else 0
