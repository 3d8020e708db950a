"""What Zoho takes and refuses of one record: types, lengths, what is mandatory, unique or leads nowhere.

Source: real answers for INVALID_DATA; the details of MANDATORY_NOT_FOUND and DUPLICATE_DATA are UNVERIFIED.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.zoho_crm.answers import error_of
from sandbox.zoho_crm.clock import instant_of
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.schema import LINE, Field, Module

EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
CENT: Final = Decimal("0.01")
LARGEST_AMOUNT: Final[Decimal] = Decimal(10) ** 16
Cleaner = Callable[[Field, Any, str], Any]


class Invalid(Exception):
    """One record is refused; `row` is what the answer says of it."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row["code"])
        self.row = row


def invalid(field: Field, path: str, expected: str) -> Invalid:
    return Invalid(
        error_of("INVALID_DATA", "invalid data", expected_data_type=expected, api_name=field.api_name, json_path=path)
    )


def cleaned(org: Org, module: Module, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The values of a request as they are stored. Unknown and read-only fields are dropped without a word.

    Raises Invalid.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        field = module.fields.get(name)
        if field is None or field.read_only or field.data_type == "subform":
            continue
        values[name] = _cleaned(org, field, value, f"{path}.{name}")
    return values


def check_mandatory(module: Module, values: Mapping[str, Any], path: str) -> None:
    """Raises Invalid for the first mandatory field that is empty."""
    for name, field in module.fields.items():
        if field.mandatory and values.get(name) in (None, "", []):
            details = {"api_name": name, "json_path": f"{path}.{name}"}
            raise Invalid(error_of("MANDATORY_NOT_FOUND", "required field not found", **details))


def check_unique(org: Org, module: Module, values: Mapping[str, Any], path: str, *, own_id: str | None) -> None:
    """Raises Invalid for a value that another record holds."""
    for name in module.unique:
        if values.get(name) in (None, ""):
            continue
        holder = org.tables[module.name].holder(name, values[name])
        if holder is not None and holder != own_id:
            details = {"api_name": name, "json_path": f"{path}.{name}", "id": holder}
            raise Invalid(error_of("DUPLICATE_DATA", "duplicate data", **details))


def cleaned_line(org: Org, given: Any, path: str) -> dict[str, Any]:
    """A line of a request, as it is stored. Raises Invalid."""
    if not isinstance(given, dict):
        raise invalid(Field("", "jsonobject"), path, "jsonobject")
    return cleaned(org, LINE, given, path)


def _cleaned(org: Org, field: Field, value: Any, path: str) -> Any:
    if value is None:
        return None
    if field.data_type == "ownerlookup":
        return _owner(org, field, value, path)
    if field.lookup is not None:
        return _lookup(org, field, value, path)
    clean: Cleaner = CLEANERS.get(field.data_type, _text)
    return clean(field, value, path)


def _lookup(org: Org, field: Field, value: Any, path: str) -> str:
    found = value.get("id") if isinstance(value, dict) else value
    if not isinstance(found, str) or field.lookup is None or org.tables[field.lookup].get(found) is None:
        details = {"api_name": field.api_name, "json_path": f"{path}.id", "expected_data_type": "bigint"}
        raise Invalid(error_of("INVALID_DATA", "the id given seems to be invalid", **details))
    return found


def _owner(org: Org, field: Field, value: Any, path: str) -> str:
    found = value.get("id") if isinstance(value, dict) else value
    if not isinstance(found, str) or found not in org.users:
        raise invalid(field, path, "bigint")
    return found


def _text(field: Field, value: Any, path: str) -> str | None:
    if not isinstance(value, str):
        raise invalid(field, path, "text")
    if len(value) > field.length:
        details = {"maximum_length": field.length, "api_name": field.api_name, "json_path": path}
        raise Invalid(error_of("INVALID_DATA", "invalid data", **details))
    return value or None


def _email(field: Field, value: Any, path: str) -> str | None:
    text = _text(field, value, path)
    if text and not EMAIL.fullmatch(text):
        raise invalid(field, path, "email")
    return text


def _whole(field: Field, value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(field, path, "integer")
    return value


def _number(field: Field, value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or abs(Decimal(value)) >= LARGEST_AMOUNT:
        raise invalid(field, path, field.data_type)
    return Decimal(value)


def _currency(field: Field, value: Any, path: str) -> Decimal:
    return _number(field, value, path).quantize(CENT)


def _boolean(field: Field, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(field, path, "boolean")
    return value


def _date(field: Field, value: Any, path: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise invalid(field, path, "date") from None


def _datetime(field: Field, value: Any, path: str) -> int:
    found = instant_of(value) if isinstance(value, str) else None
    if found is None:
        raise invalid(field, path, "datetime")
    return found


def _array(field: Field, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(field, path, "jsonarray")
    return value


CLEANERS: Final[Mapping[str, Cleaner]] = {
    "email": _email,
    "integer": _whole,
    "bigint": _whole,
    "double": _number,
    "currency": _currency,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "jsonarray": _array,
}
