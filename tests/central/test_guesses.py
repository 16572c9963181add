"""The attackers are told what the features tell, and guess what follows from it."""

import numpy as np
import pytest

from central import durations, features
from central.guesses import (
    EDGES,
    ENGAGED_BIN,
    Known,
    Release,
    Told,
    imagine,
    likely_bin,
    shown,
    zone_guesses,
)
from central.walks import ZONES


@pytest.mark.parametrize("people", [12, durations.FINE])
def test_attackers_see_what_features_tell(people: int) -> None:
    histogram = np.random.default_rng(people).multinomial(
        people, np.full(len(EDGES), 1 / len(EDGES))
    )
    fine = people >= durations.FINE
    engaged = histogram[ENGAGED_BIN:].sum()
    row = features.describe(
        "dwell",
        {
            "dwell": histogram.astype(np.float64),
            "engaged": np.array(float(engaged)),
            "visits": np.array(float(people)),
        },
        fine=fine,
    )
    seen = shown(histogram[None], fine=fine)[0]
    assert seen[0] == row["engaged_share"]
    assert np.exp(seen[1]) == pytest.approx(row["dwell_p50"])
    low, high = row["dwell_p90_low"], row["dwell_p90_high"] or np.inf
    assert low - 1 <= np.exp(seen[2]) <= high + 1
    assert row["dwell_p90"] is None or np.exp(seen[2]) == pytest.approx(row["dwell_p90"])


def test_one_person_alone_is_found_by_subtraction() -> None:
    rng = np.random.default_rng(1)
    shares = np.where(np.arange(len(EDGES)) == 2, 0.5, 0.5 / (len(EDGES) - 1))
    early = np.zeros(len(EDGES), np.int64)
    early[2] = 3
    for place in (4, 6, 8, 10):
        both = early.copy()
        both[place] += 1
        snapshots = [
            Told((0,), int(each.sum()), True, shown(each[None], fine=True)[0])
            for each in (early, both)
        ]
        imagined = imagine(rng, shares, snapshots[0].visits, fine=True)
        assert likely_bin(rng, imagined, snapshots) == place


def test_the_guess_is_the_zone_that_had_more_than_its_share() -> None:
    shares = np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1])
    known = Known(np.full(len(ZONES), 0.5), np.zeros((len(ZONES), len(EDGES))), shares, shares)
    nothing = np.zeros(3)

    def release(visits: dict[int, list[int]], entries: list[int]) -> Release:
        cells = [
            {hour: Told((hour,), count, True, nothing) for hour, count in enumerate(counts)}
            for counts in (visits.get(zone, []) for zone in range(len(ZONES)))
        ]
        return Release({"visits": tuple(cells)}, np.array(entries))

    last = release({0: [10, 20, 10], 1: [10, 10, 20], 2: [10, 10, 99]}, [20, 20, 20])
    assert zone_guesses(shares, known, None, last).tolist() == [0, 0, 2]
    first = release({0: [10, 10, 10], 1: [10, 10, 20], 2: [10, 10, 10]}, [20, 10, 10])
    first.told["visits"][1][2] = last.told["visits"][1][2]
    assert zone_guesses(shares, known, first, last)[1:].tolist() == [0, 2]
