"""The sandbox's VeeKaart store against its interchange contract: the worked examples, the table of errors, the limits.

No client of VeeKaart is published, and no schema: a plain HTTP client sends what the contract shows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests

from sandbox.veekaart.seeding import expected, seed_store
from sandbox.veekaart.store import Kept, Store
from sandbox.vendor import SeedPlan
from tests.contract.sandboxes import sandbox

ADAPTER = {
    "sku": "PA-65W", "external_id": "c0a8", "name": "Power adapter 65 W", "description": "",
    "hsn_sac_code": "85044090", "price": 1250.00, "mrp": 1499.00, "tax_rate": 18, "status": "active",
}  # fmt: skip
BISCUITS = {**ADAPTER, "sku": "BISC-200", "name": "Biscuits", "price": 45.50, "mrp": 0, "tax_rate": 5}


class Client:
    """What anybody could write after reading the contract."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.door("reset", vendor="veekaart")
        self.door("veekaart/switches", requests_per_minute=None)

    def ask(self, method: str, path: str, *, key: str | None = "sandbox-veekaart-key", **options: Any) -> Any:
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        return self.session.request(method, f"{self.url}/veekaart{path}", headers=headers, timeout=30, **options)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json(parse_float=Decimal)["data"]

    def post(self, table: str, *rows: Any, **options: Any) -> Any:
        return self.ask("POST", f"/{table}", json={table: rows}, **options)

    def results(self, table: str, *rows: Any) -> list[Any]:
        """The word, or the code of the error, of each row."""
        body = self.post(table, *rows).json()
        return [each["error"]["code"] if "error" in each else each["result"] for each in body["data"]["results"]]

    def door(self, path: str, **body: Any) -> None:
        self.session.post(f"{self.url}/_sandbox/{path}", json=body, timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sandbox")
    with sandbox("veekaart", "--customers", "20", "--items", "30", "--orders", "30", folder=folder) as found:
        yield found


@pytest.fixture
def client(url: str) -> Client:
    return Client(url)


def test_a_ping_says_whose_store_it_is_and_what_it_allows(client: Client) -> None:
    client.door("veekaart/switches", requests_per_minute=120)
    data = client.get("/ping")
    assert (data["store_id"], data["store_name"], data["api_version"]) == ("vk_001", "Demo Store", "2026-01")
    assert data["limits"] == {"max_batch": 500, "requests_per_minute": 120}
    assert datetime.fromisoformat(data["time"]).tzinfo is not None


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "unauthorized"),
        ("wrong", 401, "unauthorized"),
        ("sandbox-veekaart-disabled-key", 403, "forbidden"),
        ("sandbox-veekaart-other-key", 403, "forbidden"),
    ],
)
def test_without_the_stores_own_key_nothing_opens(client: Client, key: str | None, status: int, code: str) -> None:
    for path in ("/ping", "/products", "/products/PA-65W"):
        answer = client.ask("GET", path, key=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_worked_reply_of_a_post_with_a_bad_row(client: Client) -> None:
    client.post("products", BISCUITS)
    answer = client.post("products", ADAPTER, {**BISCUITS, "price": 46}, {**ADAPTER, "sku": ""})
    body = answer.json()
    ids = [each.get("id") for each in body["data"]["results"]]
    assert answer.status_code == 200
    assert body == {
        "success": True,
        "data": {
            "synced_count": 2, "created": 1, "updated": 1, "unchanged": 0, "failed": 1,
            "results": [
                {"index": 0, "sku": "PA-65W", "result": "created", "id": ids[0]},
                {"index": 1, "sku": "BISC-200", "result": "updated", "id": ids[1]},
                {"index": 2, "sku": "", "result": "error",
                 "error": {"code": "validation_error", "field": "sku", "message": "sku is required"}},
            ],
        },
    }  # fmt: skip
    assert all(str(name).startswith("vkp_") for name in ids[:2])


def test_the_worked_push_of_stock_and_prices(client: Client) -> None:
    client.post("products", ADAPTER, BISCUITS)
    stock = {"sku": "PA-65W", "quantity": 40, "reserved_quantity": 3, "available_quantity": 37}
    assert client.results("inventory", {**stock, "as_of": "2026-01-19T10:00:00+05:30"}) == ["created"]
    price = {"sku": "PA-65W", "cost_price": 900.00, "selling_price": 1250.00, "mrp": 1499.00, "tax_rate": 18}
    free = {"sku": "BISC-200", "selling_price": 45.50, "mrp": 0}
    assert client.results("pricing", {**price, "discount_percentage": 16.61}, free) == ["created", "created"]
    assert client.get("/pricing/PA-65W")["discount_percentage"] == Decimal("16.61")
    assert client.get("/pricing/BISC-200")["discount_percentage"] == 0
    assert client.results("pricing", {**price, "discount_percentage": 16.62}) == ["unchanged"], "within a cent"
    assert client.results("pricing", {**price, "discount_percentage": 16.63}, free) == [
        "discount_mismatch", "unchanged",
    ]  # fmt: skip


def test_each_row_has_its_own_word(client: Client) -> None:
    newer = {**ADAPTER, "updated_at": "2026-02-01T00:00:00Z"}
    older = {**ADAPTER, "name": "Old", "updated_at": "2026-01-31T23:59:59Z"}
    assert client.results("products", newer) == ["created"]
    assert client.results("products", older, BISCUITS) == ["skipped_stale", "created"]
    assert client.results("products", newer, {**BISCUITS, "mrp": 50}) == ["unchanged", "updated"]
    assert client.results("products", BISCUITS, {**BISCUITS, "name": "Last"}) == ["duplicate_in_batch", "updated"]
    assert client.get("/products/BISC-200")["name"] == "Last"
    assert client.results("inventory", {"sku": "NO", "quantity": 1}, {"sku": "BISC-200", "quantity": 1}) == [
        "sku_not_found", "created",
    ]  # fmt: skip


def test_of_stock_the_last_moment_wins_and_not_the_last_request(client: Client) -> None:
    client.post("products", ADAPTER)
    row = {"sku": "PA-65W", "quantity": 5, "as_of": "2026-01-19T10:00:00+05:30"}
    assert client.results("inventory", row) == ["created"]
    assert client.results("inventory", {**row, "quantity": 9, "as_of": "2026-01-19T04:29:00Z"}) == ["skipped_stale"]
    assert client.results("inventory", {**row, "quantity": 9, "as_of": "2026-01-19T04:31:00Z"}) == ["updated"]


def test_a_post_of_which_no_row_is_taken_is_refused_with_its_results(client: Client) -> None:
    answer = client.post("products", {**ADAPTER, "sku": " "}, {**ADAPTER, "price": -1})
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]["code"]) == (422, False, "all_rows_invalid")
    assert [each["error"]["field"] for each in body["data"]["results"]] == ["sku", "price"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("POST", "/products", {"data": b"{"}, 400, "invalid_json"),
        ("POST", "/products", {"json": {"products": []}}, 400, "validation_error"),
        ("POST", "/products", {"json": {"items": [ADAPTER]}}, 400, "validation_error"),
        ("POST", "/products", {"json": {"products": [ADAPTER] * 501}}, 400, "batch_too_large"),
        ("POST", "/products", {"data": b" " * (2 * 1024 * 1024 + 1)}, 413, "payload_too_large"),
        ("POST", "/products", {"json": {}, "headers": {"Idempotency-Key": "a b"}}, 400, "validation_error"),
        ("DELETE", "/products/PA-65W", {}, 405, "method_not_allowed"),
        ("POST", "/ping", {}, 405, "method_not_allowed"),
        ("GET", "/products/NO-SUCH", {}, 404, "not_found"),
        ("GET", "/customers", {}, 404, "not_found"),
        ("GET", "/products?limit=201", {}, 400, "validation_error"),
        ("GET", "/products?cursor=x", {}, 400, "validation_error"),
        ("GET", "/products?updated_since=yesterday", {}, 400, "validation_error"),
        ("GET", "/products?status=sold", {}, 400, "validation_error"),
    ],
)
def test_the_table_of_errors(
    client: Client, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    headers = {**options.pop("headers", {}), "X-Request-Id": "from-the-test"}
    answer = client.ask(method, path, headers=headers, **options)
    body = answer.json()
    assert (answer.status_code, body["success"], body["error"]["code"]) == (status, False, code)
    assert set(body["error"]) == {"code", "message", "field", "details"}
    assert body["request_id"] == answer.headers["X-Request-Id"] == "from-the-test"


def test_a_key_for_a_post_gives_the_first_reply_again(client: Client) -> None:
    named = {"headers": {"Idempotency-Key": "k-1_A"}}
    first, second = (client.post("products", ADAPTER, **named) for _ in range(2))
    assert first.content == second.content
    assert (first.headers.get("Idempotent-Replay"), second.headers.get("Idempotent-Replay")) == (None, "true")
    other = client.post("products", BISCUITS, headers={"Idempotency-Key": "k-1_A"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_a_key_whose_first_post_is_at_work_is_refused_meanwhile(client: Client) -> None:
    client.door("veekaart/switches", work_s=0.8)
    done: list[int] = []
    named: dict[str, Any] = {"headers": {"Idempotency-Key": "slow"}}
    thread = threading.Thread(target=lambda: done.append(Client.post(client, "products", ADAPTER, **named).status_code))
    thread.start()
    time.sleep(0.3)
    answer = requests.post(
        f"{client.url}/veekaart/products",
        json={"products": [ADAPTER]},
        headers={"Authorization": "Bearer sandbox-veekaart-key", "Idempotency-Key": "slow"},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_in_progress")
    thread.join()
    assert done == [200]


def test_a_key_is_forgotten_after_a_day_and_belongs_to_its_holder() -> None:
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = Store(now=lambda: moment[0])
    store.kept[("a-key", "k")] = Kept(b"", moment[0])
    moment[0] += timedelta(hours=23, minutes=59)
    assert store.remembered("a-key", "k") is not None
    assert store.remembered("another-key", "k") is None
    moment[0] += timedelta(minutes=1)
    assert store.remembered("a-key", "k") is None


def test_a_minute_allows_so_many_requests_and_the_refusal_says_how_long_it_lasts(client: Client) -> None:
    client.door("veekaart/switches", requests_per_minute=3)
    answers = [client.ask("GET", "/ping") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["error"]["code"] == "rate_limited"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60


def test_a_cursor_leads_through_every_row_once_by_the_time_of_change(client: Client) -> None:
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/products", limit=7, **({"cursor": cursor} if cursor else {}))
        seen += page["items"]
        cursor = page["next_cursor"]
    assert len({row["sku"] for row in seen}) == len(seen) == 30
    times = [row["updated_at"] for row in seen]
    assert times == sorted(times)
    since = client.get("/products", updated_since=times[20], limit=200)["items"]
    assert [row["sku"] for row in since] == [row["sku"] for row in seen[20:]]
    inactive = client.get("/products", status="inactive", limit=200)["items"]
    assert {row["sku"] for row in inactive} == {row["sku"] for row in seen if row["status"] == "inactive"} != set()


@pytest.mark.parametrize("sku", ["HOSTILE/SLASH ? # % & +", "HOSTILE केसर चाय", "hostile-html", "HOSTILE-HTML"])
def test_a_sku_is_itself_whatever_is_in_it(client: Client, sku: str) -> None:
    assert client.get(f"/products/{quote(sku, safe='')}")["sku"] == sku


def test_the_observed_profile_asks_for_no_key_and_answers_with_a_number(client: Client) -> None:
    row = {"id": "1", "company_id": "c", **{k: v for k, v in ADAPTER.items() if k != "external_id"}}
    for table, rows in (
        ("products", [row, {**row, "sku": ""}]),
        ("inventory", [{"id": "1", "sku": "PA-65W", "quantity": 4, "reserved_quantity": 1, "available_quantity": 3}]),
        ("pricing", [{"id": "1", "sku": "PA-65W", "selling_price": 10, "mrp": 20, "discount_percentage": 50}]),
    ):
        answer = client.ask("POST", f"/api/sync/{table}", key=None, json={table: rows})
        assert answer.json() == {"success": True, "data": {"synced_count": 1}}
    assert client.get("/pricing/PA-65W")["discount_percentage"] == 50
    for answer in (
        client.ask("GET", "/api/sync/products", key=None),
        client.ask("POST", "/api/sync/products", key=None, data=b"{"),
        client.ask("POST", "/api/sync/orders", key=None),
    ):
        assert answer.status_code in (400, 404, 405)
        assert set(answer.json()) == {"error", "details"}


# -- its data ----------------------------------------------------------------------------------------------------------


def rows_of(store: Store) -> Any:
    tables = {name: [(sku, asdict(row)) for _, sku, row in table.in_order()] for name, table in store.tables.items()}
    return tables, store.orders


def test_the_same_seed_gives_the_same_store_and_another_seed_another() -> None:
    plan = SeedPlan(seed=7)
    assert rows_of(seed_store(plan)) == rows_of(seed_store(plan)) != rows_of(seed_store(SeedPlan(seed=8)))


def test_a_store_of_the_usual_size_is_a_believable_one() -> None:
    store = seed_store(SeedPlan())
    told = expected(store)
    assert told["totals"] == {"products": 250, "inventory": 250, "pricing": 250, "orders": 900}
    assert len({order["customer"]["id"] for order in store.orders if order["customer"]}) > 400
    assert told["orders_to_refuse"] == {"no customer": 1, "no lines": 1, "the total does not add up": 1}
    refused = 0
    for order in store.orders:
        lines = sum(line["quantity"] * line["price"] for line in order["items"])
        off = abs(lines - order["discount_amount"] + order["tax_amount"] - order["total_amount"])
        refused += off > 1 or not order["items"] or order["customer"] is None
    assert refused == 3
    for _, _, row in store.tables["inventory"].in_order():
        stock = row.values
        assert stock["available_quantity"] == stock["quantity"] - stock["reserved_quantity"] >= 0
