"""The privacy review: its picture is drawn by the code, its limits are the code's."""

import re
from pathlib import Path

from central import durations
from central.privacy import IN_STORE, JOINED, TIMED
from central.verdict import LIMIT
from central.walks import SHOPS
from docs import flow

PAGE = Path(__file__).parents[2] / "docs" / "privacy-review.md"


def test_the_picture_is_up_to_date() -> None:
    assert f"(figures/{flow.PATH.name})" in PAGE.read_text()
    assert flow.PATH.read_text() == flow.flow(), "run `make figures`"


def test_the_limits_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"a cell has at least {IN_STORE} people" in text
    assert f"(dwell, waits) at least {TIMED} must" in text
    assert f"to its web visitors, at least {JOINED} of each" in text
    assert f"Below {durations.FINE} people" in text
    assert f"The limit is {LIMIT}" in text
    for shop in SHOPS:
        assert f"{shop.name} ({shop.entries:,})" in text


def test_no_bound_over_all_shops_is_beyond_the_limit() -> None:
    bounds = re.findall(r"^\| (?:till|colleague|analyst).* ([\d.]+) \|$", PAGE.read_text(), re.M)
    assert len(bounds) == 6
    assert max(map(float, bounds)) <= LIMIT
