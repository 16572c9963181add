"""What each series should show at a slot of the week, and what a value teaches it.

Like all kernels of every tick: float32, loops without branches over contiguous rows, which a
compiler turns into vector instructions. `first` is the first series of a block.
"""

import numpy as np
from numba import njit

from central.detect.state import DAYS, WIDTHS, Family, Real, State

_f = np.float32
_ZERO, _HALF, _TINY, _NAN = _f(0), _f(0.5), _f(1e-30), _f(np.nan)
FULL, KEEP = _f(7), _f(7 / 8)
"""A slot gathers eight weeks of exposure; then it keeps so much of them from week to week."""
LEARNED = _f(2.5)
"""Evidence of three weeks, in exposures; before it a value far below may restart a slot."""
NEIGHBOUR = 0.5
"""Weight of the slots beside, halved again two slots away, before they are found to differ."""
OTHER_DAY = 0.25
"""Weight of the same time on another day, before it is found to differ."""
ALIKE = _f(4)
"""Squared standard errors of difference at which another slot counts for a quarter."""
LEAST_MEAN = _f(0.05)
"""The least mean, in units of dispersion, that a tail is taken of: weeks of zeros prove no zero."""


@njit(cache=True, error_model="numpy", nogil=True)
def measure_dispersion(state: State, family: Family, slot: int, first: int, phi: Real) -> None:
    """Write the dispersion of sums over 1, 4 and 16 ticks; phi: (3, block).

    The level, of which a gauge's least is a part, is the lesser of this slot's and of the same
    time's a day later, so that one wild value raises none.
    """
    series = phi.shape[1]
    slots = state.rate.shape[0]
    level = state.rate[slot, first : first + series]
    other = state.rate[(slot + slots // DAYS) % slots, first : first + series]
    for width in range(len(WIDTHS)):
        squares = state.squares[width, first : first + series]
        units = state.units[width, first : first + series]
        row = phi[width]
        for i in range(series):
            lesser = min(abs(level[i]), abs(other[i]))
            least = family.least + family.relative * lesser * lesser
            row[i] = max(least, squares[i] / max(units[i], _TINY))


@njit(cache=True, error_model="numpy", nogil=True)
def alike(
    family: Family,
    phi: np.float32,
    own: np.float32,
    own_mass: np.float32,
    other: np.float32,
    mass: np.float32,
) -> np.float32:
    """How much another slot's rate is like one's own: 1 at the same, less by standard errors."""
    level = _HALF * (other + own)
    unit = family.constant + level * (family.linear - family.quadratic * level)
    apart = other - own
    near = ALIKE * phi * (unit + LEAST_MEAN) * max(own_mass + mass, _TINY)
    return near / (near + apart * apart * own_mass * mass)


@njit(cache=True, error_model="numpy", nogil=True)
def smooth(
    state: State, family: Family, slot: int, first: int, phi: Real, rate: Real, weight: Real
) -> None:
    """Write each series' rate at a slot, and the exposure that it rests on; all (block,).

    The slot's own rate, smoothed with the two slots on either side and pooled with the same
    time on the other days. Each of those weighs less the more standard errors it lies away
    (a bilateral filter, Tomasi & Manduchi 1998), so that an opening hour stays an edge. A slot
    that has seen nothing of its own takes the others as they are; `weight` is 0, and `rate`
    NaN, where this time was seen on no day.
    """
    series = weight.size
    slots = state.rate.shape[0]
    day = slots // DAYS
    own = state.rate[slot, first : first + series]
    own_mass = state.mass[slot, first : first + series]
    evidence = np.empty(series, _f)
    for i in range(series):
        evidence[i] = weight[i] = own_mass[i]
        rate[i] = own_mass[i] * own[i]
    # Two at once: half the way to the cache and back.
    for other in range(1, DAYS + 4, 2):
        if other < DAYS:
            one, two = (slot + other * day) % slots, (slot + (other + 1) * day) % slots
            share, share_two = _f(OTHER_DAY), _f(OTHER_DAY)
        elif other == DAYS:
            one, two = (slot - 2) % slots, (slot - 1) % slots
            share, share_two = _f(NEIGHBOUR / 2), _f(NEIGHBOUR)
        else:
            one, two = (slot + 1) % slots, (slot + 2) % slots
            share, share_two = _f(NEIGHBOUR), _f(NEIGHBOUR / 2)
        rate_one = state.rate[one, first : first + series]
        mass_one = state.mass[one, first : first + series]
        rate_two = state.rate[two, first : first + series]
        mass_two = state.mass[two, first : first + series]
        for i in range(series):
            likeness = alike(family, phi[i], own[i], own_mass[i], rate_one[i], mass_one[i])
            pooled = share * mass_one[i] * likeness * likeness
            likeness = alike(family, phi[i], own[i], own_mass[i], rate_two[i], mass_two[i])
            pooled_two = share_two * mass_two[i] * likeness * likeness
            weight[i] = weight[i] + pooled + pooled_two
            rate[i] = rate[i] + pooled * rate_one[i] + pooled_two * rate_two[i]
        if other < DAYS:
            for i in range(series):
                evidence[i] += mass_one[i] + mass_two[i]
    for i in range(series):
        weight[i] = weight[i] if evidence[i] > _ZERO else _ZERO
        rate[i] = rate[i] / weight[i] if weight[i] > _ZERO else _NAN


@njit(cache=True, error_model="numpy", nogil=True)
def teach(
    rate: Real,
    mass: Real,
    family: Family,
    value: Real,
    exposure: Real,
    expected: Real,
    width: Real,
    heard: Real,
) -> None:
    """Let values teach the rate of their slot (block,), clipped to what was to be expected.

    A slot's first value is taken as it is. So that one wild first value cannot last, a slot that
    has not yet learned starts again from a value far below what it expects; a gauge also from one
    far above. width: how far is far.
    """
    for i in range(rate.size):
        # One more above: a rare single count must be able to teach a slot that expects none.
        upper = expected[i] + width[i] + family.linear
        taught = min(max(value[i], expected[i] - width[i]), upper)
        gap = expected[i] - value[i]
        gap = gap if family.linear > _ZERO else abs(gap)
        afresh = (mass[i] <= LEARNED * exposure[i]) & (gap > width[i])
        afresh = afresh | (mass[i] == _ZERO)
        total = max(KEEP * mass[i], min(mass[i], FULL * exposure[i])) + exposure[i]
        moved = rate[i] + (taught - rate[i] * exposure[i]) / total
        moved = value[i] / exposure[i] if afresh else moved
        total = exposure[i] if afresh else total
        rate[i] = moved if heard[i] > _ZERO else rate[i]
        mass[i] = total if heard[i] > _ZERO else mass[i]
