"""The catalogue of metrics: what a series means, in one place. `docs/metrics.md` is made from it.

A window holds sums that can be merged, the measures, which `measures` defines. A metric is one
measure, or one divided by another; or, where it describes people, what the k-gate has released.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from edge.wire import WAIT_EDGES

Kind = Literal["count", "duration", "ratio", "money"]
Counted = Literal["", "line", "zone"]
Subject = Literal["", "line", "zone", "camera", "channel"]

VISIT_SECONDS = 5.0
"""A stay counts as a visit from here on."""
ENGAGED_SECONDS = 15.0
"""A visit counts as engaged from here on, where the settings say nothing of its zone."""
DWELL_EDGES = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
"""Lower edges in seconds of a dwell histogram's bins: bin i holds edges[i] <= dwell < edges[i + 1],
the last bin all from its edge on."""
SEEING_SHARE = 0.9
"""Below this share of a window seen, what was counted in it is not known."""
EDGES: dict[str, tuple[float, ...]] = {"dwell": DWELL_EDGES, "wait": (0.0, *WAIT_EDGES)}
"""Lower edges in seconds of each histogram's bins."""
ORDERS = ("orders", "returns")
"""The measures that a site with tills or a web shop has."""


@dataclass(frozen=True)
class Metric:
    """`value` = sum of `measure`, divided by the sums of `over` where there are such.

    measure: that of the metric's name, where empty.
    counted: whether it comes from entrance lines or zones, and so is as sure as they are.
    since: it is known from when on the site first had one of these measures.
    channels: the only ones that count, in what has a channel; all where empty.
    subject: what it may be asked of within a site; empty where only of the site.
    added: the site's value is the sum of its zones' values.
    released: it describes people, and is told from released cells alone: a column of theirs.
    """

    name: str
    title: str
    unit: str
    sentence: str
    kind: Kind = "count"
    measure: str = ""
    over: tuple[str, ...] = ()
    counted: Counted = ""
    since: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    subject: Subject = ""
    added: bool = False
    released: bool = False


_line = partial(Metric, counted="line", subject="line")
_zone = partial(Metric, counted="zone", subject="zone", since=("zone_seconds", "visits"))
_queue = partial(Metric, counted="zone", subject="zone", since=("queue_seconds", "joined"))
_till = partial(Metric, since=ORDERS, subject="channel")
_both = partial(Metric, since=ORDERS, channels=("pos",), over=("footfall",), counted="line")
_web = partial(Metric, since=("events",), subject="channel", channels=("web", "app"))
_search = partial(_web, channels=("web", "app", "search"))
_email = partial(_web, channels=("email",))
_social = partial(_web, channels=("social",))
_support = partial(_web, channels=("support",))

AREAS: dict[str, tuple[Metric, ...]] = {
    "Store": (
        _line(
            "footfall", "Footfall", "people", "Crossings inwards of entrance lines, staff excluded."
        ),
        _line("exits", "Exits", "people", "Crossings outwards of entrance lines, staff excluded."),
        _line(
            "passersby",
            "Passers-by",
            "people",
            "Crossings of street lines, either way, staff excluded.",
            since=("passersby",),
        ),
        Metric(
            "capture",
            "Capture rate",
            "share",
            "Footfall divided by footfall and passers-by; needs a street line that those who "
            "enter do not cross.",
            kind="ratio",
            measure="footfall",
            over=("footfall", "passersby"),
            counted="line",
            since=("passersby",),
        ),
        _zone(
            "occupancy",
            "Occupancy",
            "people",
            "Mean number of people in a zone, weighted by time; of a site the sum over its zones.",
            kind="ratio",
            measure="person_seconds",
            over=("zone_seconds",),
            added=True,
        ),
        _zone("visits", "Visits", "visits", "Stays of at least 5 s in a zone, staff excluded."),
        _zone(
            "engaged_share",
            "Engaged share",
            "share",
            "Visits that lasted at least as long as the zone's threshold, 15 s unless set, "
            "divided by all.",
            kind="ratio",
            measure="engaged",
            over=("visits",),
            released=True,
        ),
        _zone(
            "dwell_p50",
            "Visit dwell, median",
            "seconds",
            "Time that half of the visits do not outlast, from bins; visits whose end was "
            "not seen are censored.",
            kind="duration",
            measure="dwell",
            released=True,
        ),
        _zone(
            "dwell_p90",
            "Visit dwell, 90 %",
            "seconds",
            "Time that nine in ten visits do not outlast, from bins; visits whose end was "
            "not seen are censored.",
            kind="duration",
            measure="dwell",
            released=True,
        ),
        _queue(
            "queue_length",
            "Queue length",
            "people",
            "Mean number of people in a queue, weighted by time; of a site the sum over its "
            "queues.",
            kind="ratio",
            measure="queue_person_seconds",
            over=("queue_seconds",),
            added=True,
        ),
        _queue("joined", "Joined", "people", "People who joined a queue."),
        _queue(
            "served",
            "Served",
            "people",
            "People who went on from a queue to a zone with the role `service`.",
        ),
        _queue("abandoned", "Abandoned", "people", "People who left a queue unserved."),
        _queue(
            "lost",
            "Lost in a queue",
            "people",
            "People of whom it is not known how they left a queue.",
        ),
        _queue(
            "abandonment",
            "Abandonment",
            "share",
            "People who left a queue unserved divided by those who joined it; who was lost "
            "counts as joined alone.",
            kind="ratio",
            measure="abandoned",
            over=("joined",),
        ),
        _queue(
            "wait_p50",
            "Wait, median",
            "seconds",
            "Wait that half of those served do not outlast, from bins.",
            kind="duration",
            measure="wait",
            released=True,
        ),
        _queue(
            "wait_p90",
            "Wait, 90 %",
            "seconds",
            "Wait that nine in ten of those served do not outlast, from bins.",
            kind="duration",
            measure="wait",
            released=True,
        ),
        Metric(
            "store_dwell",
            "Store dwell",
            "seconds",
            "Mean time in the store by Little's law, mean occupancy divided by the rate of "
            "entries; needs zones that cover the floor once, and a day rather than an hour.",
            kind="duration",
            measure="person_seconds",
            over=("footfall",),
            counted="line",
            released=True,
        ),
        Metric(
            "coverage",
            "Coverage",
            "share",
            "Share of the time that the cameras saw.",
            kind="ratio",
            measure="covered_seconds",
            over=("watched_seconds",),
            subject="camera",
        ),
    ),
    "Tills and orders": (
        _till("orders", "Orders", "orders", "Orders without returns."),
        _till("returns", "Returns", "returns", "Returns and refunds."),
        _till(
            "revenue",
            "Revenue",
            "money",
            "Value of orders less returns, in the site's currency; others are listed apart, "
            "and added at the rates in the settings where there are such.",
            kind="money",
        ),
        _till("units", "Units", "items", "Items in orders less returns."),
        _till(
            "transaction_value",
            "Transaction value",
            "money",
            "Value of orders without returns divided by their number; of those whose "
            "currency counts in the revenue.",
            kind="money",
            measure="sales",
            over=("sold",),
        ),
        _till(
            "units_per_transaction",
            "Units per transaction",
            "items",
            "Items in orders without returns divided by the orders.",
            kind="ratio",
            measure="sold_units",
            over=("orders",),
        ),
    ),
    "Store and tills": (
        _both(
            "conversion",
            "Conversion",
            "orders per visitor",
            "Orders at the tills, without returns, divided by footfall.",
            kind="ratio",
            measure="orders",
        ),
        _both(
            "sales_per_visitor",
            "Sales per visitor",
            "money",
            "Revenue at the tills divided by footfall.",
            kind="money",
            measure="revenue",
        ),
    ),
    "Web and app": (
        _web(
            "sessions",
            "Sessions",
            "sessions",
            "Runs of a person's events on a channel with no gap of more than 30 min, counted "
            "where they begin.",
        ),
        _web(
            "engaged_time",
            "Engaged time",
            "seconds",
            "Time between the events of a session, divided by the sessions.",
            kind="duration",
            measure="engaged_seconds",
            over=("sessions",),
        ),
        _web("page_views", "Page views", "views", "`page` and `screen` calls."),
        _web(
            "clicks",
            "Clicks",
            "clicks",
            "Events named `Product Clicked`, `Promotion Clicked`, `Link Clicked` or `Button "
            "Clicked`.",
        ),
        _web("product_views", "Product views", "views", "Events named `Product Viewed`."),
        _search("searches", "Searches", "searches", "Events named `Products Searched`."),
        _search(
            "zero_result_searches",
            "Searches without results",
            "searches",
            "Searches whose property `results`, `result_count` or `results_count` is 0.",
        ),
        _web("add_to_cart", "Added to the cart", "events", "Events named `Product Added`."),
        _web("checkouts", "Checkouts", "events", "Events named `Checkout Started`."),
        _web("coupons", "Coupons", "events", "Events named `Coupon Applied`."),
    ),
    "Email": (
        _email("email_delivered", "Emails delivered", "emails", "Events named `Email Delivered`."),
        _email("email_opened", "Emails opened", "events", "Events named `Email Opened`."),
        _email("email_clicked", "Emails clicked", "events", "Events named `Email Link Clicked`."),
        _email("email_unsubscribed", "Unsubscribed", "people", "Events named `Unsubscribed`."),
    ),
    "Social media": (
        _social("social_mentions", "Mentions", "mentions", "Events named `Mention Received`."),
        _social("social_posts", "Posts", "posts", "Events named `Post Published`."),
    ),
    "Support": (
        _support(
            "tickets_opened",
            "Tickets opened",
            "tickets",
            "Events named `Ticket Opened` or `Live Chat Conversation Started`.",
        ),
        _support(
            "tickets_closed",
            "Tickets closed",
            "tickets",
            "Events named `Ticket Closed` or `Live Chat Conversation Ended`.",
        ),
    ),
}
"""The metrics, by what they are of."""

CATALOGUE = {
    metric.name: replace(metric, measure=metric.measure or metric.name)
    for area in AREAS.values()
    for metric in area
}

WATCHED = ("footfall", "orders")
"""The metrics that the detectors watch."""
