"""The side door of the company: what a person does on Metakocka's screens, and the operator's switches."""

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import body_of, refusing
from sandbox.metakocka import documents, products
from sandbox.metakocka.company import Company, Record, Switches
from sandbox.metakocka.refusals import Refusal
from sandbox.metakocka.seeding.expectation import expected
from sandbox.metakocka.seeding.stock import lay_in
from sandbox.metakocka.wire import day, instant, number

SWITCHES = tuple(each.name for each in fields(Switches))


def control_routes(company: Company) -> list[Route]:
    """Routes below `/_sandbox/metakocka/`: set, touch, delete, pay, stock, switches, records, record, expected."""
    door = Door(company)
    posts: dict[str, Callable[[Any], Any]] = {
        "set": door.set,
        "touch": door.touch,
        "delete": door.delete,
        "pay": door.pay,
        "stock": door.stock,
        "switches": door.switch,
    }
    gets: dict[str, Callable[[Any], Any]] = {
        "records": door.records,
        "record": door.record,
        "expected": lambda _: expected(company),
    }
    return [
        *(Route(f"/{path}", _posted(handler), methods=["POST"]) for path, handler in posts.items()),
        *(Route(f"/{path}", _asked(handler), methods=["GET"]) for path, handler in gets.items()),
    ]


class Door:
    """What the routes do. An `entity` is contact, product, inventory or document; ids as Metakocka writes them."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def set(self, given: Record) -> Record:
        """Change fields of records: {entity, ids, values}; of stock `amount` and `reserved_amount`."""
        values = given.get("values")
        if not isinstance(values, dict):
            raise ValueError("values is an object of fields and their new values.")
        for record in self._chosen(given):
            record.update(_typed(values))
            record["_changed"] = self.company.stamp()
        return {"ids": given["ids"]}

    def touch(self, given: Record) -> Record:
        """Save records anew: {entity, ids, same, at}; `same` gives all of them one time, `at` one of the past."""
        at = instant(given["at"], "at") if given.get("at") else self.company.stamp()
        for record in self._chosen(given):
            record["_changed"] = at if given.get("same") or given.get("at") else self.company.stamp()
        return {"ids": given["ids"]}

    def delete(self, given: Record) -> Record:
        """Delete records as a person with every right may: a partner with its documents, a product with its stock."""
        self._chosen(given)
        for mk_id in given["ids"]:
            if given["entity"] == "contact":
                del self.company.partners[mk_id]
                kept = {key: each for key, each in self.company.documents.items() if each.get("_partner") != mk_id}
                self.company.documents = kept
            elif given["entity"] == "product":
                products.drop(self.company, mk_id)
            elif given["entity"] == "document":
                del self.company.documents[mk_id]
            else:
                raise ValueError("Stock is not deleted; set its amount.")
        return {"ids": given["ids"]}

    def pay(self, given: Record) -> Record:
        """A payment of a bill: {id, amount, date, payment_type}."""
        (document,) = self._chosen({"entity": "document", "ids": [given.get("id")]})
        payment = {
            "payment_type": str(given.get("payment_type", "Transakcijski račun")),
            "amount": number(given.get("amount"), "amount"),
            "date": day(given.get("date") or self.company.today(), "date"),
        }
        documents.pay(self.company, document, payment)
        return {"ids": [given["id"]]}

    def stock(self, given: Record) -> Record:
        """A delivery of a product to a warehouse: {warehouse_id, mk_id, amount, reserved_amount, lot}."""
        row = lay_in(self.company, **{name: given[name] for name in given})
        return {"ids": [f"{row['warehouse_id']}:{row['mk_id']}"]}

    def switch(self, given: Record) -> Record:
        unknown = sorted(set(given) - set(SWITCHES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}; there are {', '.join(SWITCHES)}.")
        for name, value in given.items():
            setattr(self.company.switches, name, value)
        return asdict(self.company.switches)

    def records(self, query: Record) -> Record:
        """Every record of an entity and when it changed last, in UTC."""
        return {key: each["_changed"].isoformat() for key, each in self._table(query).items()}

    def record(self, query: Record) -> Record:
        """A record as it is stored, its numbers as numbers: ?entity=…&id=…"""
        (found,) = self._chosen({"entity": query.get("entity"), "ids": [query.get("id")]})
        shown = {key: _plain(value) for key, value in found.items() if not key.startswith("_")}
        if query.get("entity") == "document":
            partner = self.company.partners.get(found.get("_partner", ""), {})
            shown |= {"partner": {name: partner.get(name) for name in ("mk_id", "customer", "tax_id_number")}}
            shown |= {"status_desc": found.get("_status"), "product_list": self._lines(found)}
        return shown

    def _lines(self, document: Record) -> list[Record]:
        found = []
        for line in document["product_list"]:
            product = self.company.products.get(line["mk_id"], {})
            found.append(_plain({**line, "code": product.get("code"), "name": product.get("name")}))
        return found

    def _table(self, given: Record) -> dict[str, Record]:
        tables = {
            "contact": self.company.partners,
            "product": self.company.products,
            "document": self.company.documents,
        }
        entity = given.get("entity")
        if entity == "inventory":
            return {f"{row['warehouse_id']}:{row['mk_id']}": row for row in reversed(self.company.stock)}
        if entity not in tables:
            raise ValueError(f"There is no {entity!r} here; there are {', '.join((*tables, 'inventory'))}.")
        return tables[str(entity)]

    def _chosen(self, given: Record) -> list[Record]:
        table, ids = self._table(given), given.get("ids")
        if not isinstance(ids, list):
            raise ValueError("ids is a list of mk_ids; of stock, of warehouse_id:mk_id.")
        missing = [each for each in ids if each not in table]
        if missing:
            raise ValueError(f"There is no {given.get('entity')} {missing[0]!r}.")
        return [table[each] for each in ids]


def _typed(values: Record) -> Record:
    """Values from JSON in the types they are stored with: days and numbers by their names."""
    found = dict(values)
    for name, value in values.items():
        if name in documents.DAYS and value:
            found[name] = day(value, name)
        elif name in (*products.NUMBERS, "amount", "reserved_amount") and value is not None:
            found[name] = number(value, name)
        elif name == "status_desc":
            found["_status"] = found.pop(name)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if not key.startswith("_")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _posted(handler: Callable[[Any], Any]) -> Any:
    async def handle(request: Request) -> Response:
        return _answered(handler, await body_of(request))

    return refusing(handle)


def _asked(handler: Callable[[Any], Any]) -> Any:
    async def handle(request: Request) -> Response:
        return _answered(handler, dict(request.query_params))

    return refusing(handle)


def _answered(handler: Callable[[Any], Any], given: Any) -> Response:
    if not isinstance(given, dict):
        raise ValueError("The body is a JSON object.")
    try:
        found = handler(given)
    except Refusal as refusal:
        raise ValueError(refusal.text) from None
    return Response(msgspec.json.Encoder(decimal_format="number").encode(found), media_type="application/json")
