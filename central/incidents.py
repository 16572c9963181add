"""Incidents in the file: what is judged of each window, and in which words it is said.

`detect.causes` says what is off and why, `life` what becomes of it; here both meet the file. The
numbers of a sentence are sums over the incident's windows, of the expectations that are kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from central import life, windows
from central.calendar import local
from central.config import Config, Site
from central.detect import causes
from central.detect.budget import FAR
from central.detect.causes import WAVES, Tick
from central.detect.detector import usual_range
from central.detect.panel import PEOPLE
from central.detect.reading import Sum
from central.life import A_DAY, DAY, Incident, Key, Limits
from central.metrics import SEEING_SHARE
from central.sentences import Evidence, sentence
from central.store import Store, utc
from central.watch import WEEK, Moment

VALUE_WEEKS = 4
REMEMBERED = 2 * DAY
"""Windows for which, after a restart, an incident that ended is looked up."""
TERM_PEOPLE = 10
"""A search term is named where so many people searched for it."""
EVENT_LETTERS = 60
_COLUMNS = (
    "id, site, cause, subject, severity, began, latest, opened, resolved, sentence, metric, p,"
    " lost, money, children, pushed, sure"
)


class Incidents:
    """The open incidents, and the file they are kept in.

    `open`, by (site, family of causes, subject), is replaced and never changed: other threads read
    it. `real`, by place, is from when on what it shows is no chance. `opened` and `told` count the
    incidents since the start, and those of which somebody was told.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self._store, self._config = store, config
        self._cursor = store.central()
        self.opened = self.told = 0
        # Those that ended of late too: the scan still looks back on them.
        rows = self._cursor.execute(
            "select id, site, cause, subject, began, latest, opened, metric, p, lost, money,"
            " children, pushed, sentence, resolved, sure from incident where resolved is null"
            " or latest > (select max(processed) from progress) - ? and subject = ''"
            " order by resolved nulls last, opened, id",
            [REMEMBERED],
        ).fetchall()
        self._held: dict[Key, Incident] = {}
        self.real: dict[str, int] = {}
        for row in rows:
            incident = Incident(
                id=row[0],
                site=row[1],
                cause=row[2],
                subject=row[3],
                began=row[4],
                latest=row[5],
                opened=row[6].replace(tzinfo=UTC),
                metric=row[7],
                p=row[8],
                lost=row[9],
                money=row[10],
                children=tuple(row[11]),
                pushed=row[12],
                sentence=row[13],
                resolved=row[14].replace(tzinfo=UTC) if row[14] else None,
            )
            self._held[incident.key] = incident
            if row[15]:
                self.real |= dict.fromkeys((incident.site, *incident.children), incident.began)

    @property
    def open(self) -> dict[Key, Incident]:
        """The incidents that have not ended."""
        held = self._held
        return {key: each for key, each in held.items() if each.resolved is None}

    def judge(self, moment: Moment) -> list[Incident]:
        """Open, continue and resolve incidents; returns those that changed state.

        Changed has what opened, what is now told to somebody, and what ended.
        """
        before, limits = self._held, moment.limits
        found = _found(moment)
        room = A_DAY - self._told(moment.window)
        after, changed = life.step(
            before, found, moment.ticks, moment.leaves, limits, room, datetime.now(UTC)
        )
        for key, incident in after.items():
            old = before.get(key)
            if incident.resolved is None and incident.site in moment.ticks:
                incident = self._said(incident, moment)
                after[key] = incident
            if incident != old:
                self._write(incident, limits)
        self._held = {key: each for key, each in after.items() if each.held > 0}
        known = {incident.id for incident in before.values()}
        self.opened += len({incident.id for incident in changed} - known)
        self.told += sum(incident.pushed == moment.window for incident in changed)
        self.real = life.real(self._held, moment.leaves, limits)
        current = {incident.id: incident for incident in after.values()}
        return [current[incident.id] for incident in changed]

    def _told(self, window: int) -> int:
        (row,) = self._cursor.execute(
            "select count(*) from incident where pushed > ?", [window - DAY]
        ).fetchall()
        return int(row[0])

    def _write(self, incident: Incident, limits: Limits) -> None:
        with self._store.write() as cursor:
            cursor.execute(
                f"insert or replace into incident ({_COLUMNS}) values ({', '.join('?' * 17)})",
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
                    incident.metric,
                    incident.p,
                    incident.lost,
                    incident.money,
                    list(incident.children),
                    incident.pushed,
                    incident.p <= limits.pushed / FAR,
                ],
            )

    def _sum(self, site: str, metric: str, first: int, last: int, given: bool = True) -> Sum | None:
        """Over the windows; against what was usual before that day was known, where not `given`."""
        expected = "expected" if given else "coalesce(usual, expected)"
        (row,) = self._cursor.execute(
            f"select sum(value), sum({expected}), sum(variance) from expectation where site = ?"
            ' and metric = ? and "window" between ? and ? and value is not null'
            " and expected is not null",
            [site, metric, first, last],
        ).fetchall()
        return None if row[0] is None else Sum(*row)

    def _value(self, sites: Sequence[str], currency: str, window: int) -> float:
        """What an order brings: the mean of the last weeks, of those in one currency."""
        (row,) = self._cursor.execute(
            "select sum(value) filter (where measure = ?) / nullif(sum(value) filter (where"
            " measure = ?), 0) from partial where list_contains(?, site)"
            ' and "window" between ? and ?',
            [
                f"sales:{currency}",
                f"sold:{currency}",
                list(sites),
                window - VALUE_WEEKS * WEEK,
                window,
            ],
        ).fetchall()
        return float(row[0] or 0.0)

    def _said(self, incident: Incident, moment: Moment) -> Incident:
        """The incident with what it has cost so far, and its sentence."""
        tick = moment.ticks[incident.site]
        site, began, latest = tick.site, incident.began, incident.latest
        given = incident.cause in ("conversion", "orders")
        sales = self._sum(site.id, "orders", began, latest, given)
        people = self._sum(site.id, PEOPLE[site.kind], began, latest)
        wave = None
        if incident.key[1] in WAVES.values():
            wave = self._sum(site.id, incident.metric, began, latest)
        costs = given or incident.cause in ("demand", "shift", "data")
        lost = max(0.0, sales.expected - sales.observed) if sales and costs else 0.0
        below = moment.leaves.get(site.id, ())
        at_risk = lost * self._value(below or (site.id,), site.currency, latest) if lost else 0.0
        known = Evidence(
            site=site,
            cause=incident.cause,
            since=local(site, began).strftime("%H:%M"),
            subject=incident.subject,
            metric=incident.metric if wave else "",
            people=None if incident.cause == "orders" else people,
            sales=sales,
            wave=wave,
            money=at_risk,
            terms=self._terms(incident) if incident.cause == "trend" else (),
            children=[self._config.site(name).title for name in self._worst(incident)],
            of=len(below),
            elsewhere=self._elsewhere(tick, incident, moment),
            event=" ".join(tick.event.split())[:EVENT_LETTERS],
            learning=incident.learning,
            ready=_date(site, tick.ready),
        )
        return replace(incident, lost=lost, money=at_risk, sentence=sentence(known))

    def _worst(self, incident: Incident) -> list[str]:
        """The sites that move with a node, those that miss most first."""
        rows = self._cursor.execute(
            "select site from expectation where list_contains(?, site) and metric = ?"
            ' and "window" between ? and ? and value is not null'
            " group by site order by sum(value) - sum(coalesce(usual, expected)), site",
            [list(incident.children), incident.metric, incident.began, incident.latest],
        ).fetchall()
        return [site for (site,) in rows]

    def _terms(self, incident: Incident) -> list[str]:
        """What most people searched for, where enough did."""
        rows = self._cursor.execute(
            "select json_extract_string(properties, '$.query') as term from online"
            " where site = ? and name = 'Products Searched' and \"time\" >= ?"
            f" group by term having term is not null and count(distinct person) >= {TERM_PEOPLE}"
            " order by count(*) desc, term limit 3",
            [incident.site, utc(windows.start(incident.began))],
        ).fetchall()
        return [f"“{term}”" for (term,) in rows]

    def _elsewhere(self, tick: Tick, incident: Incident, moment: Moment) -> list[str]:
        """What did not move, the web shop and the cameras, and what is known of the day."""
        said = []
        web = [site.id for site in self._config.sites if site.kind == "web"]
        if web and incident.site not in web and not incident.subject:
            state = self._web_state(web[0], incident)
            if state and incident.cause != "shift":
                said.append(f"web {state}")
        below = moment.leaves.get(tick.site.id, (tick.site.id,))
        cameras = [moment.ticks[each].coverage for each in below if each in moment.ticks]
        seen = [shares[0] for each in cameras for shares in each.values()]
        if seen and not incident.subject:
            fine = min(seen) >= SEEING_SHARE
            said.append("cameras fine" if fine else "a camera is blind")
        day = local(tick.site, tick.window).date()
        if day in tick.site.hours.exceptions:
            said.append("special opening hours today")
        return said

    def _web_state(self, web: str, incident: Incident) -> str:
        orders = self._sum(web, "orders", incident.began, incident.latest, given=False)
        if orders is None:
            return ""
        low, high = usual_range(orders.expected, 2.4 * orders.variance)
        if low <= orders.observed <= high:
            return "normal"
        return "low too" if orders.observed < low else "up"


def _date(site: Site, window: int | None) -> str:
    return "" if window is None else local(site, window).strftime("%-d %B")


def _found(moment: Moment) -> list[causes.Finding]:
    """What is off at all places, each at the highest that explains it."""
    web = next((tick for tick in moment.ticks.values() if tick.site.kind == "web"), None)
    found = []
    for tick in moment.ticks.values():
        # What one of many shops loses cannot be seen in the web shop.
        large = tick.children or not moment.leaves
        found += causes.findings(tick, moment.limits.listed, web if large else None)
    return causes.explained(found, moment.ticks, moment.leaves)


def listed(store: Store, limit: int = 100) -> list[dict[str, object]]:
    """The newest incidents, open ones first, as the API and the page show them."""
    rows = (
        store.central()
        .execute(
            "select id, site, cause, subject, severity, began, latest, opened, resolved, sentence,"
            " pushed is not null, lost, money, children from incident"
            " order by resolved is not null, opened desc, site, subject, id limit ?",
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
            "pushed": row[10],
            "lost_orders": round(row[11] or 0.0, 1),
            "at_risk": round(row[12] or 0.0, 2),
            "children": row[13],
        }
        for row in rows
    ]
