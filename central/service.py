"""`serve`: wires the rooms of central together in one process."""

import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import uvicorn

from central import audits, compaction, export, features, forgotten, nightly, retention, windows
from central.closing import Closing
from central.commands import Scope
from central.config import CentralError, Config
from central.detect import kernels
from central.incidents import Incidents
from central.intake.commit import Device
from central.intake.events import Intake
from central.intake.mqtt import Subscriber
from central.intake.online import OnlineIntake
from central.local import LocalServer
from central.notify import Notifier
from central.store import Store
from central.watch import Watch
from edge import wire

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
REBUILD_SHARE = 0.1
"""Of the time, that counting windows may take: it counts all raw events, however many there are."""
EXPIRE_AFTER = timedelta(hours=1)
RETAIN_EVERY = timedelta(days=1)


class PortError(CentralError):
    """The address to listen on is not to be had."""

    exit_code = 2


class Service:
    """Everything that runs beside the page and the API.

    Raises StoreError where people were forgotten and the key of their hashes is lost.
    """

    def __init__(self, store: Store, config: Config) -> None:
        self.store, self.config = store, config
        forgotten.among(store.central(), ())  # a lost key is told now, and not at the first event
        self.intake = Intake(store)
        self.online = OnlineIntake(store, config)
        self.subscriber = Subscriber(config.broker, self.intake)
        self.incidents = Incidents(store, config)
        self.notifier = Notifier(store, config, self.subscriber.publish)
        self.began = datetime.now(UTC)
        self.tick_seconds = 0.0
        self._rebuilt = self.began
        self._rebuild_seconds = (0.0, 0.0)
        self._retained: datetime | None = None
        self._released: dict[str, datetime | None] = {}
        # All dates at the start: a stop may have come between a release and its files.
        self._unwritten: set[date] | None = None
        self._audits: dict[Device, tuple[wire.Audit, ...]] = {}
        self._closing = Closing(config, self.intake, self.began)
        self._watch = Watch(store, config)
        self._local = LocalServer(Scope(store, config, self.intake, self.online))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)
        self._night = threading.Thread(
            target=nightly.keep, args=(store, config, self._stop), name="nightly", daemon=True
        )

    def start(self) -> None:
        """Start all threads."""
        self._local.start()
        self.notifier.start()
        self.subscriber.start()
        self._thread.start()
        self._night.start()

    def stop(self) -> None:
        """Take in what has arrived, judge it, and let go of the files."""
        self._local.stop()
        self.subscriber.stop()
        self._stop.set()
        self._thread.join()
        self._night.join()
        self.notifier.stop()
        self.store.close()

    def learning(self) -> dict[str, datetime]:
        """By site that is still learning, when its baseline is ready."""
        return {site: windows.start(window) for site, window in self._watch.learning().items()}

    def alarms(self) -> dict[str, dict[str, float | None]]:
        """What is promised of false incidents a shop and week, and what the past weeks brought."""
        return {
            level: {"promised": promised, "achieved": achieved, "p": limit}
            for level, (promised, achieved, limit) in self._watch.achieved.items()
        }

    def sites(self) -> set[str]:
        """The configured sites, and those that devices speak of."""
        return {site.id for site in self.config.sites} | {
            site for site, _ in list(self.intake.health)
        }

    def _run(self) -> None:
        while True:
            last = self._stop.is_set()
            began = time.monotonic()
            try:
                self.tick()
            except Exception:
                log.exception("this tick failed; the next one takes up its work")
            self.tick_seconds = time.monotonic() - began
            if last:
                return
            self._stop.wait(self.pause)

    @property
    def pause(self) -> float:
        """Seconds from this tick to the next."""
        # Of the last two, so that one that was slow by chance, or the first, holds nothing up.
        return max(TICK_SECONDS, min(self._rebuild_seconds) * (1 / REBUILD_SHARE - 1))

    def tick(self) -> None:
        """Bring windows up to date, score those that have closed, judge the scores."""
        now = datetime.now(UTC)
        bounds = self._closing.bounds(self.sites(), now)
        self._rebuild(now)
        self._retain(now)
        self._watch.real = self.incidents.real
        for moment in self._watch.advance(bounds):
            for incident in self.incidents.judge(moment):
                log.info("%s", incident.sentence)
                if incident.pushed is not None:
                    self.notifier.add(incident)
            self._watch.real = self.incidents.real
            if self._stop.is_set():
                return  # what is left is scored after the next start
        self._release(bounds, now)

    def _release(self, sites: Iterable[str], now: datetime) -> None:
        """Release the features of sites whose last hour has closed, one a tick; then write them."""
        for name in sites:
            site = self.config.site(name)
            end, before = features.closed(self.store, site), self._released.get(name)
            if end != before:
                # The rest waits for the day, and what comes late to earlier weeks can.
                daily = end is None or before is None or end.date() != before.date()
                fresh = features.release(self.store, site, now, daily=daily)
                self._released[name] = end
                if self._unwritten is not None:
                    self._unwritten |= fresh
                return
        if self._unwritten is None or self._unwritten:
            export.write(self.store, self.config, self.config.data / "features", self._unwritten)
            self._unwritten = set()

    def _rebuild(self, now: datetime) -> None:
        # Hourly too, since raw events must go when their time is up, whether others come or not.
        began = time.monotonic()
        if self.intake.dirty or now - self._rebuilt > EXPIRE_AFTER:
            self.intake.dirty = False
            try:
                windows.rebuild(self.store, self.config.raw_hours, now, self.config.sites)
            except Exception:
                self.intake.dirty = True
                raise
            self._rebuilt = now
        self._rebuild_seconds = (self._rebuild_seconds[1], time.monotonic() - began)
        for device, health in self.intake.health.items():
            fresh = health.audits != self._audits.get(device, ())
            if fresh and audits.keep(self.store, *device, health.audits):
                self._audits[device] = health.audits
        changed = self.online.changed()
        if changed is not None:
            try:
                windows.rebuild_orders(self.store, changed)
                # What comes is at most a day ahead.
                ahead = windows.key(now) + windows.DAY + 1
                windows.rebuild_online(self.store, range(changed, ahead) if changed else None)
            except Exception:
                self.online.change(changed)
                raise

    def _retain(self, now: datetime) -> None:
        if self._retained is None or now - self._retained >= RETAIN_EVERY:
            self._retained = now
            for table, rows in retention.apply(self.store, self.config, now).items():
                log.info("too old: %d of %s", rows, table)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortError."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortError(
            f"{host}:{port}: {error.strerror}; set another `http.port`, or stop what uses it"
        ) from error
    return listener


def serve(config: Config) -> None:
    """Run until SIGINT or SIGTERM. Raises CentralError where it cannot start."""
    from central.api import create

    listener = listen(config.http.host, config.http.port)
    for each in compaction.compact(config.data, only_if_worth=True):
        log.info("%s: %d bytes, before %d", each.file, each.after, each.before)
    service = Service(Store(config.data), config)
    app = create(service)
    log.info("preparing the detectors; the first start compiles them, which takes a while")
    kernels.compile_all()
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    )
    host, port = listener.getsockname()[:2]
    # uvicorn raises the signal that stopped it again, which must not end us before our stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    service.start()
    # What stands now stays: the collector need not look at it again whenever many events come in.
    gc.freeze()
    log.info("the page is at http://%s:%d", host, port)
    try:
        server.run(sockets=[listener])
    finally:
        service.stop()
