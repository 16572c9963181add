"""Other detectors on people-flow: to be run in the environment of the peers.

    .venv-peers/bin/python -m tests.bench.people_flow_peer ROWS.npz SCORES.npz

ROWS has `counts`, (rows, channels) a row every half hour, and `slot`, (rows,) the half hour of the
week. SCORES gets (rows,) by peer, higher being odder. Each is told of the weekly rhythm: it sees,
besides the counts' square roots, how far those are from the mean of their slot in earlier weeks.

* river's HalfSpaceTrees learns row by row, with its defaults, features scaled as they come.
* PyOD's IForest is fitted anew each day to all days before, with its defaults.
* STL (statsmodels, its defaults, a season of a week) is fitted anew each day to all rows up to the
  end of that day; the score is the residual in robust standard deviations, the larger of the
  channels'.
* STL once more, fitted once to all rows: it knows what is still to come, as no monitor can.
"""

import sys
from typing import Any

import numpy as np
from pyod.models.iforest import IForest
from river import anomaly, compose, preprocessing
from statsmodels.tsa.seasonal import STL

DAY, WEEK = 48, 336


def features(counts: Any, slot: Any) -> Any:
    """Square roots, and those less the mean of earlier weeks: (rows, 2 × channels)."""
    root = np.sqrt(counts)
    total, seen = np.zeros((WEEK, counts.shape[1])), np.zeros(WEEK)
    apart = np.zeros_like(root)
    for row, place in enumerate(slot):
        if seen[place]:
            apart[row] = root[row] - total[place] / seen[place]
        total[place] += root[row]
        seen[place] += 1
    return np.hstack([root, apart])


def half_space_trees(rows: Any) -> Any:
    """A score for each row, from those before."""
    model = compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=1))
    scores = []
    for row in rows:
        named = {str(i): float(value) for i, value in enumerate(row)}
        scores.append(model.score_one(named))
        model.learn_one(named)
    return np.array(scores)


def isolation_forest(rows: Any) -> Any:
    """A score for each row, from the days before."""
    scores = np.zeros(len(rows))
    for start in range(WEEK, len(rows), DAY):
        model = IForest(random_state=1)
        model.fit(rows[:start])
        scores[start : start + DAY] = model.decision_function(rows[start : start + DAY])
    return scores


def stl(counts: Any, step: int) -> Any:
    """A score for each row, from those up to the end of the `step` rows that it lies in."""
    scores = np.zeros(len(counts))
    for start in range(0, len(counts), step):
        if start + step < 3 * WEEK:
            continue
        for channel in counts.T:
            residual = STL(channel[: start + step], period=WEEK).fit().resid
            spread = 1.4826 * np.median(np.abs(residual - np.median(residual)))
            part = residual[start : start + step] / (spread + 0.1)
            scores[start : start + step] = np.maximum(scores[start : start + step], part)
    return scores


def main() -> None:
    """Score, and write."""
    given = np.load(sys.argv[1])
    counts, slot = given["counts"], given["slot"]
    rows = features(counts, slot)
    scores: dict[str, Any] = {
        "river HalfSpaceTrees": half_space_trees(rows),
        "PyOD IForest": isolation_forest(rows),
        "STL residual": stl(counts, DAY),
        "STL residual, hindsight": stl(counts, len(counts)),
    }
    np.savez(sys.argv[2], **scores)


if __name__ == "__main__":
    main()
