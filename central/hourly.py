"""What a store's hours hold: the sums that the features are made of, and how much was seen."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from central import seen, series, windows
from central.config import Site
from central.dictionary import About
from central.hours import Booleans, Reals, Span
from central.measures import GAP_SECONDS
from central.metrics import CATALOGUE, EDGES
from central.store import Store

Sums = dict[str, Reals]
"""By name, sums by hour: (hours,), or (hours, bins) for a histogram."""


@dataclass(frozen=True)
class Table:
    """What there is to tell of a site, or of a zone, by hour.

    usable: (hours,), whether an hour can be told. shares: (hours,), of its open quarters how many
    were seen.
    """

    about: About
    zone: str
    sums: Sums
    usable: Booleans
    shares: Reals


def tables(store: Store, site: Site, span: Span, about: Collection[About]) -> Iterator[Table]:
    """What there is to tell about these."""
    open_quarters = span.by_hour(np.ones(len(span.opened)), span.opened)

    def table(name: About, zone: str, sums: Sums, where: Booleans) -> Table:
        quarters = span.by_hour(np.ones(len(where)), where)
        shares = np.divide(quarters, open_quarters, out=quarters * 0, where=open_quarters > 0)
        return Table(name, zone, sums, shares > 0, shares)

    there = span.opened & _seen(store, site, "footfall", span)
    found = _measures(store, site, span)
    entries = span.by_hour(_of(found, "", "footfall", span), there)
    if "site" in about:
        yield table("site", "", _sold(store, site, span, there) | {"entries": entries}, there)
    if "store" in about:
        watched = there & _seen(store, site, "occupancy", span)
        stays = {
            name: span.by_hour(_of(found, "", measure, span), watched)
            for name, measure in (("stays", "footfall"), ("person_seconds", "person_seconds"))
        }
        if stays["person_seconds"].any():
            yield table("store", "", stays, watched)
    for zone in sorted({subject for subject, measure, _ in found if measure == "visits"}):
        watched = span.opened & _seen(store, site, "visits", span, zone)
        names = ("visits", "people", "engaged", "dwell", "dwell_censored", "wait")
        sums = {name: span.by_hour(_of(found, zone, name, span), watched) for name in names} | {
            "entries": entries
        }
        kinds: tuple[About, ...] = ("zone", "dwell", "queue")
        for kind in kinds:
            if kind in about and (kind != "queue" or sums["wait"].any()):
                yield table(kind, zone, sums, watched)
    if "online" in about and (site.catchment.postcodes or site.catchment.regions):
        joined = table("online", "", _online(store, site, span) | {"entries": entries}, there)
        begun = np.cumsum(joined.usable) > 0
        yield replace(joined, usable=begun & (joined.usable | (open_quarters == 0)))


def _sold(store: Store, site: Site, span: Span, there: Booleans) -> Sums:
    start, stop = windows.start(span.first), windows.start(span.first + len(span.opened))
    sums = {}
    for name in ("orders", "revenue"):
        points = series.read(store, site, CATALOGUE[name], start, stop, "15min", "pos")
        values = np.array([np.nan if each.value is None else each.value for each in points])
        sums[name] = span.by_hour(values, there)
    return sums


def _seen(store: Store, site: Site, metric: str, span: Span, subject: str = "") -> Booleans:
    stop = span.first + len(span.opened)
    found = seen.read(store, site, CATALOGUE[metric], span.first, stop, subject)
    return np.array([each.seen and not each.open for each in found])


def _measures(store: Store, site: Site, span: Span) -> dict[tuple[str, str, int], Reals]:
    """By subject (none for what is of the site), measure and bin, sums by window, (windows,)."""
    found: dict[tuple[str, str, int], Reals] = {}
    rows = store.central().execute(
        "select case when measure in ('footfall', 'person_seconds') then '' else subject end,"
        ' measure, bin, "window", sum(value) from partial'
        ' where site = ? and "window" >= ? and "window" < ?'
        " and measure in ('footfall', 'person_seconds', 'visits', 'people', 'engaged', 'dwell',"
        " 'dwell_censored', 'wait') group by all",
        [site.id, span.first, span.first + len(span.opened)],
    )
    for subject, measure, place, window, value in rows.fetchall():
        values = found.setdefault((subject, measure, place), np.zeros(len(span.opened)))
        values[window - span.first] = value
    return found


def _of(
    found: Mapping[tuple[str, str, int], Reals], subject: str, measure: str, span: Span
) -> Reals:
    """Sums by window, (windows,), or (windows, bins) of a histogram."""
    nothing = np.zeros(len(span.opened))
    edges = EDGES.get(measure.removesuffix("_censored"))
    if edges is None:
        return found.get((subject, measure, 0), nothing)
    return np.stack([found.get((subject, measure, n), nothing) for n in range(len(edges))], 1)


def _online(store: Store, site: Site, span: Span) -> Sums:
    """Web and app visitors from the site's catchment who consented to analytics, by hour.

    A user counts in the first hour of a week in which they did something, so that the sum over
    hours of a week is never more than the people there were.
    """
    rows = store.central().execute(
        """
        with mine as (
            select person, channel, name, kind, epoch("time") as second,
                floor(epoch("time") / $seconds)::bigint as "window"
            from online
            where analytics and person is not null and channel in ('web', 'app', 'search')
                and kind in ('track', 'page', 'screen')
                and "window" >= $first - $gap and "window" < $stop
                and (list_contains($regions, lower(trim(region))) or exists (
                    select 1 from (select unnest($postcodes) as prefix)
                    where starts_with(upper(replace(postcode, ' ', '')), prefix)))),
        spaced as (
            select *, second - lag(second) over (partition by person, channel order by second)
                as pause from mine)
        select person, "window",
            count(*) filter (channel <> 'search' and (pause is null or pause > $gap * $seconds)),
            count(*) filter (name = 'Order Completed' and kind = 'track'),
            count(*) filter (name = 'Products Searched' and kind = 'track')
        from spaced where "window" >= $first group by all order by "window", person
        """,
        {
            "seconds": windows.SECONDS,
            "gap": GAP_SECONDS // windows.SECONDS,
            "first": span.first,
            "stop": span.first + len(span.opened),
            "regions": [region.strip().lower() for region in site.catchment.regions],
            "postcodes": [
                "".join(postcode.split()).upper() for postcode in site.catchment.postcodes
            ],
        },
    )
    names = ("users", "web_sessions", "web_orders", "web_searches")
    sums = {name: np.zeros(len(span.keys)) for name in names}
    known: set[tuple[int, str]] = set()
    for person, window, *counts in rows.fetchall():
        hour = span.hour[window - span.first]
        week = int(span.nodes[hour, -1]), person
        counts = [week not in known, *counts]
        known.add(week)
        for name, count in zip(names, counts, strict=True):
            sums[name][hour] += count
    return sums
