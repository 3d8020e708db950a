"""What a sales document refers to, and what people call it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from erpflow.vocabulary import VendorRecord

DOCUMENT: Final = "document"
IN_ORDER: Final = ("contact", "product", DOCUMENT)
"""What has to be here first comes first."""


@dataclass(frozen=True, slots=True)
class DocumentHead:
    """A document in a list: its id here, its type, number, day and partner, and its total as text."""

    id: str
    doc_type: str
    number: str | None
    doc_date: str | None
    partner: str | None
    total: str | None
    currency: str | None


def head_of(record: VendorRecord) -> DocumentHead:
    """The head of a document's record."""
    total = record.get("sum_all")
    return DocumentHead(
        id=str(record["id"]),
        doc_type=str(record.get("doc_type") or ""),
        number=_text(record, "count_code"),
        doc_date=_text(record, "doc_date"),
        partner=_text(_member(record, "partner"), "customer"),
        total=None if total is None else str(total),
        currency=_text(record, "currency_code"),
    )


def related_to(record: VendorRecord) -> dict[str, list[str]]:
    """The ids of the contacts and products that a document refers to, by entity; nothing for what it has none of."""
    partner = _text(_member(record, "partner"), "mk_id")
    lines = [line for line in record.get("product_list") or () if isinstance(line, Mapping)]
    products = dict.fromkeys(mk_id for line in lines if (mk_id := _text(line, "mk_id")))
    found = {"contact": [partner] if partner else [], "product": list(products)}
    return {entity: ids for entity, ids in found.items() if ids}


def _member(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return str(value) if value not in (None, "") else None
