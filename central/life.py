"""The life of an incident: opened, listed or pushed, continued, ended, held and merged.

A finding opens an incident at its place, or goes on with the one there. It ends after two ordinary
windows in a row; a window that says nothing counts as none, so that nothing ends while a shop is
closed or its people are not known. The scan looks back on what is over: that is an echo, and raises
nothing; what happens anew within `HELD` open windows belongs to the same incident, without another
notice, unless it is worse or has another cause. What opens at a site together with its node's
incident is part of that.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from central.detect.budget import FAR, spend
from central.detect.causes import ONLY_LISTED, Finding, Tick, calm, family, stabilised

CALM_WINDOWS = 2
HELD = 20
"""Open windows for which an incident that ended is remembered: the scan's 16, and a little."""
ANEW = 2.326
"""Standard deviations beyond which what came after an end is no echo: one in a hundred."""
TOGETHER = 4
"""Windows within which a site's incident and its node's have one beginning."""
A_DAY = 5
"""Incidents of which somebody is told in 24 hours; those that cost most come first."""
DAY = 96
SURER = 0.8
"""The share of a budget to ask for: a baseline grows surer with the weeks, so that the limit of
the weeks before spends somewhat more in the one after (1.25 times, of generated chains)."""
PAUSE = 7 * DAY
"""Windows for which what is real teaches nothing; what lasts longer is the new usual."""
SEVERITY = {
    "data": "critical",
    "conversion": "critical",
    "orders": "critical",
    "sensor": "minor",
    "trend": "minor",
    "busy": "minor",
}

Key = tuple[str, str, str]
"""(place, family of causes, camera)"""


@dataclass(frozen=True)
class Limits:
    """The p at or below which an incident is listed, and that at which somebody is told."""

    pushed: float
    listed: float


def limits(
    least: NDArray[np.float64], week: NDArray[np.int64], pushed: float, listed: float
) -> tuple[Limits, tuple[float, float]]:
    """What keeps both budgets in the week after, by the weeks before; and what these brought.

    least: (ticks, 2, places) the least p that costs something, and that may be listed, NaN where
    nothing was scored. week: (ticks,), ascending. pushed, listed: false incidents a place and week.
    Returns the limits, and for either budget how many false incidents a place and week there were
    in the past at the limits of that time, NaN where there was no past.
    """
    after = np.append(week, week[-1] + 1 if len(week) else 0)
    found = []
    for row, budget in enumerate((pushed, listed)):
        past = np.vstack([least[:, row], np.full((1, least.shape[2]), np.nan)])
        found.append(spend(past, after, SURER * budget))
    strict, wide = (float(each.limit[-1]) for each in found)
    return Limits(strict, max(strict, wide)), (found[0].achieved, found[1].achieved)


@dataclass(frozen=True)
class Incident:
    """What is off at `site`: a site, a region or the chain.

    began, latest, pushed: windows; pushed is None where it is only listed. subject: a camera, or
    empty. metric: what moved most. p: how unlikely it is without a cause, at its least. lost:
    orders fewer than expected, over its windows; money: what they bring. children: the sites that
    move with a node. learning: whether it rests on a comparison with sisters alone. calm: ordinary
    windows in a row. held: open windows for which one that ended is still remembered.
    """

    id: str
    site: str
    cause: str
    subject: str
    began: int
    latest: int
    opened: datetime
    metric: str = ""
    p: float = 0.0
    lost: float = 0.0
    money: float = 0.0
    children: tuple[str, ...] = ()
    pushed: int | None = None
    sentence: str = ""
    resolved: datetime | None = None
    learning: bool = False
    calm: int = 0
    held: int = HELD

    @property
    def key(self) -> Key:
        """What it is known by while it is open."""
        return self.site, family(self.cause, self.subject), self.subject

    @property
    def severity(self) -> str:
        """minor, major or critical."""
        return SEVERITY.get(self.cause, "major")


def step(
    before: Mapping[Key, Incident],
    found: Sequence[Finding],
    ticks: Mapping[str, Tick],
    leaves: Mapping[str, Sequence[str]],
    limits: Limits,
    room: int,
    now: datetime,
) -> tuple[dict[Key, Incident], list[Incident]]:
    """The incidents after a window, ended ones that are held among them, and those that changed.

    ticks: by place, of one window. leaves: by node the sites below it. room: how many may still
    be pushed. What changed has opened, is pushed, or has ended.
    """
    findings = {finding.key: finding for finding in found}
    after: dict[Key, Incident] = {}
    for key, incident in before.items():
        if incident.resolved and incident.held <= 0:
            continue
        tick, finding = ticks.get(incident.site), findings.get(key)
        if tick is None:
            after[key] = incident
        elif not (incident.resolved and finding and _worse(incident, finding, tick)):
            after[key] = _go_on(incident, findings.pop(key, None), tick, now)
    for key, finding in findings.items():
        nodes = _nodes(finding.place, after, leaves) if key[1] == "trade" else []
        if not any(finding.since <= node.latest for node in nodes):
            after[key] = _open(finding, ticks[finding.place], now)
    for key, incident in after.items():
        nodes = _nodes(incident.site, after, leaves)
        together = any(incident.began + TOGETHER >= node.began for node in nodes)
        if together and not incident.resolved and key[1] == "trade":
            after[key] = replace(incident, resolved=now)
    after = _push(after, limits, room, max((tick.window for tick in ticks.values()), default=0))
    changed = [
        incident
        for key, incident in after.items()
        if _state(incident) != _state(before.get(key)) and not _reopened(incident, before.get(key))
    ]
    return after, changed


def real(
    incidents: Mapping[Key, Incident], leaves: Mapping[str, Sequence[str]], limits: Limits
) -> dict[str, int]:
    """By place, the window from which on what it shows is no matter of chance.

    An incident that lies far beyond the limit is real, and so are its echo and what it does to the
    sites below. None of it teaches what chance brings, so that it never makes a limit stricter.
    """
    since: dict[str, int] = {}
    for incident in incidents.values():
        if incident.p <= limits.pushed / FAR:
            for place in (incident.site, *leaves.get(incident.site, ())):
                since[place] = min(incident.began, since.get(place, incident.began))
    return since


def paused(since: Mapping[str, int], window: int) -> list[str]:
    """The places that teach nothing in a window, by what `real` says."""
    return [place for place, began in since.items() if window - began < PAUSE]


def _state(incident: Incident | None) -> tuple[object, ...]:
    if incident is None:
        return ()
    return incident.id, incident.pushed is None, incident.resolved is None


def _reopened(incident: Incident, before: Incident | None) -> bool:
    """Whether an incident that had ended goes on: of that nobody is told."""
    if before is None or before.id != incident.id:
        return False
    return before.resolved is not None and incident.resolved is None


def _nodes(
    site: str, incidents: Mapping[Key, Incident], leaves: Mapping[str, Sequence[str]]
) -> list[Incident]:
    """The open incidents of the nodes above a site."""
    held = [incidents.get((node, "trade", "")) for node, sites in leaves.items() if site in sites]
    return [incident for incident in held if incident and incident.resolved is None]


def _open(finding: Finding, tick: Tick, now: datetime) -> Incident:
    return Incident(
        id=secrets.token_hex(6),
        site=finding.place,
        cause=finding.cause,
        subject=finding.subject,
        began=finding.since,
        latest=tick.window,
        opened=now,
        metric=finding.metric,
        p=finding.p,
        lost=finding.lost,
        children=finding.children,
        learning=finding.learning,
    )


def _go_on(incident: Incident, finding: Finding | None, tick: Tick, now: datetime) -> Incident:
    if incident.resolved:
        if finding is not None and _anew(incident, finding.metric, tick):
            return _still(replace(incident, resolved=None, held=HELD, calm=0), finding, tick)
        return replace(incident, held=incident.held - (1 if tick.opened else 0))
    quiet = calm(tick, incident.key[1], incident.subject)
    if quiet is None and finding is not None:
        # Who does not see people cannot know better what the cause is.
        same = replace(finding, cause=incident.cause, metric=incident.metric)  # type: ignore[arg-type]
        return _still(incident, same, tick)
    if quiet is None:
        return incident
    if not quiet:
        return _still(replace(incident, calm=0), finding, tick)
    if incident.calm + 1 < CALM_WINDOWS:
        return _still(replace(incident, calm=incident.calm + 1), finding, tick)
    # A camera that goes blind once more is told of once more: it has no echo.
    return replace(incident, calm=0, resolved=now, held=0 if incident.subject else HELD)


def _still(incident: Incident, finding: Finding | None, tick: Tick) -> Incident:
    latest = replace(incident, latest=tick.window)
    if finding is None:
        return latest
    return replace(
        latest,
        cause=finding.cause,
        metric=finding.metric,
        learning=finding.learning,
        p=min(incident.p, finding.p),
        lost=max(incident.lost, finding.lost),
        children=tuple(dict.fromkeys([*incident.children, *finding.children])),
    )


def _worse(incident: Incident, finding: Finding, tick: Tick) -> bool:
    """Whether what comes after an end is another matter, or worse, and so told as new."""
    other = finding.cause != incident.cause or finding.p < incident.p
    return other and _anew(incident, finding.metric, tick)


def _anew(incident: Incident, metric: str, tick: Tick) -> bool:
    """Whether the windows after an end are far out by themselves."""
    reading = tick.readings.get(metric)
    total = reading.sum(incident.latest + 1) if reading else None
    if total is None or total.expected <= 0:
        return False
    return abs(stabilised(total.observed, total.expected, total.variance)) > ANEW


def _push(
    incidents: dict[Key, Incident], limits: Limits, room: int, window: int
) -> dict[Key, Incident]:
    """Tell of the incidents that are rare enough, those that cost most first."""
    due = [
        (key, each)
        for key, each in incidents.items()
        if each.pushed is None and each.resolved is None
        if each.cause not in ONLY_LISTED and not each.learning and each.p <= limits.pushed
    ]
    due.sort(key=lambda pair: -pair[1].lost)
    return {**incidents, **{key: replace(each, pushed=window) for key, each in due[:room]}}
