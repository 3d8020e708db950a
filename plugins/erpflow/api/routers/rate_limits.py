"""What a vendor's account allows, what was used of it, and lower limits of a connection's own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Configuring, Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.routers.connections import connection_of
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.connectors.registry import connector_class
from erpflow.services.limiting import check_limit
from erpflow.store.connections import ErpConnection
from erpflow.store.limit_usage import SPANS, LimitUsage, Span, limit_usage, set_limits

router = APIRouter(tags=["connections"], route_class=IdempotentRoute)


class OwnLimits(Body):
    """Limits to be set; what is left out stays, null takes one back. They may only be lower than the system's own.

    In requests, or what the vendor counts in their place; `concurrent`: requests at the same time.
    """

    per_second: float | None = None
    per_minute: float | None = None
    per_hour: float | None = None
    per_day: float | None = None
    concurrent: int | None = None


class SpanOfLimits(Answer):
    """One span: what the system's data sheet allows, the connection's own limit, and what the current window holds."""

    span: Span
    allowed: float | None
    own: float | None
    used: float


class RateLimits(Answer):
    """A connection's limits and their use, whichever worker asks.

    `paused_until`: the vendor asked to be left alone until then. `total`: requests ever let through. `shared_with`:
    other connections to the same account, which use it up too.
    """

    limits: list[SpanOfLimits]
    paused_until: datetime | None
    total: int
    shared_with: list[str]


@router.get("/connections/{connection_id}/rate-limits")
def get_rate_limits(request: Request, caller: Looking, connection_id: UUID) -> RateLimits:
    """The limits of a connection, what is used of them in the windows that end now, and a pause."""
    around = surroundings_of(request)
    return _shown(around, connection_of(around, caller, connection_id))


@router.put("/connections/{connection_id}/rate-limits")
def set_rate_limits(request: Request, caller: Configuring, connection_id: UUID, body: OwnLimits) -> RateLimits:
    """Set lower limits of a connection's own. They hold from its next request on, whichever worker sends it."""
    around = surroundings_of(request)
    row = connection_of(around, caller, connection_id)
    sheet = connector_class(row.system).spec.limits
    wanted: dict[Span, float | None] = {span: getattr(body, span) for span in SPANS if span in body.model_fields_set}
    for span, number in wanted.items():
        if number is not None:
            check_limit(span, number, sheet, called=span)
    with around.database.owner() as store:  # what an account used belongs to no tenant, and follows its limits
        set_limits(store, row.id, wanted)
    return _shown(around, row)


def _shown(around: Surroundings, row: ErpConnection) -> RateLimits:
    """What is known of a connection that is the caller's: counts of an account belong to no tenant."""
    with around.database.owner() as store:
        found = limit_usage(store, row.id)
    sheet = connector_class(row.system).spec.limits
    return RateLimits(
        limits=[
            SpanOfLimits(span=span, allowed=getattr(sheet, span), own=found.own.get(span), used=_used(span, found))
            for span in SPANS
        ],
        paused_until=found.paused_until,
        total=found.total,
        shared_with=list(found.shared_with),
    )


def _used(span: Span, found: LimitUsage) -> float:
    if span == "concurrent":
        return sum(worker.requests for worker in found.under_way)
    return found.used.get(span, 0.0)
