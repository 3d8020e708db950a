"""One response that never ends: what a follower missed, then what happens, a sign of life in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from erpflow.api.event_hub import EventHub, Follower, frame
from erpflow.errors import ErpflowError
from erpflow.store import events
from erpflow.store.events import Event, Place, Wanted
from erpflow.store.tenancy import TenantDatabase

log = structlog.get_logger(__name__)

HEARTBEAT_S: Final = 15.0
LIFE_S: Final = 900.0
"""A stream ends after so long and is asked for again: a key that was revoked in between opens nothing."""

SEND_S: Final = 30.0
"""Whoever takes nothing for so long is gone."""

RETRY_MS: Final = 2_000
MISSED_ROWS: Final = 200
KEPT_S: Final = 24 * 3600
"""Events are kept for a day at least: see services/retention.py."""


class EventStream(Response):
    """Sends frames as they come; lets go of a client that has left, or takes none."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes, None] | None = None, **_more: Any) -> None:
        """`frames` is closed when the response ends, whichever way."""
        self.frames = frames
        self.status_code = 200
        self.background = None
        # nginx would collect the stream, and a cache would keep it.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        assert self.frames is not None  # noqa: S101  (without it only the OpenAPI is described)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pump = asyncio.create_task(self._pump(self.frames, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((pump, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not pump.done():
                pump.cancel()
            await asyncio.gather(pump, gone, return_exceptions=True)
        if not pump.cancelled():
            pump.result()

    async def _pump(self, frames: AsyncGenerator[bytes, None], send: Send) -> None:
        try:
            async with aclosing(frames):
                async for one in frames:
                    async with asyncio.timeout(SEND_S):
                        await send({"type": "http.response.body", "body": one, "more_body": True})
        except (TimeoutError, OSError) as error:
            log.info("event_client_gone", why=type(error).__name__)
            return
        except ErpflowError as error:  # it has begun, so there is no status to tell: the client comes back for the rest
            log.warning("event_stream_broken", error=str(error))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def frames(
    hub: EventHub, database: TenantDatabase, wanted: Wanted, after: Place | None
) -> AsyncGenerator[bytes, None]:
    """The frames of one stream: behind `after`, or from now on."""
    follower = await hub.join(wanted)
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        seen = follower.since
        if after is not None:
            resumed = await _resumable(database, wanted, after, follower.since)
            if not resumed:
                yield b'event: reset\ndata: {"reason": "Older events are gone. Read the state anew."}\n\n'
            seen = max(seen, after) if resumed else seen
            async for event in _missed(hub, database, wanted, after, follower):
                yield frame(event)
        yield _place(seen)
        async for one in _live(hub, follower, seen):
            yield one
    finally:
        hub.leave(follower)


async def _live(hub: EventHub, follower: Follower, seen: Place) -> AsyncGenerator[bytes, None]:
    """What happens behind `seen`, until the follower has ended or has lived for long enough."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + LIFE_S
    while follower.ended is None and clock() < ends_at:
        found = await follower.next(patience_s=HEARTBEAT_S)
        if found is not None:
            place, told = found
            if place > seen:
                seen = place
                yield told
        elif follower.ended is None:
            seen = max(seen, hub.place_of(follower) or seen)
            yield _place(seen)
    yield b": %b\nretry: %d\n\n" % ((follower.ended or "renew").encode(), RETRY_MS)


async def _missed(
    hub: EventHub, database: TenantDatabase, wanted: Wanted, after: Place, follower: Follower
) -> AsyncGenerator[Event, None]:
    """What happened between `after` and what the follower is offered, a few rows at a time."""

    def read(behind: Place) -> list[Event]:
        with database.session(wanted.tenant_id) as connection:
            return events.missed(connection, wanted, after=behind, until=follower.since, limit=MISSED_ROWS)

    behind, more = after, after < follower.since
    while more and follower.ended is None:
        async with hub.catching_up:
            found = await run_in_threadpool(read, behind)
        for event in found:
            yield event
        more = len(found) == MISSED_ROWS
        behind = found[-1].place if found else behind


async def _resumable(database: TenantDatabase, wanted: Wanted, after: Place, now: Place) -> bool:
    """Whether everything behind `after` is still there, in the database that `after` is of."""
    if after.at < now.at - KEPT_S:
        return False
    if after <= now:
        return True

    def known() -> bool:
        with database.session(wanted.tenant_id) as connection:
            return events.is_known(connection, after)

    return await run_in_threadpool(known)


def _place(place: Place) -> bytes:
    """No event, but the id that the next request resumes from: a quiet stream does not fall behind what is kept."""
    return b": alive\nid: %b\n\n" % str(place).encode()
