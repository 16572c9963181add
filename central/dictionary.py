"""The data dictionary of `features/in_store`: its columns, and what each says.

`docs/features.md` is made from it.
"""

from dataclasses import dataclass
from typing import Literal

from central import durations

About = Literal["site", "zone", "dwell", "queue", "store", "online"]


@dataclass(frozen=True)
class Column:
    """A column of `features/in_store`: its DuckDB type, what it says, and for which rows."""

    name: str
    type: str
    sentence: str
    about: About | None = None


COLUMNS = (
    Column("site", "varchar", "The site's id."),
    Column(
        "about",
        "varchar",
        "What the row describes: `site`, `zone` (visits), `dwell`, `queue`, `store` or `online`.",
    ),
    Column("zone", "varchar", "The zone's id; empty for rows about a site or its online visitors."),
    Column(
        "granularity",
        "varchar",
        "The finest of `hour`, `day_part` (six hours), `day` and `week` at which there were enough "
        "people. A coarser cell holds only those of its hours that no finer cell holds.",
    ),
    Column(
        "status",
        "varchar",
        "`ok`; `suppressed`: too few people even in the week; `absent`: not seen. Values are null "
        "unless it is `ok`.",
    ),
    Column(
        "snapshot",
        "bigint",
        "1, and one more each time that the cell is told anew; its times are then told as those "
        "allow who came since.",
    ),
    Column("start", "timestamp", "When the first hour of the cell begins (UTC)."),
    Column("event_timestamp", "timestamp", "When the last hour of the cell ends (UTC)."),
    Column(
        "created_timestamp",
        "timestamp",
        "When the row was released (UTC): nobody could know it before.",
    ),
    Column("hours", "bigint", "Hours in the cell."),
    Column("coverage", "double", "Share of its open quarter hours that the cameras saw."),
    Column(
        "anomaly",
        "boolean",
        "Whether an incident of the site other than `sensor`, told to somebody, lies in it.",
    ),
    Column(
        "trend",
        "double",
        "Entries, visits or web sessions an hour, or store dwell or the median of dwell or wait, "
        "over their mean in the cells that began one to four weeks before, less 1; from released "
        "cells alone.",
    ),
    Column("entries", "bigint", "Crossings inwards of entrance lines, staff excluded.", "site"),
    Column("conversion", "double", "Orders at the tills divided by entries.", "site"),
    Column(
        "sales_per_visitor",
        "double",
        "Value of orders at the tills less returns, in the site's currency, divided by entries.",
        "site",
    ),
    Column("visits", "bigint", "Stays of at least 5 s, staff excluded.", "zone"),
    Column(
        "engaged_share",
        "double",
        "Visits past the zone's threshold divided by visits; below "
        f"{durations.FINE} people to the tenth.",
        "dwell",
    ),
    Column(
        "dwell_p50",
        "double",
        f"Median dwell, seconds; below {durations.FINE} people the middle of a wide bin.",
        "dwell",
    ),
    Column(
        "dwell_p90",
        "double",
        f"Dwell that nine in ten do not outlast, seconds; null below {durations.FINE} people.",
        "dwell",
    ),
    Column(
        "dwell_p90_low",
        "double",
        "Where the bin begins in which `dwell_p90` lies, seconds.",
        "dwell",
    ),
    Column(
        "dwell_p90_high",
        "double",
        "Where that bin ends, seconds; null for the last one, which has no end.",
        "dwell",
    ),
    Column(
        "wait_p50",
        "double",
        f"Median wait of those served, seconds; below {durations.FINE} people the middle of a wide "
        "bin.",
        "queue",
    ),
    Column(
        "wait_p90",
        "double",
        f"Wait that nine in ten do not outlast, seconds; null below {durations.FINE} people.",
        "queue",
    ),
    Column(
        "store_dwell",
        "double",
        "Mean seconds in the store by Little's law: those inside, over time, divided by entries; "
        "for zones that cover the floor once.",
        "store",
    ),
    Column("web_sessions", "bigint", "Web and app sessions begun in the catchment.", "online"),
    Column("web_orders", "bigint", "Web and app orders from the catchment.", "online"),
    Column("web_searches", "bigint", "Searches from the catchment.", "online"),
)
PUBLIC = ", ".join(f'"{column.name}"' for column in COLUMNS)
