"""What the framework checks in any document: links, mandatory fields, select values, lengths, e-mail addresses."""

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from sandbox.erpnext.dates import document_date
from sandbox.erpnext.doctype import REAL, WHOLE, Field
from sandbox.erpnext.errors import FrappeError, plain, server_error, throw
from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc

MYSQL = "pymysql.err"
EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]+")
NUMBER = re.compile(r"\s*[-+]?\d[\d,]*(\.\d*)?([eE][-+]?\d+)?")


def cast(field: Field, value: Any) -> Any:
    """A value from a request as the column stores it; text in a number column becomes 0.

    Raises FrappeError (ValidationError) for a date that is none.
    """
    kind = field.fieldtype
    if kind in WHOLE or kind in REAL:
        number = to_number(value)
        if not isfinite(number):
            raise server_error("OperationalError", f"(1054, \"Unknown column '{number}' in 'VALUES'\")", module=MYSQL)
        return int(number) if kind in WHOLE else number
    if value is None:
        return None
    if kind == "Date":
        return document_date(value)
    return value if isinstance(value, str) else str(value)


def to_number(value: Any) -> float:
    """A number as the vendor's `flt` reads it: from text what can be read, else 0."""
    if isinstance(value, bool | int | float):
        return float(value)
    match = NUMBER.match(value) if isinstance(value, str) else None
    return float(match[0].replace(",", "")) if match else 0.0


def check_links(call: Call, doc: Doc) -> None:
    """All links of the document and its rows at once.

    Raises FrappeError (LinkValidationError) naming every link that leads nowhere.
    """
    bad = all_bad_links(call, doc)
    if bad:
        raise throw(f"Could not find {', '.join(bad)}", exc_type="LinkValidationError")


def all_bad_links(call: Call, doc: Doc) -> list[str]:
    """The links of the document and its rows that lead nowhere, as the vendor's message lists them."""
    bad = [*bad_links(call, doc)]
    for row in doc.rows():
        bad += [f"Row #{row['idx']}: {text}" for text in bad_links(call, row)]
    return bad


def bad_links(call: Call, doc: Doc) -> Iterator[str]:
    """The links of one row that lead nowhere; a found one takes the target's own spelling."""
    for column, fieldtype, options in doc.meta.links:
        value = doc.get(column)
        if value in (None, ""):
            continue
        target = options if fieldtype == "Link" else str(doc.get(options, ""))
        if target == "DocType":
            found = value if value in call.site.doctypes else None
        elif target in call.site.tables:
            linked = call.site.find(target, value)
            found = linked.name if linked else None
        else:
            continue  # a DocType the sandbox does not keep
        if found is None:
            yield f"{doc.meta.types[column].label}: {value}"
        else:
            doc[column] = found


def check_content(call: Call, doc: Doc) -> None:
    """The general checks, in the vendor's order."""
    check_mandatory(doc)
    for part in (doc, *doc.rows()):
        check_emails(part)
    for part in (doc, *doc.rows()):
        check_selects(part)
    for part in (doc, *doc.rows()):
        check_lengths(part)


def check_mandatory(doc: Doc) -> None:
    """Raises FrappeError (MandatoryError) with all missing fields after the last colon."""
    missing = [(doc, field) for field in doc.meta.required if is_missing(doc, field)]
    missing += [(row, field) for row in doc.rows() for field in row.meta.required if is_missing(row, field)]
    if not missing:
        return
    messages = []
    for part, field in missing:
        place = f" Row #{part['idx']}" if part.meta.istable else ""
        messages.append(plain(f"Error: Value missing for {doc.meta.name}:{place} {field.label}"))
    names = ", ".join(field.fieldname for _, field in missing)
    text = f"[{doc.meta.name}, {doc.name}]: {names}"
    raise FrappeError("MandatoryError", 417, text, messages=tuple(messages))


def is_missing(doc: Doc, field: Field) -> bool:
    value = doc.get(field.fieldname)
    return value is None or (isinstance(value, str) and not value.strip())


def check_emails(doc: Doc) -> None:
    for field in doc.meta.fields.values():
        value = doc.get(field.fieldname) if field.options == "Email" else None
        if value and not EMAIL.fullmatch(value):
            raise throw(f"{value} is not a valid Email Address", exc_type="InvalidEmailAddressError")


def check_selects(doc: Doc) -> None:
    for field in doc.meta.fields.values():
        if field.fieldtype != "Select" or not field.options:
            continue
        value = doc.get(field.fieldname)
        allowed = field.options.split("\n")
        if value in (None, "") or value in allowed:
            continue
        prefix = f"Row #{doc['idx']}:" if doc.meta.istable else ""
        choices = ", ".join(f'"{option}"' for option in allowed if option)
        raise throw(f'{prefix} {field.label} cannot be "{value}". It should be one of {choices}')


def check_lengths(doc: Doc) -> None:
    for column, value in zip(doc.meta.columns, doc.row, strict=True):
        if not isinstance(value, str) or len(value) <= 140 or column not in doc.meta.fields:
            continue
        field = doc.meta.fields[column]
        limit = field.max_length
        if limit is None or len(value) <= limit:
            continue
        place = f"{doc['parenttype']} {doc['parent']}" if doc.meta.istable else f"{doc.meta.name} {doc.name}"
        row = f"Row #{doc['idx']}: " if doc.meta.istable else ""
        raise throw(
            f"{place}: {row}'<strong>{field.label}</strong>' ({value}) will get truncated, "
            f"as max characters allowed is {limit}",
            exc_type="CharacterLengthExceededError",
            title="Value too big",
        )


def check_uniques(call: Call, doc: Doc) -> None:
    """Raises FrappeError (UniqueValidationError): a unique column other than the name is taken."""
    table = call.site.tables[doc.meta.name]
    for field in doc.meta.uniques:
        value = doc.get(field.fieldname)
        holder = table.holder(field.fieldname, str(value)) if value not in (None, "") else None
        if holder is None or holder == doc.name or doc.meta.autoname == f"field:{field.fieldname}":
            continue
        why = f"IntegrityError(1062, \"Duplicate entry '{value}' for key '{field.fieldname}'\")"
        raise FrappeError(
            "UniqueValidationError",
            417,
            f"('{doc.meta.name}', '{doc.name}', {why})",
            messages=(plain(f"{field.label} must be unique"),),
        )


def duplicate_name(doc: Doc) -> FrappeError:
    why = f"IntegrityError(1062, \"Duplicate entry '{doc.name}' for key 'PRIMARY'\")"
    message = plain(
        f"{doc.meta.name} <strong>{doc.name}</strong> already exists", title="Duplicate Name", indicator="red"
    )
    return FrappeError("DuplicateEntryError", 409, f"('{doc.meta.name}', '{doc.name}', {why})", messages=(message,))
