"""What windows hold: the measures, each defined once, as Ibis expressions.

A measure is a sum that can be merged: over partials, windows and subjects. It has a subject (a
line, a zone, a camera or a channel), and the bins of a histogram are a measure's too. Ibis runs the
definitions on DuckDB today and on Spark later, which is why they look as they do: the window's key
is the number of quarter hours since 1970, and what both would do differently is avoided.
"""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from central.metrics import DWELL_EDGES, EDGES, ENGAGED_SECONDS, VISIT_SECONDS

SECONDS = 900
"""The length of a window."""

_EVENT = {"receipt_day": "date", "site": "string", "device": "string"}
_PERIOD = {"start": "timestamp", "stop": "timestamp"}
CROSSING = ibis.table(
    {**_EVENT, "line": "string", "time": "timestamp", "direction": "string", "staff": "boolean"},
    name="crossing",
)
VISIT = ibis.table(
    {
        **_EVENT,
        "zone": "string",
        "exited": "timestamp",
        "dwell": "float64",
        "nth": "int64",
        "ended": "string",
        "staff": "boolean",
    },
    name="visit",
)
OCCUPANCY = ibis.table({**_EVENT, "zone": "string", **_PERIOD, "mean": "float64"}, name="occupancy")
QUEUE = ibis.table(
    {
        **_EVENT,
        "zone": "string",
        **_PERIOD,
        "length_mean": "float64",
        "joined": "int64",
        "served": "int64",
        "abandoned": "int64",
        "lost": "int64",
        "wait_histogram": "array<int64>",
    },
    name="queue",
)
COVERAGE = ibis.table(
    {**_EVENT, "camera": "string", **_PERIOD, "seen": "int64", "expected": "int64"},
    name="coverage",
)
LINE = ibis.table(
    {"site": "string", "device": "string", "line": "string", "role": "string"}, name="line"
)
ZONE = ibis.table(
    {"site": "string", "device": "string", "zone": "string", "role": "string"}, name="zone"
)
ENGAGEMENT = ibis.table(
    {"site": "string", "zone": "string", "engaged_seconds": "float64"}, name="engagement"
)
ORDERS = ibis.table(
    {
        "site": "string",
        "channel": "string",
        "time": "timestamp",
        "value": "float64",
        "units": "float64",
        "currency": "string",
        "kind": "string",
    },
    name="orders",
)
ONLINE = ibis.table(
    {
        "site": "string",
        "channel": "string",
        "message_id": "string",
        "kind": "string",
        "name": "string",
        "time": "timestamp",
        "person": "string",
        "properties": "string",
    },
    name="online",
)

GAP_SECONDS = 1800
"""A web session ends when nothing comes from a person for longer than this."""
SESSION_CHANNELS = ("web", "app")
MONEY = ("revenue", "sales", "sold")
"""Measures that are kept apart by currency, as `revenue:GBP` and `revenue:EUR`: what came in less
returns, and the value and number of orders without returns."""

EVENTS = {
    "clicks": ("Product Clicked", "Promotion Clicked", "Link Clicked", "Button Clicked"),
    "product_views": ("Product Viewed",),
    "searches": ("Products Searched",),
    "add_to_cart": ("Product Added",),
    "checkouts": ("Checkout Started",),
    "coupons": ("Coupon Applied",),
    "email_delivered": ("Email Delivered",),
    "email_opened": ("Email Opened",),
    "email_clicked": ("Email Link Clicked",),
    "email_unsubscribed": ("Unsubscribed",),
    "social_mentions": ("Mention Received",),
    "social_posts": ("Post Published",),
    "tickets_opened": ("Ticket Opened", "Live Chat Conversation Started"),
    "tickets_closed": ("Ticket Closed", "Live Chat Conversation Ended"),
}
"""Which `track` events a measure counts. The names are those of the Segment spec's ecommerce, email
and live chat events; for social media and tickets, of which it says nothing, they are ours."""
NO_RESULTS = '"(results|result_count|results_count)": ?0[,}]'
"""What a search that found nothing has in its properties (JSON text)."""


def floor() -> ir.Table:
    """Measures of raw events: columns receipt_day, site, subject, window, measure, bin, value.

    Only what its owner says of a line or zone counts, and nothing is told of zones for staff.
    """
    return ibis.union(_crossings(), *_visits(), _occupancy(), *_queues(), _coverage())


def orders() -> ir.Table:
    """Measures of orders: columns site, subject, window, measure, bin, value."""
    sold = ORDERS.kind == "sale"
    wide = ORDERS.group_by(
        **_keys(ORDERS, "channel", "time"), currency=ORDERS.currency.fill_null("")
    ).aggregate(
        orders=ORDERS.count(where=sold).nullif(0),
        returns=ORDERS.count(where=~sold).nullif(0),
        units=ORDERS.units.sum(),
        sold_units=ORDERS.units.sum(where=sold),
        revenue=ORDERS.value.sum(),
        sales=ORDERS.value.sum(where=sold),
        sold=ORDERS.count(where=sold).nullif(0),
    )
    rows = _long(wide, ["orders", "returns", "units", "sold_units", *MONEY], "currency")
    named = rows.measure.isin(MONEY).ifelse(rows.measure + ":" + rows.currency, rows.measure)
    return rows.mutate(measure=named).drop("currency")


def online() -> ir.Table:
    """Measures of online events: columns site, subject, window, measure, bin, value.

    Each event says by itself whether a session begins with it, and how much engaged time has passed
    since the person's last one. So a late event changes its own window and those that begin within
    the gap after it, though it may join two sessions.
    """
    acted = ONLINE.kind.isin(("track", "page", "screen"))
    mine = ibis.window(
        group_by=[ONLINE.site, ONLINE.channel, ONLINE.person, acted],
        order_by=[ONLINE.time, ONLINE.message_id],
    )
    moment = _epoch(ONLINE.time)
    events = ONLINE.mutate(
        gap=moment - moment.lag(1).over(mine),
        active=acted & ONLINE.channel.isin(SESSION_CHANNELS) & ONLINE.person.notnull(),
    )
    near = events.gap <= GAP_SECONDS
    tracked = events.kind == "track"
    counts = {
        name: events.count(where=tracked & events.name.isin(names)).nullif(0)
        for name, names in EVENTS.items()
    }
    vain = events.name.isin(EVENTS["searches"]) & events.properties.re_search(NO_RESULTS)
    return _measures(
        events,
        "channel",
        "time",
        events=events.count(),
        sessions=events.count(where=events.active & ~near.fill_null(False)).nullif(0),
        engaged_seconds=events.gap.sum(where=events.active & near).nullif(0),
        page_views=events.count(where=events.kind.isin(("page", "screen"))).nullif(0),
        zero_result_searches=events.count(where=tracked & vain).nullif(0),
        **counts,
    )


def _crossings() -> ir.Table:
    crossed = CROSSING.filter(~CROSSING.staff).join(LINE, ["site", "device", "line"])
    entrance, street = crossed.role == "entrance", crossed.role == "street"
    return _measures(
        crossed,
        "line",
        "time",
        footfall=(crossed.direction == "in").sum(where=entrance),
        exits=(crossed.direction == "out").sum(where=entrance),
        passersby=crossed.count(where=street).nullif(0),
    )


def _visits() -> tuple[ir.Table, ir.Table]:
    counted = VISIT.filter((VISIT.dwell >= VISIT_SECONDS) & ~VISIT.staff)
    stays = _owned(counted).left_join(ENGAGEMENT, ["site", "zone"])
    enough = stays.engaged_seconds.fill_null(ENGAGED_SECONDS)
    reached = [(stays.dwell >= edge).cast("int64") for edge in DWELL_EDGES]
    # Aggregated once, by bin, for both the sums and the histograms.
    binned = stays.group_by(
        **_keys(stays, "zone", "exited"),
        bin=sum(reached[1:], reached[0]) - 1,
        whole=stays.ended == "left",
    ).aggregate(
        visits=stays.count(),
        people=(stays.nth == 1).sum(),
        engaged=(stays.dwell >= enough).sum(),
    )
    names = ["visits", "people", "engaged"]
    sums = binned.group_by(*_columns(binned)).aggregate(
        **{name: binned[name].sum() for name in names}
    )
    histograms = binned.select(
        *_columns(binned),
        measure=binned.whole.ifelse("dwell", "dwell_censored"),
        bin=binned.bin.cast("int16"),
        value=binned.visits.cast("float64"),
    )
    return _long(sums, names), histograms


def _occupancy() -> ir.Table:
    watched = _owned(OCCUPANCY)
    seconds = _seconds(watched)
    return _measures(
        watched,
        "zone",
        "start",
        person_seconds=(watched["mean"] * seconds).sum(),
        zone_seconds=seconds.sum(),
    )


def _queues() -> tuple[ir.Table, ir.Table]:
    queues = _owned(QUEUE)
    seconds = _seconds(queues)
    sums = {
        "joined": queues.joined.sum(),
        "served": queues.served.sum(),
        "abandoned": queues.abandoned.sum(),
        "lost": queues.lost.sum(),
        "queue_person_seconds": (queues.length_mean * seconds).sum(),
        "queue_seconds": seconds.sum(),
    }
    # Bin by bin: to unnest the arrays takes thirty times as long here.
    known = queues.wait_histogram.length()
    waits = {
        f"wait_{place}": queues.wait_histogram[place].sum(where=known > place).nullif(0)
        for place in range(len(EDGES["wait"]))
    }
    wide = queues.group_by(**_keys(queues, "zone", "start")).aggregate(**sums, **waits)
    histogram = _long(wide, list(waits))
    place = histogram.measure.split("_")[1].cast("int16")
    return _long(wide, list(sums)), histogram.mutate(measure=ibis.literal("wait"), bin=place)


def _coverage() -> ir.Table:
    watched = COVERAGE.filter(COVERAGE.expected > 0)
    seconds = _seconds(watched)
    covered = seconds * ibis.least(watched.seen, watched.expected) / watched.expected
    return _measures(
        watched, "camera", "start", covered_seconds=covered.sum(), watched_seconds=seconds.sum()
    )


def _owned(rows: ir.Table) -> ir.Table:
    return rows.semi_join(ZONE.filter(ZONE.role != "staff"), ["site", "device", "zone"])


def _seconds(rows: ir.Table) -> ir.Value:
    return _epoch(rows.stop) - _epoch(rows.start)


def _epoch(moment: ir.Value, unit: int = 1) -> ir.Value:
    """Whole units since 1970; DuckDB's seconds have a fraction, Spark's have none."""
    return (moment.epoch_seconds() // unit).cast("int64")


def _keys(rows: ir.Table, subject: str, moment: str) -> dict[str, ir.Value]:
    """What a measure is kept by."""
    return {
        **({"receipt_day": rows["receipt_day"]} if "receipt_day" in rows.columns else {}),
        "site": rows.site,
        "subject": rows[subject],
        "window": _epoch(rows[moment], SECONDS),
    }


def _columns(rows: ir.Table) -> list[str]:
    return [name for name in ("receipt_day", "site", "subject", "window") if name in rows.columns]


def _measures(rows: ir.Table, subject: str, moment: str, **measures: ir.Value) -> ir.Table:
    """All measures of a table in one pass over it; what is null, for want of rows, is left out."""
    wide = rows.group_by(**_keys(rows, subject, moment)).aggregate(**measures)
    return _long(wide, list(measures))


def _long(wide: ir.Table, names: list[str], *more: str) -> ir.Table:
    """A column a measure to a row a measure; `more` names columns that are kept."""
    numbers = wide.cast(dict.fromkeys(names, "float64"))
    rows = numbers.pivot_longer(names, names_to="measure", values_to="value")
    known = rows.filter(rows.value.notnull()).mutate(bin=ibis.literal(0, "int16"))
    return known.select(*_columns(wide), "measure", "bin", "value", *more)


DEFINITIONS: dict[str, Callable[[], ir.Table]] = {
    "floor": floor,
    "orders": orders,
    "online": online,
}
