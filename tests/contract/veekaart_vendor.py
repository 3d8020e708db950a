"""The sandbox's VeeKaart store in the hands of the contract: a person acts and the truth is asked by the side door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

DATA = r"^/veekaart/(products|inventory|pricing)"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ
TABLES = {"product": "products", "inventory": "inventory", "price": "pricing"}
KEY = "sandbox-veekaart-key"


@dataclass
class VeeKaartStore:
    """The sandbox's VeeKaart store."""

    url: str
    session: requests.Session
    made: int = 0
    expiry: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/veekaart"
        self.session.trust_env = False
        self.door("reset", {"vendor": "veekaart"})
        self.door("veekaart/switches", {"requests_per_minute": None})  # a test asks more often than a minute allows

    def good(self) -> Credentials:
        return Credentials(None, KEY)

    def bad(self) -> Credentials:
        return Credentials(None, "wrong-key-3f9c")

    def expire(self) -> None:
        (fault,) = self.door("faults", {"kind": "unauthorized", "path": "^/veekaart/"})["faults"][-1:]
        self.expiry = fault["id"]

    def renew(self) -> None:
        self.session.delete(f"{self.url}/_sandbox/faults", params={"id": self.expiry}).raise_for_status()

    def create(self, entity: str, count: int) -> list[RemoteId]:
        if entity == "product":
            return self.put(entity, [self.values_for(entity) for _ in range(count)])
        return self.put(entity, [{"sku": self.sku()} for _ in range(count)])

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("veekaart/touch", {"table": TABLES[entity], "skus": [remote_id]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("veekaart/touch", {"table": TABLES[entity], "skus": list(remote_ids), "same": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (sku,) = self.put(entity, [{"sku": self.sku(), "description": text}])
        return sku, "description"

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        return {RemoteId(row["sku"]): datetime.fromisoformat(row["updated_at"]) for row in self.rows(entity)}

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"method": "POST"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written -----------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return Fields(text="description", key="name", money=("price",))

    def values_for(self, entity: str) -> dict[str, Any]:
        sku = self.sku()
        return {
            "sku": sku,
            "external_id": f"c0a8-{self.made}",
            "name": f"Contract product {self.made}",
            "description": f"text {self.made}",
            "hsn_sac_code": "00120991",
            "price": Decimal("1250.50"),
            "mrp": Decimal("1499.00"),
            "tax_rate": Decimal(18),
            "status": "active",
        }

    def bad_values(self, entity: str) -> dict[str, Any]:
        return self.values_for(entity) | {"name": "  "}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        found = self.rows(entity, sku=remote_id)
        return found[0] if found else None

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.put(entity, [{**values, "sku": remote_id}])

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("veekaart/forget", {"skus": list(remote_ids)})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        self.put(entity, [{"sku": remote_id}])
        return True

    # -- how it is done ------------------------------------------------------------------------------------------------

    def sku(self) -> str:
        self.made += 1
        return f"CONTRACT-{self.made:04}"

    def put(self, entity: str, rows: Sequence[Mapping[str, Any]]) -> list[RemoteId]:
        found = self.door("veekaart/put", {"table": TABLES[entity], "rows": [encoded(row) for row in rows]})["skus"]
        return [RemoteId(sku) for sku in found]

    def rows(self, entity: str, **query: str) -> list[dict[str, Any]]:
        answer = self.session.get(f"{self.url}/_sandbox/veekaart/rows", params={"table": TABLES[entity], **query})
        assert answer.ok, answer.text
        found: list[dict[str, Any]] = answer.json(parse_float=Decimal)["rows"]
        return found

    def asked(self, entity: str) -> int:
        """How many posts of rows the store got since it was put back."""
        requests: dict[str, int] = self.stats()["by_path"]
        return requests.get(f"POST /veekaart/{TABLES[entity]}", 0)

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.session.get(f"{self.url}/_sandbox/stats").json()
        return found

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()


def encoded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as `requests` can send it; the side door keeps a number as it reads it."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
