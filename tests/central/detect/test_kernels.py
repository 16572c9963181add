"""Every kernel against a slow, obvious twin that knows one series and plain lists."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.detect import kernels
from central.detect.kernels import SLOTS

NAN = math.nan


def slow_log_masses(mean: float, variance: float) -> Iterator[float]:
    """Log probability of 0, 1, 2 …, each the one before times (size + k) / (k + 1) · share."""
    size = mean * mean / (variance - mean)
    total, lost = -size * math.log1p(mean / size), 0.0
    for k in itertools.count():
        yield total
        # Kahan's sum, or thousands of roundings would show in the ninth digit.
        step = math.log(mean * (size + k) / ((size + mean) * (k + 1.0))) - lost
        total, lost = total + step, (total + step - total) - step


def slow_log_mass(count: int, mean: float, variance: float) -> float:
    return next(itertools.islice(slow_log_masses(mean, variance), count, None))


def slow_tail_low(count: float, mean: float, variance: float) -> float:
    masses = itertools.islice(slow_log_masses(mean, variance), math.floor(count) + 1)
    return math.fsum(math.exp(mass) for mass in masses)


def slow_tail_high(count: float, mean: float, variance: float) -> float:
    first = max(0, math.ceil(count))
    total = 0.0
    for mass in itertools.islice(slow_log_masses(mean, variance), first, None):
        total += math.exp(mass)
        if math.exp(mass) <= 1e-16 * total:
            return total
    raise AssertionError("the masses have no end")


def poisson(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


@given(st.floats(0.05, 60.0), st.floats(1.000001, 20.0), st.integers(0, 150))
@settings(deadline=None)
def test_tails_equal_the_sum_of_all_their_terms(mean: float, phi: float, count: int) -> None:
    variance = phi * mean
    low, high = kernels.tail_low(count, mean, variance), kernels.tail_high(count, mean, variance)
    if count <= mean:
        assert low == pytest.approx(slow_tail_low(count, mean, variance), rel=1e-9)
    if count >= mean:
        assert high == pytest.approx(slow_tail_high(count, mean, variance), rel=1e-9)
    assert kernels.log_mass(count, mean, variance) == pytest.approx(
        slow_log_mass(count, mean, variance), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("mean", [0.1, 1.0, 3.5, 5.0, 40.0, 600.0])
def test_least_dispersion_is_poisson(mean: float) -> None:
    variance = mean * kernels.POISSON
    few, many = int(mean * 0.6), int(mean * 1.5) + 2
    low = math.fsum(poisson(k, mean) for k in range(few + 1))
    high = math.fsum(poisson(k, mean) for k in range(many, many + 2000))
    assert kernels.tail_low(few, mean, variance) == pytest.approx(low, rel=1e-3)
    assert kernels.tail_high(many, mean, variance) == pytest.approx(high, rel=1e-3)


def test_tails_of_thousands_equal_the_sum_of_all_their_terms() -> None:
    low = kernels.tail_low(1800.0, 2000.0, 5000.0)
    assert low == pytest.approx(slow_tail_low(1800.0, 2000.0, 5000.0), rel=1e-9)
    high = kernels.tail_high(2200.0, 2000.0, 2000.0 * kernels.POISSON)
    assert high == pytest.approx(slow_tail_high(2200.0, 2000.0, 2000.0 * kernels.POISSON), rel=1e-9)


def test_tails_are_right_beside_certainty() -> None:
    assert kernels.tail_low(-1.0, 3.0, 4.0) == 0.0
    assert kernels.tail_high(0.0, 3.0, 4.0) == 1.0
    # Between two whole counts nothing lies.
    assert kernels.tail_low(1.7, 3.0, 4.0) == kernels.tail_low(1.0, 3.0, 4.0)
    assert kernels.tail_high(7.2, 3.0, 4.0) == kernels.tail_high(8.0, 3.0, 4.0)


def test_stabilised_has_unit_spread() -> None:
    rng = np.random.default_rng(4)
    draws = rng.negative_binomial(40, 40 / (40 + 50.0), 4000)
    z = [kernels.stabilised(float(count), 50.0, 50.0 * (1 + 50.0 / 40)) for count in draws]
    assert np.mean(z) == pytest.approx(0.0, abs=0.1)
    assert np.std(z) == pytest.approx(1.0, abs=0.06)


class Slow:
    """One series, slowly: what a tick does, read top to bottom."""

    def __init__(self) -> None:
        self.mean = [0.0] * SLOTS
        self.seen = [0] * SLOTS
        self.squares = [kernels.PRIOR] * 4
        self.mass = [kernels.PRIOR] * 4
        self.windows: list[tuple[float, float, float]] = []

    def phi(self, look: int) -> float:
        return max(kernels.POISSON, self.squares[look] / self.mass[look])

    def expect(self, slot: int) -> tuple[float, float]:
        own, own_seen = self.mean[slot], self.seen[slot]
        others = [((slot + 96 * day) % SLOTS, kernels.OTHER_DAY) for day in range(1, 7)]
        if own_seen + sum(self.seen[row] for row, _ in others) == 0:
            return NAN, 0.0
        others += [
            ((slot + step) % SLOTS, kernels.NEIGHBOUR / abs(step)) for step in (-2, -1, 1, 2)
        ]
        weights, values = [float(own_seen)], [own]
        for row, share in others:
            mean, seen = self.mean[row], self.seen[row]
            alike = 1.0
            if own_seen and seen:
                error = self.phi(0) * ((mean + own) / 2 + kernels.LEAST_MEAN)
                error *= 1 / own_seen + 1 / seen
                alike = 1 / (1 + (mean - own) ** 2 / error / kernels.ALIKE)
            weights.append(share * seen * alike**2)
            values.append(mean)
        total = math.fsum(weights)
        return math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total, total

    def scan(self) -> tuple[float, float, int, int]:
        looks = []
        for look in range(4):
            # A series younger than four windows has nothing to add to its longer sums.
            count, mean, spread = (
                sum(part) for part in zip(*self.windows[: look + 1], strict=True)
            )
            phi = self.phi(look)
            least = kernels.LEAST_MEAN * phi
            variance = max(phi * max(spread, least), kernels.POISSON * max(mean, least))
            mean = max(mean, least)
            z = 2 * (math.sqrt(count + 0.375) - math.sqrt(mean + 0.375))
            looks.append((z / math.sqrt(variance / mean), look + 1, count, mean, variance))
        p_low = p_high = 1.0
        windows_low = windows_high = 0
        z, windows, count, mean, variance = min(looks, key=lambda each: each[0])
        if z < -kernels.NEAR:
            exact = z < -kernels.EXACT_FROM and mean < kernels.EXACT_TO
            p = slow_tail_low(count, mean, variance) if exact else math.erfc(-z / 2**0.5) / 2
            p_low, windows_low = min(1.0, 4 * p), windows
        z, windows, count, mean, variance = max(looks, key=lambda each: each[0])
        if z > kernels.NEAR:
            exact = z > kernels.EXACT_FROM and count < kernels.EXACT_TO
            p = slow_tail_high(count, mean, variance) if exact else math.erfc(z / 2**0.5) / 2
            p_high, windows_high = min(1.0, 4 * p), windows
        return p_low, p_high, windows_low, windows_high

    def teach_dispersion(self) -> None:
        for look in range(4):
            windows = self.windows[: look + 1]
            residual = sum(count - mean for count, mean, _ in windows)
            spread = sum(spread for _, _, spread in windows)
            bound = kernels.CLIP**2 * self.phi(look) * spread
            self.squares[look] = kernels.MEMORY * self.squares[look] + min(residual**2, bound)
            self.mass[look] = kernels.MEMORY * self.mass[look] + spread

    def teach_mean(self, slot: int, count: float, expected: float, variance: float) -> None:
        deviation = math.sqrt(variance) if self.seen[slot] else 0.0
        lower, upper = expected - 4 * deviation, expected + 4 * deviation + 1
        if self.seen[slot] == 0 or (self.seen[slot] <= kernels.SETTLED and count < lower):
            self.mean[slot], self.seen[slot] = count, 1
            return
        count = min(max(count, lower), upper)
        self.seen[slot] = min(self.seen[slot] + 1, kernels.HISTORY)
        self.mean[slot] += (count - self.mean[slot]) / self.seen[slot]

    def tick(self, slot: int, value: float, ready: bool) -> tuple[float, ...]:
        expected, weight = self.expect(slot)
        spread = expected * (1 + 1 / weight) if weight else NAN
        variance = self.phi(0) * spread
        p_low = p_high = 1.0
        windows_low = windows_high = 0
        if ready and math.isfinite(value):
            count = max(0.0, value)
            if weight:
                self.windows = [(count, expected, spread), *self.windows][:4]
                p_low, p_high, windows_low, windows_high = self.scan()
                if self.seen[slot] >= kernels.SETTLED:
                    self.teach_dispersion()
            self.teach_mean(slot, count, expected, variance)
        return expected, variance, p_low, p_high, windows_low, windows_high


def test_a_tick_equals_its_twin_over_weeks() -> None:
    rng = np.random.default_rng(7)
    rates = np.array([0.1, 2.0, 15.0, 60.0])
    state, out = kernels.empty_state(4), kernels.empty_out(4)
    twins = [Slow() for _ in rates]
    for _week in range(5):
        for slot in range(28, 36):
            for day in (0, 1, 5):
                values = rng.poisson(rates * (1 + day + 3 * (slot > 31))).astype(float)
                values[rng.random(4) < 0.05] = NAN
                values[rng.random(4) < 0.05] = 0.0
                ready = rng.random(4) < 0.95
                compare(state, out, twins, day * 96 + slot, values, ready)
    compare_all(state, twins)
    assert state.seen[:, 2].max() >= 4


Tick = tuple[int, list[float], list[bool]]
ticks = st.tuples(
    st.sampled_from([0, 1, 2, 3, 96, 97, 670, 671]),
    st.lists(
        st.one_of(
            st.integers(0, 30).map(float),
            st.sampled_from([NAN, math.inf, -3.0, 0.0, 1e12, 2.5, 9000.0]),
        ),
        min_size=2,
        max_size=2,
    ),
    st.lists(st.sampled_from([True, True, True, False]), min_size=2, max_size=2),
)


@given(st.lists(ticks, min_size=1, max_size=60))
@settings(deadline=None, max_examples=150)
def test_a_tick_equals_its_twin_on_anything(series: list[Tick]) -> None:
    state, out = kernels.empty_state(2), kernels.empty_out(2)
    twins = [Slow(), Slow()]
    for slot, values, ready in series:
        compare(state, out, twins, slot, np.array(values), np.array(ready))
    compare_all(state, twins)


def compare(
    state: kernels.State,
    out: kernels.Out,
    twins: list[Slow],
    slot: int,
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    ready: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
) -> None:
    kernels.tick(state, slot, values, ready, out)
    for i, twin in enumerate(twins):
        score = twin.tick(slot, float(values[i]), bool(ready[i]))
        np.testing.assert_allclose([array[i] for array in out], score, rtol=1e-9, atol=1e-12)
        touched = twin.mean[slot], twin.seen[slot], *twin.squares, *twin.mass
        now = state.mean[slot, i], state.seen[slot, i], *state.squares[:, i], *state.mass[:, i]
        np.testing.assert_allclose(now, touched, rtol=1e-9, atol=1e-12)


def compare_all(state: kernels.State, twins: list[Slow]) -> None:
    np.testing.assert_allclose(state.mean.T, [twin.mean for twin in twins], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(state.seen.T, [twin.seen for twin in twins])


def test_not_ready_and_absent_leave_the_state_as_it_is() -> None:
    state, out = kernels.empty_state(2), kernels.empty_out(2)
    everyone = np.array([True, True])
    for _ in range(5):
        kernels.tick(state, 40, np.array([9.0, 12.0]), everyone, out)
    before = [array.copy() for array in state]
    kernels.tick(state, 40, np.array([NAN, 0.0]), np.array([True, False]), out)
    for array, old in zip(state, before, strict=True):
        np.testing.assert_array_equal(array, old)
    np.testing.assert_array_equal(out.p_low, [1.0, 1.0])
    np.testing.assert_array_equal(out.windows_low, [0, 0])
    np.testing.assert_allclose(out.expected, [9.0, 12.0])


@pytest.mark.parametrize("week", [0, 1, 2, 5])
def test_one_wild_value_does_not_last(week: int) -> None:
    rng = np.random.default_rng(3)
    state, out, ready = kernels.empty_state(1), kernels.empty_out(1), np.array([True])
    for tick in range(9 * SLOTS):
        value = 1e12 if tick == week * SLOTS + 300 else float(rng.poisson(10.0))
        kernels.tick(state, tick % SLOTS, np.array([value]), ready, out)
        if value > 1e6 and week:
            assert out.p_high[0] < 1e-12
    assert np.abs(state.mean - 10.0).max() < 8.0
    assert (state.squares / state.mass).max() < 1.5


def test_tails_too_small_for_a_double_come_to_an_end() -> None:
    tails = [kernels.tail_high(float(count), 50.0, 1000.0) for count in range(9000, 19000, 10)]
    assert tails == sorted(tails, reverse=True)
    assert tails[0] > 0.0 == tails[-1]


@given(st.floats(0.0, 1e15, allow_nan=False))
@settings(deadline=None, max_examples=30)
def test_a_single_point_scores_nothing(value: float) -> None:
    state, out = kernels.empty_state(1), kernels.empty_out(1)
    kernels.tick(state, 5, np.array([value]), np.array([True]), out)
    assert math.isnan(out.expected[0])
    assert (out.p_low[0], out.p_high[0]) == (1.0, 1.0)
    kernels.tick(state, 5, np.array([NAN]), np.array([True]), out)
    assert out.expected[0] == pytest.approx(value)
