"""The attackers succeed where nothing is gated, on people whose secrets are known."""

import json

import numpy as np
import pytest

from central import attack, guesses, verdict, walks
from central.__main__ import main
from central.attack import GATE, UNGATED, two_releases
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
        patch.setattr(guesses, "IMAGINED", 300)
        patch.setattr(guesses, "ALIKE", 10)
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
    corner = verdict.Result("corner", "analyst", "dwell bin", 5000, 0.25, 0.2, 1.3)
    levels: dict[str, verdict.Levels] = {"corner": {"visits": {"suppressed": 0.25, "day": 0.75}}}
    for results, reached in (
        ((good,), True),
        ((good, bad), False),
        ((good, few), False),
        ((good, corner), False),
    ):
        report = verdict.Report(results, levels)
        assert report.reached is reached
        assert verdict.summary(report)["reached"] is reached
        assert ("is at most" in verdict.text(report)) is reached
    assert "suppressed 25.0%, day 75.0%" in verdict.text(report)
    but = verdict.Report((good, corner), levels, ("corner",))
    assert but.reached, "a shop apart is shown, not held to the limit"
    assert verdict.summary(but)["ours"] == good.upper
    assert "corner is none of these" in verdict.text(but)


def test_a_shop_of_alike_zones_is_shown_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "PEOPLE", 500)
    monkeypatch.setattr(guesses, "IMAGINED", 100)
    monkeypatch.setattr(guesses, "ALIKE", 10)
    shops = [CORNER, Shop("even", 30, alike=True)]
    both = attack.attack(1, shops=shops)
    assert both.apart == ("even",)
    assert {each.shop for each in both.results} == {"corner", "even", "all"}
    targets = {
        shop: [each.targets for each in both.results if each.shop == shop]
        for shop in ("corner", "all")
    }
    assert targets["all"] == targets["corner"]


def test_alike_zones_draw_alike() -> None:
    for alike in (False, True):
        people = crowd(60, shop=Shop("even", 200, alike))
        firsts = np.bincount(people.zones[:, 0], minlength=walks.TILL) / len(people.zones)
        assert bool(firsts.max() < 1.5 * firsts.min()) is alike


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
