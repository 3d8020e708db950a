"""What both sides did to one record, and a person's decision on it."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Caller, Looking, Resolving
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.errors import ErpflowError, suggestion
from erpflow.store import conflict_report, listing
from erpflow.sync.resolve import Choice, Resolver, Value
from erpflow.vocabulary import ConflictKind

router = APIRouter(tags=["conflicts"], route_class=IdempotentRoute)

Side = Literal["local", "remote"]
Status = Literal["open", "resolved"]


class OwnValue(Body):
    """A value that neither side has, as a text; null empties the field."""

    value: str | None


class Decision(Body):
    """`keep`: this side wins every field. Or `fields`: who wins each contested one, or a value of your own."""

    keep: Side | None = None
    fields: dict[str, Side | OwnValue] | None = Field(default=None, min_length=1, max_length=1000)

    def choice(self) -> Choice:
        """As the engine takes it. Raises 422 when it says both, or nothing."""
        if self.fields is None and self.keep is not None:
            return self.keep
        if self.fields is None or self.keep is not None:
            detail = "Give keep (local or remote), or fields with who wins each: one of them."
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, field="keep")
        return {name: Value(one.value) if isinstance(one, OwnValue) else one for name, one in self.fields.items()}


class BulkDecision(Decision):
    """One decision for several conflicts."""

    ids: list[UUID] = Field(min_length=1, max_length=200)


class ContestedField(Answer):
    """A field that both sides changed: the value last agreed on, both new ones, and who won (null: nobody yet)."""

    field: str
    base: str | None
    local: str | None
    remote: str | None
    strategy: str
    winner: str | None


class Conflict(Answer):
    """What both sides did to one record. `open`: it is frozen until somebody decides."""

    id: str
    sync_config_id: str
    connection: str
    system: str
    entity: str
    log_id: str | None
    remote_id: str | None
    local_id: str | None
    kind: ConflictKind
    strategy: str
    status: Status
    fields: list[ContestedField]
    winner: Literal["local", "remote", "merged"] | None
    resolution: dict[str, Any] | None
    reason: str | None
    resolved_by: str | None
    times_seen: int
    remote_modified_at: datetime | None
    detected_at: datetime
    resolved_at: datetime | None


class Resolved(Answer):
    """What a decision did. Not resolved: `code` and `message` say why."""

    id: str
    resolved: bool
    winner: str | None = None
    code: str | None = None
    message: str


class BulkResolved(Answer):
    """What became of each conflict, in the order of the request."""

    results: list[Resolved]
    resolved_count: int


@router.get("/conflicts")
def list_conflicts(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    status: Status | None = None,
    kind: ConflictKind | None = None,
    sync_config_id: UUID | None = None,
    entity: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[Conflict]:
    """The tenant's conflicts with both values, field by field, the newest first."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        found = listing.page(
            connection, conflict_report.LISTING, limit=limit, after=after, status=status, kind=kind,
            sync_config_id=sync_config_id, entity=entity,
        )  # fmt: skip
    return Page[Conflict].model_validate(page_of(found))


@router.get("/conflicts/{conflict_id}")
def get_conflict(request: Request, caller: Looking, conflict_id: UUID) -> Conflict:
    """One conflict with both values, field by field."""
    return Conflict.model_validate(_known(surroundings_of(request), caller, conflict_id))


@router.post("/conflicts/resolve")
def resolve_conflicts(request: Request, caller: Resolving, body: BulkDecision) -> BulkResolved:
    """Decide several conflicts alike, each for itself: what cannot be decided stays open and says why."""
    around, results = surroundings_of(request), []
    choice = body.choice()
    for conflict_id in body.ids:
        try:
            results.append(_resolve(around, caller, conflict_id, choice))
        except ApiError as error:
            results.append(Resolved(id=str(conflict_id), resolved=False, code=error.code, message=error.detail))
    return BulkResolved(results=results, resolved_count=sum(one.resolved for one in results))


@router.post("/conflicts/{conflict_id}/resolve")
def resolve_conflict(request: Request, caller: Resolving, conflict_id: UUID, body: Decision) -> Resolved:
    """Decide one conflict: ours, theirs, or a value for each field. What the vendor lacks is sent by the next push."""
    return _resolve(surroundings_of(request), caller, conflict_id, body.choice())


def _known(around: Surroundings, caller: Caller, conflict_id: UUID) -> dict[str, Any]:
    with around.database.session(caller.tenant_id) as connection:
        row = conflict_report.get(connection, str(conflict_id))
    if row is None:
        raise not_found("conflict", conflict_id)
    return row


def _resolve(around: Surroundings, caller: Caller, conflict_id: UUID, choice: Choice) -> Resolved:
    row = _known(around, caller, conflict_id)
    if row["status"] != "open":
        raise ApiError(
            HTTPStatus.CONFLICT, "already_resolved", f"It was resolved by {row['resolved_by']}: {row['reason']}"
        )
    _check_fields(row, choice)
    try:
        done = Resolver(around.database.database, around.mappings).resolve(str(conflict_id), choice, by=caller.name)
    except ErpflowError as error:
        raise ApiError(HTTPStatus.CONFLICT, "not_resolved", str(error)) from error
    return Resolved(id=done.conflict_id, resolved=True, winner=done.winner, message=done.message)


def _check_fields(row: dict[str, Any], choice: Choice) -> None:
    """Raises 422 for a field that is not in conflict, or for one that nobody decides."""
    if isinstance(choice, str):
        return
    known = [contest["field"] for contest in row["fields"]]
    for name in choice:
        if name not in known:
            raise _wrong(name, f'"{name}" is not in conflict{suggestion(name, known)}.')
    for name in known:
        if name not in choice:
            raise _wrong(name, f"Say who wins {name} too.")


def _wrong(name: str, detail: str) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, field=f"fields.{name}")
