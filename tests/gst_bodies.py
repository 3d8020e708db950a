"""Documents of a GST return as a program sends them: JSON of what tests.gstr1 has."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from erpflow.services.gst.gstr1.documents import Document
from tests.gstr1 import OWN, sample_documents


def body_of(document: Document) -> dict[str, Any]:
    """One document as JSON, without what is as if it were not said."""
    given = {name: value for name, value in asdict(document).items() if value not in (None, "", False, ())}
    if given.pop("is_cancelled", False):
        given["cancelled"] = True
    return {name: _plain(value) for name, value in given.items()}


def sample_body(**more: Any) -> dict[str, Any]:
    """The request for the sample return."""
    return {"gstin": OWN, "period": "012026", "documents": [body_of(each) for each in sample_documents()], **more}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
