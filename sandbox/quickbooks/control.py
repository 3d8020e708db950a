"""The side door of the company: what people do in QuickBooks' own pages, and the operator's switches."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import refusing
from sandbox.quickbooks import sales, saving
from sandbox.quickbooks.answers import ENCODER
from sandbox.quickbooks.company import REALM, Company, Row, Switches
from sandbox.quickbooks.entities import ENTITIES
from sandbox.quickbooks.faults import Refused

DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def control_routes(company: Company) -> list[Route]:
    """Routes below `/_sandbox/quickbooks/`."""
    door = Door(company)
    posts = {
        "insert": door.insert,
        "change": door.change,
        "share": door.share,
        "delete": door.delete,
        "merge": door.merge,
        "clock": door.skip,
        "consent": door.consent,
        "expire": door.expire,
        "switches": door.switch,
    }
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    routes.append(Route("/record", refusing(door.record), methods=["GET"]))
    routes.append(Route("/times", refusing(door.times), methods=["GET"]))
    return routes


class Door:
    """The handlers. Whoever works in the pages takes a second for each thing: the clock moves on before it."""

    def __init__(self, company: Company) -> None:
        self.company = company

    async def insert(self, request: Request) -> Response:
        """Make records with the vendor's checks: {entity, records}."""
        given = await _given(request)
        entity = _entity(given)
        made = []
        for values in given.get("records", []):
            self.company.clock.skip(1)
            try:
                made.append(saving.create(self.company, entity, values).values["Id"])
            except Refused as refused:
                raise ValueError(f"QuickBooks refused: {refused.error}") from None
        return JSONResponse({"ids": made})

    async def change(self, request: Request) -> Response:
        """Write fields past all checks: {entity, ids, set, keep_time}. Null takes a field away.

        With `keep_time` only the SyncToken moves, as when the vendor's own jobs touch a record.
        """
        given = await _given(request)
        entity = _entity(given)
        for row in self._rows(entity, given):
            keeps = bool(given.get("keep_time"))
            self.company.clock.skip(0 if keeps else 1)
            values = {**row.values, **given.get("set", {})}
            kept = {name: value for name, value in values.items() if value is not None}
            self.company.store(entity, kept, at=row.at if keeps else None)
        return JSONResponse({"ids": given.get("ids", [])})

    async def share(self, request: Request) -> Response:
        """Date records with one and the same second: {entity, ids}."""
        given = await _given(request)
        entity = _entity(given)
        self.company.clock.skip(1)
        at = self.company.clock.second()
        for row in self._rows(entity, given):
            self.company.store(entity, row.values, at=at)
        return JSONResponse({"ids": given.get("ids", [])})

    async def delete(self, request: Request) -> Response:
        """Delete transactions: {entity, ids}."""
        given = await _given(request)
        entity = _entity(given)
        if ENTITIES[entity].is_list:
            raise ValueError(f"{entity} cannot be deleted in QuickBooks; merge it into another one.")
        for row in self._rows(entity, given):
            self.company.clock.skip(1)
            sales.unlink(self.company, entity, row)
            self.company.drop(entity, row.values["Id"])
        return JSONResponse({"ids": given.get("ids", [])})

    async def merge(self, request: Request) -> Response:
        """Merge names into another one, as giving them its name does: {entity, ids, into}. They vanish."""
        given = await _given(request)
        entity = _entity(given)
        kept = self.company.find(entity, given.get("into"))
        if kept is None:
            raise ValueError(f"There is no {entity} {given.get('into')!r} to merge into.")
        for row in self._rows(entity, given):
            self.company.clock.skip(1)
            for table in self.company.tables.values():
                for other in table.values():
                    buyer = (other.values.get("CustomerRef") or {}).get("value")
                    if entity == "Customer" and buyer == row.values["Id"]:
                        other.values["CustomerRef"] = {"value": given["into"], "name": kept.values["DisplayName"]}
            del self.company.tables[entity][row.values["Id"]]
        return JSONResponse({"ids": given.get("ids", [])})

    async def skip(self, request: Request) -> Response:
        """Let time pass: {seconds}."""
        self.company.clock.skip(float((await _given(request)).get("seconds", 1)))
        return JSONResponse({"now": self.company.clock.now().isoformat()})

    async def consent(self, _: Request) -> Response:
        """A person's consent without a browser: tokens as the authorization server gives them, and the company."""
        return JSONResponse({**self.company.consents.grant(), "realmId": REALM})

    async def expire(self, _: Request) -> Response:
        """Every access token is an hour old now; how many refreshes there have been."""
        self.company.consents.forget_access_tokens()
        return JSONResponse({"refreshes": self.company.consents.refreshes})

    async def switch(self, request: Request) -> Response:
        given = await _given(request)
        known = {field.name for field in fields(Switches)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(sorted(known))}.")
        for name, value in given.items():
            setattr(self.company.switches, name, float(value) if isinstance(value, Decimal) else value)
        return JSONResponse(asdict(self.company.switches))

    async def record(self, request: Request) -> Response:
        """A record as it is stored: ?entity=…&id=…"""
        row = self.company.find(_entity(request.query_params), request.query_params.get("id"))
        if row is None:
            raise ValueError("There is no such record.")
        return Response(ENCODER.encode(row.values), media_type="application/json")

    async def times(self, request: Request) -> Response:
        """When each record of an entity was saved last: ?entity=…"""
        rows = self.company.tables[_entity(request.query_params)].values()
        return JSONResponse({row.values["Id"]: row.at.isoformat() for row in rows})

    def _rows(self, entity: str, given: Mapping[str, Any]) -> list[Row]:
        found = [(name, self.company.find(entity, name)) for name in given.get("ids", [])]
        missing = [name for name, row in found if row is None]
        if missing:
            raise ValueError(f"There is no {entity} {missing[0]!r}.")
        return [row for _, row in found if row is not None]


async def _given(request: Request) -> dict[str, Any]:
    try:
        return DECODER.decode(await request.body() or b"{}")
    except msgspec.DecodeError as problem:
        raise ValueError(f"The body is not a JSON object: {problem}.") from None


def _entity(given: Mapping[str, Any]) -> str:
    entity = given.get("entity")
    if entity not in ENTITIES:
        raise ValueError(f"There is no {entity!r} here; there are {', '.join(ENTITIES)}.")
    return str(entity)
