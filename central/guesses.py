"""What somebody guesses of a person from what is released: the next zone, and the dwell there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from central import durations
from central.metrics import DWELL_EDGES
from central.privacy import Integers
from central.verdict import Kind
from central.walks import ZONES, Reals

EDGES = np.array(DWELL_EDGES, np.float64)
ENGAGED_BIN = 4
"""Visits in this bin of a dwell histogram and beyond count as engaged in the generated shops."""
IMAGINED, ALIKE = 1000, 30
"""Cells that an attacker imagines, and those of them most like the released one."""
SURE = 100.0
"""How sure an attacker is that a cell is like the long run: as after so many people."""
SMALL = np.array([0.05, 0.2, 0.2])
"""What is a small difference in each column of `shown`."""


@dataclass(frozen=True)
class Told:
    """A snapshot of a released cell as it is published: visits, and `shown` of their dwell."""

    hours: tuple[int, ...]
    visits: int
    fine: bool
    shown: Reals


@dataclass(frozen=True)
class Release:
    """What is public after a release: by zone, the newest snapshot that covers each hour.

    entries: of each hour, (hours,), which are told whether there are k or not.
    """

    told: dict[Kind, tuple[dict[int, Told], ...]]
    entries: Integers


@dataclass(frozen=True)
class Known:
    """How people walk the shop in the long run.

    visits: for each entry, (zones,). dwell: shares of the bins in each zone, (zones, bins).
    first, after: shares of the zones first gone to, and gone to after the till, (zones,).
    """

    visits: Reals
    dwell: Reals
    first: Reals
    after: Reals


@dataclass(frozen=True)
class Imagined:
    """Imagined cells of as many visits.

    likely: shares of the bins of all who might come, (cells, bins). total: visits, (cells, bins).
    shown: what would be told of them, (cells, 3).
    """

    likely: Reals
    total: Integers
    shown: Reals


def shown(histograms: Integers, *, fine: bool) -> Reals:
    """What the features tell of dwell: engaged share, and logarithms of p50 and p90, (n, 3)."""
    lasting = durations.survival(histograms.astype(np.float64), np.zeros(histograms.shape))
    p50, p90 = (
        np.log(durations.told(lasting, EDGES, durations.WIDE["dwell"], share, fine=fine)[0])
        for share in (0.5, 0.9)
    )
    engaged = durations.part(
        histograms[:, ENGAGED_BIN:].sum(1), np.maximum(histograms.sum(1), 1), fine=fine
    )
    return np.stack([engaged, p50, p90], 1)


def imagine(rng: np.random.Generator, shares: Reals, visits: int, *, fine: bool) -> Imagined:
    """Cells of so many visits, and what would be told of them; shares: in the long run, (bins,)."""
    likely = rng.dirichlet(SURE * shares + 1e-3, IMAGINED)
    total = rng.multinomial(visits, likely)
    return Imagined(likely, total, shown(total, fine=fine))


def likely_bin(rng: np.random.Generator, cells: Imagined, snapshots: Sequence[Told]) -> int:
    """The bin in which a person's dwell most probably lies, of those new in the last snapshot.

    By rejection (approximate Bayesian computation): of imagined cells like the first snapshot,
    those that would be told most like the real one are kept and grow to the next snapshot, and so
    on; in the last ones kept the new people are counted.
    """
    likely, total, told = cells.likely, cells.total, cells.shown
    new, came = total, snapshots[0].visits
    for number, snapshot in enumerate(snapshots):
        if number:
            new = rng.multinomial(snapshot.visits - came, likely)
            total, came = total + new, snapshot.visits
            told = shown(total, fine=snapshot.fine)
        distance = (np.abs(told - snapshot.shown) / SMALL).sum(1)
        alike = np.argpartition(distance, ALIKE)[:ALIKE]
        new, again = new[alike], np.resize(alike, IMAGINED)
        total, likely = total[again], likely[again]
    return int(new.sum(0).argmax())


def bin_guesses(
    rng: np.random.Generator, known: Known, first: Release | None, last: Release
) -> Integers:
    """The most probable bin of who is in each zone at each hour, (zones, hours); -1 for no idea.

    first: what is subtracted by who knows two releases, and seeks those who are new in the last.
    """
    guesses = np.full((len(ZONES), len(last.entries)), -1)
    for zone, cells in enumerate(last.told["dwell"]):
        # Cells of as many visits are imagined together, since imagining is what takes time.
        alike: dict[tuple[int, bool], dict[int, list[Told]]] = {}
        for hour, cell in cells.items():
            before = first.told["dwell"][zone].get(hour) if first else None
            if before is not cell:
                snapshots = [before, cell] if before else [cell]
                group = alike.setdefault((snapshots[0].visits, snapshots[0].fine), {})
                group[cell.hours[0]] = snapshots
        for (visits, fine), group in alike.items():
            imagined = imagine(rng, known.dwell[zone], visits, fine=fine)
            for snapshots in group.values():
                held = list(snapshots[-1].hours)
                guesses[zone, held] = likely_bin(rng, imagined, snapshots)
    return guesses


def zone_guesses(shares: Reals, known: Known, first: Release | None, last: Release) -> Integers:
    """The zone to which somebody most probably goes next, at each hour, (hours,).

    shares: of the zones in the long run, (zones,). The more visits a zone had, compared with what
    so many entries bring, the more probable it is that this person's is among them: by Bayes, for
    Poisson counts, in proportion. first: as for `bin_guesses`.
    """
    weights = np.tile(shares, (len(last.entries), 1))
    for zone, cells in enumerate(last.told["visits"]):
        earlier = first.told["visits"][zone] if first else {}
        for cell in {each.hours: each for each in cells.values()}.values():
            held = list(cell.hours)
            before = earlier.get(held[0])
            visits, came = cell.visits, last.entries[held].sum()
            if first and before:
                visits, came = visits - before.visits, came - first.entries[held].sum()
            if before is not cell and came > 0:
                weights[held, zone] *= visits / (known.visits[zone] * came)
    weights[~weights.any(1)] = shares
    guesses: Integers = weights.argmax(1)
    return guesses
