"""The sandbox's company at Metakocka in the hands of the contract: a person acts by the side door and by the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

COMPANY_ID, SECRET_KEY = "16", "sandbox-metakocka-secret-key"
API = "^/metakocka/rest/eshop/v1/"
READS = rf"{API}(search|get_document|get_partner|json/(product_list|warehouse_stock))"
WRITES = rf"{API}((put|update|delete)_document|(add|update)_partner|json/product_(add|update|delete))"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ
BAD = {"contact": {"customer": None}, "product": {"unit": "furlong"}, "document": {"status_desc": "<b>nobody</b>"}}
FIELDS = {
    "contact": Fields(text="registration_number", key="tax_id_number"),
    "product": Fields(text="name_desc", key="name", money=("pricelist", 0, "price_def", 0, "price")),
    "document": Fields(text="notes", key="buyer_order", money=("product_list", 0, "price")),
    "inventory": Fields(text="title", key="code"),
}
TEXTS = {"contact": "customer", "product": "name_desc", "document": "notes"}


@dataclass
class MetakockaCompany:
    """One company. Ids are erpflow's: a document's holds its type."""

    url: str
    session: requests.Session
    document_types: Sequence[str] = ("sales_order",)
    made: int = 0

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/metakocka"
        self.session.trust_env = False

    def good(self) -> Credentials:
        return Credentials(COMPANY_ID, SECRET_KEY)

    def bad(self) -> Credentials:
        return Credentials(COMPANY_ID, "wrong-secret-3f9c")

    def expire(self) -> None:
        self.door("metakocka/switches", {"expired": True})

    def renew(self) -> None:
        self.door("metakocka/switches", {"expired": False})

    # -- what a person does ----------------------------------------------------------------------------------------

    def create(self, entity: str, count: int) -> list[RemoteId]:
        """A partner comes with an order: nothing else shows it. Stock comes with a product of its own."""
        make = {"contact": self.new_partner, "product": self.new_product, "inventory": self.new_stock}
        return [make.get(entity, self.new_document)() for _ in range(count)]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.made += 1
        values = {"contact": {"registration_number": str(self.made)}, "product": {"barcode": str(self.made)}}
        levels = {"inventory": {"amount": str(self.made)}, "document": {"title": f"title {self.made}"}}
        self.change(entity, remote_id, {**values, **levels}[entity])

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("metakocka/touch", {"entity": entity, "ids": self.numbers(entity, remote_ids), "same": True})

    def age(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        """Nobody has changed these for a year."""
        ids = self.numbers(entity, remote_ids)
        self.door("metakocka/touch", {"entity": entity, "ids": ids, "at": "2025-01-01T00:00:00+01:00"})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        self.change(entity, name, {TEXTS[entity]: text})
        return name, TEXTS[entity]

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        ids = self.numbers(entity, [remote_id])
        self.door("metakocka/set", {"entity": entity, "ids": ids, "values": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("metakocka/delete", {"entity": entity, "ids": self.numbers(entity, remote_ids)})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        """A number is never given out again."""
        return False

    # -- the truth ---------------------------------------------------------------------------------------------------

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        found = self.ask_door("records", entity=entity)
        if entity == "document":
            types = self.types
            found = {f"{types.get(mk_id) or self.type_of(mk_id)}:{mk_id}": at for mk_id, at in found.items()}
        if (
            entity == "inventory"
        ):  # a level of each of the goods in each active warehouse, whether there are rows or not
            found = {f"{house}:{mk_id}": found.get(f"{house}:{mk_id}", NEVER) for house, mk_id in self.levels(found)}
        return {RemoteId(name): datetime.fromisoformat(at) for name, at in found.items()}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        query = {"entity": entity, "id": self.numbers(entity, [remote_id])[0]}
        answer = self.session.get(f"{self.url}/_sandbox/metakocka/record", params=query)
        if answer.status_code == 400:
            return None
        found: dict[str, Any] = answer.json(parse_float=Decimal)
        return found

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        self.made += 1
        if entity == "contact":
            person = {"name": "Maja Novak", "email": f"maja{self.made}@contract.example"}
            place = {"street": f"Cesta {self.made}", "post_number": "1000", "city": "Ljubljana", "country": "Slovenija"}
            return {
                "customer": f"Contract {self.made} & sinovi d.o.o.",
                "tax_id_number": f"SI9{self.made:07}",
                "registration_number": f"reg {self.made}",
                "partner_delivery_address_list": [place],
                "partner_contact_list": [person],
            }
        if entity == "product":
            price = {"price": Decimal("19.90"), "tax": "EX4"}
            return {
                **{"code": f"CONTRACT-{self.made:04}", "name": f"Contract {self.made}", "unit": "kos"},
                **{"name_desc": f"text {self.made}", "sales": "true"},
                "pricelist": [{"count_code": "PC-2026", "price_def": [price]}],
            }
        lines = [{"code": self.ware["code"], "amount": Decimal(amount), "tax": "EX4"} for amount in (1, 2)]
        return {
            **{"doc_type": "sales_order", "doc_date": "2026-03-29", "buyer_order": f"contract {self.made}"},
            **{"notes": f"text {self.made}", "warehouse": "glavni", "currency_code": "EUR"},
            "partner": {"mk_id": self.partner},
            "product_list": [{**line, "price": Decimal("10.55")} for line in lines],
        }

    def bad_values(self, entity: str) -> dict[str, Any]:
        return self.values_for(entity) | BAD[entity]

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "times": fault.times}
        known["path"] = WRITES if fault.writes else READS
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- how it is done ----------------------------------------------------------------------------------------------

    def new_partner(self) -> RemoteId:
        self.made += 1
        partner = {"customer": f"Person {self.made}", "street": "Cesta 1", "place": "Celje", "country": "Slovenija"}
        mk_id = self.call("add_partner", partner={**partner, "partner_contact": {"name": "Rok", "gsm": "041 1"}})[
            "mk_id"
        ]
        self.new_document(partner=mk_id)
        return RemoteId(mk_id)

    def new_product(self) -> RemoteId:
        self.made += 1
        values = {"code": f"W-{self.made}", "name": f"Ware {self.made}", "unit": "kos", "sales": "true"}
        return RemoteId(self.call("json/product_add", **values)["mk_id"])

    def new_stock(self) -> RemoteId:
        row = {"warehouse_id": self.warehouse, "mk_id": self.new_product(), "amount": "7,3", "reserved_amount": "1"}
        return RemoteId(self.door("metakocka/stock", row)["ids"][0])

    def new_document(self, *, doc_type: str | None = None, partner: str | None = None, **values: Any) -> RemoteId:
        """Of the types of this company in turn."""
        self.made += 1
        kind = doc_type or self.document_types[self.made % len(self.document_types)]
        line = {"code": self.ware["code"], "amount": "1", "price": "10.5", "tax": "EX4"}
        body = {"doc_type": kind, "partner": {"mk_id": partner or self.partner}, "product_list": [line]}
        mk_id = self.call("put_document", **{**body, "title": f"Document {self.made}", **values})["mk_id"]
        self.types[mk_id] = kind
        return RemoteId(f"{kind}:{mk_id}")

    def numbers(self, entity: str, remote_ids: Sequence[str]) -> list[str]:
        return [each.rpartition(":")[2] if entity == "document" else each for each in remote_ids]

    @cached_property
    def types(self) -> dict[str, str]:
        return {}

    def type_of(self, mk_id: str) -> str:
        self.types[mk_id] = kind = str(self.ask_door("record", entity="document", id=mk_id)["doc_type"])
        return kind

    def levels(self, rows: Mapping[str, str]) -> set[tuple[str, str]]:
        houses = [
            each["mk_id"] for each in self.call("json/warehouse_list")["warehouse_list"] if each["active"] == "true"
        ]
        listed = self.call("json/product_list")["product_list"]
        goods = [each["mk_id"] for each in listed if each["service"] == "false"]
        kept = {(house, mk_id) for house, _, mk_id in (each.partition(":") for each in rows)}
        return {(house, mk_id) for house in houses for mk_id in goods} | kept

    @cached_property
    def partner(self) -> str:
        return list(self.ask_door("records", entity="contact"))[-1]

    @cached_property
    def ware(self) -> dict[str, Any]:
        every = (
            self.ask_door("record", entity="product", id=each) for each in self.ask_door("records", entity="product")
        )
        return [each for each in every if each["service"] == "false" and each.get("unit")][-1]

    @cached_property
    def warehouse(self) -> str:
        return str(self.call("json/warehouse_list")["warehouse_list"][0]["mk_id"])

    def call(self, name: str, /, **parameters: Any) -> Any:
        body = {"secret_key": SECRET_KEY, "company_id": COMPANY_ID, **parameters}
        answer = self.session.post(f"{self.base_url}/rest/eshop/v1/{name}", json=body).json()
        assert answer.get("opr_code", "0") == "0", answer
        return answer

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def ask_door(self, path: str, **query: str) -> Any:
        answer = self.session.get(f"{self.url}/_sandbox/metakocka/{path}", params=query)
        assert answer.ok, answer.text
        return answer.json()


NEVER = "1970-01-01T00:00:00+00:00"
