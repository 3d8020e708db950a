"""A company at Tally and the demo's tables, through the real engine: what is counted, pushed, and found to be gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from erpflow.store.database import Database
from erpflow.store.vault import Credentials, Vault
from tests.contract.sandboxes import sandbox
from tests.contract.tally_vendor import COMPANY, SMALL, TallyOffice
from tests.integration.conftest import Installation

ENTITIES = ("customer", "product", "order", "invoice", "payment")
LAST = (
    "SELECT kind, read_count, created_count, updated_count, unchanged_count, rejected_count, deleted_count"
    " FROM erpflow.erp_sync_logs WHERE direction = 'pull' ORDER BY started_at DESC LIMIT 1"
)
CURSOR = "SELECT extract(epoch FROM cursor_at)::bigint FROM erpflow.erp_sync_configs WHERE entity = '{}'"


@pytest.fixture(scope="module")
def tally_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("tally", *SMALL, folder=tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture
def office(tally_url: str) -> Iterator[TallyOffice]:
    with requests.Session() as session:
        session.post(f"{tally_url}/_sandbox/reset", json={"vendor": "tally"}).raise_for_status()
        yield TallyOffice(tally_url, session)


@pytest.fixture
def books(installation: Installation, office: TallyOffice) -> Installation:
    """An installation with the connection `books` to the company."""
    known = installation.environment
    metadata = Database(known["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    vault = Vault(metadata, fernet_keys=known["AIRFLOW__CORE__FERNET_KEY"])
    vault.write(Credentials(conn_id="books", conn_type="tally", host=office.base_url, extra={"company": COMPANY}))
    ended = installation.run("connection", "add", "books", "--system", "tally")
    assert (ended.status, ended.err) == (0, "")
    return installation


def expected(office: TallyOffice) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = office.session.get(f"{office.url}/_sandbox/tally/expected").json()
    return found


def synced(books: Installation, entity: str, *words: str) -> tuple[object, ...]:
    """The counts of one pull."""
    ended = books.run("sync", "run", "books", entity, "--direction", "pull", *words)
    assert ended.status in (0, 2), ended.err
    return books.rows(LAST)[0]


def changed(books: Installation, statement: str) -> None:
    """Change rows as the application would."""
    with books.database.transaction() as connection:
        connection.execute(statement.encode())


def all_loaded(books: Installation) -> None:
    for entity in ENTITIES:
        synced(books, entity)


def test_a_first_load_brings_everything_and_what_it_refers_to(books: Installation, office: TallyOffice) -> None:
    wanted = expected(office)
    for entity in ENTITIES:
        kind, read, created, updated, unchanged, rejected, deleted = synced(books, entity)
        assert kind == "full" and (updated, unchanged, deleted) == (0, 0, 0)
        assert (read, rejected) == (wanted[entity]["records"], wanted[entity]["rejected"]), entity
        assert created == wanted[entity]["records"] - wanted[entity]["rejected"]
    whole = "SELECT count(*) FROM app.invoices WHERE status = 'recorded' AND customer_id IS NULL"
    assert books.rows(whole) == [(0,)]
    sums = (
        "SELECT count(*) FROM app.invoices i WHERE grand_total <> net_total + tax_total OR (EXISTS (SELECT 1 FROM"
        " app.invoice_items l WHERE l.invoice_id = i.id) AND net_total <> (SELECT sum(l.amount) FROM"
        " app.invoice_items l WHERE l.invoice_id = i.id))"
    )
    assert books.rows(sums) == [(0,)]
    assert books.rows("SELECT count(*) > 0 FROM app.payments p JOIN app.invoices i ON i.id = p.invoice_id"
                      " WHERE p.amount = i.grand_total") == [(True,)]  # fmt: skip
    assert books.rows("SELECT count(*) FROM app.order_items WHERE product_id IS NULL") == [(0,)]


def test_a_sync_without_a_change_asks_one_small_question_and_writes_nothing(
    books: Installation, office: TallyOffice
) -> None:
    all_loaded(books)
    before = {
        table: books.rows(f"SELECT t::text FROM app.{table} t ORDER BY id") for table in ("customers", "invoices")
    }
    office.session.delete(f"{office.url}/_sandbox/stats").raise_for_status()
    for entity in ("customer", "invoice"):
        assert synced(books, entity)[:2] == ("incremental", 0)
    asked = office.session.get(f"{office.url}/_sandbox/stats").json()["requests"]
    assert asked == 2, "one look at how far Tally has counted, for each of the two"
    synced(books, "customer", "--full")
    assert books.rows(LAST)[0][2:5] == (0, 0, expected(office)["customer"]["records"] - 1)
    assert {table: books.rows(f"SELECT t::text FROM app.{table} t ORDER BY id") for table in before} == before


def test_only_what_was_altered_is_read_and_the_cursor_is_the_count(books: Installation, office: TallyOffice) -> None:
    all_loaded(books)
    (name,) = office.create("customer", 1)
    office.change("customer", name, {"LEDGERCONTACT": "Asha Menon"})
    assert synced(books, "customer")[:3] == ("incremental", 1, 1)
    reached = office.session.get(f"{office.url}/_sandbox/tally/list", params={"kind": "LEDGER"}).json()["objects"]
    assert books.rows(CURSOR.format("customer")) == [(max(row["alterid"] for row in reached),)]
    assert books.rows("SELECT contact_person FROM app.customers ORDER BY id DESC LIMIT 1") == [("Asha Menon",)]


def test_what_others_counted_moves_the_cursor_of_an_entity_without_a_change(
    books: Installation, office: TallyOffice
) -> None:
    all_loaded(books)
    (before,) = books.rows(CURSOR.format("payment"))
    office.create("order", 3)
    assert synced(books, "payment")[:2] == ("incremental", 0)
    assert books.rows(CURSOR.format("payment")) == [(int(str(before[0])) + 3,)]


def test_a_change_here_goes_to_tally_and_does_not_come_back(books: Installation, office: TallyOffice) -> None:
    all_loaded(books)
    (name,) = office.create("customer", 1)
    office.change("customer", name, {"EMAIL": "ravi@example.com", "LEDGERCONTACT": "Ravi"})
    synced(books, "customer")
    changed(books, "UPDATE app.customers SET contact_person = 'Meera & Ravi' WHERE email = 'ravi@example.com'")
    ended = books.run("sync", "run", "books", "customer", "--direction", "push")
    assert ended.status == 0, ended.out + ended.err
    stored = office.stored("customer", name) or {}
    assert (stored["LEDGERCONTACT"], stored["EMAIL"]) == ("Meera & Ravi", "ravi@example.com")
    _, read, created, updated, *_ = synced(books, "customer")
    assert (read, created, updated) == (1, 0, 0), "read once, and found to be what was agreed"
    again = books.run("sync", "run", "books", "customer", "--direction", "push")
    assert again.status == 0
    assert office.stored("customer", name) == stored, "nothing was sent again"


def test_a_deleted_ledger_is_found_by_a_full_sync(books: Installation, office: TallyOffice) -> None:
    path = books.mappings / "tally" / "customer.yaml"
    path.write_text(path.read_text().replace("deletes: ignore", "deletes: {pull: hard, push: ignore, find: sweep}"))
    (name,) = office.create("customer", 1)
    office.change("customer", name, {"EMAIL": "gone@example.com"})
    synced(books, "customer")
    office.delete("customer", [name])
    assert synced(books, "customer")[1] == 0, "what is deleted just vanishes"
    assert synced(books, "customer", "--full")[6] == 1
    assert books.rows("SELECT count(*) FROM app.customers WHERE email = 'gone@example.com'") == [(0,)]


def test_a_company_that_is_not_open_is_no_empty_one(books: Installation, office: TallyOffice) -> None:
    all_loaded(books)
    office.expire()
    ended = books.run("sync", "run", "books", "customer", "--full", "--direction", "pull")
    assert ended.status == 1 and "is not open at Tally" in ended.err + ended.out
    assert books.rows("SELECT count(*) > 0 FROM app.customers") == [(True,)]


def test_a_span_of_time_cannot_be_asked_of_a_vendor_that_counts(books: Installation) -> None:
    ended = books.run("sync", "run", "books", "customer", "--since", "2026-01-01", "--direction", "pull")
    assert ended.status == 1 and "does not say when they were made" in ended.err + ended.out


def test_a_company_that_was_restored_from_a_backup_is_told_and_nothing_is_changed(
    books: Installation, office: TallyOffice
) -> None:
    office.create("customer", 5)
    synced(books, "customer")
    office.session.post(f"{office.url}/_sandbox/reset", json={"vendor": "tally"}).raise_for_status()
    ended = books.run("sync", "run", "books", "customer", "--direction", "pull")
    assert ended.status == 1 and "restored from a backup" in ended.err + ended.out


def test_a_comparison_of_both_sides_finds_what_tally_never_told(books: Installation, office: TallyOffice) -> None:
    gone, kept = office.create("customer", 2)
    synced(books, "customer")
    office.delete("customer", [gone])
    ended = books.run("reconcile", "books", "customer")
    assert "Traceback" not in ended.err and "does not say when" not in ended.err
    assert gone in ended.out and kept not in ended.out
