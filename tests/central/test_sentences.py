"""Words of incidents."""

from typing import Any

import pytest

from central.config import Site
from central.detect.reading import Sum
from central.sentences import Evidence, money, sentence

YORK = Site(id="york", name="York")
WEB = Site(id="web", name="Web", kind="web", currency="EUR")
NORTH = Site(id="region-north", name="North")
PEOPLE, SALES = Sum(9, 42, 60), Sum(2, 16, 16)


@pytest.mark.parametrize(
    ("site", "cause", "known", "words"),
    [
        (
            YORK,
            "conversion",
            {"people": Sum(41, 42, 60), "sales": Sum(0, 16, 16), "money": 314.0},
            "York: tills stopped. 41 people came in since 09:15 (usual 33-53), 0 sales (expected"
            " 11-22), about £310 at risk. Web normal, cameras fine.",
        ),
        (
            YORK,
            "orders",
            {"sales": SALES},
            "York: few sales. Since 09:15 2 sales (expected 11-22). Footfall is not known. Web"
            " normal, cameras fine.",
        ),
        (WEB, "orders", {"sales": SALES, "elsewhere": ()}, "Web: few orders. Since 09:15 2 sales"),
        (
            WEB,
            "conversion",
            {"people": Sum(800, 900, 2000), "sales": Sum(0, 16, 16), "money": 950.0},
            "Web: orders stopped. 800 visits since 09:15 (usual 844-958), 0 sales (expected 11-22),"
            " about €950 at risk.",
        ),
        (
            YORK,
            "demand",
            {"people": PEOPLE, "sales": SALES},
            "York: fewer people than usual. 9 people came in since 09:15 (usual 33-53), 2 sales",
        ),
        (YORK, "busy", {"people": PEOPLE}, "York: more people than usual. 9 people came in since"),
        (
            YORK,
            "busy",
            {"people": PEOPLE, "event": "Summer sale", "learning": True},
            "York: more people than usual. 9 people came in since 09:15 (usual 33-53). Web normal,"
            " cameras fine. Calendar: Summer sale. Still learning",
        ),
        (
            YORK,
            "sensor",
            {"people": PEOPLE, "sales": Sum(15, 16, 16), "elsewhere": ()},
            "York: people are not counted. 9 were counted since 09:15 (usual 33-53), 15 sales"
            " (expected 11-22). Footfall raises no alert meanwhile.",
        ),
        (
            YORK,
            "sensor",
            {"people": Sum(0, 42, 60), "elsewhere": ("cameras fine",)},
            "York: no one was counted since 09:15; the counter may be dead. Usual 33-53. Footfall"
            " raises no alert meanwhile. Cameras fine.",
        ),
        (
            YORK,
            "sensor",
            {"subject": "door", "people": PEOPLE, "sales": Sum(15, 16, 16), "elsewhere": ()},
            "York: camera door has been blind since 09:15. What it counts is not known, and raises"
            " no alert meanwhile. 15 sales (expected 11-22) at the tills.",
        ),
        (
            NORTH,
            "shift",
            {"people": PEOPLE, "children": ["York", "Leeds"], "of": 5, "elsewhere": ()},
            "North: fewer people than usual, more in the web shop. 9 people came in since 09:15"
            " (usual 33-53). At 2 of 5 shops, most at York, Leeds.",
        ),
        (NORTH, "data", {"sales": SALES, "of": 5}, "North: data are missing, or all shops have"),
        (
            YORK,
            "abuse",
            {"metric": "returns", "wave": Sum(23, 1.5, 2), "people": PEOPLE, "sales": SALES},
            "York: a wave of returns. 23 returns since 09:15 (usual 0-4). Web normal, cameras"
            " fine.",
        ),
        (
            WEB,
            "trend",
            {
                "metric": "zero_result_searches",
                "wave": Sum(40, 8, 8),
                "terms": ["“fan”", "“ice”"],
                "elsewhere": (),
            },
            "Web: a surge of searches that find nothing. 40 such searches since 09:15 (usual 5-12)."
            " Most: “fan”, “ice”.",
        ),
    ],
)
def test_words(site: Site, cause: str, known: dict[str, Any], words: str) -> None:
    known = {"elsewhere": ("web normal", "cameras fine"), **known}
    assert sentence(Evidence(site, cause, "09:15", **known)).startswith(words)


@pytest.mark.parametrize(
    ("value", "currency", "words"),
    [(7, "GBP", "£7"), (99.6, "GBP", "£100"), (104, "USD", "$100"), (123_456, "EUR", "€120,000")],
)
def test_money_is_rounded_to_what_is_known(value: float, currency: str, words: str) -> None:
    assert money(value, currency) == words
