"""The side door of the store: what a person does in its screens, its switches, and the orders it would post."""

from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import refusing
from sandbox.veekaart.answers import encode, plain, reply, wire_time
from sandbox.veekaart.listing import shown
from sandbox.veekaart.seeding import expected
from sandbox.veekaart.store import Store, Switches, Table

SWITCHES = tuple(asdict(Switches()))
MOST_ORDERS = 1_000
EMPTY: dict[str, dict[str, Any]] = {
    "products": {
        "external_id": None,
        "name": "",
        "description": "",
        "hsn_sac_code": "",
        "price": Decimal("0.00"),
        "mrp": Decimal("0.00"),
        "tax_rate": Decimal(0),
        "status": "active",
    },
    "inventory": dict.fromkeys(("quantity", "reserved_quantity", "available_quantity"), Decimal(0)),
    "pricing": {
        "cost_price": None,
        "selling_price": Decimal("0.00"),
        "mrp": Decimal("0.00"),
        "tax_rate": Decimal(0),
        "discount_percentage": Decimal(0),
    },
}

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def control_routes(store: Store) -> list[Route]:
    """Routes below `/_sandbox/veekaart/`: put, touch, forget, switches, rows, orders, expected."""
    door = Door(store)
    posts = {"put": door.put, "touch": door.touch, "forget": door.forget, "switches": door.switch}
    routes = [Route(f"/{path}", refusing(handler), methods=["POST"]) for path, handler in posts.items()]
    gets = {"rows": door.rows, "orders": door.orders, "expected": door.expected}
    return routes + [Route(f"/{path}", refusing(handler), methods=["GET"]) for path, handler in gets.items()]


class Door:
    """The handlers. None of them checks what the API would refuse."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def put(self, request: Request) -> Response:
        """Write fields of rows, made where they are not there: {table, rows: [{sku, …}]}."""
        given = await _body(request)
        table = self._table(given)
        rows = given.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("sku") for row in rows):
            raise ValueError("rows is a list of objects, each with a sku.")
        for row in rows:
            if table.name != "products" and self.store.tables["products"].get(row["sku"]) is None:
                self.store.tables["products"].put(row["sku"], EMPTY["products"] | {"name": row["sku"]})
            stored = table.get(row["sku"])
            before = stored.values if stored is not None else EMPTY[table.name]
            fields = {name: _stored(value) for name, value in row.items() if name != "sku"}
            table.put(row["sku"], before | fields)
        return _skus(row["sku"] for row in rows)

    async def touch(self, request: Request) -> Response:
        """Move the time of rows: {table, skus, same}; `same` gives all of them one time."""
        given = await _body(request)
        table, skus = self._table(given), self._known(given)
        at = self.store.clock.stamp()
        for sku in skus:
            table.touch(sku, at if given.get("same") else self.store.clock.stamp())
        return _skus(skus)

    async def forget(self, request: Request) -> Response:
        """Take goods out of the store with their stock and prices: {skus}."""
        skus = (await _body(request)).get("skus")
        if not isinstance(skus, list):
            raise ValueError("skus is a list.")
        for sku in skus:
            for table in self.store.tables.values():
                table.drop(sku)
        return _skus(skus)

    async def switch(self, request: Request) -> Response:
        """Set any of requests_per_minute (null: no limit), work_s, max_batch, largest_body."""
        given = await _body(request)
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.store.switches, name, float(value) if name == "work_s" else value)
        self.store.window = None
        return reply(encode(asdict(self.store.switches)))

    async def rows(self, request: Request) -> Response:
        """Every row of a table as it is stored: ?table=products, and ?sku= for one."""
        table, sku = self._table(dict(request.query_params)), request.query_params.get("sku")
        chosen = [(name, row) for _, name, row in table.in_order() if sku in (None, name)]
        return reply(
            encode({"rows": [shown(name, row) for name, row in chosen], "now": wire_time(self.store.clock.now())})
        )

    async def orders(self, request: Request) -> Response:
        """The newest orders as the store would post them: ?count=10."""
        count = request.query_params.get("count", "10")
        if not count.isascii() or not count.isdigit() or not 1 <= int(count) <= MOST_ORDERS:
            raise ValueError(f"count is a whole number from 1 to {MOST_ORDERS:,}, not {count!r}.")
        return reply(encode({"orders": self.store.orders[-int(count) :]}))

    async def expected(self, _: Request) -> Response:
        return reply(encode(expected(self.store)))

    def _table(self, given: dict[str, Any]) -> Table:
        name = given.get("table")
        if name not in self.store.tables:
            raise ValueError(f"There is no table {name!r}; there are {', '.join(self.store.tables)}.")
        return self.store.tables[str(name)]

    def _known(self, given: dict[str, Any]) -> list[str]:
        table, skus = self._table(given), given.get("skus")
        missing = [sku for sku in skus if table.get(sku) is None] if isinstance(skus, list) else [None]
        if missing:
            raise ValueError(f"There is no sku {missing[0]!r} in {table.name}.")
        return list(skus or ())


async def _body(request: Request) -> dict[str, Any]:
    try:
        given = _DECODER.decode(await request.body() or b"{}")
    except msgspec.DecodeError as problem:
        raise ValueError(f"The body is not JSON: {problem}.") from None
    if not isinstance(given, dict):
        raise ValueError("The body is a JSON object.")
    return given


def _stored(value: Any) -> Any:
    return plain(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _skus(skus: Iterable[str]) -> Response:
    return reply(encode({"skus": list(skus)}))
