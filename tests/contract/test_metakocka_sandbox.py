"""The sandbox's company: it answers the documentation's own examples as the documentation says, limits and all."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from sandbox.metakocka import seed
from sandbox.metakocka.api import CALLS
from sandbox.vendor import SeedPlan
from tests.contract.metakocka_vendor import COMPANY_ID, SECRET_KEY, MetakockaCompany

KEYS = {"secret_key": SECRET_KEY, "company_id": COMPANY_ID}


def post(company: MetakockaCompany, call: str, **body: Any) -> requests.Response:
    return company.session.post(f"{company.base_url}/rest/eshop/v1/{call}", json=body)


def ask(company: MetakockaCompany, call: str, **body: Any) -> dict[str, Any]:
    answer = post(company, call, **KEYS, **body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def scalars(found: Any) -> list[Any]:
    if isinstance(found, dict):
        return [each for value in found.values() for each in scalars(value)]
    return [each for value in found for each in scalars(value)] if isinstance(found, list) else [found]


# -- who is let in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {**KEYS, "secret_key": "8899"}, {**KEYS, "company_id": "17"}])
def test_a_wrong_key_is_answered_with_200_and_code_3(metakocka: MetakockaCompany, keys: dict[str, str]) -> None:
    for call in CALLS:
        answer = post(metakocka, call, **keys)
        assert answer.status_code == 200
        found = answer.json()
        assert (found["opr_code"], found["opr_desc"]) == ("3", "Invalid value for secret_key and company_id")


def test_a_path_that_is_none_and_a_get_are_answered_with_a_page(metakocka: MetakockaCompany) -> None:
    assert post(metakocka, "product_list", **KEYS).status_code == 404, "this call has json/ before it"
    answer = metakocka.session.get(f"{metakocka.base_url}/rest/eshop/v1/search")
    assert answer.status_code == 405 and answer.text.startswith("<html>")


def test_an_unreadable_body_is_a_java_exception(metakocka: MetakockaCompany) -> None:
    answer = metakocka.session.post(f"{metakocka.base_url}/rest/eshop/v1/search", data=b"{")
    assert answer.json()["opr_code"] == "1" and "JSONException" in answer.json()["opr_desc"]


# -- how it writes ---------------------------------------------------------------------------------------------------


def test_every_scalar_is_a_text_and_nothing_is_empty(metakocka: MetakockaCompany) -> None:
    for call, body in (
        ("search", {"doc_type": "sales_order", "result_type": "doc"}),
        ("json/product_list", {"return_pricelist": "true"}),
        ("json/warehouse_stock", {}),
        ("get_partner", {"partner_name": "o"}),
    ):
        assert {type(each) for each in scalars(ask(metakocka, call, **body))} == {str}
        assert "" not in scalars(ask(metakocka, call, **body))


def test_success_is_a_zero_or_no_code_at_all(metakocka: MetakockaCompany) -> None:
    assert ask(metakocka, "json/product_list")["opr_code"] == "0"
    assert "opr_code" not in ask(metakocka, "get_partner", partner_name="o")
    assert "opr_code" not in ask(metakocka, "search_query_advance_discovery")


def test_lists_of_one_come_sometimes_as_the_bare_object(metakocka: MetakockaCompany) -> None:
    assert isinstance(ask(metakocka, "json/product_list", limit="1")["product_list"], dict)
    rows = ask(metakocka, "search", doc_type="sales_order", result_type="doc")["result"]
    assert {type(row["product_list"]) for row in rows} == {dict, list}


def test_weights_and_stock_have_commas_and_prices_points(metakocka: MetakockaCompany) -> None:
    products = ask(metakocka, "json/product_list", return_pricelist="true")["product_list"]
    assert {"1.895,01"} <= {product.get("weight") for product in products}
    assert not [each for product in products for each in scalars(product.get("pricelist", [])) if "," in each]
    amounts = [row["amount"] for row in ask(metakocka, "json/warehouse_stock")["stock_list"]]
    assert any("," in amount for amount in amounts) and any("." in amount for amount in amounts)


# -- what it is asked ------------------------------------------------------------------------------------------------


def test_pages_are_capped_and_the_head_says_what_was_asked(metakocka: MetakockaCompany) -> None:
    found = ask(metakocka, "search", doc_type="sales_order", limit=5000, offset=1)
    assert (found["limit"], found["offset"]) == ("100", "1")
    assert int(found["result_all_records"]) == int(found["result_count"]) + 1
    products = ask(metakocka, "json/product_list", sales="true", limit="3")
    assert (products["sales"], products["limit"], products["product_list_count"]) == ("true", "3", "3")
    assert "secret_key" not in products


def test_only_orders_are_found_by_the_time_of_their_change_and_offers_by_no_date(metakocka: MetakockaCompany) -> None:
    for doc_type, filters, code in (
        ("sales_order", ("last_change_from", "doc_date_from"), "0"),
        ("sales_bill_domestic", ("last_change_from",), "2"),
        ("sales_offer", ("doc_date_from", "last_change_to"), "2"),
    ):
        for name in filters:
            asked = [{"type": name, "value": "2024-01-17T14:28:54+01:00"}]
            found = ask(metakocka, "search", doc_type=doc_type, query_advance=asked)
            assert found["opr_code"] == code, (doc_type, name)


def test_nobody_found_is_an_error_and_not_an_empty_list(metakocka: MetakockaCompany) -> None:
    assert ask(metakocka, "get_partner", partner_id="1")["opr_code"] == "2"
    assert "result" not in ask(metakocka, "search", doc_type="sales_order", query="no such words anywhere")


@pytest.mark.parametrize(
    ("call", "body", "words"),
    [
        ("search", {"doc_type": "foo"}, "Unknown document type : foo"),
        ("search", {}, "Paramether 'doc_type' is required paramether"),
        ("put_document", {"doc_type": "sales_order"}, "Paramether 'product_list' is required paramether"),
        ("json/product_add", {"code": "X", "name": "X"}, "Paramether 'unit' is required paramether"),
        ("json/product_add", {"code": "X", "name": "X", "unit": "jard"}, "Paramether 'unit' has invalid value : jard."),
        ("add_partner", {"partner": {"street": "Cesta 1"}}, "Paramether 'customer' is required paramether"),
        ("get_document", {"doc_type": "sales_order", "doc_id": "1"}, "Document not found : 1"),
    ],
)
def test_refusals_are_spelled_as_metakocka_spells_them(
    metakocka: MetakockaCompany, call: str, body: dict[str, Any], words: str
) -> None:
    found = ask(metakocka, call, **body)
    assert found["opr_code"] == "2" and found["opr_desc"].startswith(words)


# -- what it does ----------------------------------------------------------------------------------------------------


def order(company: MetakockaCompany, **values: Any) -> dict[str, Any]:
    line = {"code": company.ware["code"], "amount": "1", "price": "100", "tax": "EX4"}
    return {"doc_type": "sales_order", "partner": {"mk_id": company.partner}, "product_list": [line], **values}


def test_the_same_insert_twice_is_two_documents_and_with_an_id_it_replaces_one(metakocka: MetakockaCompany) -> None:
    first, second = (ask(metakocka, "put_document", **order(metakocka, buyer_order="W-1")) for _ in range(2))
    assert first["mk_id"] != second["mk_id"] and first["count_code"] != second["count_code"]
    again = ask(metakocka, "put_document", **order(metakocka, mk_id=first["mk_id"], title="new", count_code="ignored"))
    assert (again["mk_id"], again["count_code"]) == (first["mk_id"], first["count_code"])
    found = ask(metakocka, "get_document", doc_type="sales_order", doc_id=first["mk_id"])
    assert found["title"] == "new" and "buyer_order" not in found, "what was left out is lost"


def test_partners_and_products_nobody_knows_are_made_silently(metakocka: MetakockaCompany) -> None:
    line = {"code": "NEW-1", "name": "New", "unit": "kos", "amount": "2", "price_with_tax": "19,99", "tax": "EX4"}
    body = order(metakocka, product_list=line, partner={"customer": "Nobody d.o.o.", "place": "Ptuj"})
    made = ask(metakocka, "put_document", **body)
    assert made["partner"]["mk_id"] in metakocka.modified("contact")
    assert ask(metakocka, "json/product_list", code="NEW-1")["product_list_count"] == "1"
    line = {key: value for key, value in line.items() if key != "unit"} | {"code": "NEW-2"}
    refused = ask(metakocka, "put_document", **order(metakocka, product_list=[line]))
    assert refused["opr_desc"] == "Product with code NEW-2 not found - unit must be set to add new product"
    assert refused["product_not_found_list"][0]["code"] == "NEW-2"


def test_a_document_adds_up(metakocka: MetakockaCompany) -> None:
    """Amounts of the documentation's bill: two lines of 12 % discount, one of them with tax, and 10 off."""
    code = metakocka.ware["code"]
    lines = [
        {"code": code, "amount": "2", "price": "3", "discount": "12", "tax": "EX4"},
        {"code": code, "amount": "2", "price_with_tax": "14.6754", "discount": "12", "tax": "EX4"},
    ]
    made = ask(metakocka, "put_document", **order(metakocka, product_list=lines, discount_value="10"))
    found = ask(metakocka, "get_document", doc_type="sales_order", doc_id=made["mk_id"])
    assert [found[name] for name in ("sum_basic", "sum_tax_ex4", "sum_all")] == ["16.45", "3.62", "20.07"]


def test_payments_are_slovene_numbers_and_lower_what_is_open(metakocka: MetakockaCompany) -> None:
    made = ask(metakocka, "put_document", **order(metakocka, doc_type="sales_bill_domestic"))
    named = {"doc_type": "sales_bill_domestic", "mk_id": made["mk_id"]}
    for _ in range(2):  # sent twice, it is two
        ask(metakocka, "put_transaction", **named, payment_type="PayPal", date="2014-08-23+02:00", price="1895")
    found = ask(metakocka, "get_document", doc_type=named["doc_type"], doc_id=made["mk_id"], show_payment_detail="true")
    assert [each["amount"] for each in found["mark_paid"]] == ["1.895", "1.895"]
    assert (found["mark_paid"][0]["date"], found["sum_paid"]) == ("23.08.2014", "3790")


def test_searches_wait_for_each_other(metakocka: MetakockaCompany) -> None:
    metakocka.door("metakocka/switches", {"search_seconds": 0.15})
    started = time.monotonic()
    asking = [
        threading.Thread(target=ask, args=(metakocka, "search"), kwargs={"doc_type": "sales_order"}) for _ in "ab"
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert time.monotonic() - started >= 0.3


# -- how it is filled ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_company_and_another_gives_another() -> None:
    def told(number: int) -> list[Any]:
        company = seed(SeedPlan(seed=number, sizes={"customers": 30, "items": 30, "orders": 40}))
        return [company.partners, company.products, company.warehouses, company.stock, company.documents]

    assert told(7) == told(7) != told(8)


def test_a_company_without_sizes_is_of_a_believable_one() -> None:
    company = seed(SeedPlan())
    assert len(company.partners) >= 500 and len(company.products) >= 200 and len(company.documents) >= 800
    shown = {document["_partner"] for document in company.documents.values()}
    assert set(company.partners) - shown == set(), "every partner is on some document"


def test_the_side_door_says_what_is_wrong(metakocka: MetakockaCompany) -> None:
    for path, body in (
        ("switches", {"quoat": 1}),
        ("set", {"entity": "contact", "ids": ["1"], "values": {}}),
        ("set", {"entity": "partner", "ids": [], "values": {}}),
        ("delete", {"entity": "inventory", "ids": list(metakocka.ask_door("records", entity="inventory"))[:1]}),
        ("stock", {"warehouse_id": "1", "mk_id": "2", "amount": "3"}),
    ):
        answer = metakocka.session.post(f"{metakocka.url}/_sandbox/metakocka/{path}", json=body)
        assert answer.status_code == 400 and answer.json()["error"], path
