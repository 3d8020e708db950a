"""The two sandboxes of declared systems, asked as their descriptions say by a plain HTTP client.

There is no vendor of the one, and no client of the other is pinned: nothing but the descriptions holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from sandbox.background import serving
from sandbox.host import Host, wrap
from sandbox.kontor.seeding import seed_office
from sandbox.odoo_demo.seeding import seed_database
from sandbox.shelf import encode
from sandbox.vendor import SeedPlan

SMALL = SeedPlan(sizes={"customers": 20, "items": 10, "orders": 12})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(wrap(Host(SMALL, vendors=["kontor", "odoo_demo"]))) as found:
        yield found


@pytest.fixture
def session(url: str) -> Iterator[requests.Session]:
    with requests.Session() as found:
        found.trust_env = False
        found.post(f"{url}/_sandbox/reset", json={}).raise_for_status()
        yield found


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [seed_office, seed_database])
def test_the_same_seed_gives_the_same_bytes_and_another_one_others(seed: Any) -> None:
    first, again, other = (seed(SeedPlan(seed=number, sizes=SMALL.sizes)).shelf for number in (7, 7, 8))
    assert encode(list(first.tables.values())) == encode(list(again.tables.values()))
    assert first.stamps == again.stamps
    assert encode(list(first.tables.values())) != encode(list(other.tables.values()))


@pytest.mark.parametrize("seed", [seed_office, seed_database])
def test_a_company_of_the_usual_size_is_believable(seed: Any) -> None:
    counts = seed(SeedPlan()).began_with
    assert counts["customer"] >= 500 and counts["product"] >= 200 and counts["order"] >= 800


def test_amounts_add_up() -> None:
    for order in seed_office(SMALL).shelf.tables["orders"].values():
        assert order["net"] == sum(line["amount"] for line in order["lines"])
        assert order["total"] == order["net"] + order["tax"]
    for order in seed_database(SMALL).shelf.tables["sale.order"].values():
        assert order["amount_untaxed"] == sum(line["price_subtotal"] for line in order["order_line"])
        assert order["amount_total"] == order["amount_untaxed"] + order["amount_tax"]


@pytest.mark.parametrize("seed", [seed_office, seed_database])
def test_sizes_that_it_does_not_have_are_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="it has customers, items, orders"):
        seed(SeedPlan(sizes={"leads": 3}))


# -- Kontor ------------------------------------------------------------------------------------------------------------


def kontor(session: requests.Session, url: str, method: str, path: str, **options: Any) -> requests.Response:
    headers = {"Authorization": "ApiKey sandbox-kontor-key", **options.pop("headers", {})}
    return session.request(method, f"{url}/kontor/api/v1{path}", headers=headers, timeout=20, **options)


def test_kontor_lets_nobody_in_without_its_key(session: requests.Session, url: str) -> None:
    answer = kontor(session, url, "GET", "/customers", headers={"Authorization": "ApiKey other"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_kontor_pages_by_id_and_says_whether_there_is_more(session: requests.Session, url: str) -> None:
    asked = [{"per_page": 8, "page": page} for page in (1, 2, 3)]
    pages = [kontor(session, url, "GET", "/customers", params=query).json() for query in asked]
    assert [[one["id"] for one in page["items"]] for page in pages] == [
        list(range(1, 9)), list(range(9, 17)), list(range(17, 21)),
    ]  # fmt: skip
    assert [page["has_more"] for page in pages] == [True, True, False]


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/customers", {"params": {"per_page": 201}}, 400),
        ("GET", "/customers", {"params": {"updated_since": "yesterday"}}, 400),
        ("GET", "/customers/999", {}, 404),
        ("GET", "/invoices", {}, 404),
        ("POST", "/customers", {"json": {"name": ""}}, 422),
        ("POST", "/customers", {"json": {"nam": "x"}}, 422),
        ("POST", "/orders", {"json": {"customer_id": 999}}, 422),
        ("POST", "/customers/batch", {"json": {"records": [{}] * 51}}, 400),
        ("PATCH", "/customers/7", {"json": {"city": "x"}, "headers": {"If-Match": "2000-01-01T00:00:00Z"}}, 412),
        ("POST", "/customers", {"data": b"{"}, 400),
    ],
)
def test_kontor_refuses_with_a_code_and_a_sentence(
    session: requests.Session, url: str, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = kontor(session, url, method, path, **options)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] and answer.json()["error"]["message"]


def test_kontor_takes_the_good_ones_of_a_batch(session: requests.Session, url: str) -> None:
    records = [{"sku": "A-1", "name": "One"}, {"sku": "A-1", "name": "Two"}, {"sku": "A-2", "name": "Three"}]
    answer = kontor(session, url, "POST", "/products/batch", json={"records": records})
    assert answer.status_code == 207
    assert [one["ok"] for one in answer.json()["results"]] == [True, False, True]
    assert answer.json()["results"][1]["error"]["code"] == "taken"


def test_kontor_makes_one_order_of_one_idempotency_key(session: requests.Session, url: str) -> None:
    order = {"customer_id": 7, "lines": [{"product_id": 1, "quantity": 2, "unit_price": 10}]}
    answers = [
        kontor(session, url, "POST", "/orders", json=order, headers={"Idempotency-Key": "k-1"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert Decimal(str(answers[0].json()["item"]["total"])) == Decimal("23.8")


# -- Odoo --------------------------------------------------------------------------------------------------------------


def call(session: requests.Session, url: str, service: str, method: str, *args: Any) -> Any:
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": service, "method": method, "args": args}}
    answer = session.post(f"{url}/odoo_demo/jsonrpc", json=body, timeout=20)
    assert answer.status_code == 200, "whatever happens"
    return answer.json()


def execute(
    session: requests.Session, url: str, model: str, method: str, *args: Any, key: str = "sandbox-odoo-demo-key"
) -> Any:
    return call(session, url, "object", "execute_kw", "odoo_demo", 2, key, model, method, *args)


def test_a_login_gives_the_users_number_or_false(session: requests.Session, url: str) -> None:
    good = ("odoo_demo", "erpflow@example.com", "sandbox-odoo-demo-key", {})
    assert call(session, url, "common", "authenticate", *good)["result"] == 2
    assert call(session, url, "common", "authenticate", "odoo_demo", "x", "y", {})["result"] is False


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("res.partner", "read_all", []), "builtins.AttributeError"),
        (("res.friend", "create", [{}]), "builtins.KeyError"),
        (("res.partner", "create", [{"name": ""}]), "odoo.exceptions.ValidationError"),
        (("res.partner", "create", [{"nam": "x"}]), "builtins.ValueError"),
        (("res.partner", "write", [[999], {"city": "x"}]), "odoo.exceptions.MissingError"),
        (("res.partner", "web_search_read", [[["city", "~", "x"]]], {}), "builtins.ValueError"),
    ],
)
def test_an_error_is_an_exception_by_its_name(
    session: requests.Session, url: str, words: tuple[Any, ...], name: str
) -> None:
    assert execute(session, url, *words)["error"]["data"]["name"] == name


def test_a_wrong_key_is_denied(session: requests.Session, url: str) -> None:
    told = execute(session, url, "res.partner", "search_count", [[]], key="wrong")
    assert told["error"]["data"]["name"] == "odoo.exceptions.AccessDenied"


def test_a_domain_is_polish_notation_and_nothing_is_false(session: requests.Session, url: str) -> None:
    domain = ["|", ["id", "=", 1], "&", ["id", ">", 4], ["id", "<=", 6]]
    wanted = {"specification": {"phone": {}, "name": {}}}
    found = execute(session, url, "res.partner", "web_search_read", [domain], wanted)
    assert [one["id"] for one in found["result"]["records"]] == [1, 5, 6]
    assert found["result"]["records"][0]["phone"] is False


def test_a_fault_can_look_into_the_body(session: requests.Session, url: str) -> None:
    fault = {"kind": "status", "status": 503, "body": '"unlink"', "path": "^/odoo_demo/"}
    session.post(f"{url}/_sandbox/faults", json=fault).raise_for_status()
    assert execute(session, url, "res.partner", "search_count", [[]])["result"] > 0
    body = {"params": {"service": "object", "method": "execute_kw", "args": ["unlink"]}}
    assert session.post(f"{url}/odoo_demo/jsonrpc", json=body, timeout=20).status_code == 503


def test_a_fault_whose_body_is_no_expression_is_refused(session: requests.Session, url: str) -> None:
    answer = session.post(f"{url}/_sandbox/faults", json={"kind": "reset", "body": "("}, timeout=20)
    assert answer.status_code == 400 and "body of a fault is no regular expression" in answer.text
