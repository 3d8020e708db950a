"""The side door of the company: change data behind the client's back, end sessions, turn the operator's switches."""

import random
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.sap_b1 import render
from sandbox.sap_b1.company import Company, Row
from sandbox.sap_b1.schema import EntitySet, schema
from sandbox.sap_b1.service import Asked, answer
from sandbox.sap_b1.sessions import User
from sandbox.sap_b1.values import accept

SWITCHES = ("approval", "ignore_case", "etags", "largest_page")
MOST = 100_000
OPERATOR = User("")


def control_routes(company: Company) -> list[Route]:
    """Routes below `/_sandbox/sap_b1/`; what each is for, its handler says."""
    door = Door(company)
    posts = {
        "insert": door.insert,
        "touch": door.touch,
        "update": door.update,
        "delete": door.delete,
        "lock": door.lock,
        "switches": door.switch,
        "sessions": door.end_sessions,
        "users": door.set_password,
    }
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    gets = {"row": door.row, "rows": door.rows, "expected": door.expected, "sessions": door.show_sessions}
    return routes + [Route(f"/{path}", refusing(handler), methods=["GET"]) for path, handler in gets.items()]


class Door:
    """The handlers; each answers with the keys it touched."""

    def __init__(self, company: Company) -> None:
        self.company = company

    async def insert(self, request: Request) -> Response:
        """Make `records` of a `set`, with the vendor's rules, all or none: {set, records}."""
        given = await body_of(request)
        entity_set = self.set_of(given)
        records = given.get("records")
        if not isinstance(records, list):
            raise ValueError("records is a list of objects.")
        keys = []
        with self.company.transaction():
            for record in records:
                asked = Asked("POST", entity_set.name, body=render.encode(record))
                reply = answer(self.company, asked, OPERATOR)
                if reply.status != 201:
                    raise ValueError(f"The company refused: {reply.body.decode()}")
                keys.append(Asked("GET", "", body=reply.body).json()[entity_set.key])
        return JSONResponse({"keys": keys})

    async def touch(self, request: Request) -> Response:
        """Save records anew: {set, keys or count and seed, values, same_time}; `same_time` gives all one second."""
        given = await body_of(request)
        entity_set = self.set_of(given)
        values = accept(given.get("values") or {}, entity_set.type)
        day, time = self.company.now()
        for row in self.chosen(entity_set, given):
            saved = self.company.save(entity_set.name, row.values[entity_set.key], {**row.values, **values})
            if given.get("same_time") and "UpdateDate" in saved.values:
                saved.values.update(UpdateDate=day, UpdateTime=time)
        return self.keys(entity_set, self.chosen(entity_set, given))

    async def update(self, request: Request) -> Response:
        """Write values straight into the table: {set, keys, values, bump}; `bump` false leaves UpdateDate alone."""
        given = await body_of(request)
        entity_set = self.set_of(given)
        values = accept(given.get("values"), entity_set.type)
        rows = self.chosen(entity_set, given)
        for row in rows:
            key, changed = row.values[entity_set.key], {**row.values, **values}
            if given.get("bump", True):
                self.company.save(entity_set.name, key, changed)
            else:
                self.company.put(entity_set.name, key, changed, saved=row.saved + 1)
        return self.keys(entity_set, rows)

    async def delete(self, request: Request) -> Response:
        """Take records away, whatever refers to them: {set, keys}."""
        given = await body_of(request)
        entity_set = self.set_of(given)
        rows = self.chosen(entity_set, given)
        for row in rows:
            self.company.drop(entity_set.name, row.values[entity_set.key])
        return self.keys(entity_set, rows)

    async def lock(self, request: Request) -> Response:
        """Hold records as another transaction would: {set, keys}; an empty list lets go."""
        given = await body_of(request)
        entity_set = self.set_of(given)
        kept = {held for held in self.company.locked if held[0] != entity_set.name}
        rows = self.chosen(entity_set, {"keys": given.get("keys", [])})
        self.company.locked = kept | {(entity_set.name, row.values[entity_set.key]) for row in rows}
        return self.keys(entity_set, rows)

    async def switch(self, request: Request) -> Response:
        """Turn any of approval, ignore_case, etags, largest_page."""
        given = await body_of(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.company.switches, name, value)
        return JSONResponse({name: getattr(self.company.switches, name) for name in SWITCHES})

    async def end_sessions(self, request: Request) -> Response:
        """End all sessions, as a restart does; {most, timeout} set how many there may be, and their minutes."""
        given = await body_of(request)
        sessions = self.company.sessions
        sessions.open.clear()
        sessions.most = int(given.get("most", sessions.most))
        sessions.timeout = float(given.get("timeout", sessions.timeout))
        return await self.show_sessions(request)

    async def show_sessions(self, _: Request) -> Response:
        sessions = self.company.sessions
        return JSONResponse({"open": len(sessions.open), "logins": sessions.logins, "most": sessions.most})

    async def set_password(self, request: Request) -> Response:
        """Give a user another password and end all sessions: {user, password}."""
        given = await body_of(request)
        user = self.company.sessions.users.get(str(given.get("user")))
        if user is None or not isinstance(given.get("password"), str):
            raise ValueError(f"user is one of {', '.join(self.company.sessions.users)}, password a text.")
        user.password = given["password"]
        self.company.sessions.open.clear()
        return JSONResponse({"user": given["user"]})

    async def row(self, request: Request) -> Response:
        """A record as it is kept, in the form of a version: ?set=…&key=…&version=v2"""
        entity_set = self.set_of(dict(request.query_params))
        (row,) = self.chosen(entity_set, {"keys": [request.query_params.get("key")]})
        shaped = render.shaped(row.values, entity_set.type, version=request.query_params.get("version", "v1"))
        return Response(render.encode(shaped), media_type="application/json")

    async def rows(self, request: Request) -> Response:
        """The keys of all records with their times, and the rows of one list in them: ?set=…&inside=ContactEmployees"""
        entity_set = self.set_of(dict(request.query_params))
        names = [entity_set.key, "CardType", "UpdateDate", "UpdateTime", "CreateDate", "DocDate"]
        names += filter(None, [request.query_params.get("inside")])
        rows = self.company.tables[entity_set.name].values()
        kept = [{name: row.values.get(name) for name in names} for row in rows]
        return Response(render.encode({"zone": self.company.zone.key, "rows": kept}), media_type="application/json")

    async def expected(self, _: Request) -> Response:
        return JSONResponse(self.company.expected)

    def set_of(self, given: Any) -> EntitySet:
        found = schema().sets.get(str(given.get("set"))) if isinstance(given, dict) else None
        if found is None:
            raise ValueError(f"set is one of {', '.join(schema().sets)}.")
        return found

    def chosen(self, entity_set: EntitySet, given: Any) -> list[Row]:
        """The records a request names, or `count` of them picked by its `seed`."""
        if given.get("keys") is not None:
            rows = []
            for key in given["keys"]:
                row = self.company.find(entity_set.name, key)
                if row is None:
                    raise ValueError(f"There is no {entity_set.name} {key!r}.")
                rows.append(row)
            return rows
        count = given.get("count", 1)
        if not isinstance(count, int) or not 0 <= count <= MOST:
            raise ValueError(f"count is a whole number from 0 to {MOST:,}, not {count!r}.")
        everything = list(self.company.tables[entity_set.name].values())
        return random.Random(given.get("seed", 0)).sample(everything, min(count, len(everything)))

    def keys(self, entity_set: EntitySet, rows: Sequence[Row]) -> Response:
        return JSONResponse({"keys": [row.values[entity_set.key] for row in rows]})
