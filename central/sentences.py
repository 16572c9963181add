"""An incident in plain words: what moved, by how much, since when, and what did not move."""

from collections.abc import Sequence
from dataclasses import dataclass

from central.config import Site
from central.detect.detector import usual_range
from central.detect.reading import Sum

SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}
NAMED = 3
"""So many sites are named; the others are counted."""


@dataclass(frozen=True)
class Evidence:
    """What is known of an incident's windows, `since` its first, by the clock of its site.

    people, sales: against what was to be expected, None where unknown. wave: what surged. money:
    at risk, in the site's currency. children: names of the sites that move with it, the worst
    first; of: how many there are below it. elsewhere: what did not move, and what is known of the
    time; event: what the calendar calls it. learning: whether the shop has no baseline of its own
    yet; ready: when it will.
    """

    site: Site
    cause: str
    since: str
    subject: str = ""
    metric: str = ""
    people: Sum | None = None
    sales: Sum | None = None
    wave: Sum | None = None
    money: float = 0.0
    terms: Sequence[str] = ()
    children: Sequence[str] = ()
    of: int = 0
    elsewhere: Sequence[str] = ()
    event: str = ""
    learning: bool = False
    ready: str = ""


def usual(count: Sum) -> str:
    """The usual range in words, like `35-50`."""
    low, high = usual_range(count.expected, count.variance)
    return f"{low}-{high}"


def sentence(known: Evidence) -> str:
    """An incident in plain words.

    >>> shop = Site(id="leeds", name="Leeds")
    >>> people, sales = Sum(41, 42, 60), Sum(0, 15, 15)
    >>> sentence(Evidence(shop, "conversion", "09:15", people=people, sales=sales, money=310))
    'Leeds: tills stopped. 41 people came in since 09:15 (usual 33-53), 0 sales (expected 10-20), \
about £310 at risk.'
    """
    parts = [f"{known.site.title}: {_what(known)}.", _counts(known), *_more(known)]
    if known.elsewhere:
        words = ", ".join(known.elsewhere)
        parts.append(f"{words[0].upper()}{words[1:]}.")
    if known.event:
        parts.append(f"Calendar: {known.event}.")
    if known.learning:
        ready = f", ready on {known.ready}" if known.ready else ""
        parts.append(f"Still learning{ready}: this is a comparison with the other shops.")
    return " ".join(part for part in parts if part)


def _what(known: Evidence) -> str:
    shop = known.site.kind == "store"
    stopped = known.sales is not None and known.sales.observed == 0
    if known.cause in ("conversion", "orders"):
        if shop:
            return "tills stopped" if stopped else "few sales"
        return "orders stopped" if stopped else "few orders"
    if known.cause == "sensor" and known.subject:
        blind = f"camera {known.subject} has been blind since {known.since}"
        return f"{blind}. What it counts is not known, and raises no alert meanwhile"
    if _dead(known):
        return f"no one was counted since {known.since}; the counter may be dead"
    return {
        "sensor": "people are not counted" if shop else "visits are not counted",
        "data": "data are missing, or all shops have one fault",
        "shift": "fewer people than usual, more in the web shop",
        "demand": "fewer people than usual",
        "busy": "more people than usual",
        "footfall": "unusual footfall",
        "abuse": f"a wave of {known.metric or 'returns'}",
        "trend": "a surge of searches"
        if known.metric == "searches"
        else "a surge of searches that find nothing",
    }.get(known.cause, known.cause)


def _dead(known: Evidence) -> bool:
    """Whether nobody was counted in a shop of whose sales nothing is known either."""
    nobody = known.people is not None and known.people.observed == 0
    alone = known.site.kind == "store" and not known.subject and known.sales is None
    return known.cause == "sensor" and nobody and alone


def _counts(known: Evidence) -> str:
    shop = known.site.kind == "store"
    said = []
    if known.wave:
        noun = known.metric.replace("_", " ").replace("zero result searches", "such searches")
        said.append(
            f"{known.wave.observed:.0f} {noun} since {known.since} (usual {usual(known.wave)})"
        )
    elif known.people and _dead(known):
        said.append(f"usual {usual(known.people)}")
    elif known.people and not known.subject:
        verb = "people came in" if shop else "visits"
        verb = "were counted" if known.cause == "sensor" else verb
        said.append(
            f"{known.people.observed:.0f} {verb} since {known.since} (usual {usual(known.people)})"
        )
    if known.sales and not known.wave:
        sold = f"{known.sales.observed:.0f} sales (expected {usual(known.sales)})"
        if known.subject:
            sold += " at the tills"
        elif not said:
            sold = f"since {known.since} {sold}"
        said.append(sold)
    if known.money >= 1:
        said.append(f"about {money(known.money, known.site.currency)} at risk")
    words = ", ".join(said)
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _more(known: Evidence) -> list[str]:
    said = []
    if known.cause == "sensor" and not known.subject:
        said.append("Footfall raises no alert meanwhile.")
    elif known.cause == "orders" and known.site.kind == "store":
        said.append("Footfall is not known.")
    if known.terms:
        said.append(f"Most: {', '.join(known.terms)}.")
    if known.of:
        named = list(known.children[:NAMED])
        where = f"At {len(known.children)} of {known.of} shops"
        said.append(f"{where}, most at {', '.join(named)}." if named else "No shop stands out.")
    return said


def money(value: float, currency: str) -> str:
    """A sum as it is said of what is only estimated: two digits count.

    >>> money(1234.0, "GBP"), money(87.2, "SEK")
    ('£1,200', '87 SEK')
    """
    digits = max(0, len(str(int(value))) - 2)
    rounded = round(value / 10**digits) * 10**digits
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{rounded:,.0f}" if symbol else f"{rounded:,.0f} {currency}"
