"""The sandbox's Tally in the hands of the contract: what a person does at its screen goes by the side door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord

SMALL = ("--customers", "8", "--items", "5", "--orders", "18")
COMPANY = "Nilgiri Tools & Hardware Pvt Ltd"
KINDS = {"customer": "LEDGER", "product": "STOCKITEM", "order": "VOUCHER", "invoice": "VOUCHER", "payment": "VOUCHER"}
DEBTORS = ("Sundry Debtors", "South Debtors", "West Debtors", "Kochi Walk-ins")
TYPES = {
    "order": ("Sales Order",),
    "invoice": ("Sales", "Counter Sales"),
    "payment": ("Receipt", "Bank Receipt"),
}
FIELDS = {
    "customer": Fields(text="NARRATION", key="EMAIL", money=("CREDITLIMIT",)),
    "product": Fields(text="NARRATION", key="DESCRIPTION", money=("OPENINGVALUE",)),
    "order": Fields(text="NARRATION", key="REFERENCE"),
    "invoice": Fields(text="NARRATION", key="REFERENCE"),
    "payment": Fields(text="NARRATION", key="REFERENCE"),
}
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class TallyOffice:
    """A company at the sandbox's Tally. Its credentials are that somebody has opened it there."""

    url: str
    session: requests.Session
    made: int = 0
    known: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/tally"
        self.session.trust_env = False

    def good(self) -> Credentials:
        return Credentials(None, None, {"company": COMPANY})

    def bad(self) -> Credentials:
        return Credentials(None, None, {"company": "Nilgiri Holdings"})

    def expire(self) -> None:
        self.door("company", {"loaded": False})

    def renew(self) -> None:
        self.door("company", {"loaded": True})

    def create(self, entity: str, count: int) -> list[RemoteId]:
        objects = [dotted(self.document(entity)) for _ in range(count)]
        return [RemoteId(guid) for guid in self.act("insert", entity, objects=objects)["guids"]]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.act("update", entity, guids=[remote_id])

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.act("share", entity, guids=list(remote_ids))

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        self.change(entity, name, {FIELDS[entity].text: text})
        return name, FIELDS[entity].text

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        """Every object of the entity; an AlterID stands for so many seconds since 1970."""
        query = {"kind": KINDS[entity]}
        rows = self.session.get(f"{self.url}/_sandbox/tally/list", params=query).json()["objects"]
        if entity == "customer":
            rows = [row for row in rows if row["parent"] in DEBTORS]
        elif entity in TYPES:
            rows = [row for row in rows if row["type"] in TYPES[entity]]
        return {RemoteId(row["guid"]): FIRST + timedelta(seconds=row["alterid"]) for row in rows}

    def fail(self, fault: Fault) -> None:
        if fault.kind == "truncated":  # framed as if it were whole, as Tally does
            self.door("switches", {"cut_imports" if fault.writes else "cut_exports": fault.times})
            return
        armed: dict[str, Any] = {"kind": fault.kind, "times": fault.times, "skip": fault.skip}
        armed["path"] = "^/import$" if fault.writes else "^/export$"
        if fault.kind == "status":
            armed |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", armed | {"seconds": fault.seconds})

    # -- what is written -------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        values, fields = self.document(entity), FIELDS[entity]
        values |= {fields.text: f"text {self.made}", fields.key: f"key {self.made}"}
        amounts = {"customer": {"CREDITLIMIT": "2500.50"}, "product": {"OPENINGVALUE": "-1999.90"}}
        return values | amounts.get(entity, {})

    def bad_values(self, entity: str) -> dict[str, Any]:
        values = self.values_for(entity)
        if entity == "customer":
            return values | {"PARENT": "No Such Group"}
        if entity == "product":
            return values | {"BASEUNITS": "No Such Unit"}
        first, *others = values["ALLLEDGERENTRIES_LIST"]
        return values | {"ALLLEDGERENTRIES_LIST": [{**first, "AMOUNT": "-1.00"}, *others]}  # out of balance

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        query = {"kind": KINDS[entity], "guid": remote_id}
        answer = self.session.get(f"{self.url}/_sandbox/tally/object", params=query)
        if answer.status_code == 400:
            return None
        found: dict[str, Any] = underscored(answer.json(parse_float=Decimal))
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.act("update", entity, guids=[remote_id], set=dotted(values))

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.act("delete", entity, guids=list(remote_ids))

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        return False

    # -- how it is done --------------------------------------------------------------------------------------------

    def document(self, entity: str) -> dict[str, Any]:
        self.made += 1
        if entity == "customer":
            return {"NAME": f"Contract & Customer {self.made:04}", "PARENT": "West Debtors", "ISBILLWISEON": "Yes"}
        if entity == "product":
            return {"NAME": f"Contract item {self.made:04}", "PARENT": "Fasteners", "BASEUNITS": "Nos"}
        kind = TYPES[entity][0]
        party, other = self.party(), "Cash" if entity == "payment" else "Sales"
        side = 1 if entity == "payment" else -1
        values = {
            "DATE": "20260801",
            "VOUCHERTYPENAME": kind,
            "PARTYLEDGERNAME": party,
            "ALLLEDGERENTRIES_LIST": [entry(party, side * 118), entry(other, -side * 118)],
        }
        return values | ({"VOUCHERNUMBER": f"CT/{self.made:04}"} if entity == "invoice" else {})

    def party(self) -> str:
        if "party" not in self.known:
            guid = next(iter(self.modified("customer")))
            self.known["party"] = str((self.stored("customer", guid) or {})["NAME"])
        return self.known["party"]

    def act(self, what: str, entity: str, **given: Any) -> Any:
        return self.door(what, {"kind": KINDS[entity], **given})

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/tally/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()


def entry(ledger: str, amount: int) -> dict[str, str]:
    """A ledger entry: debit is negative and deemed positive."""
    return {"LEDGERNAME": ledger, "ISDEEMEDPOSITIVE": "Yes" if amount < 0 else "No", "AMOUNT": f"{amount}.00"}


def dotted(values: Any) -> Any:
    """Values with the tags of Tally: X.LIST."""
    return _renamed(values, lambda name: f"{name.removesuffix('_LIST')}.LIST" if name.endswith("_LIST") else name)


def underscored(values: Any) -> Any:
    """Fields with the keys of a record: X_LIST."""
    return _renamed(values, lambda name: name.replace(".", "_"))


def _renamed(value: Any, rename: Any) -> Any:
    if isinstance(value, Mapping):
        return {rename(name): _renamed(part, rename) for name, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, rename) for part in value]
    return "" if value is None else value
