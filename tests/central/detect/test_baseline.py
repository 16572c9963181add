"""The nightly forecast: what is known comes back, what is absent hurts nothing, bands hold."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from central.detect import baseline
from central.detect.baseline import HOURS, WEEK, Forecast

Reals = NDArray[np.float64]
Booleans = NDArray[np.bool_]

SHOP = np.zeros(HOURS, np.bool_)
SHOP[10:14] = True
PATTERN = np.outer([1.0, 1.1, 1.2, 1.3, 1.6, 2.0, 0.8], [20.0, 50.0, 40.0, 25.0])
"""People by weekday and open hour."""
few = settings(max_examples=15)


def calm(weeks: int, pattern: Reals = PATTERN) -> Reals:
    """Weeks without noise, (days, 24)."""
    values = np.full((weeks * WEEK, HOURS), np.nan)
    values[:, SHOP] = np.tile(pattern, (weeks, 1))
    return values


def noisy(weeks: int, seed: int) -> Reals:
    """Weeks whose days are busier and calmer, and whose counts scatter more than Poisson's."""
    rng = np.random.default_rng(seed)
    values = calm(weeks)
    mean = values * np.exp(rng.normal(0.0, 0.1, (len(values), 1)))
    mean[:, SHOP] *= rng.gamma(20.0, 1 / 20.0, (len(values), 4))
    values[:, SHOP] = rng.poisson(mean[:, SHOP])
    return values


def ahead(
    values: Reals,
    holidays: Sequence[int] = (),
    opened: Booleans | None = None,
    shares: Sequence[float] = (0.95,),
) -> Forecast:
    days = len(values) + WEEK
    marked = np.zeros(days, np.bool_)
    marked[list(holidays)] = True
    return baseline.forecast(
        values, np.tile(SHOP, (days, 1)) if opened is None else opened, marked, shares
    )


def test_weeks_that_repeat_are_expected_to_repeat() -> None:
    found = ahead(calm(13))
    np.testing.assert_allclose(found.expected[:, SHOP], PATTERN, rtol=2e-3)
    assert np.isnan(found.expected[:, ~SHOP]).all()
    assert np.isnan(found.upper[0][:, ~SHOP]).all()
    assert found.days_missing == 0


def test_a_shop_that_has_grown_is_expected_to_be_as_it_is_now() -> None:
    values = calm(13)
    values[-3 * WEEK :] *= 1.5
    total = np.nansum(ahead(values).expected)
    assert total == pytest.approx(1.5 * PATTERN.sum(), rel=0.05)


def test_a_weekday_that_is_always_closed_is_left_out() -> None:
    values, opened = calm(13), np.tile(SHOP, (14 * WEEK, 1))
    values[6::7], opened[6::7] = np.nan, False
    found = ahead(values, opened=opened)
    np.testing.assert_allclose(found.expected[:6, SHOP], PATTERN[:6], rtol=2e-3)
    assert np.isnan(found.expected[6]).all()


@pytest.mark.parametrize(("days", "missing"), [(0, 21), (1, 20), (20, 1), (21, 0)])
def test_three_weeks_must_have_been_watched(days: int, missing: int) -> None:
    values = calm(6)
    values[: len(values) - days] = np.nan
    found = ahead(values)
    assert found.days_missing == missing
    assert np.isfinite(found.expected[:, SHOP]).all() == (missing == 0)


def test_absent_days_are_not_watched_and_closed_ones_are() -> None:
    values, opened = calm(4), np.tile(SHOP, (5 * WEEK, 1))
    values[7:17] = np.nan
    assert ahead(values).days_missing == 3
    opened[7:17] = False
    assert ahead(values, opened=opened).days_missing == 0


def test_hours_that_were_never_seen_twice_give_no_band_and_so_no_forecast() -> None:
    values = np.full((4 * WEEK, HOURS), np.nan)
    for day in range(len(values)):
        values[day, 10 + day // WEEK] = 5.0
    assert ahead(values).days_missing == WEEK


@few
@given(st.data())
def test_what_is_absent_makes_nothing_unknown_that_has_been_seen(data: st.DataObject) -> None:
    values = noisy(5, 1)
    seed, share = data.draw(st.integers(0, 999)), data.draw(st.floats(0.0, 0.9))
    rng = np.random.default_rng(seed)
    values[rng.random(values.shape) < share] = data.draw(st.sampled_from([np.nan, np.inf]))
    found = ahead(values)
    seen = np.isfinite(values.reshape(-1, WEEK, HOURS)).any(0) & (found.days_missing == 0)
    assert (np.isfinite(found.expected) == seen).all()
    for band in (found.lower[0], found.upper[0]):
        assert (np.isfinite(band) == seen).all()
    assert (found.lower[0][seen] <= found.expected[seen] + 1e-9).all()
    assert (found.upper[0][seen] >= found.expected[seen] - 1e-9).all()


@few
@given(st.integers(0, 99), st.integers(1, 3))
def test_the_past_weeks_forecasts_saw_nothing_of_what_came(seed: int, back: int) -> None:
    """With the future in another order, the errors before it are the same."""
    rng, roots = np.random.default_rng(seed), baseline.root(noisy(7, 3))
    changed = roots.copy()
    changed[len(roots) - WEEK * back :] = rng.permutation(changed[len(roots) - WEEK * back :])
    before, after = baseline._errors(roots), baseline._errors(changed)
    np.testing.assert_array_equal(before[back:], after[back:])
    assert not np.array_equal(before[:back], after[:back], equal_nan=True)


@few
@given(st.integers(0, 99), st.floats(0.0, 0.6))
def test_gaps_are_filled_from_before(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    past = baseline.root(noisy(6, seed)[:, SHOP]).reshape(6, WEEK, -1)
    past[rng.random(past.shape) < share] = np.nan
    past[0, 0, 0] = 4.0
    filled = baseline._filled(past)
    known = np.isfinite(past)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[known], past[known])
    np.testing.assert_array_equal(baseline._filled(past[:4]), filled[:4])
    for week, day, hour in np.argwhere(~known):
        if week:
            usual = np.mean([filled[n, day, hour] for n in range(max(0, week - 4), week)])
            assert filled[week, day, hour] == pytest.approx(usual)


@pytest.mark.parametrize("spike", [1e12, -1e12])
def test_a_value_that_cannot_be_changes_little(spike: float) -> None:
    values = noisy(13, 4)
    usual = ahead(values)
    values[60, 11] = spike
    found = ahead(values)
    np.testing.assert_allclose(found.expected[:, SHOP], usual.expected[:, SHOP], rtol=0.15)
    assert np.nanmean(found.upper - found.lower) < 1.5 * np.nanmean(usual.upper - usual.lower)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_series_is_expected_to_stay(value: float) -> None:
    values = calm(5)
    values[:, SHOP] = value
    found = ahead(values)
    for each in (found.expected, found.lower[0], found.upper[0]):
        np.testing.assert_allclose(each[:, SHOP], value, atol=0.1)


def test_takings_may_be_below_zero() -> None:
    values = calm(13)
    values[1::7, 10] = -30.0
    found = ahead(values)
    assert found.expected[1, 10] == pytest.approx(-30.0, rel=0.01)
    assert np.nanmin(ahead(noisy(13, 2)).lower) >= 0.0


def test_bands_hold_the_share_that_they_say() -> None:
    shares, inside = (0.5, 0.8, 0.95), []
    for seed in range(25):
        values = noisy(14, seed)
        found = ahead(values[: 13 * WEEK], shares=shares)
        came = values[13 * WEEK :, SHOP]
        low, high = found.lower[:, :, SHOP], found.upper[:, :, SHOP]
        inside.append(((low <= came) & (came <= high)).mean((1, 2)))
    np.testing.assert_allclose(np.mean(inside, 0), shares, atol=0.05)


def test_a_wider_share_has_a_wider_band() -> None:
    found = ahead(noisy(9, 5), shares=(0.5, 0.8, 0.95))
    assert (np.diff(found.lower[:, :, SHOP], axis=0) <= 0).all()
    assert (np.diff(found.upper[:, :, SHOP], axis=0) >= 0).all()


def test_holidays_teach_the_baseline_nothing() -> None:
    values = noisy(13, 6)
    usual = ahead(values, holidays=[30, 50])
    values[[30, 50]] *= 9.0
    np.testing.assert_array_equal(ahead(values, holidays=[30, 50]).expected, usual.expected)


def test_a_holiday_has_a_factor_of_its_own_when_three_were_seen() -> None:
    values = calm(13)
    past, coming = [24, 45, 66], 13 * WEEK + 2
    values[past] *= 0.25
    found = ahead(values, holidays=[*past, coming])
    np.testing.assert_allclose(found.expected[2, SHOP], 0.25 * PATTERN[2], rtol=2e-3)
    np.testing.assert_allclose(found.expected[3, SHOP], PATTERN[3], rtol=2e-3)
    unknown = ahead(values, holidays=[*past[:2], coming])
    for each in (unknown.expected, unknown.lower[0], unknown.upper[0]):
        assert np.isnan(each[2]).all()
        assert np.isfinite(each[3, SHOP]).all()


def test_holiday_factors_compare_the_same_hours_of_the_same_weekday() -> None:
    values = calm(6)
    values[[8, 15, 22]] *= [[0.5], [2.0], [3.0]]
    values[8, 10:12] = np.nan
    marked = np.zeros(len(values), np.bool_)
    marked[[8, 15, 22]] = True
    found = baseline.holiday_factors(values, marked)
    np.testing.assert_allclose(found, [0.5, 2.0, 3.0])


columns = st.lists(st.lists(st.floats(-9, 9) | st.just(np.nan), min_size=3, max_size=3), min_size=1)


@given(columns)
def test_means_and_medians_are_those_of_what_is_known(rows: list[list[float]]) -> None:
    values = np.array(rows)
    mean, median = baseline._mean(values), baseline._median(values)
    for column in range(3):
        known = [row[column] for row in rows if not np.isnan(row[column])]
        if known:
            assert mean[column] == pytest.approx(sum(known) / len(known))
            assert median[column] == pytest.approx(np.median(known))
        else:
            assert np.isnan([mean[column], median[column]]).all()


@given(st.lists(st.floats(-99, 99), min_size=1))
def test_squares_undo_roots(values: list[float]) -> None:
    np.testing.assert_allclose(baseline.square(baseline.root(np.array(values))), values, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "share"), [((5, 23), 0.9), ((5, 24), 1.0), ((5, 24), 0.0), ((6, 24), 0.9)]
)
def test_what_does_not_fit_is_refused(shape: tuple[int, int], share: float) -> None:
    with pytest.raises(ValueError, match=r"must|are not"):
        baseline.forecast(
            np.zeros(shape), np.ones((12, 24), np.bool_), np.zeros(12, np.bool_), [share]
        )
