"""What Textract read in a document, in our words: fields with their values, line items, lines of text.

Source: botocore's model textract/2018-06-27 (ExpenseDocument, Block).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from erpflow.connectors.aws_textract import Reading
from erpflow.services.bills.printed import Mark, amount_of, currency_of, day_of, usual_mark
from erpflow.vocabulary import VendorRecord

AMOUNTS: Final = frozenset(
    {
        "TOTAL", "SUBTOTAL", "TAX", "AMOUNT_DUE", "AMOUNT_PAID", "PRIOR_BALANCE", "DISCOUNT", "GRATUITY",
        "SHIPPING_HANDLING_CHARGE", "SERVICE_CHARGE", "UNIT_PRICE", "PRICE",
    }
)  # fmt: skip
DAYS: Final = frozenset({"INVOICE_RECEIPT_DATE", "DUE_DATE", "DELIVERY_DATE", "ORDER_DATE"})
QUANTITY: Final = "QUANTITY"


@dataclass(frozen=True, slots=True)
class FoundField:
    """One field. `text` as it is printed; `amount`, `currency` and `day` only where they can mean one thing.

    Confidences from 0 to 100.
    """

    type: str
    text: str
    label: str | None
    confidence: float | None
    type_confidence: float | None
    page: int | None
    document: int = 1
    amount: Decimal | None = None
    currency: str | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class FoundLine:
    """One line of text."""

    text: str
    confidence: float | None
    page: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """All that was read. `items`: the fields of each line item."""

    pages: int | None
    fields: Sequence[FoundField] = ()
    items: Sequence[Sequence[FoundField]] = ()
    lines: Sequence[FoundLine] = field(default=())


def found_in(reading: Reading, answer: VendorRecord) -> Found:
    """What an answer of Textract says."""
    pages = _whole(_mapping(answer.get("DocumentMetadata")).get("Pages"))
    if reading is Reading.EXPENSE:
        return _expenses(_rows(answer.get("ExpenseDocuments")), pages)
    blocks = _rows(answer.get("Blocks"))
    lines = [
        FoundLine(_text(block), _number(block.get("Confidence")), _whole(block.get("Page")))
        for block in blocks
        if block.get("BlockType") == "LINE"
    ]
    return Found(pages, fields=_pairs(blocks) if reading is Reading.FORMS else (), lines=lines)


def _expenses(documents: Sequence[Mapping[str, Any]], pages: int | None) -> Found:
    mark = usual_mark(
        _text(_mapping(one.get("ValueDetection")))
        for document in documents
        for one in _all_fields(document)
        if _text(_mapping(one.get("Type"))) in AMOUNTS
    )
    fields: list[FoundField] = []
    items: list[list[FoundField]] = []
    for number, document in enumerate(documents, start=1):
        index = _whole(document.get("ExpenseIndex")) or number
        fields += [_field(one, index, mark) for one in _rows(document.get("SummaryFields"))]
        items += [[_field(one, index, mark) for one in row] for row in _line_items(document)]
    return Found(pages, fields=fields, items=items)


def _all_fields(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from _rows(document.get("SummaryFields"))
    for row in _line_items(document):
        yield from row


def _line_items(document: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    for group in _rows(document.get("LineItemGroups")):
        for row in _rows(group.get("LineItems")):
            yield _rows(row.get("LineItemExpenseFields"))


def _field(one: Mapping[str, Any], document: int, mark: Mark | None) -> FoundField:
    kind, value = _mapping(one.get("Type")), _mapping(one.get("ValueDetection"))
    name, text = _text(kind), _text(value)
    amount = amount_of(text, usual=mark) if name in AMOUNTS or name == QUANTITY else None
    detected = _mapping(one.get("Currency")).get("Code")
    return FoundField(
        type=name or "OTHER",
        text=text,
        label=_text(_mapping(one.get("LabelDetection"))) or None,
        confidence=_number(value.get("Confidence")),
        type_confidence=_number(kind.get("Confidence")),
        page=_whole(one.get("PageNumber")),
        document=document,
        amount=amount,
        currency=currency_of(text, detected=detected if isinstance(detected, str) else None)
        if amount is not None and name in AMOUNTS
        else None,
        day=day_of(text) if name in DAYS else None,
    )


def _pairs(blocks: Sequence[Mapping[str, Any]]) -> list[FoundField]:
    """The keys of a form with their values."""
    known = {str(block.get("Id")): block for block in blocks}
    found = []
    for block in blocks:
        if block.get("BlockType") != "KEY_VALUE_SET" or "KEY" not in (block.get("EntityTypes") or ()):
            continue
        values = [known[id_] for id_ in _related(block, "VALUE") if id_ in known]
        found.append(
            FoundField(
                type="FORM",
                text=" ".join(_words(value, known) for value in values),
                label=_words(block, known) or None,
                confidence=_number(values[0].get("Confidence")) if values else None,
                type_confidence=_number(block.get("Confidence")),
                page=_whole(block.get("Page")),
            )
        )
    return found


def _words(block: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> str:
    parts = []
    for id_ in _related(block, "CHILD"):
        child = known.get(id_, {})
        if child.get("BlockType") == "SELECTION_ELEMENT":
            parts.append("X" if child.get("SelectionStatus") == "SELECTED" else "")
        else:
            parts.append(_text(child))
    return " ".join(part for part in parts if part)


def _related(block: Mapping[str, Any], kind: str) -> list[str]:
    return [
        str(id_) for one in _rows(block.get("Relationships")) if one.get("Type") == kind for id_ in one.get("Ids") or ()
    ]


def _text(one: Mapping[str, Any]) -> str:
    found = one.get("Text")
    return found if isinstance(found, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
