"""The privacy review: its picture is drawn by the code, its limits are the code's."""

import re
from pathlib import Path

from central import durations
from central.privacy import IN_STORE, JOINED, TIMED, TIMED_AGAIN
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
    assert f"where times are told and it has had {TIMED_AGAIN}, until" in text
    assert f"The limit is {LIMIT}" in text
    for shop in SHOPS:
        assert f"{shop.name} ({shop.entries:,})" in text


def test_no_bound_is_beyond_the_limit_but_those_of_the_shop_apart() -> None:
    rows = re.findall(r"^\| (?:till operator|colleague|analyst), .*\|$", PAGE.read_text(), re.M)
    assert len(rows) == 6
    for row in rows:
        over_all, one_shop, apart = re.findall(r"\d\.\d{3}", row)[-3:]
        assert max(float(over_all), float(one_shop)) <= LIMIT
        assert (float(apart) > LIMIT) is ("next zone" in row)


def test_every_seed_that_was_tried_is_within_the_limit() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \(.*\| ([\d.]+) \(", PAGE.read_text(), re.M)
    assert [int(seed) for seed, *_ in rows] == [1, 2, 3, 4, 31, 32, 33, 34, 35, 36]
    assert max(float(bound) for _, *bounds in rows for bound in bounds) <= LIMIT
