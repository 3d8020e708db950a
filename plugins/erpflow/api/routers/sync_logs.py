"""The history of syncs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.templating import Jinja2Templates

from erpflow.api.bodies import After, Answer, Limit, Page, page_of
from erpflow.api.callers import Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.store import listing, rejects, sync_log_report, sync_logs
from erpflow.vocabulary import Direction, SyncLogId, SyncStatus

router = APIRouter(tags=["syncs"], route_class=IdempotentRoute)

TEMPLATES = Jinja2Templates(directory=Path(__file__).parents[2] / "ui" / "templates")
PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
REJECTS_SHOWN = 100


class SyncLog(Answer):
    """One run of one sync config. A finished run's outcomes add up to `read_count`."""

    id: str
    sync_config_id: str
    connection_id: str
    connection: str
    system: str
    entity: str
    direction: Direction
    kind: str
    status: SyncStatus
    dry_run: bool
    triggered_by: str | None
    dag_id: str | None
    dag_run_id: str | None
    run_link: str | None = None
    window_since: datetime | None
    window_until: datetime | None
    pages: int
    chunks_applied: int
    chunks_total: int | None
    read_count: int
    created_count: int
    updated_count: int
    unchanged_count: int
    deleted_count: int
    conflict_count: int
    rejected_count: int
    ignored_count: int
    ignored_reasons: dict[str, int]
    error: str | None
    error_kind: str | None
    deletes_waiting: int
    started_at: datetime
    finished_at: datetime | None


class RejectedHere(Answer):
    """A record that this run rejected, and why."""

    remote_id: str | None
    problems: list[dict[str, Any]]


class SyncLogInFull(SyncLog):
    """One run with the first of its rejects."""

    rejects: list[RejectedHere]


@router.get("/sync-logs")
def list_sync_logs(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    sync_config_id: UUID | None = None,
    connection_id: UUID | None = None,
    entity: Annotated[str | None, Query(max_length=200)] = None,
    status: SyncStatus | None = None,
    direction: Direction | None = None,
    dag_run_id: Annotated[str | None, Query(max_length=250)] = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[SyncLog]:
    """The tenant's syncs, the newest first."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(
            connection, sync_log_report.LISTING, limit=limit, after=after, sync_config_id=sync_config_id,
            connection_id=connection_id, entity=entity, status=status, direction=direction, dag_run_id=dag_run_id,
            since=since, until=until,
        )  # fmt: skip
    return Page[SyncLog].model_validate(page_of(([_linked(around, row) for row in rows], onward)))


@router.get(
    "/sync-logs/{log_id}",
    response_model=SyncLogInFull,
    responses={200: {"content": {"text/html": {}}, "description": "JSON, or a page for a browser"}},
)
def get_sync_log(request: Request, caller: Looking, log_id: UUID) -> Any:
    """One sync: its counts, why it failed, the first of its rejects, and where Airflow shows the run."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        row = sync_log_report.get(connection, str(log_id))
        if row is None:
            raise not_found("sync log", log_id)
        refused = rejects.of_log(connection, SyncLogId(str(log_id)), limit=REJECTS_SHOWN)
        if "text/html" in request.headers.get("accept", ""):
            summary = sync_logs.summary(connection, SyncLogId(str(log_id)))
            return _page(request, {"log": summary, "rejects": refused})
    return _linked(around, row) | {"rejects": refused}


def _page(request: Request, context: dict[str, Any]) -> Response:
    page = TEMPLATES.TemplateResponse(request, "sync_log.html", context)
    return HTMLResponse(bytes(page.body), headers=PAGE_HEADERS)


def _linked(around: Surroundings, row: dict[str, Any]) -> dict[str, Any]:
    """A log with the way to its run in Airflow."""
    link = around.orchestrator.run_link(row["dag_id"], row["dag_run_id"]) if row["dag_run_id"] else None
    return {**row, "run_link": link}
