"""Documents of Metakocka: which are not here yet, imported behind what they refer to, exported when they changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from erpflow.api.rights import Right
from erpflow.connectors.base import Limits
from erpflow.connectors.metakocka import Metakocka
from tests.calling import Api, serve
from tests.contract.metakocka_vendor import COMPANY_ID, SECRET_KEY, MetakockaCompany
from tests.contract.sandboxes import sandbox as sandbox_of
from tests.integration.conftest import Installation

BASE = "/api/metakocka/documents"


@pytest.fixture(scope="module")
def metakocka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    sizes = ("--customers", "10", "--items", "12", "--orders", "20")
    with sandbox_of("metakocka", *sizes, folder=tmp_path_factory.mktemp("metakocka")) as url:
        yield url


@pytest.fixture
def company(metakocka_url: str) -> Iterator[MetakockaCompany]:
    with requests.Session() as session:
        found = MetakockaCompany(metakocka_url, session)
        found.door("reset", {"vendor": "metakocka"})
        yield found


@pytest.fixture
def books(installation: Installation, company: MetakockaCompany, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation that is connected to the sandbox's company."""
    # Eight requests a second are polite to a vendor, and slow in a test.
    monkeypatch.setattr(Metakocka, "spec", replace(Metakocka.spec, limits=Limits(concurrent=1)))
    words = ("connection", "add", "mk", "--system", "metakocka", "--url", company.base_url, "--login", COMPANY_ID)
    ended = installation.run(*words, "--password-stdin", given=f"{SECRET_KEY}\n")
    assert (ended.status, ended.err) == (0, "")
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.home)
    yield from serve(installation.database)


def unsynced(api: Api, **params: object) -> list[dict[str, str]]:
    answer = api.client.get(f"{BASE}/unsynced", params={"limit": "500", **params})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def test_one_document_comes_with_the_partner_and_products_that_it_refers_to(
    books: Api, installation: Installation
) -> None:
    before = unsynced(books)
    chosen = next(each for each in before if each["doc_type"] == "sales_order" and each["partner"])
    answer = books.client.post(f"{BASE}/{chosen['id']}/import")
    assert answer.status_code == 200, answer.text
    run = answer.json()["data"]
    assert run["records"]["document"] == [chosen["id"]]
    assert list(books.runs.asked[0][1]["configs"]) == ["contact", "product", "document"]
    rows = installation.rows(
        "SELECT i.number, c.name IS NOT NULL, count(l.product_id) > 0 FROM app.invoices i JOIN app.invoice_items l"
        " ON l.invoice_id = i.id LEFT JOIN app.customers c ON c.id = i.customer_id GROUP BY 1, 2"
    )
    assert rows == [(chosen["number"], True, True)]
    assert {each["id"] for each in unsynced(books)} == {each["id"] for each in before} - {chosen["id"]}


def test_the_list_goes_on_where_a_page_ended(books: Api) -> None:
    everything = [each["id"] for each in unsynced(books)]
    found, after = [], None
    for _ in range(50):
        params = {"limit": "1", **({"after": after} if after else {})}
        page = books.client.get(f"{BASE}/unsynced", params=params).json()
        found += [each["id"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(found) == sorted(everything)
    broken = books.client.get(f"{BASE}/unsynced", params={"after": "nonsense"})
    assert (broken.status_code, broken.json()["success"]) == (422, False)


def test_everything_is_imported_and_what_changed_here_exported(
    books: Api, installation: Installation, company: MetakockaCompany
) -> None:
    total = len(unsynced(books))
    assert books.client.post(f"{BASE}/import-all", json={"full": True}).status_code == 200
    [(here,)] = installation.rows("SELECT count(*) FROM app.invoices")
    assert isinstance(here, int) and 0 < here <= total
    assert len(unsynced(books)) == total - here
    [(key, remote_id)] = installation.rows(
        "SELECT i.id::text, r.remote_id FROM app.invoices i JOIN erpflow.erp_entity_sync_records r"
        " ON r.local_id = i.id::text WHERE r.remote_id LIKE 'sales_order:%' AND i.status <> 'shipped' LIMIT 1"
    )
    with books.database.transaction() as connection:
        connection.execute("UPDATE app.invoices SET status = 'shipped' WHERE id::text = %s", (key,))
    exported = books.client.post(f"{BASE}/{remote_id}/export")
    assert exported.status_code == 200, exported.text
    assert exported.json()["data"]["records"] == {"document": [key]}
    log = books.client.get("/api/erp/sync-logs", params={"entity": "document", "direction": "push"}).json()["items"][0]
    assert (log["kind"], log["updated_count"]) == ("records", 1)
    assert (company.stored("document", str(remote_id)) or {})["status_desc"] == "shipped"
    assert books.client.post(f"{BASE}/export-all").status_code == 200
    assert books.runs.asked[-1][1]["direction"] == "push"


def test_a_document_that_is_nowhere_is_not_started(books: Api) -> None:
    for path in ("sales_order:1/import", "nonsense/import", "sales_order:1/export"):
        assert books.client.post(f"{BASE}/{path}").status_code == 404, path
    assert books.runs.asked == []


def test_looking_does_not_import_and_another_tenant_has_no_company(books: Api) -> None:
    looking = books.as_key(books.key(Right.LOOK))
    assert looking.post(f"{BASE}/import-all").status_code == 403
    other = books.as_key(books.key(*Right, tenant_id=books.tenant("acme")))
    assert other.get(f"{BASE}/unsynced").status_code == 404
    for path in ("import-all", "export-all", "sales_order:1/import", "1/export"):
        assert other.post(f"{BASE}/{path}").status_code == 404
