"""Who calls: a person with Airflow's login, or a program with a key; for which tenant, and with which rights."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from erpflow.api.problems import ApiError
from erpflow.api.rights import Right
from erpflow.api.surroundings import Person, Surroundings, surroundings_of
from erpflow.store import api_keys, tenants
from erpflow.vocabulary import TenantId

TENANT_HEADER = "X-ERP-Tenant"
CSRF_HEADERS = ("X-ERP-CSRF", "HX-Request")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_documented = HTTPBearer(auto_error=False, description="An API key of erpflow, or a token of Airflow's login")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asked, for one tenant."""

    tenant_id: TenantId
    name: str
    rights: frozenset[Right]


def requires(right: Right) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency that lets a caller in who has a right.

    Raises 401 for nobody, 403 for somebody without the right or the tenant, or a write on a cookie without a header
    that only our own pages can send.
    """

    async def caller(request: Request, _documented: Annotated[object, Depends(_documented)]) -> Caller:
        found = await identify(request)
        if right not in found.rights:
            raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f'This needs the right "{right}".')
        return found

    return caller


async def identify(request: Request) -> Caller:
    """Whoever sent a request, found out once. Raises 401 for nobody."""
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        known = request.state.caller = await _identified(request)
    return known


async def _identified(request: Request) -> Caller:
    around = surroundings_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip().startswith(api_keys.MARK):
        return await run_in_threadpool(_program, around, token.strip())
    person = await around.person(request)
    if person is None:
        raise _unauthorized("Log in, or send an API key: Authorization: Bearer erp_…")
    if not scheme and request.method not in SAFE and not any(request.headers.get(name) for name in CSRF_HEADERS):
        raise ApiError(
            HTTPStatus.FORBIDDEN, "csrf", f"A write with a login cookie needs the header {CSRF_HEADERS[0]}: 1."
        )
    slug = request.headers.get(TENANT_HEADER) or request.query_params.get("tenant")
    return Caller(await run_in_threadpool(_tenant, around, person, slug), person.name, person.rights)


def _program(around: Surroundings, key: str) -> Caller:
    with around.database.owner() as connection:
        found = api_keys.holder(connection, key)
    if found is None:
        raise _unauthorized("This API key is not known, was revoked, or has ended.")
    rights = frozenset(right for right in Right if right.value in found.scopes)
    return Caller(found.tenant_id, f"key:{found.prefix}", rights)


def _tenant(around: Surroundings, person: Person, slug: str | None) -> TenantId:
    """The tenant a person acts for. One that is not there and one that is not theirs are answered alike."""
    with around.database.owner() as connection:
        found = tenants.acting_for(connection, person.name, slug=slug, any_tenant=Right.CONFIGURE in person.rights)
    if found is None:
        raise ApiError(HTTPStatus.FORBIDDEN, "forbidden", f"You do not act for the tenant {slug or 'default'}.")
    return found


def _unauthorized(detail: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, "unauthorized", detail)


Looking = Annotated[Caller, Depends(requires(Right.LOOK))]
Running = Annotated[Caller, Depends(requires(Right.RUN))]
Resolving = Annotated[Caller, Depends(requires(Right.RESOLVE))]
Configuring = Annotated[Caller, Depends(requires(Right.CONFIGURE))]
