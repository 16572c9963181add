"""One series, slowly: what a tick does, read top to bottom, with plain lists and single numbers.

Numbers are float32 where the kernels' are, one operation after the other as there, so that sums and
sides agree to the last bit. Distributions are the sums of all their terms.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from central.detect.state import COUNT, Family

F = np.float32
ZERO, HALF, ONE, TWO, THREE, FOUR, SIX = (F(n) for n in (0, 0.5, 1, 2, 3, 4, 6))
THIRD, TWELFTH, QUARTER, TINY = F(1 / 3), F(1 / 12), F(0.25), F(1e-30)
NAN = F(math.nan)
LESS = F(2 * math.log(3))


def log_masses(mean: float, variance: float) -> Iterator[float]:
    """Negative binomial: log probability of 0, 1, 2 …, each from the one before."""
    size = mean * mean / (variance - mean)
    total, lost = -size * math.log1p(mean / size), 0.0
    for k in itertools.count():
        yield total
        # Kahan's sum, or thousands of roundings would show in the ninth digit.
        step = math.log(mean * (size + k) / ((size + mean) * (k + 1.0))) - lost
        total, lost = total + step, (total + step - total) - step


def count_low(count: float, mean: float, variance: float) -> float:
    masses = itertools.islice(log_masses(mean, variance), math.floor(count) + 1)
    return min(1.0, math.fsum(math.exp(mass) for mass in masses))


def count_high(count: float, mean: float, variance: float) -> float:
    total = 0.0
    for mass in itertools.islice(log_masses(mean, variance), max(0, math.ceil(count)), None):
        total += math.exp(mass)
        if mass < -745 or math.exp(mass) <= 1e-16 * total:
            return min(1.0, total)
    raise AssertionError("the masses have no end")


def share_low(count: float, trials: float, mean: float, variance: float) -> float:
    """Beta-binomial: P(Y ≤ count), by the draws of Pólya's urn."""
    n = int(trials)
    share = mean / trials
    rho = (variance / (mean * (1.0 - share)) - 1.0) / max(1.0, trials - 1.0)
    rho = min(max(rho, 1e-9), 1.0 - 1e-9)
    total = []
    for k in range(min(n, math.floor(count)) + 1):
        urn = math.log(math.comb(n, k))
        urn += math.fsum(math.log(share * (1.0 - rho) + i * rho) for i in range(k))
        urn += math.fsum(math.log((1.0 - share) * (1.0 - rho) + i * rho) for i in range(n - k))
        urn -= math.fsum(math.log(1.0 - rho + i * rho) for i in range(n))
        total.append(math.exp(urn))
    return min(1.0, math.fsum(total))


def pareto(excess: float, mean: float, square: float) -> float:
    spread = square - mean**2
    shape = min(max(0.5 * (1.0 - mean**2 / spread), 0.0), 0.45) if spread > 0.0 else 0.0
    scale = mean * (1.0 - shape)
    if shape < 1e-6:
        return math.exp(-excess / scale)
    return float((1.0 + shape * excess / scale) ** (-1.0 / shape))


def normal(x: np.float32) -> np.float32:
    d = [F(v) for v in (0.0498673470, 0.0211410061, 0.0032776263)]
    d += [F(v) for v in (0.0000380036, 0.0000488906, 0.0000053830)]
    root = ZERO
    for each in reversed([ONE, *d]):
        root = each + x * root
    for _ in range(4):
        root = root * root
    return HALF / root


def decay(exponent: np.float32) -> np.float32:
    x = min(exponent, F(60)) * F(1 / 256)
    grown = ZERO
    for each in (F(1 / 120), F(1 / 24), F(1 / 6), HALF, ONE, ONE):
        grown = each + x * grown
    for _ in range(8):
        grown = grown * grown
    return ONE / grown


class Slow:
    """What one series knows."""

    def __init__(self, family: Family = COUNT, slots: int = 672) -> None:
        self.family = family
        prior = F(20) if family.known == 0 else ZERO
        self.rate, self.mass = [ZERO] * slots, [ZERO] * slots
        self.squares, self.units = [prior] * 3, [prior] * 3
        self.past: list[tuple[np.float32, np.float32, np.float32, np.float32]] = []
        self.drift, self.silence = [ZERO, ZERO], ZERO
        self.threshold, self.excess, self.excess_squares = [FOUR] * 2, [ONE] * 2, [TWO] * 2

    def tick(
        self, slot: int, value: float, exposure: float, ready: bool
    ) -> tuple[float | np.float32, ...]:
        with np.errstate(all="ignore"):
            return self._tick(slot, value, exposure, ready)

    def _tick(
        self, slot: int, given: float, exposed: float, ready: bool
    ) -> tuple[float | np.float32, ...]:
        family = self.family
        phi = self.phi(slot)
        rate, weight = self.expect(slot, phi[0])
        exposure = F(min(exposed, 1e15)) if exposed > 0 else NAN
        heard = ready and math.isfinite(given) and exposed > 0 and math.isfinite(exposed)
        expected = rate * exposure
        inflation = ONE + exposure / weight
        unit = family.constant + rate * (family.linear - family.quadratic * rate)
        spread = exposure * (unit if unit > 0 else ZERO) * inflation
        measured = self.units[0] >= family.known
        variance = phi[0] * spread if measured and weight > 0 else NAN
        width = F(4) * np.sqrt(variance) if measured else F(1e30)
        out: list[float | np.float32] = [
            expected,
            variance,
            1.0,
            1.0,
            0,
            0,
            ONE,
            ONE,
            ONE,
            1.0,
            1.0,
        ]
        if not ready:
            return tuple(out)
        value = ZERO
        if heard:
            value = F(min(max(given, -1e15), 1e15))
            value = max(value, ZERO) if family.linear > 0 else value
            value = min(value, exposure) if family.quadratic > 0 else value
        known = heard and weight > 0
        now = (value - expected, spread, value, exposure) if known else (ZERO, ZERO, ZERO, ZERO)
        self.past = [now, *self.past][:16]
        skew = family.linear - TWO * family.quadratic * rate
        looks = self.looks(phi, skew if known else ZERO)
        if known and self.mass[slot] >= F(1.5) * exposure:
            self.teach_dispersion(phi)
        if known and measured:
            extremes = min(ZERO, *looks[0]), max(ZERO, *looks[1])
            for side, sign in enumerate((-1, 1)):
                square = F(sign) * extremes[side]
                z = np.sqrt(square)
                out[2 + side] = min(ONE, (F(1.1) + z) * normal(z))
                if square > 9:
                    out[2 + side], out[4 + side] = self.far(phi, float(skew), sign)
                out[6 + side] = self.accumulate(side, F(sign), phi[2], now, skew)
                out[9 + side] = self.peak(side, square)
            out[8] = self.listen(value, expected, inflation, phi[2])
        if heard:
            self.teach(slot, value, exposure, expected, width)
        return tuple(out)

    def phi(self, slot: int) -> list[np.float32]:
        slots = len(self.rate)
        level = min(abs(self.rate[slot]), abs(self.rate[(slot + slots // 7) % slots]))
        least = self.family.least + self.family.relative * level * level
        measured = zip(self.squares, self.units, strict=True)
        return [max(least, square / max(unit, TINY)) for square, unit in measured]

    def between(self, phi: list[np.float32], ticks: int) -> np.float32:
        """Dispersion of a sum of ticks: a line from 1 to 4, and one from 4 to 16."""
        if ticks <= 4:
            return phi[0] + F((ticks - 1) / 3) * (phi[1] - phi[0])
        return phi[1] + F((ticks - 4) / 12) * (phi[2] - phi[1])

    def expect(self, slot: int, phi: np.float32) -> tuple[np.float32, np.float32]:
        slots = len(self.rate)
        days = [((slot + day * (slots // 7)) % slots, F(0.25)) for day in range(1, 7)]
        beside = [((slot + step) % slots, F(0.5 / abs(step))) for step in (-2, -1, 1, 2)]
        own, own_mass = self.rate[slot], self.mass[slot]
        weight, total = own_mass, own_mass * own
        for row, share in days + beside:
            rate, mass = self.rate[row], self.mass[row]
            level = HALF * (rate + own)
            unit = self.family.constant
            unit = unit + level * (self.family.linear - self.family.quadratic * level)
            near = FOUR * phi * (unit + F(0.05)) * max(own_mass + mass, TINY)
            apart = (rate - own) * (rate - own) * own_mass * mass
            alike = near / (near + apart)
            pooled = share * mass * alike * alike
            weight, total = weight + pooled, total + pooled * rate
        if own_mass + sum(self.mass[row] for row, _ in days) == 0:
            return NAN, ZERO
        return total / weight, weight

    def looks(
        self, phi: list[np.float32], skew: np.float32
    ) -> tuple[list[np.float32], list[np.float32]]:
        """Signed squares of the sums' deviations, as they count for low and for high."""
        low, high = [], []
        total = variance = ZERO
        leans = ZERO
        for ticks in range(1, 17):
            if ticks <= len(self.past):
                total = total + self.past[ticks - 1][0]
                variance = variance + self.past[ticks - 1][1]
            dispersion = self.between(phi, ticks)
            usual = max(variance, self.family.linear * F(0.05) * dispersion, TINY)
            usual = dispersion * usual
            lean = (TWO * dispersion - ONE) * skew * THIRD * total
            square = total * abs(total) / max(usual + lean, QUARTER * usual)
            leans = square if ticks == 4 else leans
            if ticks <= 4 or leans < -1:
                low.append(square if ticks <= 4 else square + LESS)
            if ticks <= 4 or leans > 1:
                high.append(square if ticks <= 4 else square - LESS)
        return low, high

    def far(self, phi: list[np.float32], skew: float, sign: int) -> tuple[float, int]:
        widths = [float(each) for each in phi]
        best = (0.0, 0, 0.0, 0.0, 0.0, 0.0)
        leans = False
        for ticks in range(1, 17):
            sums = zip(*self.past[:ticks], strict=True)
            residual, spread, count, trials = (sum(float(x) for x in each) for each in sums)
            if ticks <= 4:
                dispersion = widths[0] + (ticks - 1) / 3 * (widths[1] - widths[0])
            else:
                dispersion = widths[1] + (ticks - 4) / 12 * (widths[2] - widths[1])
            least = float(self.family.linear * F(0.05)) * dispersion
            usual = dispersion * max(spread, least)
            lean = (2 * dispersion - 1) * skew / 3 * residual
            square = sign * residual * abs(residual) / max(usual + lean, 0.25 * usual)
            leans = square > 1 if ticks == 4 else leans
            if ticks > 4:
                square -= float(LESS)
            if square > best[0] and (ticks <= 4 or leans):
                mean = max(count - residual, least)
                best = (square, ticks, count, mean, usual, trials)
        square, ticks, count, mean, variance, trials = best
        price = 1.0 if ticks <= 4 else 3.0
        if self.family.linear == 0 or max(count, mean) > 1e4:
            p = math.erfc(math.sqrt((square + 2 * math.log(price)) / 2)) / 2
        elif self.family.quadratic > 0:
            least = min(float(F(0.05)), trials / 2)
            mean = min(max(mean, least), trials - least)
            if sign > 0:
                count, mean = trials - count, trials - mean
            p = share_low(count, trials, mean, variance)
        else:
            variance = max(variance, float(self.family.least) * mean)
            tail = count_low if sign < 0 else count_high
            p = tail(count, mean, variance)
        return min(1.0, price * (float(F(1.1)) + math.sqrt(square)) * p), ticks

    def teach_dispersion(self, phi: list[np.float32]) -> None:
        for width, ticks in enumerate((1, 4, 16)):
            total = variance = ZERO
            for residual, spread, _, _ in self.past[:ticks]:
                total, variance = total + residual, variance + spread
            square, usual = total * total, phi[width] * variance
            if self.units[width] < F(20 * ticks) and square < self.family.again * usual:
                self.squares[width] = self.units[width] = ZERO
                # What was known is forgotten; the bound, of before, no longer binds.
                self.squares[width], self.units[width] = square, variance
                continue
            if self.units[width] > 0:
                square = min(square, F(16) * usual)
            memory = F(1 - 1 / (4 * 672))
            self.squares[width] = memory * self.squares[width] + square
            self.units[width] = memory * self.units[width] + variance

    def accumulate(
        self,
        side: int,
        sign: np.float32,
        phi: np.float32,
        now: tuple[np.float32, ...],
        skew: np.float32,
    ) -> np.float32:
        variance = phi * now[1]
        third = (TWO * phi - ONE) * skew
        fourth = (SIX * phi * (phi - ONE) + ONE) * abs(skew)
        theta = sign / np.sqrt(max(variance + FOUR * abs(skew) * phi * phi, TINY))
        tilt = ONE + theta * third * THIRD + theta * theta * fourth * TWELFTH
        tilt = tilt * (theta * theta * variance * HALF)
        drift = max(ZERO, self.drift[side] + theta * now[0] - tilt)
        self.drift[side] = drift if drift < 12 else ZERO
        return decay(drift + F(0.583) * theta * theta * variance) if drift > 0 else ONE

    def listen(
        self, value: np.float32, expected: np.float32, inflation: np.float32, phi: np.float32
    ) -> np.float32:
        dispersion = phi * inflation
        mean = TWO * np.sqrt(dispersion) + HALF * (dispersion + ONE)
        step = self.family.linear * THREE * max(expected, ZERO) / mean
        self.silence = self.silence + step if value == 0 else ZERO
        return decay(self.silence)

    def peak(self, side: int, square: np.float32) -> float:
        over = max(ZERO, HALF * square - self.threshold[side])
        mean, squares = self.excess[side], self.excess_squares[side]
        p = float(F(0.02)) * pareto(float(over), float(mean), float(squares)) if over > 0 else 1.0
        step = F(0.02) * ((ONE if over > 0 else ZERO) - F(0.02))
        self.threshold[side] = max(ZERO, self.threshold[side] + step)
        if over > 0:
            taught = min(over, F(8) * mean)
            self.excess[side] = mean + F(1 / 128) * (taught - mean)
            self.excess_squares[side] = squares + F(1 / 128) * (taught * taught - squares)
        return p

    def teach(
        self,
        slot: int,
        value: np.float32,
        exposure: np.float32,
        expected: np.float32,
        width: np.float32,
    ) -> None:
        rate, mass = self.rate[slot], self.mass[slot]
        gap = expected - value
        gap = gap if self.family.linear > 0 else abs(gap)
        if mass == 0 or (mass <= F(2.5) * exposure and gap > width):
            self.rate[slot], self.mass[slot] = value / exposure, exposure
            return
        taught = min(max(value, expected - width), expected + width + self.family.linear)
        total = max(F(7 / 8) * mass, min(mass, F(7) * exposure)) + exposure
        self.rate[slot] = rate + (taught - rate * exposure) / total
        self.mass[slot] = total
