"""How likely a value so far out is: the distributions behind the scores, as Numba scalars.

A count is negative binomial, a subset beta-binomial, each with the mean and variance given, so that
dispersion enters by moments. What a tick needs for every series (`normal`, `decay`) is made of
products and one quotient, in float32 and without branches, so that a compiler does 16 at once.
"""

import math

import numpy as np
from numba import njit

ROOT_HALF = math.sqrt(0.5)
ENOUGH = 1e-12
"""A sum or product ends at a term that changes it by no more than this part."""
NOTHING = 1e-300
LONGEST = 10_000
"""Terms after which a fraction is taken as it is: only beside the mean, where none is asked for."""
HEAVIEST = 0.45
"""The heaviest Pareto shape that moments can tell: they need a finite variance."""

_HALF, _ONE, _SIXTY = np.float32(0.5), np.float32(1.0), np.float32(60.0)
_D1, _D2, _D3 = np.float32(0.0498673470), np.float32(0.0211410061), np.float32(0.0032776263)
_D4, _D5, _D6 = np.float32(0.0000380036), np.float32(0.0000488906), np.float32(0.0000053830)
_SIXTH, _PART = np.float32(1.0 / 6.0), np.float32(1.0 / 256.0)
_E4, _E5 = np.float32(1.0 / 24.0), np.float32(1.0 / 120.0)


@njit(cache=True, error_model="numpy")
def log_rising(start: float, steps: float) -> float:
    """log of start · (start + 1) · … · (start + steps - 1), for start > 0 and whole steps."""
    if start < 100.0:
        return math.lgamma(start + steps) - math.lgamma(start)
    # Stirling's series, as a difference: lgamma of a huge start would cancel.
    end = start + steps
    rising = (end - 0.5) * math.log1p(steps / start) + steps * (math.log(start) - 1.0)
    return rising + (1.0 / end - 1.0 / start) / 12.0 - (1.0 / end**3 - 1.0 / start**3) / 360.0


@njit(cache=True, error_model="numpy")
def log_mass(count: float, mean: float, variance: float) -> float:
    """Log probability of a whole count, negative binomial with this mean > 0 and variance > mean.

    With size r = mean² / (variance - mean):
    log Γ(r + count) / (Γ(r) count!) - (r + count) log(1 + mean/r) + count log(mean/r).
    """
    size = mean * mean / (variance - mean)
    rising = log_rising(size, count) - count * math.log(size)
    spread = math.log1p(mean / size)
    return rising + count * math.log(mean) - math.lgamma(count + 1.0) - (size + count) * spread


@njit(cache=True, error_model="numpy")
def fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, DiDonato & Morris 1992.

    I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) times it; Lentz's method. Quick for x below
    a / (a + b).
    """
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    product = d
    for m in range(1, LONGEST):
        even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        c = 1.0 + even / c
        d = 1.0 / (1.0 + even * d)
        product *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        c = 1.0 + odd / c
        d = 1.0 / (1.0 + odd * d)
        product *= c * d
        if abs(c * d - 1.0) < ENOUGH:
            break
    return product


@njit(cache=True, error_model="numpy")
def count_low(count: float, mean: float, variance: float) -> float:
    """P(Y ≤ count), negative binomial with this mean > 0 and variance > mean, summed downwards.

    Meant for counts below the mean.
    """
    k = float(math.floor(count))
    if k < 0.0:
        return 0.0
    size = mean * mean / (variance - mean)
    ratio = (size + mean) / mean
    total = term = math.exp(log_mass(k, mean, variance))
    while k > 0.0 and term > ENOUGH * total:
        term *= k / (size + (k - 1.0)) * ratio
        total += term
        k -= 1.0
    return min(1.0, total)


@njit(cache=True, error_model="numpy")
def count_high(count: float, mean: float, variance: float) -> float:
    """P(Y ≥ count), negative binomial with this mean > 0 and variance > mean.

    Meant for counts above the mean.
    """
    k = float(math.ceil(count))
    if k <= 0.0:
        return 1.0
    size = mean * mean / (variance - mean)
    ahead = math.exp(log_mass(k, mean, variance))
    return min(1.0, ahead * fraction(k, size, mean / (size + mean)))


@njit(cache=True, error_model="numpy")
def share_low(count: float, trials: float, mean: float, variance: float) -> float:
    """P(Y ≤ count), beta-binomial out of whole `trials`, summed downwards.

    0 < mean < trials. `variance` above that of a binomial sets the correlation ρ by moments
    (variance = n s (1 - s) (1 + (n - 1) ρ), Griffiths 1973, Biometrics 29); at or below it, or
    with one trial, ρ is next to 0. Meant for counts below the mean.
    """
    k = float(math.floor(count))
    if k < 0.0:
        return 0.0
    if k >= trials:
        return 1.0
    share = mean / trials
    rho = (variance / (mean * (1.0 - share)) - 1.0) / max(1.0, trials - 1.0)
    rho = min(max(rho, 1e-9), 1.0 - 1e-9)
    alpha = share * (1.0 - rho) / rho
    beta = (1.0 - share) * (1.0 - rho) / rho
    rest = trials - k
    mass = math.lgamma(trials + 1.0) - math.lgamma(k + 1.0) - math.lgamma(rest + 1.0)
    mass += log_rising(alpha, k) + log_rising(beta, rest) - log_rising(alpha + beta, trials)
    total = term = math.exp(mass)
    while k > 0.0 and term > ENOUGH * total:
        term *= k / (alpha + (k - 1.0)) * (beta + (trials - k)) / (trials - k + 1.0)
        total += term
        k -= 1.0
    return min(1.0, total)


@njit(cache=True, error_model="numpy")
def share_high(count: float, trials: float, mean: float, variance: float) -> float:
    """P(Y ≥ count), beta-binomial as in `share_low`: so few of the others."""
    return share_low(trials - math.ceil(count), trials, trials - mean, variance)


@njit(cache=True, error_model="numpy")
def normal_exact(deviations: float) -> float:
    """P(Z ≥ deviations), Z standard normal."""
    return 0.5 * math.erfc(deviations * ROOT_HALF)


@njit(cache=True, error_model="numpy")
def normal(deviations: np.float32) -> np.float32:
    """P(Z ≥ deviations) for deviations ≥ 0 in float32, to 1e-4 of itself as far as 3.

    Hastings' polynomial (Abramowitz & Stegun 1964, 26.2.19).
    """
    x = deviations
    root = _ONE + x * (_D1 + x * (_D2 + x * (_D3 + x * (_D4 + x * (_D5 + x * _D6)))))
    for _ in range(4):
        root *= root
    return _HALF / root


@njit(cache=True, error_model="numpy")
def decay(exponent: np.float32) -> np.float32:
    """exp(-exponent) for exponent ≥ 0 in float32, to 1e-4 of itself, and never below exp(-60)."""
    x = min(exponent, _SIXTY) * _PART
    grown = _ONE + x * (_ONE + x * (_HALF + x * (_SIXTH + x * (_E4 + x * _E5))))
    for _ in range(8):
        grown *= grown
    return _ONE / grown


@njit(cache=True, error_model="numpy")
def pareto(excess: float, mean: float, square: float) -> float:
    """P(E ≥ excess) of excesses over a threshold, generalised Pareto.

    mean, square: of the excesses, and of their squares. The shape follows from these moments
    (Hosking & Wallis 1987, Technometrics 29), kept from 0, since no tail of ours is known to
    end, to `HEAVIEST`.
    """
    ratio = mean * mean / max(square - mean * mean, NOTHING)
    shape = min(max(0.5 * (1.0 - ratio), 0.0), HEAVIEST)
    scale = mean * (1.0 - shape)
    if shape < 1e-6:
        return math.exp(-excess / scale)
    return math.exp(-math.log1p(shape * excess / scale) / shape)
