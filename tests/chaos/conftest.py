"""What chaos happens to: an ERPNext site of its own, and an installation that syncs its customers both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.contract.sandboxes import sandbox
from tests.integration.conftest import API_KEY, API_SECRET, Installation, installation

__all__ = ["installation"]  # a fixture: pytest finds it here

EXTERNAL_ID = "custom_erpflow_id"
WRITES = "^/erpnext/api/(resource/Customer|method/frappe.client.insert_many)"

CUSTOMER = f"""
system: erpnext
entity: customer
remote: {{object: Customer, key: name, modified: modified, external_id: {EXTERNAL_ID}}}
local: {{table: app.customers, key: id, modified: updated_at}}
direction: bidirectional
conflict: newest_wins
deletes: {{pull: hard, push: hard, at_most: 100%}}
every: 1h
fields:
  - {{local: name, remote: customer_name, type: text, required: true}}
  - {{local: tax_number, remote: tax_id, type: text}}
  - {{local: company_name, remote: customer_details, type: text}}
"""


@dataclass(frozen=True)
class Site:
    """An ERPNext site, as people who work with it see it, and its side door."""

    url: str
    session: requests.Session

    @property
    def address(self) -> str:
        return f"{self.url}/erpnext"

    def fault(self, kind: str, **more: Any) -> None:
        """Let something go wrong from now on."""
        self.door("faults", {"kind": kind} | more)

    def heal(self, *, seed: int) -> int:
        """Let nothing go wrong any more; how often something did. The dice of faults begin anew."""
        door = f"{self.url}/_sandbox/faults"
        faults = self.session.get(door, timeout=10).json()["faults"]
        self.session.delete(door, params={"seed": seed}, timeout=10).raise_for_status()
        return sum(fault["hits"] for fault in faults)

    def door(self, path: str, body: Any) -> Any:
        """Ask the side door."""
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def try_door(self, path: str, body: Any) -> bool:
        """Ask the side door for what may be in vain: somebody else may have deleted the document meanwhile."""
        answer = self.session.post(f"{self.url}/_sandbox/{path}", json=body, timeout=30)
        assert answer.ok or "There is no" in answer.text, answer.text
        return answer.ok

    def rows(self, doctype: str, *fields: str) -> list[dict[str, Any]]:
        """Every document of a kind, as the API tells."""
        asked = {"fields": '["' + '","'.join(fields) + '"]', "limit_page_length": "0"}
        answer = self.session.get(f"{self.address}/api/resource/{quote(doctype)}", params=asked, timeout=60)
        assert answer.ok, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site without customers, with the field that tells who made one."""
    sizes = ("--customers", "0", "--items", "0", "--orders", "0")
    with sandbox("erpnext", *sizes, folder=tmp_path) as url, requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"token {API_KEY}:{API_SECRET}"
        found = Site(url, session)
        field = {"dt": "Customer", "label": "erpflow id", "fieldname": EXTERNAL_ID, "fieldtype": "Data", "unique": 1}
        answer = session.post(f"{found.address}/api/resource/Custom Field", json=field, timeout=10)
        assert answer.ok, answer.text
        yield found


@pytest.fixture
def both_ways(installation: Installation, site: Site, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation, connected to the site as `demo`; this process is within it too."""
    folder = installation.mappings / "erpnext"
    for path in folder.glob("*.yaml"):
        path.unlink()
    (folder / "customer.yaml").write_text(CUSTOMER, encoding="utf-8")
    words = ("connection", "add", "demo", "--system", "erpnext", "--url", site.address, "--login", API_KEY)
    ended = installation.run(*words, "--password-stdin", given=f"{API_SECRET}\n")
    assert (ended.status, ended.err) == (0, "")
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.home)
    return installation
