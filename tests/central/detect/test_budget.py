"""The budget: what it promises it keeps, and what it must not do whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from central.detect import budget
from central.detect.budget import Booleans, Integers, Reals

odds = some.one_of(some.just(np.nan), some.floats(1e-12, 1.0), some.sampled_from([0.01, 0.5, 1.0]))
columns = arrays.arrays(np.float64, some.integers(0, 60), elements=odds)
SHAPE = (8 * 40, 3)
SETTINGS = settings(max_examples=40, deadline=None)


def weeks_of(ticks: int, length: int = 40) -> Integers:
    return np.arange(ticks) // length


def ordinary(seed: int, shape: tuple[int, int] = SHAPE, power: float = 1.0) -> Reals:
    """p of ordinary ticks, some of them not scored; small ones too often for a power above 1."""
    random = np.random.default_rng(seed)
    p = random.uniform(size=shape) ** power
    p[random.uniform(size=shape) < 0.1] = np.nan
    return p


@given(arrays.arrays(np.float64, some.tuples(some.integers(1, 5), some.just(4)), elements=odds))
def test_combined_p_lies_between_the_least_and_its_number_of_times(p: Reals) -> None:
    says = np.count_nonzero(~np.isnan(p), axis=0)
    both = budget.combine(p)
    assert np.isnan(both).tolist() == (says == 0).tolist()
    for i in np.flatnonzero(says):
        least = np.nanmin(p[:, i])
        assert least * (1 - 1e-9) <= both[i] <= min(1.0, says[i] * least) * (1 + 1e-9)


def episodes_slowly(p: Reals, limit: float, gap: int) -> list[int]:
    """Each tick's episode, told from all ticks up to it."""
    found: list[int] = []
    for t in range(p.size):
        number, told, calm = 0, 0, gap
        for value in p[: t + 1]:
            told = 0
            if math.isnan(value):
                continue
            if value <= limit:
                number += calm >= gap
                calm = 0
            elif value > budget.ORDINARY:
                calm = min(calm + 1, gap)
            elif calm < gap:
                calm = 0
            told = number if calm == 0 else 0
        found.append(told)
    return found


@given(columns, some.floats(1e-6, 0.05), some.integers(1, 4), some.integers(0, 60))
def test_episodes_are_those_of_the_slow_twin(p: Reals, limit: float, gap: int, cut: int) -> None:
    limits = np.full(p.size, limit)
    episode, number, _ = budget.hold(p, limits, gap, 0, gap)
    assert episode.tolist() == episodes_slowly(p, limit, gap)
    assert number == episode.max(initial=0)
    first, *state = budget.hold(p[:cut], limits[:cut], gap, 0, gap)
    rest, *_ = budget.hold(p[cut:], limits[cut:], gap, *state)
    assert [*first, *rest] == episode.tolist()


@given(columns, some.integers(1, 4), some.lists(some.floats(1e-6, 0.05), min_size=2, max_size=2))
def test_there_are_no_more_episodes_than_peaks(p: Reals, gap: int, limits: list[float]) -> None:
    tops = p[budget.peaks(p, gap)]
    for limit in limits:
        _, number, _ = budget.hold(p, np.full(p.size, limit), gap, 0, gap)
        assert number <= np.count_nonzero(tops <= limit)
    assert np.count_nonzero(tops <= min(limits)) <= np.count_nonzero(tops <= max(limits))


@given(columns, some.integers(1, 4))
def test_peaks_are_the_least_of_their_neighbourhood(p: Reals, gap: int) -> None:
    scored = [t for t in range(p.size) if not math.isnan(p[t])]
    wanted = [
        t
        for i, t in enumerate(scored)
        if all(p[t] < p[s] for s in scored[max(0, i - gap + 1) : i])
        and all(p[t] <= p[s] for s in scored[i : i + gap])
    ]
    assert budget.peaks(p, gap).tolist() == wanted


past = arrays.arrays(np.float64, some.integers(0, 40), elements=some.floats(1e-9, 1.0))


@given(past, some.floats(0.0, 50.0), some.floats(0.01, 20.0), some.floats(0.01, 20.0))
def test_a_larger_budget_never_means_a_smaller_limit(
    p: Reals, store_weeks: float, one: float, other: float
) -> None:
    low, high = (
        budget.threshold(p, store_weeks, 672, each) for each in (min(one, other), max(one, other))
    )
    assert low <= high <= budget.ORDINARY


@given(past, some.floats(0.0, 50.0), some.floats(0.01, 20.0), some.data())
def test_no_peak_taken_away_lowers_the_limit(
    p: Reals, store_weeks: float, allowed: float, data: some.DataObject
) -> None:
    keep = np.array(data.draw(some.lists(some.booleans(), min_size=p.size, max_size=p.size)), bool)
    before = budget.threshold(p, store_weeks, 672, allowed)
    assert budget.threshold(p[keep], store_weeks, 672, allowed) >= before


def test_a_budget_that_is_rarer_than_the_past_takes_p_at_its_word() -> None:
    p = np.geomspace(1e-3, 1.0, 50)
    ten, one = (budget.threshold(p, 4.0, 672, each) for each in (0.1, 0.01))
    assert one == pytest.approx(ten / 10)
    assert 0.0 < ten < p[budget.FEWEST - 1]


def test_a_budget_must_be_above_zero() -> None:
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="above zero"):
            budget.threshold(np.ones(3), 3.0, 672, wrong)


def real_masks(seed: int, shape: tuple[int, int] = SHAPE) -> Booleans:
    random = np.random.default_rng(seed)
    mask = np.zeros(shape, np.bool_)
    for _ in range(6):
        start, store = random.integers(shape[0]), random.integers(shape[1])
        mask[start : start + random.integers(1, 12), store] = True
    return mask


@SETTINGS
@given(some.integers(0, 10**6), some.floats(0.05, 3.0), some.sampled_from([1.0, 1.5]))
def test_real_episodes_never_make_the_limit_stricter(
    seed: int, allowed: float, power: float
) -> None:
    p, real = ordinary(seed, power=power), real_masks(seed)
    p = np.where(real & np.isnan(p), 0.5, p)
    quiet = budget.spend(p, weeks_of(p.shape[0]), allowed, ticks=40)
    loud = np.where(real, p * 1e-6, p)
    held = budget.spend(loud, weeks_of(p.shape[0]), allowed, real, ticks=40)
    assert np.all(held.limit >= quiet.limit)


@SETTINGS
@given(some.integers(0, 10**6), some.integers(0, SHAPE[0]), some.sampled_from([1.0, 1.5]))
def test_what_comes_later_changes_nothing_before(seed: int, cut: int, power: float) -> None:
    p, week = ordinary(seed, power=power), weeks_of(SHAPE[0])
    mixed = p.copy()
    mixed[cut:] = np.random.default_rng(seed).permutation(mixed[cut:])
    before, after = (budget.calibrate(each, week, real_masks(seed)) for each in (p, mixed))
    np.testing.assert_array_equal(before[:cut], after[:cut])
    one, two = (budget.spend(each, week, 1.0, ticks=40) for each in (before, after))
    np.testing.assert_array_equal(one.limit[:cut], two.limit[:cut])
    np.testing.assert_array_equal(one.episode[:cut], two.episode[:cut])


@SETTINGS
@given(some.integers(0, 10**6), some.sampled_from([0.5, 1.0, 2.0]))
def test_what_is_real_teaches_no_tail(seed: int, power: float) -> None:
    p, real, week = ordinary(seed, power=power), real_masks(seed), weeks_of(SHAPE[0])
    one = budget.calibrate(p, week, real)
    other = budget.calibrate(np.where(real, p**9, p), week, real)
    np.testing.assert_array_equal(one[~real], other[~real])


@given(past.filter(lambda p: p.size > 1), some.floats(0.5, 4.0))
def test_the_tail_keeps_the_order(p: Reals, power: float) -> None:
    history = np.random.default_rng(0).uniform(size=500) ** power
    tail = budget.fit_tail(history)
    assert tail is not None
    ours = budget.by_tail(tail, np.sort(p))
    assert np.all(np.diff(ours) >= 0.0)
    assert np.all((ours > 0.0) & (ours <= 1.0))


def test_too_little_past_leaves_p_as_it_is() -> None:
    assert budget.fit_tail(np.full(budget.ENOUGH - 1, 0.5)) is None
    assert budget.fit_tail(np.full(5_000, np.nan)) is None


def test_p_that_is_too_small_too_often_is_calibrated() -> None:
    """u³ says one in a thousand where it is one in ten."""
    p = ordinary(1, (12 * 672, 20), power=3.0)
    ours = budget.calibrate(p, weeks_of(p.shape[0], 672))[6 * 672 :]
    for level in (0.1, 0.01, 0.001):
        share = np.mean(ours[~np.isnan(ours)] <= level)
        assert 0.5 * level < share < 1.5 * level


@pytest.mark.parametrize("allowed", [budget.PUSHED, budget.LISTED])
@pytest.mark.parametrize("kept", [0.0, 0.7], ids=["independent", "dependent"])
def test_quiet_weeks_achieve_half_to_all_of_what_was_promised(allowed: float, kept: float) -> None:
    """Ticks that depend on one another, with p that are wrong."""
    random = np.random.default_rng(7)
    weeks, ticks, stores = 14, 336, 120
    noise = random.normal(size=(weeks * ticks, stores))
    for t in range(1, weeks * ticks):
        noise[t] = kept * noise[t - 1] + math.sqrt(1 - kept**2) * noise[t]
    p = 1.0 / (1.0 + np.exp(2.0 * noise))
    p[np.arange(weeks * ticks) % 48 < 16] = np.nan
    week = weeks_of(weeks * ticks, ticks)
    spent = budget.spend(budget.calibrate(p, week), week, allowed, ticks=ticks)
    assert spent.promised == allowed
    assert spent.store_weeks > 10 * stores
    assert 0.5 * allowed <= spent.achieved <= allowed
    shut = np.isnan(p)
    assert not spent.episode[shut].any()


def test_a_store_that_is_never_calm_does_not_pass_for_real() -> None:
    """One far episode a week is taken for real, the others count against the budget."""
    p = ordinary(3, (12 * 336, 1))
    p[::24] = 1e-9
    spent = budget.spend(p, weeks_of(p.shape[0], 336), 1.0, ticks=336)
    assert spent.achieved > 5.0
    assert spent.limit[-1] <= 1e-9


def test_weeks_must_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        budget.spend(np.ones((2, 1)), np.array([1, 0]), 1.0)
