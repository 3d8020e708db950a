"""Records that could not be applied: kept whole with the reasons, tried again or given up."""

from __future__ import annotations

import base64
from collections import defaultdict
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Caller, Looking, Resolving, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import known_config
from erpflow.api.problems import ApiError, not_found
from erpflow.api.starting import StartedRun, check_active, run_id_of, start_sync
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.store import listing, reject_report, reject_retries
from erpflow.sync.plan import RunRequest
from erpflow.vocabulary import SyncConfigId

router = APIRouter(tags=["rejects"], route_class=IdempotentRoute)

MOST = 1_000
"""Rejects that one request tries again: their ids travel in the conf of a DAG run."""

Status = Literal["open", "resolved", "discarded"]
Way = Literal["pull", "push"]
Word = Annotated[str | None, Query(max_length=2000, pattern=r"^[^\x00]+$")]


class RejectChoice(Body):
    """Which open rejects are tried again: `ids`, or all that the other members choose."""

    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MOST)
    sync_config_id: UUID | None = None
    connection: str | None = Field(default=None, max_length=200)
    entity: str | None = Field(default=None, max_length=200)
    direction: Way | None = None
    rule: str | None = Field(default=None, max_length=200)
    field: str | None = Field(default=None, max_length=200)

    def filters(self) -> dict[str, Any]:
        """As the list takes them."""
        found = self.model_dump(exclude_none=True, exclude={"connection"})
        return found if self.connection is None else {**found, "connection_name": self.connection}


class RefusedValue(Answer):
    """Why one value was refused: the field, the rule it breaks, an excerpt of it, and the sentence for people."""

    field: str
    rule: str
    message: str
    value: str | None = None


class Payload(Answer):
    """What the vendor sent, or was to be sent: as text when it is UTF-8, else in base64."""

    payload: str
    payload_encoding: Literal["text", "base64"]


class Reject(Payload):
    """A refused record. `reason`: all its problems in one sentence. `payload_truncated`: there is more of it than this.

    `attempts`: how often it was refused.
    """

    id: str
    sync_config_id: str
    connection: str
    system: str
    entity: str
    log_id: str | None
    direction: Way
    remote_id: str | None
    local_id: str | None
    stage: str
    status: Status
    attempts: int
    mapping_version: str | None
    reason: str
    problems: list[RefusedValue]
    payload_bytes: int
    payload_truncated: bool
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None


class RejectVersion(Payload):
    """The record as it was until some moment (null: as it is now), and what was wrong with it."""

    until: datetime | None
    problems: list[RefusedValue]


class RejectInFull(Reject):
    """A reject with every version of its record, the latest first."""

    versions: list[RejectVersion]


class RetryRun(Answer):
    """A DAG run that tries rejects of one sync config again, and its logs by direction."""

    sync_config_id: str
    dag_id: str
    dag_run_id: str
    run_link: str | None
    log_ids: dict[str, str]
    reject_count: int


class RetryStarted(Answer):
    """What was started. `skipped`: ids that are no open rejects. `more`: ask again when these are done."""

    runs: list[RetryRun]
    reject_count: int
    skipped: list[str]
    more: bool


@router.get("/rejects")
def list_rejects(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    status: Status | None = None,
    direction: Way | None = None,
    stage: Word = None,
    sync_config_id: UUID | None = None,
    connection: Word = None,
    entity: Word = None,
    remote_id: Word = None,
    local_id: Word = None,
    rule: Annotated[str | None, Query(max_length=200, description="Of any of its problems, such as required")] = None,
    field: Annotated[str | None, Query(max_length=200, description="Of any of its problems")] = None,
) -> Page[Reject]:
    """The tenant's rejects with reason and payload, the latest first."""
    with surroundings_of(request).database.session(caller.tenant_id) as session:
        rows, onward = listing.page(
            session, reject_report.LISTING, limit=limit, after=after, status=status, direction=direction, stage=stage,
            sync_config_id=sync_config_id, connection_name=connection, entity=entity, remote_id=remote_id,
            local_id=local_id, rule=rule, field=field,
        )  # fmt: skip
    return Page[Reject].model_validate(page_of(([_told(row) for row in rows], onward)))


@router.get("/rejects/{reject_id}")
def get_reject(request: Request, caller: Looking, reject_id: UUID) -> RejectInFull:
    """One reject whole, and its record as it was before if it has changed since."""
    around = surroundings_of(request)
    row = _known(around, caller, reject_id)
    with around.database.session(caller.tenant_id) as connection:
        kept = reject_report.versions(connection, str(reject_id), tenant_id=caller.tenant_id)
    versions = [{"until": one.until, "problems": one.problems, **payload_of(one.payload)} for one in kept]
    whole = payload_of(kept[0].payload) if kept else {}
    return RejectInFull.model_validate({**_told(row), **whole, "payload_truncated": False, "versions": versions})


@router.post("/rejects/retry", status_code=HTTPStatus.ACCEPTED)
def retry_rejects(request: Request, caller: Running, body: RejectChoice) -> RetryStarted:
    """Try several rejects again: a DAG run for each sync config. The vendor is not asked for the records of a pull."""
    around, filters = surroundings_of(request), body.filters()
    if not filters:
        raise ApiError(
            422, "invalid", "Say which: ids, sync_config_id, connection, entity, rule or field.", field="ids"
        )
    with around.database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(connection, reject_report.OPEN, limit=MOST, **filters)
    by_config: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_config[row["sync_config_id"]].append(row["id"])
    configs = {config_id: known_config(around, caller, config_id) for config_id in by_config}
    for config in configs.values():
        check_active(config)
    runs = [_retry(request, around, caller, configs[config_id], ids) for config_id, ids in by_config.items()]
    skipped = sorted({str(one) for one in body.ids or ()} - {row["id"] for row in rows})
    return RetryStarted(runs=runs, reject_count=len(rows), skipped=skipped, more=onward is not None)


@router.post("/rejects/{reject_id}/retry", status_code=HTTPStatus.ACCEPTED)
def retry_reject(request: Request, caller: Running, reject_id: UUID) -> RetryRun:
    """Try one reject again, with today's mapping."""
    around = surroundings_of(request)
    row = _open(around, caller, reject_id)
    return _retry(request, around, caller, known_config(around, caller, row["sync_config_id"]), [str(reject_id)])


@router.post("/rejects/{reject_id}/discard")
def discard_reject(request: Request, caller: Resolving, reject_id: UUID) -> Reject:
    """Give a reject up: it is kept, and not tried again."""
    around = surroundings_of(request)
    _open(around, caller, reject_id)
    with around.database.session(caller.tenant_id) as connection:
        reject_retries.discard(connection, caller.tenant_id, [str(reject_id)])
    return Reject.model_validate(_told(_known(around, caller, reject_id)))


def payload_of(raw: bytes, *, is_cut: bool = False) -> dict[str, str]:
    """Bytes as JSON can carry them. `is_cut`: they may end within a character, which is left out."""
    for length in range(len(raw), max(len(raw) - (4 if is_cut else 1), -1), -1):
        try:
            return {"payload": raw[:length].decode(), "payload_encoding": "text"}
        except UnicodeDecodeError:
            continue
    return {"payload": base64.b64encode(raw).decode(), "payload_encoding": "base64"}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    is_cut = row["payload_bytes"] > len(row["payload"])
    return {
        **row,
        **payload_of(bytes(row["payload"]), is_cut=is_cut),
        "payload_truncated": is_cut,
        "reason": "; ".join(problem["message"] for problem in row["problems"]),
    }


def _known(around: Surroundings, caller: Caller, reject_id: UUID) -> dict[str, Any]:
    with around.database.session(caller.tenant_id) as connection:
        row = reject_report.get(connection, str(reject_id))
    if row is None:
        raise not_found("reject", reject_id)
    return row


def _open(around: Surroundings, caller: Caller, reject_id: UUID) -> dict[str, Any]:
    row = _known(around, caller, reject_id)
    if row["status"] != "open":
        raise ApiError(HTTPStatus.CONFLICT, "not_open", f"This reject is {row['status']}: there is nothing to do.")
    return row


def _retry(request: Request, around: Surroundings, caller: Caller, config: dict[str, Any], ids: list[str]) -> RetryRun:
    asked = RunRequest(kind="manual", config_id=SyncConfigId(config["id"]), reject_ids=tuple(ids))
    run_id = run_id_of(request, caller, part=config["id"])
    started: StartedRun = start_sync(around, config, asked, run_id=run_id, by=caller.name)
    return RetryRun(
        sync_config_id=config["id"],
        dag_id=started.dag_id,
        dag_run_id=started.dag_run_id,
        run_link=around.orchestrator.run_link(started.dag_id, started.dag_run_id),
        log_ids=started.log_ids,
        reject_count=len(ids),
    )
