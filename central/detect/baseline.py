"""Each night: what the next seven days of a series should bring, hour by hour, and the band.

A series is a matrix of local days by local hours. In it a day and a week are the same number of
rows however the clocks change, and hours that are always closed can be left out. Counts are looked
at as their square roots, whose noise does not grow with them. Seasons come from MSTL (Bandara,
Hyndman and Bergmeir, 2021, arXiv:2107.13462); the level from the last days; the band from how wrong
the same forecast was in the weeks before (split conformal prediction: Lei et al., 2018, JASA 113).

statsmodels is imported where it is used: it is heavy, and for the nightly process alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Booleans = NDArray[np.bool_]

HOURS = 24
WEEK = 7
FIT_WEEKS = 13
READY_WEEKS = 3
"""A series is ready when it was watched for so many weeks."""
CALIBRATION_WEEKS = 8
LEVEL_KEPT = 0.9
"""What a day counts for the level, against the day after it: half after a week."""
SEASON_CYCLES = 35
"""MSTL's seasonal windows: so wide that thirteen weeks count about alike."""
FILLED_FROM = 4
FAR = 8.0
"""An hour that lies so many robust deviations from its usual is drawn in to them for the fit."""
HOLIDAYS_NEEDED = 3
SHRINKAGE = 10.0
"""How many errors of its own a horizon's or an hour's spread needs to count for half."""


@dataclass(frozen=True)
class Forecast:
    """Seven local days from the day after the last one known.

    expected: (7, 24), as many hours are above it as below; NaN where closed, where the hour of that
    weekday was never seen, and on a holiday when too few were seen.
    lower, upper: (shares, 7, 24), the bands that hold these shares of the hours.
    days_missing: how many more days must be watched until there is a forecast; 0 where there is.
    """

    expected: Reals
    lower: Reals
    upper: Reals
    days_missing: int = 0


def forecast(
    values: Reals, opened: Booleans, holidays: Booleans, shares: Sequence[float] = (0.95,)
) -> Forecast:
    """The next seven days.

    values: (days, 24) by local day and hour, NaN where absent or closed and in the two hours that
    are one when the clocks go back; what is infinite counts as absent. opened: (days + 7, 24).
    holidays: (days + 7,), days unlike others. shares: what the bands are to hold.

    Raises ValueError where shapes do not fit, or a share is not between 0 and 1.
    """
    days = len(values)
    if values.shape != (days, HOURS) or opened.shape != (days + WEEK, HOURS):
        raise ValueError(f"values {values.shape} and opened {opened.shape} are not of days and 24")
    if holidays.shape != (days + WEEK,):
        raise ValueError(f"holidays {holidays.shape} must be ({days + WEEK},)")
    if not all(0.0 < share < 1.0 for share in shares):
        raise ValueError(f"shares {shares} must lie between 0 and 1")
    known = np.where(np.isfinite(values) & opened[:days], values, np.nan)
    nothing = np.full((len(shares), WEEK, HOURS), np.nan)
    missing = days_missing(known, opened[:days])
    if missing:
        return Forecast(np.full((WEEK, HOURS), np.nan), nothing, nothing, missing)
    ordinary = root(np.where(holidays[:days, None], np.nan, known))
    errors = _errors(ordinary)
    if not np.isfinite(errors).any():  # no hour was seen in two weeks
        return Forecast(np.full((WEEK, HOURS), np.nan), nothing, nothing, WEEK)
    middle = _ahead(ordinary)
    lower, upper = _bands(errors, middle, shares)
    expected, lower, upper = square(middle), square(lower), square(upper)
    least = min(0.0, float(np.nanmin(known)))
    factors = holiday_factors(known, holidays[:days])
    for day in np.flatnonzero(holidays[days:]):
        seen = len(factors) >= HOLIDAYS_NEEDED
        expected[day] *= np.median(factors) if seen else np.nan
        lower[:, day] *= factors.min() if seen else np.nan
        upper[:, day] *= factors.max() if seen else np.nan
    shut = ~opened[days:]
    for each in (expected, lower, upper):
        np.maximum(each, least, out=each)
        each[..., shut] = np.nan
    return Forecast(expected, lower, upper)


def root(values: Reals) -> Reals:
    """Square roots that keep the sign: what goes back may be worth more than what is sold."""
    return np.sign(values) * np.sqrt(np.abs(values))


def square(roots: Reals) -> Reals:
    """Back from `root`."""
    return roots * np.abs(roots)


def days_missing(values: Reals, opened: Booleans) -> int:
    """How many more days must be watched, both (days, 24): a day that is closed counts as watched.

    Days count from the first on of which anything is known.
    """
    seen = np.isfinite(values).any(1)
    if not seen.any():
        return READY_WEEKS * WEEK
    watched = np.logical_or(seen, ~opened.any(1))[int(seen.argmax()) :]
    return max(0, READY_WEEKS * WEEK - int(np.count_nonzero(watched)))


def holiday_factors(values: Reals, holidays: Booleans) -> Reals:
    """For each holiday that was seen, (seen,), its sum by that of the same hours otherwise.

    values: (days, 24). holidays: (days,). Otherwise is the mean of the same weekday up to two weeks
    before and after, where that was no holiday.
    """
    found = []
    for day in np.flatnonzero(holidays):
        near = [day + WEEK * weeks for weeks in (-2, -1, 1, 2)]
        others = [values[n] for n in near if 0 <= n < len(values) and not holidays[n]]
        if not others:
            continue
        usual = _mean(np.array(others))
        both = np.isfinite(values[day]) & np.isfinite(usual)
        if usual[both].sum() > 0:
            found.append(values[day, both].sum() / usual[both].sum())
    return np.array(found)


def _errors(ordinary: Reals) -> Reals:
    """How far the past weeks' forecasts were below what came, as roots, (weeks, 7, 24).

    They end a week apart, so that a horizon is always the same weekday, as it is in the forecast.
    """
    seen = np.asarray(np.isfinite(ordinary).any(1))
    first = int(seen.argmax())
    stops = [
        stop
        for stop in range(len(ordinary) - WEEK, first + WEEK - 1, -WEEK)
        if seen[stop : stop + WEEK].any()
    ][:CALIBRATION_WEEKS]
    return np.array(
        [ordinary[stop : stop + WEEK] - _ahead(ordinary[:stop]) for stop in stops]
    ).reshape(-1, WEEK, HOURS)


def _bands(errors: Reals, middle: Reals, shares: Sequence[float]) -> tuple[Reals, Reals]:
    """The bands around the middle (7, 24), as roots, (shares, 7, 24)."""
    known = np.isfinite(errors)
    spread = _spread(errors)
    scores = np.sort((errors / spread)[known])
    days = int(known.any(2).sum())
    lower = [middle + _quantile(scores, (1 - share) / 2, days) * spread for share in shares]
    upper = [middle - _quantile(-scores[::-1], (1 - share) / 2, days) * spread for share in shares]
    return np.array(lower), np.array(upper)


def _spread(errors: Reals) -> Reals:
    """How far errors (origins, 7, 24) lie apart, (7, 24): by horizon, and by hour of the day.

    What few errors say by themselves is drawn towards what all say.
    """
    far = FAR * 1.4826 * float(np.nanmedian(np.abs(errors)))
    squares = np.minimum(errors**2, max(far, 1e-3) ** 2)
    known = np.isfinite(squares)
    whole = max(float(squares[known].mean()), 1e-6)
    parts = []
    for axes in ((0, 2), (0, 1)):
        count = known.sum(axes, keepdims=True)[0]
        total = np.where(known, squares, 0.0).sum(axes, keepdims=True)[0]
        parts.append((total / whole + SHRINKAGE) / (count + SHRINKAGE))
    return np.asarray(np.sqrt(whole * parts[0] * parts[1]))


def _quantile(scores: Reals, share: float, days: int) -> float:
    """What a further score is below with this share at most, of sorted scores (n,).

    The scores of a day come together, so they prove no more than as many scores as days would.
    """
    place = np.floor(share * (days + 1)) / days * len(scores)
    return float(scores[max(int(place) - 1, 0)])


def _ahead(ordinary: Reals) -> Reals:
    """The seven days after these, (days, 24) to (7, 24), in roots; NaN where never seen."""
    weeks = min(FIT_WEEKS, len(ordinary) // WEEK)
    past = ordinary[len(ordinary) - weeks * WEEK :].reshape(weeks, WEEK, HOURS)
    past = past[int(np.isfinite(past).any((1, 2)).argmax()) :]
    known = np.isfinite(past)
    ahead = np.full((WEEK, HOURS), np.nan)
    if not known.any():
        return ahead
    # Weekdays and hours that are always closed are left out.
    weekdays, hours = known.any((0, 2)), known.any((0, 1))
    past = _drawn_in(past[:, weekdays][:, :, hours])
    season = _season(_filled(past))
    level = _level((past - season).reshape(-1, past.shape[2]))
    ahead[np.ix_(weekdays, hours)] = season[-1] + level
    return np.where(known.any(0), ahead, np.nan)


def _drawn_in(past: Reals) -> Reals:
    """What lies absurdly far from the same hour of other weeks, (weeks, days, hours), drawn in."""
    with np.errstate(invalid="ignore"):
        usual = _median(past)
        deviation = max(1.4826 * float(np.nanmedian(np.abs(past - usual))), 0.5)
        return np.clip(past, usual - FAR * deviation, usual + FAR * deviation)


def _filled(past: Reals) -> Reals:
    """No gaps, (weeks, days, hours): each is the mean of the four weeks before it.

    In the first week, of the same hour on its other days.
    """
    filled = past.copy()
    first = _mean(past[0])
    first = np.where(np.isfinite(first), first, np.nanmean(past[0]))
    filled[0] = np.where(np.isfinite(past[0]), past[0], first)
    for week in range(1, len(past)):
        usual = filled[max(0, week - FILLED_FROM) : week].mean(0)
        filled[week] = np.where(np.isfinite(past[week]), past[week], usual)
    return filled


def _season(filled: Reals) -> Reals:
    """What the day and the week add, (weeks, days, hours)."""
    weeks, days, hours = filled.shape
    if weeks < READY_WEEKS or hours == 1:
        return np.broadcast_to(filled.mean(0) - filled.mean(), filled.shape)
    # What is smooth is estimated at every so manieth place, with lines between.
    jumps = {"seasonal_jump": 4, "trend_jump": hours, "low_pass_jump": hours}
    from statsmodels.tsa.seasonal import MSTL

    periods, windows = [hours, hours * days], [SEASON_CYCLES] * 2
    if days == 1:
        periods, windows = periods[:1], windows[:1]
    model = MSTL(
        filled.ravel(), periods=periods, windows=windows, stl_kwargs={"seasonal_deg": 0, **jumps}
    )
    seasons = np.asarray(model.fit().seasonal, np.float64).reshape(weeks, days, hours, -1)
    return np.asarray(seasons.sum(-1))


def _level(rest: Reals) -> float:
    """The median of days without their season, (days, hours), the later ones counting more."""
    known = np.isfinite(rest)
    seen = known.any(1)
    days = _mean(rest[seen].T)
    weights = (known.mean(1) * LEVEL_KEPT ** np.arange(len(rest))[::-1])[seen]
    order = np.argsort(days)
    passed = np.cumsum(weights[order])
    return float(days[order][np.searchsorted(passed, passed[-1] / 2)])


def _mean(values: Reals) -> Reals:
    """Along the first axis, of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    mean: Reals = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def _median(values: Reals) -> Reals:
    """Along the first axis, of what is known; NaN where nothing is."""
    ordered = np.sort(values, 0)  # NaN come last
    count = np.isfinite(values).sum(0)
    middle = [np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)]
    return np.asarray(np.take_along_axis(ordered, np.stack(middle), 0).mean(0))
