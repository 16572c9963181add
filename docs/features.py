"""`python -m docs.features`: the data dictionary of the in-store features, from the code."""

import sys
from pathlib import Path

from central.dictionary import COLUMNS
from central.features import GATES

PAGE = Path(__file__).with_name("features.md")
TITLES = {
    "site": "a site",
    "zone": "visits of a zone",
    "dwell": "dwell in a zone",
    "queue": "waits in a queue",
    "store": "the time that people are in a site",
    "online": "a site's online visitors",
}
NEEDS = {
    "entries": "entries",
    "people": "tracks",
    "dwell": "visits whose dwell is known to its end",
    "wait": "people served whose wait is known",
    "stays": "entries",
    "users": "web users",
}


def page() -> str:
    """The page."""
    rows = [
        f"| `{about}` | {TITLES[about]} | "
        + ", ".join(f"{least} {NEEDS[name]}" for name, least in gate.items())
        + " |"
        for about, gate in GATES.items()
    ]
    columns = [
        f"| `{column.name}` | {column.type} | {f'`{column.about}`' if column.about else 'all'} |"
        f" {column.sentence} |"
        for column in COLUMNS
    ]
    return "\n".join(
        [
            "# In-store features: data dictionary",
            "",
            "Made by `python -m docs.features`. How to read them: [use the features]"
            "(use-the-features.md).",
            "",
            "| `about` | describes | a cell has at least |",
            "|---|---|---|",
            *rows,
            "",
            "In the files times have the zone UTC; `date` is the folder's, the local day in which "
            "the cell ends.",
            "",
            "| column | type | rows | says |",
            "|---|---|---|---|",
            *columns,
            "",
        ]
    )


def main() -> int:
    """Write it."""
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
