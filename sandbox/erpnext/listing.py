"""Lists: filter, order, join child tables, page, project."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, product
from typing import Any, TypeVar

from sandbox.erpnext.dates import filter_moment
from sandbox.erpnext.doctype import DocType
from sandbox.erpnext.errors import FrappeError, no_doctype_access
from sandbox.erpnext.operators import Condition, Test, as_list, compile_test
from sandbox.erpnext.query import Column, ListQuery, find_doctype
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import Doc, Table, getter, sort_docs

Row = TypeVar("Row")
Joined = tuple[Doc, dict[str, Doc | None]]  # a document with the child row of each joined table
NATURAL = (("modified", False),)  # the order of the vendor's lists without order_by, as far as the captures show one


def run(call: Call, query: ListQuery) -> list[Any]:
    """The rows of the list, as objects or, with as_dict=false, as arrays.

    Raises FrappeError (403) without the permission to read, also for a child DocType without its parent.
    """
    meta = find_doctype(call.site, query.doctype)
    check_permission(call, meta, query.parent)
    if any(column.function for column in query.columns):
        return aggregate(call.site, meta, query)
    if is_plain(meta, query):
        docs = page_of(matching(call.site, meta, query), query)
        return project(meta, docs, query)
    return [shown_row(call.site, row, query) for row in page_of(joined(call.site, meta, query), query)]


def count(call: Call, query: ListQuery) -> int:
    meta = find_doctype(call.site, query.doctype)
    check_permission(call, meta, query.parent)
    return (
        sum(1 for _ in matching(call.site, meta, query))
        if is_plain(meta, query)
        else len({id(doc) for doc, _ in joined(call.site, meta, query)})
    )


def check_permission(call: Call, meta: DocType, parent: str | None) -> None:
    if meta.istable:
        known = parent in call.site.doctypes and meta.name in call.site.doctypes[str(parent)].tables.values()
        if not known:
            raise FrappeError("PermissionError", 403)
    doctype = str(parent) if meta.istable else meta.name
    if not call.may("read", doctype):
        raise no_doctype_access(call.user, doctype)


def is_plain(meta: DocType, query: ListQuery) -> bool:
    conditions = (*query.filters, *query.or_filters)
    return all(c.doctype == meta.name for c in conditions) and all(column.via is None for column in query.columns)


def page_of(rows: Iterable[Row], query: ListQuery) -> list[Row]:
    return list(islice(rows, query.start, query.start + query.limit if query.limit else None))


# -- one table --------------------------------------------------------------------------------------------------------


def matching(site: Site, meta: DocType, query: ListQuery) -> Iterator[Doc]:
    """The documents that pass, in the wanted order, found lazily so that a page costs a page."""
    tests = [(meta.index[c.column], compile_test(site, meta, c)) for c in query.filters]
    either = [(meta.index[c.column], compile_test(site, meta, c)) for c in query.or_filters]
    for doc in candidates(site, meta, query):
        row = doc.row
        if all(test(row[place]) for place, test in tests) and (
            not either or any(test(row[place]) for place, test in either)
        ):
            yield doc


def candidates(site: Site, meta: DocType, query: ListQuery) -> list[Doc]:
    """All documents that could pass, ordered: by name or parent directly, by modified or creation by binary search."""
    if meta.istable:
        return sort_docs(children_of(site, meta, query), meta, query.order or (("name", False),))
    table = site.tables[meta.name]
    named = next((c for c in query.filters if c.column == "name" and c.operator in ("=", "in")), None)
    if named is not None:
        names = [named.value] if named.operator == "=" else as_list(named.value)
        found = {id(doc): doc for doc in (table.get(str(name)) for name in names) if doc is not None}
        return sort_docs(list(found.values()), meta, query.order or NATURAL)
    order = query.order or NATURAL
    column = order[0][0]
    if column in ("modified", "creation") and order in (((column, False),), ((column, False), ("name", False))):
        return narrowed(table, column, query.filters)
    return table.ordered(order)


def narrowed(table: Table, column: str, filters: tuple[Condition, ...]) -> list[Doc]:
    """The stretch of the timeline that the conditions on its column leave over."""
    low: tuple[str, bool] | None = None
    high: tuple[str, bool] | None = None
    for condition in filters:
        bound = (filter_moment(condition.value), condition.operator.endswith("="))
        if condition.column == column and condition.operator in (">", ">="):
            low = bound if low is None else max(low, bound)
        elif condition.column == column and condition.operator in ("<", "<="):
            high = bound if high is None else min(high, bound)
    return table.timeline(column).between(low, high)


def children_of(site: Site, meta: DocType, query: ListQuery) -> list[Doc]:
    """The rows of a child DocType under the parent DocType, only those of the wanted parents where it says which."""
    parent_meta = site.doctypes[str(query.parent)]
    table = site.tables[parent_meta.name]
    fields = [name for name, child in parent_meta.tables.items() if child == meta.name]
    wanted = next((c for c in query.filters if c.column == "parent" and c.operator in ("=", "in")), None)
    if wanted is None:
        return [row for name in fields for row in table.family(name)]
    names = [wanted.value] if wanted.operator == "=" else as_list(wanted.value)
    parents = [doc for doc in (table.get(str(name)) for name in names) if doc is not None]
    return [row for doc in parents for name in fields for row in doc.children.get(name, ())]


def project(meta: DocType, docs: list[Doc], query: ListQuery) -> list[Any]:
    pick: Callable[[list[Any]], tuple[Any, ...]] = getter(meta, [column.column for column in query.columns])
    if not query.as_dict:
        return [list(pick(doc.row)) for doc in docs]
    labels = [column.label for column in query.columns]
    return [dict(zip(labels, pick(doc.row), strict=True)) for doc in docs]


# -- joins ------------------------------------------------------------------------------------------------------------


def joined(site: Site, meta: DocType, query: ListQuery) -> Iterator[Joined]:
    """One row per document and child row, as SQL joins them: a document may come more than once.

    Where the order leaves it open, rows come by the child's random name: not in the order of `idx`.
    """
    fields = joined_fields(meta, query)
    found = joined_rows(site, meta, query, fields)
    if query.order or len(fields) != 1:
        return found
    return iter(sorted(found, key=lambda row: child_name(row[1][fields[0]])))


def joined_rows(site: Site, meta: DocType, query: ListQuery, fields: list[str]) -> Iterator[Joined]:
    plain = ListQuery(query.doctype, query.columns, own_filters(meta, query), order=query.order)
    tests = [(c, *place_of(site, meta, c)) for c in query.filters if c.doctype != meta.name]
    either = [(c, *place_of(site, meta, c)) for c in query.or_filters]
    for doc in matching(site, meta, plain):
        for combination in product(*(rows_or_null(doc, name) for name in fields)):
            row: Joined = (doc, dict(zip(fields, combination, strict=True)))
            if all(passes(row, *test) for test in tests) and (not either or any(passes(row, *t) for t in either)):
                yield row


def rows_or_null(doc: Doc, table: str) -> list[Doc | None]:
    """The child rows, or one null row: a left join."""
    return [*sorted(doc.children.get(table, ()), key=child_name)] or [None]


def child_name(row: Doc | None) -> str:
    return "" if row is None else row.name


def own_filters(meta: DocType, query: ListQuery) -> tuple[Condition, ...]:
    return tuple(condition for condition in query.filters if condition.doctype == meta.name)


def joined_fields(meta: DocType, query: ListQuery) -> list[str]:
    """The child tables that the columns and filters reach into."""
    fields = [column.via for column in query.columns if column.via is not None and column.via in meta.tables]
    conditions = (*query.filters, *query.or_filters)
    fields += [table_field(meta, c.doctype) for c in conditions if c.doctype != meta.name]
    return list(dict.fromkeys(fields))


def table_field(meta: DocType, child: str) -> str:
    found = next((name for name, doctype in meta.tables.items() if doctype == child), None)
    if found is None:
        text = f"(1054, \"Unknown column 'tab{child}.name' in 'WHERE'\")"
        raise FrappeError("OperationalError", 500, text, module="pymysql.err")
    return found


def place_of(site: Site, meta: DocType, condition: Condition) -> tuple[str | None, Test]:
    target = site.doctypes[condition.doctype]
    via = None if condition.doctype == meta.name else table_field(meta, condition.doctype)
    return via, compile_test(site, target, condition)


def passes(row: Joined, condition: Condition, via: str | None, test: Test) -> bool:
    part = row[0] if via is None else row[1][via]
    return test(None if part is None else part[condition.column])


def shown_row(site: Site, row: Joined, query: ListQuery) -> Any:
    values = [value_of(site, row, column) for column in query.columns]
    if not query.as_dict:
        return values
    return dict(zip([column.label for column in query.columns], values, strict=True))


def value_of(site: Site, row: Joined, column: Column) -> Any:
    doc, children = row
    if column.via is None:
        return doc[column.column]
    if column.via in children:
        child = children[column.via]
        return None if child is None else child[column.column]
    target = doc.meta.fields[column.via].options
    return site.value(target, doc.get(column.via), column.column)


# -- aggregates -------------------------------------------------------------------------------------------------------


def aggregate(site: Site, meta: DocType, query: ListQuery) -> list[Any]:
    """`count(name)`, `sum(grand_total)` … over all rows, or per group."""
    groups: dict[tuple[Any, ...], list[Doc]] = {}
    plain = ListQuery(query.doctype, query.columns, query.filters, query.or_filters)
    found = matching(site, meta, plain) if is_plain(meta, plain) else (doc for doc, _ in joined(site, meta, plain))
    for doc in found:
        groups.setdefault(tuple(doc[column] for column in query.group_by), []).append(doc)
    if not groups and not query.group_by:
        groups[()] = []
    rows = [[computed(column, docs) for column in query.columns] for docs in groups.values()]
    labels = [column.label for column in query.columns]
    shown = [dict(zip(labels, row, strict=True)) for row in rows] if query.as_dict else rows
    return page_of(shown, query)


def computed(column: Column, docs: list[Doc]) -> Any:
    values = [doc[column.column] for doc in docs]
    held = [value for value in values if value is not None]
    if column.function is None:
        return values[0] if values else None
    if column.function == "count":
        return len(held)
    if not held:
        return None
    if column.function == "avg":
        return sum(held) / len(held)
    if column.function == "sum":
        return sum(held)
    return min(held) if column.function == "min" else max(held)
