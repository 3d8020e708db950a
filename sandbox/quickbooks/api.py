"""The company's HTTP surface: records by id, queries, change data capture, batches; and the authorization server."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox.quickbooks import batch, changes, faults, oauth, query, saving
from sandbox.quickbooks.answers import DECODER, answer, refuse
from sandbox.quickbooks.company import REALM, TITLE, Company
from sandbox.quickbooks.entities import BY_PATH
from sandbox.quickbooks.faults import Refused
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.quickbooks")


def create_app(company: Company) -> ASGIApp:
    """The vendor as an ASGI application; the company's paths start at `/v3/company/`."""

    async def answered(request: Request) -> Response:
        return await oauth.handle(company, request) or await handle(company, request)

    return app_of(answered)


async def handle(company: Company, request: Request) -> Response:
    wants_json = "application/json" in request.headers.get("accept", "")
    body = await request.body()
    try:
        with company.limits.counted(company.switches, is_batch=request.scope["path"].endswith("/batch")):
            if company.switches.work_s:
                await asyncio.sleep(company.switches.work_s)
            response = _once(company, request, body, wants_json=wants_json)
    except Refused as refused:
        response = refuse(company, refused, wants_json=wants_json)
    except Exception as error:  # the vendor answers its own mistakes so
        log.exception("%s %s failed in a way the sandbox did not foresee", request.method, request.scope["path"])
        response = refuse(company, faults.broken(type(error).__name__), wants_json=wants_json)
    response.headers["intuit_tid"] = f"1-{company.dice.getrandbits(96):024x}"
    return response


def _once(company: Company, request: Request, body: bytes, *, wants_json: bool) -> Response:
    """The answer; of a request with a `requestid` that was seen before, the one it got then."""
    parts = _authorized(company, request)
    request_id = request.query_params.get("requestid") if request.method == "POST" else None
    if request_id in company.answers:
        status, kept = company.answers[request_id]
        return Response(kept, status, media_type="application/json")
    content = _answered(company, request, parts, body)
    response = answer(company, content, wants_json=wants_json)
    if request_id is not None:
        company.answers[request_id] = (response.status_code, bytes(response.body))
    return response


def _authorized(company: Company, request: Request) -> list[str]:
    """The path below the company. Raises Refused for who may not ask it."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = scheme.lower() == "bearer" and company.consents.knows(token) and not company.switches.consent_withdrawn
    if not known:
        raise faults.unauthenticated()
    parts = [part for part in request.scope["path"].split("/") if part]
    if parts[:2] != ["v3", "company"] or len(parts) < 4:
        raise Refused("120", "Authorization Failure", "No such resource", status=404, kind="SERVICE")
    if parts[2] != REALM:
        raise faults.wrong_company()
    return parts[3:]


def _answered(company: Company, request: Request, parts: list[str], body: bytes) -> Mapping[str, Any]:
    resource = parts[0].lower()
    parameters = request.query_params
    if resource == "query":
        text = parameters.get("query") or body.decode("utf-8", "replace")
        return {"QueryResponse": query.run(company, text)}
    if resource == "cdc":
        found = changes.capture(company, parameters.get("entities", ""), parameters.get("changedSince", ""))
        return {"CDCResponse": [{"QueryResponse": found}]}
    if resource == "companyinfo":
        return {"CompanyInfo": {"CompanyName": TITLE, "LegalName": TITLE, "Country": "US", "Id": "1", "SyncToken": "4"}}
    if resource == "batch":
        return {"BatchItemResponse": batch.run(company, _json(body))}
    entity = BY_PATH.get(resource)
    if entity is None:
        raise Refused("120", "Authorization Failure", "No such resource", status=404, kind="SERVICE")
    if request.method == "GET":
        return {entity: _read(company, entity, parts)}
    return {entity: _write(company, entity, parameters, _json(body))}


def _read(company: Company, entity: str, parts: list[str]) -> Mapping[str, Any]:
    row = company.find(entity, parts[1]) if len(parts) > 1 else None
    if row is None:
        raise faults.not_found(f"Something you're trying to use ({entity})")
    return row.values


def _write(company: Company, entity: str, parameters: Mapping[str, str], body: dict[str, Any]) -> Mapping[str, Any]:
    operation = parameters.get("operation")
    if operation == "delete":
        return saving.delete(company, entity, body)
    if operation == "void" or parameters.get("include") == "void":
        return saving.void(company, entity, body).values
    return saving.save(company, entity, body).values


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("2010", "Request has invalid or unsupported property", f"Invalid JSON: {error}") from None
    if not isinstance(found, dict):
        raise faults.unsupported("body")
    return found
