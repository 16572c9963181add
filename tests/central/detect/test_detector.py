"""The detector against weeks whose truth is known: what it promises, and what it finds."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from central.detect.detector import Detector, Scores, band, threshold, usual_range
from central.detect.state import COUNT, GAUGE, SLOTS, SUBSET, Family

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


@pytest.mark.parametrize("family", [COUNT, SUBSET, GAUGE], ids=["count", "subset", "gauge"])
def test_a_restored_detector_scores_bit_for_bit(tmp_path: Path, family: Family) -> None:
    def scores(detector: Detector, first: int) -> list[bytes]:
        rng = np.random.default_rng(first)
        said = []
        for tick in range(first, first + 400):
            values, exposures = (
                rng.poisson(6.0, 5).astype(float),
                rng.poisson(20.0, 5).astype(float),
            )
            found = detector.tick(tick % 336, values, rng.random(5) < 0.9, exposures)
            said += [getattr(found, name).tobytes() for name in Scores.__dataclass_fields__]
        return said

    detector = Detector(series(5), family, 336)
    scores(detector, 0)
    detector.save(tmp_path / "state.npz")
    restored = Detector.load(tmp_path / "state.npz")
    assert (restored.series, restored.family) == (detector.series, family)
    assert scores(restored, 400) == scores(detector, 400)


def test_a_detector_of_nothing_is_saved_too(tmp_path: Path) -> None:
    Detector([]).save(tmp_path / "state.npz")
    assert Detector.load(tmp_path / "state.npz").series == ()
    with pytest.raises(OSError, match="absent"):
        Detector.load(tmp_path / "absent.npz")


def test_what_lies_before_closing_time_is_over_in_the_morning() -> None:
    detector, _ = taught(np.full(3, 4.0), 4 * 96 + 48, seed=1)
    for n in range(4):
        run(detector, 4 * 96 + 48 + n, np.zeros(3))
    for _ in range(16):
        detector.rest(np.array([True, False, False]))
    scores = run(detector, 4 * 96 + 52, np.zeros(3))
    assert scores.p_low[0] > 1e-3 > scores.p_low[1]
    assert scores.windows[1] >= 4


def test_a_restart_begins_cumulative_sums_again() -> None:
    detector, _ = taught(np.full(2, 4.0), 4 * 96 + 48, seed=1)
    for n in range(3):
        run(detector, 4 * 96 + 48 + n, np.zeros(2))
    detector.restart(np.array([True, False]))
    scores = run(detector, 4 * 96 + 51, np.full(2, np.nan))
    assert detector.state.drift[:, 0].max() == detector.state.silence[0] == 0.0
    assert detector.state.drift[0, 1] > 0.0 < detector.state.silence[1]
    assert (scores.drift_low == 1.0).all()


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
    with pytest.raises(ValueError, match="must be"):
        detector.tick(0, np.zeros(2), np.ones(2, bool), np.zeros(1))
