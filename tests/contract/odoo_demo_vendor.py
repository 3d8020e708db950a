"""The sandbox's Odoo-like ERP in the hands of the contract: a person acts and the truth is asked by the side door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ
MODELS = {"customer": "res.partner", "product": "product.product", "order": "sale.order"}
WRITES = r'"(create|write|unlink)"'
DATA = r'"execute_kw"'
KEY, DATABASE = "sandbox-odoo-demo-key", "odoo_demo"
encode = msgspec.json.Encoder(decimal_format="number").encode
FIELDS = {
    "customer": Fields(text="comment", key="ref", money=("credit_limit",)),
    "product": Fields(text="description_sale", key="name", money=("list_price",)),
    "order": Fields(text="client_order_ref", key="name"),
}


@dataclass
class OdooDemo:
    """The sandbox's Odoo-like ERP."""

    url: str
    session: requests.Session
    made: int = 0

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/odoo_demo"
        self.session.trust_env = False
        self.door("reset", {"vendor": "odoo_demo"})

    def good(self) -> Credentials:
        return Credentials("erpflow@example.com", KEY, {"database": DATABASE})

    def bad(self) -> Credentials:
        return Credentials("erpflow@example.com", "wrong-key-3f9c", {"database": DATABASE})

    def expire(self) -> None:
        self.door("odoo_demo/key", {"revoked": True})

    def renew(self) -> None:
        self.door("odoo_demo/key", {"revoked": False})

    def create(self, entity: str, count: int) -> list[RemoteId]:
        rows = [self.values_for(entity) for _ in range(count)]
        found = self.door("odoo_demo/insert", {"table": MODELS[entity], "rows": rows})
        return [RemoteId(str(number)) for number in found["ids"]]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("odoo_demo/touch", {"table": MODELS[entity], "ids": [remote_id]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("odoo_demo/touch", {"table": MODELS[entity], "ids": list(remote_ids), "same": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (number,) = self.create(entity, 1)
        self.change(entity, number, {FIELDS[entity].text: text})
        return number, FIELDS[entity].text

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        """To the second: the server tells no more."""
        stamps = self.look("stamps", table=MODELS[entity])
        return {RemoteId(name): datetime.fromisoformat(at).replace(microsecond=0) for name, at in stamps.items()}

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {
            "kind": FAULTS.get(fault.kind, fault.kind),
            "path": "^/odoo_demo/",
            "body": WRITES if fault.writes else DATA,
            "times": fault.times,
        }
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written -----------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        self.made += 1
        fields, number = FIELDS[entity], self.made
        values: dict[str, Any] = {fields.text: f"text {number}", fields.key: f"key {number}"}
        if entity == "customer":
            return values | {"name": f"Partner {number}", "credit_limit": Decimal("2500.50"), "city": "Fremont"}
        if entity == "product":
            return values | {"default_code": f"CONTRACT-{number:04}", "list_price": Decimal("19.90")}
        return values | {"partner_id": 1, "date_order": "2026-03-01 10:00:00", "order_line": []}

    def bad_values(self, entity: str) -> dict[str, Any]:
        return self.values_for(entity) | {"name": ""}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.look("row", table=MODELS[entity], id=remote_id)
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.door("odoo_demo/change", {"table": MODELS[entity], "id": remote_id, "set": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("odoo_demo/remove", {"table": MODELS[entity], "ids": list(remote_ids)})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        return False  # an id is never used again

    # -- how it is done ------------------------------------------------------------------------------------------------

    def asked(self) -> int:
        """How many requests the endpoint got since the sandbox was put back."""
        found: dict[str, int] = self.session.get(f"{self.url}/_sandbox/stats").json()["by_path"]
        return found.get("POST /odoo_demo/jsonrpc", 0)

    def look(self, path: str, **query: str) -> Any:
        answer = self.session.get(f"{self.url}/_sandbox/odoo_demo/{path}", params=query)
        assert answer.ok, answer.text
        return answer.json(parse_float=Decimal)

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", data=encode(body))
        assert answer.ok, answer.text
        return answer.json()
