"""Orders that a VeeKaart store posts: each is a draft invoice once, however often and at whatever moment it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests

from erpflow.api.rights import Right
from erpflow.store.connections import add_connection
from erpflow.vocabulary import DEFAULT_TENANT, TenantId
from tests.calling import Api
from tests.integration.conftest import Installation, Sandbox

ORDERS = "/api/webhooks/veekaart/orders"
LINE = {
    "sku": "PA-65W", "name": "Power adapter 65 W", "description": "", "quantity": 2, "unit": "NOS",
    "price": 1250.00, "tax_rate": 18, "hsn_code": "85044090",
}  # fmt: skip
BUYER = {
    "id": "C77", "name": "Asha Rao", "email": "asha@example.com", "phone": "919900000001", "gstin": None,
    "billing_address": {"line1": "4 Hill Road", "city": "Bengaluru", "state": "Karnataka", "pincode": "560001",
                        "country": "IN"},
    "shipping_address": {},
}  # fmt: skip


def order(order_id: str = "VK-2026-000123", **changes: Any) -> dict[str, Any]:
    """The order of the contract."""
    return {
        "order_id": order_id, "order_date": "2026-01-19T12:30:00+05:30", "customer": BUYER, "items": [LINE],
        "subtotal": 2500.00, "tax_amount": 450.00, "discount_amount": 0, "total_amount": 2950.00,
        "payment_method": "upi", "payment_status": "paid",
    } | changes  # fmt: skip


@pytest.fixture
def shop(api: Api) -> Iterator[Api]:
    """An installation with one VeeKaart connection, which is never asked anything here."""
    add_store(api, "shop")
    yield api


def add_store(api: Api, name: str, *, tenant_id: TenantId = DEFAULT_TENANT) -> str:
    with api.database.transaction() as connection:
        return add_connection(connection, name, system="veekaart", tenant_id=tenant_id).id


def do(api: Api, statement: str) -> None:
    with api.database.transaction() as connection:
        connection.execute(statement.encode())


def test_an_order_becomes_a_draft_invoice_of_its_customer(shop: Api, installation: Installation) -> None:
    do(shop, "INSERT INTO app.products (sku, name) VALUES ('PA-65W', 'Adapter')")
    do(shop, "INSERT INTO app.tax_rates (code, name, rate) VALUES ('GST18', 'GST 18 %', 18)")
    answer = shop.client.post(ORDERS, json=order())
    assert answer.status_code == 200, answer.text
    [(customer_id,)] = installation.rows("SELECT id FROM app.customers")
    [(invoice_id,)] = installation.rows("SELECT id FROM app.invoices")
    assert json.loads(answer.text, parse_float=Decimal) == {
        "success": True,
        "message": "Order received and invoice created",
        "duplicate": False,
        "data": {
            "document_id": str(invoice_id),
            "document_number": "VK-2026-000123",
            "order_id": "VK-2026-000123",
            "customer_id": str(customer_id),
            "items_count": 1,
            "total_amount": Decimal("2950.00"),
        },
    }
    columns = "customer_id, status, invoice_date::text, currency, net_total, tax_total, grand_total, balance"
    assert installation.rows(f"SELECT {columns} FROM app.invoices") == [
        (customer_id, "draft", "2026-01-19", "INR", Decimal("2500.00"), Decimal("450.00"), Decimal("2950.00"),
         Decimal("0.00"))
    ]  # fmt: skip
    lines = installation.rows(
        "SELECT p.sku, t.code, quantity, i.rate, discount, tax_amount, amount FROM app.invoice_items i"
        " JOIN app.products p ON p.id = product_id JOIN app.tax_rates t ON t.id = tax_rate_id"
    )
    assert lines == [
        ("PA-65W", "GST18", Decimal(2), Decimal(1250), Decimal("0.00"), Decimal("450.00"), Decimal("2500.00"))
    ]


def test_an_order_has_a_sync_record_and_a_log_like_everything_that_is_pulled(
    shop: Api, installation: Installation
) -> None:
    shop.client.post(ORDERS, json=order())
    kept = installation.rows(
        "SELECT c.entity, r.remote_id FROM erpflow.erp_entity_sync_records r"
        " JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id ORDER BY 1"
    )
    assert kept == [("customer", "C77"), ("order", "VK-2026-000123")]
    logs = shop.client.get("/api/erp/sync-logs", params={"entity": "order"}).json()["items"]
    assert [(log["status"], log["created_count"], log["triggered_by"][:4]) for log in logs] == [
        ("completed", 1, "key:")
    ]


def test_the_same_order_again_is_the_same_document(shop: Api, installation: Installation) -> None:
    first, again = (shop.client.post(ORDERS, json=order()) for _ in range(2))
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.json()["data"] == first.json()["data"]
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(1,)]
    assert installation.rows("SELECT count(*) FROM app.invoice_items") == [(1,)]


def test_orders_that_arrive_at_the_same_moment_are_made_once(shop: Api, installation: Installation) -> None:
    shop.client.post(ORDERS, json=order("VK-earlier"))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: shop.client.post(ORDERS, json=order()), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["document_id"] for answer in answers}) == 1
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 7
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(2,)]


def test_a_new_customer_of_several_orders_and_stores_at_once_is_made_once(
    shop: Api, installation: Installation
) -> None:
    stores = [row for (row,) in installation.rows("SELECT id::text FROM erpflow.erp_connections")]
    stores.append(add_store(shop, "second"))

    def post(number: int) -> int:
        params = {"connection_id": stores[number % 2]}
        return shop.client.post(ORDERS, json=order(f"VK-{number}"), params=params).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(post, range(8))) == {200}
    assert installation.rows("SELECT count(*) FROM app.customers") == [(1,)]
    assert installation.rows("SELECT count(DISTINCT customer_id), count(*) FROM app.invoices") == [(1, 8)]


def test_a_customer_who_is_here_is_found_by_email_in_any_case_and_stays_as_they_are(
    shop: Api, installation: Installation
) -> None:
    do(shop, "INSERT INTO app.customers (name, email) VALUES ('Rao Traders', 'Asha@Example.com')")
    buyer = BUYER | {"email": "  ASHA@example.COM "}
    answer = shop.client.post(ORDERS, json=order(customer=buyer))
    [(customer_id, name)] = installation.rows("SELECT id, name FROM app.customers")
    assert (answer.json()["data"]["customer_id"], name) == (str(customer_id), "Rao Traders")


def test_a_customer_without_an_email_is_found_by_phone(shop: Api, installation: Installation) -> None:
    do(shop, "INSERT INTO app.customers (name, phone) VALUES ('Rao Traders', '919900000001')")
    shop.client.post(ORDERS, json=order(customer=BUYER | {"email": None}))
    assert installation.rows("SELECT name FROM app.customers") == [("Rao Traders",)]


def test_the_discount_and_the_tax_of_an_order_are_its_lines_to_the_cent(shop: Api, installation: Installation) -> None:
    lines = [LINE | {"sku": f"S{number}", "quantity": 1, "price": "33.33", "tax_rate": 5} for number in range(3)]
    # 99.99 − 10.00 + 4.50
    posted = order(items=lines, discount_amount="10.00", tax_amount="4.50", total_amount="94.49", payment_status="cod")
    assert shop.client.post(ORDERS, json=posted).status_code == 200
    rows = installation.rows("SELECT discount, tax_amount, amount FROM app.invoice_items ORDER BY line_no")
    assert rows == [
        (Decimal("3.33"), Decimal("1.50"), Decimal("30.00")),
        (Decimal("3.34"), Decimal("1.50"), Decimal("29.99")),
        (Decimal("3.33"), Decimal("1.50"), Decimal("30.00")),
    ]
    assert installation.rows("SELECT net_total, balance FROM app.invoices") == [(Decimal("89.99"), Decimal("94.49"))]


def test_another_total_is_a_conflict_unless_it_updates_a_draft(shop: Api, installation: Installation) -> None:
    shop.client.post(ORDERS, json=order())
    dearer = order(items=[LINE | {"quantity": 3}], tax_amount=675, total_amount=4425)
    refused = shop.client.post(ORDERS, json=dearer)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_conflict")
    updated = shop.client.post(ORDERS, json=dearer | {"event": "order.updated"})
    assert (updated.status_code, updated.json()["message"]) == (200, "Order received and invoice updated")
    assert installation.rows("SELECT grand_total FROM app.invoices") == [(Decimal("4425.00"),)]
    changes = installation.rows("SELECT change, before ->> 'grand_total' FROM erpflow.erp_record_history")
    assert changes == [("updated", "2950")]
    do(shop, "UPDATE app.invoices SET status = 'sent'")
    late = shop.client.post(ORDERS, json=order(event="order.updated"))
    assert (late.status_code, late.json()["code"]) == (409, "order_conflict")


def test_an_order_that_a_table_refuses_leaves_nothing_but_its_reject(shop: Api, installation: Installation) -> None:
    do(shop, "ALTER TABLE app.invoice_items ADD CHECK (quantity < 100)")
    body = order(items=[LINE | {"quantity": 100}], tax_amount=22500, total_amount=147500)
    refused = shop.client.post(ORDERS, json=body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["success"] is False
    for table in ("app.customers", "app.invoices", "app.invoice_items", "erpflow.erp_entity_sync_records"):
        assert installation.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    [(remote_id, payload, status)] = installation.rows("SELECT remote_id, payload, status FROM erpflow.erp_rejects")
    assert (remote_id, json.loads(bytes(payload)), status) == ("VK-2026-000123", body, "open")
    assert shop.client.get("/api/erp/sync-logs").json()["items"][0]["status"] == "partial"


def test_a_crash_between_document_and_items_leaves_nothing(
    shop: Api, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr("erpflow.sync.load.sync_logs.add_counts", crash)
        answer = shop.client.post(ORDERS, json=order())
    assert (answer.status_code, answer.json()) == (500, {"success": False, "error": "Internal server error"})
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(0,)]
    assert installation.rows("SELECT count(*) FROM app.customers") == [(0,)]
    assert shop.client.post(ORDERS, json=order()).json()["duplicate"] is False


def test_an_order_that_was_refused_and_comes_right_closes_its_reject(shop: Api, installation: Installation) -> None:
    wrong = shop.client.post(ORDERS, json=order(total_amount=1))
    assert (wrong.status_code, wrong.json()["code"]) == (422, "total_mismatch")
    assert installation.rows("SELECT status FROM erpflow.erp_rejects") == [("open",)]
    assert shop.client.post(ORDERS, json=order()).status_code == 200
    assert installation.rows("SELECT status FROM erpflow.erp_rejects") == [("resolved",)]


WRONG: tuple[tuple[bytes, int, str], ...] = (
    (b"no json", 400, "The body is not a JSON object"),
    (b"{}", 400, "Missing required fields: order_id, customer, items, total_amount"),
    (json.dumps(order(customer=None)).encode(), 400, "Missing required fields: "),
    (json.dumps(order(items=[])).encode(), 400, "Missing required fields: "),
    (json.dumps(order(order_id={})).encode(), 400, "Missing required fields: "),
    (json.dumps(order("VK\x00", tax_amount="much")).encode(), 422, "order_id: a text of 1 to"),
    (json.dumps(order(items=[LINE | {"quantity": -1}])).encode(), 422, "items[1].quantity: a number of 0 or more"),
    (json.dumps(order(items=[LINE | {"price": "1e9999"}])).encode(), 422, "items[1].price: "),
    (json.dumps(order(items=["PA-65W"])).encode(), 422, "items: a list"),
    (json.dumps(order(payment_status="partial")).encode(), 422, "paid_amount: a number is expected"),
    (json.dumps(order(customer=BUYER | {"gstin": "29AAACV0001K1ZA"})).encode(), 422, "customer.gstin: "),
    (json.dumps(order(customer=BUYER | {"name": "A\0B"})).encode(), 422, ""),
    (json.dumps(order(order_date="yesterday")).encode(), 422, "order_date: "),
    (b"[" * 100_000, 400, "The body is not a JSON object"),
    (b" " * 1_048_577, 413, "An order has 1,048,576 bytes at most."),
)


def test_what_is_wrong_is_said_in_the_stores_shape(shop: Api, installation: Installation) -> None:
    for body, status, error in WRONG:
        refused = shop.client.post(ORDERS, content=body)
        assert refused.status_code == status, (body[:200], refused.text)
        assert refused.json()["success"] is False
        assert refused.json()["error"].startswith(error), refused.text
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(0,)]


def test_who_may_not_post_is_told_in_the_stores_words(shop: Api) -> None:
    assert shop.nobody().post(ORDERS, json=order()).json() == {
        "success": False, "error": "Missing or invalid Authorization header"
    }  # fmt: skip
    unknown = shop.as_key("erp_00000000_nobody").post(ORDERS, json=order())
    assert (unknown.status_code, unknown.json()) == (401, {"success": False, "error": "Invalid API key"})
    looking = shop.as_key(shop.key(Right.LOOK)).post(ORDERS, json=order())
    assert (looking.status_code, looking.json()["code"]) == (403, "forbidden")
    wrong = shop.client.get(ORDERS)
    assert (wrong.status_code, wrong.json()) == (405, {"success": False, "error": "Method not allowed"})


def test_a_key_posts_to_its_own_tenants_store_only(shop: Api, installation: Installation) -> None:
    [(foreign,)] = installation.rows("SELECT id::text FROM erpflow.erp_connections")
    other = shop.tenant("acme")
    key = shop.as_key(shop.key(*Right, tenant_id=other))
    assert key.post(ORDERS, json=order()).status_code == 404
    assert key.post(ORDERS, json=order(), params={"connection_id": str(foreign)}).status_code == 404
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(0,)]


def test_of_several_stores_one_has_to_be_named(shop: Api) -> None:
    named = add_store(shop, "second")
    refused = shop.client.post(ORDERS, json=order())
    assert (refused.status_code, refused.json()["code"]) == (409, "several_connections")
    assert named in refused.json()["error"]
    assert shop.client.post(ORDERS, json=order(), params={"connection_id": named}).status_code == 200


def test_every_order_of_the_sandbox_is_taken_but_those_that_break_the_contract(
    shop: Api, sandbox: Sandbox, installation: Installation
) -> None:
    shown = requests.get(f"{sandbox.url}/_sandbox/veekaart/orders", params={"count": "40"}, timeout=10)
    posted = [json.dumps(each).encode() for each in shown.json()["orders"]]
    answers = [shop.client.post(ORDERS, content=body) for body in posted]
    refused = [answer.json()["error"] for answer in answers if answer.status_code != 200]
    expected = requests.get(f"{sandbox.url}/_sandbox/veekaart/expected", timeout=10).json()["orders_to_refuse"]
    assert len(refused) == sum(expected.values()), refused
    assert installation.rows("SELECT count(*) FROM app.invoices") == [(len(posted) - len(refused),)]
    unbalanced = installation.rows(
        "SELECT i.number FROM app.invoices i JOIN app.invoice_items l ON l.invoice_id = i.id GROUP BY i.id"
        " HAVING sum(l.amount) <> i.net_total OR sum(l.tax_amount) <> i.tax_total"
    )
    assert unbalanced == []
