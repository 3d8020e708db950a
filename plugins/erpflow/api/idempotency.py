"""POSTs that carry `Idempotency-Key` are done once: a repetition gets the first answer.

Source: the IETF draft "The Idempotency-Key HTTP Header Field". A request that failed may be sent again with its key.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from erpflow.api.callers import identify
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import surroundings_of
from erpflow.store import idempotency
from erpflow.vocabulary import TenantId

HEADER = "Idempotency-Key"
LONGEST = 255
REPLAYED = "Idempotency-Replayed"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """A route whose POSTs honour the header; everything else passes through."""

    def get_route_handler(self) -> Handler:
        """The handler of the route, asked at most once per key."""
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if request.method != "POST" or key is None:
                return await handle(request)
            if not 0 < len(key) <= LONGEST or not key.isprintable():
                raise ApiError(HTTPStatus.BAD_REQUEST, "invalid", f"{HEADER}: 1 to {LONGEST} printable characters.")
            return await _once(request, key, handle)

        return once


async def _once(request: Request, key: str, handle: Handler) -> Response:
    caller, around = await identify(request), surroundings_of(request)
    cipher = around.cipher()
    asked = b"\0".join((request.url.path.encode(), request.url.query.encode(), await request.body()))

    def claim() -> idempotency.Earlier | None:
        with around.database.session(caller.tenant_id) as connection:
            return idempotency.claim(connection, caller.tenant_id, key, asked, cipher=cipher)

    earlier = await run_in_threadpool(claim)
    if earlier is not None:
        return _again(earlier)
    try:
        response = await handle(request)
    except BaseException:
        await run_in_threadpool(_release, request, caller.tenant_id, key)
        raise
    if isinstance(response, StreamingResponse) or response.status_code >= HTTPStatus.BAD_REQUEST:
        await run_in_threadpool(_release, request, caller.tenant_id, key)
        return response

    def settle() -> None:
        with around.database.session(caller.tenant_id) as connection:
            body = bytes(response.body)
            idempotency.settle(connection, caller.tenant_id, key, status=response.status_code, body=body, cipher=cipher)

    await run_in_threadpool(settle)
    return response


def _release(request: Request, tenant_id: TenantId, key: str) -> None:
    with surroundings_of(request).database.session(tenant_id) as connection:
        idempotency.release(connection, tenant_id, key)


def _again(earlier: idempotency.Earlier) -> Response:
    if not earlier.same:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            f"This {HEADER} came with another request before.",
        )
    if earlier.status is None:
        raise ApiError(
            HTTPStatus.CONFLICT, "in_progress", f"A request with this {HEADER} is being worked on. Ask again shortly."
        )
    return Response(earlier.body, status_code=earlier.status, media_type="application/json", headers={REPLAYED: "true"})
