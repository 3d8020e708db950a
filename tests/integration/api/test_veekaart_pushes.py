"""What an accounting system asks of its VeeKaart connection: pushes that run as any other, and a test of the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import requests

from erpflow.api.rights import Right
from erpflow.store.vault import Secret
from tests.calling import Api, serve
from tests.integration.conftest import Installation, Sandbox

BASE = "/api/integrations/veekaart"


@pytest.fixture
def shop(installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation that is connected to the sandbox's store."""
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": "veekaart"}, timeout=10).raise_for_status()
    words = ("connection", "add", "shop", "--system", "veekaart", "--url", f"{sandbox.url}/veekaart")
    ended = installation.run(*words, "--password-stdin", given="sandbox-veekaart-key\n")
    assert (ended.status, ended.err) == (0, "")
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.home)
    yield from serve(installation.database)


def add_product(api: Api, sku: str, price: str = "12.50") -> str:
    with api.database.transaction() as connection:
        row = connection.execute(
            "INSERT INTO app.products (sku, name, price) VALUES (%s, %s, %s) RETURNING id::text", (sku, sku, price)
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO app.stock (product_id, warehouse, quantity, reserved) VALUES (%s, 'Kochi', 40, 3)", row
        )
    return str(row[0])


def stored(sandbox: Sandbox, table: str, sku: str) -> dict[str, Any] | None:
    answer = requests.get(f"{sandbox.url}/_sandbox/veekaart/rows", params={"table": table, "sku": sku}, timeout=10)
    rows: list[dict[str, Any]] = answer.json(parse_float=Decimal)["rows"]
    return rows[0] if rows else None


def test_products_stock_and_prices_are_pushed(shop: Api, sandbox: Sandbox) -> None:
    add_product(shop, "ERP-1")
    for what, entity in (("products", "product"), ("inventory", "inventory"), ("pricing", "price")):
        answer = shop.client.post(f"{BASE}/push-{what}", json={})
        assert answer.status_code == 200, answer.text
        [run] = answer.json()["data"]
        assert answer.json()["success"] is True
        assert (run["entity"], run["direction"], run["dag_id"]) == (entity, "push", f"veekaart__{entity}")
        assert run["run_link"] == f"/dags/veekaart__{entity}/runs/{run['dag_run_id']}"
    product, stock, price = (stored(sandbox, table, "ERP-1") for table in ("products", "inventory", "pricing"))
    assert product is not None and product["price"] == Decimal("12.5")
    assert stock is not None and (stock["quantity"], stock["available_quantity"]) == (40, 37)
    assert price is not None and price["selling_price"] == Decimal("12.5")


def test_only_the_named_rows_are_pushed(shop: Api, sandbox: Sandbox) -> None:
    add_product(shop, "ERP-1")
    named = add_product(shop, "ERP-2")
    answer = shop.client.post(f"{BASE}/push-products", json={"records": [named]})
    assert answer.status_code == 200
    assert shop.runs.asked[0][1]["records"] == [named]
    assert stored(sandbox, "products", "ERP-1") is None
    assert stored(sandbox, "products", "ERP-2") is not None


def test_a_push_needs_no_body_and_knows_only_its_own_company(shop: Api) -> None:
    assert shop.client.post(f"{BASE}/push-products").status_code == 200
    own = {"companyId": "00000000-0000-0000-0000-000000000001"}
    assert shop.client.post(f"{BASE}/push-products", json=own).status_code == 200
    other = {"company_id": str(shop.tenant("acme"))}
    assert shop.client.post(f"{BASE}/push-products", json=other).status_code == 404


def test_a_sync_that_is_off_or_goes_the_other_way_is_not_started(shop: Api) -> None:
    with shop.database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_sync_configs SET enabled = false WHERE entity = 'product'")
        connection.execute("UPDATE erpflow.erp_sync_configs SET direction = 'pull' WHERE entity = 'price'")
    codes = [shop.client.post(f"{BASE}/push-{what}").json()["code"] for what in ("products", "pricing")]
    assert codes == ["disabled", "direction"]
    both = shop.client.post(f"{BASE}/push-inventory", json={"full": True, "records": ["1"]})
    assert both.status_code == 422
    assert shop.runs.asked == []


def test_the_connection_is_tried_out_and_its_status_says_so(shop: Api, installation: Installation) -> None:
    answer = shop.client.post(f"{BASE}/test-connection")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert "vk_" in answer.json()["data"]["account"]
    assert installation.rows("SELECT status FROM erpflow.erp_connections") == [("active",)]


def test_a_key_that_the_store_refuses_is_said_to_be_refused(shop: Api, installation: Installation) -> None:
    vault = shop.surroundings.vault()
    vault.write(replace(vault.read("shop"), password=Secret("wrong")))
    answer = shop.client.post(f"{BASE}/test-connection")
    assert (answer.status_code, answer.json()["success"]) == (502, False)
    assert installation.rows("SELECT status FROM erpflow.erp_connections") == [("error",)]


def test_pushing_and_trying_out_need_the_right_to_run(shop: Api) -> None:
    looking, running = (shop.as_key(shop.key(right)) for right in (Right.LOOK, Right.RUN))
    for path in ("push-products", "test-connection"):
        assert looking.post(f"{BASE}/{path}").status_code == 403
        assert running.post(f"{BASE}/{path}").status_code == 200


def test_another_tenant_has_no_store(shop: Api) -> None:
    key = shop.as_key(shop.key(*Right, tenant_id=shop.tenant("acme")))
    for path in ("push-products", "test-connection"):
        assert key.post(f"{BASE}/{path}").status_code == 404
