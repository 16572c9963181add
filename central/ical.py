"""Calendars: iCal files (RFC 5545) that say when what is usual is not to be expected.

A kind says what becomes of the time of an event. It is one of the event's CATEGORIES, or stands in
X-PASSERBY-KIND; without one, an event is `ignore`, as public holidays mostly are.

- `ignore`: neither scored nor taught.
- `profile`: a rhythm of its own, learnt from earlier events of the same SUMMARY; in shops that are
  watched as `ignore`.
- `scale`: the usual rhythm times a factor: X-PASSERBY-FACTOR, or else as learnt from earlier events
  of the same SUMMARY.

Days, and times without a time zone, are those of the site's clock. What recurs keeps its local hour
when the clocks change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
from dateutil.rrule import rrulestr
from icalendar import Calendar, vRecur
from numpy.typing import NDArray

from central.config import CentralError

Kind = Literal["ignore", "profile", "scale"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SINGLE = (
    *("SUMMARY", "DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "X-PASSERBY-KIND"),
    "X-PASSERBY-FACTOR",
)
MOST = 100_000
"""Occurrences of an event between two times."""


class CalendarError(CentralError):
    """A calendar that cannot be used; the words name the file, the event and the fix."""

    exit_code = 2


@dataclass(frozen=True)
class Occurrence:
    """An event once, from `start` up to, but without, `stop`, both UTC.

    factor: of kind `scale`, what the calendar says of it; None where that is to be learnt.
    """

    name: str
    kind: Kind
    factor: float | None
    start: datetime
    stop: datetime


def occurrences(path: Path, zone: ZoneInfo, first: datetime, last: datetime) -> list[Occurrence]:
    """What a calendar has between two times, in the order of their beginnings.

    zone: the site's. Events that are cancelled, or have no length, are left out.

    Raises CalendarError.
    """
    found: list[Occurrence] = []
    for group in _groups(_events(path)):
        moved = {_start(path, "RECURRENCE-ID", each, zone) for each in group[1:]}
        for event in group:
            try:
                begins = list(_begins(path, event, zone, first, last))
            except (ValueError, TypeError, OverflowError) as error:
                raise CalendarError(
                    f"{path}: event {_name(event)!r}: {error}; correct its dates or its rule"
                ) from error
            for start, stop in begins:
                if event is group[0] and start in moved:
                    continue
                if stop > first and start < last and start < stop:
                    found.append(_occurrence(path, event, start, stop))
    return sorted(found, key=lambda each: (each.start, each.stop, each.name))


def mark(found: Sequence[Occurrence], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of them each time lies in, -1 for none.

    times: (n,), ascending seconds since 1970, UTC. Where some overlap, the shortest counts, of
    equal ones the last.
    """
    marks = np.full(times.size, -1, np.int64)
    by_length = sorted(range(len(found)), key=lambda i: found[i].stop - found[i].start)
    for i in sorted(by_length, key=lambda i: found[i].start - found[i].stop):
        start, stop = found[i].start.timestamp(), found[i].stop.timestamp()
        marks[np.searchsorted(times, start) : np.searchsorted(times, stop)] = i
    return marks


def _events(path: Path) -> list[Any]:
    try:
        calendar = Calendar.from_ical(path.read_bytes())
    except OSError as error:
        raise CalendarError(f"{path}: {error.strerror}; name an existing file") from error
    except ValueError as error:
        words = " ".join(str(error).split())[:120]
        raise CalendarError(f"{path}: not a calendar: {words}; export it as iCal") from error
    events: list[Any] = calendar.walk("VEVENT")
    for event in events:
        if event.errors:
            name, words = event.errors[0]
            raise CalendarError(f"{path}: event {_name(event)!r}: {name}: {words}; correct it")
        twice = [key for key in SINGLE if isinstance(event.get(key), list)]
        if twice:
            raise CalendarError(f"{path}: event {_name(event)!r} has two {twice[0]}; keep one")
        if event.get("DTSTART") is None:
            raise CalendarError(f"{path}: event {_name(event)!r} has no DTSTART; give it one")
    return [event for event in events if event.status != "CANCELLED"]


def _groups(events: list[Any]) -> Iterator[list[Any]]:
    """Each event, followed by those of its occurrences that are told apart (RECURRENCE-ID)."""
    for event in events:
        if event.get("RECURRENCE-ID") is None:
            yield [
                event,
                *(
                    each
                    for each in events
                    if each.get("RECURRENCE-ID") is not None and each.get("UID") == event.get("UID")
                ),
            ]


def _name(event: Any) -> str:
    return str(event.get("SUMMARY") or "")


def _occurrence(path: Path, event: Any, start: datetime, stop: datetime) -> Occurrence:
    said = event.get("X-PASSERBY-KIND")
    words = [str(said)] if said is not None else [str(each) for each in event.categories]
    kinds = [kind for kind in KINDS for word in words if word.strip().lower() == kind]
    if said is not None and not kinds:
        raise CalendarError(
            f"{path}: event {_name(event)!r}: X-PASSERBY-KIND {said} is none of {', '.join(KINDS)}"
        )
    factor = event.get("X-PASSERBY-FACTOR")
    if factor is None:
        return Occurrence(_name(event), kinds[0] if kinds else "ignore", None, start, stop)
    try:
        value = float(str(factor))
        good = 0.0 < value < 1e6
    except ValueError:
        good = False
    if not good:
        raise CalendarError(
            f"{path}: event {_name(event)!r}: X-PASSERBY-FACTOR {factor} is no number above 0;"
            " write one like 1.5"
        )
    return Occurrence(_name(event), kinds[0] if kinds else "scale", value, start, stop)


def _start(path: Path, key: str, event: Any, zone: ZoneInfo) -> datetime:
    """A property's moment in its own time zone, or the site's."""
    prop = event[key]
    named = prop.params.get("TZID")
    if named is not None and isinstance(prop.dt, datetime) and prop.dt.tzinfo is None:
        raise CalendarError(
            f"{path}: event {_name(event)!r}: time zone {named} is not known;"
            " write one like Europe/London"
        )
    return _moment(prop.dt, zone)


def _moment(value: date, zone: ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(0), zone)
    return value if value.tzinfo is not None else value.replace(tzinfo=zone)


def _begins(
    path: Path, event: Any, zone: ZoneInfo, first: datetime, last: datetime
) -> Iterator[tuple[datetime, datetime]]:
    start = _start(path, "DTSTART", event, zone)
    own = start.tzinfo
    clock = start.replace(tzinfo=None)
    # An end is a time on the clock; a duration counts by the clock in days alone (RFC 5545, 3.3.6).
    if event.get("DTEND") is None and event.get("DURATION") is None:
        length = timedelta(days=0 if isinstance(event.start, datetime) else 1)
    elif event.get("DTEND") is None:
        length = event.duration
    else:
        length = _start(path, "DTEND", event, zone).astimezone(own).replace(tzinfo=None) - clock
    by_clock = event.get("DTEND") is not None or length.seconds == 0
    begins = [clock]
    if event.get("RECURRENCE-ID") is None:
        early = first.astimezone(own).replace(tzinfo=None) - length - timedelta(days=1)
        late = last.astimezone(own).replace(tzinfo=None) + timedelta(days=1)
        for rule in event.rrules:
            begins += _recur(rule, clock, own, early, late)
        begins += [_clock(each, own, zone) for each, _ in event.rdates]
    without = {_clock(each, own, zone) for each in event.exdates}
    for begin in sorted(set(begins) - without):
        moment = begin.replace(tzinfo=own)
        stop = (
            (begin + length).replace(tzinfo=own).astimezone(UTC)
            if by_clock
            else moment.astimezone(UTC) + length
        )
        yield moment.astimezone(UTC), stop


def _clock(value: date, own: Any, zone: ZoneInfo) -> datetime:
    return _moment(value, zone).astimezone(own).replace(tzinfo=None)


def _recur(
    rule: vRecur, clock: datetime, own: Any, early: datetime, late: datetime
) -> list[datetime]:
    """When a rule begins anew, by the event's clock, so that it keeps its hour."""
    (often,) = rule["FREQ"]
    if often in ("SECONDLY", "MINUTELY"):
        raise ValueError(f"it recurs {often.lower()}, which no calendar of a shop does")
    local: Any = vRecur(rule)
    if "UNTIL" in local:
        local["UNTIL"] = [
            _clock(each, own, own)
            if isinstance(each, datetime)
            else datetime.combine(each, time.max.replace(microsecond=0))
            for each in rule["UNTIL"]
        ]
    found: list[datetime] = []
    for each in rrulestr(local.to_ical().decode(), dtstart=clock).xafter(early, inc=True):
        if each > late:
            break
        found.append(each)
        if len(found) > MOST:
            raise ValueError(f"it recurs more than {MOST:,} times")
    return found
