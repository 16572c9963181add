"""From scores to causes: what is off in a window, and why, as far as the numbers tell.

The rules, in the order in which they are asked of a site or of a node above it:

| seen | cause |
|---|---|
| a camera saw less than half of the window, or never nine tenths in an hour | sensor |
| people low, sales as usual | sensor: what counts them misses them; of a node data |
| nobody at all, sales not known | sensor, in doubt; of a node data |
| people and sales low, the web shop up | shift |
| people and sales low | demand; of all shops data |
| sales low, people as usual | conversion; of all shops data |
| sales low, people not known | orders |
| returns or coupons high | abuse |
| searches high, or searches that find nothing, sessions as usual | trend |
| people high | busy |

People are footfall, in the web shop sessions; sales are orders. Which of people and sales fell is
asked over the same windows: of three stories, with one fall each, the likeliest is told. A camera
that does not see says nothing of people, so that it can never be read as fewer of them. People are
low, too, where zeros in a row are as unlikely as that, which may take longer than the scan sees.

All functions are pure; what they are told of is a `Tick`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import erfc, sqrt
from typing import Literal

import numpy as np

from central.config import Site
from central.detect import hierarchy
from central.detect.panel import CHAIN, LOW, PEOPLE
from central.detect.reading import Reading, Sum
from central.metrics import SEEING_SHARE

Cause = Literal[
    "sensor", "data", "shift", "demand", "conversion", "orders", "abuse", "trend", "busy"
]
Story = Literal["people", "sales", "both"]

BLIND_SHARE = 0.5
HOUR = 4
UP = 1.645
"""Standard deviations from which the web shop counts as up, beside a fall that is certain."""
WAVES: dict[str, Cause] = {
    "returns": "abuse",
    "coupons": "abuse",
    "searches": "trend",
    "zero_result_searches": "trend",
}
"""What it means where one of these is high."""
ONLY_LISTED = ("busy",)
"""Causes that cost nothing: they stand in the list and wake nobody."""


@dataclass(frozen=True)
class Tick:
    """One closed window of a site, or of a node above sites.

    coverage: by camera, the share of the last windows that it saw, newest first; a camera that was
    never heard of is left out: it is new, not blind.
    children: of a node, the sites or nodes right below it. ready: the window from which on a site
    that is learning has a baseline of its own. event: what the calendar calls that time.
    """

    site: Site
    window: int
    opened: bool
    readings: Mapping[str, Reading]
    coverage: Mapping[str, Sequence[float]] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    ready: int | None = None
    event: str = ""

    @property
    def people(self) -> Reading | None:
        """Footfall, or the web shop's sessions."""
        return self.readings.get(PEOPLE[self.site.kind])


@dataclass(frozen=True)
class Finding:
    """What a rule says: off since the window `since`, as unlikely as `p` without a cause.

    metric: what moved most. lost: sales fewer than expected. children: the sites that move with
    a node. learning: whether it rests on a comparison with sisters alone.
    """

    place: str
    cause: Cause
    since: int
    p: float = 0.0
    metric: str = ""
    subject: str = ""
    lost: float = 0.0
    children: tuple[str, ...] = ()
    learning: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What is one incident: place, family of causes, camera."""
        return self.place, family(self.cause, self.subject), self.subject


def family(cause: str, subject: str) -> str:
    """Causes of one family at one place are one incident, whatever it turns out to be."""
    if subject:
        return "sensor"
    return cause if cause in ("abuse", "trend", "busy") else "trade"


def findings(tick: Tick, limit: float, web: Tick | None = None) -> list[Finding]:
    """What is off in a window; the rules above.

    limit: the p at or below which a metric is off; one that is still learning is off
    only against its sisters, and what it says is marked as learning.
    web: the same window of the web shop, where the place is large enough to be seen there: a node,
    or a store of a chain without nodes.
    """
    if not tick.opened:
        return []
    found = sensors(tick)
    off = {
        metric: reading
        for metric, reading in tick.readings.items()
        if reading.known and (reading.pooled or not reading.learning)
    }
    low = [metric for metric in LOW if metric in off and off[metric].p_low <= limit]
    people = PEOPLE[tick.site.kind]
    orders = off.get("orders")
    if people in off and _silent(tick, off[people], limit) and not (low and orders):
        reading = off[people]
        least = min(reading.p_low, reading.silence)
        found.append(_low(tick, people, reading.silent_since, least, web))
    elif low:
        metric = min(low, key=lambda metric: off[metric].p_low)
        found.append(_low(tick, metric, off[metric].since, off[metric].p_low, web))
    for metric, cause in WAVES.items():
        high = metric in off and off[metric].p_high <= limit
        crowd = high and cause == "trend" and _up(tick, off[metric].since)
        if high and not crowd and all(each.cause != cause for each in found):
            wave = off[metric]
            wave_found = Finding(tick.site.id, cause, wave.since, wave.p_high, metric)
            found.append(replace(wave_found, learning=wave.learning))
    if not low and not tick.children and people in off and off[people].p_high <= limit:
        reading = off[people]
        busy = Finding(tick.site.id, "busy", reading.since, reading.p_high, people)
        found.append(replace(busy, learning=reading.learning))
    return found


def sensors(tick: Tick) -> list[Finding]:
    """The cameras that are blind, or have seen too little for an hour."""
    found = []
    for camera, seen in tick.coverage.items():
        hour = list(seen[:HOUR])
        dim = len(hour) == HOUR and max(hour) < SEEING_SHARE
        if seen[0] < BLIND_SHARE or dim:
            since = tick.window - (HOUR - 1 if dim and seen[0] >= BLIND_SHARE else 0)
            found.append(Finding(tick.site.id, "sensor", since, metric="coverage", subject=camera))
    return found


def _silent(tick: Tick, people: Reading, limit: float) -> bool:
    """Whether nobody was counted for longer than chance has it, by the site's own past."""
    return not tick.children and not people.learning and people.silence <= limit


def _low(tick: Tick, metric: str, since: int, p: float, web: Tick | None) -> Finding:
    reading = tick.readings[metric]
    people = tick.people
    came = people.sum(since) if people and people.known else None
    orders = tick.readings.get("orders")
    sold = _usual_sales(orders, people, since) if orders and orders.known else None
    cause: Cause
    if came is None:
        cause = "orders"
    else:
        told = story(came, sold)
        if told == "people":
            cause = "data" if tick.children else "sensor"
        elif told == "sales":
            cause = "conversion"
        else:
            elsewhere = web is not None and tick.site.kind == "store" and _up(web, since)
            cause = "shift" if elsewhere else "demand"
    if tick.site.id == CHAIN and cause != "shift":
        cause = "data"
    lost = 0.0
    if cause in ("conversion", "orders") and orders is not None:
        given = orders.sum(since)
        lost = given.expected - given.observed if given else 0.0
    elif cause in ("shift", "demand") and sold is not None:
        lost = sold.expected - sold.observed
    # Nobody at all where some bought is a fact, and no guess.
    certain = cause == "sensor" and sold is not None and came is not None and came.observed == 0
    return Finding(
        tick.site.id,
        cause,
        since,
        p,
        metric,
        lost=max(0.0, lost),
        learning=reading.learning and not certain,
    )


def _usual_sales(orders: Reading, people: Reading | None, since: int) -> Sum | None:
    """Orders against what they would be had people come as expected, where those are known."""
    given = orders.sum(since, people)
    if given is None or people is None or given.expected <= 0:
        return given
    share = people.share_of_usual(since) / max(orders.share_of_usual(since, people), 1e-9)
    return Sum(given.observed, given.expected * share, given.variance * share)


def story(people: Sum, sales: Sum | None) -> Story:
    """Whether people, sales or both fell: the likeliest of three stories with one fall each.

    The gain of a story is the quasi-deviance (McCullagh & Nelder 1989, chapter 9) that its fall
    takes away. In the third both fall by the same share. Nobody at all, of whom some bought, is no
    matter of degree; nor is nobody at all where sales are not known.

    >>> story(Sum(40, 42, 60), Sum(0, 15, 15)), story(Sum(10, 42, 60), Sum(14, 15, 15))
    ('sales', 'people')
    >>> story(Sum(10, 42, 60), Sum(4, 15, 15))
    'both'
    """
    if sales is None:
        return "people" if people.observed == 0 else "both"
    if people.observed == 0 and sales.observed > 0:
        return "people"
    first, second = _spread(people), _spread(sales)
    weight = people.expected / first + sales.expected / second
    share = min(1.0, (people.observed / first + sales.observed / second) / weight)
    gains: dict[Story, float] = {
        "people": _gain(people, min(1.0, people.observed / people.expected)),
        "sales": _gain(sales, min(1.0, sales.observed / sales.expected)),
        "both": _gain(people, share) + _gain(sales, share),
    }
    return max(gains, key=lambda name: gains[name])


def _spread(count: Sum) -> float:
    return max(1.0, count.variance / count.expected)


def _gain(count: Sum, share: float) -> float:
    """How much less deviance there is where this share of the expected was to come."""
    mean = max(share, 1e-9) * count.expected
    gain = count.observed * np.log(mean / count.expected) - mean + count.expected
    return 2.0 * float(gain) / _spread(count)


def _up(web: Tick, since: int) -> bool:
    """Whether more people than usual were in the web shop, of at most an hour from a window on."""
    people = web.people or web.readings.get("orders")
    if people is None or not people.known or people.learning:
        return False
    total = people.sum(max(since, web.window - HOUR + 1))
    if total is None or total.expected <= 0:
        return False
    return stabilised(total.observed, total.expected, total.variance) > UP


def calm(tick: Tick, of: str, subject: str) -> bool | None:
    """Whether a window by itself speaks for the end of an incident; None when it says nothing.

    of: the family of causes. A shop whose people are not known ends nothing that has to do with
    them.
    """
    if subject:
        seen = tick.coverage.get(subject)
        return None if seen is None else seen[0] >= SEEING_SHARE
    if not tick.opened:
        return None
    metrics = {"trade": LOW, "busy": tuple(PEOPLE.values())}.get(
        of, [metric for metric, cause in WAVES.items() if cause == of]
    )
    mine = [tick.readings[metric] for metric in metrics if metric in tick.readings]
    if not mine or not all(reading.known for reading in mine):
        return None
    return all(ordinary(reading) for reading in mine)


ORDINARY = 1.282
"""Standard deviations within which four in five ordinary windows lie."""


def ordinary(reading: Reading) -> bool:
    """Whether the newest window by itself is within `ORDINARY` of its expectation."""
    value, mean, variance = (
        float(kept[0]) for kept in (reading.value, reading.expected, reading.variance)
    )
    if mean <= 0:
        return value == 0
    return abs(stabilised(value, mean, variance)) <= ORDINARY


def stabilised(value: float, mean: float, variance: float) -> float:
    """Standard deviations from a mean > 0, after Anscombe's root (1948, Biometrika 35)."""
    root = np.sqrt(value + 0.375) - np.sqrt(mean + 0.375)
    return float(2.0 * root * np.sqrt(mean / variance))


def explained(
    found: Sequence[Finding], ticks: Mapping[str, Tick], leaves: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """One finding at the highest place that explains the others.

    found: the findings of all places of a window. ticks: by place. leaves: by node, highest first,
    the sites below it. A node explains where it is off itself and one fall that its children share
    is likelier than that of one child alone; those of its sites that fall beyond chance are listed
    with it. A node that explains nothing says nothing: what it shows is one child's.
    """
    kept = list(found)
    for node, sites in leaves.items():
        mine = next((each for each in kept if each.place == node), None)
        if mine is None:
            continue
        kept.remove(mine)
        if not _shared(ticks[node], mine, ticks):
            continue
        p = np.array([_p_of_fall(ticks[site], mine) if site in ticks else 1.0 for site in sites])
        named = hierarchy.benjamini_hochberg(p, hierarchy.DISCOVERY_RATE)
        below = {*sites, *(other for other, held in leaves.items() if set(held) < set(sites))}
        kept = [f for f in kept if f.place not in below or f.key[1] != "trade" or f.subject]
        chosen = tuple(site for site, one in zip(sites, named, strict=True) if one)
        kept.append(Finding(**{**mine.__dict__, "children": chosen}))
    return kept


def _shared(tick: Tick, finding: Finding, ticks: Mapping[str, Tick]) -> bool:
    """Whether one fall that all children share is likelier than one child's own."""
    counts = [_against_usual(ticks[child], finding) for child in tick.children if child in ticks]
    known = [count for count in counts if count is not None]
    usual = sum(count.expected for count in known)
    if usual <= 0:
        return False
    share = min(1.0, sum(count.observed for count in known) / usual)
    alone = max(_gain(count, min(1.0, count.observed / count.expected)) for count in known)
    return sum(_gain(count, share) for count in known) > alone


def _against_usual(tick: Tick, finding: Finding) -> Sum | None:
    """What a place counted in a finding's metric and windows, against its usual; None if nothing.

    What it was given, such as its sisters' weather, is part of what a node is to explain.
    """
    reading = tick.readings.get(finding.metric)
    total = reading.sum(finding.since) if reading else None
    if reading is None or total is None:
        return None
    share = reading.share_of_usual(finding.since)
    if share <= 0 or total.expected <= 0:
        return None
    return Sum(total.observed, total.expected / share, total.variance / share)


def _p_of_fall(tick: Tick, finding: Finding) -> float:
    total = _against_usual(tick, finding)
    if total is None:
        return 1.0
    return 0.5 * erfc(-stabilised(total.observed, total.expected, total.variance) / sqrt(2.0))
