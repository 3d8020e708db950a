"""Keys of programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import After, Answer, Body, Limit, Name, Page, page_of
from erpflow.api.callers import Caller, Configuring
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.rights import Right
from erpflow.api.surroundings import surroundings_of
from erpflow.store import api_keys, listing

router = APIRouter(tags=["keys"], route_class=IdempotentRoute)

LONGEST_GRACE = timedelta(days=7)


class NewApiKey(Body):
    """A key to be made. It cannot do more than whoever makes it."""

    name: Name
    scopes: list[Right] = Field(default=[Right.LOOK, Right.RUN], min_length=1)


class Regenerate(Body):
    """How long the keys of before still count."""

    grace_seconds: int = Field(default=0, ge=0, le=int(LONGEST_GRACE.total_seconds()))


class ApiKey(Answer):
    """A key, without its secret half."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_by: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class ShownApiKey(ApiKey):
    """A key at the one moment it can be read."""

    key: str


@router.get("/api-keys")
def list_api_keys(request: Request, caller: Configuring, limit: Limit = 50, after: After = None) -> Page[ApiKey]:
    """The tenant's keys, also those that ended."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        return Page[ApiKey].model_validate(
            page_of(listing.page(connection, api_keys.LISTING, limit=limit, after=after))
        )


@router.post("/api-keys", status_code=HTTPStatus.CREATED)
def create_api_key(request: Request, caller: Configuring, body: NewApiKey) -> ShownApiKey:
    """Make a key. It is shown in this answer and never again."""
    return _made(request, caller, name=body.name, scopes=[scope.value for scope in body.scopes])


@router.delete("/api-keys/{key_id}", status_code=HTTPStatus.NO_CONTENT)
def revoke_api_key(request: Request, caller: Configuring, key_id: UUID) -> None:
    """End a key at once."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        if not api_keys.revoke(connection, str(key_id)):
            raise not_found("API key", key_id)


@router.post("/companies/{company_id}/regenerate-api-key", status_code=HTTPStatus.CREATED)
def regenerate_api_key(
    request: Request, caller: Configuring, company_id: UUID, body: Regenerate | None = None
) -> ShownApiKey:
    """Make a new key in place of all the tenant's keys, which end now or after a grace. `company_id`: the tenant's."""
    if str(company_id) != caller.tenant_id:
        raise not_found("company", company_id)
    grace = timedelta(seconds=body.grace_seconds if body else 0)
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        before = api_keys.retire(connection, caller.tenant_id, grace=grace)
        scopes = sorted({scope for _, scopes in before for scope in scopes}) or [Right.LOOK, Right.RUN]
        scopes = [scope for scope in scopes if scope in caller.rights]
        name = before[0][0] if before else "default"
        key, row = api_keys.make(connection, caller.tenant_id, name=name, scopes=scopes, by=caller.name)
    return ShownApiKey(**row, key=key)


def _made(request: Request, caller: Caller, *, name: str, scopes: list[str]) -> ShownApiKey:
    beyond = [scope for scope in scopes if scope not in caller.rights]
    if beyond:
        raise ApiError(
            HTTPStatus.FORBIDDEN,
            "forbidden",
            f"You cannot give what you do not have: {', '.join(beyond)}.",
            field="scopes",
        )
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        key, row = api_keys.make(connection, caller.tenant_id, name=name, scopes=scopes, by=caller.name)
    shown: dict[str, Any] = {**row, "key": key}
    return ShownApiKey(**shown)
