"""The API's series: every metric at every resolution, and what may not be asked."""

import asyncio
from typing import Any

import httpx
import pytest

from central import windows
from central.api import create
from central.config import Config, Site
from central.metrics import CATALOGUE
from central.service import Service
from central.store import Store
from tests.central import online
from tests.central.device import MONDAY
from tests.central.online import Event

CONFIG = Config(
    sites=(Site(id="leeds", currency="EUR"), Site(id="web", kind="web", time_zone="Europe/London"))
)
SPAN = {"start": "2026-03-02T00:00:00Z", "stop": "2026-03-03T00:00:00Z"}


class Api:
    """Asks the application in this process; what it raises is raised here."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._app = create(service)

    def get(self, path: str, **params: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get(path, params=params)

        return asyncio.run(ask())

    def series(self, site: str, metric: str, **more: str) -> Any:
        answer = self.get("/v1/series", site=site, metric=metric, **SPAN, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def api(store: Store) -> Api:
    return Api(Service(store, CONFIG))


@pytest.mark.parametrize("step", ["15min", "hour", "day"])
def test_every_metric_can_be_read(api: Api, step: str) -> None:
    for metric in api.get("/v1/metrics").json():
        told = api.series("leeds", metric["name"], resolution=step)
        assert {point["status"] for point in told["points"]} == {"open"}
        assert all(point["value"] is None for point in told["points"])
        assert len(told["points"]) == {"15min": 96, "hour": 24, "day": 1}[step]
        subject = "till" if metric["subject"] else ""
        assert api.series("leeds", metric["name"], resolution=step, subject=subject)["points"]


def test_the_catalogue_is_listed(api: Api) -> None:
    listed = api.get("/v1/metrics").json()
    assert [metric["name"] for metric in listed] == list(CATALOGUE)
    assert all(metric["sentence"] and metric["area"] for metric in listed)


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"site": "york"}, 404, "no site york; add it under `sites`"),
        ({"metric": "fame"}, 404, "no metric fame; there are footfall, "),
        ({"metric": "conversion", "subject": "pos"}, 400, "leave `subject` out"),
        ({"subject": "Front Door"}, 422, "subject"),
        ({"resolution": "week"}, 422, "resolution"),
        ({"start": "2026-03-02T00:00:00"}, 422, "start"),
        ({"start": "2026-03-04T00:00:00Z"}, 400, "stop must be after start"),
    ],
)
def test_what_cannot_be_read_says_why(
    api: Api, params: dict[str, str], status: int, words: str
) -> None:
    answer = api.get("/v1/series", **{"site": "leeds", **SPAN, **params})
    assert answer.status_code == status
    assert words in answer.text


def test_money_has_its_currency_and_lists_the_others(api: Api) -> None:
    rows = [("1", 12.0, "EUR"), ("2", 5.0, "GBP")]
    with api.service.store.write() as cursor:
        for order, value, currency in rows:
            cursor.execute(
                'insert into orders (site, channel, order_id, "time", value, units, currency,'
                " kind) values ('leeds', 'pos', ?, '2026-03-02 12:00:00', ?, 1, ?, 'sale')",
                [order, value, currency],
            )
    api.service.tick()
    told = api.series("leeds", "revenue", resolution="day")
    assert (told["unit"], told["other_currencies"]) == ("EUR", {"GBP": 5.0})
    assert told["points"][0]["value"] == 12.0
    assert "other_currencies" not in api.series("leeds", "orders")


def test_online_events_are_counted_by_the_tick(api: Api) -> None:
    online.put(api.service.store, [Event(1, 60.0), Event(2, 1200.0)])
    api.service.tick()
    told = api.series("web", "sessions", resolution="day", subject="web")
    assert told["points"][0]["value"] == 1.0
    # A later one is counted once the intake has said in which window.
    online.put(api.service.store, [Event(3, 7200.0)])
    api.service.tick()
    assert api.series("web", "sessions", resolution="day")["points"][0]["value"] == 1.0
    api.service.online.change(windows.key(MONDAY) + 8)
    api.service.tick()
    assert api.series("web", "sessions", resolution="day")["points"][0]["value"] == 2.0
