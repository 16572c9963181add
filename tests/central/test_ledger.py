"""The ledger against a plain set of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from central import ledger

ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair)))


def numbers(intervals: ledger.Intervals | list[ledger.Interval]) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


@given(st.lists(ranges), ranges, st.integers(0, 80))
def test_the_ledger_is_a_set_of_numbers(
    added: list[ledger.Interval], asked: ledger.Interval, until: int
) -> None:
    held: ledger.Intervals = ()
    plain: set[int] = set()
    for first, last in added:
        span = set(range(first, last + 1))
        missing = ledger.missing(held, first, last)
        assert numbers(missing) == span - plain
        assert ledger.size(missing) == len(span - plain)
        held = ledger.add(held, first, last)
        plain |= span
        assert numbers(held) == plain
        assert ledger.size(held) == len(plain)
        assert all(first <= last for first, last in held)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(held))
    assert numbers(ledger.missing(held, *asked)) == set(range(asked[0], asked[1] + 1)) - plain
    assert numbers(ledger.gaps(held, until)) == set(range(until)) - plain


@given(st.lists(ranges))
def test_the_order_does_not_matter(added: list[ledger.Interval]) -> None:
    forwards: ledger.Intervals = ()
    backwards, twice = forwards, forwards
    for first, last in added:
        forwards = ledger.add(forwards, first, last)
    for first, last in reversed(added):
        backwards = ledger.add(backwards, first, last)
    for first, last in [*added, *sorted(added)]:
        twice = ledger.add(twice, first, last)
    assert forwards == backwards == twice


def test_huge_numbers_take_no_room() -> None:
    held = ledger.add(ledger.add((), 0, 2**53 - 1), 2**60, 2**60)
    assert held == ((0, 2**53 - 1), (2**60, 2**60))
    assert ledger.gaps(held, 2**61) == [(2**53, 2**60 - 1), (2**60 + 1, 2**61 - 1)]
