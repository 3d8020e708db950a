"""What Textract read, in our words; and what is refused before it is paid for."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.connectors.aws_textract import Reading
from erpflow.errors import RecordRejected
from erpflow.services.bills.formats import check_format
from erpflow.services.bills.reading import found_in


def detected(kind: str, text: str, *, currency: str | None = None, label: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Type": {"Text": kind, "Confidence": 99.5},
        "ValueDetection": {"Text": text, "Confidence": 61.25},
        "PageNumber": 1,
    }
    found |= {"Currency": {"Code": currency, "Confidence": 95.0}} if currency else {}
    return found | ({"LabelDetection": {"Text": label, "Confidence": 98.0}} if label else {})


def test_a_bills_fields_have_what_they_mean_beside_what_is_printed() -> None:
    summary = [
        detected("INVOICE_RECEIPT_DATE", "19.01.2026", label="Datum"),
        detected("TOTAL", "1.220", currency="EUR"),
        detected("TAX", "22,00 €"),
        detected("TAX", "198,00 €", currency="USD"),
        detected("VENDOR_NAME", "ACME 2000 d.o.o."),
    ]
    row = {
        "LineItemExpenseFields": [detected("ITEM", "Widget"), detected("QUANTITY", "2"), detected("PRICE", "100,00")]
    }
    answer = {
        "DocumentMetadata": {"Pages": 1},
        "ExpenseDocuments": [
            {"ExpenseIndex": 1, "SummaryFields": summary, "LineItemGroups": [{"LineItems": [row]}]},
        ],
    }
    found = found_in(Reading.EXPENSE, answer)
    day, total, tax, odd, vendor = found.fields
    assert (found.pages, day.day, day.text, day.label) == (1, date(2026, 1, 19), "19.01.2026", "Datum")
    assert (total.amount, total.currency) == (Decimal(1220), "EUR")  # since the other amounts have a comma
    assert (tax.amount, tax.currency) == (Decimal("22.00"), "EUR")
    assert (odd.amount, odd.currency) == (Decimal("198.00"), None)  # printed and detected disagree
    assert (vendor.amount, vendor.currency, vendor.day) == (None, None, None)
    assert (vendor.confidence, vendor.type_confidence, vendor.page) == (61.25, 99.5, 1)
    [[item, quantity, price]] = found.items
    assert (item.text, quantity.amount, quantity.currency, price.amount) == ("Widget", Decimal(2), None, Decimal(100))


def test_a_forms_keys_come_with_their_values_and_ticks() -> None:
    def word(id_: str, text: str) -> dict[str, Any]:
        return {"BlockType": "WORD", "Id": id_, "Text": text, "Confidence": 99.0, "Page": 1}

    key = {"BlockType": "KEY_VALUE_SET", "EntityTypes": ["KEY"], "Id": "k", "Confidence": 90.0, "Page": 1}
    key["Relationships"] = [{"Type": "CHILD", "Ids": ["w1", "w2"]}, {"Type": "VALUE", "Ids": ["v", "gone"]}]
    value = {"BlockType": "KEY_VALUE_SET", "EntityTypes": ["VALUE"], "Id": "v", "Confidence": 80.0, "Page": 1}
    value["Relationships"] = [{"Type": "CHILD", "Ids": ["w3", "s"]}]
    tick = {"BlockType": "SELECTION_ELEMENT", "Id": "s", "SelectionStatus": "SELECTED"}
    line = {"BlockType": "LINE", "Id": "l", "Text": "Paid in full: yes", "Confidence": 97.0, "Page": 1}
    blocks = [line, key, value, tick, word("w1", "Paid"), word("w2", "in full:"), word("w3", "yes")]
    found = found_in(Reading.FORMS, {"Blocks": blocks})
    [field] = found.fields
    assert (field.label, field.text, field.confidence, field.type_confidence) == ("Paid in full:", "yes X", 80.0, 90.0)
    assert [each.text for each in found.lines] == ["Paid in full: yes"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Blocks", "Type", "Text", "ExpenseDocuments", "SummaryFields"]), inner)
    ),
    max_leaves=10,
)


@given(answer=st.dictionaries(st.sampled_from(["Blocks", "ExpenseDocuments", "DocumentMetadata"]), JSON))
def test_no_answer_of_an_unforeseen_shape_breaks_it(answer: dict[str, Any]) -> None:
    for reading in Reading:
        found_in(reading, answer)


@pytest.mark.parametrize(
    ("document", "format_"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
    ],
)
def test_what_is_read_is_known_by_its_first_bytes(document: bytes, format_: str) -> None:
    assert check_format(document) == format_


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"", "is empty"),
        (b"GIF89a", "a GIF"),
        (b"RIFF\0\0\0\0WEBP", "a WebP"),
        (b"\0\0\0\x18ftypheic", "a HEIC"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\n <!DOCTYPE html>", "HTML"),
        (json.dumps({}).encode(), "begins with the bytes 7b 7d"),
    ],
)
def test_what_is_not_read_is_named(document: bytes, named: str) -> None:
    with pytest.raises(RecordRejected, match=named) as refused:
        check_format(document)
    assert refused.value.problems[0].field == "document"
