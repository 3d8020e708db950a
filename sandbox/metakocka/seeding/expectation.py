"""What a client that reads everything must have in the end, computed from the data itself."""

from collections import Counter
from typing import Any

from sandbox.metakocka.company import Company, Record
from sandbox.metakocka.seeding.hostile import NEGATIVE, NO_DATE, NO_NAME, NUL, OVERFLOW, PARTNER, PRODUCT
from sandbox.metakocka.totals import sums

MONEY_LIMIT = 10**16  # what a numeric(18, 2) column can hold


def expected(company: Company) -> dict[str, dict[str, Any]]:
    """Per entity: the total, and per reason how many records a strict client cannot store.

    Partners only as far as a document shows them.
    """
    met = {each.get(name) for each in company.documents.values() for name in ("_partner", "_receiver")}
    partners = [each for key, each in company.partners.items() if key in met]
    goods = [each for each in company.products.values() if not each.get("service")]
    active = {key for key, each in company.warehouses.items() if each["active"]}
    levels = {(house, each["mk_id"]) for house in active for each in goods}
    levels |= {(row["warehouse_id"], row["mk_id"]) for row in company.stock}
    broken = {each["mk_id"] for each in company.products.values() if why_product_breaks(each)}
    lost = sum(mk_id in broken for _, mk_id in levels)
    return {
        "contact": counts(partners, [why_text_breaks(each) for each in partners]),
        "product": counts(list(company.products.values()), [why_product_breaks(e) for e in company.products.values()]),
        "inventory": {"total": len(levels), "breaking": {PRODUCT: lost} if lost else {}},
        "document": counts(
            list(company.documents.values()), [why_breaks(e, company) for e in company.documents.values()]
        ),
    }


def counts(records: list[Record], reasons: list[str | None]) -> dict[str, Any]:
    found = Counter(reason for reason in reasons if reason is not None)
    return {"total": len(records), "breaking": dict(sorted(found.items()))}


def why_text_breaks(record: Record) -> str | None:
    return NUL if any(isinstance(value, str) and "\x00" in value for value in record.values()) else None


def why_product_breaks(product: Record) -> str | None:
    """The first reason, or None for a product that can be stored."""
    if not product.get("name"):
        return NO_NAME
    sold = [step for each in product["pricelist"] if each["count_code"].startswith("PC") for step in each["price_def"]]
    price = sold[0].get("price", 0) if sold else 0
    if price < 0:
        return NEGATIVE
    return OVERFLOW if price >= MONEY_LIMIT else why_text_breaks(product)


def why_breaks(document: Record, company: Company) -> str | None:
    """The first reason, or None for a document that can be stored: its partner can be too, or has gone."""
    if document.get("doc_date") is None:
        return NO_DATE
    partner = company.partners.get(document.get("_partner", ""))
    if partner is not None and why_text_breaks(partner):
        return PARTNER
    return OVERFLOW if abs(sums(document)["sum_all"]) >= MONEY_LIMIT else why_text_breaks(document)
