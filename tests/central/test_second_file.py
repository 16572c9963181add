"""What leaves central by API, SQL and page comes from `central.duckdb`: no raw floor event does."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import httpx
from fastapi import FastAPI

from central import sql, windows
from central.api import create
from central.config import Config, Site
from central.service import Service
from central.store import Store
from edge import wire
from tests.central.device import SITE, batch, health, layout

EPOCH, TRACK = "deadbeefdeadbeef", "feedfacefeedface"
NOW = datetime.now(UTC)


def raw_events() -> list[wire.Event]:
    """One of each kind, an hour old."""
    then = (NOW - timedelta(hours=1)).replace(microsecond=0)
    return [
        wire.Crossing("ground", "entrance", ("door",), then, "in", TRACK),
        wire.Visit("ground", "till", ("door",), TRACK, then, then, 9.5, 1, "left"),
        wire.Path("ground", ("door",), TRACK, then, 3.0, 2.5, ((0.0, 1.0, 2.0),), ("till",)),
        wire.Occupancy("ground", "till", then, then, 0, 1.5, 3),
        wire.Queue("ground", "till", then, then, 1.5, 4, 5, 3, 1, 0, 1, (1, 2, 0)),
        wire.Coverage("door", then, then, 590, 600, "ok"),
    ]


async def ask(app: FastAPI, paths: list[str]) -> list[str]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://central") as client:
        answers = [await client.get(path, params={"site": SITE}) for path in paths]
    assert all(answer.status_code < 500 for answer in answers)
    return [answer.text for answer in answers]


def test_no_answer_holds_a_raw_event(store: Store) -> None:
    service = Service(store, Config(data=store.folder, sites=(Site(id=SITE),)))
    refused = json.loads(wire.encode(raw_events()[0])) | {"line": "No Slug"}
    service.intake.take(
        [
            layout({"entrance": "entrance"}, ["till"]),
            batch(0, [*raw_events(), refused], epoch=EPOCH),
            health({EPOCH: 9}, {"door": NOW}),
        ]
    )
    windows.rebuild(store, 24, NOW)
    app = create(service)
    paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]
    assert {"/v1/gaps", "/v1/series", "/v1/health", "/v1/incidents"} <= set(paths)
    answers = asyncio.run(ask(app, paths))
    answers += [sql.write(sql.ask(store, f"from {table}"), "json") for table in sql.OPEN]
    everything = "\n".join(answers)
    assert '"missing":2' in everything
    assert '"footfall"' in everything
    assert TRACK not in everything
    assert EPOCH not in everything
