"""The seeded company: Alpska trgovina d.o.o., which sells tools, honey and timber."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.metakocka import documents
from sandbox.metakocka.company import Company, Record, statuses_of
from sandbox.metakocka.seeding import words
from sandbox.metakocka.seeding.expectation import why_product_breaks
from sandbox.metakocka.seeding.hostile import DOCUMENTS, HUGE, PARTNERS, PRODUCTS
from sandbox.metakocka.seeding.stock import fill_warehouses, make_warehouses
from sandbox.metakocka.totals import sums
from sandbox.vendor import SeedPlan

ANCHOR = datetime(2026, 6, 30, 18, 0, tzinfo=UTC)
SPAN_DAYS = 720
PARTNER_COUNT, PRODUCT_COUNT, DOCUMENT_COUNT = 520, 220, 860
SHARES = ((0.45, documents.ORDER), (0.57, "sales_offer"), (0.80, "sales_bill_domestic"), (0.88, "sales_bill_foreign"),
          (0.94, "sales_bill_retail"), (0.97, "sales_bill_prepaid"), (1.0, "sales_bill_credit_note"))  # fmt: skip
"""Which part of all documents is of which type: the sum of the parts so far."""


def seed_company(plan: SeedPlan) -> Company:
    """`sizes`: customers, items and orders stand for partners, products and documents."""
    moments = _moments()
    company = Company(seed=plan.seed, now=lambda: next(moments))
    make_warehouses(company)
    _partners(company, plan.sizes.get("customers", PARTNER_COUNT))
    _products(company, plan.sizes.get("items", PRODUCT_COUNT))
    fill_warehouses(company, company.dice("stock"))
    _documents(company, plan.sizes.get("orders", DOCUMENT_COUNT))
    company.now = lambda: datetime.now(UTC)
    return company


def _moments() -> Iterator[datetime]:
    at = ANCHOR - timedelta(days=SPAN_DAYS)
    while True:
        yield at
        at += timedelta(seconds=97)


# -- partners --------------------------------------------------------------------------------------------------------


def _partners(company: Company, count: int) -> None:
    rng = company.dice("partners")
    for number in range(count):
        made = _partner(company, rng, number)
        if number < len(PARTNERS):
            made.update(PARTNERS[number].values)
        company.partners[made["mk_id"]] = made


def _partner(company: Company, rng: random.Random, number: int) -> Record:
    is_company, is_foreign = rng.random() < 0.7, rng.random() < 0.15
    person = f"{rng.choice(words.NAMES)} {rng.choice(words.SURNAMES)}"
    firm = f"{rng.choice(words.FIRST)} {rng.choice(words.SECOND)} {rng.choice(words.FORMS)}"
    city, post, country = rng.choice(words.ABROAD) if is_foreign else (*rng.choice(words.CITIES), words.HOME)
    street = f"{rng.choice(words.STREETS)} {rng.randrange(1, 190)}"
    mk_id, address_id = company.new_id(), company.new_id()
    mail = f"info{number}@{'firma' if is_company else 'oseba'}{number}.example"
    return {
        "mk_id": mk_id,
        "business_entity": is_company,
        "taxpayer": is_company,
        "foreign_county": is_foreign,
        "buyer": True,
        "supplier": rng.random() < 0.1,
        "customer": f"{firm} {number}" if is_company else person,
        "tax_id_number": f"SI{20_000_000 + number * 7}" if is_company and not is_foreign else None,
        "registration_number": f"{5_000_000 + number * 11}000" if is_company else None,
        "count_code": company.number(""),
        "partner_contact_list": [
            {"mk_id": company.new_id(), "mk_address_id": address_id, "contact_address": street, "name": person,
             "gsm": f"041 {rng.randrange(100, 999)} {rng.randrange(100, 999)}", "email": mail}
        ],
        "partner_delivery_address_list": [
            {"mk_id": address_id, "address_type": "Račun", "street": street, "post_number": post, "city": city,
             "country": country, "payment_due_days": str(rng.choice((8, 15, 30))), "language": "Slovenski",
             "currency_id": "65", "currency": "EUR"},
            *_second_address(company, rng, country),
        ],
        "_changed": company.stamp(),
    }  # fmt: skip


def _second_address(company: Company, rng: random.Random, country: str) -> list[Record]:
    if rng.random() < 0.75:
        return []
    city, post = rng.choice(words.CITIES)
    return [{"mk_id": company.new_id(), "address_type": rng.choice(("Dobava", "Poslovna enota")),
             "street": f"{rng.choice(words.STREETS)} {rng.randrange(1, 90)}", "post_number": post, "city": city,
             "country": country, "language": "Slovenski"}]  # fmt: skip


# -- products --------------------------------------------------------------------------------------------------------


def _products(company: Company, count: int) -> None:
    rng = company.dice("products")
    for number in range(count):
        made = _product(company, rng, number)
        if number < len(PRODUCTS):
            made.update(PRODUCTS[number].values)
        company.products[made["mk_id"]] = made


def _product(company: Company, rng: random.Random, number: int) -> Record:
    code, category, unit, names, tax, (low, high), weight = rng.choice(words.KINDS)
    mk_id = company.new_id()
    price = Decimal(rng.randrange(low * 100 + 49, high * 100)) / 100
    return {
        "count_code": company.number("PA-"),
        "mk_id": mk_id,
        "code": f"{code}-{number + 1:04}",
        "barcode": f"383{number:010}" if rng.random() < 0.6 else None,
        "name": f"{rng.choice(names)} {rng.choice(words.SIZES)}",
        "name_desc": f"{category}: {rng.choice(names)}" if rng.random() < 0.5 else None,
        "unit": unit,
        "service": weight is None,
        "sales": True,
        "activated": rng.random() < 0.96,
        "purchasing": weight is not None,
        "eshop_sync": rng.random() < 0.5,
        "weight": Decimal(weight) if weight else None,
        "localization": [{"language": "en", "name": f"Item {number + 1}"}] if rng.random() < 0.3 else None,
        "category_tree_list": [{"tree_node_id": f"16000{len(category):05}", "tree_node_label": category}],
        "pricelist": [
            {"count_code": "NC-2026", "price_def": [{"price": (price * 7 / 10).quantize(Decimal("0.01")), "tax": tax}]},
            {"count_code": "PC-2026", "price_def": [{"price": price, "tax": tax}]},
        ],
        "_changed": company.stamp(),
    }  # fmt: skip


# -- documents -------------------------------------------------------------------------------------------------------


def _documents(company: Company, count: int) -> None:
    """Every partner is on one before any is on two, for Metakocka shows a partner nowhere else."""
    rng = company.dice("documents")
    partners = list(company.partners)
    wares = [each for each in company.products.values() if why_product_breaks(each) is None]
    if not (partners and wares):
        return
    for number in range(count):
        share = (number * 0.6180339887) % 1.0
        doc_type = next(kind for limit, kind in SHARES if share < limit)
        made = _document(company, rng, doc_type, partners[number % len(partners)], wares)
        made["doc_date"] = date(2024, 7, 11) + timedelta(days=number * SPAN_DAYS // count)
        if number < len(DOCUMENTS):
            _spoil(company, made, DOCUMENTS[number].values)
        else:
            _settle(made, rng)
        company.documents[made["mk_id"]] = made


def _document(company: Company, rng: random.Random, doc_type: str, partner: str, wares: list[Record]) -> Record:
    at = company.stamp()
    made: Record = {
        "mk_id": company.new_id(),
        "doc_type": doc_type,
        "count_code": company.number(documents.SERIES[doc_type]),
        "currency_code": "EUR",
        "warehouse": "glavni",
        "delivery_type": rng.choice(words.DELIVERIES),
        "notes": rng.choice(words.NOTES),
        "_partner": partner,
        "_receiver": partner,
        "_status": rng.choice(list(statuses_of(doc_type))),
        "_created": at,
        "_changed": at,
        "product_list": [_line(company, rng, rng.choice(wares)) for _ in range(rng.choice((1, 1, 2, 3, 5)))],
    }
    if doc_type == documents.ORDER:
        made["buyer_order"] = f"WEB-{made['mk_id']}"
    if rng.random() < 0.1:
        made["discount_value"] = Decimal(1)
    return made


def _line(company: Company, rng: random.Random, product: Record) -> Record:
    step: Record = next((each["price_def"][0] for each in product["pricelist"] if each["count_code"] == "PC-2026"), {})
    tax = step.get("tax", "EX4")
    price = step.get("price", Decimal("9.9"))
    price = price if 0 <= price < 100_000 else Decimal("9.9")
    line: Record = {"mk_id": product["mk_id"], "mk_row_id": company.new_id(), "amount": Decimal(rng.randrange(1, 12))}
    if rng.random() < 0.2:  # a shop's lines carry the tax
        line["price_with_tax"] = (price * Decimal("1.22")).quantize(Decimal("0.01"))
    else:
        line["price"] = price
    discount = rng.choice((None, None, None, "10", "5,5", "22;23"))
    return {**line, "tax": tax, **({"discount": discount} if discount else {})}


def _spoil(company: Company, made: Record, values: dict[str, Any]) -> None:
    made.update({name: value for name, value in values.items() if name != "_huge"})
    if "_huge" in values:
        made["product_list"][0] |= {"amount": HUGE, "price": Decimal(100)}
        made["product_list"][0].pop("price_with_tax", None)


def _settle(made: Record, rng: random.Random) -> None:
    """Due dates, and payments of what is paid: some in full, some in part."""
    if not made["doc_type"].startswith("sales_bill"):
        return
    made["duo_payment"] = made["doc_date"] + timedelta(days=15)
    made["service_to_date"] = made["doc_date"]
    total, chance = sums(made)["sum_all"], rng.random()
    if total > 0 and chance < 0.8:
        amount = total if chance < 0.7 else (total / 2).quantize(Decimal("0.01"))
        day = made["doc_date"] + timedelta(days=rng.randrange(0, 20))
        made["_payments"] = [{"payment_type": rng.choice(words.PAYMENTS), "date": day, "amount": amount}]
