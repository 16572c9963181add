"""`make picture`: docs/demo.webp, a moving picture of the demo with its rendered shop.

The demo runs as `make demo` runs it where there is nothing but this repository; Chromium takes a
picture of its page again and again, from before the incidents until after them.
"""

import base64
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Page, ViewportSize, sync_playwright

Shot = tuple[cv2.typing.MatLike, int]
"""A picture (HEIGHT, WIDTH, 3), BGR, and for how many milliseconds it is shown."""

TARGET = Path(__file__).with_name("demo.webp")
NOWHERE = "/nonexistent"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
SIZE: ViewportSize = {"width": 1200, "height": 1150}
WIDTH, HEIGHT = 960, 920
BEFORE, AFTER = 4.0, 7.0
LEAST_SECONDS = 0.1
QUALITY = 75
PATIENCE_SECONDS = 300.0
END = '{"frames"'


def record(page: Page, seconds: float) -> list[Shot]:
    """The page as it is drawn, for so many seconds."""
    taken: list[tuple[float, bytes]] = []
    session = page.context.new_cdp_session(page)

    def keep(event: dict[str, Any]) -> None:
        taken.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    session.on("Page.screencastFrame", keep)
    session.send("Page.startScreencast", {"format": "jpeg", "quality": 95})
    page.wait_for_timeout(seconds * 1000)
    session.send("Page.stopScreencast")
    session.detach()
    shots: list[Shot] = []
    until = taken[-1][0] + LEAST_SECONDS
    for moment, data in reversed(taken):
        if until - moment >= LEAST_SECONDS:
            image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
            smaller = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            shots.append((smaller, round((until - moment) * 1000)))
            until = moment
    return shots[::-1]


def film(address: str) -> list[Shot]:
    """The demo's page before the incidents, and with both of them."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport=SIZE)
        page.goto(address)
        console = page.frame_locator("iframe")
        console.get_by_role("heading", name="Incidents").wait_for()
        page.wait_for_function("document.querySelector('img').naturalWidth > 0")
        page.wait_for_timeout(2000)
        pictures = record(page, BEFORE)
        incidents = console.locator(".incidents li")
        incidents.nth(1).wait_for(timeout=PATIENCE_SECONDS * 1000)
        pictures += record(page, AFTER)
        browser.close()
    return pictures


def write(pictures: list[Shot]) -> None:
    """An endless WebP of the pictures."""
    animation = cv2.Animation()
    animation.frames = [image for image, _ in pictures]
    animation.durations = [milliseconds for _, milliseconds in pictures]
    settings = [cv2.IMWRITE_WEBP_QUALITY, QUALITY]
    if not cv2.imwriteanimation(str(TARGET), animation, settings):
        raise RuntimeError(f"{TARGET} cannot be written")


def main() -> int:
    """Run the demo, film it, stop it."""
    if not Path(CHROMIUM).exists():
        print(f"no {CHROMIUM}: apt-get install chromium")
        return 1
    demo = subprocess.Popen(
        [sys.executable, "-m", "deploy.demo"],
        env=os.environ
        | {"PASSERBY_SHARED": NOWHERE, "VIDEO": "", "FOR": "", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    try:
        address = None
        for line in demo.stdout:
            print(line, end="")
            if found := re.match(r"Open (http\S+)", line):
                address = found[1]
                break
        if address is None:
            return 1
        pictures = film(address)
    finally:
        demo.send_signal(signal.SIGINT)
        print(*(line for line in demo.stdout if line.startswith(END)), end="")
        demo.wait()
    write(pictures)
    print(f"{TARGET}: {len(pictures)} pictures, {TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
