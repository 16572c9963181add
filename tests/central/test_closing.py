"""When windows close, told as stories of what devices say and when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from central import windows
from central.closing import Closing
from central.config import Config, Site
from central.intake import events
from central.intake.events import Intake
from central.store import Store
from edge import wire
from tests.central.device import EPOCH, MONDAY, SITE, batch, event, health

START = MONDAY + timedelta(hours=12)
CONFIG = Config(
    sites=(Site(id=SITE), Site(id="web", kind="web")), grace_seconds=300, settle_seconds=60
)


class Shop:
    """Central at a shop, with a clock that the test moves."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, site: str = SITE) -> None:
        self.now = START
        self._store, self._site = store, site
        shop = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> "Clock":
                return cls.combine(shop.now.date(), shop.now.time(), tz)

        monkeypatch.setattr(events, "datetime", Clock)
        self.restart()

    def restart(self) -> None:
        self.intake = Intake(self._store)
        self._closing = Closing(CONFIG, self.intake, self.now)

    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    def says(
        self,
        next_number: int = 0,
        *,
        device: str = "door-1",
        clock: wire.Clock = "synced",
        behind: Mapping[str, float] | None = None,
    ) -> None:
        """A health message; cameras by name, and how many minutes each is behind."""
        through = {
            name: self.now - timedelta(minutes=minutes)
            for name, minutes in (behind or {"door": 0.0}).items()
        }
        epochs = {EPOCH: next_number} if next_number else {}
        self.intake.take([health(epochs, through, device=device, clock=clock)])

    def sends(self, first: int, count: int) -> None:
        self.intake.take([batch(first, [event(n) for n in range(first, first + count)])])

    def closed(self) -> float | None:
        """Up to how many minutes after the start the windows are closed; None: not known."""
        bound = self._closing.bounds([self._site], self.now).get(self._site)
        if bound is None:
            return None
        return (windows.start(bound) - START) / timedelta(minutes=1)


@pytest.fixture
def shop(store: Store, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(store, monkeypatch)


@pytest.mark.parametrize(
    ("minutes", "behind", "closed"),
    [
        (14, {"door": 0.0}, 0),
        (15.5, {"door": 0.0}, 0),  # not settled
        (16, {"door": 0.0}, 15),
        (29, {"door": 10.0}, 15),
        (29, {"door": 15.0}, 0),
        (31, {"door": 0.0, "aisle": 0.0}, 30),
        (31, {"door": 0.0, "aisle": 2.0}, 15),
        (46, {"door": -10.0}, 45),  # a camera's clock ahead closes nothing early
    ],
)
def test_a_window_closes_when_every_camera_has_passed_it(
    shop: Shop, minutes: float, behind: dict[str, float], closed: float
) -> None:
    shop.wait(minutes)
    shop.says(behind=behind)
    assert shop.closed() == closed


def test_every_device_counts(shop: Shop) -> None:
    shop.wait(31)
    shop.says()
    shop.says(device="door-2", behind={"yard": 20.0})
    assert shop.closed() == 0


def test_a_hole_holds_a_site_up_until_it_is_filled(shop: Shop) -> None:
    shop.says()
    assert shop.closed() == -15  # not settled
    shop.wait(16)
    shop.says(10)
    shop.sends(0, 4)
    shop.sends(6, 4)
    assert shop.closed() == -15
    shop.wait(2)
    assert shop.closed() == -15
    shop.sends(4, 2)
    assert shop.closed() == 15


def test_a_hole_at_the_very_first_leaves_the_site_unknown(shop: Shop) -> None:
    """And not closed up to 1970, from where someone would begin to count."""
    shop.wait(16)
    shop.says(10)
    assert shop.closed() is None
    shop.sends(0, 10)
    assert shop.closed() == 15


def test_one_event_lost_for_good_is_given_up(shop: Shop) -> None:
    shop.says()
    shop.closed()
    shop.sends(1, 9)
    number, heard = 10, []
    for _ in range(20):
        shop.wait(1)
        shop.says(number + 10)
        shop.sends(number, 10)
        number += 10
        heard.append(shop.closed())
    assert heard[4] == -15
    assert heard[6] == 0
    assert heard[-1] == 15


def test_a_hole_that_fills_up_is_waited_for(shop: Shop) -> None:
    shop.says()
    shop.closed()
    shop.wait(16)
    for number in range(12):
        shop.wait(1)
        shop.says(200)
        shop.sends(number * 10, 10)
        assert shop.closed() == -15
    shop.sends(120, 80)
    assert shop.closed() == 15


def test_a_silent_device_holds_nothing_up_after_the_grace(shop: Shop) -> None:
    shop.wait(1)
    shop.says(20)
    shop.sends(0, 5)
    shop.closed()
    shop.wait(4)
    assert shop.closed() is None
    shop.wait(30)
    assert shop.closed() == 30
    # It comes back: what is closed stays closed.
    shop.says(20, behind={"door": 30.0})
    shop.sends(5, 15)
    assert shop.closed() == 30


def test_a_restart_gives_the_grace_again(shop: Shop) -> None:
    shop.wait(16)
    shop.says()
    assert shop.closed() == 15
    shop.wait(120)
    shop.restart()
    assert shop.closed() == 15
    shop.wait(4)
    assert shop.closed() == 15
    shop.wait(2)
    assert shop.closed() == 135
    shop.says()
    assert shop.closed() == 135


def test_a_clock_that_is_not_set_yet_says_nothing(shop: Shop) -> None:
    """Its `through` may lie in 1970."""
    shop.wait(31)
    shop.says(clock="unsynced", behind={"door": 56 * 365 * 24 * 60.0})
    assert shop.closed() == 15
    shop.wait(5)
    shop.says()
    assert shop.closed() == 30


def test_a_hole_behind_a_clock_that_is_not_set_holds_nothing_up(shop: Shop) -> None:
    shop.wait(31)
    shop.says(20, clock="unsynced")
    assert shop.closed() == 15


def test_a_site_without_devices(shop: Shop) -> None:
    assert shop.closed() is None
    shop.wait(4)
    assert shop.closed() is None
    shop.wait(2)
    assert shop.closed() == 0
    shop.wait(30)
    assert shop.closed() == 30


def test_a_web_shop_needs_no_devices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(store, monkeypatch, "web")
    assert shop.closed() == -15
    shop.wait(1)
    assert shop.closed() == 0


def test_a_device_without_cameras(shop: Shop) -> None:
    shop.wait(16)
    shop.intake.take([health({}, {})])
    assert shop.closed() == 15


def test_what_is_closed_stays_closed(shop: Shop) -> None:
    shop.wait(31)
    shop.says()
    assert shop.closed() == 30
    shop.says(behind={"door": 25.0})
    assert shop.closed() == 30
    shop.says(10)
    assert shop.closed() == 30
