"""What central holds of an epoch: closed intervals of sequence numbers, sorted and apart.

Pure functions over `Intervals`; `store` keeps one row of them an epoch, for ever.
"""

from bisect import bisect_left

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]


def missing(held: Intervals, first: int, last: int) -> list[Interval]:
    """The parts of [first, last] that are not held, in order.

    >>> missing(((0, 4), (7, 9)), 3, 12)
    [(5, 6), (10, 12)]
    """
    holes = []
    for start, stop in held[_index(held, first) :]:
        if start > last:
            break
        if first < start:
            holes.append((first, start - 1))
        first = stop + 1
    if first <= last:
        holes.append((first, last))
    return holes


def add(held: Intervals, first: int, last: int) -> Intervals:
    """`held` with [first, last] in it; neighbours are merged.

    >>> add(((0, 4), (7, 9)), 5, 6)
    ((0, 9),)
    """
    begin = _index(held, first - 1)
    end = begin
    while end < len(held) and held[end][0] <= last + 1:
        first = min(first, held[end][0])
        last = max(last, held[end][1])
        end += 1
    return (*held[:begin], (first, last), *held[end:])


def gaps(held: Intervals, until: int) -> list[Interval]:
    """What is not held of the numbers below `until`.

    >>> gaps(((2, 4),), 7)
    [(0, 1), (5, 6)]
    """
    return missing(held, 0, until - 1)


def size(intervals: Intervals | list[Interval]) -> int:
    """How many numbers the intervals hold."""
    return sum(last - first + 1 for first, last in intervals)


def _index(held: Intervals, first: int) -> int:
    return bisect_left(held, first, key=lambda interval: interval[1])
