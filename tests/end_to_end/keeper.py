"""All of central that writes to the files, and nothing else.

It takes in what the broker has, rebuilds windows, replays the quarantine, applies retention and
copies the set, over and over, until SIGTERM.
"""

import shutil
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from central import quarantine, retention, windows
from central.backup import backup
from central.config import Broker, Config
from central.intake.events import Intake
from central.intake.mqtt import Subscriber
from central.intake.online import OnlineIntake
from central.store import Store

KEPT = 3
for each in ("floor", "orders"):
    windows._sql(each)  # compiled once, by the process that the others are forked from


def keep(data: Path, port: int, copies: Path) -> None:
    """Keep the files at `data`, and the newest copies of them in folders of `copies`."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store, config = Store(data), Config(data=data)
    intake = Intake(store)
    online = OnlineIntake(store, config)
    subscriber = Subscriber(Broker(port=port), intake)
    subscriber.start()
    while not stop.wait(0.05):
        now = datetime.now(UTC)
        windows.rebuild(store, config.raw_hours, now)
        retention.apply(store, config, now)
        waiting = quarantine.entries(store, limit=200)
        quarantine.replay(store, intake, [entry.name for entry in waiting], online.replay)
        backup(store, copies / f"{now.timestamp():.6f}", now)
        for old in sorted(copies.iterdir())[:-KEPT]:
            shutil.rmtree(old)
    subscriber.stop()
    windows.rebuild(store, config.raw_hours, datetime.now(UTC))
    store.close()
