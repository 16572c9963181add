"""The catalogue of metrics: what a series means, in one place.

A window holds mergeable sums, the measures; a metric is one measure, or one over another.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["count", "duration", "ratio", "money"]
Counted = Literal["", "line", "zone"]

VISIT_SECONDS = 5.0
"""A stay counts as a visit from here on."""
ENGAGED_SECONDS = 15.0
"""A visit counts as engaged from here on, where the settings say nothing of its zone."""
DWELL_EDGES = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
"""Lower edges in seconds of a dwell histogram's bins: bin i holds edges[i] <= dwell < edges[i + 1],
the last bin all from its edge on. Those of a wait histogram are `edge.wire.WAIT_EDGES`."""


@dataclass(frozen=True)
class Metric:
    """`value` = sum of `measure`, divided by the sum of `over` where there is one.

    It is as sure as the counts of entrance lines (`counted` is `line`) or zones that it comes from.
    """

    name: str
    title: str
    unit: str
    kind: Kind
    sentence: str
    measure: str
    over: str = ""
    counted: Counted = ""


CATALOGUE = {
    metric.name: metric
    for metric in (
        Metric(
            "footfall",
            "Footfall",
            "people",
            "count",
            "Crossings inwards of entrance lines, staff excluded.",
            "footfall",
            counted="line",
        ),
        Metric(
            "exits",
            "Exits",
            "people",
            "count",
            "Crossings outwards, staff excluded.",
            "exits",
            counted="line",
        ),
        Metric(
            "visits",
            "Visits",
            "visits",
            "count",
            "Stays of at least 5 s in a zone, staff excluded.",
            "visits",
            counted="zone",
        ),
        Metric(
            "dwell",
            "Visit dwell",
            "seconds",
            "duration",
            "Mean time of a visit in its zone, as far as it was seen.",
            "dwell_seconds",
            "visits",
            counted="zone",
        ),
        Metric(
            "occupancy",
            "Occupancy",
            "people",
            "ratio",
            "Mean number of people in the zones, weighted by time.",
            "person_seconds",
            "zone_seconds",
            counted="zone",
        ),
        Metric("orders", "Orders", "orders", "count", "Orders without returns.", "orders"),
        Metric("revenue", "Revenue", "money", "money", "Value of orders less returns.", "revenue"),
        Metric("units", "Units", "items", "count", "Items in orders less returns.", "units"),
        Metric(
            "conversion",
            "Conversion",
            "orders per visitor",
            "ratio",
            "Orders at the tills divided by footfall.",
            "orders",
            "footfall",
            counted="line",
        ),
        Metric(
            "coverage",
            "Coverage",
            "share",
            "ratio",
            "Share of the time that the cameras saw.",
            "covered_seconds",
            "watched_seconds",
        ),
    )
}

WATCHED = ("footfall", "orders")
"""The metrics that the detectors watch."""
