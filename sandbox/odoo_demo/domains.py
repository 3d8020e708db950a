"""Domains: filters in Polish notation, such as `["|", ["email", "=", "a@b.c"], ["active", "=", true]]`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.odoo_demo.database import FIELDS, OdooError
from sandbox.shelf import Row

Test = Callable[[Row, datetime], bool]


def matching(model: str, domain: Any) -> Test:
    """Whether a record (with the time of its last change) fits. Raises OdooError for a domain that is none."""
    if not isinstance(domain, list):
        raise OdooError("builtins.ValueError", "Domain() invalid domain")
    terms = list(domain)
    tests: list[Test] = []
    while terms:
        tests.append(_term(model, terms))
    return lambda row, at: all(test(row, at) for test in tests)


def _term(model: str, terms: list[Any]) -> Test:
    if not terms:
        raise OdooError("builtins.ValueError", "Domain() ends too early")
    first = terms.pop(0)
    if first == "!":
        inner = _term(model, terms)
        return lambda row, at: not inner(row, at)
    if first in ("&", "|"):
        left, right = _term(model, terms), _term(model, terms)
        if first == "&":
            return lambda row, at: left(row, at) and right(row, at)
        return lambda row, at: left(row, at) or right(row, at)
    return _condition(model, first)


def _condition(model: str, term: Any) -> Test:
    if not isinstance(term, list) or len(term) != 3:
        raise OdooError("builtins.ValueError", f"Domain() invalid item: {term!r}")
    name, operator, value = term
    if name not in (*FIELDS[model], "id", "write_date"):
        raise OdooError("builtins.ValueError", f"Invalid field {model}.{name} in condition {term!r}")
    if operator not in _COMPARE:
        raise OdooError("builtins.ValueError", f"Invalid operator {operator!r} in {term!r}")
    compare = _COMPARE[operator]
    wanted = _moment(value) if name == "write_date" else value

    def test(row: Row, at: datetime) -> bool:
        found = at if name == "write_date" else row.get(name)
        return compare(found, wanted)

    return test


def _moment(value: Any) -> datetime:
    try:
        return datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise OdooError("builtins.ValueError", f"time data {value!r} does not match format") from None


def _is(found: Any, wanted: Any) -> bool:
    return found == wanted if wanted not in (None, False) else found in (None, False, "")


def _in(found: Any, wanted: Sequence[Any]) -> bool:
    return found in wanted


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": _is,
    "!=": lambda found, wanted: not _is(found, wanted),
    "<": lambda found, wanted: found is not None and found < wanted,
    "<=": lambda found, wanted: found is not None and found <= wanted,
    ">": lambda found, wanted: found is not None and found > wanted,
    ">=": lambda found, wanted: found is not None and found >= wanted,
    "in": _in,
    "not in": lambda found, wanted: not _in(found, wanted),
    "ilike": lambda found, wanted: str(wanted).casefold() in str(found or "").casefold(),
}
