"""The arguments of a list request, read as the vendor reads them, with its complaints."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.erpnext.doctype import DocType
from sandbox.erpnext.errors import FrappeError, bad_json, does_not_exist, server_error, throw
from sandbox.erpnext.operators import Condition, check_operator
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import Order

PAGE_LENGTH = 20
ALIASED = re.compile(r"(?P<what>.+?)\s+as\s+[`'\"]?(?P<label>\w+)[`'\"]?\s*", re.IGNORECASE)
FUNCTION = re.compile(r"(?P<function>count|sum|min|max|avg)\(\s*(?:distinct\s+)?(?P<column>[^)]+)\)", re.IGNORECASE)
FALSE = frozenset({"false", "0", "no", ""})


@dataclass(frozen=True, slots=True)
class Column:
    """One output column: own, of a child table (`via` a table field), of a linked document, or an aggregate."""

    label: str
    column: str
    via: str | None = None
    function: str | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list; `limit` 0 means everything."""

    doctype: str
    columns: tuple[Column, ...]
    filters: tuple[Condition, ...] = ()
    or_filters: tuple[Condition, ...] = ()
    order: Order = ()
    start: int = 0
    limit: int = PAGE_LENGTH
    as_dict: bool = True
    parent: str | None = None
    group_by: tuple[str, ...] = field(default_factory=tuple)


def find_doctype(site: Site, doctype: str) -> DocType:
    """The DocType of a list; its name is compared with regard to case.

    Raises FrappeError: 404 when unknown, 500 ProgrammingError when only the case is wrong.
    """
    if doctype in site.doctypes:
        return site.doctypes[doctype]
    if doctype.lower() in {name.lower() for name in site.doctypes}:
        raise server_error("ProgrammingError", f"('DocType', '{doctype}')", module="pymysql.err")
    raise does_not_exist("DocType", doctype)


def read_query(site: Site, doctype: str, args: Mapping[str, Any], *, version: int = 1) -> ListQuery:
    """The query that the arguments describe; what is unknown among them is ignored.

    Raises FrappeError: 417 DataError for an unknown field, 500 for broken JSON or an unknown order_by column.
    """
    meta = find_doctype(site, doctype)
    page = read_number(args.get("limit"), 0) if version == 2 else read_limit(args)
    limit = PAGE_LENGTH if version == 2 and "limit" not in args else page
    start = read_number(args.get("limit_start"), 0)
    if limit < 0 or start < 0:
        text = "(1064, \"You have an error in your SQL syntax; check the manual near '-1' at line 1\")"
        raise server_error("ProgrammingError", text, module="pymysql.err")
    return ListQuery(
        doctype=doctype,
        columns=read_columns(site, meta, args.get("fields")),
        filters=read_filters(site, meta, args.get("filters")),
        or_filters=read_filters(site, meta, args.get("or_filters")),
        order=read_order(meta, args.get("order_by")),
        start=start,
        limit=limit,
        as_dict=str(args.get("as_dict", True)).lower() not in FALSE,
        parent=args.get("parent") or None,
        group_by=tuple(own_column(meta, part) for part in str(args.get("group_by") or "").split(",") if part.strip()),
    )


def read_limit(args: Mapping[str, Any]) -> int:
    """`limit_page_length`, or its alias `limit`; text that is no number means no limit, as 0 does."""
    given = args.get("limit_page_length", args.get("limit"))
    return PAGE_LENGTH if given in (None, "") else read_number(given, 0)


def read_number(value: Any, otherwise: int) -> int:
    try:
        return min(int(float(value)), sys.maxsize // 2)
    except (TypeError, ValueError, OverflowError):
        return otherwise


def from_json(value: Any) -> Any:
    """A parameter that may be JSON text or, in a JSON body, the value itself.

    Raises FrappeError (500 JSONDecodeError).
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as problem:
        raise bad_json(problem) from None


# -- fields -----------------------------------------------------------------------------------------------------------


def read_columns(site: Site, meta: DocType, given: Any) -> tuple[Column, ...]:
    if given in (None, ""):
        return (Column("name", "name"),)
    wanted = from_json(given)
    columns: list[Column] = []
    for item in [wanted] if isinstance(wanted, str) else wanted or ["name"]:
        if item.strip(" `") == "*" or item.endswith(".*"):
            columns += [Column(column, column) for column in meta.shown]
        else:
            columns.append(read_column(site, meta, item))
    return tuple(columns)


def read_column(site: Site, meta: DocType, text: str) -> Column:
    aliased = ALIASED.fullmatch(text.strip())
    what, label = (aliased["what"], aliased["label"]) if aliased else (text.strip(), None)
    called = FUNCTION.fullmatch(what.strip())
    if called:
        inner = called["column"].strip(" `")
        column = "name" if inner == "*" else own_column(meta, inner)
        return Column(label or what, column, function=called["function"].lower())
    via, column = split_column(site, meta, what)
    return Column(label or column, column, via=via)


def split_column(site: Site, meta: DocType, text: str) -> tuple[str | None, str]:
    """`items.qty` -> ("items", "qty"); `` `tabCustomer`.`name` `` -> (None, "name").

    Raises FrappeError (417 DataError) for a field that is not there.
    """
    owner, dot, column = text.replace("`", "").strip().rpartition(".")
    if not dot or owner == f"tab{meta.name}":
        return None, own_column(meta, column)
    target = via_doctype(meta, owner)
    if target is None or target not in site.doctypes or column not in site.doctypes[target].types:
        raise unknown_field(text)
    return table_field_of(meta, owner), column


def via_doctype(meta: DocType, owner: str) -> str | None:
    """The DocType behind the part before the dot: a child table, `tabChild Doctype`, or a link's target."""
    if owner in meta.tables:
        return meta.tables[owner]
    if owner.startswith("tab") and owner[3:] in meta.tables.values():
        return owner[3:]
    linked = meta.fields.get(owner)
    return linked.options if linked is not None and linked.fieldtype == "Link" else None


def table_field_of(meta: DocType, owner: str) -> str:
    if owner in meta.tables or owner in meta.fields:
        return owner
    return next(name for name, child in meta.tables.items() if child == owner[3:])


def own_column(meta: DocType, text: str) -> str:
    column = text.replace("`", "").strip().removeprefix(f"tab{meta.name}.")
    if column not in meta.types:
        raise unknown_field(column)
    return column


def unknown_field(text: str) -> FrappeError:
    return throw(f"Field not permitted in query: {text}", exc_type="DataError")


# -- filters ----------------------------------------------------------------------------------------------------------


def read_filters(site: Site, meta: DocType, given: Any) -> tuple[Condition, ...]:
    if given in (None, ""):
        return ()
    filters = from_json(given)
    if isinstance(filters, dict):
        return tuple(read_condition(site, meta, [column, *pair(value)]) for column, value in filters.items())
    if isinstance(filters, str):
        return (Condition(meta.name, "name", "=", filters),)
    if filters and isinstance(filters[0], str):
        filters = [filters]
    return tuple(read_condition(site, meta, item) for item in filters or ())


def pair(value: Any) -> list[Any]:
    """The value of an object filter: plain, or [operator, value]."""
    return list(value) if isinstance(value, list) and len(value) == 2 else ["=", value]


def read_condition(site: Site, meta: DocType, item: Any) -> Condition:
    """`[field, value]`, `[field, operator, value]` or `[doctype, field, operator, value]`.

    Raises FrappeError (417) for an unknown field or operator.
    """
    if isinstance(item, dict):
        (column, value), *_ = item.items()
        item = [column, *pair(value)]
    parts = list(item)[:4]
    if len(parts) == 2:
        parts = [parts[0], "=", parts[1]]
    if len(parts) == 3:
        parts = [meta.name, *parts]
    if len(parts) != 4:
        raise throw(f"Filter must have 4 values (doctype, fieldname, operator, value): {item}")
    doctype, column, operator, value = parts
    via, column = split_column(site, meta, column) if doctype == meta.name else (None, str(column))
    if via is not None:
        doctype = via_doctype(meta, via)
    if doctype not in site.doctypes or column not in site.doctypes[doctype].types:
        raise unknown_field(str(column))
    return Condition(str(doctype), column, check_operator(str(operator)), value)


# -- order ------------------------------------------------------------------------------------------------------------


def read_order(meta: DocType, given: Any) -> Order:
    """`modified asc, name desc`.

    Raises FrappeError (500 OperationalError) for a column that is not there.
    """
    order: list[tuple[str, bool]] = []
    for part in str(given or "").split(","):
        words = part.replace("`", "").split()
        if not words:
            continue
        column = (
            words[0].removeprefix(f"tab{meta.name}.") if len(words) < 3 else " ".join(words[:-1]).rpartition(".")[2]
        )
        if column not in meta.types:
            text = f"(1054, \"Unknown column '{column}' in 'ORDER BY'\")"
            raise server_error("OperationalError", text, module="pymysql.err")
        order.append((column, words[-1].lower() == "desc"))
    return tuple(order)
