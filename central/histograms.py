"""Quantiles of durations that are known by bin, and of some only that they were longer."""

from collections.abc import Mapping, Sequence
from itertools import pairwise


def quantile(
    share: float, edges: Sequence[float], ended: Mapping[int, float], censored: Mapping[int, float]
) -> float | None:
    """The time that `share` do not outlast, interpolated in its bin; None where it is not known.

    edges: lower edges of the bins; the last has no upper edge, and stands for itself.
    ended: by bin, how many lasted so long. censored: how many were seen so long and no longer.

    By the life table (Cutler and Ederer, 1958): who is censored in a bin is at risk for half of it.

    >>> quantile(0.5, (0, 10, 20), {0: 1, 1: 2}, {})
    12.5
    >>> quantile(0.5, (0, 10, 20), {0: 1}, {2: 9}) is None
    True
    """
    at_risk = sum(ended.values()) + sum(censored.values())
    lasting = 1.0
    for place, (low, high) in enumerate(pairwise((*edges, edges[-1]))):
        here, unknown = ended.get(place, 0.0), censored.get(place, 0.0)
        if here:
            beyond = lasting * (1 - here / (at_risk - unknown / 2))
            if beyond <= 1 - share + 1e-12:
                return low + (high - low) * (lasting - (1 - share)) / (lasting - beyond)
            lasting = beyond
        at_risk -= here + unknown
    return None
