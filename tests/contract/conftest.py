"""The sandbox as one process for all contract tests, and its ERPNext site in the hands of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
import requests

from erpflow.testing import Fault, Fields
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, VendorRecord
from tests.contract.metakocka_vendor import MetakockaCompany
from tests.contract.sandboxes import sandbox

SMALL = ("--customers", "30", "--items", "12", "--orders", "14")  # hostile rows among them
DATA = r"^/erpnext/api/(resource/|method/frappe\.client\.get_list)"
WRITES = r"^/erpnext/api/(resource/|method/frappe\.client\.(insert|save|set_value|bulk_update|submit|cancel|delete))"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox with a small company, on a free port."""
    with sandbox("erpnext", *SMALL, folder=tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@dataclass
class ErpNextSite:
    """The sandbox's ERPNext site: what a person does goes by its side door, what is true is asked from its API."""

    url: str
    session: requests.Session
    made: int = 0
    expiry: int | None = field(default=None, init=False)
    known: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.base_url = f"{self.url}/erpnext"
        self.session.trust_env = False

    def good(self) -> Credentials:
        return Credentials("sandbox-connector-key", "sandbox-connector-secret")

    def bad(self) -> Credentials:
        return Credentials("sandbox-connector-key", "wrong-secret-3f9c")

    def expire(self) -> None:
        (fault,) = self.door("faults", {"kind": "unauthorized", "path": "^/erpnext/"})["faults"][-1:]
        self.expiry = fault["id"]

    def renew(self) -> None:
        self.session.delete(f"{self.url}/_sandbox/faults", params={"id": self.expiry}).raise_for_status()

    def create(self, entity: str, count: int) -> list[RemoteId]:
        docs = [self.document(entity) for _ in range(count)]
        return [
            RemoteId(name) for name in self.door("erpnext/insert", {"doctype": DOCTYPES[entity], "docs": docs})["names"]
        ]

    def update(self, entity: str, remote_id: RemoteId) -> None:
        self.door("erpnext/touch", {"doctype": DOCTYPES[entity], "names": [remote_id]})

    def share_one_instant(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        self.door("erpnext/touch", {"doctype": DOCTYPES[entity], "names": list(remote_ids), "same_modified": True})

    def write_text(self, entity: str, text: str) -> tuple[RemoteId, str]:
        (name,) = self.create(entity, 1)
        column = TEXT_COLUMNS[entity]
        self.door("erpnext/update", {"doctype": DOCTYPES[entity], "names": [name], "set": {column: text}})
        return name, column

    def modified(self, entity: str) -> Mapping[RemoteId, datetime]:
        zone = ZoneInfo(self.api("method/frappe.client.get_time_zone")["message"]["time_zone"])
        rows = self.api(f"resource/{DOCTYPES[entity]}", fields='["name","modified"]', limit_page_length=0)["data"]
        return {
            RemoteId(row["name"]): datetime.fromisoformat(row["modified"]).replace(tzinfo=zone).astimezone(UTC)
            for row in rows
        }

    def fail(self, fault: Fault) -> None:
        known: dict[str, Any] = {"kind": FAULTS.get(fault.kind, fault.kind), "path": DATA, "times": fault.times}
        if fault.writes:
            known |= {"path": WRITES, "method": "POST|PUT|DELETE"}
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds, "skip": fault.skip})

    # -- what is written ---------------------------------------------------------------------------------------------

    def fields(self, entity: str) -> Fields:
        return FIELDS[entity]

    def values_for(self, entity: str) -> dict[str, Any]:
        values = self.document(entity)
        fields = FIELDS[entity]
        values |= {fields.text: f"text {self.made}", fields.key: f"key {self.made}"}
        if entity == "customer":
            return values | {"credit_limit": Decimal("2500.50"), EXTERNAL_ID: f"erpflow {self.made}"}
        if entity == "product":
            return values | {"standard_rate": Decimal("19.90")}
        return values | {"items": [{**line, "rate": Decimal("10.55")} for line in values["items"]]}

    def bad_values(self, entity: str) -> dict[str, Any]:
        values = self.values_for(entity)
        if entity == "order":  # answered with a 404 that is not about the order
            return values | {"items": [{"item_code": "NO-SUCH-ITEM", "qty": 1, "rate": 1}]}
        return values | {"customer_group" if entity == "customer" else "item_group": "No Such <b>Group</b>"}

    def stored(self, entity: str, remote_id: RemoteId) -> dict[str, Any] | None:
        query = {"doctype": DOCTYPES[entity], "name": remote_id}
        answer = self.session.get(f"{self.url}/_sandbox/erpnext/doc", params=query)
        if answer.status_code == 400:
            return None
        found: dict[str, Any] = answer.json(parse_float=Decimal)
        return found

    def change(self, entity: str, remote_id: RemoteId, values: VendorRecord) -> None:
        self.door("erpnext/update", {"doctype": DOCTYPES[entity], "names": [remote_id], "set": dict(values)})

    def delete(self, entity: str, remote_ids: Sequence[RemoteId]) -> None:
        for name in remote_ids:
            path = f"resource/{quote(DOCTYPES[entity])}/{quote(name, safe='')}"
            answer = self.session.delete(f"{self.base_url}/api/{path}", headers=self.token)
            assert answer.ok, answer.text

    def bring_back(self, entity: str, remote_id: RemoteId) -> bool:
        """Made anew: a customer and an item by their name, an order because a freed last number is given out again."""
        named = {"customer": {"customer_name": remote_id}, "product": {"item_code": remote_id}, "order": {}}
        document = self.document(entity) | named[entity]
        (name,) = self.door("erpnext/insert", {"doctype": DOCTYPES[entity], "docs": [document]})["names"]
        assert name == remote_id
        return True

    def add_external_id(self) -> None:
        """A unique custom field, as the documentation advises for customers."""
        field = {"dt": "Customer", "label": "erpflow id", "fieldname": EXTERNAL_ID, "fieldtype": "Data", "unique": 1}
        answer = self.session.post(f"{self.base_url}/api/resource/Custom Field", json=field, headers=self.token)
        assert answer.ok, answer.text

    # -- how it is done ----------------------------------------------------------------------------------------------

    def document(self, entity: str) -> dict[str, Any]:
        self.made += 1
        if entity == "customer":
            return {"customer_name": f"Contract Customer {self.made:04}", "customer_type": "Company"}
        if entity == "product":
            return {"item_code": f"CONTRACT-{self.made:04}", "item_group": "Products", "stock_uom": "Nos"}
        return {
            "customer": self.any_of("customer"),
            "company": self.company,
            "delivery_date": "2099-12-31",
            "items": [{"item_code": self.any_of("product"), "qty": line, "rate": 10.5} for line in (1, 2)],
        }

    def any_of(self, entity: str) -> str:
        if entity not in self.known:
            self.known[entity] = next(iter(self.modified(entity)), None) or self.create(entity, 1)[0]
        return self.known[entity]

    @cached_property
    def company(self) -> str:
        name: str = self.api("resource/Company")["data"][0]["name"]
        return name

    def door(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    def api(self, path: str, **query: Any) -> Any:
        answer = self.session.get(f"{self.base_url}/api/{path}", params=query, headers=self.token)
        assert answer.ok, answer.text
        return answer.json()

    @property
    def token(self) -> dict[str, str]:
        good = self.good()
        return {"Authorization": f"token {good.login}:{good.password}"}


DOCTYPES = {"customer": "Customer", "product": "Item", "order": "Sales Order"}
TEXT_COLUMNS = {"customer": "customer_details", "product": "description", "order": "title"}
FIELDS = {
    "customer": Fields(text="customer_details", key="tax_id", money=("credit_limit",)),
    "product": Fields(text="warranty_period", key="item_name", money=("standard_rate",)),
    "order": Fields(text="title", key="po_no", money=("items", 0, "rate")),
}
EXTERNAL_ID = "custom_erpflow_id"


@pytest.fixture(scope="session")
def metakocka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox with a small company at Metakocka, hostile records among the others."""
    sizes = ("--customers", "12", "--items", "14", "--orders", "24")
    with sandbox("metakocka", *sizes, folder=tmp_path_factory.mktemp("metakocka")) as url:
        yield url


@pytest.fixture
def metakocka(metakocka_url: str) -> Iterator[MetakockaCompany]:
    """The company, put back to its first state."""
    with requests.Session() as session:
        company = MetakockaCompany(metakocka_url, session)
        company.door("reset", {"vendor": "metakocka"})
        yield company


@pytest.fixture
def erpnext_site(sandbox_url: str) -> Iterator[ErpNextSite]:
    """The site, put back to its first state."""
    with requests.Session() as session:
        site = ErpNextSite(sandbox_url, session)
        site.door("reset", {"vendor": "erpnext"})
        yield site
