"""The side door of Tally: what a person does at its screen, and faults by what is asked for.

Every request to Tally is a POST to the same path, so that its own faults match `/export`, `/import`, `/companies` and
`/alive` in place of a path.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.faults import read_fault
from sandbox.tally.company import KINDS, VOUCHER, Company, Office, Thing
from sandbox.tally.exports import whole
from sandbox.tally.imports import Excepted, Refused, add_voucher, checked
from sandbox.tally.numbering import Taken

SWITCHES = ("wrapped", "modal", "same_remote_id_alters", "crash_on_missing", "cut_exports", "cut_imports", "latency_s")


def control_routes(office: Office) -> list[Route]:
    """Routes below `/_sandbox/tally/`."""
    door = Door(office)
    posts = {
        "faults": door.arm,
        "switches": door.switch,
        "company": door.company,
        "insert": door.insert,
        "update": door.update,
        "delete": door.delete,
        "share": door.share,
    }
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    routes.append(Route("/faults", door.disarm, methods=["DELETE"]))
    routes.append(Route("/list", refusing(door.show_all), methods=["GET"]))
    routes.append(Route("/object", refusing(door.show), methods=["GET"]))
    routes.append(Route("/expected", door.expected, methods=["GET"]))
    return routes


class Door:
    """The handlers. `company` is the name of one, the first if left out; `kind` a tag such as LEDGER."""

    def __init__(self, office: Office) -> None:
        self.office = office

    async def arm(self, request: Request) -> Response:
        fault = self.office.faults.add(read_fault(await body_of(request)))
        return JSONResponse(fault.shown(), status_code=201)

    async def disarm(self, _: Request) -> Response:
        self.office.faults.clear()
        return JSONResponse({"faults": []})

    async def switch(self, request: Request) -> Response:
        """Set any switch: {wrapped, modal, …}; `modal: false` is a click on the dialogue."""
        given = await body_of(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.office.switches, name, value)
        return JSONResponse({name: getattr(self.office.switches, name) for name in SWITCHES})

    async def company(self, request: Request) -> Response:
        """Open or close a company: {company, loaded}; {rename} gives it another name."""
        given = await body_of(request)
        company = self.chosen(given)
        company.loaded = bool(given.get("loaded", company.loaded))
        company.name = str(given.get("rename") or company.name)
        return JSONResponse({"name": company.name, "guid": company.guid, "loaded": company.loaded})

    async def insert(self, request: Request) -> Response:
        """Make objects: {kind, objects}, with the checks that vouchers pass."""
        given = await body_of(request)
        company, kind = self.chosen(given), self.kind(given)
        made = [_made(company, kind, dict(fields)) for fields in given.get("objects", [])]
        return self.guids(made)

    async def update(self, request: Request) -> Response:
        """Change fields: {kind, guids, set}; their AlterIDs move on."""
        given = await body_of(request)
        company = self.chosen(given)
        things = self.things(company, given)
        for thing in things:
            company.alter(thing, given.get("set") or {})
        return self.guids(things)

    async def delete(self, request: Request) -> Response:
        given = await body_of(request)
        company = self.chosen(given)
        things = self.things(company, given)
        for thing in things:
            company.drop(thing)
        return self.guids(things)

    async def share(self, request: Request) -> Response:
        """Give objects one AlterID, a new one: {kind, guids}."""
        given = await body_of(request)
        company = self.chosen(given)
        things = self.things(company, given)
        count = company.count_on(self.kind(given))
        for thing in things:
            thing.alterid = count
        return self.guids(things)

    async def show_all(self, request: Request) -> Response:
        """Every object of a kind with its AlterID, and what tells which entity it belongs to."""
        given = dict(request.query_params)
        company, kind = self.chosen(given), self.kind(given)
        rows = [
            {
                "guid": thing.guid,
                "alterid": thing.alterid,
                "name": thing.name,
                "parent": thing.fields.get("PARENT", ""),
                "type": thing.fields.get("VOUCHERTYPENAME", ""),
            }
            for thing in company.of(kind)
        ]
        return JSONResponse({"objects": rows})

    async def show(self, request: Request) -> Response:
        """All fields of an object by its GUID, as Tally holds them: ?kind=LEDGER&guid=…"""
        given = dict(request.query_params)
        (thing,) = self.things(self.chosen(given), {**given, "guids": [given.get("guid")]})
        return JSONResponse({**whole(thing), "REMOTEID": thing.remote_id or thing.guid})

    async def expected(self, _: Request) -> Response:
        return JSONResponse(self.office.expected)

    def chosen(self, given: Any) -> Company:
        name = given.get("company") if isinstance(given, dict) else None
        for company in self.office.companies:
            if name is None or company.name == name:
                return company
        raise ValueError(f"There is no company {name!r} here.")

    def kind(self, given: Any) -> str:
        kind = given.get("kind")
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}.")
        return str(kind)

    def things(self, company: Company, given: Any) -> list[Thing]:
        held = company.things[self.kind(given)]
        missing = [guid for guid in given.get("guids", []) if guid not in held]
        if missing:
            raise ValueError(f"There is no object {missing[0]!r}.")
        return [held[guid] for guid in given.get("guids", [])]

    def guids(self, things: list[Thing]) -> Response:
        return JSONResponse({"guids": [thing.guid for thing in things]})


def _made(company: Company, kind: str, fields: dict[str, Any]) -> Thing:
    if kind != VOUCHER:
        return company.add(kind, {"NAME.LIST": [], **fields})
    try:
        checked(company, fields)
        return add_voucher(company, fields)
    except (Refused, Excepted, Taken) as refusal:
        raise ValueError(f"Tally refused: {refusal}") from None
