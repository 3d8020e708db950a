"""Both sides of a sync config compared whole: what is missing, extra, different or there twice."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Looking, Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import known_config
from erpflow.api.problems import ApiError, not_found
from erpflow.api.starting import run_id_of, start_reconciliation
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.store import listing, reconciliation_report
from erpflow.vocabulary import REPAIRABLE, FindingKind

router = APIRouter(tags=["reconciliations"], route_class=IdempotentRoute)

Status = Literal["running", "clean", "findings", "failed"]


class ReconcileRequest(Body):
    """`repair`: mend what is found; `kinds`: only these. `allow_deletes`: do not ask a person about many deletes."""

    repair: bool = False
    kinds: list[FindingKind] | None = Field(default=None, min_length=1, max_length=len(FindingKind))
    allow_deletes: bool = False


class Reconciliation(Answer):
    """One comparison. `found`, `repaired`: findings by kind. `repairs`: the kinds that it is to repair.

    `status`: running, clean, findings (some are left) or failed. `report`: where the table of all findings is.
    """

    id: str
    sync_config_id: str
    log_id: str
    connection: str
    system: str
    entity: str
    status: Status
    repairs: list[FindingKind]
    found: dict[FindingKind, int]
    repaired: dict[FindingKind, int]
    read_count: int
    report: str | None
    error: str | None
    triggered_by: str | None
    dag_id: str | None
    dag_run_id: str | None
    run_link: str | None
    started_at: datetime
    compared_at: datetime | None
    repaired_at: datetime | None
    finished_at: datetime | None


class Finding(Answer):
    """What was found about one record or row. `fields`: what differs, here and there.

    `repaired` null: nobody tried; false: `outcome` says why not.
    """

    number: int
    kind: FindingKind
    remote_id: str | None
    local_id: str | None
    fields: dict[str, dict[str, str | None]]
    reason: str
    repaired: bool | None
    outcome: str | None


class ReconciliationWithFindings(Reconciliation):
    """One comparison with a page of its findings; the first 10,000 are kept, the report has all."""

    findings: Page[Finding]


@router.post("/sync-configs/{config_id}/reconcile", status_code=HTTPStatus.ACCEPTED)
def reconcile_sync_config(
    request: Request, caller: Running, config_id: UUID, body: ReconcileRequest | None = None
) -> Reconciliation:
    """Compare both sides whole now, and with `repair` mend what is found. Its id is there with the answer."""
    around, asked = surroundings_of(request), body or ReconcileRequest()
    row = known_config(around, caller, config_id)
    _check(asked)
    log_id = start_reconciliation(
        around, row, repair=asked.repair, kinds=asked.kinds, allow_deletes=asked.allow_deletes,
        run_id=run_id_of(request, caller), by=caller.name,
    )  # fmt: skip
    with around.database.session(caller.tenant_id) as connection:
        [found], _ = listing.page(connection, reconciliation_report.LISTING, limit=1, log_id=log_id)
    return Reconciliation.model_validate(_linked(around, found))


@router.get("/reconciliations")
def list_reconciliations(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    sync_config_id: UUID | None = None,
    status: Status | None = None,
) -> Page[Reconciliation]:
    """The tenant's comparisons, the newest first."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(
            connection, reconciliation_report.LISTING, limit=limit, after=after, sync_config_id=sync_config_id,
            status=status,
        )  # fmt: skip
    return Page[Reconciliation].model_validate(page_of(([_linked(around, row) for row in rows], onward)))


@router.get("/reconciliations/{reconciliation_id}")
def get_reconciliation(
    request: Request,
    caller: Looking,
    reconciliation_id: UUID,
    limit: Limit = 50,
    after: After = None,
    kind: FindingKind | None = None,
) -> ReconciliationWithFindings:
    """One comparison, and its findings page by page; `limit`, `after` and `kind` are about those."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        row = reconciliation_report.get(connection, str(reconciliation_id))
        if row is None:
            raise not_found("reconciliation", reconciliation_id)
        found = listing.page(
            connection, reconciliation_report.FINDINGS, limit=limit, after=after, reconciliation_id=reconciliation_id,
            kind=kind,
        )  # fmt: skip
    return ReconciliationWithFindings.model_validate({**_linked(around, row), "findings": page_of(found)})


def _check(asked: ReconcileRequest) -> None:
    for kind in asked.kinds or ():
        if not asked.repair:
            detail = "They say what to repair: give repair, too."
        elif kind not in REPAIRABLE:
            detail = f"{kind} is for a person. Known: {', '.join(REPAIRABLE)}."
        else:
            continue
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, field="kinds")


def _linked(around: Surroundings, row: dict[str, Any]) -> dict[str, Any]:
    link = around.orchestrator.run_link(row["dag_id"], row["dag_run_id"]) if row["dag_run_id"] else None
    counts = {name: {kind: number for kind, number in row[name].items() if number} for name in ("found", "repaired")}
    return {**row, **counts, "run_link": link}
