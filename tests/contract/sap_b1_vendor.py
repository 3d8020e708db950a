"""The sandbox's Business One company in the hands of the contract: what a person does goes by its side door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

PASSWORD = "sandbox-manager-password"
SIZES = {"customers": 14, "items": 8, "orders": 12, "never_updated": 0}
SETS = {
    "customer": "BusinessPartners",
    "contact": "BusinessPartners",
    "product": "Items",
    "order": "Orders",
    "invoice": "Invoices",
    "payment": "IncomingPayments",
}
KEYS = {"BusinessPartners": "CardCode", "Items": "ItemCode"}
FIELDS = {
    "customer": Fields(text="FreeText", key="CardName", money=("CreditLimit",)),
    "contact": Fields(text="Remarks1", key="E_Mail"),
    "product": Fields(text="User_Text", key="ItemName", money=("ItemPrices", 0, "Price")),
    "order": Fields(text="Comments", key="NumAtCard", money=("DocumentLines", 0, "UnitPrice")),
    "invoice": Fields(text="Comments", key="NumAtCard", money=("DocumentLines", 0, "UnitPrice")),
    "payment": Fields(text="Remarks", key="CounterReference", money=("TransferSum",)),
}
DATA = r"^/sap_b1/b1s/v\d/(\$batch|BusinessPartners|Items|Orders|Invoices|IncomingPayments)"
WRITES = r"^/sap_b1/b1s/v\d/\$batch"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ


@dataclass
class SapB1Company:
    """The sandbox's company, asked over one version of the Service Layer."""

    url: str
    session: requests.Session
    version: str = "v2"
    made: int = 0
    known: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/sap_b1"
        self.session.trust_env = False

    def credentials(self, password: str = PASSWORD, *, user: str = "manager", **extra: str) -> Credentials:
        more = {"company_db": "SBODEMOEU", "time_zone": "Europe/Berlin", "version": self.version, **extra}
        return Credentials(user, password, more)

    def good(self) -> Credentials:
        return self.credentials()

    def bad(self) -> Credentials:
        return self.credentials("wrong-password-3f9c")

    def expire(self) -> None:
        self.door("users", {"user": "manager", "password": "another-password-77"})

    def renew(self) -> None:
        self.door("users", {"user": "manager", "password": PASSWORD})

    def create(self, entity: str, count: int) -> list[RemoteId]:
        if entity != "contact":
            return self.inserted(SETS[entity], [self.record(entity) for _ in range(count)])
        partners = [{**self.record("customer"), "ContactEmployees": [self.record("contact")]} for _ in range(count)]
        codes = self.inserted("BusinessPartners", partners)
        return [
            RemoteId(f"{self.row('BusinessPartners', code)['ContactEmployees'][0]['InternalCode']}:{code}")
            for code in codes
        ]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("touch", {"set": SETS[entity], "keys": [key_of(entity, remote_id)]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        keys = [key_of(entity, name) for name in remote_ids]
        self.door("touch", {"set": SETS[entity], "keys": keys, "same_time": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        self.change(entity, name, {FIELDS[entity].text: text})
        return name, FIELDS[entity].text

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        """Payments have no time; any stands for it."""
        inside = "ContactEmployees" if entity == "contact" else ""
        found = self.ask("rows", {"set": SETS[entity], "inside": inside})
        key, zone = KEYS.get(SETS[entity], "DocEntry"), ZoneInfo(found["zone"])
        times: dict[RemoteId, datetime] = {}
        for row in found["rows"]:
            if row["CardType"] not in (None, "cCustomer"):
                continue
            text = f"{row['UpdateDate'] or '2000-01-01'}T{row['UpdateTime'] or '00:00:00'}"
            at = datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
            if entity == "contact":
                times |= {RemoteId(f"{each['InternalCode']}:{row[key]}"): at for each in row[inside] or []}
            else:
                times[RemoteId(str(row[key]))] = at
        return times

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"path": WRITES, "method": "POST"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.post("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written -------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        values, fields = self.record(entity), FIELDS[entity]
        values |= {fields.text: f"text {self.made}", fields.key: f"key {self.made}"}
        if entity == "customer":
            return values | {"CreditLimit": Decimal("2500.50")}
        if entity == "contact":
            return values | {"CardCode": self.a_customer()}
        if entity == "product":
            prices = [{"PriceList": 1, "Price": Decimal("19.90"), "Currency": "EUR"}]
            return values | {"ItemPrices": [*prices, {"PriceList": 2, "Price": Decimal("12.40"), "Currency": "EUR"}]}
        if entity == "payment":
            return values | {"TransferSum": Decimal("60.25")}
        lines = [{**line, "UnitPrice": Decimal("10.55")} for line in values["DocumentLines"]]
        return values | {"DocumentLines": lines}

    def bad_values(self, entity: str) -> dict[str, Any]:
        values = self.values_for(entity)
        if entity in ("customer", "product"):
            return values | {"GroupCode" if entity == "customer" else "ItemsGroupCode": 9999}
        if entity == "contact":
            return values | {"Name": None}
        if entity == "payment":
            return values | {"TransferAccount": None}
        return values | {"DocumentLines": [{"ItemCode": "NO-SUCH-ITEM", "Quantity": 1}]}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        row = self.row(SETS[entity], key_of(entity, remote_id))
        if entity != "contact" or row is None:
            return row
        number = int(remote_id.partition(":")[0])
        return next((each for each in row["ContactEmployees"] if each["InternalCode"] == number), None)

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        key = key_of(entity, remote_id)
        if entity == "contact":
            number = int(remote_id.partition(":")[0])
            rows = (self.row("BusinessPartners", key) or {})["ContactEmployees"]
            changed = [{**row, **values} if row["InternalCode"] == number else row for row in rows]
            values = {"ContactEmployees": changed}
        self.door("update", {"set": SETS[entity], "keys": [key], "values": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        for name in remote_ids:
            key = key_of(entity, name)
            if entity != "contact":
                self.door("delete", {"set": SETS[entity], "keys": [key]})
                continue
            number = int(name.partition(":")[0])
            rows = (self.row("BusinessPartners", key) or {})["ContactEmployees"]
            values = {"ContactEmployees": [row for row in rows if row["InternalCode"] != number]}
            self.door("update", {"set": SETS[entity], "keys": [key], "values": values})

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        """The vendor has no list of deletions that could be wrong about it."""
        return False

    # -- how it is done ----------------------------------------------------------------------------------------------

    def record(self, entity: str) -> dict[str, Any]:
        self.made += 1
        number = f"{self.made:04}"
        if entity == "customer":
            return {"CardCode": f"K{number}", "CardName": f"Contract Customer {number}", "CardType": "cCustomer"}
        if entity == "contact":
            return {"Name": f"Contact {number}", "E_Mail": f"contact{number}@example.com"}
        if entity == "product":
            return {"ItemCode": f"CONTRACT-{number}", "ItemName": f"Contract Item {number}"}
        if entity == "payment":
            return {
                "CardCode": self.a_customer(), "CashSum": 5, "CashAccount": "160000", "TransferSum": 10,
                "TransferAccount": "161000", "DocDate": self.day("2025-05-05"),
            }  # fmt: skip
        return {
            "CardCode": self.a_customer(),
            "DocDueDate": self.day("2099-12-31"),
            "NumAtCard": f"N-{number}",
            "DocumentLines": [{"ItemCode": self.an_item(), "Quantity": line, "UnitPrice": 10.5} for line in (1, 2)],
        }

    def day(self, text: str) -> str:
        """A date in the form in which the version gives it back."""
        return text if self.version == "v1" else f"{text}T00:00:00Z"

    def a_customer(self) -> str:
        if "customer" not in self.known:
            (self.known["customer"],) = self.inserted("BusinessPartners", [{"CardCode": "KNOWN", "CardName": "Known"}])
        return str(self.known["customer"])

    def an_item(self) -> str:
        if "item" not in self.known:
            (self.known["item"],) = self.inserted("Items", [{"ItemCode": "KNOWN", "ItemName": "Known"}])
        return str(self.known["item"])

    def inserted(self, name: str, records: Sequence[Mapping[str, Any]]) -> list[RemoteId]:
        return [RemoteId(str(key)) for key in self.door("insert", {"set": name, "records": list(records)})["keys"]]

    def row(self, name: str, key: str) -> dict[str, Any] | None:
        """A record as it is kept, in the form of the version that is asked."""
        query = {"set": name, "key": key, "version": self.version}
        answer = self.session.get(f"{self.url}/_sandbox/sap_b1/row", params=query)
        found: dict[str, Any] | None = None if answer.status_code == 400 else answer.json(parse_float=Decimal)
        return found

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        return self.post(f"sap_b1/{path}", body)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def ask(self, path: str, query: Mapping[str, str]) -> Any:
        answer = self.session.get(f"{self.url}/_sandbox/sap_b1/{path}", params=query)
        assert answer.ok, answer.text
        return answer.json()


def key_of(entity: str, remote_id: RemoteId) -> str:
    """The key of the row that holds a record."""
    return remote_id.partition(":")[2] if entity == "contact" else remote_id
