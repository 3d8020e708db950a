"""The operators of a list filter, as functions of one column's value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fnmatch import translate
from re import compile as compile_pattern
from typing import Any

from sandbox.erpnext.checks import to_number
from sandbox.erpnext.dates import LAST_MOMENT, OLDEST, filter_date, filter_moment, is_date_only
from sandbox.erpnext.doctype import REAL, WHOLE, DocType
from sandbox.erpnext.errors import FrappeError, throw
from sandbox.erpnext.periods import fiscal_year, previous_or_next, timespan
from sandbox.erpnext.site import Site
from sandbox.erpnext.table import collate

Test = Callable[[Any], bool]

TREE = ("descendants of", "descendants of (inclusive)", "not descendants of", "ancestors of", "not ancestors of")
PERIODS = ("timespan", "previous", "next", "fiscal year")
# In the order of the vendor's own complaint.
OPERATORS = (
    *("in", "<", ">", "like", "descendants of", ">=", "not in", "not ancestors of", "!=", "<=", "previous", "between"),
    *("not like", "next", "ancestors of", "=", "timespan", "not descendants of", "is", "descendants of (inclusive)"),
    "fiscal year",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """`column operator value` on a DocType: the listed one, or one of its child tables."""

    doctype: str
    column: str
    operator: str
    value: Any


def check_operator(operator: str) -> str:
    """Raises FrappeError (417 ValidationError) listing what is allowed."""
    known = operator.lower().strip()
    if known not in OPERATORS:
        raise throw(f"Operator must be one of {', '.join(OPERATORS)}")
    return known


def compile_test(site: Site, meta: DocType, condition: Condition) -> Test:
    """The condition as a function of the column's value."""
    kind = meta.types[condition.column].fieldtype
    operator, value = condition.operator, condition.value
    if operator == "is":
        return is_set if str(value).lower() == "set" else lambda held: not is_set(held)
    if operator in TREE:
        return tree_test(site, meta, condition)
    if operator in PERIODS:
        first, last = period(site, operator, value)
        return between(kind, [first, last])
    if operator == "between":
        return between(kind, value)
    if operator in ("in", "not in"):
        return membership(kind, value, negated=operator == "not in")
    if operator in ("like", "not like"):
        return likeness(value, negated=operator == "not like")
    return comparison(kind, operator, value)


def is_set(held: Any) -> bool:
    return held not in (None, "", 0)


def normal(kind: str) -> Callable[[Any], Any]:
    """How a value of a filter becomes comparable with the column."""
    if kind in WHOLE or kind in REAL:
        return to_number
    if kind == "Datetime":
        return filter_moment
    if kind == "Date":
        return filter_date
    return lambda value: collate("" if value is None else str(value))


def stored_normal(kind: str) -> Callable[[Any], Any]:
    """How the column's own value becomes comparable; null counts as the smallest value of its kind."""
    if kind in WHOLE or kind in REAL:
        return lambda held: held or 0
    if kind == "Datetime":
        return lambda held: held or OLDEST
    if kind == "Date":
        return lambda held: held or OLDEST[:10]
    return lambda held: collate(held) if isinstance(held, str) else collate("" if held is None else str(held))


def comparison(kind: str, operator: str, value: Any) -> Test:
    wanted = normal(kind)(value)
    of = stored_normal(kind)
    if operator == "=":
        return lambda held: of(held) == wanted and (held is not None or value in (None, ""))
    if operator == "!=":
        return lambda held: bool(of(held) != wanted)
    if operator == ">":
        return lambda held: held is not None and bool(of(held) > wanted)
    if operator == ">=":
        return lambda held: held is not None and bool(of(held) >= wanted)
    if operator == "<":
        return lambda held: bool(of(held) < wanted)
    return lambda held: bool(of(held) <= wanted)


def as_list(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return [part.strip() for part in str(value).split(",")] if isinstance(value, str) else [value]


def membership(kind: str, value: Any, *, negated: bool) -> Test:
    values = as_list(value)
    to_key = normal(kind)
    wanted = {to_key(item) for item in values}
    of = stored_normal(kind)
    null_counts = any(item in (None, "") for item in values)
    if negated:
        return lambda held: of(held) not in wanted
    return lambda held: of(held) in wanted and (held is not None or null_counts)


def likeness(value: Any, *, negated: bool) -> Test:
    """SQL's LIKE: `%` any text, `_` one character, a backslash takes the meaning away."""
    given = "" if value is None else str(value)
    text = collate(given) + (" " if given.endswith(" ") else "")
    parts: list[str] = []
    escaped = False
    for character in text:
        if not escaped and character == "\\":
            escaped = True
            continue
        special = {"%": "*", "_": "?"}.get(character) if not escaped else None
        parts.append(special or (f"[{character}]" if character in "*?[" else character))
        escaped = False
    matches = compile_pattern(translate("".join(parts))).match
    if negated:
        return lambda held: matches(collate(str(held or ""))) is None
    return lambda held: (held is not None or not given) and matches(collate(str(held or ""))) is not None


def between(kind: str, value: Any) -> Test:
    bounds = as_list(value)
    if len(bounds) != 2:
        raise FrappeError("ValidationError", 417, "Between needs two values")
    low, high = (normal(kind)(bound) for bound in bounds)
    if kind == "Datetime" and is_date_only(bounds[1]):
        high = high[:10] + LAST_MOMENT
    of = stored_normal(kind)
    return lambda held: held is not None and bool(low <= of(held) <= high)


def period(site: Site, operator: str, value: Any) -> tuple[str, str]:
    today = site.clock.local().date()
    if operator == "timespan":
        first, last = timespan(str(value), today)
    elif operator == "fiscal year":
        first, last = fiscal_year(str(value), fiscal_years(site), today)
    else:
        first, last = previous_or_next(operator, str(value), today)
    return first.isoformat(), last.isoformat()


def fiscal_years(site: Site) -> dict[str, tuple[date, date]]:
    rows = site.tables["Fiscal Year"]
    day = date.fromisoformat
    return {row.name: (day(row["year_start_date"]), day(row["year_end_date"])) for row in rows}


def tree_test(site: Site, meta: DocType, condition: Condition) -> Test:
    """Descendants and ancestors in the tree the column links to (or lists, for `name`)."""
    kind = meta.types[condition.column]
    tree = meta.name if condition.column == "name" else kind.options
    parent_field = site.doctypes[tree].tree_field if tree in site.doctypes else None
    if parent_field is None:
        raise throw(f"{tree} is not a tree")
    above = {doc.name: str(doc.get(parent_field, "")) for doc in site.tables[tree]}
    start = str(condition.value)
    if "ancestors" in condition.operator:
        found = set(chain(above, start)) - {start}
    else:
        found = {name for name in above if start in chain(above, name)} - {start}
        if condition.operator.endswith("(inclusive)"):
            found.add(start)
    negated = condition.operator.startswith("not ")
    return lambda held: (held in found) is not negated


def chain(above: dict[str, str], name: str) -> list[str]:
    """The node and everything above it."""
    path = [name]
    while above.get(path[-1]) and above[path[-1]] not in path:
        path.append(above[path[-1]])
    return path
