"""The REST API of Kontor, version 1."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kontor.store import Office, Refused
from sandbox.shelf import Row, answer, decode
from sandbox.vendor import ASGIApp

KEY = "sandbox-kontor-key"
MOST_A_PAGE = 200
MOST_A_BATCH = 50
TABLES = ("customers", "products", "orders")
BULK = ("customers", "products")
FILTERS = ("page", "per_page", "updated_since", "ids")


class Api:
    """The handlers."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.shelf = office.shelf

    async def company(self, _: Request) -> Response:
        return answer({"company": {"name": "Kontor Demo GmbH"}})

    async def listed(self, request: Request) -> Response:
        """Records by id, of those that changed since, or that hold these values."""
        table, query = request.path_params["table"], request.query_params
        size, page = _whole(query, "per_page", 50), _whole(query, "page", 1)
        if not 1 <= size <= MOST_A_PAGE:
            raise HTTPException(400, f"per_page is 1 to {MOST_A_PAGE}.")
        numbers = sorted(self.shelf.tables[table])
        if "updated_since" in query:
            since = _time(query["updated_since"])
            numbers = [number for number in numbers if self.shelf.stamps[table][number] >= since]
        if "ids" in query:
            wanted = set(query["ids"].split(","))
            numbers = [number for number in numbers if str(number) in wanted]
        for name in set(query) - set(FILTERS):
            numbers = [number for number in numbers if _holds(self.shelf.tables[table][number], name, query[name])]
        there = numbers[(page - 1) * size : page * size]
        more = page * size < len(numbers)
        return answer({"items": [self.shown(table, number) for number in there], "page": page, "has_more": more})

    async def one(self, request: Request) -> Response:
        table, number = self._named(request)
        return answer({"item": self.shown(table, number)})

    async def create(self, request: Request) -> Response:
        """One record; sent again with the same Idempotency-Key it is the same record."""
        table, key = request.path_params["table"], request.headers.get("idempotency-key")
        known = self.office.answered.get(key or "")
        if known is not None and known in self.shelf.tables[table]:
            return answer({"item": self.shown(table, known)}, status=200)
        number = self._made(table, await _body(request))
        if key:
            self.office.answered[key] = number
        return answer({"item": self.shown(table, number)}, status=201)

    async def create_many(self, request: Request) -> Response:
        table, body = request.path_params["table"], await _body(request)
        records = body.get("records") if isinstance(body, dict) else None
        if table not in BULK or not isinstance(records, list) or len(records) > MOST_A_BATCH:
            raise HTTPException(400, f"records is a list of at most {MOST_A_BATCH}.")
        return answer({"results": [self._result(table, record) for record in records]}, status=207)

    async def update(self, request: Request) -> Response:
        table, number = self._named(request)
        self._unchanged(request, table, number)
        values = self.office.checked(table, await _body(request), number=number)
        self.shelf.change(table, number, values)
        return answer({"item": self.shown(table, number)})

    async def delete(self, request: Request) -> Response:
        table, number = self._named(request)
        self._unchanged(request, table, number)
        self.shelf.remove(table, number)
        return Response(status_code=204)

    async def deletions(self, request: Request) -> Response:
        """What was deleted, in its order; the cursor is the place in that order."""
        query = request.query_params
        found = [deletion for deletion in self.shelf.deletions if deletion.table == query.get("type")]
        if "since" in query:
            since = _time(query["since"])
            found = [deletion for deletion in found if deletion.at >= since]
        size, start = _whole(query, "per_page", 50), _whole(query, "cursor", 0)
        there = found[start : start + size]
        following = str(start + size) if start + size < len(found) else None
        shown = [{"id": deletion.id, "deleted_at": _iso(deletion.at)} for deletion in there]
        return answer({"deletions": shown, "next": following})

    def shown(self, table: str, number: int) -> Row:
        return {**self.shelf.tables[table][number], "updated_at": _iso(self.shelf.stamps[table][number])}

    def _made(self, table: str, values: Any) -> int:
        if not isinstance(values, dict):
            raise HTTPException(400, "A record is a JSON object.")
        return self.shelf.add(table, self.office.checked(table, values))

    def _result(self, table: str, record: Any) -> dict[str, Any]:
        try:
            return {"ok": True, "item": self.shown(table, self._made(table, record))}
        except Refused as refused:
            return {"ok": False, "error": _error(refused)}

    def _named(self, request: Request) -> tuple[str, int]:
        table, text = request.path_params["table"], request.path_params["id"]
        if not text.isdigit() or int(text) not in self.shelf.tables[table]:
            raise HTTPException(404, f"There is no such record in {table}.")
        return table, int(text)

    def _unchanged(self, request: Request, table: str, number: int) -> None:
        wanted = request.headers.get("if-match")
        if wanted is not None and wanted != _iso(self.shelf.stamps[table][number]):
            raise HTTPException(412, "The record was changed meanwhile.")


def create_app(office: Office) -> ASGIApp:
    api = Api(office)
    inside = "/api/v1/{table}"
    routes = [
        Route("/api/v1/company", api.company),
        Route("/api/v1/deletions", api.deletions),
        Route(f"{inside}/batch", api.create_many, methods=["POST"]),
        Route(f"{inside}/{{id}}", api.one, methods=["GET"]),
        Route(f"{inside}/{{id}}", api.update, methods=["PATCH"]),
        Route(f"{inside}/{{id}}", api.delete, methods=["DELETE"]),
        Route(inside, api.listed, methods=["GET"]),
        Route(inside, api.create, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _failed, Refused: _failed})

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        await (_turned_away(office, scope) or app)(scope, receive, send)

    return guarded


def _turned_away(office: Office, scope: Mapping[str, Any]) -> Response | None:
    """An answer for who has no key, asks too often, or for what is not there."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    if headers.get(b"authorization", b"").decode("latin-1") != f"ApiKey {KEY}":
        return _told(401, "unauthorized", "The API key is missing or wrong.")
    now, limit = time.monotonic(), office.switches.requests_per_minute
    office.asked_at[:] = [at for at in office.asked_at if at > now - 60]
    if limit is not None and len(office.asked_at) >= limit:
        wait = str(int(61 - (now - office.asked_at[0])))
        return _told(429, "too_many_requests", "Too many requests.", headers={"Retry-After": wait})
    office.asked_at.append(now)
    parts = scope["path"].split("/")
    if len(parts) > 3 and parts[3] not in (*TABLES, "company", "deletions"):
        return _told(404, "not_found", "There is nothing here.")
    return None


async def _failed(_: Request, problem: Exception) -> Response:
    if isinstance(problem, Refused):
        return answer({"error": _error(problem)}, status=422)
    status = getattr(problem, "status_code", 500)
    return _told(status, f"http_{status}", getattr(problem, "detail", "Something broke."))


def _told(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> Response:
    told = answer({"error": {"code": code, "message": message}}, status=status)
    told.headers.update(headers or {})
    return told


def _error(refused: Refused) -> dict[str, str]:
    return {"code": refused.code, "message": refused.message, "field": refused.field}


async def _body(request: Request) -> Any:
    try:
        return decode(await request.body())
    except msgspec.DecodeError as problem:
        raise HTTPException(400, f"The body is not JSON: {problem}.") from None


def _whole(query: Mapping[str, str], name: str, usual: int) -> int:
    text = query.get(name, str(usual))
    if not text.isdigit():
        raise HTTPException(400, f"{name} is a whole number.")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise HTTPException(400, f"{text} is not a time.") from None


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _holds(row: Row, name: str, value: str) -> bool:
    """Filters compare text without case, as the office's database does."""
    if name not in row:
        raise HTTPException(400, f"There is no field {name} to filter by.")
    return str(row[name]).casefold() == value.casefold()
