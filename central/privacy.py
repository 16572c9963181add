"""The k-gate: which sums over people may leave, and how fine.

Hours hang in a fixed tree, hour ⊂ day-part ⊂ day ⊂ week. An hour is told by itself where enough
people were there; hours with too few are told together with the others of their day-part that have
too few, and so on up to the week; what is still too few then is suppressed. A coarser cell thus
holds only the hours that no finer cell holds: released cells share no hour, so that whatever is
added or subtracted among them is again a union of cells, and never a smaller group. That is the
complementary suppression, by construction rather than by search.

A released cell is frozen. It is told anew, as a further snapshot, only once at least k people (or
more, if it is large: `again`) have come to it since each snapshot before, so that the difference of
two snapshots is no small group either. Hours of people that come late to no cell wait until they
are enough.

Who counts is given as several limits an hour (tracks, entries, people whose wait is known, …): each
must reach its k, in a cell and in a correction. Sources: Sweeney, k-anonymity (2002), for k;
Hundepool et al., Statistical Disclosure Control (2012), chapter 4, for tables and differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LEVELS = ("hour", "day_part", "day", "week")
IN_STORE = 10
"""People that a cell of the store must have."""
TIMED = 30
"""People whose time is known that a cell must have in which times are told: with fewer, a quantile
says too much of each (`passerby-central privacy attack`)."""
TIMED_AGAIN = 100
"""And by how many of them a cell must have changed to be told anew, once it has had as many: who
subtracts two snapshots is told of these alone, and would be told finely."""
JOINED = 50
"""Web users, and also entries, that a cell must have where store and web are joined."""


@dataclass(frozen=True)
class Cell:
    """Hours that are told together; `level` counts in LEVELS, and -1 means suppressed.

    counts: of each limit, how many there were when this snapshot was told.
    fewest: the least of these, and of their differences from each earlier snapshot: by subtraction
    somebody is told of so few. 0 where a cell was read again.
    """

    level: int
    hours: tuple[int, ...]
    counts: tuple[int, ...]
    snapshot: int = 1
    fewest: int = field(default=0, compare=False)


def finest(nodes: Integers, counts: Integers, k: Integers) -> Integers:
    """The finest level at which each hour may be told, (n,); -1 where at none.

    nodes: what holds the hour at each level, finest first, (n, levels); two levels may share names.
    counts: of each limit, (n, limits), of which k, (limits,), are needed.
    Hours with the same level and node are one cell.
    """
    level = np.full(len(nodes), -1)
    for depth in range(nodes.shape[1]):
        rest = np.flatnonzero(level < 0)
        names, of = np.unique(nodes[rest, depth], return_inverse=True)
        sums = np.zeros((len(names), counts.shape[1]), np.int64)
        np.add.at(sums, of, counts[rest])
        enough: NDArray[np.bool_] = np.all(sums >= k, axis=1)
        level[rest[enough[of]]] = depth
    return level


def corrects(counts: Integers, earlier: Integers, k: Integers, again: Integers) -> bool:
    """Whether a cell with these counts, (limits,), may be told anew.

    It still has k, and each limit differs from each earlier snapshot, (n, limits), by k or more, or
    by `again`, (limits,), or more if ever it was as many, all in one direction.
    """
    more = counts - earlier
    need = np.where(earlier.max(0) >= again, again, k)
    far = (more >= need).all(1) | (-more >= need).all(1)
    return bool((counts >= k).all() and far.all())


def release(
    hours: Integers,
    nodes: Integers,
    counts: Integers,
    k: Integers,
    again: Integers,
    earlier: Sequence[Cell],
) -> list[Cell]:
    """What may be told now beyond what was told before: corrections, then new cells, in order.

    hours: keys, (n,), each once. nodes, counts and k are as in `finest`; with all of LEVELS, hours
    that pass at none are suppressed, with fewer they wait for the levels that are not over yet.
    again: how many of each limit, (limits,), make a cell large, so that it must change by as many
    for a correction, as smaller ones by k; no less than k.
    earlier: all cells told so far of the same subject in the same weeks.
    """
    row = {int(hour): index for index, hour in enumerate(hours)}
    told: dict[tuple[int, ...], list[Cell]] = {}
    for cell in earlier:
        if cell.level >= 0:
            told.setdefault(cell.hours, []).append(cell)
    found = []
    for held, snapshots in told.items():
        now = counts[[row[hour] for hour in held if hour in row]].sum(0)
        before = np.array([cell.counts for cell in snapshots])
        if corrects(now, before, k, again):
            last = max(cell.snapshot for cell in snapshots)
            fewest = min(int(now.min()), int(np.abs(now - before).min()))
            found.append(Cell(snapshots[0].level, held, _whole(now), last + 1, fewest))
    silent = {hour for cell in earlier if cell.level < 0 for hour in cell.hours}
    covered = {hour for held in told for hour in held}
    free = np.array([index for hour, index in sorted(row.items()) if hour not in covered], np.int64)
    level = finest(nodes[free], counts[free], k)
    groups: dict[tuple[int, int], list[int]] = {}
    for index, depth in zip(free.tolist(), level.tolist(), strict=True):
        if depth >= 0:
            groups.setdefault((depth, int(nodes[index, depth])), []).append(index)
        elif nodes.shape[1] == len(LEVELS) and int(hours[index]) not in silent:
            groups.setdefault((-1, int(nodes[index, -1])), []).append(index)
    for (depth, _), group in groups.items():
        sums = _whole(counts[group].sum(0))
        found.append(Cell(depth, tuple(int(hour) for hour in hours[group]), sums, fewest=min(sums)))
    return sorted(found, key=lambda cell: (cell.hours, cell.level, cell.snapshot))


def _whole(counts: Integers) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
