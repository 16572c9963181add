"""Incidents: what is off, why as far as the numbers tell, and in which words it is said.

The rules, in the order in which they are asked of a closed window:
1. A camera saw less than half of it: a *sensor* incident. What it counts is absent then, so no
   other rule can speak of that.
2. Orders are too low while people came as usual: *conversion*.
3. Footfall is too low, or too high, whatever the tills say: *footfall*.
4. Orders are too low where footfall is unknown or does not exist: *orders*.
An incident resolves after two ordinary windows in a row; a window that is absent counts as none,
and one outside opening hours speaks of cameras alone.
"""

import math
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from central import windows
from central.calendar import local
from central.config import Config, Site
from central.detect.detector import threshold, usual_range
from central.store import Store, utc
from central.watch import Tick

BLIND_SHARE = 0.5
SEEING_SHARE = 0.9
CALM_WINDOWS = 2
ORDINARY_P = 0.05
SEVERITY = {"conversion": "critical", "orders": "critical", "footfall": "major", "sensor": "minor"}


@dataclass(frozen=True)
class Incident:
    """`began` and `latest` are windows; `subject` is a camera, or empty."""

    id: str
    site: str
    cause: str
    subject: str
    severity: str
    began: int
    latest: int
    opened: datetime
    sentence: str
    resolved: datetime | None = None


@dataclass(frozen=True)
class Sum:
    """Observed and expected of a metric over the windows of an incident."""

    observed: float
    expected: float
    variance: float

    @property
    def usual(self) -> str:
        """The usual range in words, like `35-50`."""
        low, high = usual_range(self.expected, self.variance)
        return f"{low}-{high}"


@dataclass(frozen=True)
class Finding:
    """What a rule says of one window: off since `began`."""

    cause: str
    subject: str
    began: int


def findings(tick: Tick, limit: float) -> list[Finding]:
    """What is off in a window; the rules above.

    limit: the p at or below which a metric is off. A metric that is still learning is never off.
    """
    low = {
        name: not tick.learning[name] and p <= limit
        for name, p in tick.p_low.items()
        if not math.isnan(tick.values[name])
    }
    high = not tick.learning.get("footfall", True) and tick.p_high.get("footfall", 1.0) <= limit
    if not tick.opened:
        return []
    found = [
        Finding("sensor", camera, tick.window)
        for camera, share in tick.coverage.items()
        if share < BLIND_SHARE
    ]
    people_low = low.get("footfall")
    if people_low or high:
        found.append(Finding("footfall", "", _began(tick, "footfall")))
    elif low.get("orders"):
        cause = "orders" if people_low is None else "conversion"
        found.append(Finding(cause, "", _began(tick, "orders")))
    return found


def calm(tick: Tick, cause: str, subject: str) -> bool | None:
    """Whether a window speaks for the end of an incident; None when it says nothing."""
    if cause == "sensor":
        share = tick.coverage.get(subject)
        return None if share is None else share >= SEEING_SHARE
    metric = "footfall" if cause == "footfall" else "orders"
    if not tick.opened or math.isnan(tick.values.get(metric, math.nan)):
        return None
    return min(tick.p_low[metric], tick.p_high[metric]) > ORDINARY_P


def _began(tick: Tick, metric: str) -> int:
    return tick.window - max(tick.spans[metric], 1) + 1


class Incidents:
    """The open incidents, and the file they are kept in.

    `open`, by (site, cause, subject), is replaced and never changed: other threads read it.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config = store, config
        self._cursor = store.central()
        self._limit = threshold(config.false_alarms, 4 * 24 * 7, 2)
        self._calm: dict[str, int] = {}
        self.opened = 0
        rows = self._cursor.execute(
            "select id, site, cause, subject, severity, began, latest, opened, sentence"
            " from incident where resolved is null"
        ).fetchall()
        self.open = {
            (site, cause, subject): Incident(
                name,
                site,
                cause,
                subject,
                severity,
                began,
                latest,
                opened.replace(tzinfo=UTC),
                words,
            )
            for name, site, cause, subject, severity, began, latest, opened, words in rows
        }

    def judge(self, tick: Tick) -> list[Incident]:
        """Open, continue and resolve the incidents of a site; returns those that changed state."""
        now = datetime.now(UTC)
        changed: list[Incident] = []
        found = {
            (tick.site.id, each.cause, each.subject): each for each in findings(tick, self._limit)
        }
        for key, finding in found.items():
            incident = self.open.get(key)
            if incident is None:
                incident = Incident(
                    id=secrets.token_hex(6),
                    site=tick.site.id,
                    cause=finding.cause,
                    subject=finding.subject,
                    severity=SEVERITY[finding.cause],
                    began=finding.began,
                    latest=tick.window,
                    opened=now,
                    sentence="",
                )
                self.opened += 1
                changed.append(incident)
            self._calm.pop(incident.id, None)
            self._keep(key, tick, incident)
        for key, incident in self.open.items():
            if key[0] == tick.site.id and key not in found:
                self._continue(key, tick, incident, now, changed)
        current = {incident.id: incident for incident in self.open.values()}
        return [current.get(incident.id, incident) for incident in changed]

    def _keep(self, key: tuple[str, str, str], tick: Tick, incident: Incident) -> None:
        latest = replace(incident, latest=tick.window)
        latest = replace(latest, sentence=self._sentence(tick, latest))
        self._write(latest)
        self.open = {**self.open, key: latest}

    def _continue(
        self,
        key: tuple[str, str, str],
        tick: Tick,
        incident: Incident,
        now: datetime,
        changed: list[Incident],
    ) -> None:
        quiet = calm(tick, incident.cause, incident.subject)
        if quiet is None:
            return
        self._calm[incident.id] = self._calm.get(incident.id, 0) + 1 if quiet else 0
        if self._calm[incident.id] < CALM_WINDOWS:
            self._keep(key, tick, incident)
            return
        resolved = replace(incident, resolved=now)
        self._write(resolved)
        self.open = {name: other for name, other in self.open.items() if name != key}
        del self._calm[incident.id]
        changed.append(resolved)

    def _write(self, incident: Incident) -> None:
        with self._store.write() as cursor:
            cursor.execute(
                "insert or replace into incident values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    incident.id,
                    incident.site,
                    incident.cause,
                    incident.subject,
                    incident.severity,
                    incident.began,
                    incident.latest,
                    utc(incident.opened),
                    utc(incident.resolved) if incident.resolved else None,
                    incident.sentence,
                ],
            )

    def _sum(self, site: str, metric: str, first: int, last: int) -> Sum | None:
        row = self._cursor.execute(
            "select sum(value), sum(expected), sum(variance) from expectation where site = ?"
            ' and metric = ? and "window" between ? and ? and value is not null'
            " and expected is not null",
            [site, metric, first, last],
        ).fetchone()
        return None if row is None or row[0] is None else Sum(*row)

    def _sentence(self, tick: Tick, incident: Incident) -> str:
        people, sales = (
            self._sum(incident.site, metric, incident.began, incident.latest)
            for metric in ("footfall", "orders")
        )
        since = local(tick.site, incident.began).strftime("%H:%M")
        words = explain(tick.site, incident.cause, incident.subject, since, people, sales)
        return f"{words} {self._elsewhere(tick, incident)}".strip()

    def _elsewhere(self, tick: Tick, incident: Incident) -> str:
        """What did not move: the web shop, and the site's cameras."""
        said = []
        web = [site.id for site in self._config.sites if site.kind == "web"]
        if web and incident.site not in web and incident.cause != "sensor":
            state = self._web_state(web[0], incident)
            if state:
                said.append(f"web {state}")
        if tick.coverage and incident.cause != "sensor":
            fine = min(tick.coverage.values()) >= SEEING_SHARE
            said.append("cameras fine" if fine else "a camera is blind")
        words = ", ".join(said)
        return f"{words[0].upper()}{words[1:]}." if words else ""

    def _web_state(self, web: str, incident: Incident) -> str:
        orders = self._sum(web, "orders", incident.began, incident.latest)
        if orders is None:
            return ""
        low, high = usual_range(orders.expected, 2.4 * orders.variance)
        if low <= orders.observed <= high:
            return "normal"
        return "low too" if orders.observed < low else "up"


def explain(
    site: Site, cause: str, subject: str, since: str, people: Sum | None, sales: Sum | None
) -> str:
    """An incident in plain words.

    >>> shop = Site(id="leeds", name="Leeds")
    >>> explain(shop, "conversion", "", "09:15", Sum(41, 42, 60), Sum(0, 15, 15))
    'Leeds: tills stopped. 41 people came in since 09:15 (usual 33-53), 0 sales (expected 10-20).'
    """
    came = (
        f"{people.observed:.0f} people came in since {since} (usual {people.usual})"
        if people
        else ""
    )
    sold = f"{sales.observed:.0f} sales (expected {sales.usual})" if sales else ""
    if cause == "sensor":
        words = (
            f"{site.title}: camera {subject} has been blind since {since}."
            " What it counts is not known, and raises no alert meanwhile."
        )
        return f"{words} {sold} at the tills." if sold else words
    if cause in ("conversion", "orders"):
        stopped = sales is not None and sales.observed == 0
        shop = site.kind == "store"
        what = (
            ("tills stopped" if stopped else "few sales")
            if shop
            else ("orders stopped" if stopped else "few orders")
        )
        if came:
            return f"{site.title}: {what}. {came}, {sold}."
        blind = " Footfall is not known." if shop else ""
        return f"{site.title}: {what}. Since {since} {sold}.{blind}"
    fewer = people is not None and people.observed < people.expected
    what = "fewer people than usual" if fewer else "more people than usual"
    return f"{site.title}: {what}. {came}{f', {sold}' if sold else ''}."


def listed(store: Store, limit: int = 100) -> list[dict[str, object]]:
    """The newest incidents, open ones first, as the API and the page show them."""
    rows = (
        store.central()
        .execute(
            "select id, site, cause, subject, severity, began, latest, opened, resolved, sentence"
            " from incident order by resolved is not null, opened desc limit ?",
            [limit],
        )
        .fetchall()
    )
    return [
        {
            "id": row[0],
            "site": row[1],
            "cause": row[2],
            "subject": row[3],
            "severity": row[4],
            "began": windows.start(row[5]),
            "opened": row[7].replace(tzinfo=UTC),
            "resolved": row[8].replace(tzinfo=UTC) if row[8] else None,
            "sentence": row[9],
        }
        for row in rows
    ]
