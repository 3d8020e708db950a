"""The side door of the organisation: what a person does in Zoho's own screens, and an operator's switches."""

import random
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control import refusing
from sandbox.zoho_crm import writing
from sandbox.zoho_crm.answers import ZohoError, answer
from sandbox.zoho_crm.api import DECODER
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.render import shown_whole
from sandbox.zoho_crm.schema import ENTITIES, SCHEMA, Module
from sandbox.zoho_crm.tables import Record, Table
from sandbox.zoho_crm.watch import notify

MOST = 100_000


def control_routes(org: Org) -> list[Route]:
    """Routes below `/_sandbox/zoho_crm/`."""
    door = Door(org)
    posts = {
        "insert": door.insert,
        "touch": door.touch,
        "update": door.update,
        "delete": door.delete,
        "restore": door.restore,
        "switches": door.switch,
        "clock": door.clock,
        "tokens": door.tokens,
        "credits": door.credits,
    }
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    gets = {"row": door.row, "rows": door.rows, "expected": door.expected, "callbacks": door.callbacks}
    routes += [Route(f"/{path}", refusing(handler), methods=["GET"]) for path, handler in gets.items()]
    routes.append(Route("/tokens", refusing(door.told_tokens), methods=["GET"]))
    return routes


class Door:
    """The handlers; each answers with the ids it touched."""

    def __init__(self, org: Org) -> None:
        self.org = org

    async def insert(self, request: Request) -> Response:
        """Insert `records` of a `module` with the vendor's checks, all or none."""
        given = await body_of(request)
        module, ids = self.module(given), []
        for start in range(0, len(given.get("records") or []), writing.MOST):
            try:
                _, rows = writing.insert(self.org, module, {"data": given["records"][start : start + writing.MOST]})
            except ZohoError as error:
                raise ValueError(f"Refused: {error.body}") from None
            bad = next((row for row in rows if row["status"] == "error"), None)
            if bad is not None:
                raise ValueError(f"Refused: {bad}")
            ids += [row["details"]["id"] for row in rows]
        return JSONResponse({"ids": ids})

    async def touch(self, request: Request) -> Response:
        """Save records again: {module, ids or count and seed, set, same_time}."""
        given = await body_of(request)
        table = self.table(given)
        stamp = self.org.clock.stamp()
        chosen = self.chosen(table, given)
        for record in chosen:
            at = stamp if given.get("same_time") else self.org.clock.stamp()
            writing.store(self.org, table.module, {**record, **(given.get("set") or {}), "Modified_Time": at})
        notify(self.org, table.module, "update", [record["id"] for record in chosen])
        return JSONResponse({"ids": [record["id"] for record in chosen]})

    async def update(self, request: Request) -> Response:
        """Write `set` straight into records; `"bump": false` leaves Modified_Time alone."""
        given = await body_of(request)
        table = self.table(given)
        chosen = self.chosen(table, given)
        for record in chosen:
            at = self.org.clock.stamp() if given.get("bump", True) else record["Modified_Time"]
            writing.store(self.org, table.module, {**record, **given["set"], "Modified_Time": at})
        return JSONResponse({"ids": [record["id"] for record in chosen]})

    async def delete(self, request: Request) -> Response:
        """Delete records, whatever refers to them; `"permanent": true` past the recycle bin."""
        given = await body_of(request)
        table = self.table(given)
        chosen = self.chosen(table, given)
        for record in chosen:
            writing.throw_away(
                self.org, table.module, record, kind="permanent" if given.get("permanent") else "recycle"
            )
        return JSONResponse({"ids": [record["id"] for record in chosen]})

    async def restore(self, request: Request) -> Response:
        """Take records out of the recycle bin: {ids}."""
        given = await body_of(request)
        for record_id in given.get("ids", []):
            writing.restore(self.org, str(record_id))
        return JSONResponse({"ids": given.get("ids", [])})

    async def switch(self, request: Request) -> Response:
        """Set any of the switches; lists become sets."""
        given = await body_of(request)
        known = type(self.org.switches).__slots__
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(known)}.")
        for name, value in given.items():
            setattr(self.org.switches, name, set(value) if isinstance(value, list) else value)
        return answer({name: _plain(getattr(self.org.switches, name)) for name in known})

    async def clock(self, request: Request) -> Response:
        """`advance_s` moves the clock; `apart`: seconds that lie between two writes at least."""
        given = await body_of(request)
        self.org.clock.ahead += int(given.get("advance_s", 0))
        self.org.clock.apart = int(given.get("apart", self.org.clock.apart))
        return JSONResponse({"now": self.org.clock.text(self.org.clock.now())})

    async def tokens(self, request: Request) -> Response:
        """`expire`: all access tokens are old. `revoke`, `grant`: a refresh token is taken back, or good again.

        `code`: a grant code with these scopes, as the console's self client gives it.
        """
        given = await body_of(request)
        accounts = self.org.accounts
        if given.get("expire"):
            accounts.expire_access_tokens()
        if given.get("revoke"):
            accounts.revoke(str(given["revoke"]))
        if given.get("grant"):
            accounts.consents[str(given["grant"])].revoked = False
        code = accounts.code(tuple(given["code"])) if given.get("code") else None
        return JSONResponse({"code": code})

    async def told_tokens(self, _: Request) -> Response:
        """How often tokens were refreshed, and how many access tokens live."""
        accounts = self.org.accounts
        alive = sum(len(consent.alive) for consent in accounts.consents.values())
        return JSONResponse({"refreshes": accounts.refreshes, "alive": alive})

    async def credits(self, request: Request) -> Response:
        """`most` a day, `most_at_once`; answers with what was spent and refused."""
        given = await body_of(request)
        found = self.org.credits
        found.most = int(given.get("most", found.most))
        found.most_at_once = int(given.get("most_at_once", found.most_at_once))
        return JSONResponse({"spent": found.spent, "refused": found.refused})

    async def row(self, request: Request) -> Response:
        """A record as its own address shows it: ?module=…&id=…"""
        query = dict(request.query_params)
        table = self.table(query)
        record = table.get(query.get("id", ""))
        if record is None:
            raise ValueError(f"There is no {query.get('id')!r} in {table.module.name}.")
        return answer(shown_whole(self.org, table.module, record))

    async def rows(self, request: Request) -> Response:
        """The ids of a module with their times of modification, in UTC seconds: ?module=…"""
        table = self.table(dict(request.query_params))
        return JSONResponse({record["id"]: record["Modified_Time"] for record in table})

    async def expected(self, _: Request) -> Response:
        """How many records there are, and how many of them a strict client has to reject, by rule."""
        totals = {word: len(self.org.tables[module]) for word, module in ENTITIES.items()}
        return JSONResponse({"totals": totals, "rejects": self.org.expected})

    async def callbacks(self, _: Request) -> Response:
        """What Zoho would have sent to the channels, oldest first."""
        return JSONResponse(self.org.callbacks)

    def module(self, given: Any) -> Module:
        return self.table(given).module

    def table(self, given: Any) -> Table:
        name = str(given.get("module")) if isinstance(given, dict) else ""
        if name not in SCHEMA:
            raise ValueError(f"There is no module {name!r} here; there are {', '.join(SCHEMA)}.")
        return self.org.tables[name]

    def chosen(self, table: Table, given: Any) -> list[Record]:
        """The records a request names, or `count` of them picked by its `seed`."""
        ids = given.get("ids")
        if ids is not None:
            found = [(one, table.get(str(one))) for one in ids]
            missing = [one for one, record in found if record is None]
            if missing:
                raise ValueError(f"There is no {missing[0]!r} in {table.module.name}.")
            return [record for _, record in found if record is not None]
        count = given.get("count", 1)
        if not isinstance(count, int) or not 0 <= count <= MOST:
            raise ValueError(f"count is a whole number from 0 to {MOST:,}, not {count!r}.")
        everything = list(table)
        return random.Random(given.get("seed", 0)).sample(everything, min(count, len(everything)))


async def body_of(request: Request) -> Any:
    """The request's JSON, numbers with a point as Decimal. Raises ValueError with a sentence."""
    raw = await request.body()
    try:
        return DECODER.decode(raw) if raw else {}
    except msgspec.DecodeError as problem:
        raise ValueError(f"The body is not JSON: {problem}.") from None


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else value
