"""The agent: wires the rooms of one device together and says how it is."""

import ctypes
import logging
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from edge import __version__, wire
from edge.arrangement import arrange
from edge.audit import newest
from edge.camera import LIVE_FPS, Frame, frame_rate, watch
from edge.config import (
    AgentConfig,
    CameraConfig,
    EdgeError,
)
from edge.flight import assemble, depth, fly
from edge.ground import Ground, floors
from edge.layout import config_hash, layout
from edge.outbox import Outbox, OutboxError
from edge.pipeline import CameraPipeline
from edge.privacy import Gate
from edge.publisher import Broker, Publisher

log = logging.getLogger(__name__)

Look = Callable[[str, npt.NDArray[np.uint8], CameraPipeline], None]
FLUSH_SECONDS = 1.0
MAX_PENDING = 50_000
"""Events kept in memory while the disk takes none; beyond that the oldest go, and are counted."""
_TIME_ERROR = 5


class Watch:
    """One camera in its thread: signals in, admitted events out."""

    def __init__(self, camera: CameraConfig, pipeline: CameraPipeline, fps: float) -> None:
        self.camera, self.pipeline = camera, pipeline
        self._interval = timedelta(seconds=1 / fps)
        self.events: list[wire.Event] = []
        self.through = datetime.now(UTC)
        self.numbered = self.through
        self.over = False
        self.lock = threading.Lock()
        self._began = time.monotonic()

    def run(
        self, stop: threading.Event, crew: ThreadPoolExecutor, depth: int, look: Look | None
    ) -> None:
        """Follow the camera until `stop`, or the end of its file; the crew detects."""
        end = datetime.now(UTC)
        try:
            for signal, events in fly(watch(self.camera, stop), self.pipeline, crew, depth):
                self._keep(events)
                end = signal.time
                if isinstance(signal, Frame):
                    end += self._interval
                    if look:
                        look(self.camera.id, signal.image, self.pipeline)
            self._keep(self.pipeline.close(end))
        except EdgeError as error:
            log.error("camera %s is off: %s; the other cameras go on", self.camera.id, error)
            self._stay_lost(stop)
        except Exception:
            # Whatever it was, the other cameras and what waits in the outbox must not suffer.
            log.exception("camera %s is off, by a fault of this program", self.camera.id)
            self._stay_lost(stop)
        self.over = True

    def _stay_lost(self, stop: threading.Event) -> None:
        while not stop.wait(1.0):
            self._keep(self.pipeline.lost(datetime.now(UTC)))
        self._keep(self.pipeline.close(datetime.now(UTC)))

    def _keep(self, events: list[wire.Event]) -> None:
        with self.lock:
            self.events.extend(events)
            self.through = self.pipeline.through or self.through

    def take(self) -> tuple[list[wire.Event], datetime]:
        """The events since the last call, and the time up to which there are no others."""
        with self.lock:
            events, self.events = self.events, []
            return events, datetime.now(UTC) if self.over else self.through

    def health(self) -> wire.CameraHealth:
        """The camera now; `through` is what has been numbered."""
        times = sorted(self.pipeline.inference) or [0.0]
        seconds = max(time.monotonic() - self._began, 1.0)
        return wire.CameraHealth(
            through=self.numbered,
            state="stopped" if self.over else self.pipeline.state,
            frames=self.pipeline.frames,
            fps=round(self.pipeline.frames / seconds, 1),
            dropped=self.pipeline.dropped,
            inference_p50=round(statistics.median(times), 2),
            inference_p95=round(times[int(0.95 * (len(times) - 1))], 2),
        )


def run(config: AgentConfig, stop: threading.Event, look: Look | None = None) -> None:
    """Watch every camera and publish until `stop` is set.

    `look(camera, image, pipeline)` is called with each frame that was processed: the one way by
    which a picture can leave the pipeline, and the command line has no option for it.

    Raises EdgeError where the model or the outbox cannot be used.
    """
    detector, arrangement = arrange(config.model, config.state, config.providers)
    outbox = Outbox(
        config.state,
        config.site,
        config.device,
        keep_seconds=config.keep_acknowledged_hours * 3600,
        max_bytes=int(config.max_outbox_mb * 2**20),
    )
    settings = config_hash(config)
    rates = {camera.id: _rate(camera) for camera in config.cameras}
    watches, grounds = [], []
    for cameras in floors(config.cameras):
        ground = Ground(cameras, Gate(config.step(cameras[0]), config.time_step), rates)
        grounds.append(ground)
        for camera in cameras:
            fps = rates[camera.id]
            watches.append(Watch(camera, CameraPipeline(camera, detector, ground, fps), fps))
    lost = dropped = 0
    pending: list[wire.Event] = []

    def health() -> wire.Health:
        return wire.Health(
            v=wire.VERSION,
            time=datetime.now(UTC),
            epochs=outbox.epochs(),
            cameras={watch.camera.id: watch.health() for watch in watches},
            clock=clock_state(),
            version=__version__,
            lost=lost + dropped,
            audits=newest(each for ground in grounds for each in ground.audits()),
        )

    def flush() -> None:
        nonlocal lost, dropped
        taken = [watch.take() for watch in watches]
        pending.extend(event for batch, _ in taken for event in batch)
        excess = max(0, len(pending) - MAX_PENDING)
        del pending[:excess]
        dropped += excess
        try:
            if pending:
                clock, model = clock_state(), detector.model_hash
                outbox.append(pending, config=settings, model=model, clock=clock)
                pending.clear()
            lost = outbox.prune()
        except OutboxError as error:
            log.error("%d events wait in memory, %d are lost: %s", len(pending), dropped, error)
        if not pending:
            for watched, (_, through) in zip(watches, taken, strict=True):
                watched.numbered = through

    publisher = Publisher(
        _broker(config),
        outbox,
        site=config.site,
        device=config.device,
        status=wire.Status(
            wire.VERSION, "online", __version__, config=settings, model=detector.model_hash
        ),
        layout=layout(config),
        health=health,
        gauges=lambda: {
            zone: count for watch in watches for zone, count in watch.pipeline.people.items()
        },
        outstanding=config.outstanding_batches,
        resend_seconds=config.resend_after_seconds,
        health_seconds=config.health_every_seconds,
    )
    publisher.start()
    crew = assemble(arrangement.callers)
    frames = depth(arrangement.callers, len(watches))
    threads = [
        threading.Thread(
            target=watched.run, args=(stop, crew, frames, look), name=watched.camera.id
        )
        for watched in watches
    ]
    for thread in threads:
        thread.start()
    states: list[wire.Cause] = []
    while not stop.wait(FLUSH_SECONDS):
        flush()
        now = [watched.health().state for watched in watches]
        if now != states:
            states = now
            publisher.report()
    for thread in threads:
        thread.join()
    crew.shutdown()
    flush()
    if not publisher.drained(5.0):
        log.warning("stopping while events wait in the outbox; they are sent at the next start")
    publisher.stop()
    outbox.close()


def _rate(camera: CameraConfig) -> float:
    try:
        return frame_rate(camera)
    except EdgeError:
        return LIVE_FPS  # its own thread says what is wrong, and the others go on


def clock_state() -> wire.Clock:
    """Whether the kernel holds the clock to be right, by adjtimex(2)."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        return "synced"
    return "unsynced" if state == _TIME_ERROR else "synced"


def _broker(config: AgentConfig) -> Broker:
    broker = config.broker
    password = broker.password.get_secret_value() if broker.password else None
    return Broker(broker.host, broker.port, broker.username, password, broker.tls)
