"""Each day: which stores were unlike the others, and in which metric.

What a store did is told by logarithms of ratios: its day by its own usual, so that a store that is
always different is not named every day. What all stores did alike (the weather, a sale) is taken
out, and what remains is measured in the store's own spread from day to day. ECOD (Li et al., 2022,
IEEE TKDE) and Isolation Forest (Liu, Ting and Zhou, 2008, ICDM), both from PyOD, put the stores in
an order; a store is named where it is also further from the others than chance would have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

LEAST_STORES = 8
USUAL_WEEKS = 4
SPREAD_DAYS = 28
NAMED_FROM = 5.0
"""Deviations from the others from which on a store is named. Measured on generated stores: an
ordinary day names 0.04 of 10 stores, 0.14 of 40 and 0.3 of 200, whose eight metrics have noise."""
TOLD_FROM = NAMED_FROM / 2
"""Deviations from which on a metric is told of a store that is named."""
LEAST_SPREAD = 0.01
"""What changes by less than so much (1 %) from day to day is taken to change by so much."""
SHRINKAGE = 10.0
"""How many days of its own a store's spread needs to count for half."""
SEED = 1
TREES = 200

RATIOS: dict[str, tuple[str, str]] = {
    "conversion": ("orders", "footfall"),
    "sales_per_visitor": ("revenue", "footfall"),
    "transaction_value": ("revenue", "orders"),
    "returns_share": ("returns", "orders"),
    "capture": ("footfall", "passing"),
}
"""Metrics that are one sum by another; `passing` are those who enter and those who do not."""
PLAIN = ("footfall", "orders", "dwell_p50")
"""Metrics that are compared with their own usual as they are."""
METRICS = (*PLAIN, *RATIOS)
PRODUCTS = ("orders", "sales_per_visitor")
"""Metrics that are others multiplied: where they move, one of those has moved."""


@dataclass(frozen=True)
class Part:
    """A metric's part in what makes a store unlike the others.

    change: its day by its usual, less 1. peers: the same of the store in the middle. deviations:
    how far it is from that, in the store's own spread. share: of all that makes it unlike, 0 to 1.
    """

    metric: str
    change: float
    peers: float
    deviations: float
    share: float


@dataclass(frozen=True)
class Compared:
    """A store among the others, and the metrics that name it, the furthest first, products last.

    score: 0 for the store in the middle, 1 for each robust deviation from it. A store that is not
    unlike the others has no parts.
    """

    store: str
    score: float
    parts: tuple[Part, ...] = ()


def compare(stores: Sequence[str], sums: Mapping[str, Reals]) -> list[Compared]:
    """The stores of the last day, those named first; none where fewer than eight can be compared.

    sums: by measure (`PLAIN`, and those of `RATIOS`), (days, stores), NaN where absent or closed; a
    measure that no store has may be left out. What is absent at a store says nothing of it.

    Raises ValueError where a measure has not as many columns as there are stores.
    """
    for name, each in sums.items():
        if each.ndim != 2 or each.shape[1] != len(stores):
            raise ValueError(f"{name} {each.shape} is not of {len(stores)} stores")
    if len(stores) < LEAST_STORES or not sums:
        return []
    ratios = log_ratios(sums, len(stores))
    deviations, middle = standardised(ratios)
    known = np.isfinite(deviations)
    enough = max(LEAST_STORES, len(stores) / 2)
    columns = np.flatnonzero(known.sum(0) >= enough)
    rows = np.flatnonzero(known[:, columns].any(1))
    if len(rows) < LEAST_STORES or not len(columns):
        return []
    # The middle is 0: it says nothing, and no store is named by it.
    table = np.where(known, deviations, 0.0)[np.ix_(rows, columns)]
    scores, shares = _outlying(table)
    named = np.abs(table).max(1) >= NAMED_FROM
    found = []
    for i in np.lexsort((-scores, ~named)):
        parts = [
            Part(
                METRICS[column],
                float(np.expm1(ratios[-1, rows[i], column])),
                float(np.expm1(middle[column])),
                float(table[i, j]),
                float(shares[i, j]),
            )
            for j, column in enumerate(columns)
            if named[i] and abs(table[i, j]) >= TOLD_FROM
        ]
        parts.sort(key=lambda part: (part.metric in PRODUCTS, -abs(part.deviations)))
        found.append(Compared(stores[rows[i]], float(scores[i]), tuple(parts)))
    return found


def log_ratios(sums: Mapping[str, Reals], stores: int) -> Reals:
    """Logarithms of each day by its usual, (days, stores, metrics), NaN where either is unknown.

    The usual is the mean of the same weekday in the four weeks before, of two of them at least.
    """
    days = max(len(each) for each in sums.values())
    nothing = np.full((days, stores), np.nan)
    plain = {name: _by_usual(sums[name]) for name in sums}
    columns = [plain.get(name, nothing) for name in PLAIN]
    for over, under in RATIOS.values():
        columns.append(plain.get(over, nothing) - plain.get(under, nothing))
    return np.stack(columns, 2)


def _by_usual(sums: Reals) -> Reals:
    before = np.full((USUAL_WEEKS, *sums.shape), np.nan)
    for week in range(USUAL_WEEKS):
        back = 7 * (week + 1)
        before[week, back:] = sums[: max(0, len(sums) - back)]
    known = np.isfinite(before)
    count = known.sum(0)
    usual = np.where(known, before, 0.0).sum(0) / np.maximum(count, 1)
    # Half a person more, so that a day without anybody has a logarithm.
    ratio = np.log((np.maximum(sums, 0.0) + 0.5) / (np.maximum(usual, 0.0) + 0.5))
    return np.where((count >= 2) & (usual > 0), ratio, np.nan)


def standardised(ratios: Reals) -> tuple[Reals, Reals]:
    """The last day's deviations (stores, metrics) and middle (metrics,).

    ratios: (days, stores, metrics). A deviation is what lies between a store and the store in the
    middle, in the store's own spread of the 28 days before, drawn towards that of all stores.
    """
    middle = _median(np.moveaxis(ratios, 1, 0))
    rest = ratios - middle[:, None]
    past = rest[-1 - SPREAD_DAYS : -1]
    count = np.isfinite(past).sum(0)
    own = _deviation(past) if len(past) else np.full(rest.shape[1:], np.nan)
    own = np.where(count >= 2, own, np.nan)
    count = np.where(count >= 2, count, 0)
    everyone = _median(own)
    everyone = np.where(np.isfinite(everyone), everyone, _deviation(rest[-1]))
    squares = (count * np.where(count > 0, own, 0.0) ** 2 + SHRINKAGE * everyone**2) / (
        count + SHRINKAGE
    )
    return rest[-1] / np.maximum(np.sqrt(squares), LEAST_SPREAD), middle[-1]


def _outlying(table: Reals) -> tuple[Reals, Reals]:
    """Of deviations (stores, metrics): scores (stores,), and what each metric adds to them.

    Those parts (stores, metrics) are ECOD's own tails, and by how much a store's place in the
    forest becomes more ordinary when a metric is put in the middle; each by their sum, then the
    mean of both.
    """
    # Heavy, and of the nightly process alone.
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest

    tails = ECOD()
    tails.fit(table)
    forest = IForest(n_estimators=TREES, random_state=SEED)
    forest.fit(table)
    tail = np.asarray(tails.O, np.float64)
    grown = np.asarray(forest.decision_scores_, np.float64)
    tail_parts = np.maximum(tail - np.median(tail, 0), 0.0)
    forest_parts = np.empty_like(table)
    for column in range(table.shape[1]):
        without = table.copy()
        without[:, column] = 0.0
        forest_parts[:, column] = np.maximum(grown - forest.decision_function(without), 0.0)
    scores = (_robust(tail.sum(1)) + _robust(grown)) / 2
    return scores, (_shares(tail_parts) + _shares(forest_parts)) / 2


def _shares(parts: Reals) -> Reals:
    total = parts.sum(1, keepdims=True)
    even = np.full(parts.shape, 1 / parts.shape[1])
    shares: Reals = np.divide(parts, total, out=even, where=total > 0)
    return shares


def _robust(scores: Reals) -> Reals:
    return np.asarray(
        (scores - np.median(scores)) / max(float(_deviation(scores)), 1e-9), np.float64
    )


def _median(values: Reals) -> Reals:
    """Along the first axis, of what is known; NaN where nothing is."""
    known = np.isfinite(values).any(0)
    return np.asarray(np.nanmedian(np.where(known, values, 0.0), 0)) + np.where(known, 0.0, np.nan)


def _deviation(values: Reals) -> Reals:
    """The robust deviation along the first axis: 1.4826 medians of the distance from the median."""
    return 1.4826 * _median(np.abs(values - _median(values)))
