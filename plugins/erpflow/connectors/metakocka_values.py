"""Values on their way to Metakocka: what of a record may be sent, and how it says that something is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from erpflow.connectors.metakocka_wire import wire_value
from erpflow.errors import FieldProblem, RecordRejected

_EXCERPT: Final = 80  # characters


def refused(field: str, rule: str, message: str, value: Any = None) -> RecordRejected:
    """The refusal of one record for one of its fields."""
    found = None if value is None else str(value)[:_EXCERPT]
    return RecordRejected([FieldProblem(field, rule, message, found)])


def taken(field: str, value: Any, what: str) -> RecordRejected:
    """The refusal of an insert whose like is there already: Metakocka itself would make a second one."""
    return refused(field, "duplicate", f"Metakocka already has {what} with this {field}; no second one is made.", value)


def given(values: Mapping[str, Any], *, allowed: Iterable[str]) -> dict[str, Any]:
    """What a new record says of these fields, as a request carries it; what is empty is not sent."""
    return {name: wire_value(values[name]) for name in allowed if values.get(name) not in (None, "", [], {})}


def changed(values: Mapping[str, Any], *, allowed: Iterable[str], fixed: Iterable[str], what: str) -> dict[str, Any]:
    """The fields of an update; `fixed` are those it may name without meaning them.

    Raises RecordRejected for a field that no update changes: Metakocka would take the call and leave it as it was.
    """
    known = list(allowed)
    for name in values:
        if name not in known and name not in fixed:
            raise refused(
                name,
                "readonly",
                f"Metakocka's API does not change {name} of {what}. Make the field `only: pull` in the mapping, or "
                f"change it in Metakocka. An update takes {', '.join(known)}.",
                values[name],
            )
    return {name: values[name] for name in known if name in values}


def unclearable(field: str, what: str) -> RecordRejected:
    """The refusal of a null where Metakocka keeps the old value when it is sent an empty one."""
    return refused(
        field, "required", f"Metakocka keeps the old {field} of {what} when it is sent nothing: clear it there."
    )
