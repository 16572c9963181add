"""The demo on ports that nobody else has, until all that it promises has been seen.

The usual ports would be taken twice where two tests run at once, and a fixed time is too short for
a slow machine and too long for a fast one.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from deploy.demo import __main__ as demo

PATIENCE_SECONDS = 300.0
SEEN = (*demo.REQUIRED, "frames", "paths")
stop_after = demo.until_stopped


def until_seen(seconds: float | None, stop: threading.Event, health: Callable[[], Any]) -> None:
    """Wait for everything, then as long as the demo itself would."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and not stop.wait(0.5):
        result = demo.summary(health())
        if all(result[name] for name in SEEN) and result["incidents"] >= 2:
            break
    stop_after(seconds, stop, health)


if __name__ == "__main__":
    demo.CONSOLE_PORT = demo.LIVE_PORT = 0
    demo.until_stopped = until_seen
    sys.exit(demo.main())
