"""A person's consent at a vendor's own page: the way there, and the way back."""

from __future__ import annotations

import html
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from erpflow.api.bodies import Answer
from erpflow.api.callers import Configuring
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError
from erpflow.api.routers.connections import connection_of
from erpflow.api.surroundings import Person, Surroundings, surroundings_of
from erpflow.connectors.oauth import Consent
from erpflow.errors import ErpflowError
from erpflow.services import connecting, consenting
from erpflow.store import connections, consents

router = APIRouter(tags=["connections"], route_class=IdempotentRoute)

CALLBACK: Final = "/api/erp/oauth/callback"
"""Where vendors send the browser back to; the app is registered with it there."""

# The address of the page holds the code: it goes nowhere, and stays in no cache.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class ConsentBegun(Answer):
    """The vendor's page for a person to open, before it ends. The app has to be registered with `redirect_uri`."""

    authorize_url: str
    redirect_uri: str
    expires_at: datetime


@router.get(
    "/connections/{connection_id}/oauth/authorize",
    response_model=ConsentBegun,
    responses={303: {"description": "To the vendor's page, for a browser"}},
)
def begin_consent(request: Request, caller: Configuring, connection_id: UUID) -> Response | ConsentBegun:
    """Begin a consent: the vendor's page to open within 10 minutes. A browser is sent there at once."""
    around = surroundings_of(request)
    row = connection_of(around, caller, connection_id)
    client = consenting.client_of(row, around.vault())
    if not client.needs_consent:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "no_consent_needed",
            f"{row.name} needs no consent: the app's id and secret are enough.",
        )
    cipher = around.cipher()
    cipher.encrypt("")  # without a key it says so: better now than after a person has agreed
    consent = client.consent(f"{around.public_url or str(request.base_url.replace(path='')).rstrip('/')}{CALLBACK}")
    with around.database.session(caller.tenant_id) as store:
        ends = consents.begin(
            store, row.id, state=consent.state, verifier=consent.verifier, redirect_uri=consent.redirect_uri,
            caller=caller.name, cipher=cipher,
        )  # fmt: skip
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(consent.url, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
    return ConsentBegun(authorize_url=consent.url, redirect_uri=consent.redirect_uri, expires_at=ends)


async def _visitor(request: Request) -> Person | None:
    """Whoever is logged in to the browser that comes back; nobody has to be."""
    try:
        return await surroundings_of(request).person(request)
    except HTTPException:
        return None


@router.get(
    "/oauth/callback",
    response_class=HTMLResponse,
    responses={422: {"description": "Why the account is not connected", "content": {"text/html": {}}}},
)
def finish_consent(request: Request, visitor: Annotated[Person | None, Depends(_visitor)]) -> HTMLResponse:
    """Where the vendor sends the browser back to: a page that says whether the account is connected, or why not."""
    around, given = surroundings_of(request), dict(request.query_params)
    try:
        waiting = _taken(around, given.get("state", ""), visitor)
        row_name, tried = _connected(around, waiting, given)
    except ErpflowError as error:
        return _page("Not connected", str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if not tried.result.success:
        return _page(f"{row_name} is connected, and cannot be used yet", tried.result.message, status=HTTPStatus.OK)
    return _page(f"{row_name} is connected", "You can close this page.", status=HTTPStatus.OK)


def _taken(around: Surroundings, state: str, visitor: Person | None) -> consents.Waiting:
    """The consent that this is the answer to.

    Raises NotOurs when there is none, or when another person brings it: somebody's own page must not connect what a
    stranger began.
    """
    with around.database.owner() as store:
        waiting = consents.take(store, state, cipher=around.cipher())
    if waiting is None or (visitor is not None and visitor.name != waiting.caller and not _is_key(waiting.caller)):
        raise NotOurs(
            "This is not the answer to a consent that erpflow waits for: it was answered already, or more than 10 "
            "minutes ago, or somebody else began it. Start again from the connection."
        )
    return waiting


def _is_key(caller: str) -> bool:
    """A program has no browser: whoever agrees for it is another."""
    return caller.startswith("key:")


def _connected(around: Surroundings, waiting: consents.Waiting, given: dict[str, str]) -> tuple[str, connecting.Tried]:
    """Redeem the code, keep the tokens, ask the vendor who we are. No transaction is open while it is asked."""
    with around.database.session(waiting.tenant_id) as store:
        row = connections.connection_of(store, waiting.connection_id)
    consent = Consent("", given.get("state", ""), waiting.verifier, waiting.redirect_uri)
    grant = consenting.client_of(row, around.vault()).exchange(consent, given)
    with around.database.session(waiting.tenant_id) as store:
        consenting.keep(store, row, grant, cipher=around.cipher())
    tried = connecting.check_account(around.database, row, connect=around.connect, tenant_id=waiting.tenant_id)
    return row.name, tried


class NotOurs(ErpflowError):
    """A redirect that answers no consent of ours."""


def _page(title: str, text: str, *, status: HTTPStatus) -> HTMLResponse:
    shown, said = html.escape(title), html.escape(text)
    body = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{shown} - erpflow</title>"
        f"<h1>{shown}</h1><p>{said}</p></html>"
    )
    return HTMLResponse(body, status_code=status, headers=HEADERS)
