"""The k-gate's attackers: what somebody who knows a little learns from what is released.

Three of them know when a person was somewhere, and guess two secrets, which zone the person went to
next and (told the zone) in which bin the person's dwell there lies:
- a *till operator* knows the minute of the person's ticket,
- a *colleague* knows the minute in which the person came in,
- an *analyst* knows that too, has two releases, and that the person is in the second alone.
Each knows how people walk this shop in the long run, how many came in, and every released cell, and
guesses what is most probable for somebody who is in the finest cells that cover the moment. The
same guesses about people who were in the shop but whose events were never sent say what is learnt
of the shop; only what goes beyond that is learnt of the person.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from central import durations, walks
from central.guesses import EDGES, Known, Release, Told, bin_guesses, shown, zone_guesses
from central.privacy import IN_STORE, LEVELS, TIMED, TIMED_AGAIN, Cell, Integers, release
from central.verdict import Attacker, Kind, Levels, Report, Secret, Tries, judge
from central.walks import CLOSE, OPEN, TILL, WALK, ZONES, People, Reals, Shop

Booleans = NDArray[np.bool_]
Cells = dict[Kind, list[list[Cell]]]

ATTACKERS: tuple[Attacker, ...] = ("till operator", "colleague", "analyst")
GOALS: dict[Secret, Kind] = {"next zone": "visits", "dwell bin": "dwell"}
"""The secrets, and which rows tell something of them."""
KINDS: tuple[Kind, ...] = ("visits", "dwell")

PEOPLE = 268_000
"""People whose events are sent, about, in each shop: the smaller it is, the more days."""
OUTSIDERS = 3
"""People in the shop whom no release holds, for each one whom a release holds."""
LATE_DAYS = 0.5


@dataclass(frozen=True)
class Gate:
    """What a cell needs, also to be told again, and from how many on its times are told finely.

    limits, again: of tracks, entries and visits whose dwell is known, as for `privacy.release`.
    """

    limits: Mapping[Kind, tuple[int, int, int]]
    again: Mapping[Kind, tuple[int, int, int]]
    fine: int


GATE = Gate(
    {"visits": (IN_STORE, IN_STORE, 0), "dwell": (IN_STORE, IN_STORE, TIMED)},
    {"visits": (IN_STORE, IN_STORE, 0), "dwell": (IN_STORE, IN_STORE, TIMED_AGAIN)},
    durations.FINE,
)
_NONE: Mapping[Kind, tuple[int, int, int]] = {"visits": (0, 0, 0), "dwell": (1, 1, 1)}
UNGATED = Gate(_NONE, _NONE, 1)
"""Every hour is told, finely."""


@dataclass(frozen=True)
class Moments:
    """Known moments of people, and their secrets: hours, zones and bins, (n,) each.

    hour, seen: of the moment, and of the end of the visit that is the secret.
    late: whether the events came after the first release.
    """

    hour: Integers
    seen: Integers
    zone: Integers
    bin: Integers
    late: Booleans


def attack(seed: int, gate: Gate = GATE, shops: Sequence[Shop] = walks.SHOPS) -> Report:
    """Play all attackers on all shops, and judge them together where zones are not alike."""
    tries: list[Tries] = []
    levels = {}
    for number, shop in enumerate(shops):
        rng = np.random.default_rng([seed, number])
        length = round(PEOPLE / shop.entries / 7) * 7
        days, late = walks.draw_days(rng, length), rng.random(length) < LATE_DAYS
        inside = walks.draw_people(rng, shop, days, late)
        outside = [walks.draw_people(rng, shop, days, late) for _ in range(OUTSIDERS)]
        known = _known(walks.draw_people(rng, shop, walks.draw_days(rng, length), late))
        cells, releases = two_releases(inside, length * 24, gate)
        levels[shop.name] = _levels(cells, inside, length * 24, gate.fine)
        tries += _play(rng, shop.name, inside, outside, known, releases)
    rng = np.random.default_rng([seed, len(shops)])
    apart = tuple(shop.name for shop in shops if shop.alike)
    together = [each for each in tries if each.shop not in apart]
    kinds = list(dict.fromkeys((each.attacker, each.secret) for each in together))
    groups = [[each for each in together if (each.attacker, each.secret) == kind] for kind in kinds]
    results = [
        *(judge(rng, each.shop, [each]) for each in tries),
        *(judge(rng, "all", group) for group in groups),
    ]
    return Report(tuple(results), levels, apart)


def two_releases(people: People, hours: int, gate: Gate) -> tuple[Cells, tuple[Release, Release]]:
    """What the gate releases before the late events and after: all its cells, and what is told."""
    keys = np.arange(hours)
    nodes = np.stack([keys, keys // 6, keys // 24, keys // 168], 1)
    cells: Cells = {kind: [[] for _ in ZONES] for kind in KINDS}
    told: dict[Kind, list[dict[int, Told]]] = {kind: [{} for _ in ZONES] for kind in KINDS}
    views = []
    for arrived in (~people.late, np.ones_like(people.late)):
        entries = np.bincount((people.entered[arrived] // 3600).astype(np.int64), minlength=hours)
        for zone in range(len(ZONES)):
            tracks, histogram = _watch(people, arrived, zone, hours)
            counts = np.stack([tracks, entries, histogram.sum(1)], 1)
            for kind in KINDS:
                least, again = np.array(gate.limits[kind]), np.array(gate.again[kind])
                fresh = release(keys, nodes, counts, least, again, cells[kind][zone])
                cells[kind][zone] += fresh
                told[kind][zone] = told[kind][zone] | {
                    hour: each for each in publish(fresh, histogram, gate) for hour in each.hours
                }
        views.append(Release({kind: tuple(each) for kind, each in told.items()}, entries))
    return cells, (views[0], views[1])


def publish(cells: Sequence[Cell], histogram: Integers, gate: Gate) -> list[Told]:
    """Cells as the features tell them; histogram: of dwell by hour, (hours, bins)."""
    cells = [cell for cell in cells if cell.level >= 0]
    sums = np.array([histogram[list(cell.hours)].sum(0) for cell in cells], np.int64)
    sums = sums.reshape(len(cells), histogram.shape[1])
    fine = np.array([cell.fewest >= gate.fine for cell in cells], np.bool_)
    seen = np.where(fine[:, None], shown(sums, fine=True), shown(sums, fine=False))
    return [
        Told(cell.hours, int(row.sum()), bool(to_the_second), each)
        for cell, row, to_the_second, each in zip(cells, sums, fine, seen, strict=True)
    ]


def _watch(people: People, arrived: Booleans, zone: int, hours: int) -> tuple[Integers, Integers]:
    """By hour, tracks first seen in a zone, (hours,), and a histogram of dwell, (hours, bins)."""
    there = (people.zones == zone) & arrived[:, None]
    first = there & (np.cumsum(there, 1) == 1)
    left = np.nan_to_num(people.left // 3600).astype(np.int64)
    tracks = np.bincount(left[first], minlength=hours)[:hours]
    place = left[there] * len(EDGES) + _bins(people.dwell[there])
    histogram = np.bincount(place, minlength=hours * len(EDGES))[: hours * len(EDGES)]
    return tracks, histogram.reshape(hours, len(EDGES))


def _bins(seconds: Reals) -> Integers:
    return np.searchsorted(EDGES, seconds, side="right") - 1


def _known(people: People) -> Known:
    everybody = np.ones(len(people.entered), np.bool_)
    hours = int(np.nanmax(people.left) // 3600) + 1
    histograms = np.stack(
        [_watch(people, everybody, zone, hours)[1].sum(0) for zone in range(len(ZONES))]
    )
    visits = histograms.sum(1)
    starts, ends = moments(people, "colleague"), moments(people, "till operator")
    first, after = (np.bincount(each.zone, minlength=len(ZONES)) for each in (starts, ends))
    return Known(
        visits=visits / len(people.entered),
        dwell=histograms / visits[:, None],
        first=first / first.sum(),
        after=after / after.sum(),
    )


def moments(people: People, attacker: Attacker) -> Moments:
    """What an attacker knows of people, and what is to be guessed; who goes nowhere is left out."""
    if attacker == "till operator":
        stop = np.argmax(people.zones == TILL, 1) + 1
        time = people.ticket
    else:
        stop, time = np.zeros(len(people.entered), np.int64), people.entered + WALK
    rows = np.arange(len(stop))
    stop = np.minimum(stop, people.zones.shape[1] - 1)
    zone = people.zones[rows, stop]
    goes = np.flatnonzero(np.isfinite(time) & (zone >= 0))
    return Moments(
        hour=(time[goes] // 3600).astype(np.int64),
        seen=(people.left[goes, stop[goes]] // 3600).astype(np.int64),
        zone=zone[goes],
        bin=_bins(people.dwell[goes, stop[goes]]),
        late=people.late[goes],
    )


def _play(
    rng: np.random.Generator,
    shop: str,
    inside: People,
    outside: Sequence[People],
    known: Known,
    releases: tuple[Release, Release],
) -> Iterator[Tries]:
    first, last = releases
    hours = len(last.entries)
    likely_bins = bin_guesses(rng, known, None, last), bin_guesses(rng, known, first, last)
    for attacker in ATTACKERS:
        two = first if attacker == "analyst" else None
        shares = known.after if attacker == "till operator" else known.first
        zones = zone_guesses(shares, known, two, last)
        bins = likely_bins[two is not None]
        here, there = moments(inside, attacker), [moments(each, attacker) for each in outside]
        for goal, kind in GOALS.items():
            told = _covered(last.told[kind], hours)
            fresh = _news(first.told[kind], last.told[kind], hours)
            seekable = fresh if two else told
            places: list[Integers] = []
            right: list[Booleans] = []
            for people in (here, *there):
                chosen = seekable[people.zone, people.seen]
                if people is here:
                    late = people.late & fresh[people.zone, people.seen]
                    chosen = late | (chosen & ~people.late & (two is None))
                zone, seen, hour = people.zone[chosen], people.seen[chosen], people.hour[chosen]
                by_zone = kind == "dwell"
                places.append(zone * hours + seen if by_zone else hour)
                guess = bins[zone, seen] if by_zone else zones[hour]
                right.append(guess == (people.bin[chosen] if by_zone else zone))
            theirs = np.concatenate(places[1:]), np.concatenate(right[1:])
            yield Tries(shop, attacker, goal, *_matched((places[0], right[0]), theirs, hours))


def _covered(cells: Sequence[Mapping[int, Told]], hours: int) -> Booleans:
    """Which zones' hours are told, (zones, hours)."""
    return np.array([[hour in each for hour in range(hours)] for each in cells])


def _news(
    first: Sequence[Mapping[int, Told]], last: Sequence[Mapping[int, Told]], hours: int
) -> Booleans:
    """Which of them are told anew in the last release, (zones, hours)."""
    return np.array(
        [
            [after.get(hour) is not before.get(hour) for hour in range(hours)]
            for before, after in zip(first, last, strict=True)
        ]
    )


def _matched(
    mine: tuple[Integers, Booleans], theirs: tuple[Integers, Booleans], hours: int
) -> tuple[Reals, Reals, Reals]:
    """By day: released people, right guesses of them, and what these would have been of others.

    mine, theirs: where each person was (an hour, or a zone's hour), and whether the guess is right.
    Places where no others were are left out.
    """
    size = len(ZONES) * hours
    people, right = (np.bincount(mine[0], mine[1] if n else None, size) for n in range(2))
    others, hit = (np.bincount(theirs[0], theirs[1] if n else None, size) for n in range(2))
    both = others > 0
    share = np.divide(hit, others, out=np.zeros(size), where=both)
    day = np.arange(size) % hours // 24
    by_day: list[Reals] = [
        np.bincount(day, np.where(both, column, 0.0), hours // 24).astype(np.float64)
        for column in (people, right, people * share)
    ]
    return by_day[0], by_day[1], by_day[2]


def _levels(cells: Cells, people: People, hours: int, fine: int) -> Levels:
    everybody = np.ones(len(people.entered), np.bool_)
    opened = (np.arange(hours) % 24 >= OPEN) & (np.arange(hours) % 24 < CLOSE)
    visited = [
        opened & (_watch(people, everybody, zone, hours)[0] > 0) for zone in range(len(ZONES))
    ]
    levels: Levels = {}
    for kind in KINDS:
        found, finely = np.zeros(len(LEVELS) + 1), 0
        for zone, there in enumerate(visited):
            level, fewest = np.full(hours, -1), np.zeros(hours)
            for cell in cells[kind][zone]:
                level[list(cell.hours)], fewest[list(cell.hours)] = cell.level, cell.fewest
            found += np.bincount(level[there] + 1, minlength=len(found))
            finely += int((fewest[there] >= fine).sum())
        shares = [float(share) for share in found / found.sum()]
        levels[kind] = dict(zip(("suppressed", *LEVELS), shares, strict=True))
        if kind == "dwell":
            levels[kind]["finely"] = float(finely / found.sum())
    return levels
