"""Lists of an entity set: filter, order, fields, and pages of 20 unless the client prefers another size."""

import re
from typing import Any
from urllib.parse import parse_qsl, quote

from sandbox.sap_b1 import render
from sandbox.sap_b1.company import Company, Row
from sandbox.sap_b1.errors import malformed, unknown_property
from sandbox.sap_b1.filters import test_of
from sandbox.sap_b1.schema import EntitySet

PAGE = 20
LONGEST_URL = 8_000
PREFERRED = re.compile(r"odata\.maxpagesize\s*=\s*(\d+)")
OPTIONS = ("$select", "$filter", "$orderby", "$top", "$skip", "$inlinecount", "$count", "$format")


def options_of(query: str) -> dict[str, str]:
    """The system options of a query. Raises ServiceError for one the vendor does not have. A plus stays a plus."""
    found = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    for name in found:
        if name.startswith("$") and name not in OPTIONS:
            raise malformed(f"The query option {name!r} is not supported")
    return found


def rows_of(company: Company, entity_set: EntitySet, options: dict[str, str], *, ignore_case: bool) -> list[Row]:
    """The rows of a filter in their order: that of the keys unless another is asked for, nulls first."""
    rows = list(company.tables[entity_set.name].values())
    if text := options.get("$filter"):
        test = test_of(text, entity_set.type, ignore_case=ignore_case or company.switches.ignore_case)
        rows = [row for row in rows if test(row.values)]
    rows.sort(key=lambda row: row.values[entity_set.key])
    for name, descending in reversed(order_of(options.get("$orderby", ""), entity_set)):
        rows.sort(key=lambda row: sortable(row.values.get(name)), reverse=descending)
    return rows


def order_of(text: str, entity_set: EntitySet) -> list[tuple[str, bool]]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, direction = part.partition(" ")
        if name not in entity_set.type.properties or entity_set.type.properties[name].many:
            raise unknown_property(name, entity_set.type.name)
        if direction.strip() not in ("", "asc", "desc"):
            raise malformed(f"{direction!r} is no direction of an order")
        found.append((name, direction.strip() == "desc"))
    return found


def sortable(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def page(
    company: Company, entity_set: EntitySet, options: dict[str, str], *, version: str, prefer: str, root: str,
    ignore_case: bool,
) -> tuple[dict[str, Any], dict[str, str]]:  # fmt: skip
    """A page of a list with its annotations, and the headers that go with it."""
    rows = rows_of(company, entity_set, options, ignore_case=ignore_case)
    fields = render.selected(options.get("$select"), entity_set.type)
    skip, total = whole_number(options, "$skip") or 0, len(rows)
    top = whole_number(options, "$top")
    rows = rows[skip:] if top is None else rows[skip : skip + top]
    preferred = PREFERRED.search(prefer)
    size = int(preferred[1]) if preferred else PAGE
    size = min(filter(None, (size or total or 1, company.switches.largest_page or None)))
    body: dict[str, Any] = {render.annotation(version, "context"): f"{root}/$metadata#{entity_set.name}"}
    if options.get("$inlinecount") == "allpages" and version == "v1":
        body["odata.count"] = str(total)
    if options.get("$count") == "true" and version == "v2":
        body["@odata.count"] = total
    body["value"] = [render.entity(company, entity_set, row, version=version, fields=fields) for row in rows[:size]]
    if len(rows) > size:
        following = {**options, "$skip": str(skip + size)}
        if top is not None:
            following["$top"] = str(top - size)
        text = "&".join(f"{name}={quote(value)}" for name, value in following.items())
        body[render.annotation(version, "nextLink")] = f"{entity_set.name}?{text}"
    return body, ({"Preference-Applied": preferred[0]} if preferred else {})


def whole_number(options: dict[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise malformed(f"{name} is a whole number, not {text!r}")
    return int(text)
