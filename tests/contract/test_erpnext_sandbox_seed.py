"""The seeded company: the same each time, believable, consistent, and with the rows that break careless clients."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.erpnext import documents, seed
from sandbox.erpnext.checks import all_bad_links
from sandbox.erpnext.doctype import REAL
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.seeding import expected
from sandbox.erpnext.seeding.customers import gstin
from sandbox.erpnext.seeding.hostile import BY_DOCTYPE, HUGE
from sandbox.erpnext.seeding.items import ean13
from sandbox.erpnext.seeding.moments import ANCHOR
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import Doc
from sandbox.erpnext.totals import total
from sandbox.vendor import SeedPlan

SMALL = {"customers": 300, "items": 80, "orders": 400}


@pytest.fixture(scope="module")
def site() -> Site:
    return seed(SeedPlan(sizes=SMALL))


def ordinary(site: Site, doctype: str) -> Iterator[Doc]:
    hostile = {row.name for row in BY_DOCTYPE[doctype]}
    return (doc for doc in site.tables[doctype] if doc.name not in hostile)


def snapshot(site: Site) -> str:
    return json.dumps([as_dict(doc, nulls=True) for name in BY_DOCTYPE for doc in site.tables[name]])


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data(site: Site) -> None:
    assert snapshot(seed(SeedPlan(sizes=SMALL))) == snapshot(site)
    assert snapshot(seed(SeedPlan(seed=8, sizes=SMALL))) != snapshot(site)


def test_unless_told_otherwise_there_are_2000_customers_500_items_and_5000_orders() -> None:
    found = expected(seed(SeedPlan()))
    assert {entity: counts["total"] for entity, counts in found.items()} == {
        "customer": 2000,
        "product": 500,
        "order": 5000,
    }


def test_the_sizes_count_the_hostile_rows_too(site: Site) -> None:
    assert [len(site.tables[name]) for name in BY_DOCTYPE] == list(SMALL.values())


@pytest.mark.parametrize("sizes", [(0, 0, 0), (5, 3, 2)])
def test_a_company_can_be_tiny_or_empty(sizes: tuple[int, int, int]) -> None:
    tiny = seed(SeedPlan(sizes=dict(zip(SMALL, sizes, strict=True))))
    assert len(tiny.tables["Customer"]) <= 5
    assert len(tiny.tables["Sales Order"]) <= 2


def test_an_entity_the_site_does_not_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="has no invoices; it can size customers, items, orders"):
        seed(SeedPlan(sizes={"invoices": 5}))


def test_each_hostile_row_is_there_as_written(site: Site) -> None:
    for doctype, rows in BY_DOCTYPE.items():
        for row in rows:
            doc = site.find(doctype, row.name)
            assert doc is not None, row.name
            assert {column: doc[column] for column in row.values} == row.values


def test_three_to_eight_rows_of_each_entity_cannot_be_stored_by_a_strict_client(site: Site) -> None:
    for counts in expected(site).values():
        assert 3 <= sum(counts["breaking"].values()) <= 8


def test_the_reasons_counted_are_those_the_rows_were_made_for(site: Site) -> None:
    for counts in expected(site).values():
        made = Counter(row.breaks for row in BY_DOCTYPE[counts["doctype"]] if row.breaks)
        assert counts["breaking"] == dict(made)


def test_every_link_of_an_ordinary_document_leads_somewhere(site: Site) -> None:
    call = Call(site, "Administrator")
    for doctype in (*BY_DOCTYPE, "Contact", "Address", "Item Price", "Bin"):
        docs = ordinary(site, doctype) if doctype in BY_DOCTYPE else iter(site.tables[doctype])
        for doc in docs:
            assert all_bad_links(call, doc) == [], doc.name


def test_seeded_totals_are_those_a_save_would_compute(site: Site) -> None:
    call = Call(site, "Administrator")
    for doc in ordinary(site, "Sales Order"):
        saved = doc.copy()
        total(call, saved, due_date=saved["transaction_date"])
        assert differences(doc, saved) == {}, doc.name


def differences(doc: Doc, other: Doc) -> dict[str, Any]:
    pairs = [(doc, other), *zip(doc.rows(), other.rows(), strict=True)]
    return {
        f"{one.meta.name}.{column}": (one[column], two[column])
        for one, two in pairs
        for column, field in one.meta.fields.items()
        if (field.fieldtype in REAL or column.endswith("in_words")) and one[column] != two[column]
    }


def test_a_seeded_document_can_be_saved_as_it_is() -> None:
    site = seed(SeedPlan(sizes=SMALL))
    call = Call(site, "connector@example.com", "PUT")
    for doctype in BY_DOCTYPE:
        doc = next(doc for doc in ordinary(site, doctype) if doc["docstatus"] < 2)
        with site.transaction():
            saved = documents.update(call, doctype, doc.name, {})
        assert saved.doc["modified"] > doc["modified"]


def test_names_and_addresses_are_written_in_several_scripts(site: Site) -> None:
    text = " ".join(str(doc["customer_name"]) for doc in site.tables["Customer"])
    for first, last in (("A", "z"), ("\u0600", "\u06ff"), ("\u0900", "\u097f"), ("\u0080", "\u024f")):
        assert any(first <= character <= last for character in text)


def test_customers_come_from_india_and_the_gulf_with_their_currencies(site: Site) -> None:
    currencies = {doc["default_currency"] for doc in site.tables["Customer"]}
    assert {"INR", "SAR", "AED", "USD", None} <= currencies
    assert {"India", "Saudi Arabia", "United Arab Emirates"} <= {doc["country"] for doc in site.tables["Customer"]}


def test_no_two_customers_share_an_email_address(site: Site) -> None:
    emails = [doc["email_id"].strip().lower() for doc in site.tables["Customer"] if doc.get("email_id")]
    assert len(emails) == len(set(emails))


def test_orders_have_one_to_six_lines_in_order(site: Site) -> None:
    for doc in site.tables["Sales Order"]:
        assert [line["idx"] for line in doc.children["items"]] == list(range(1, len(doc.children["items"]) + 1))
        assert 1 <= len(doc.children["items"]) <= 6


def test_nothing_was_modified_before_it_was_made_or_after_the_company_was_recorded(site: Site) -> None:
    for doctype in BY_DOCTYPE:
        for doc in site.tables[doctype]:
            assert doc["creation"] <= doc["modified"] <= str(ANCHOR)


def test_what_is_written_next_is_newer_than_anything_seeded(site: Site) -> None:
    assert site.clock.stamp() > str(ANCHOR)


def test_huge_numbers_stay_huge_on_the_wire(site: Site) -> None:
    doc = site.find("Customer", "HOSTILE-LIMIT-HUGE")
    assert doc is not None
    assert json.loads(json.dumps(as_dict(doc)))["credit_limit"] == HUGE


@pytest.mark.parametrize("whole", ["27AAPFU0939F1ZV", "29AAGCB7383J1Z4"])
def test_a_gstin_carries_its_check_character(whole: str) -> None:
    assert gstin(whole[:-1]) == whole


def test_a_barcode_carries_its_check_digit() -> None:
    assert ean13("400638133393") == "4006381333931"
