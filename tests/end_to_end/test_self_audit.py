"""A device's audit of its hours, over a real broker, to where central's windows are read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.broker import mosquitto
from edge import wire
from edge.outbox import Outbox
from edge.publisher import Broker, Publisher
from tests.end_to_end.feeder import CAMERA, DEVICE, LAYOUT, LINE, SITE
from tests.end_to_end.processes import Stack, wait_until

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="Mosquitto is not installed")
HOUR = timedelta(hours=1)


def test_what_a_device_says_of_an_hour_stands_beside_its_windows(
    stack: Stack, tmp_path: Path
) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 2 * HOUR
    audits = [wire.Audit("line", LINE, start, 12, 0.5, {"ends": 0.5, "coverage": 1.0})]

    def health() -> wire.Health:
        camera = wire.CameraHealth(datetime.now(UTC), "ok", frames=1, fps=10.0, dropped=0)
        return wire.Health(
            v=wire.VERSION,
            time=datetime.now(UTC),
            epochs=outbox.epochs(),
            cameras={CAMERA: camera},
            clock="synced",
            version="0",
            audits=tuple(audits),
        )

    outbox = Outbox(tmp_path / "state", SITE, DEVICE)
    publisher = Publisher(
        Broker(port=stack.mqtt_port),
        outbox,
        site=SITE,
        device=DEVICE,
        status=wire.Status(wire.VERSION, "online"),
        layout=LAYOUT,
        health=health,
        health_seconds=0.5,
    )
    minutes = [
        wire.Coverage(CAMERA, start + n * HOUR / 60, start + (n + 1) * HOUR / 60, 600, 600, "ok")
        for n in range(60)
    ]
    came = [
        wire.Crossing("ground", LINE, (CAMERA,), start + n * HOUR / 12, "in", f"{n:016x}")
        for n in range(12)
    ]
    outbox.append([*came, *minutes], config="", model="", clock="synced")
    publisher.start()
    span = {"site": SITE, "start": start.isoformat(), "stop": (start + HOUR).isoformat()}

    def points() -> list[tuple[float | None, float | None]]:
        found = stack.get("/v1/series", metric="footfall", **span)["points"]
        return [(point["value"], point["confidence"]) for point in found]

    try:
        wait_until(lambda: points() == [(3.0, 0.5)] * 4, 60, lambda: f"believed: {points()}")
        # Somebody who was there then has left by now: the same hour is told anew.
        audits[0] = wire.Audit("line", LINE, start, 12, 0.75, {"ends": 0.75, "coverage": 1.0})
        wait_until(lambda: points() == [(3.0, 0.75)] * 4, 60, lambda: f"told anew: {points()}")
    finally:
        publisher.stop()
        outbox.close()
    (found,) = stack.get("/v1/audits", **span)
    assert (found["subject"], found["role"], found["count"]) == (LINE, "entrance", 12)
    assert found["checks"] == {"ends": 0.75, "coverage": 1.0}
