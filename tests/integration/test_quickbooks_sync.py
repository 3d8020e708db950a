"""QuickBooks from the consent to the tables and back, with the engine that is used: the sandbox's company, Postgres."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from erpflow.errors import ConfigError
from tests.contract.sandboxes import sandbox
from tests.integration.conftest import Installation

SMALL = ("--customers", "40", "--items", "20", "--orders", "40")
CLIENT_ID, CLIENT_SECRET = "sandbox-quickbooks-app", "sandbox-quickbooks-secret"
PAGE = re.compile(r"http://\S+/connect/oauth2\S+")
COMMAND = sys.modules["erpflow.cli.connect"]
ENTITIES = ("customer", "product", "invoice", "payment", "order", "estimate")
REJECTED = {"customer": 1, "product": 3, "invoice": 1, "payment": 0, "order": 1, "estimate": 0}
"""What the sandbox holds that no table can: see its hostile rows."""


@pytest.fixture(scope="session")
def quickbooks_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("quickbooks", *SMALL, folder=tmp_path_factory.mktemp("quickbooks")) as url:
        yield url


@pytest.fixture
def books(installation: Installation, quickbooks_url: str, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with the connection `books`, agreed to by a person whose browser is elsewhere."""
    requests.post(f"{quickbooks_url}/_sandbox/reset", json={"vendor": "quickbooks"}, timeout=10).raise_for_status()
    words = ("connection", "add", "books", "--system", "quickbooks", "--url", f"{quickbooks_url}/quickbooks")
    ended = installation.run(*words, "--login", CLIENT_ID, "--password-stdin", given=f"{CLIENT_SECRET}\n")
    assert (ended.status, ended.err) == (0, "")

    def pasted(_what: str) -> str:
        found = PAGE.search(cast("io.StringIO", sys.stdout).getvalue())
        assert found
        return requests.get(found.group(), allow_redirects=False, timeout=10).headers["Location"]

    monkeypatch.setattr(COMMAND, "_asked", pasted)
    ended = installation.run("connect", "books", "--paste")
    assert (ended.status, ended.err) == (0, "")
    assert "connected to quickbooks as Larkspur Home & Garden" in ended.out
    return installation


def door(url: str, path: str, **body: Any) -> Any:
    answer = requests.post(f"{url}/_sandbox/quickbooks/{path}", json=body, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def a_person_does(url: str, path: str, **body: Any) -> None:
    """Through the side door, where each thing takes a second of the vendor's clock; ours has passed it too then."""
    door(url, path, **body)
    there = datetime.fromisoformat(door(url, "clock", seconds=0)["now"])
    time.sleep(max(0.0, (there - datetime.now(UTC)).total_seconds()))


def record(url: str, entity: str, remote_id: object) -> Any:
    query = {"entity": entity, "id": str(remote_id)}
    return requests.get(f"{url}/_sandbox/quickbooks/record", params=query, timeout=10).json(parse_float=Decimal)


def synced(books: Installation, entity: str, *words: str) -> dict[str, int]:
    """Sync one entity, and what the log of its pull counts."""
    ended = books.run("sync", "run", "books", entity, *words)
    assert ended.status in (0, 2), ended.err
    (row,) = books.rows(
        "SELECT l.read_count, created_count, updated_count, deleted_count, rejected_count FROM erpflow.erp_sync_logs l"
        f" JOIN erpflow.erp_sync_configs c ON c.id = l.sync_config_id WHERE c.entity = '{entity}'"
        " AND l.direction = 'pull' ORDER BY l.started_at DESC LIMIT 1"
    )
    return dict(zip(("read", "created", "updated", "deleted", "rejected"), cast("tuple[int, ...]", row), strict=True))


def remote_of(books: Installation, entity: str, condition: str) -> tuple[Any, Any]:
    """A record and its row: both ids."""
    table = {"customer": "app.customers", "invoice": "app.invoices"}[entity]
    (found,) = books.rows(
        f"SELECT r.remote_id, t.id FROM {table} t JOIN erpflow.erp_entity_sync_records r ON r.local_id = t.id::text"
        f" JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id AND c.entity = '{entity}'"
        f" WHERE {condition} ORDER BY t.id LIMIT 1"
    )
    return found[0], found[1]


def test_every_entity_lands_and_a_second_full_sync_changes_nothing(books: Installation, quickbooks_url: str) -> None:
    there = requests.get(f"{quickbooks_url}/_sandbox/counts", timeout=10).json()["quickbooks"]
    for entity in ENTITIES:
        counts = synced(books, entity)
        assert counts["read"] == there[entity], entity
        assert counts["rejected"] == REJECTED[entity], entity
    lost = "SELECT count(*) FILTER (WHERE customer_id IS NULL) < count(*) / 5 FROM app.invoices"
    assert books.rows(lost) == [(True,)]
    assert books.rows("SELECT count(*) > 0 FROM app.order_items WHERE product_id IS NOT NULL") == [(True,)]
    assert books.rows("SELECT count(*) > 0 FROM app.payments p JOIN app.invoices i ON i.id = p.invoice_id") == [(True,)]
    assert books.rows("SELECT count(*) > 0 FROM app.customers WHERE status = 'inactive'") == [(True,)]
    for entity in ENTITIES:
        counts = synced(books, entity, "--full")
        assert (counts["created"], counts["updated"], counts["deleted"]) == (0, 0, 0), entity


def test_lines_add_up_to_their_invoice(books: Installation) -> None:
    for entity in ("customer", "product", "invoice"):
        synced(books, entity)
    wrong = books.rows(
        "SELECT i.number FROM app.invoices i JOIN app.invoice_items l ON l.invoice_id = i.id GROUP BY i.id"
        " HAVING sum(CASE WHEN l.name = 'DiscountLineDetail' THEN -l.amount ELSE l.amount END) + i.tax_total"
        " <> i.grand_total"
    )
    assert wrong == []


def test_an_increment_brings_only_what_changed(books: Installation, quickbooks_url: str) -> None:
    synced(books, "customer")
    remote_id, local_id = remote_of(books, "customer", "t.status = 'active' AND phone IS NOT NULL")
    a_person_does(quickbooks_url, "change", entity="Customer", ids=[remote_id], set={"CompanyName": "Renamed & Co"})
    counts = synced(books, "customer")
    assert (counts["created"], counts["updated"]) == (0, 1)
    assert books.rows(f"SELECT company_name FROM app.customers WHERE id = {local_id}") == [("Renamed & Co",)]


def test_a_local_change_goes_out_once_and_does_not_come_back(books: Installation, quickbooks_url: str) -> None:
    synced(books, "customer")
    remote_id, local_id = remote_of(books, "customer", "t.status = 'active' AND city IS NOT NULL AND phone IS NOT NULL")
    before = record(quickbooks_url, "Customer", remote_id)
    books.rows(f"UPDATE app.customers SET phone = '(555) 999-0000', city = 'Reno' WHERE id = {local_id} RETURNING id")
    synced(books, "customer")
    after = record(quickbooks_url, "Customer", remote_id)
    assert after["PrimaryPhone"] == {"FreeFormNumber": "(555) 999-0000"}
    assert after["BillAddr"] == {**before["BillAddr"], "City": "Reno"}, "the rest of the address stays"
    assert after["DisplayName"] == before["DisplayName"]
    counts = synced(books, "customer")
    assert counts["updated"] == 0
    assert record(quickbooks_url, "Customer", remote_id)["SyncToken"] == after["SyncToken"], "nothing went out again"
    assert books.rows("SELECT count(*) FROM erpflow.erp_push_attempts") == [(1,)]


def test_both_sides_change_one_customer_and_both_changes_survive(books: Installation, quickbooks_url: str) -> None:
    synced(books, "customer")
    remote_id, local_id = remote_of(books, "customer", "t.status = 'active' AND phone IS NOT NULL")
    a_person_does(quickbooks_url, "change", entity="Customer", ids=[remote_id], set={"CompanyName": "Theirs"})
    books.rows(f"UPDATE app.customers SET phone = '(555) 111-2222' WHERE id = {local_id} RETURNING id")
    synced(books, "customer")
    found = record(quickbooks_url, "Customer", remote_id)
    assert (found["CompanyName"], found["PrimaryPhone"]["FreeFormNumber"]) == ("Theirs", "(555) 111-2222")
    assert books.rows(f"SELECT company_name, phone FROM app.customers WHERE id = {local_id}") == [
        ("Theirs", "(555) 111-2222")
    ]


def test_a_deleted_invoice_goes_here_too(books: Installation, quickbooks_url: str) -> None:
    for entity in ("customer", "invoice", "payment"):
        synced(books, entity)
    unpaid = "t.balance = t.grand_total AND t.grand_total > 0"
    remote_id, local_id = remote_of(books, "invoice", unpaid)
    a_person_does(quickbooks_url, "delete", entity="Invoice", ids=[remote_id])
    counts = synced(books, "invoice")
    assert counts["deleted"] == 1
    assert books.rows(f"SELECT count(*) FROM app.invoices WHERE id = {local_id}") == [(0,)]


def test_an_hour_later_three_workers_renew_the_token_once_and_a_withdrawn_consent_says_what_to_do(
    books: Installation, quickbooks_url: str
) -> None:
    before = door(quickbooks_url, "expire")["refreshes"]
    workers = [books.start("sync", "run", "books", entity) for entity in ("customer", "product", "estimate")]
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode in (0, 2)
    assert door(quickbooks_url, "expire")["refreshes"] == before + 1
    door(quickbooks_url, "switches", consent_withdrawn=True)
    ended = books.run("sync", "run", "books", "customer")
    assert ended.status == 1
    assert "erpflow connect books" in ended.err
    secrets = books.rows("SELECT access_token, refresh_token FROM erpflow.erp_oauth_tokens")
    assert "RT1-" not in repr(secrets) and "RT1-" not in ended.out + ended.err


def test_the_mappings_fit_the_tables(books: Installation) -> None:
    paths = sorted(str(path) for path in Path(books.mappings / "quickbooks").glob("*.yaml"))
    assert len(paths) == len(ENTITIES)
    for path in paths:
        ended = books.run("mapping", "check", path)
        assert (ended.status, ended.err) == (0, ""), path


def test_an_entity_that_does_not_exist_is_named(books: Installation) -> None:
    ended = books.run("sync", "run", "books", "salesreceipt")
    assert ended.status == 1
    with pytest.raises(ConfigError, match="salesreceipt"):
        books.run("--debug", "sync", "run", "books", "salesreceipt")


def test_a_changed_invoice_line_goes_out_with_all_that_the_document_holds(
    books: Installation, quickbooks_url: str
) -> None:
    for entity in ("customer", "product", "invoice"):
        synced(books, entity)
    with_discount = (
        "EXISTS (SELECT FROM app.invoice_items l WHERE l.invoice_id = t.id AND l.name = 'DiscountLineDetail')"
    )
    remote_id, local_id = remote_of(books, "invoice", with_discount)
    before = record(quickbooks_url, "Invoice", remote_id)
    books.rows(
        "UPDATE app.invoice_items SET description = 'By hand'"
        f" WHERE invoice_id = {local_id} AND line_no = 1 RETURNING id"
    )
    books.rows(f"UPDATE app.invoices SET due_date = '2027-01-31' WHERE id = {local_id} RETURNING id")
    synced(books, "invoice")
    after = record(quickbooks_url, "Invoice", remote_id)
    assert (after["DueDate"], after["Line"][0]["Description"]) == ("2027-01-31", "By hand")
    assert after["Line"][1:] == [
        {**line, "LineNum": len(before["Line"]) - 1} if line["DetailType"] == "DiscountLineDetail" else line
        for line in before["Line"][1:]
    ]
    assert (after["TotalAmt"], after["TxnTaxDetail"]) == (before["TotalAmt"], before["TxnTaxDetail"])
    assert synced(books, "invoice")["updated"] == 0
