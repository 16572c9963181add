"""The generated shops on the air: the real outbox and publisher, and orders over HTTP."""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from deploy.demo import generator
from edge import wire
from edge.outbox import Outbox
from edge.publisher import Broker, Publisher

CATCH_UP_SECONDS = 12.0
STEP_SECONDS = 0.5
AHEAD_QUARTERS = 48


class ShopFeed:
    """One generated shop: its device, and its till."""

    def __init__(self, shop: generator.Shop, folder: Path, broker: Broker, begin: datetime) -> None:
        self.site = shop.site
        self.through = begin
        layout = generator.layout(shop)
        self._config = layout.config
        self.outbox = Outbox(folder / shop.site, shop.site, shop.device)
        self.publisher = Publisher(
            broker,
            self.outbox,
            site=shop.site,
            device=shop.device,
            status=wire.Status(wire.VERSION, "online", "demo", config=layout.config),
            layout=layout,
            health=self._health,
            gauges=lambda: {generator.DISPLAY: self.inside},
            health_seconds=2.0,
        )
        self.inside = 0
        self.blind = False

    def _health(self) -> wire.Health:
        camera = wire.CameraHealth(
            through=self.through,
            state="offline" if self.blind else "ok",
            frames=0,
            fps=0.0 if self.blind else 10.0,
            dropped=0,
        )
        return wire.Health(
            v=wire.VERSION,
            time=datetime.now(UTC),
            epochs=self.outbox.epochs(),
            cameras={generator.CAMERA: camera},
            clock="synced",
            version="demo",
        )

    def send(self, events: list[wire.Event], until: datetime) -> None:
        """Number the events; there are no others before `until`."""
        if events:
            self.outbox.append(events, config=self._config, model="", clock="synced")
        for event in events:
            if isinstance(event, wire.Crossing):
                self.inside = max(0, self.inside + (1 if event.direction == "in" else -1))
            if isinstance(event, wire.Coverage):
                self.blind = event.cause != "ok"
        self.through = until


class Feed:
    """All generated shops: two hours in a dozen seconds, then as time goes on."""

    def __init__(
        self, folder: Path, broker: Broker, url: str, keys: dict[str, str], now: datetime, seed: int
    ) -> None:
        hours = 2
        end = generator.last_quarter(now)
        self._begin, self._now = end - timedelta(hours=hours), now
        self._shops = {
            shop.site: ShopFeed(shop, folder, broker, self._begin) for shop in generator.SHOPS
        }
        self._keys = keys
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        slices = generator.last_hours(now, seed, hours, AHEAD_QUARTERS)
        events = [(dated(event), each.site, event) for each in slices for event in each.events]
        orders = [(order.time, each.site, order) for each in slices for order in each.orders]
        self._events = deque(sorted(events, key=lambda each: each[0]))
        self._orders = deque(sorted(orders, key=lambda each: each[0]))
        self._tills = ThreadPoolExecutor(4)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed")
        self.caught_up = threading.Event()
        self.problems = 0

    def add_orders(self, site: str, orders: list[generator.Order]) -> None:
        """Orders of another site, to be sent when their time comes."""
        self._orders = deque(
            sorted([*self._orders, *((o.time, site, o) for o in orders)], key=lambda each: each[0])
        )

    def start(self) -> None:
        """Begin to send."""
        for shop in self._shops.values():
            shop.publisher.start()
        self._thread.start()

    def stop(self, seconds: float = 60.0) -> bool:
        """Stop sending; whether central has acknowledged everything."""
        self._stop.set()
        self._thread.join()
        drained = all(shop.publisher.drained(seconds) for shop in self._shops.values())
        for shop in self._shops.values():
            shop.publisher.stop()
            shop.outbox.close()
        return drained

    def _run(self) -> None:
        steps = int(CATCH_UP_SECONDS / STEP_SECONDS)
        for step in range(1, steps + 1):
            self._send(self._begin + (self._now - self._begin) * step / steps)
            if self._stop.wait(CATCH_UP_SECONDS / steps / 3):
                return
        self.caught_up.set()
        while not self._stop.wait(STEP_SECONDS):
            self._send(datetime.now(UTC))

    def _send(self, until: datetime) -> None:
        # Tills first: a window must not close before its orders are there.
        sold = []
        while self._orders and self._orders[0][0] < until:
            sold.append(self._orders.popleft())
        list(self._tills.map(self._post, sold))
        due: dict[str, list[wire.Event]] = {site: [] for site in self._shops}
        while self._events and self._events[0][0] <= until:
            _, site, event = self._events.popleft()
            due[site].append(event)
        for site, events in due.items():
            self._shops[site].send(events, until)

    def _post(self, sold: tuple[datetime, str, generator.Order]) -> None:
        time, site, order = sold
        call = {
            "event": "Order Completed",
            "timestamp": time.isoformat(),
            "properties": {
                "order_id": order.order_id,
                "total": order.value,
                "products": [{"quantity": order.units}],
            },
        }
        try:
            self._client.post(
                "/v1/track", json=call, auth=(self._keys[site], "")
            ).raise_for_status()
        except httpx.HTTPError:
            self.problems += 1


def dated(event: wire.Event) -> datetime:
    """When an event became certain."""
    if isinstance(event, wire.Crossing):
        return event.time
    if isinstance(event, wire.Visit):
        return event.exited
    if isinstance(event, wire.Path):
        return event.start + timedelta(seconds=event.duration)
    return event.stop
