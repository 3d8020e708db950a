"""Declared systems end to end: two YAML files, the real engine, Postgres, and the sandbox's two ERPs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.integration.conftest import Installation, Sandbox

TABLES = {
    "kontor": {"customer": "customers", "product": "products", "order": "orders"},
    "odoo_demo": {"customer": "res.partner", "product": "product.product", "order": "sale.order"},
}
WORDS = {
    "kontor": ("--password-stdin", "--set", "allow_private_networks=true"),
    "odoo_demo": (
        *("--password-stdin", "--login", "erpflow@example.com"),
        *("--set", "database=odoo_demo", "--set", "allow_private_networks=true"),
    ),
}
KEYS = {"kontor": "sandbox-kontor-key", "odoo_demo": "sandbox-odoo-demo-key"}


@dataclass(frozen=True)
class Counted:
    """What a sync run said."""

    said: str
    status: int

    def __getattr__(self, name: str) -> int:
        found = re.search(rf"([\d,]+) {name}", self.said)
        return int(found[1].replace(",", "")) if found else 0


@dataclass(frozen=True)
class Erp:
    """An installation that is connected to one of the two."""

    system: str
    installation: Installation
    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def sync(self, entity: str, *words: str) -> Counted:
        ended = self.installation.run("sync", "run", "erp", entity, *words)
        assert ended.status in (0, 2), ended.err + ended.out
        return Counted(ended.out, ended.status)

    def do(self, statement: str) -> None:
        with self.installation.database.transaction() as connection:
            connection.execute(statement.encode())

    def row(self, entity: str, number: int) -> dict[str, Any] | None:
        query = {"table": TABLES[self.system][entity], "id": str(number)}
        answer = self.session.get(f"{self.url}/_sandbox/{self.system}/row", params=query, timeout=10)
        found: dict[str, Any] | None = answer.json()
        return found

    def door(self, path: str, entity: str, **body: Any) -> Any:
        given = {"table": TABLES[self.system][entity], **body}
        answer = self.session.post(f"{self.url}/_sandbox/{self.system}/{path}", json=given, timeout=10)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(params=["kontor", "odoo_demo"])
def erp(request: pytest.FixtureRequest, installation: Installation, sandbox: Sandbox) -> Iterator[Erp]:
    """The ERP in its first state, connected."""
    system = str(request.param)
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": system}, timeout=30).raise_for_status()
    words = ("connection", "add", "erp", "--system", system, "--url", f"{sandbox.url}/{system}", *WORDS[system])
    ended = installation.run(*words, given=f"{KEYS[system]}\n")
    assert (ended.status, ended.err) == (0, "")
    assert installation.run("connection", "test", "erp").status == 0
    yield Erp(system, installation, sandbox.url)


def test_a_first_sync_lands_everything_and_a_second_one_writes_nothing(erp: Erp) -> None:
    first = {entity: erp.sync(entity) for entity in ("customer", "product", "order")}
    for entity, counted in first.items():
        assert counted.read == counted.created + counted.rejected > 0
        assert counted.rejected == (1 if (erp.system, entity) == ("kontor", "customer") else 0)
    rows = "SELECT o::text, (SELECT count(*) FROM app.order_items) FROM app.orders o ORDER BY id"
    before = erp.installation.rows(rows)
    again = [erp.sync(entity, "--full") for entity in first]
    assert [(counted.created, counted.updated) for counted in again] == [(0, 0)] * 3
    assert erp.installation.rows(rows) == before
    tied = "SELECT count(*) > 0 FROM app.orders WHERE customer_id IS NOT NULL"
    assert erp.installation.rows(tied) == [(True,)]


def test_only_what_changed_is_read_the_next_time(erp: Erp) -> None:
    erp.sync("customer", "--direction", "pull")
    erp.door("change", "customer", id=7, set={"city": "Bremen"})
    counted = erp.sync("customer", "--direction", "pull")
    assert counted.read < 10 and counted.updated == 1
    assert erp.installation.rows("SELECT count(*) FROM app.customers WHERE city = 'Bremen'") == [(1,)]


def test_a_change_here_goes_there_once_and_does_not_come_back(erp: Erp) -> None:
    erp.sync("customer")
    name = erp.row("customer", 8)["name"]  # type: ignore[index]
    erp.do(f"UPDATE app.customers SET phone = '+49 30 1234567' WHERE name = '{name}'")
    assert "push: completed. 1 read: 0 created, 1 updated" in erp.sync("customer").said
    assert (erp.row("customer", 8) or {})["phone"] == "+49 30 1234567"
    after = erp.sync("customer")
    assert (after.updated, after.created) == (0, 0)
    assert erp.installation.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY 1") == [
        ("succeeded", 1)
    ]


def test_what_is_deleted_there_is_deleted_here_where_the_mapping_says_so(erp: Erp) -> None:
    path = erp.installation.mappings / erp.system / "product.yaml"
    text = re.sub(r"^deletes: .*$", "deletes: {pull: hard, push: ignore}", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    erp.sync("product", "--direction", "pull")
    sku = (erp.row("product", 3) or {})["sku" if erp.system == "kontor" else "default_code"]
    erp.door("remove", "product", ids=[3])
    counted = erp.sync("product", "--direction", "pull", "--full")
    assert counted.deleted == 1
    assert erp.installation.rows(f"SELECT count(*) FROM app.products WHERE sku = '{sku}'") == [(0,)]


def test_an_address_in_a_private_network_is_refused_unless_the_connection_says_otherwise(
    installation: Installation, sandbox: Sandbox
) -> None:
    words = ("connection", "add", "erp", "--system", "kontor", "--url", f"{sandbox.url}/kontor", "--password-stdin")
    assert installation.run(*words, given="sandbox-kontor-key\n").status == 0
    ended = installation.run("connection", "test", "erp")
    assert ended.status == 1 and "private network" in ended.err and "sandbox-kontor-key" not in ended.err


def test_a_setting_that_the_system_does_not_have_is_refused(installation: Installation) -> None:
    words = ("--url", "https://erp.example.com", "--set", "databse=x", "--no-password")
    ended = installation.run("connection", "add", "erp", "--system", "odoo_demo", *words)
    assert ended.status == 1 and 'did you mean "database"' in ended.err


# -- the command line --------------------------------------------------------------------------------------------------


def test_one_page_is_fetched_and_shown_without_secrets(erp: Erp) -> None:
    path = f"include/connectors/{erp.system}.yaml"
    ended = erp.installation.run("connector", "try", path, "--connection", "erp", "--entity", "product")
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert "HTTP 200 in " in lines[0]
    assert lines[1] == "20 records of product, 200 asked for"
    assert lines[2].startswith("First: 1, changed 2025-0")
    assert any(line.startswith("  name: ") for line in lines)
    assert lines[-1].startswith("Next page: ")
    assert KEYS[erp.system] not in ended.out + ended.err
    assert erp.installation.rows("SELECT count(*) FROM app.products") == [(0,)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--connection", "erpp"), 'did you mean "erp"'),
        (("--connection", "erp", "--entity", "custmer"), 'did you mean "customer"'),
    ],
)
def test_what_cannot_be_tried_is_said(erp: Erp, words: tuple[str, ...], message: str) -> None:
    ended = erp.installation.run("connector", "try", f"include/connectors/{erp.system}.yaml", *words)
    assert ended.status == 1 and message in ended.err


def test_declarations_are_checked_with_all_that_is_wrong(installation: Installation) -> None:
    good = installation.run("connector", "check")
    assert good.status == 0
    assert "kontor.yaml: Kontor ERP, auth api_key, customer (page; create, update, delete)" in good.out
    path = installation.home / "include" / "connectors" / "kontor.yaml"
    path.write_text(path.read_text().replace("kind: page", "kind: pages").replace("means: stale", "means: stal"))
    bad = installation.run("connector", "check")
    assert bad.status == 1
    assert 'kontor.yaml:14: errors[2].means: found "stal"' in bad.err
    assert 'entities.order.list.paging.kind: found "pages"' in bad.err
    assert "1 of 2 declarations cannot be used." in bad.err
    assert "odoo_demo.yaml: " in bad.out


def test_a_name_that_a_connector_in_python_has_is_taken(installation: Installation) -> None:
    folder = installation.home / "include" / "connectors"
    text = (folder / "kontor.yaml").read_text().replace("system: kontor", "system: erpnext")
    (folder / "erpnext.yaml").write_text(text)
    ended = installation.run("connector", "check", "include/connectors/erpnext.yaml")
    assert ended.status == 1 and "has a connector in Python" in ended.err
