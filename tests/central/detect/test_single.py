"""One series: the same as the kernels say of it tick by tick, in the units of its values."""

import numpy as np
import pytest

from central.detect import single
from central.detect.budget import Integers, Reals
from central.detect.detector import Detector
from central.detect.table import Kind

SLOTS_A_DAY = 24
WEEK = 7 * SLOTS_A_DAY


def series(weeks: int) -> tuple[Reals, Integers]:
    random = np.random.default_rng(2)
    slots = np.arange(weeks * WEEK) % WEEK
    values = random.poisson(3.0 + slots % SLOTS_A_DAY).astype(np.float64)
    values[random.uniform(size=values.size) < 0.1] = np.nan
    return values, slots


def test_a_count_is_scored_as_by_the_detector() -> None:
    values, slots = series(6)
    random = np.random.default_rng(3)
    exposure = random.choice([1.0, 2.0], values.size)
    found = single.run(values, slots, SLOTS_A_DAY, "count", exposure)
    detector = Detector([("shop", "footfall", "")], slots=WEEK)
    for t in range(values.size):
        scores = detector.tick(
            int(slots[t]), values[t : t + 1], np.ones(1, bool), exposure[t : t + 1]
        )
        assert np.isnan(found.expected[t]) or found.expected[t] == scores.expected[0]
        for name in ("p_low", "p_high", "silence"):
            p = getattr(found, name)[t]
            assert np.isnan(p) or p == getattr(scores, name)[0]
        for side in ("low", "high"):
            p, drift = getattr(found, f"p_{side}")[t], getattr(found, f"drift_{side}")[t]
            wanted = getattr(scores, f"drift_{side}")[0] if p < single.LEANS else 1.0
            assert np.isnan(drift) or drift == wanted
    known = ~np.isnan(found.p_low)
    assert not known[: 2 * WEEK].any()
    assert not known[np.isnan(values)].any()
    assert known[4 * WEEK :][~np.isnan(values[4 * WEEK :])].mean() > 0.95


def test_a_duration_is_a_gauge_by_its_logarithm() -> None:
    values, slots = series(6)
    times = np.exp(values / 10)
    one = single.run(times, slots, SLOTS_A_DAY, "duration", np.full(values.size, 2.0))
    other = single.run(values / 10 - np.log(2.0), slots, SLOTS_A_DAY, "gauge")
    np.testing.assert_allclose(one.expected, 2.0 * np.exp(other.expected))
    np.testing.assert_allclose(one.upper, 2.0 * np.exp(other.upper))
    np.testing.assert_array_equal(one.p_high, other.p_high)


def test_a_ratio_stays_within_0_and_1() -> None:
    values, slots = series(6)
    found = single.run(np.clip(values / 26, 0, 1), slots, SLOTS_A_DAY, "ratio")
    for each in (found.lower, found.expected, found.upper):
        assert np.all((each[~np.isnan(each)] >= 0) & (each[~np.isnan(each)] <= 1))
    plain = single.run(np.clip(values / 26, 0, 1), slots, SLOTS_A_DAY, "gauge")
    np.testing.assert_array_equal(found.p_low, plain.p_low)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, slots = series(4)
    whole = single.run(values, slots, SLOTS_A_DAY, "count")
    monkeypatch.setattr(single, "CHUNK", 100)
    told: list[int] = []
    parts = single.run(values, slots, SLOTS_A_DAY, "count", say=told.append)
    np.testing.assert_array_equal(whole.p_low, parts.p_low)
    assert told == [*range(100, values.size, 100), values.size]


@pytest.mark.parametrize("kind", ["count", "gauge"])
def test_what_cannot_be_asked_is_an_error(kind: Kind) -> None:
    values, slots = series(1)
    with pytest.raises(ValueError, match="one length"):
        single.run(values, slots[1:], SLOTS_A_DAY, kind)
    with pytest.raises(ValueError, match="slots must be from 0 to 167"):
        single.run(values, slots + 1, SLOTS_A_DAY, kind)
    with pytest.raises(ValueError, match="above zero"):
        single.run(values, slots, SLOTS_A_DAY, kind, np.zeros(values.size))
