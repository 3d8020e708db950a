"""Syncs started by a program or a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import AfterValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Caller, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import known_config
from erpflow.api.problems import ApiError
from erpflow.api.starting import StartedRun, check_directions, run_id_of, start_sync
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.errors import ErpflowError
from erpflow.store import sync_log_report
from erpflow.sync.plan import RunRequest
from erpflow.vocabulary import Direction, SyncConfigId

router = APIRouter(tags=["syncs"], route_class=IdempotentRoute)

POLL_S = 0.5
NDJSON = "application/x-ndjson"
WORDS = {
    "pull": Direction.PULL,
    "remote_to_local": Direction.PULL,
    "push": Direction.PUSH,
    "local_to_remote": Direction.PUSH,
    "bidirectional": None,
}
COUNTS = {
    "records_processed": ("read_count",),
    "records_success": ("created_count", "updated_count", "unchanged_count", "deleted_count"),
    "records_failed": ("rejected_count",),
    "records_skipped": ("ignored_count", "conflict_count"),
}


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]
RecordId = Annotated[str, Field(min_length=1, max_length=2000)]


class SyncRequest(Body):
    """What to sync. `sync_direction`: left out, as configured. `record_ids`: the vendor's; with a push, the keys here.

    `since`, `until`: a span of the vendor's modification times, UTC without an offset. `triggered_by`: who asked, for
    the history.
    """

    sync_config_id: UUID
    sync_direction: Literal["pull", "push", "bidirectional", "remote_to_local", "local_to_remote"] | None = None
    sync_type: Literal["full", "incremental", "manual", "webhook", "scheduled"] = "incremental"
    triggered_by: str | None = Field(default=None, max_length=200, pattern=r"^[^\x00-\x1f]*$")
    record_ids: list[RecordId] = Field(default=[], max_length=10_000)
    since: Moment | None = None
    until: Moment | None = None
    dry_run: bool = False
    allow_deletes: bool = False


class SyncStarted(Answer):
    """A sync that was started. `log_ids` has its log for each direction, `log_id` the first of them.

    `status`: running, completed, partial, failed, or skipped when its window holds nothing. Success is what is in
    step now, failed what was rejected, skipped what was ignored or is in conflict; together they are what was
    processed. `timed_out`: it runs on, and nobody waits for it any longer.
    """

    model_config = ConfigDict(populate_by_name=True)

    log_id: str | None
    log_ids: dict[Direction, str]
    dag_id: str
    dag_run_id: str
    run_link: str | None
    status: Literal["running", "completed", "partial", "failed", "skipped"]
    records_processed: int = Field(alias="recordsProcessed")
    records_success: int = Field(alias="recordsSuccess")
    records_failed: int = Field(alias="recordsFailed")
    records_skipped: int = Field(alias="recordsSkipped")
    error: str | None = None
    timed_out: bool = False


@router.post(
    "/sync",
    status_code=HTTPStatus.ACCEPTED,
    response_model=SyncStarted,
    responses={
        200: {
            "description": "With wait=true: a line of JSON for each step, the last one with the final counts",
            "content": {NDJSON: {"schema": {"$ref": "#/components/schemas/SyncStarted"}}},
        }
    },
)
def trigger_sync(
    request: Request,
    caller: Running,
    body: SyncRequest,
    *,
    wait: Annotated[bool, Query(description="Stream the progress until the counts are final")] = False,
    timeout_s: Annotated[float, Query(gt=0, le=3600, description="How long to wait, in seconds")] = 300.0,
) -> Any:
    """Start a sync now. Its logs are there with the answer; repeated with its Idempotency-Key it is the same run."""
    around = surroundings_of(request)
    row = known_config(around, caller, body.sync_config_id)
    asked = _asked(body)
    check_directions(row, asked, field="sync_direction")
    by = f"{caller.name} ({body.triggered_by})" if body.triggered_by else caller.name
    started = start_sync(around, row, asked, run_id=run_id_of(request, caller), by=by)
    if wait:
        return StreamingResponse(_follow(around, caller, started, timeout_s=timeout_s), media_type=NDJSON)
    return _accepted(_state(around, caller, started))


def _asked(body: SyncRequest) -> RunRequest:
    """The request of a run. Raises 422 for what contradicts itself, naming the field."""
    has_dates = body.since is not None or body.until is not None
    wrong = None
    if body.since is not None and body.until is not None and body.since >= body.until:
        wrong = "until", "is not after since: the window holds nothing"
    elif body.record_ids and has_dates:
        wrong = "record_ids", "say for themselves what to sync; leave since and until out"
    elif body.sync_type == "full" and (has_dates or body.record_ids):
        wrong = "sync_type", "is full, which reads everything; leave since, until and record_ids out"
    if wrong is not None:
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", " ".join(wrong) + ".", field=wrong[0])
    return RunRequest(
        kind="manual",
        config_id=SyncConfigId(str(body.sync_config_id)),
        direction=WORDS[body.sync_direction] if body.sync_direction else None,
        full=body.sync_type == "full",
        since=body.since,
        until=body.until,
        record_ids=tuple(body.record_ids),
        dry_run=body.dry_run,
        allow_deletes=body.allow_deletes,
    )


def _state(around: Surroundings, caller: Caller, started: StartedRun) -> SyncStarted:
    """How far a run has come, over all its logs."""
    with around.database.session(caller.tenant_id) as connection:
        found = [sync_log_report.get(connection, log_id) for log_id in started.log_ids.values()]
    logs = [log for log in found if log is not None]
    sums = {name: sum(log[column] for log in logs for column in columns) for name, columns in COUNTS.items()}
    statuses = {log["status"] for log in logs}
    status = next((each for each in ("running", "failed", "partial", "completed") if each in statuses), "skipped")
    return SyncStarted.model_validate({
        "log_id": next(iter(started.log_ids.values()), None),
        "log_ids": started.log_ids,
        "dag_id": started.dag_id,
        "dag_run_id": started.dag_run_id,
        "run_link": around.orchestrator.run_link(started.dag_id, started.dag_run_id),
        "status": status,
        "error": next((log["error"] for log in logs if log["error"]), None),
        **sums,
    })  # fmt: skip


def _accepted(state: SyncStarted) -> Response:
    return JSONResponse(state.model_dump(mode="json", by_alias=True), status_code=HTTPStatus.ACCEPTED)


async def _follow(around: Surroundings, caller: Caller, started: StartedRun, *, timeout_s: float) -> AsyncIterator[str]:
    """A line for each change of a run, the last one when it has ended or nobody waits any longer.

    Whoever leaves ends only this; the run is Airflow's.
    """
    until, told = monotonic() + timeout_s, None
    while True:
        try:
            state = await run_in_threadpool(_state, around, caller, started)
        except ErpflowError as error:
            yield f"{JSONResponse({'error': str(error), 'timed_out': True}).body.decode()}\n"  # type: ignore[union-attr]
            return
        is_last = state.status != "running" or monotonic() >= until
        if is_last or state != told:
            told = state
            shown = state.model_copy(update={"timed_out": is_last and state.status == "running"})
            yield f"{shown.model_dump_json(by_alias=True)}\n"
        if is_last:
            return
        await asyncio.sleep(min(POLL_S, max(0.0, until - monotonic())))
