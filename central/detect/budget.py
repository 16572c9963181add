"""One score and its budget: p-values to episodes, so many false ones a store and week.

A budget is stated in *episodes*, what people are told of, and holds on ordinary days. The way
there: p-values of several kernels are combined into one; each series' p is calibrated on its own
past; and the limit at or below which a tick alarms is the one that would have spent the budget in
the past weeks of all stores together (rolling conformal calibration: Vovk, Gammerman & Shafer 2005;
Angelopoulos et al. 2024, Conformal risk control). A week is judged by what was known before it.

An episode opens at the limit and is held until `GAP` ordinary ticks in a row. One that is much too
far out for chance is taken for real, at most one a store and week, and is no false one later.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

PUSHED = 0.1
"""False episodes a store and week of which somebody is told at once."""
LISTED = 1.0
"""False episodes a store and week that stand in the list."""
WEEKS = 8
"""Weeks of the past that calibrate."""
GAP = 3
"""Ordinary ticks in a row that end an episode."""
ORDINARY = 0.05
"""The p above which a tick is ordinary, and the largest limit that there can be."""
FAR = 20.0
"""An episode whose p is so many times below the limit is taken for real; of those by chance, one in
twenty is."""
AIM = 0.75
"""The share of a budget that is aimed at: the middle of half and all of it."""
FEWEST = 5
"""Past peaks a limit rests on; for fewer, p is taken at its word beyond them."""
SETTLED = 2.0
"""Store-weeks of past below which a limit is taken from the budget alone."""
ENOUGH = 200
"""Past values of a series below which its p stays what the kernels say."""
TAIL = 0.05
"""The share of past values to which the tail is fitted."""
HEAVIEST = 0.5
"""The largest shape of a tail."""
UNLIKELY = 1e-4
"""A calibrated p at or below which a tick teaches nothing of the tail: it may be real."""
MOST = 0.05
"""The share of past ticks that may be unlikely; where more are, the series is not as the kernels
think, and the rest of them teaches."""
LEAST = 1e-300


def combine(p: Reals) -> Reals:
    """One p of several that depend on one another: their harmonic mean.

    p: (kernels, …), NaN where a kernel says nothing. Returns (…), NaN where none does. The mean is
    at least the least p, at most that times their number, and p near 1 cancel nothing (Wilson 2019,
    PNAS 116); what it lacks to a valid p is left to `calibrate`.
    """
    says = ~np.isnan(p)
    inverse = np.where(says, 1.0 / np.clip(p, LEAST, 1.0), 0.0)
    total = inverse.sum(axis=0)
    return np.where(total > 0.0, says.sum(axis=0) / np.where(total > 0.0, total, 1.0), np.nan)


@dataclass(frozen=True)
class Tail:
    """What a series' own past says of its p: `surprise` is -log p.

    past: (n,) surprises, ascending. level: where the generalised Pareto tail begins; share: how
    likely a surprise is to reach it; scale, shape: of the tail.
    """

    past: Reals
    level: float
    share: float
    scale: float
    shape: float


def fit_tail(p: Reals) -> Tail | None:
    """The past of a series, (n,), NaN left out; None where there are fewer than `ENOUGH`.

    The tail is fitted by probability-weighted moments (Hosking & Wallis 1987, Technometrics 29),
    its shape kept between 0 and `HEAVIEST`. It never falls faster than the kernels' own p.
    """
    past = np.sort(-np.log(np.clip(p[~np.isnan(p)], LEAST, 1.0)))
    if past.size < ENOUGH:
        return None
    count = max(10, round(TAIL * past.size))
    excess = past[-count:] - past[-count]
    mean = float(excess.mean())
    weighted = float(np.mean(excess * (1.0 - (np.arange(1, count + 1) - 0.35) / count)))
    apart = mean - 2.0 * weighted
    shape = min(max(2.0 - mean / apart, 0.0), HEAVIEST) if apart > 0.0 else 0.0
    reached = past.size - int(np.searchsorted(past, past[-count]))
    return Tail(
        past,
        float(past[-count]),
        (reached + 1) / (past.size + 1),
        max(1.0, mean * (1.0 - shape)),
        shape,
    )


def by_tail(tail: Tail, p: Reals) -> Reals:
    """How likely a p as small is, by the series' own past; (n,), NaN stays.

    Within the past, the rank (a conformal p-value); beyond the level, the tail.
    """
    surprise = -np.log(np.clip(p, LEAST, 1.0))
    n = tail.past.size
    rank = (1.0 + n - np.searchsorted(tail.past, surprise)) / (n + 1.0)
    beyond = np.maximum(surprise - tail.level, 0.0) / tail.scale
    if tail.shape > 0.0:
        left = (1.0 + tail.shape * beyond) ** (-1.0 / tail.shape)
    else:
        left = np.exp(-beyond)
    ours = np.where(surprise >= tail.level, tail.share * left, rank)
    return np.where(np.isnan(p), np.nan, np.maximum(ours, LEAST))


def calibrate(p: Reals, week: Integers, real: Booleans | None = None, weeks: int = WEEKS) -> Reals:
    """Each series' p by its own past weeks; (ticks, series) as p.

    p: (ticks, series), NaN where not scored. week: (ticks,), ascending. real: (ticks, series),
    what is known to be real and teaches nothing. Ticks of a week are judged by earlier weeks alone.

    Raises ValueError where week is not ascending.
    """
    ours, judged = p.copy(), np.full(p.shape, np.nan)
    taught = p if real is None else np.where(real, np.nan, p)
    for start, stop, since in _weeks(week, weeks):
        for i in range(p.shape[1]):
            tail = fit_tail(taught[since:start, i][~_unlikely(judged[since:start, i])])
            if tail is not None:
                ours[start:stop, i] = by_tail(tail, p[start:stop, i])
                judged[start:stop, i] = by_tail(tail, taught[start:stop, i])
    return ours


def _unlikely(p: Reals) -> Booleans:
    most = int(MOST * np.count_nonzero(~np.isnan(p)))
    if most == 0:
        return np.zeros(p.size, np.bool_)
    return p <= min(UNLIKELY, float(np.partition(p, most - 1)[most - 1]))


def _weeks(week: Integers, weeks: int) -> list[tuple[int, int, int]]:
    """Of each week that has ticks: first tick, tick after the last, first tick of the past."""
    if np.any(np.diff(week) < 0):
        raise ValueError("weeks must ascend")
    numbers, starts = np.unique(week, return_index=True)
    stops = np.append(starts[1:], week.size)
    since = np.searchsorted(week, numbers - weeks)
    return [(int(a), int(b), int(c)) for a, b, c in zip(starts, stops, since, strict=True)]


@njit(cache=True)
def peaks(p: Reals, gap: int) -> Integers:
    """Ticks at which p is the least of all less than `gap` scored ticks away, the first of equals.

    p: (ticks,), NaN where not scored. Whatever the limit, there are at least as many peaks at or
    below it as episodes, and never more peaks for a smaller limit.
    """
    scored = np.flatnonzero(~np.isnan(p))
    found = np.empty(scored.size, np.int64)
    count = 0
    for place in range(scored.size):
        here = p[scored[place]]
        least = True
        for other in range(max(0, place - gap + 1), min(scored.size, place + gap)):
            there = p[scored[other]]
            if there < here or (there == here and other < place):
                least = False
                break
        if least:
            found[count] = scored[place]
            count += 1
    return found[:count]


@njit(cache=True)
def hold(p: Reals, limit: Reals, gap: int, number: int, calm: int) -> tuple[Integers, int, int]:
    """The episode each tick belongs to, numbered upwards; 0 where it belongs to none.

    p, limit: (ticks,), NaN where not scored. An episode opens at p ≤ limit and ends with `gap`
    ticks in a row above `ORDINARY`; those, and ticks not scored, belong to none. What a tick
    belongs to follows from it and earlier ones. number, calm: of the last episode, and how many
    ordinary ticks came since (`gap` where it is over), to begin with 0 and `gap`; both come back,
    to go on with.
    """
    episode = np.zeros(p.size, np.int64)
    for t in range(p.size):
        if np.isnan(p[t]):
            continue
        if p[t] <= limit[t]:
            if calm >= gap:
                number += 1
            calm = 0
        elif p[t] > ORDINARY:
            calm = min(calm + 1, gap)
        elif calm < gap:
            calm = 0
        if calm == 0:
            episode[t] = number
    return episode, number, calm


def threshold(past: Reals, store_weeks: float, ticks: int, budget: float) -> float:
    """The p at or below which a tick alarms, so that a budget is kept.

    past: (n,) p at the peaks of past weeks, of all stores, without the real ones. store_weeks: how
    much past that is. ticks: of a week. budget: false episodes a store and
    week. Where the budget allows fewer than `FEWEST` of the past peaks, the limit is as much below
    the least of these as it is rarer. No peak taken away from the past ever lowers the limit.

    Raises ValueError where the budget is not above zero.
    """
    if not budget > 0.0:
        raise ValueError("the budget must be above zero")
    if store_weeks < SETTLED:
        return min(ORDINARY, AIM * budget / ticks)
    allowed = AIM * budget * store_weeks
    rank = max(FEWEST, int(allowed))
    if past.size < rank:
        return ORDINARY
    return min(ORDINARY, float(np.partition(past, rank - 1)[rank - 1]) * min(1.0, allowed / rank))


@dataclass(frozen=True)
class Budgeted:
    """What became of p under a budget.

    limit: (ticks,), of all stores. episode: (ticks, stores), its number in its store, or 0.
    real: (ticks, stores), the episodes that were taken for real or known to be.
    promised, achieved: false episodes a store and week, by the budget and in fact, since the past
    was long enough for a limit; achieved is NaN where there was no such week. store_weeks: how many
    it was measured in.
    """

    limit: Reals
    episode: Integers
    real: Booleans
    promised: float
    achieved: float
    store_weeks: float


def spend(
    p: Reals,
    week: Integers,
    budget: float,
    real: Booleans | None = None,
    weeks: int = WEEKS,
    gap: int = GAP,
    ticks: int = 672,
) -> Budgeted:
    """Episodes of all stores under one budget, each week by the weeks before.

    p: (ticks, stores), the least calibrated p of a store's series, NaN where not scored (absent,
    closed, learning). week: (ticks,), ascending. real: (ticks, stores), what is known to be real.
    ticks: in a week. A store's week counts for as much past as its share of the store's most ticks.

    Raises ValueError where week is not ascending or the budget not above zero.
    """
    stores = p.shape[1]
    limit = np.zeros(p.shape[0])
    episode = np.zeros(p.shape, np.int64)
    truth = np.zeros(p.shape, np.bool_) if real is None else real.copy()
    state = [(0, gap)] * stores
    counts: list[Reals] = []
    false: list[tuple[int, Reals]] = []
    spent, measured = 0, 0.0
    for start, stop, _ in _weeks(week, weeks):
        now = int(week[start])
        full = np.max(counts, axis=0, initial=0.0) if counts else np.zeros(stores)
        full = np.maximum(full, 1e-9)
        recent = [number for number, (then, _) in enumerate(false) if then >= now - weeks]
        exposure = sum(float((counts[number] / full).sum()) for number in recent)
        past = np.concatenate([false[number][1] for number in recent] or [np.zeros(0)])
        limit[start:stop] = threshold(past, exposure, ticks, budget)
        here = [np.zeros(0)]
        for store in range(stores):
            column = p[start:stop, store]
            numbers, *after = hold(column, limit[start:stop], gap, *state[store])
            state[store] = (after[0], after[1])
            episode[start:stop, store] = numbers
            truth[start:stop, store] = _real(
                column, numbers, truth[start:stop, store], limit[start] / FAR
            )
            tops = peaks(column, gap)
            here.append(_once(column, numbers, tops[~truth[start:stop, store][tops]]))
        counts.append((~np.isnan(p[start:stop])).sum(axis=0).astype(np.float64))
        least = np.concatenate(here)
        false.append((now, least))
        if exposure >= SETTLED:
            spent += int((least <= limit[start]).sum())
            measured += float((counts[-1] / np.maximum(full, counts[-1])).sum()) if stores else 0.0
    achieved = spent / measured if measured else np.nan
    return Budgeted(limit, episode, truth, budget, achieved, measured)


def _real(p: Reals, episode: Integers, known: Booleans, limit: float) -> Booleans:
    """What is real: what is known to be, whole episodes of that, and the episode that lies farthest
    out of the others, if it reaches the limit."""
    real: Booleans = known | np.isin(episode, np.unique(episode[known & (episode > 0)]))
    others = np.where((episode > 0) & ~real, p, np.inf)
    if others.size and others.min() <= limit:
        real |= episode == episode[int(np.argmin(others))]
    return real


def _once(p: Reals, episode: Integers, tops: Integers) -> Reals:
    """p at peaks, of each episode the least alone."""
    outside = p[tops[episode[tops] == 0]]
    inside = tops[episode[tops] > 0]
    least = [p[inside[episode[inside] == number]].min() for number in np.unique(episode[inside])]
    return np.concatenate([outside, np.array(least, np.float64)])
