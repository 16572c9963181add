"""Every distribution against the sum of all its terms, or the formula it stands for."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.detect import tails
from tests.central.detect import slow

POISSON = 1.000001
EVERY = settings(deadline=None)


def poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@given(st.floats(0.05, 60.0), st.floats(POISSON, 20.0), st.integers(0, 150))
@EVERY
def test_tails_of_counts_equal_the_sum_of_all_their_terms(
    mean: float, phi: float, count: int
) -> None:
    variance = phi * mean
    if count <= mean:
        low = tails.count_low(count, mean, variance)
        assert low == pytest.approx(slow.count_low(count, mean, variance), rel=1e-9)
    if count >= mean:
        high = tails.count_high(count, mean, variance)
        assert high == pytest.approx(slow.count_high(count, mean, variance), rel=1e-9)
    mass = next(itertools.islice(slow.log_masses(mean, variance), count, None))
    assert tails.log_mass(count, mean, variance) == pytest.approx(mass, rel=1e-9, abs=1e-9)


def test_tails_of_thousands_equal_the_sum_of_all_their_terms() -> None:
    for low, high, mean, variance in [
        (1800.0, 2200.0, 2000.0, 5000.0),
        (1850.0, 2150.0, 2000.0, 2000.0 * POISSON),
        (40.0, 3000.0, 300.0, 60_000.0),
    ]:
        expected = slow.count_low(low, mean, variance)
        assert tails.count_low(low, mean, variance) == pytest.approx(expected, rel=1e-9)
        expected = slow.count_high(high, mean, variance)
        assert tails.count_high(high, mean, variance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("mean", [0.1, 1.0, 3.5, 5.0, 40.0, 600.0])
def test_least_dispersion_is_poisson(mean: float) -> None:
    few, many = int(mean * 0.6), int(mean * 1.5) + 2
    low = math.fsum(poisson(k, mean) for k in range(few + 1))
    high = math.fsum(poisson(k, mean) for k in range(many, many + 2000))
    assert tails.count_low(few, mean, mean * POISSON) == pytest.approx(low, rel=1e-3)
    assert tails.count_high(many, mean, mean * POISSON) == pytest.approx(high, rel=1e-3)


def test_tails_are_right_beside_certainty() -> None:
    assert tails.count_low(-1.0, 3.0, 4.0) == 0.0
    assert tails.count_high(0.0, 3.0, 4.0) == 1.0
    # Between two whole counts nothing lies.
    assert tails.count_low(1.7, 3.0, 4.0) == tails.count_low(1.0, 3.0, 4.0)
    assert tails.count_high(7.2, 3.0, 4.0) == tails.count_high(8.0, 3.0, 4.0)
    assert tails.share_low(-1.0, 9.0, 3.0, 4.0) == 0.0
    assert tails.share_low(9.0, 9.0, 3.0, 4.0) == 1.0
    assert tails.share_high(0.0, 9.0, 3.0, 4.0) == 1.0


def test_tails_too_small_for_a_double_come_to_an_end() -> None:
    found = [tails.count_high(float(count), 50.0, 1000.0) for count in range(9000, 19000, 10)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.0 == found[-1]


@given(st.integers(1, 120), st.floats(0.001, 0.999), st.floats(0.0, 1.0), st.integers(0, 120))
@EVERY
def test_tails_of_subsets_equal_the_sum_of_all_their_terms(
    trials: int, share: float, rho: float, count: int
) -> None:
    mean = trials * share
    variance = mean * (1 - share) * (1 + (trials - 1) * rho)
    if count <= mean:
        expected = slow.share_low(count, trials, mean, variance)
        assert tails.share_low(count, trials, mean, variance) == pytest.approx(expected, rel=1e-9)
    elif count <= trials:
        expected = slow.share_low(trials - count, trials, trials - mean, variance)
        assert tails.share_high(count, trials, mean, variance) == pytest.approx(expected, rel=1e-9)


def test_a_subset_without_correlation_is_binomial() -> None:
    binomial = math.fsum(math.comb(40, k) * 0.3**k * 0.7 ** (40 - k) for k in range(5))
    assert tails.share_low(4.0, 40.0, 12.0, 40 * 0.3 * 0.7) == pytest.approx(binomial, rel=1e-5)


@given(st.floats(0.0, 3.0))
@EVERY
def test_the_quick_normal_tail_is_the_normal_tail(deviations: float) -> None:
    x = np.float32(deviations)
    assert tails.normal(x) == float(slow.normal(x))
    assert tails.normal(x) == pytest.approx(tails.normal_exact(float(x)), rel=1e-4)
    assert tails.normal_exact(float(x)) == pytest.approx(math.erfc(float(x) / 2**0.5) / 2)


@given(st.floats(0.0, 300.0))
@EVERY
def test_quick_decay_is_the_exponential(exponent: float) -> None:
    x = np.float32(exponent)
    assert tails.decay(x) == float(slow.decay(x))
    assert tails.decay(x) == pytest.approx(math.exp(-min(60.0, float(x))), rel=1e-4)


@given(st.floats(0.0, 50.0), st.floats(0.01, 20.0), st.floats(1.0, 20.0))
@EVERY
def test_peaks_have_the_pareto_tail_of_their_moments(
    excess: float, mean: float, ratio: float
) -> None:
    square = ratio * mean * mean
    p = tails.pareto(excess, mean, square)
    assert p == pytest.approx(slow.pareto(excess, mean, square), rel=1e-9)


def test_moments_find_the_shape_they_came_from() -> None:
    rng = np.random.default_rng(0)
    for shape in (0.0, 0.1, 0.2):
        uniform = rng.random(2_000_000)
        draws = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
        p = tails.pareto(6.0, float(draws.mean()), float((draws**2).mean()))
        assert p == pytest.approx(float((draws >= 6.0).mean()), rel=0.1)
