"""The sandbox's Zoho organisation in the hands of the contract: what a person does goes by its side door."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import requests

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import OAuthClient
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.testing import Fault, Fields
from erpflow.testing.tokens import LocalTokens
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

CLIENT_ID = "1000.SANDBOXCLIENT7Q2"
CLIENT_SECRET = "sandbox-zoho-client-secret"
REFRESH_TOKEN = "1000.sandbox-refresh-token.connector"
READER_TOKEN = "1000.sandbox-refresh-token.reader"
SIZES = {
    "customers": 14, "items": 8, "orders": 7, "contacts": 9, "leads": 8, "deals": 8, "invoices": 6,
}  # fmt: skip
MODULES = {
    "customer": "Accounts",
    "contact": "Contacts",
    "lead": "Leads",
    "product": "Products",
    "deal": "Deals",
    "order": "Sales_Orders",
    "invoice": "Invoices",
}
LINES = {"order": "Ordered_Items", "invoice": "Invoiced_Items"}
EXTERNAL_ID = "ERPflow_Id"
FIELDS = {
    "customer": Fields(text="Billing_Street", key="Account_Name", money=("Annual_Revenue",)),
    "contact": Fields(text="Mailing_Street", key="Title"),
    "lead": Fields(text="Street", key="Company", money=("Annual_Revenue",)),
    "product": Fields(text="Description", key="Product_Name", money=("Unit_Price",)),
    "deal": Fields(text="Next_Step", key="Deal_Name", money=("Amount",)),
    "order": Fields(text="Billing_Street", key="Subject", money=("Ordered_Items", 0, "List_Price")),
    "invoice": Fields(text="Billing_Street", key="Subject", money=("Invoiced_Items", 0, "List_Price")),
}
_NAMES = "|".join(MODULES.values())
DATA = rf"^/zoho_crm/crm/(v8/({_NAMES}|coql)|bulk/v8/read)"
WRITES = rf"^/zoho_crm/crm/v8/({_NAMES})(/upsert)?(\?|$)"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ


@dataclass
class ZohoOrganisation:
    """The sandbox's organisation. Its clock puts a second between two writes, so that their order shows."""

    url: str
    session: requests.Session
    made: int = 0
    known: dict[str, str] = field(default_factory=dict, init=False)
    tokens: dict[str, LocalTokens] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/zoho_crm"
        self.session.trust_env = False

    # -- credentials -------------------------------------------------------------------------------------------------

    def credentials(self, refresh_token: str = REFRESH_TOKEN) -> Credentials:
        """The app's, with access tokens that are shared by all who ask for them."""
        if refresh_token not in self.tokens:
            client = OAuthClient(ZohoCrm.oauth, Account(self.base_url, CLIENT_ID, CLIENT_SECRET))
            self.tokens[refresh_token] = LocalTokens(client, refresh_token)
        return Credentials(CLIENT_ID, CLIENT_SECRET, tokens=self.tokens[refresh_token])

    def good(self) -> Credentials:
        return self.credentials()

    def bad(self) -> Credentials:
        return self.credentials("1000.a-consent-that-was.taken-back")

    def reader(self) -> Credentials:
        """A consent to reading records, and nothing else."""
        return self.credentials(READER_TOKEN)

    def expire(self) -> None:
        self.door("tokens", {"revoke": REFRESH_TOKEN})

    def renew(self) -> None:
        self.door("tokens", {"grant": REFRESH_TOKEN})

    # -- what a person does ------------------------------------------------------------------------------------------

    def create(self, entity: str, count: int) -> list[RemoteId]:
        records = [self.record(entity) for _ in range(count)]
        return [RemoteId(one) for one in self.door("insert", {"module": MODULES[entity], "records": records})["ids"]]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("touch", {"module": MODULES[entity], "ids": [remote_id]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("touch", {"module": MODULES[entity], "ids": list(remote_ids), "same_time": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        self.change(entity, name, {FIELDS[entity].text: text})
        return name, FIELDS[entity].text

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        rows = self.ask("rows", module=MODULES[entity])
        return {RemoteId(one): datetime.fromtimestamp(seconds, UTC) for one, seconds in rows.items()}

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"path": WRITES, "method": "POST|PUT|DELETE"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.post("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written -------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        values, fields = self.record(entity), FIELDS[entity]
        values |= {fields.text: f"text {self.made}", fields.key: f"key {self.made}", EXTERNAL_ID: f"mark {self.made}"}
        if entity in LINES:
            lines = [{**line, "List_Price": Decimal("10.55")} for line in values[LINES[entity]]]
            return values | {LINES[entity]: lines}
        return values if fields.money is None else values | {str(fields.money[0]): Decimal("2500.50")}

    def bad_values(self, entity: str) -> dict[str, Any]:
        values = self.values_for(entity)
        mandatory = {"contact": "Last_Name", "lead": "Last_Name", "deal": "Stage"}
        if entity in mandatory:
            del values[mandatory[entity]]
            return values
        if entity in LINES:
            return values | {"Account_Name": {"id": "999999999999999999"}}
        return values | {"Employees" if entity == "customer" else "Qty_in_Stock": "many"}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        query = {"module": MODULES[entity], "id": remote_id}
        answer = self.session.get(f"{self.url}/_sandbox/zoho_crm/row", params=query)
        found: dict[str, Any] | None = None if answer.status_code == 400 else answer.json(parse_float=Decimal)
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.door("update", {"module": MODULES[entity], "ids": [remote_id], "set": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("delete", {"module": MODULES[entity], "ids": list(remote_ids)})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        self.door("restore", {"ids": [remote_id]})
        return True

    # -- how it is done ----------------------------------------------------------------------------------------------

    def record(self, entity: str) -> dict[str, Any]:
        self.made += 1
        number = f"{self.made:04}"
        if entity == "customer":
            return {"Account_Name": f"Contract Customer {number}"}
        if entity == "contact":
            return {"Last_Name": f"Contact {number}", "Email": f"contact{number}@example.com"}
        if entity == "lead":
            return {"Last_Name": f"Lead {number}", "Company": f"Company {number}"}
        if entity == "product":
            return {"Product_Name": f"Contract Product {number}", "Product_Code": f"CONTRACT-{number}"}
        if entity == "deal":
            return {"Deal_Name": f"Deal {number}", "Stage": "Qualification", "Account_Name": self.any_of("customer")}
        lines = [{"Product_Name": self.any_of("product"), "Quantity": line, "List_Price": 10.5} for line in (1, 2)]
        return {"Subject": f"Contract {number}", "Account_Name": self.any_of("customer"), LINES[entity]: lines}

    def any_of(self, entity: str) -> dict[str, str]:
        if entity not in self.known:
            (self.known[entity],) = self.create(entity, 1)
        return {"id": self.known[entity]}

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.post(f"zoho_crm/{path}", body)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", data=json.dumps(body, default=str))
        assert answer.ok, answer.text
        return answer.json()

    def ask(self, path: str, **query: str) -> Any:
        answer = self.session.get(f"{self.url}/_sandbox/zoho_crm/{path}", params=query)
        assert answer.ok, answer.text
        return answer.json()
