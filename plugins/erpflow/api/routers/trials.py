"""What a sync would make of records, and what it would do: nothing is written on either side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from http import HTTPStatus
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import known_config, refused
from erpflow.api.problems import ApiError
from erpflow.api.routers.field_mappings import MappingOverrides
from erpflow.api.surroundings import surroundings_of
from erpflow.mapping.compile import compile_pull
from erpflow.services.sync_configs import check_mapping
from erpflow.store import connections
from erpflow.sync.dry_run import dry_run
from erpflow.sync.plan import RunRequest
from erpflow.sync.preview import Previewed, first_records, preview_records
from erpflow.vocabulary import Direction, SyncConfigId

router = APIRouter(tags=["sync configs"], route_class=IdempotentRoute)

MOST_RECORDS = 100
PREVIEW_S = 30.0
PLAN_S = 120.0
"""How long a vendor is asked before the caller gets an answer, in seconds."""


class PreviewRequest(Body):
    """How many records, and a mapping to try in place of the one in force: as in PUT field-mappings."""

    limit: int = Field(default=10, ge=1, le=MOST_RECORDS)
    mapping: MappingOverrides | None = None


class PreviewedField(Answer):
    """One remote value, and the local one that it becomes; both as texts."""

    remote: str
    remote_value: str
    local: str
    local_value: str


class PreviewedRecord(Answer):
    """One record side by side. `problems`: why it is rejected; `dropped`: why a batch template leaves it out."""

    remote_id: str | None
    outcome: Literal["mapped", "rejected", "dropped"]
    fields: list[PreviewedField]
    problems: list[str]
    dropped: str | None


class Preview(Answer):
    """The first records that the vendor sends, as the mapping would make rows of them."""

    local_table: str
    mapping_version: str
    records: list[PreviewedRecord]
    mapped_count: int
    rejected_count: int
    dropped_count: int


class PlanRequest(Body):
    """`full`: look at everything, not only what changed."""

    full: bool = False


class PlannedChange(Answer):
    """One change that would be made, field by field. Of a conflict, `before` is ours and `after` the vendor's."""

    direction: Direction
    change: Literal["created", "updated", "deleted", "conflict"]
    remote_id: str | None
    local_id: str | None
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None
    reason: str | None = None
    winners: dict[str, str | None] | None = None


class PlannedCounts(Answer):
    """What would become of the records of one direction."""

    direction: Direction
    log_id: str
    read: int
    created: int
    updated: int
    unchanged: int
    deleted: int
    conflict: int
    rejected: int
    ignored: int


class Plan(Answer):
    """What a sync would do. `truncated`: there are more changes than are listed; the counts are of all."""

    counts: list[PlannedCounts]
    creates: list[PlannedChange]
    updates: list[PlannedChange]
    deletes: list[PlannedChange]
    conflicts: list[PlannedChange]
    truncated: bool


@router.post("/sync-configs/{config_id}/preview")
def preview_sync(request: Request, caller: Running, config_id: UUID, body: PreviewRequest | None = None) -> Preview:
    """Ask the vendor for a few records and show what becomes of each, side by side, with rejects."""
    around, asked = surroundings_of(request), body or PreviewRequest()
    row = known_config(around, caller, config_id)
    overrides = row["mapping_overrides"] if asked.mapping is None else asked.mapping.over(row["mapping_overrides"])
    checked = check_mapping(
        around.database.database, around.mappings, row["mapping_path"], overrides,
        connection_id=row["connection_id"], tenant_id=caller.tenant_id,
    )  # fmt: skip
    mapping = checked.mapping
    if mapping is None or checked.wrong:
        raise refused(checked)
    with around.database.session(caller.tenant_id) as connection:
        account = connections.connection_of(connection, row["connection_id"])
    with around.connect(account) as vendor:
        on_page = _patience(PREVIEW_S, "Ask for fewer records.")
        zone, raws = first_records(vendor, row["entity"], limit=asked.limit, on_page=lambda: on_page(None))
    records = [_record(one) for one in preview_records(compile_pull(mapping, zone=zone), raws)]
    outcomes = [record.outcome for record in records]
    return Preview(
        local_table=mapping.local.table,
        mapping_version=mapping.version,
        records=records,
        mapped_count=outcomes.count("mapped"),
        rejected_count=outcomes.count("rejected"),
        dropped_count=outcomes.count("dropped"),
    )


@router.post("/sync-configs/{config_id}/plan")
def plan_sync(request: Request, caller: Running, config_id: UUID, body: PlanRequest | None = None) -> Plan:
    """Run the sync dry: every record that it would create, update or delete on either side, and every conflict."""
    around, asked = surroundings_of(request), body or PlanRequest()
    row = known_config(around, caller, config_id)
    found = dry_run(
        around.engine(),
        RunRequest(kind="manual", config_id=SyncConfigId(row["id"]), full=asked.full, triggered_by=caller.name),
        system=row["system"],
        entity=row["entity"],
        direction=Direction(row["direction"]),
        on_progress=_patience(PLAN_S, "Start a dry run in Airflow instead: POST /sync with dry_run."),
    )
    counts = [{"direction": each.direction, "log_id": each.log_id, **asdict(each.counts)} for each in found.summaries]
    kinds = {"creates": "created", "updates": "updated", "deletes": "deleted", "conflicts": "conflict"}
    changes = {name: [one for one in found.changes if one["change"] == kind] for name, kind in kinds.items()}
    return Plan.model_validate({"counts": counts, "truncated": found.is_cut, **changes})


def _record(one: Previewed) -> PreviewedRecord:
    outcome: Literal["mapped", "rejected", "dropped"] = "rejected" if one.problems else "mapped"
    return PreviewedRecord(
        remote_id=one.key,
        outcome=outcome if one.dropped is None else "dropped",
        fields=[PreviewedField(remote=r, remote_value=v, local=c, local_value=w) for r, v, c, w in one.rows],
        problems=list(one.problems),
        dropped=one.dropped,
    )


def _patience(seconds: float, instead: str) -> Callable[[Any], None]:
    """A callback that ends what takes longer."""
    until = monotonic() + seconds

    def check(_progress: Any) -> None:
        if monotonic() > until:
            raise ApiError(
                HTTPStatus.GATEWAY_TIMEOUT,
                "too_slow",
                f"The vendor has not sent everything in {seconds:.0f} s. {instead}",
            )

    return check
