"""Syncing customers with ERPNext now, as existing systems ask for it: the plain form, and one with options.

No document describes the bodies of these routes; the names here are UNVERIFIED beyond the paths.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import AliasChoices, Field

from erpflow.api.callers import Running
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.starting import MOST_RECORDS, Runs, Started, Wanted
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.api.vendors.wording import PlainlyWorded
from erpflow.vocabulary import Direction

router = APIRouter(tags=["erpnext"], route_class=PlainlyWorded)

SYSTEM, ENTITY = "erpnext", "customer"


class CustomersWanted(Wanted):
    """Which customers: what changed, everything (`full`), or those with these names in ERPNext (`records`)."""

    records: list[str] = Field(
        default=[],
        max_length=MOST_RECORDS,
        validation_alias=AliasChoices("records", "customer_ids", "customerIds"),
        description="Only these, by their names in ERPNext",
    )


class EnhancedWanted(CustomersWanted):
    """The same in a direction, and of a span of time (UTC). Without a direction: as the sync config says."""

    direction: Literal["pull", "push"] | None = None
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False


@router.post("/sync")
def sync_customers(
    request: Request, caller: Running, body: CustomersWanted | None = None, connection_id: WhichConnection = None
) -> Started:
    """Start a pull of customers from ERPNext."""
    around = surroundings_of(request)
    runs = Runs(around, caller, own_connection(around, caller, SYSTEM, connection_id))
    runs.check_company(body)
    wanted = body or CustomersWanted()
    run = runs.start(ENTITY, Direction.PULL, full=wanted.full, records=wanted.records)
    return Started(message="The sync of customers has started", data=[run])


@router.post("/sync/enhanced")
def sync_customers_enhanced(
    request: Request, caller: Running, body: EnhancedWanted | None = None, connection_id: WhichConnection = None
) -> Started:
    """Start a sync of customers with options: a direction, a span of time, a dry run."""
    around = surroundings_of(request)
    runs = Runs(around, caller, own_connection(around, caller, SYSTEM, connection_id))
    runs.check_company(body)
    wanted = body or EnhancedWanted()
    for moment in (wanted.since, wanted.until):
        if moment is not None and moment.tzinfo is None:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "since and until need an offset, such as 2026-01-19T00:00Z."
            )
    run = runs.start(
        ENTITY,
        Direction(wanted.direction) if wanted.direction else None,
        full=wanted.full,
        records=wanted.records,
        since=wanted.since,
        until=wanted.until,
        dry_run=wanted.dry_run,
    )
    return Started(message="The sync of customers has started", data=[run])
