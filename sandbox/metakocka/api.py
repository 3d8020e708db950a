"""The API as an application: every call a POST with the key in its JSON body, every answer HTTP 200."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.faults import UNAUTHORIZED
from sandbox.metakocka import documents, partners, products, search, stock
from sandbox.metakocka.company import COMPANY_ID, SECRET_KEY, Company, Record
from sandbox.metakocka.refusals import BAD_ADDRESS, BAD_KEY, QUOTA, UNKNOWN_ERROR, Refusal
from sandbox.metakocka.wire import rendered
from sandbox.vendor import ASGIApp

PREFIX = "/rest/eshop/v1"
Handler = Callable[[Company, Record], Record]

CALLS: dict[str, Handler] = {
    "search": search.search,
    "search_query_advance_discovery": search.discovery,
    "get_document": documents.get_document,
    "put_document": documents.put_document,
    "update_document": documents.update_document,
    "delete_document": documents.delete_document,
    "put_transaction": documents.put_transaction,
    "get_partner": partners.get_partner,
    "add_partner": partners.add_partner,
    "update_partner": partners.update_partner,
    "json/product_list": products.product_list,
    "json/product_add": products.product_add,
    "json/product_update": products.product_update,
    "json/product_delete": products.product_delete,
    "json/warehouse_list": stock.warehouse_list,
    "json/warehouse_stock": stock.warehouse_stock,
}
WITHOUT_A_CODE = frozenset({"get_partner", "add_partner", "update_partner", "search_query_advance_discovery"})
"""Calls whose success is told by the want of an opr_code."""

NOT_FOUND = "<html><head><title>Error 404</title></head><body><h1>HTTP Status 404 - Not Found</h1></body></html>"
NOT_ALLOWED = (
    "<html><head><title>Error 405</title></head><body><h1>HTTP Status 405 - Method Not Allowed</h1></body></html>"
)


def create_app(company: Company) -> ASGIApp:
    """The API over a company."""
    desk = Desk(company)
    return Starlette(routes=[Route("/{path:path}", desk.answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])


class Desk:
    """Takes the calls of one company; its searches wait for each other."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.searching = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        path = "/" + request.path_params["path"]
        call = path.removeprefix(f"{PREFIX}/")
        if not path.startswith(f"{PREFIX}/") or call not in CALLS:
            return HTMLResponse(NOT_FOUND, status_code=404)
        if request.method != "POST":
            return HTMLResponse(NOT_ALLOWED, status_code=405)
        try:
            given = _object(await request.body())
            self.admit(given, request)
            if call == "search":
                async with self.searching:
                    await asyncio.sleep(self.company.switches.search_seconds)
                    found = CALLS[call](self.company, given)
            else:
                found = CALLS[call](self.company, given)
        except Refusal as refusal:
            return self.json({"opr_code": refusal.code, "opr_desc": refusal.text, **refusal.more})
        return self.json(found if call in WITHOUT_A_CODE else {"opr_code": "0", **found})

    def admit(self, given: Record, request: Request) -> None:
        """The key first, then the address, then the quota. Raises Refusal."""
        switches = self.company.switches
        is_known = str(given.get("company_id")) == COMPANY_ID and given.get("secret_key") == SECRET_KEY
        if not is_known or switches.expired or request.scope.get(UNAUTHORIZED):
            raise Refusal(BAD_KEY, "Invalid value for secret_key and company_id")
        if switches.address_blocked:
            host = request.client.host if request.client else "unknown"
            raise Refusal(BAD_ADDRESS, f"IP address '{host}' is not allowed for company_id = {COMPANY_ID}")
        if switches.quota is not None:
            if switches.quota <= 0:
                raise Refusal(QUOTA, "Quote exceeds")
            switches.quota -= 1
        if switches.internal_errors > 0:
            switches.internal_errors -= 1
            raise Refusal(UNKNOWN_ERROR, "java.lang.NullPointerException: null")

    def json(self, found: Record) -> Response:
        """An answer; it says how long it took, which no two answers need agree on."""
        self.company.answered += 1
        timed = {"opr_code": found.get("opr_code"), "opr_time_ms": self.company.answered % 400 + 1, **found}
        mk_id = str(found.get("mk_id") or "")
        shown = _shown(timed, collapse=not mk_id.isdigit() or int(mk_id) % 2 == 0)
        body = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return Response(body, media_type="application/json;charset=utf-8")


def _shown(found: Record, *, collapse: bool) -> Record:
    """The answer as it is written. Rows collapse their lists of one or not, each in its own way and always alike."""
    shown: Record = {}
    for name, value in found.items():
        if isinstance(value, list):
            rows = [rendered(row, collapse=_collapses(row)) for row in value]
            rows = [row for row in rows if row is not None]
            part = rows[0] if name in ("product_list", "mark_paid") and len(rows) == 1 and collapse else rows or None
        else:
            part = rendered(value, name)
        if part is not None:
            shown[name] = part
    return shown


def _collapses(row: Any) -> bool:
    mk_id = str(row.get("mk_id") or "") if isinstance(row, dict) else ""
    return not mk_id.isdigit() or int(mk_id) % 2 == 0


def _object(body: bytes) -> Record:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as problem:
        raise Refusal(UNKNOWN_ERROR, f"org.json.JSONException: {problem}") from None
    if not isinstance(found, dict):
        raise Refusal(UNKNOWN_ERROR, "org.json.JSONException: A JSONObject text must begin with '{'")
    return found
