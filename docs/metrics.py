"""`make metrics`: docs/metrics.md, from the catalogue."""

from pathlib import Path

from central.durations import FINE
from central.metrics import AREAS, Metric
from central.privacy import TIMED, TIMED_AGAIN

PAGE = Path(__file__).with_name("metrics.md")

INTRODUCTION = f"""# Metrics

Made from the catalogue in `central/metrics.py` by `make metrics`.

`GET /v1/series?site=leeds&metric=footfall` answers points of 15 minutes, or of an hour or day with
`resolution`; `start` and `stop` bound them. Hours and days are the site's own: a day on which the
clocks change has 23 or 25 hours. `subject` asks of one line, zone, camera or channel where the
table names such; without it a value is the whole site's. `GET /v1/metrics` lists this page as JSON.

Missing is not zero. Each point has a status:

| status | what it says |
|---|---|
| `observed` | it was seen; `observed` beside it is the share of the time of which it tells |
| `observed-zero` | it was seen, and there was nothing to count |
| `absent` | its cameras saw less than nine tenths of it, or the site has never had such a thing |
| `suppressed` | it was seen, but the k-gate tells nothing that lies within it |
| `open` | it is not over, or not all of it has arrived |

What describes people (marked ●) is told as the [features](use-the-features.md) tell it: of cells
of hours that have at least {TIMED} people whose time is known, in wide bins below {FINE}, and anew
only when as many more are known ({TIMED_AGAIN} more, if it has had {TIMED_AGAIN}). A point has a
value where such cells lie wholly in it: the mean of theirs, weighted by their people. So the
median of a day is the mean of its cells' medians, and a site's value that of its zones' cells. An
hour with enough people is told once it has closed, the rest of a part of the day or of a day once
that has; what needs a week is in the features alone.
A quarter of an hour tells nothing of it.
"""

ONLINE = """
Events are told by their names in the Segment spec: its ecommerce, email and live chat events. It
has no words for tickets and social media, so those names are ours. Such a metric is known from its
channel's first event on.
"""

HEADINGS = "| metric | what it is | unit | kind | of |\n|---|---|---|---|---|"


def page() -> str:
    """The text of docs/metrics.md."""
    parts = [INTRODUCTION]
    for area, metrics in AREAS.items():
        if area == "Web and app":
            parts.append(f"## Online\n{ONLINE}")
        depth = "###" if metrics[0].since == ("events",) else "##"
        rows = "\n".join(map(_row, metrics))
        parts.append(f"{depth} {area}\n\n{HEADINGS}\n{rows}\n")
    return "\n".join(parts)


def _row(metric: Metric) -> str:
    mark = " ●" if metric.released else ""
    subject = f"site, {metric.subject}" if metric.subject else "site"
    channels = f" ({', '.join(metric.channels)})" if metric.channels and metric.subject else ""
    cells = f"{metric.title}: {metric.sentence}", metric.unit, metric.kind, subject + channels
    return f"| `{metric.name}`{mark} | {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
