"""The side door of the ERPNext site: change data behind the client's back, and turn the operator's switches."""

import random
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.erpnext import documents, trash
from sandbox.erpnext.errors import FrappeError
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.seeding import expected
from sandbox.erpnext.site import SYSTEM_USER, Call, Site
from sandbox.erpnext.table import Doc

MOST = 100_000
SWITCHES = ("maintenance", "read_only", "database_down", "rate_limit", "lock_wait_s", "request_line_limit")


def control_routes(site: Site) -> list[Route]:
    """Routes below `/_sandbox/erpnext/`: touch, insert, update, delete, rename, switches, lock, expected, doc."""
    door = Door(site)
    posts = {
        "touch": door.touch,
        "insert": door.insert,
        "update": door.update,
        "delete": door.delete,
        "rename": door.rename,
        "switches": door.switch,
        "lock": door.lock,
    }
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    routes.append(Route("/expected", door.expected, methods=["GET"]))
    routes.append(Route("/doc", refusing(door.doc), methods=["GET"]))
    return routes


class Door:
    """The handlers; each answers with the names it touched."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def call(self) -> Call:
        return Call(self.site, SYSTEM_USER, "POST")

    async def touch(self, request: Request) -> Response:
        """Save `count` documents anew: {doctype, count, seed, set, names, same_modified}."""
        given = await body_of(request)
        docs = self.chosen(given)
        stamp = self.site.clock.stamp()
        same = bool(given.get("same_modified"))
        for doc in docs:
            changed = doc.copy()
            changed.update(given.get("set") or {})
            changed["modified"] = stamp if same else self.site.clock.stamp()
            self.site.store(changed)
        return self.names(docs)

    async def insert(self, request: Request) -> Response:
        """Insert `docs` of a `doctype` with the vendor's checks, or one document `count` times with numbered names."""
        given = await body_of(request)
        doctype = self.doctype(given)
        docs = given.get("docs")
        if not isinstance(docs, list):
            raise ValueError("docs is a list of documents.")
        made: list[Doc] = []
        try:
            with self.site.transaction():
                made = [documents.insert(self.call(), doctype, dict(values)).doc for values in docs]
        except FrappeError as error:
            raise ValueError(f"The site refused: {error.qualified}") from None
        return self.names(made)

    async def update(self, request: Request) -> Response:
        """Write columns straight into the table: {doctype, names or count, set, bump}; bump false leaves modified."""
        given = await body_of(request)
        values = given.get("set")
        if not isinstance(values, dict):
            raise ValueError("set is an object of columns and their new values.")
        docs = self.chosen(given)
        for doc in docs:
            changed = doc.copy()
            changed.update(values)
            if given.get("bump", True):
                changed["modified"] = values.get("modified") or self.site.clock.stamp()
            self.site.store(changed)
        return self.names(docs)

    async def delete(self, request: Request) -> Response:
        """Delete documents as a user would (with Deleted Document rows), links or not."""
        docs = self.chosen(await body_of(request))
        for doc in docs:
            trash.record(self.call(), doc)
            self.site.drop(doc)
        return self.names(docs)

    async def rename(self, request: Request) -> Response:
        given = await body_of(request)
        try:
            name = trash.rename(self.call(), self.doctype(given), str(given.get("old")), str(given.get("new")))
        except FrappeError as error:
            raise ValueError(f"The site refused: {error.qualified}") from None
        return JSONResponse({"names": [name]})

    async def switch(self, request: Request) -> Response:
        """Set any of maintenance, read_only, database_down, rate_limit ([seconds, window] or null) …"""
        given = await body_of(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.site.switches, name, tuple(value) if isinstance(value, list) else value)
        return JSONResponse({name: getattr(self.site.switches, name) for name in SWITCHES})

    async def lock(self, request: Request) -> Response:
        """Hold rows as another transaction would: {doctype, names}; an empty list lets go."""
        given = await body_of(request)
        doctype = self.doctype(given)
        kept = {row for row in self.site.switches.locked if row[0] != doctype}
        self.site.switches.locked = kept | {(doctype, str(name)) for name in given.get("names", [])}
        return JSONResponse({"locked": sorted(self.site.switches.locked)})

    async def expected(self, _: Request) -> Response:
        return JSONResponse(expected(self.site))

    async def doc(self, request: Request) -> Response:
        """A document as it is stored, nulls and all: ?doctype=…&name=…"""
        doctype = self.doctype(dict(request.query_params))
        doc = self.site.find(doctype, request.query_params.get("name"))
        if doc is None:
            raise ValueError(f"There is no {doctype} {request.query_params.get('name')!r}.")
        return JSONResponse(as_dict(doc, nulls=True))

    def doctype(self, given: Any) -> str:
        doctype = given.get("doctype") if isinstance(given, dict) else None
        if doctype not in self.site.tables:
            raise ValueError(f"There is no DocType {doctype!r} here.")
        return str(doctype)

    def chosen(self, given: Any) -> list[Doc]:
        """The documents a request names, or `count` of them picked by its `seed`."""
        table = self.site.tables[self.doctype(given)]
        names = given.get("names")
        if names is not None:
            docs = [(name, table.get(str(name))) for name in names]
            missing = [name for name, doc in docs if doc is None]
            if missing:
                raise ValueError(f"There is no {table.meta.name} {missing[0]!r}.")
            return [doc for _, doc in docs if doc is not None]
        count = given.get("count", 1)
        if not isinstance(count, int) or not 0 <= count <= MOST:
            raise ValueError(f"count is a whole number from 0 to {MOST:,}, not {count!r}.")
        everything = list(table)
        return random.Random(given.get("seed", 0)).sample(everything, min(count, len(everything)))

    def names(self, docs: list[Doc]) -> Response:
        return JSONResponse({"names": [doc.name for doc in docs]})
