"""What the windows of a site hold for a metric, and how much of them was seen."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import duckdb

from central import audits, windows
from central.config import Site
from central.measures import MONEY
from central.metrics import SEEING_SHARE, Metric
from central.store import Store

Sums = dict[tuple[str, str, int], float]
"""By subject, measure and bin."""


@dataclass
class Window:
    """A window's sums; whether all behind them was seen, and whether more may come.

    band: what is expected, and its lower and upper bound. sure: the sum of the audits' confidence
    by their counts, and that of the counts.
    """

    window: int
    sums: Sums = field(default_factory=dict)
    seen: bool = False
    open: bool = False
    band: tuple[float | None, float | None, float | None] = (None, None, None)
    sure: tuple[float, float] = (0.0, 0.0)


def read(
    store: Store, site: Site, metric: Metric, first: int, stop: int, subject: str
) -> list[Window]:
    """The windows of a metric from `first` up to, but without, `stop`."""
    cursor = store.central()
    span = {"site": site.id, "first": first, "stop": stop, "subject": subject}
    found = {window: Window(window) for window in range(first, stop)}
    row = cursor.execute("select processed from progress where site = ?", [site.id]).fetchone()
    closed = row[0] if row else first - 1
    imported = _add_sums(cursor, found, metric, site, span)
    covered = _covered(cursor, store, metric, span)
    since = _since(cursor, metric, span)
    for window, each in found.items():
        each.open = window > closed
        if metric.subject == "camera":
            each.seen = bool(each.sums)
            continue
        each.seen = window >= since
        if metric.counted:
            share = covered.get(window, 0.0)
            each.seen = each.seen and (window in imported or share >= SEEING_SHARE)
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
    found: Mapping[int, Window],
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
        {**span, "basis": basis, "measures": list(weights(metric, site))},
    )
    imported = set()
    for window, subject, measure, place, value, brought in rows.fetchall():
        if brought:
            imported.add(window)
        if measure in metric.over or not metric.channels or subject in metric.channels:
            found[window].sums[subject, measure, place] = value
    return imported


def _since(cursor: duckdb.DuckDBPyConnection, metric: Metric, span: dict[str, Any]) -> float:
    """The window from which on a metric is known at a site."""
    if not metric.since:
        return -inf
    return _first(
        cursor,
        "measure in (select unnest($since)) and $subject in ('', subject)"
        " and (len($channels) = 0 or subject in (select unnest($channels)))",
        {**span, "since": list(metric.since), "channels": list(metric.channels)},
    )


def _first(cursor: duckdb.DuckDBPyConnection, condition: str, span: dict[str, Any]) -> float:
    """The first window before `stop` for which the condition holds; -inf where before `first`.

    What came before is not searched for the first: that would read all of the past each time.
    """
    past = {name: value for name, value in span.items() if name != "stop"}
    earlier = cursor.execute(
        f'select 1 from partial where site = $site and "window" < $first and {condition} limit 1',
        past,
    ).fetchone()
    if earlier:
        return -inf
    row = cursor.execute(
        'select min("window") from partial where site = $site and "window" >= $first'
        f' and "window" < $stop and {condition}',
        span,
    ).fetchone()
    return inf if row is None or row[0] is None else float(row[0])


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
    began = {
        camera: _first(
            cursor,
            "measure = 'watched_seconds' and subject = $camera",
            {**place, "camera": camera},
        )
        for camera in needed
    }
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
        known = [camera for camera in needed if began[camera] <= window]
        worst[window] = min(by_camera.get(camera, 0.0) for camera in known or by_camera)
    return worst


def _add_sure(
    cursor: duckdb.DuckDBPyConnection,
    found: Mapping[int, Window],
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


def weights(metric: Metric, site: Site) -> dict[str, float]:
    """The measures behind a metric, and what one of each counts."""
    rates = {"": 1.0, **site.rates, site.currency: 1.0}
    found = dict.fromkeys((metric.measure, *metric.over), 1.0)
    for measure in found.keys() & set(MONEY):
        exchanged = metric.kind == "money" and measure != "sold"
        found |= {
            f"{measure}:{currency}": rate if exchanged else 1.0 for currency, rate in rates.items()
        }
    return found
