"""One endpoint, `/jsonrpc`: the service and its method are in the body, and so are the credentials."""

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import UNAUTHORIZED
from sandbox.odoo_demo.database import FIELDS, Database, OdooError
from sandbox.odoo_demo.domains import matching
from sandbox.shelf import answer, decode
from sandbox.vendor import ASGIApp

DATABASE, LOGIN, KEY, USER = "odoo_demo", "erpflow@example.com", "sandbox-odoo-demo-key", 2
MOST_A_PAGE = 10_000


class Server:
    """The services of the endpoint."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def rpc(self, request: Request) -> Response:
        body = await request.body()
        try:
            call = decode(body)
            params = call["params"]
            service, method, args = params["service"], params["method"], list(params["args"])
        except (msgspec.DecodeError, KeyError, TypeError):
            return answer({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
        try:
            locked = self.database.expired or bool(request.scope.get(UNAUTHORIZED))
            result = self.called(service, method, args, locked=locked)
        except OdooError as error:
            data = {"name": error.name, "message": error.message, "arguments": [error.message], "debug": "Traceback …"}
            told = {"code": 200, "message": "Odoo Server Error", "data": data}
            return answer({"jsonrpc": "2.0", "id": call.get("id"), "error": told})
        return answer({"jsonrpc": "2.0", "id": call.get("id"), "result": result})

    def called(self, service: Any, method: Any, args: list[Any], *, locked: bool) -> Any:
        """What a method returns. Raises OdooError."""
        if service == "common" and method == "version":
            return {"server_version": "17.0", "protocol_version": 1}
        if service == "common" and method in ("login", "authenticate"):
            return USER if not locked and args[:3] == [DATABASE, LOGIN, KEY] else False
        if service != "object" or method != "execute_kw" or len(args) < 6:
            raise OdooError("builtins.NameError", f"Method not available {method}")
        database, user, key, model, name, positional, *rest = args
        if locked or [database, user, key] != [DATABASE, USER, KEY]:
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied")
        return self.executed(model, name, list(positional), dict(rest[0]) if rest else {})

    def executed(self, model: Any, name: Any, args: list[Any], options: dict[str, Any]) -> Any:
        """A method of a model."""
        if model == "res.users" and name == "read":
            return [{"id": USER, "login": LOGIN, "company_id": [1, "Odoo Demo Ltd."]}]
        self.database.model(model)
        methods = {
            "web_search_read": self.web_search_read, "search_count": self.search_count, "web_read": self.web_read,
            "create": self.create, "write": self.write, "unlink": self.unlink,
        }  # fmt: skip
        if name not in methods:
            raise OdooError("builtins.AttributeError", f"The method '{model}.{name}' does not exist")
        return methods[name](model, args, options)

    def web_search_read(self, model: str, args: list[Any], options: dict[str, Any]) -> Any:
        """A page of records, in the order that was asked for, and how many there are in all."""
        domain = args[0] if args else options.get("domain", [])
        numbers = self.found(model, domain, str(options.get("order") or "id"))
        start, limit = int(options.get("offset") or 0), int(options.get("limit") or MOST_A_PAGE)
        page = numbers[start : start + limit]
        shown = [self.database.shown(model, number, options.get("specification") or {}) for number in page]
        return {"length": len(numbers), "records": shown}

    def web_read(self, model: str, args: list[Any], options: dict[str, Any]) -> Any:
        numbers = self.database.existing(model, args[0])
        return [self.database.shown(model, number, options.get("specification") or {}) for number in numbers]

    def search_count(self, model: str, args: list[Any], options: dict[str, Any]) -> Any:
        return len(self.found(model, args[0] if args else [], "id"))

    def create(self, model: str, args: list[Any], _: dict[str, Any]) -> Any:
        """One record or several, all or none."""
        many = args[0] if isinstance(args[0], list) else [args[0]]
        rows = [self.database.checked(model, values) for values in many]
        empty = dict.fromkeys(FIELDS[model])
        made = [self.database.shelf.add(model, {**empty, "active": True, **row}) for row in rows]
        return made if isinstance(args[0], list) else made[0]

    def write(self, model: str, args: list[Any], _: dict[str, Any]) -> Any:
        numbers = self.database.existing(model, args[0])
        for number in numbers:
            self.database.shelf.change(model, number, self.database.checked(model, args[1], number=number))
        return True

    def unlink(self, model: str, args: list[Any], _: dict[str, Any]) -> Any:
        for number in self.database.existing(model, args[0]):
            self.database.shelf.remove(model, number)
        return True

    def found(self, model: str, domain: Any, order: str) -> list[int]:
        """The ids that fit, archived records only where the domain says something of `active`."""
        rows, stamps = self.database.model(model), self.database.shelf.stamps[model]
        fits = matching(model, domain)
        named = [term[0] for term in domain if isinstance(term, list) and term]
        hidden = "active" in FIELDS[model] and "active" not in named
        numbers = [
            number for number, row in rows.items()
            if fits(row, stamps[number]) and not (hidden and row.get("active") is False)
        ]  # fmt: skip
        for part in reversed([word.strip() for word in order.split(",")]):
            name, _, way = part.partition(" ")
            if name not in ("id", "write_date"):
                raise OdooError("builtins.ValueError", f"Invalid field {name!r} in order by")
            key = (lambda number: number) if name == "id" else (lambda number: stamps[number])
            numbers.sort(key=key, reverse=way == "desc")
        return numbers


def create_app(database: Database) -> ASGIApp:
    return Starlette(routes=[Route("/jsonrpc", Server(database).rpc, methods=["POST"])])
