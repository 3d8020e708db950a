"""Which row here is which record there, and every change of it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath

from erpflow.api.bodies import After, Answer, Limit, Page, page_of
from erpflow.api.callers import Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.store import listing, record_report
from erpflow.vocabulary import RecordStatus

router = APIRouter(tags=["sync records"], route_class=IdempotentRoute)

Id = Annotated[str | None, Query(max_length=2000, pattern=r"^[^\x00]+$")]


class SyncRecord(Answer):
    """The tie of one local row to one remote record. `id` goes into the path of its history."""

    id: str
    sync_config_id: str
    connection: str
    system: str
    entity: str
    remote_id: str
    local_id: str
    remote_version: str | None
    remote_modified_at: datetime | None
    status: RecordStatus
    last_direction: Literal["pull", "push"]
    synced_at: datetime
    deleted_at: datetime | None
    log_id: str | None
    first_log_id: str | None


class RecordChange(Answer):
    """One change of a record, and the run that made it. Only the fields that changed, as texts.

    `log_id` null: a person's decision. `before` and `after` both null: the record was created, as it came.
    """

    at: datetime
    direction: Literal["pull", "push"]
    change: Literal["created", "updated", "deleted", "resolved"]
    remote_id: str | None
    local_id: str | None
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None
    log_id: str | None
    kind: str | None
    dag_id: str | None
    dag_run_id: str | None
    run_link: str | None
    triggered_by: str | None


@router.get("/sync-records")
def list_sync_records(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    sync_config_id: UUID | None = None,
    status: RecordStatus | None = None,
    remote_id: Id = None,
    local_id: Id = None,
) -> Page[SyncRecord]:
    """The tenant's sync records, by sync config and the vendor's id."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(
            connection, record_report.LISTING, limit=limit, after=after, sync_config_id=sync_config_id, status=status,
            remote_id=remote_id, local_id=local_id,
        )  # fmt: skip
    told = [{**row, "id": record_id(row["sync_config_id"], row["remote_id"])} for row in rows]
    return Page[SyncRecord].model_validate(page_of((told, onward)))


@router.get("/sync-records/{record}/history")
def get_record_history(
    request: Request,
    caller: Looking,
    record: Annotated[str, InPath(max_length=4000, description="`id` of a sync record")],
    limit: Limit = 50,
    after: After = None,
) -> Page[RecordChange]:
    """Every change of one record with its run, the newest first; its creation is the oldest."""
    around, wanted = surroundings_of(request), _read(record)
    with around.database.session(caller.tenant_id) as connection:
        row = record_report.get(connection, *wanted) if wanted else None
        if wanted is None or (row is None and not record_report.has_history(connection, *wanted)):
            raise not_found("sync record", record)
        rows, onward = listing.page(
            connection, record_report.HISTORY, limit=limit, after=after, sync_config_id=wanted[0], remote_id=wanted[1],
            local_id=row["local_id"] if row else "",
        )  # fmt: skip
    link = around.orchestrator.run_link
    told = [{**one, "run_link": link(one["dag_id"], one["dag_run_id"]) if one["dag_run_id"] else None} for one in rows]
    return Page[RecordChange].model_validate(page_of((told, onward)))


def record_id(config_id: str, remote_id: str) -> str:
    """One word for config and remote id: the vendor's ids hold slashes and whatever else a path cannot."""
    return base64.urlsafe_b64encode(UUID(config_id).bytes + remote_id.encode()).decode().rstrip("=")


def _read(record: str) -> tuple[str, str] | None:
    try:
        raw = base64.urlsafe_b64decode(record + "=" * (-len(record) % 4))
        config_id, remote_id = str(UUID(bytes=raw[:16])), raw[16:].decode()
    except (binascii.Error, ValueError):
        return None
    return (config_id, remote_id) if remote_id and "\0" not in remote_id else None
