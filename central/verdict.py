"""What the attackers of the k-gate came to: how much more they know of a person than of a shop."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from central.walks import Reals

Attacker = Literal["till operator", "colleague", "analyst"]
Secret = Literal["next zone", "dwell bin"]
Kind = Literal["visits", "dwell"]
Levels = dict[Kind, dict[str, float]]

TARGETS = 2000
"""People that each attacker tries for each secret, at least."""
LIMIT = 1.1
"""Success on released people over success on others may not exceed this, at 95 %."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Tries:
    """An attacker's guesses in one shop, by day, (days,) each.

    people: targets in the released data. right: guesses about them that were right. others: how
    many would have been right about as many others who were in the same places.
    """

    shop: str
    attacker: Attacker
    secret: Secret
    people: Reals
    right: Reals
    others: Reals


@dataclass(frozen=True)
class Result:
    """How often an attacker was right, in one shop or (`all`) in all of them.

    released, others: success on people in the released data, and on others who were there then.
    upper: the one-sided 95 % bound of their ratio, by a bootstrap over days.
    """

    shop: str
    attacker: Attacker
    secret: Secret
    targets: int
    released: float
    others: float
    upper: float

    @property
    def ratio(self) -> float:
        """Success on released people over that on others."""
        return self.released / self.others if self.others else 0.0


@dataclass(frozen=True)
class Report:
    """The results, by shop and over all, and by shop the share of zones' hours told at each level.

    levels: hours in which nobody visited the zone are left out; `finely` are those whose times are
    told to the second. apart: shops that are shown, but are not part of all, nor held to the limit.
    """

    results: tuple[Result, ...]
    levels: dict[str, Levels]
    apart: tuple[str, ...] = ()

    @property
    def held(self) -> list[Result]:
        """What is held to the limit: each shop by itself, and all."""
        return [each for each in self.results if each.shop not in self.apart]

    @property
    def reached(self) -> bool:
        """Whether no attacker learns more of a person than the limit allows."""
        return all(each.upper <= LIMIT and each.targets >= TARGETS for each in self.held)


def judge(rng: np.random.Generator, name: str, shops: Sequence[Tries]) -> Result:
    """How often an attacker was right in all these shops, which are called `name`."""
    right, others = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for each in shops:
        days = rng.integers(0, len(each.people), (RESAMPLES, len(each.people)))
        right += each.right[days].sum(1)
        others += each.others[days].sum(1)
    targets = sum(float(each.people.sum()) for each in shops)
    ratios = np.divide(right, others, out=np.zeros(RESAMPLES), where=others > 0)
    return Result(
        name,
        shops[0].attacker,
        shops[0].secret,
        round(targets),
        sum(float(each.right.sum()) for each in shops) / max(targets, 1.0),
        sum(float(each.others.sum()) for each in shops) / max(targets, 1.0),
        float(np.quantile(ratios, 0.95)),
    )


def text(report: Report) -> str:
    """The report as people read it."""
    lines = [f"{'shop':8}{'attacker':15}{'secret':11}{'people':>8}  released  others  ratio  95 %"]
    lines += [
        f"{each.shop:8}{each.attacker:15}{each.secret:11}{each.targets:8,}"
        f"{each.released:10.3f}{each.others:8.3f}{each.ratio:7.3f}{each.upper:6.3f}"
        for each in report.results
    ]
    lines += ["", "Share of the zones' hours told, by level:"]
    for shop, kinds in report.levels.items():
        for kind, shares in kinds.items():
            told = ", ".join(f"{level} {share:.1%}" for level, share in shares.items())
            lines.append(f"{shop:8}{kind:8}{told}")
    verdict = "is" if report.reached else "is NOT"
    lines += ["", f"Over all shops and in each of them every bound {verdict} at most {LIMIT}."]
    lines += [f"{shop} is none of these: its zones are alike." for shop in report.apart]
    return "\n".join(lines)


def summary(report: Report) -> dict[str, object]:
    """The report as one JSON object; `ours` is the highest bound that is held to the limit."""
    return {
        "ours": max(each.upper for each in report.held),
        "limit": LIMIT,
        "reached": report.reached,
        "results": [asdict(each) | {"ratio": each.ratio} for each in report.results],
        "levels": report.levels,
        "apart": report.apart,
    }
