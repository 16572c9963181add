"""The SDK that shops already have, pointed at central: what it sends is what is kept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.end_to_end.processes import Stack, wait_until

analytics = pytest.importorskip("segment.analytics.client", reason="make test installs the SDK")

KEY = "web-shop-key"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(
        tmp_path,
        {
            "sites": [{"id": "web", "kind": "web", "currency": "EUR"}],
            "write_keys": [{"key": KEY, "site": "web", "channel": "web"}],
        },
    )
    stack.start()
    yield stack
    stack.close()


def read(shop: Stack, query: str) -> list[Any]:
    with duckdb.connect(str(shop.data / "central.duckdb"), read_only=True) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("gzip", [False, True])
def test_what_the_sdk_sends_is_kept(shop: Stack, *, gzip: bool) -> None:
    failed: list[Any] = []
    client = analytics.Client(
        KEY,
        host=f"http://127.0.0.1:{shop.http_port}",
        gzip=gzip,
        upload_interval=0.05,
        on_error=lambda error, items: failed.append((error, items)),
        proxies={"http": ""},
    )
    consent = {"consent": {"categoryPreferences": {"analytics": True}}}
    client.page(anonymous_id="cookie", name="Home", properties={"path": "/"})
    client.identify("ada", {"email": "ada@example.org"}, anonymous_id="cookie")
    for number in range(300):
        client.track("ada", "Product Viewed", {"sku": f"tea-{number}", "emoji": "🫖"}, consent)
    client.track("ada", "Order Completed", {"order_id": "1", "total": 24.5, "store": "leeds"})
    client.screen("ada", "Basket")
    client.group("ada", "acme")
    client.alias("ada", "ada.l")
    client.flush()
    client.shutdown()
    assert failed == []

    def arrived() -> bool:
        found: dict[str, Any] = shop.get("/v1/health")["online"]
        return bool(found["events"] == 306 and not found["quarantined"])

    wait_until(arrived, 20, lambda: str(shop.get("/v1/health")["online"]))
    names = {(each["kind"], each["name"]): each["count"] for each in shop.get("/v1/events")}
    assert names["track", "Product Viewed"] == 300
    assert shop.central.stop() == 0
    assert read(shop, "select distinct person from online") == [("ada.l",)]
    assert read(shop, "select order_id, value, currency, person, store from orders") == [
        ("1", 24.5, "EUR", "ada.l", "leeds")
    ]
    assert read(shop, "select count(*) from online where analytics and not ads") == [(300,)]
    ((oldest,),) = read(shop, 'select min("time") from online')
    assert datetime.now(UTC) - oldest.replace(tzinfo=UTC) < timedelta(minutes=5)
