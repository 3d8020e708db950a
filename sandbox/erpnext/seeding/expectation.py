"""What a client that reads everything must have in the end, computed from the data itself."""

from collections import Counter
from typing import Any

from sandbox.erpnext.doctype import REAL
from sandbox.erpnext.seeding.hostile import NEGATIVE, NO_DATE, NUL, OVERFLOW, TOO_LONG
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import Doc

ENTITIES = {"customer": "Customer", "product": "Item", "order": "Sales Order"}
TITLES = {"Customer": "customer_name", "Item": "item_name"}
NAME_LIMIT = 200  # characters
MONEY_LIMIT = 1e16  # what a numeric(18, 2) column can hold


def expected(site: Site) -> dict[str, dict[str, Any]]:
    """Per entity: the total, and per reason how many records a strict client cannot store.

    `{"customer": {"doctype": "Customer", "total": 2000, "children": 0, "breaking": {"NUL character": 2}}}`
    """
    return {entity: counts(site, doctype) for entity, doctype in ENTITIES.items()}


def counts(site: Site, doctype: str) -> dict[str, Any]:
    docs = list(site.tables[doctype])
    reasons = Counter(reason for doc in docs for reason in [why_it_breaks(doc)] if reason is not None)
    lines = sum(len(doc.children.get("items", ())) for doc in docs)
    return {"doctype": doctype, "total": len(docs), "lines": lines, "breaking": dict(sorted(reasons.items()))}


def why_it_breaks(doc: Doc) -> str | None:
    """The first reason, or None for a record that can be stored."""
    title = TITLES.get(doc.meta.name)
    if title is not None and len(doc.get(title, "")) > NAME_LIMIT:
        return TOO_LONG
    if any(isinstance(value, str) and "\x00" in value for value in doc.row):
        return NUL
    if any(abs(doc.row[place]) >= MONEY_LIMIT for place in real_places(doc)):
        return OVERFLOW
    if doc.meta.name == "Item" and doc["standard_rate"] < 0:
        return NEGATIVE
    if doc.meta.name == "Sales Order" and not doc.get("transaction_date"):
        return NO_DATE
    return None


def real_places(doc: Doc) -> list[int]:
    return [doc.meta.index[name] for name, kind in doc.meta.fields.items() if kind.fieldtype in REAL]
