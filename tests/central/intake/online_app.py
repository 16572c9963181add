"""The HTTP intake in this process, as its tests speak to it."""

import asyncio
import json
from typing import Any

import httpx
from fastapi import FastAPI

from central.config import Config, ShopifyShop, Site, WriteKey
from central.intake.http import router
from central.intake.online import OnlineIntake
from central.store import Store

TILL, WEB, SECRET = "till-key-1", "web-key-1", "shopify-secret"
CONFIG = Config(
    sites=(Site(id="leeds"), Site(id="web", kind="web", currency="EUR")),
    write_keys=(
        WriteKey(key=TILL, site="leeds"),
        WriteKey(key=WEB, site="web", channel="web"),
        WriteKey(key="search-key", site="web", channel="search"),
        WriteKey(key="email-key", site="web", channel="email"),
        WriteKey(key="social-key", site="web", channel="social"),
        WriteKey(key="support-key", site="web", channel="support"),
        WriteKey(key="app-key-1", site="web", channel="app"),
    ),
    shopify=(ShopifyShop(site="web", secret=SECRET),),
)


class Client:
    """Asks the application; what it raises is raised here."""

    def __init__(self, intake: OnlineIntake) -> None:
        self.intake = intake
        self.app = FastAPI()
        self.app.include_router(router(intake))

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def post(self, path: str, body: Any, key: str | None = WEB, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        auth = httpx.BasicAuth(key, "") if key is not None else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, content=content, auth=auth, headers=named)


def rows(store: Store, query: str) -> list[Any]:
    return store.central().execute(query).fetchall()


def quarantine(store: Store) -> list[tuple[str, str]]:
    return rows(store, "select place, reason from quarantine order by id")
