"""The attackers succeed where nothing is gated, and are told what the features tell."""

import json

import numpy as np
import pytest

from central import attack, durations, features, verdict, walks
from central.__main__ import main
from central.attack import EDGES, GATE, UNGATED, Told, imagine, likely_bin, shown, two_releases
from central.features import GATES
from central.privacy import LEVELS
from central.walks import Shop

CORNER = Shop("corner", 14)
Ratios = dict[str, dict[tuple[verdict.Attacker, verdict.Secret], float]]


def crowd(days: int, seed: int = 1, shop: Shop = CORNER) -> walks.People:
    rng = np.random.default_rng(seed)
    late = rng.random(days) < 0.5
    return walks.draw_people(rng, shop, walks.draw_days(rng, days), late)


@pytest.fixture(scope="module")
def ratios() -> Ratios:
    """Success on released people over that on others, without the gate and with it."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attack, "PEOPLE", 1000)
        patch.setattr(attack, "IMAGINED", 300)
        patch.setattr(attack, "ALIKE", 10)
        for name, gate in (("bare", UNGATED), ("gated", GATE)):
            report = attack.attack(1, gate, [CORNER])
            assert not report.reached, "so few targets prove nothing"
            found[name] = {
                (each.attacker, each.secret): each.ratio
                for each in report.results
                if each.shop == "all" and each.targets
            }
    return found


def test_without_the_gate_every_attacker_learns_of_the_person(
    ratios: Ratios,
) -> None:
    assert len(ratios["bare"]) == 6
    for (_, goal), ratio in ratios["bare"].items():
        assert ratio > {"next zone": verdict.LIMIT, "dwell bin": 1.5}[goal]


def test_with_the_gate_they_learn_less(
    ratios: Ratios,
) -> None:
    assert ratios["gated"]
    assert all(ratio < ratios["bare"][key] for key, ratio in ratios["gated"].items())


def test_the_gate_that_is_attacked_is_that_of_the_features() -> None:
    assert dict(zip(("people", "entries"), GATE.limits["visits"], strict=False)) == GATES["zone"]
    assert (
        dict(zip(("people", "entries", "dwell"), GATE.limits["dwell"], strict=True))
        == GATES["dwell"]
    )


@pytest.mark.parametrize("people", [12, durations.FINE])
def test_attackers_see_what_features_tell(people: int) -> None:
    histogram = np.random.default_rng(people).multinomial(
        people, np.full(len(EDGES), 1 / len(EDGES))
    )
    fine = people >= durations.FINE
    engaged = histogram[attack.ENGAGED_BIN :].sum()
    row = features.describe(
        "dwell",
        {
            "dwell": histogram.astype(np.float64),
            "engaged": np.array(float(engaged)),
            "visits": np.array(float(people)),
        },
        fine=fine,
    )
    seen = shown(histogram[None], fine=fine)[0]
    assert seen[0] == row["engaged_share"]
    assert np.exp(seen[1]) == pytest.approx(row["dwell_p50"])
    low, high = row["dwell_p90_low"], row["dwell_p90_high"] or np.inf
    assert low - 1 <= np.exp(seen[2]) <= high + 1
    assert row["dwell_p90"] is None or np.exp(seen[2]) == pytest.approx(row["dwell_p90"])


def test_the_second_release_tells_late_people_only_if_they_are_enough() -> None:
    people = crowd(14, shop=Shop("street", 200))
    cells, (first, last) = two_releases(people, 14 * 24, GATE)
    for kind, limits in GATE.limits.items():
        for zone in cells[kind]:
            told = [cell for cell in zone if cell.level >= 0]
            assert all((np.array(cell.counts) >= limits).all() for cell in told)
            assert {cell.level for cell in told} <= set(range(len(LEVELS)))
    assert (last.entries >= first.entries).all()
    assert last.entries.sum() == len(people.entered)
    changed = 0
    for before, after in zip(first.told["visits"], last.told["visits"], strict=True):
        for hour, cell in after.items():
            if hour in before and cell is not before[hour]:
                changed += 1
                assert cell.visits - before[hour].visits >= 10
    assert changed


def test_one_person_alone_is_found_by_subtraction() -> None:
    rng = np.random.default_rng(1)
    shares = np.where(np.arange(len(EDGES)) == 2, 0.5, 0.5 / (len(EDGES) - 1))
    early = np.zeros(len(EDGES), np.int64)
    early[2] = 3
    for place in (4, 6, 8, 10):
        both = early.copy()
        both[place] += 1
        snapshots = [
            Told((0,), int(each.sum()), True, shown(each[None], fine=True)[0]) for each in (early, both)
        ]
        imagined = imagine(rng, shares, snapshots[0].visits, fine=True)
        assert likely_bin(rng, imagined, snapshots) == place


def test_walks_are_what_they_say() -> None:
    people = crowd(21)
    there = people.zones >= 0
    assert np.isnan(people.dwell[~there]).all()
    assert (people.dwell[there] >= 5).all()
    assert there[:, 0].all()
    assert (there[:, :-1] | ~there[:, 1:]).all(), "no gaps in a walk"
    buys = np.isfinite(people.ticket)
    assert ((people.zones == walks.TILL).sum(1) == buys).all()
    assert 0.2 < buys.mean() < 0.6
    left = np.where(there, people.left, -np.inf).max(1)
    assert (people.ticket[buys] < left[buys] + 1).all()
    hours = people.entered % 86400 / 3600
    assert hours.min() >= walks.OPEN
    assert hours.max() < walks.CLOSE


def test_the_same_seed_is_the_same_crowd() -> None:
    one, two = crowd(3), crowd(3)
    assert (one.entered == two.entered).all()
    assert (one.zones == two.zones).all()
    assert len(crowd(3, 2).entered) != len(one.entered)


def test_a_report_can_fail_and_says_so() -> None:
    good = verdict.Result("all", "analyst", "dwell bin", 5000, 0.2, 0.2, 1.05)
    bad = verdict.Result("all", "colleague", "dwell bin", 5000, 0.3, 0.2, 1.6)
    few = verdict.Result("all", "analyst", "next zone", 10, 0.2, 0.2, 1.0)
    levels: dict[str, verdict.Levels] = {"corner": {"visits": {"suppressed": 0.25, "day": 0.75}}}
    for results, reached in (((good,), True), ((good, bad), False), ((good, few), False)):
        report = verdict.Report(results, levels)
        assert report.reached is reached
        assert verdict.summary(report)["reached"] is reached
        assert ("is at most" in verdict.text(report)) is reached
    assert "suppressed 25.0%, day 75.0%" in verdict.text(report)


def test_the_command_prints_the_report_and_a_line_of_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = verdict.Result("all", "analyst", "dwell bin", 5000, 0.21, 0.2, 1.07)
    monkeypatch.setattr(attack, "attack", lambda seed: verdict.Report((result,), {}))
    main(["privacy", "attack", "--json"])
    *lines, last = capsys.readouterr().out.splitlines()
    assert "1.050" in lines[1]
    said = json.loads(last)
    assert (said["ours"], said["reached"], said["limit"]) == (1.07, True, verdict.LIMIT)
