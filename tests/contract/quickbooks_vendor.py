"""The sandbox's QuickBooks company in the hands of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import OAuthClient
from erpflow.connectors.quickbooks import QuickBooks
from erpflow.testing import Fault, Fields
from erpflow.testing.tokens import LocalTokens
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

REALM = "9130357849201746"
CLIENT_ID, CLIENT_SECRET = "sandbox-quickbooks-app", "sandbox-quickbooks-secret"
ENTITIES = {
    "customer": "Customer",
    "product": "Item",
    "invoice": "Invoice",
    "payment": "Payment",
    "order": "SalesReceipt",
    "estimate": "Estimate",
}
NAMES = ("customer", "product")
DOCUMENTS = ("invoice", "order", "estimate")
DATA = r"^/quickbooks/v3/company/"
WRITES = r"^/quickbooks/v3/company/\d+/(batch|customer|item|invoice|payment|salesreceipt|estimate)\b"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ
MONEY_OF_LINE = ("Line", 0, "Amount")
FIELDS = {
    "customer": Fields(text="Notes", key="CompanyName"),
    "product": Fields(text="Description", key="Sku", money=("UnitPrice",)),
    "invoice": Fields(text="PrivateNote", key="DocNumber", money=MONEY_OF_LINE),
    "payment": Fields(text="PrivateNote", key="PaymentRefNum", money=("TotalAmt",)),
    "order": Fields(text="PrivateNote", key="DocNumber", money=MONEY_OF_LINE),
    "estimate": Fields(text="PrivateNote", key="DocNumber", money=MONEY_OF_LINE),
}


@dataclass
class QuickBooksCompany:
    """What a person does goes by the side door; what is true is asked from it too."""

    url: str
    session: requests.Session
    made: int = 0
    known: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/quickbooks"
        self.session.trust_env = False

    def good(self) -> Credentials:
        """Each time a consent of its own, as refresh tokens are good once."""
        return self.credentials(self.consent()["refresh_token"])

    def bad(self) -> Credentials:
        return self.credentials("RT1-nobody-agreed-to-this")

    def credentials(self, refresh_token: str) -> Credentials:
        account = Account(self.base_url, CLIENT_ID, CLIENT_SECRET)
        assert QuickBooks.oauth is not None
        tokens = LocalTokens(OAuthClient(QuickBooks.oauth, account), refresh_token)
        return Credentials(CLIENT_ID, CLIENT_SECRET, {"realm_id": REALM}, tokens)

    def consent(self) -> dict[str, Any]:
        given: dict[str, Any] = self.door("consent", {})
        return given

    def expire(self) -> None:
        self.switch(consent_withdrawn=True)

    def renew(self) -> None:
        self.switch(consent_withdrawn=False)

    def create(self, entity: str, count: int) -> list[RemoteId]:
        records = [self.document(entity) for _ in range(count)]
        made = self.door("insert", {"entity": ENTITIES[entity], "records": records})["ids"]
        return [RemoteId(name) for name in made]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.change(entity, remote_id, {})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("share", {"entity": ENTITIES[entity], "ids": list(remote_ids)})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        field_name = FIELDS[entity].text
        self.change(entity, name, {field_name: text})
        return name, field_name

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        answer = self.session.get(f"{self.url}/_sandbox/quickbooks/times", params={"entity": ENTITIES[entity]})
        return {RemoteId(name): datetime.fromisoformat(at) for name, at in answer.json().items()}

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"path": WRITES, "method": "POST"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        body = known | {"seconds": fault.seconds, "skip": fault.skip}
        self.session.post(f"{self.url}/_sandbox/faults", json=body).raise_for_status()

    # -- what is written ---------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        values = self.document(entity)
        fields = FIELDS[entity]
        values |= {fields.text: f"text {self.made}", fields.key: f"key {self.made}"}
        if entity == "customer":
            values["PrimaryEmailAddr"] = {"Address": f"contract.{self.made}@larkspur.example"}
        return values

    def bad_values(self, entity: str) -> dict[str, Any]:
        reference = {
            "customer": {"SalesTermRef": {"value": "99999"}},
            "product": {"IncomeAccountRef": {"value": "99999"}},
        }
        return self.values_for(entity) | reference.get(entity, {"CustomerRef": {"value": "99999"}})

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        """Without the sum that QuickBooks puts below the lines."""
        query = {"entity": ENTITIES[entity], "id": remote_id}
        answer = self.session.get(f"{self.url}/_sandbox/quickbooks/record", params=query)
        if answer.status_code == 400:
            return None
        found: dict[str, Any] = answer.json(parse_float=Decimal)
        if entity in DOCUMENTS:
            found["Line"] = [line for line in found["Line"] if line["DetailType"] != "SubTotalLineDetail"]
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.door("change", {"entity": ENTITIES[entity], "ids": [remote_id], "set": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        """A document is deleted; a name vanishes when a person merges it into another one."""
        given: dict[str, Any] = {"entity": ENTITIES[entity], "ids": list(remote_ids)}
        if entity in NAMES:
            self.door("merge", given | {"into": self.any_of(entity)})
        else:
            self.door("delete", given)

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        return False  # QuickBooks gives no id out again

    # -- how it is done ----------------------------------------------------------------------------------------------

    def document(self, entity: str) -> dict[str, Any]:
        self.made += 1
        if entity == "customer":
            return {"DisplayName": f"Contract Customer {self.made:04}"}
        if entity == "product":
            return {
                "Name": f"Contract Item {self.made:04}",
                "Type": "Service",
                "IncomeAccountRef": {"value": "1"},
                "UnitPrice": Decimal("19.90"),
            }
        if entity == "payment":
            return {"CustomerRef": {"value": self.any_of("customer")}, "TotalAmt": Decimal("120.50")}
        item = {"ItemRef": {"value": self.any_of("product")}}
        amounts = (Decimal("10.55"), Decimal(20))
        lines = [
            {"Amount": amount, "Description": "line", "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": item}
            for amount in amounts
        ]
        return {"CustomerRef": {"value": self.any_of("customer")}, "DocNumber": f"C-{self.made:05}", "Line": lines}

    def any_of(self, entity: str) -> str:
        """A record of the seed that is active."""
        if entity not in self.known:
            for name in self.modified(entity):
                record = self.stored(entity, name) or {}
                if record.get("Active") and record.get("Type") != "Category":
                    self.known[entity] = name
                    break
        return self.known[entity]

    def switch(self, **switches: Any) -> None:
        self.door("switches", switches)

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        data = json.dumps(body, default=lambda number: float(number))
        answer = self.session.post(f"{self.url}/_sandbox/quickbooks/{path}", data=data)
        assert answer.ok, answer.text
        return answer.json()
