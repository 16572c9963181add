"""Minutes: how many people were in each zone, what became of the queues, what each camera saw.

Periods end at clock minutes, and where a camera is lost or comes back. A zone is counted as long as
one of its cameras sees.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge import wire
from edge.config import ZoneConfig
from edge.queues import Queues
from edge.visits import Watched

PERIOD = timedelta(seconds=60)


def _minute(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(second=0, microsecond=0)


class CameraPeriods:
    """One camera's coverage; `fps` frames a second are expected."""

    def __init__(self, camera: str, fps: float) -> None:
        self._camera, self._fps = camera, fps
        self.cause: wire.Cause = "ok"
        self.told: datetime | None = None
        self._begun: datetime | None = None
        self._seen = 0

    def go_on(self, time: datetime, cause: wire.Cause) -> Iterator[wire.Event]:
        """Bring the coverage up to a time at which the camera is like that."""
        if self.told is None or self._begun is None:
            self._begun = self.told = time
        time = max(time, self.told)
        while (stop := _minute(self._begun) + PERIOD) <= time:
            yield from self._end(stop)
        if cause != self.cause:
            yield from self._end(time)
            self.cause = cause
        self.told = time

    def saw(self) -> None:
        """One more frame, after `go_on` with its time."""
        self._seen += 1

    def close(self) -> Iterator[wire.Event]:
        """The period as far as it went; what comes next begins anew."""
        if self.told is not None:
            yield from self._end(self.told)
        self.told = self._begun = None

    def _end(self, stop: datetime) -> Iterator[wire.Event]:
        begun, self._begun = self._begun, stop
        seen, self._seen = self._seen, 0
        if begun is None or begun == stop:
            return
        expected = max(round(self._fps * (stop - begun).total_seconds()), seen)
        short = self.cause == "ok" and seen < expected / 2
        cause: wire.Cause = "overloaded" if short else self.cause
        yield wire.Coverage(self._camera, begun, stop, seen, expected, cause)


@dataclass
class _Count:
    """People in a zone over its running period, which has no `begun` where nobody looks."""

    begun: datetime | None = None
    told: datetime | None = None
    now: int = 0
    least: int = 0
    most: int = 0
    seconds: float = 0.0

    def begin(self, time: datetime | None) -> None:
        self.begun = self.told = time
        self.least = self.most = self.now
        self.seconds = 0.0

    def weigh(self, time: datetime) -> None:
        if self.told and time > self.told:
            self.seconds += self.now * (time - self.told).total_seconds()
            self.told = time


class ZonePeriods:
    """The occupancy of a floor's zones, and their queues."""

    def __init__(self, watched: Watched, queues: Queues) -> None:
        self._watched, self._queues = watched, queues
        self._counts = [_Count() for _ in watched.zones]

    @property
    def people(self) -> dict[str, int]:
        """People in each zone now."""
        zones = zip(self._watched.zones, self._counts, strict=True)
        return {zone.id: count.now for zone, count in zones}

    def go_on(self, time: datetime, seeing: Collection[str]) -> Iterator[wire.Event]:
        """Bring all zones up to a time, from which on these cameras see."""
        for zone, count in zip(self._watched.zones, self._counts, strict=True):
            seen = any(camera in seeing for camera in self._watched.cameras["zone", zone.id])
            if count.begun is None:
                count.begin(time if seen else None)
                continue
            while (stop := _minute(count.begun) + PERIOD) <= time:
                yield from self._end(zone, count, stop)
                count.begin(stop)
            count.weigh(time)
            if not seen:
                yield from self._end(zone, count, time)
                count.begin(None)

    def count(self, now: Sequence[int]) -> None:
        """How many people are in each zone from now on."""
        for count, people in zip(self._counts, now, strict=True):
            count.now = people
            count.least, count.most = min(count.least, people), max(count.most, people)

    def close(self) -> Iterator[wire.Event]:
        """All periods as far as they went; what comes next begins anew."""
        for zone, count in zip(self._watched.zones, self._counts, strict=True):
            if count.told:
                yield from self._end(zone, count, count.told)
            count.begin(None)

    def _end(self, zone: ZoneConfig, count: _Count, stop: datetime) -> Iterator[wire.Event]:
        count.weigh(stop)
        begun = count.begun
        if begun is None or begun == stop:
            return
        mean = count.seconds / (stop - begun).total_seconds()
        yield wire.Occupancy(
            self._watched.floor, zone.id, begun, stop, min=count.least, mean=mean, max=count.most
        )
        if zone.role == "queue":
            outcome = self._queues.take(self._watched.zones.index(zone))
            yield wire.Queue(
                self._watched.floor,
                zone.id,
                begun,
                stop,
                length_mean=mean,
                length_max=count.most,
                joined=outcome.joined,
                served=outcome.served,
                abandoned=outcome.abandoned,
                lost=outcome.lost,
                waiting=count.now,
                wait_histogram=tuple(outcome.waits),
            )
