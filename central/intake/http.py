"""HTTP intake: the calls of the Segment spec, and Shopify's webhooks.

A write key is the user name of HTTP Basic, or `writeKey` in the body. Answers are those of the
spec: 200 for what has arrived, be it kept or quarantined; 400 for what is no JSON or too large.
"""

import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import duckdb
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from central.intake import batches, segment, shopify
from central.intake.batches import RefusedError
from central.intake.online import Arrived, OnlineIntake, Refused
from central.intake.segment import KINDS, Kind, Source

_basic = HTTPBasic(auto_error=False, description="The write key as user name; no password.")
_ANY_PAGE = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "authorization, content-type, content-encoding",
    "access-control-max-age": "86400",
}
Answer = dict[str, bool]
Credentials = Annotated[HTTPBasicCredentials | None, Depends(_basic)]

_CALL = {
    "type": "object",
    "properties": {
        "type": {"enum": list(KINDS)},
        "event": {"type": "string", "examples": ["Order Completed"]},
        "name": {"type": "string"},
        "userId": {"type": ["string", "number"]},
        "anonymousId": {"type": ["string", "number"]},
        "previousId": {"type": "string"},
        "groupId": {"type": "string"},
        "messageId": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "sentAt": {"type": "string", "format": "date-time"},
        "properties": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string"},
                "total": {"type": ["number", "string"]},
                "currency": {"type": "string"},
                "products": {"type": "array", "items": {"type": "object"}},
            },
        },
        "traits": {"type": "object"},
        "context": {"type": "object"},
    },
}
_BATCH = {
    "type": "object",
    "properties": {
        "batch": {"type": "array", "items": _CALL},
        "sentAt": {"type": "string", "format": "date-time"},
        "writeKey": {"type": "string"},
        "context": {"type": "object"},
    },
    "required": ["batch"],
}


class BodyError(Exception):
    """A body that cannot be read: why, and what is there of it."""

    def __init__(self, reason: str, raw: bytes) -> None:
        super().__init__(reason)
        self.raw = raw


def router(intake: OnlineIntake) -> APIRouter:
    """The routes of the HTTP intake."""
    routes = APIRouter(prefix="/v1", tags=["intake"])

    def add(paths: tuple[str, ...], name: str, words: str, schema: dict[str, Any]) -> None:
        body = {"required": True, "content": {"application/json": {"schema": schema}}}
        for number, path in enumerate(paths):
            routes.add_api_route(
                path,
                _endpoint(intake, next((kind for kind in KINDS if kind == name), None)),
                methods=["POST"],
                name=name,
                summary=words,
                include_in_schema=number == 0,
                openapi_extra={"requestBody": body},
            )

    for kind in KINDS:
        # One letter is how the SDK for browsers calls it.
        add((f"/{kind}", f"/{kind[0]}"), kind, f"Take in one `{kind}` call.", _CALL)
    add(("/batch", "/b", "/import"), "batch", "Take in many calls, each with its `type`.", _BATCH)

    @routes.options("/{path:path}", include_in_schema=False)
    async def preflight(path: str) -> Response:
        return Response(status_code=204, headers=_ANY_PAGE)

    @routes.post(
        "/shopify/{site}",
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}}},
    )
    async def webhook(
        request: Request,
        site: Annotated[str, Path(pattern="^[a-z0-9-]{1,40}$")],
        x_shopify_topic: Annotated[str, Header()] = "",
        x_shopify_hmac_sha256: Annotated[str, Header()] = "",
    ) -> Answer:
        """Take in an order webhook, signed with the shop's secret."""
        shop = intake.shopify(site)
        if shop is None:
            raise HTTPException(404, f"no Shopify shop at {site}; add it under `shopify`")
        try:
            body = await _body(request, shopify.BODY_BYTES)
        except BodyError as error:
            raise HTTPException(400, str(error)) from error
        if not shopify.signed(shop.secret, body, x_shopify_hmac_sha256):
            raise HTTPException(401, "not signed with the secret under `shopify`")
        received, source, arrived = datetime.now(UTC), intake.source(shop), Arrived()
        try:
            call = shopify.translate(x_shopify_topic, body)
        except RefusedError as error:
            place = f"/v1/shopify/{site} {x_shopify_topic}"[:100]
            arrived.refused.append(Refused(source, place, str(error), body, received))
        else:
            if call is not None:
                arrived.add(call, source, received, "/v1/track", kind="track")
        await _take(intake, arrived)
        return {"success": True}

    return routes


def _endpoint(intake: OnlineIntake, kind: Kind | None) -> Callable[..., Awaitable[Answer]]:
    place = f"/v1/{kind or 'batch'}"
    limit = segment.EVENT_BYTES if kind else segment.BATCH_BYTES

    async def endpoint(request: Request, response: Response, credentials: Credentials) -> Answer:
        received, arrived, unread = datetime.now(UTC), Arrived(), None
        try:
            body = await _body(request, limit)
        except BodyError as error:
            body, unread = error.raw, str(error)
        source = _source(intake, credentials, body)
        response.headers.update(_ANY_PAGE)
        if unread is not None:
            arrived.refused.append(Refused(source, place, unread, body, received))
        elif kind:
            arrived.add(body, source, received, place, kind=kind)
        else:
            unread = arrived.add_batch(body, source, received)
        await _take(intake, arrived)
        if unread is not None or (kind and arrived.refused and not _is_json(body)):
            reason = arrived.refused[0].reason
            raise HTTPException(400, reason, {"access-control-allow-origin": "*"})
        return {"success": True}

    return endpoint


def _is_json(body: bytes) -> bool:
    try:
        batches.decodable(body)
    except RefusedError:
        return False
    return True


def _source(intake: OnlineIntake, credentials: HTTPBasicCredentials | None, body: bytes) -> Source:
    written = credentials.username if credentials else batches.write_key(body)
    key = intake.key(written) if written else None
    if key is None:
        raise HTTPException(
            401,
            "unknown write key; add it under `write_keys`",
            {"www-authenticate": "Basic", "access-control-allow-origin": "*"},
        )
    return intake.source(key)


async def _take(intake: OnlineIntake, arrived: Arrived) -> None:
    if arrived.events or arrived.refused:
        try:
            await run_in_threadpool(intake.take, arrived)
        except duckdb.Error as error:
            raise HTTPException(503, "nothing can be stored now; send it again") from error


async def _body(request: Request, limit: int) -> bytes:
    """The body, unpacked; of what is larger than `limit`, the first bytes. Raises BodyError."""
    packed = request.headers.get("content-encoding", "").lower()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyError(f"more than {limit} bytes; send smaller ones", bytes(body[:limit]))
    if packed in ("", "identity"):
        return bytes(body)
    if packed != "gzip":
        raise BodyError("content-encoding: only gzip can be unpacked", bytes(body))
    # Never more than the limit is unpacked, whatever the few bytes claim to hold.
    unpacking = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacking.decompress(bytes(body), limit + 1)
    except zlib.error as error:
        raise BodyError(f"not gzip: {error}", bytes(body)) from error
    if len(unpacked) > limit:
        raise BodyError(f"more than {limit} bytes when unpacked", unpacked[:limit])
    if not unpacking.eof:
        raise BodyError("gzip: the end is missing", unpacked)
    return unpacked
