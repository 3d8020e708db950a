"""The sandbox's Kontor in the hands of the contract: a person acts and the truth is asked by the side door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

DATA = r"^/kontor/api/v1/(customers|products|orders|deletions)"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ
TABLES = {"customer": "customers", "product": "products", "order": "orders"}
KEY = "sandbox-kontor-key"
encode = msgspec.json.Encoder(decimal_format="number").encode
FIELDS = {
    "customer": Fields(text="notes", key="name", money=("credit_limit",)),
    "product": Fields(text="description", key="name", money=("price",)),
    "order": Fields(text="note", key="reference", money=("lines", 0, "unit_price")),
}


@dataclass
class KontorOffice:
    """The sandbox's Kontor."""

    url: str
    session: requests.Session
    made: int = 0
    expiry: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/kontor"
        self.session.trust_env = False
        self.door("reset", {"vendor": "kontor"})
        self.door("kontor/switches", {"requests_per_minute": None})  # a test asks more often than a minute allows

    def good(self) -> Credentials:
        return Credentials(None, KEY)

    def bad(self) -> Credentials:
        return Credentials(None, "wrong-key-3f9c")

    def expire(self) -> None:
        (fault,) = self.door("faults", {"kind": "unauthorized", "path": "^/kontor/"})["faults"][-1:]
        self.expiry = fault["id"]

    def renew(self) -> None:
        self.session.delete(f"{self.url}/_sandbox/faults", params={"id": self.expiry}).raise_for_status()

    def create(self, entity: str, count: int) -> list[RemoteId]:
        rows = [self.values_for(entity) for _ in range(count)]
        found = self.door("kontor/insert", {"table": TABLES[entity], "rows": rows})
        return [RemoteId(str(number)) for number in found["ids"]]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("kontor/touch", {"table": TABLES[entity], "ids": [remote_id]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("kontor/touch", {"table": TABLES[entity], "ids": list(remote_ids), "same": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (number,) = self.create(entity, 1)
        self.change(entity, number, {FIELDS[entity].text: text})
        return number, FIELDS[entity].text

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        stamps = self.look("stamps", table=TABLES[entity])
        return {RemoteId(number): datetime.fromisoformat(at) for number, at in stamps.items()}

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"method": "POST|PATCH|DELETE"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written -----------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        self.made += 1
        fields, number = FIELDS[entity], self.made
        values = {fields.text: f"text {number}", fields.key: f"key {number}"}
        if entity == "customer":
            return values | {"email": f"c{number}@example.com", "credit_limit": Decimal("2500.50"), "country": "DE"}
        if entity == "product":
            return values | {"sku": f"CONTRACT-{number:04}", "price": Decimal("19.90"), "active": True}
        lines = [{"product_id": 1, "quantity": 2, "unit_price": Decimal("10.55")}, {"product_id": 2, "quantity": 1}]
        return values | {"customer_id": 1, "order_date": "2026-03-01", "lines": lines}

    def bad_values(self, entity: str) -> dict[str, Any]:
        wrong = {"customer": {"name": ""}, "product": {"sku": ""}, "order": {"customer_id": 999_999}}
        return self.values_for(entity) | wrong[entity]

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.look("row", table=TABLES[entity], id=remote_id)
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.door("kontor/change", {"table": TABLES[entity], "id": remote_id, "set": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("kontor/remove", {"table": TABLES[entity], "ids": list(remote_ids)})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        row = self.values_for(entity)
        self.door("kontor/restore", {"table": TABLES[entity], "id": remote_id, "row": row})
        return True

    # -- how it is done ------------------------------------------------------------------------------------------------

    def asked(self) -> dict[str, int]:
        """How often each path was asked since the sandbox was put back."""
        found: dict[str, int] = self.session.get(f"{self.url}/_sandbox/stats").json()["by_path"]
        return found

    def look(self, path: str, **query: str) -> Any:
        answer = self.session.get(f"{self.url}/_sandbox/kontor/{path}", params=query)
        assert answer.ok, answer.text
        return answer.json(parse_float=Decimal)

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", data=encode(body))
        assert answer.ok, answer.text
        return answer.json()
