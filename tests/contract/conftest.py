"""The sandbox as one process for all contract tests, and its ERPNext site in the hands of the contract."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from erpflow.testing import Fault
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId

ROOT = Path(__file__).parents[2]
SMALL = ("--customers", "30", "--items", "12", "--orders", "14")  # hostile rows among them
DATA = r"^/erpnext/api/(resource/|method/frappe\.client\.get_list)"
FAULTS = {"truncated": "truncate"}  # the sandbox's own words where they differ


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox with a small company, on a free port."""
    ready = tmp_path_factory.mktemp("sandbox") / "ready"
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--port",
        "0",
        "--ready-file",
        str(ready),
        "--vendor",
        "erpnext",
        *SMALL,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, "the sandbox ended before it was ready"
            assert time.monotonic() < until, "the sandbox was not ready within a minute"
            time.sleep(0.05)
        yield ready.read_text().strip()
    finally:
        process.terminate()
        process.wait(timeout=15)


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
        if fault.kind == "status":
            known |= {"status": fault.status, "retry_after": fault.retry_after}
        self.door("faults", known | {"seconds": fault.seconds})

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
        good = self.good()
        headers = {"Authorization": f"token {good.login}:{good.password}"}
        answer = self.session.get(f"{self.base_url}/api/{path}", params=query, headers=headers)
        assert answer.ok, answer.text
        return answer.json()


DOCTYPES = {"customer": "Customer", "product": "Item", "order": "Sales Order"}
TEXT_COLUMNS = {"customer": "customer_details", "product": "description", "order": "title"}


@pytest.fixture
def erpnext_site(sandbox_url: str) -> Iterator[ErpNextSite]:
    """The site, put back to its first state."""
    with requests.Session() as session:
        site = ErpNextSite(sandbox_url, session)
        site.door("reset", {"vendor": "erpnext"})
        yield site
