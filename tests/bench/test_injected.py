"""The generated chain is what its description says, and finds are counted as they are meant."""

import numpy as np
import pytest

from tests.bench import injected_town as town
from tests.bench.injected_score import (
    Found,
    Told,
    match,
    oracle,
    peer,
    place_of,
    precision,
    site_id,
    summary,
)
from tests.bench.injected_town import APART, DAY, STORES, WEB, WEEK, Chain, Fault

SEED, LEARN = 21, 6


@pytest.fixture(scope="module")
def quiet() -> Chain:
    return town.generate(SEED, LEARN + 2)


@pytest.fixture(scope="module")
def faults(quiet: Chain) -> list[Fault]:
    return town.draw_faults(SEED, quiet, LEARN * WEEK)


def test_the_chain_is_the_same_for_a_seed(quiet: Chain) -> None:
    again = town.generate(SEED, LEARN + 2)
    for name, counts in quiet.counts.items():
        assert np.array_equal(counts, again.counts[name], equal_nan=True)


def test_counts_lie_about_their_means_with_the_size_that_is_said(quiet: Chain) -> None:
    counts, mean = quiet.counts["footfall"][:, :STORES], quiet.mean["footfall"][:, :STORES]
    assert (counts.sum(axis=0) / mean.sum(axis=0)).mean() == pytest.approx(1.0, abs=0.01)
    relative = (counts - mean) ** 2 - mean
    assert (relative / mean**2).mean() == pytest.approx(1 / town.SIZE["footfall"], rel=0.15)
    assert 100 <= quiet.peak.min() < 120
    assert 850 < quiet.peak.max() <= 1000
    assert np.isnan(quiet.counts["footfall"][:, WEB]).all()


def test_faults_are_as_many_and_as_large_as_is_said(faults: list[Fault], quiet: Chain) -> None:
    single = [each for each in faults if each.kind in town.STORE_KINDS]
    assert len(single) / (STORES * 2) == pytest.approx(town.STORE_RATE, rel=0.35)
    assert {each.kind for each in faults} == {*town.STORE_KINDS, *town.WEEKLY}
    for each in faults:
        assert town.SHORTEST <= each.length <= town.LONGEST
        assert town.SHALLOWEST <= each.depth <= 1.0
        assert each.start // WEEK == (each.stop - 1) // WEEK
    for one in faults:
        for other in faults:
            near = one.start < other.stop + APART and other.start < one.stop + APART
            assert not (near and one.kind == "data" and one != other), (one, other)


def test_a_fault_changes_what_it_is_about_and_nothing_else(quiet: Chain) -> None:
    first = LEARN * WEEK
    tills = Fault("tills", 7, first + 10, 8, 0.5)
    blind = Fault("blind", 9, first + 10, 8, 0.6)
    shift = Fault("shift", 3, first + 2 * DAY, 8, 0.7)
    faulty = town.inject(SEED, quiet, [tills, blind, shift])
    ratio = {
        name: np.nansum(faulty.counts[name][at, site]) / np.nansum(quiet.counts[name][at, site])
        for name, at, site in (
            ("orders", slice(tills.start, tills.stop), 7),
            ("footfall", slice(blind.start, blind.stop), 9),
            ("sessions", slice(shift.start, shift.stop), WEB),
        )
    }
    assert ratio["orders"] == pytest.approx(0.5, abs=0.2)
    assert ratio["footfall"] == pytest.approx(0.4, abs=0.1)
    assert ratio["sessions"] > 1.2
    assert faulty.coverage[blind.start, 9] == pytest.approx(0.4)
    before = slice(0, first)
    for name, counts in quiet.counts.items():
        assert np.array_equal(counts[before], faulty.counts[name][before], equal_nan=True)
    untouched = faulty.counts["footfall"][:, 7] == quiet.counts["footfall"][:, 7]
    assert untouched.all()


def test_finds_are_those_at_the_place_and_in_time(quiet: Chain) -> None:
    fault = Fault("tills", 7, 2000, 8, 0.9)
    mine = site_id(7)
    for told, delay, right in (
        ([Told(mine, "conversion", 2001)], 2, True),
        ([Told(mine, "demand", 2001)], 2, False),
        ([Told(mine, "demand", 2003), Told(mine, "conversion", 2001)], 2, True),
        ([Told("chain", "data", 2000)], 1, False),
        ([Told("chain", "data", 2000), Told(mine, "conversion", 2000)], 1, True),
        ([Told(site_id(8), "conversion", 2001)], None, False),
        ([Told(mine, "conversion", 1999), Told(mine, "conversion", 2008)], None, False),
    ):
        assert match([fault], told, quiet) == [Found(fault, delay, right)]
    told = [Told(mine, "demand", 2020), Told(mine, "demand", 2030), Told("web", "demand", 2001)]
    assert precision([fault], told, quiet) == pytest.approx(1 / 3)
    shift = Fault("shift", 3, 2000, 8, 0.9)
    assert place_of(shift) == "region-r3"
    sister = site_id(int(np.flatnonzero(quiet.region == 3)[0]))
    assert match([shift], [Told(sister, "shift", 2004)], quiet) == [Found(shift, 5, False)]


def test_a_summary_counts_causes_among_what_was_found() -> None:
    fault = Fault("tills", 7, 2000, 8, 0.9)
    found = [Found(fault, 1, True), Found(fault, 4, False), Found(fault, None)]
    figures = summary(found)
    assert figures == {"faults": 3, "recall": pytest.approx(2 / 3), "cause": 0.5, "delay": 2.5}


def test_the_oracle_finds_what_is_deep_and_not_what_is_not_there(quiet: Chain) -> None:
    fault = Fault("tills", int(quiet.peak.argmax()), LEARN * WEEK + 10, 8, 1.0)
    faulty = town.inject(SEED, quiet, [fault])
    assert oracle(fault, faulty, quiet, 1e-4) == Found(fault, 1, True)
    assert oracle(fault, quiet, quiet, 1e-6).delay is None
    blind = Fault("blind", 3, LEARN * WEEK, 8, 0.4)
    assert oracle(blind, quiet, quiet, 1e-9) == Found(blind, 1, True)


def test_the_peer_reads_a_blind_camera_as_a_drop(quiet: Chain) -> None:
    largest = np.argsort(quiet.peak)[-5:].tolist()
    blind = [Fault("blind", store, LEARN * WEEK + 20, 8, 1.0) for store in largest]
    told = peer(town.inject(SEED, quiet, blind), LEARN * WEEK)
    found = match(blind, told, quiet)
    assert [each.delay for each in found].count(1) >= 3
    assert not any(each.right for each in found)
