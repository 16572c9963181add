"""The detector against weeks whose truth is known: what it promises, and what it finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from central.detect.detector import Detector, Scores, band, threshold, usual_range
from central.detect.state import SLOTS

BUDGET = 0.1
LIMIT = threshold(BUDGET, SLOTS, 2)


def rhythm() -> NDArray[np.float64]:
    quarter = np.arange(SLOTS)
    hour, day = quarter % 96 / 4, quarter // 96
    open_hours = 0.3 + 0.7 * np.exp(-(((hour - 12.5) / 2.5) ** 2))
    shape: NDArray[np.float64] = np.where((hour >= 8) & (hour < 20), open_hours, 0.0)
    return shape * (0.7 + 0.05 * day)


def series(count: int) -> list[tuple[str, str, str]]:
    return [(f"shop-{number}", "footfall", "entrance") for number in range(count)]


def run(detector: Detector, slot: int, values: NDArray[np.float64]) -> Scores:
    return detector.tick(slot, values, np.ones(len(values), bool))


def draw(
    rng: np.random.Generator, mean: NDArray[np.float64], size: float | None
) -> NDArray[np.float64]:
    if size is None:
        return rng.poisson(mean).astype(np.float64)
    return rng.negative_binomial(size, size / (size + mean)).astype(np.float64)


@pytest.mark.parametrize("size", [None, 40.0, 10.0])
def test_ordinary_weeks_stay_within_the_budget(size: float | None) -> None:
    rng = np.random.default_rng(11)
    count, learn, watch = 800, 6, 5
    detector = Detector(series(count))
    peaks = np.geomspace(1.0, 50.0, count)
    week = rhythm()
    alarms = 0
    for tick in range((learn + watch) * SLOTS):
        scores = run(detector, tick % SLOTS, draw(rng, week[tick % SLOTS] * peaks, size))
        if tick >= learn * SLOTS:
            alarms += int((np.minimum(scores.p_low, scores.p_high) <= LIMIT).sum())
    assert alarms / (count / 2 * watch) <= BUDGET


def taught(
    peaks: NDArray[np.float64], noon: int, seed: int
) -> tuple[Detector, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    detector = Detector(series(len(peaks)))
    week = rhythm() / rhythm()[noon]
    for tick in range(6 * SLOTS + noon):
        run(detector, tick % SLOTS, draw(rng, week[tick % SLOTS] * peaks, 60.0))
    return detector, week


@pytest.mark.parametrize(
    ("per_hour", "share", "found_at_least"),
    [(15.0, 0.0, 0.97), (60.0, 0.0, 1.0), (160.0, 0.5, 0.9), (15.0, 4.0, 0.97)],
)
def test_an_hour_of_fault_is_found_within_it(
    per_hour: float, share: float, found_at_least: float
) -> None:
    noon, shops = 4 * 96 + 48, 200
    detector, week = taught(np.full(shops, per_hour / 4), noon, seed=5)
    rng = np.random.default_rng(6)
    found = np.zeros(shops, bool)
    for slot in range(noon, noon + 4):
        mean = np.full(shops, share * per_hour / 4 * week[slot])
        scores = run(detector, slot, draw(rng, mean, 60.0))
        found |= (scores.p_high if share > 1 else scores.p_low) <= LIMIT
    assert found.mean() >= found_at_least


def test_the_band_holds_ordinary_windows_and_learning_is_said() -> None:
    rng = np.random.default_rng(2)
    detector = Detector(series(300))
    week = rhythm() * 20.0
    inside = total = 0
    for tick in range(8 * SLOTS):
        slot = tick % SLOTS
        values = draw(rng, np.full(300, week[slot]), None)
        scores = run(detector, slot, values)
        assert scores.learning.all() == (tick < 3 * SLOTS)
        if tick >= 6 * SLOTS and week[slot] > 0:
            # The band is of real numbers, the counts are whole: half a count is its edge's due.
            lower, upper = band(scores.expected, scores.variance)
            within = (values >= lower - 0.5) & (values <= upper + 0.5)
            inside, total = inside + int(within.sum()), total + 300
    assert 0.94 <= inside / total <= 0.985


def test_two_replays_are_bit_identical() -> None:
    def replay() -> list[bytes]:
        rng = np.random.default_rng(8)
        detector = Detector(series(5))
        answers = []
        for tick in range(2 * SLOTS):
            scores = run(detector, tick % SLOTS, rng.poisson(4.0, 5).astype(float))
            answers.append(scores.p_low.tobytes() + scores.expected.tobytes())
        return answers

    assert replay() == replay()


def test_windows_say_how_many_the_sum_covers() -> None:
    detector, _ = taught(np.array([4.0]), 4 * 96 + 48, seed=1)
    covers = [int(run(detector, 4 * 96 + 48 + n, np.zeros(1)).windows[0]) for n in range(4)]
    assert covers[-1] == 4


def test_thresholds_divide_the_budget_among_the_occasions_to_be_wrong() -> None:
    assert threshold(0.1, 672, 2) == pytest.approx(0.1 / 2688)
    assert threshold(1e6, 1, 1) == 1.0
    with pytest.raises(ValueError, match="above zero"):
        threshold(0.0, 672, 2)


def test_usual_range() -> None:
    assert usual_range(0.0, 0.0) == (0, 0)
    low, high = usual_range(42.0, 46.0)
    assert 32 <= low <= 36
    assert 48 <= high <= 52
    with pytest.raises(ValueError, match="no usual range"):
        usual_range(float("nan"), 1.0)


def test_bad_input_is_named() -> None:
    detector = Detector(series(2))
    with pytest.raises(ValueError, match="slot 672"):
        run(detector, 672, np.zeros(2))
    with pytest.raises(ValueError, match="must be"):
        run(detector, 0, np.zeros(3))
