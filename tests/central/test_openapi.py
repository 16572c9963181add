"""The whole API, fuzzed along its own OpenAPI: never a 500."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet
from schemathesis.core.result import Ok

from central.api import create
from central.service import Service
from central.store import Store
from tests.central.intake.online_app import CONFIG, WEB


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    store = Store(folder / "data")
    yield create(Service(store, CONFIG.model_copy(update={"data": folder / "data"})))
    store.close()


def ask(app: FastAPI, case: schemathesis.Case[Any]) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(
                case.method,
                case.formatted_path,
                params=dict(case.query or {}),
                content=None if isinstance(case.body, NotSet) else json.dumps(case.body).encode(),
                auth=httpx.BasicAuth(WEB, ""),
            )

    return asyncio.run(answer())


def test_nothing_said_to_the_api_breaks_it(app: FastAPI) -> None:
    schema = schemathesis.openapi.from_dict(app.openapi())
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > 10

    @settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.sampled_from(operations).flatmap(lambda operation: operation.as_strategy()))
    def fuzz(case: schemathesis.Case[Any]) -> None:
        answer = ask(app, case)
        assert answer.status_code < 500, answer.content[:500]

    fuzz()
