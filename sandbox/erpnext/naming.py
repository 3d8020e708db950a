"""Names of new documents: number series, fields, hashes; and numbers that are given out again."""

import re
from typing import Any

from sandbox.erpnext.errors import throw
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import Doc

DIGITS = 5


def series_prefix(call: Call, pattern: str) -> str:
    """`SAL-ORD-.YYYY.-` this year: `SAL-ORD-2026-`."""
    today = call.site.clock.local()
    parts = {"YYYY": f"{today:%Y}", "YY": f"{today:%y}", "MM": f"{today:%m}", "DD": f"{today:%d}"}
    return "".join(parts.get(part, "" if set(part) == {"#"} else part) for part in pattern.split("."))


def next_in_series(call: Call, pattern: str) -> str:
    prefix = series_prefix(call, pattern)
    return f"{prefix}{call.site.next_number(prefix):0{DIGITS}d}"


def give_back(site: Site, doc: Doc) -> None:
    """A deleted document that held the last number of its series frees the number."""
    match = re.fullmatch(rf"(.+?)(\d{{{DIGITS}}})", doc.name)
    if match and site.series.get(match[1]) == int(match[2]):
        site.series[match[1]] -= 1


def amended_name(call: Call, doc: Doc, amended_from: str) -> str:
    """`…-00009` becomes `…-00009-1`, that one `…-00009-2`."""
    source = call.site.find(doc.meta.name, amended_from)
    match = re.fullmatch(r"(.*)-(\d+)", amended_from) if source is not None and source.get("amended_from") else None
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{amended_from}-1"


def numbered(site: Site, doctype: str, name: str, *, separator: str) -> str:
    """The first of `name`, `name<sep>1`, `name<sep>2` … that is free."""
    if site.find(doctype, name) is None:
        return name
    number = 1
    while site.find(doctype, f"{name}{separator}{number}") is not None:
        number += 1
    return f"{name}{separator}{number}"


def general_name(call: Call, doc: Doc, given: Any) -> str:
    """The name by the DocType's naming rule, where no controller has one of its own."""
    rule = doc.meta.autoname
    if doc.get("amended_from"):
        return amended_name(call, doc, str(doc["amended_from"]))
    if rule.startswith("naming_series"):
        return next_in_series(call, str(doc.get("naming_series", "")))
    if rule.startswith("field:"):
        field = rule.removeprefix("field:")
        value = doc.get(field)
        if value in (None, ""):
            raise throw(f"{doc.meta.types[field].label} is required")
        return str(value).strip()
    if rule == "prompt":
        if given in (None, ""):
            raise throw("Please set the document name")
        return str(given).strip()
    return call.site.hash_name()


def check_name(name: str) -> str:
    """Raises FrappeError (409, exc_type "NameError") for characters a name must not have."""
    found = [character for character in "<>" if character in name]
    if found:
        listed = ", ".join(f"'{character}'" for character in ("<", ">"))
        raise throw(f"Name cannot contain special characters like {listed}", exc_type="NameError", status=409)
    return name
