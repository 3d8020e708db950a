"""What happens, as it happens."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool

from erpflow.api.bodies import Answer
from erpflow.api.callers import Caller, Looking
from erpflow.api.event_hub import EventHub
from erpflow.api.event_stream import EventStream, frames
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.store import events
from erpflow.store.events import Place, Wanted
from erpflow.vocabulary import EventKind, SyncConfigId

router = APIRouter(tags=["events"], route_class=IdempotentRoute)


class StreamedEvent(Answer):
    """The `data` of one event. What `payload` holds depends on `kind`, and is described in docs/how-to-monitor.md."""

    kind: EventKind
    at: datetime
    sync_config_id: str | None
    log_id: str | None
    payload: dict[str, Any]


@router.get(
    "/events/stream",
    status_code=200,  # said here, for FastAPI cannot read it off this class and describes nothing at all then
    response_class=EventStream,
    responses={HTTPStatus.OK: {"model": StreamedEvent, "description": "An event stream; the schema is that of `data`"}},
)
async def stream_events(
    request: Request,
    caller: Looking,
    kinds: Annotated[list[EventKind] | None, Query(description="Only these; all without it")] = None,
    sync_config_id: Annotated[UUID | None, Query(description="Only what concerns this sync")] = None,
    after: Annotated[str | None, Query(max_length=100, description="As Last-Event-ID, where no header can be")] = None,
    last_event_id: Annotated[str | None, Header(max_length=100, description="Resume behind this event")] = None,
) -> EventStream:
    """Server-sent events of the tenant: syncs that open, progress and close, records that change, conflicts, webhooks.

    `Last-Event-ID` resumes without a gap within a day; `event: reset` says that older events are gone. A client that
    does not keep up is cut off, and resumes by itself. A comment every 15 seconds shows that the stream lives.
    """
    around = surroundings_of(request)
    resumed = last_event_id or after
    place = Place.read(resumed) if resumed else None
    if sync_config_id is not None:
        await run_in_threadpool(_check, around, caller, sync_config_id)
    config = SyncConfigId(str(sync_config_id)) if sync_config_id else None
    wanted = Wanted(caller.tenant_id, frozenset(kinds or ()), config)
    hub: EventHub = request.app.state.events
    await hub.ready()  # so that a database that is away is a 503, not a stream that breaks off
    return EventStream(frames(hub, around.database, wanted, place))


def _check(around: Surroundings, caller: Caller, config_id: UUID) -> None:
    with around.database.session(caller.tenant_id) as connection:
        if not events.has_sync(connection, SyncConfigId(str(config_id))):
            raise not_found("sync config", config_id)
