"""What is known of one metric of one place after a window."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sum:
    """Observed and expected of a metric over some windows, and the expectation's variance."""

    observed: float
    expected: float
    variance: float


@dataclass(frozen=True)
class Reading:
    """One metric of one place: the last open windows, and what the newest is worth.

    window, value, expected, variance, usual: (n,) newest first, as `Recent` has them.
    p_low, p_high: of the scan. span: how many windows the lesser of them covers.
    silence: the p of so many zeros in a row.
    learning: whether it has not seen three weeks; pooled: whether it is compared with its sisters.
    """

    window: NDArray[np.int64]
    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    usual: NDArray[np.float64]
    p_low: float = 1.0
    p_high: float = 1.0
    span: int = 0
    silence: float = 1.0
    learning: bool = False
    pooled: bool = False

    @property
    def known(self) -> bool:
        """Whether the newest window was seen and something was expected of it."""
        return bool(np.isfinite(self.value[0]) and np.isfinite(self.expected[0]))

    @property
    def since(self) -> int:
        """The window in which the scan's span begins: the first known one of it."""
        first = int(self.window[0]) - max(self.span, 1) + 1
        return int(self.window[np.isfinite(self.value) & (self.window >= first)].min(initial=first))

    @property
    def silent_since(self) -> int:
        """The window in which the zeros up to the newest window began; the one after it if none."""
        known = np.isfinite(self.value)
        counted = np.flatnonzero(known & (self.value != 0))
        zeros = known & (np.arange(known.size) < (counted[0] if counted.size else known.size))
        return int(self.window[zeros].min(initial=int(self.window[0]) + 1))

    @property
    def heard(self) -> NDArray[np.bool_]:
        """Where both value and expectation are known, (n,)."""
        return np.isfinite(self.value) & np.isfinite(self.expected)

    def sum(self, since: int, beside: "Reading | None" = None) -> Sum | None:
        """From a window on, where it is known, and the one beside it too; None where that is never.

        The variance is that of a sum of independent windows.
        """
        here = (self.window >= since) & self.heard
        if beside is not None:
            here &= np.isin(self.window, beside.window[beside.heard])
        if not here.any():
            return None
        return Sum(
            float(self.value[here].sum()),
            float(self.expected[here].sum()),
            float(self.variance[here].sum()),
        )

    def share_of_usual(self, since: int, beside: "Reading | None" = None) -> float:
        """What was expected, given what is known, over what was usual."""
        here = (self.window >= since) & np.isfinite(self.expected) & (self.usual > 0)
        if beside is not None:
            here &= np.isin(self.window, beside.window[beside.heard])
        usual = float(self.usual[here].sum())
        return float(self.expected[here].sum()) / usual if usual > 0 else 1.0
