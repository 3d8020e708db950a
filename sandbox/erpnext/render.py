"""A document as the vendor shows it."""

from datetime import timedelta
from typing import Any

from sandbox.erpnext.doctype import DocType
from sandbox.erpnext.table import Doc

MASK = "*"


def as_dict(doc: Doc, *, nulls: bool = False, loaded: bool = False) -> dict[str, Any]:
    """The document with its child tables; columns that are null are left out unless `nulls`.

    `loaded`: read back from the database, where a time of day is written without leading zeros.
    """
    meta = doc.meta
    shown = columns_of(doc, nulls=nulls, loaded=loaded)
    shown["doctype"] = meta.name
    for field in meta.tables:
        shown[field] = [as_dict(row, nulls=nulls, loaded=loaded) for row in doc.children.get(field, ())]
    tags = doc.get("_user_tags")
    if tags:
        shown["_user_tags"] = tags
    return shown


def columns_of(doc: Doc, *, nulls: bool, loaded: bool = False) -> dict[str, Any]:
    meta = doc.meta
    types = meta.types
    shown: dict[str, Any] = {}
    for column, value in zip(meta.shown, doc.row, strict=False):
        kind = types[column]
        if value is None and not nulls and not kind.virtual:
            continue
        shown[column] = shown_value(kind.fieldtype, value, loaded=loaded)
    return shown


def shown_value(fieldtype: str, value: Any, *, loaded: bool) -> Any:
    if fieldtype == "Password" and value:
        return MASK * len(value)
    if fieldtype == "Time" and loaded and value:
        return clock_face(value)
    return value


def clock_face(text: str) -> str:
    """`07:53:12.151230` as the vendor reads it back: `7:53:12.15123`."""
    hours, minutes, seconds = text.split(":")
    length = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    rest = length.total_seconds() % 60
    number = f"{rest:.6f}".rstrip("0").rstrip(".")
    return f"{int(hours)}:{minutes}:{number if '.' in number else number.zfill(2)}"


def mark_unsaved(shown: dict[str, Any], meta: DocType, new_rows: set[str]) -> dict[str, Any]:
    """Add `__unsaved` to the child rows this request has inserted, which the vendor forgets to take off."""
    for field in meta.tables:
        for row in shown[field]:
            if row["name"] in new_rows:
                row["__unsaved"] = 1
    return shown
