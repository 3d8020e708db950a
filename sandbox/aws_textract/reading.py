"""What is read in a document: the same for the same bytes. Lines like `Total: 122,00 EUR` become fields.

A line `- Widget | 2 | 50,00 | 100,00` is a line item. Shapes: botocore's model; geometry is the same everywhere.
"""

import hashlib
import re
from typing import Any

TYPES = {
    "invoice no": "INVOICE_RECEIPT_ID", "invoice date": "INVOICE_RECEIPT_DATE", "date": "INVOICE_RECEIPT_DATE",
    "due date": "DUE_DATE", "total": "TOTAL", "subtotal": "SUBTOTAL", "tax": "TAX", "amount due": "AMOUNT_DUE",
    "vendor": "VENDOR_NAME", "po number": "PO_NUMBER", "vat no": "VENDOR_VAT_NUMBER",
}  # fmt: skip
COLUMNS = ("ITEM", "QUANTITY", "UNIT_PRICE", "PRICE")
CODES = {"€": "EUR", "EUR": "EUR", "₹": "INR", "INR": "INR", "$": "USD", "USD": "USD", "GBP": "GBP"}
GEOMETRY = {
    "BoundingBox": {"Width": 0.1, "Height": 0.01, "Left": 0.6, "Top": 0.1},
    "Polygon": [{"X": 0.6, "Y": 0.1}, {"X": 0.7, "Y": 0.1}, {"X": 0.7, "Y": 0.11}, {"X": 0.6, "Y": 0.11}],
}
SURE = 98.5
METADATA = {"Pages": 1}


def expense(lines: list[str]) -> dict[str, Any]:
    """The answer of AnalyzeExpense."""
    summary = [_field(line) for line in lines if ":" in line and not line.startswith("- ")]
    items = [_item(line) for line in lines if line.startswith("- ")]
    document: dict[str, Any] = {"ExpenseIndex": 1, "SummaryFields": summary, "LineItemGroups": []}
    if items:
        document["LineItemGroups"] = [{"LineItemGroupIndex": 1, "LineItems": items}]
    document["Blocks"] = blocks(lines)
    return {"DocumentMetadata": METADATA, "ExpenseDocuments": [document] if lines else []}


def text(lines: list[str]) -> dict[str, Any]:
    """The answer of DetectDocumentText."""
    return {"DocumentMetadata": METADATA, "Blocks": blocks(lines), "DetectDocumentTextModelVersion": "1.0"}


def forms(lines: list[str]) -> dict[str, Any]:
    """The answer of AnalyzeDocument with FORMS: keys and values as sets of blocks that refer to each other."""
    found = blocks(lines)
    words = {block["Text"]: block["Id"] for block in found if block["BlockType"] == "WORD"}
    for line in lines:
        label, colon, value = line.partition(":")
        if not colon:
            continue
        key, content = _id(f"key {line}"), _id(f"value {line}")
        found.append(_set(key, "KEY", label + ":", words, value_id=content))
        found.append(_set(content, "VALUE", value, words))
    return {"DocumentMetadata": METADATA, "Blocks": found, "AnalyzeDocumentModelVersion": "1.0"}


def blocks(lines: list[str]) -> list[dict[str, Any]]:
    """A page, its lines and their words."""
    page = _block("PAGE", "page", "")
    found = []
    for number, line in enumerate(lines):
        words = [_block("WORD", f"{number} {place} {word}", word) for place, word in enumerate(line.split())]
        whole = _block("LINE", f"{number} {line}", line)
        whole["Relationships"] = [{"Type": "CHILD", "Ids": [word["Id"] for word in words]}]
        found += [whole, *words]
    ids = [block["Id"] for block in found if block["BlockType"] == "LINE"]
    if ids:
        page["Relationships"] = [{"Type": "CHILD", "Ids": ids}]
    del page["Text"], page["Confidence"]
    return [page, *found]


def _block(kind: str, seed: str, shown: str) -> dict[str, Any]:
    return {
        "BlockType": kind, "Id": _id(f"{kind} {seed}"), "Text": shown, "Confidence": SURE, "Geometry": GEOMETRY,
        "Page": 1,
    }  # fmt: skip


def _set(id_: str, kind: str, shown: str, words: dict[str, str], *, value_id: str | None = None) -> dict[str, Any]:
    relations = [{"Type": "CHILD", "Ids": [words[word] for word in shown.split()]}] if shown.split() else []
    if value_id is not None:
        relations.append({"Type": "VALUE", "Ids": [value_id]})
    return {
        "BlockType": "KEY_VALUE_SET", "EntityTypes": [kind], "Id": id_, "Confidence": SURE, "Geometry": GEOMETRY,
        "Page": 1, "Relationships": relations,
    }  # fmt: skip


def _field(line: str) -> dict[str, Any]:
    label, _, value = (part.strip() for part in line.partition(":"))
    found = _detected(TYPES.get(label.lower().rstrip("."), "OTHER"), value)
    found["LabelDetection"] = {"Text": f"{label}:", "Geometry": GEOMETRY, "Confidence": SURE}
    return found


def _item(line: str) -> dict[str, Any]:
    cells = [cell.strip() for cell in line.removeprefix("- ").split("|")]
    fields = [_detected(kind, cell) for kind, cell in zip(COLUMNS, cells, strict=False)]
    fields.append(_detected("EXPENSE_ROW", " ".join(cells)))
    return {"LineItemExpenseFields": fields}


def _detected(kind: str, value: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Type": {"Text": kind, "Confidence": SURE},
        "ValueDetection": {"Text": value, "Geometry": GEOMETRY, "Confidence": SURE},
        "PageNumber": 1,
    }
    code = next((code for sign, code in CODES.items() if sign in value and re.search(r"\d", value)), None)
    if code is not None:
        found["Currency"] = {"Code": code, "Confidence": SURE}
    return found


def _id(seed: str) -> str:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
