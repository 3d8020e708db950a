"""Puts values into a request of a declaration: `{since}`, `{id}`, `{record}`.

A text that is one placeholder becomes its value, with its type; others become text. `{ids:number}` makes numbers of
texts. What has no value is left out: the entry of an object whose value it is, the inner list that holds it. An entry
or a list that names `{field}` is there once for each pair of a look-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote

from erpflow.vocabulary import VendorRecord

PLACEHOLDER: Final = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_]+)?)(:number)?\}")
PAIRS: Final = "field"
_NOTHING: Final = object()

Values = Mapping[str, Any]
"""Placeholder to value; None is no value. Under `field` the pairs of a look-up."""


class NoSuchNumber(ValueError):
    """A text that stands where a number must, and is none: no record has such an id."""


def placeholders(template: Any) -> Iterator[str]:
    """The names of all placeholders in a template."""
    if isinstance(template, str):
        yield from (found[1] for found in PLACEHOLDER.finditer(template))
    elif isinstance(template, dict):
        for key, value in template.items():
            yield from placeholders(key)
            yield from placeholders(value)
    elif isinstance(template, list | tuple):
        for item in template:
            yield from placeholders(item)


def filled(template: Any, values: Values) -> Any:
    """The template with its values; None when nothing is left of it. Raises NoSuchNumber."""
    found = _filled(template, values)
    return None if found is _NOTHING else found


def filled_path(template: str, values: Values) -> str:
    """A path with its values percent-encoded. Raises NoSuchNumber."""

    def encoded(found: re.Match[str]) -> str:
        return quote(as_text(_value(found, values)), safe="")

    return PLACEHOLDER.sub(encoded, template)


def filled_texts(template: Mapping[str, str], values: Values) -> dict[str, str]:
    """Query or headers: every value as text, lists with commas. Raises NoSuchNumber."""
    found = _filled(dict(template), values)
    return {name: as_text(value) for name, value in found.items()}


def as_text(value: Any) -> str:
    """A value as a query holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(as_text(item) for item in value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def pairs_of(key: VendorRecord) -> list[tuple[str, Any]]:
    """A look-up's key as the pairs that `{field}` and `{value}` stand for."""
    return list(key.items())


def _filled(template: Any, values: Values) -> Any:
    if isinstance(template, str):
        return _text(template, values)
    if isinstance(template, dict):
        return _object(template, values)
    if isinstance(template, list | tuple):
        return _list(template, values)
    return template


def _text(template: str, values: Values) -> Any:
    whole = PLACEHOLDER.fullmatch(template)
    if whole:
        found = _value(whole, values)
        return _NOTHING if found is None else found
    parts = [_value(found, values) for found in PLACEHOLDER.finditer(template)]
    if any(part is None for part in parts):
        return _NOTHING
    texts = iter(parts)
    return PLACEHOLDER.sub(lambda _: as_text(next(texts)), template)


def _object(template: Mapping[str, Any], values: Values) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in template.items():
        for each in _repeated((key, value), values):
            name, part = _filled(key, each), _filled(value, each)
            if name is not _NOTHING and part is not _NOTHING:
                found[str(name)] = part
    return found


def _list(template: Sequence[Any], values: Values) -> Any:
    found: list[Any] = []
    for item in template:
        for each in _repeated(item, values):
            part = _filled(item, each)
            if part is not _NOTHING:
                found.append(part)
            elif isinstance(item, str):
                return _NOTHING  # a condition without its value is no condition
    return found


def _repeated(template: Any, values: Values) -> Iterator[Values]:
    """The values once, or once for each pair where the entry itself, and nothing deeper, is about one."""
    pairs = values.get(PAIRS)
    own = [part for part in (template if isinstance(template, list | tuple) else ()) if isinstance(part, str)]
    if isinstance(pairs, list) and PAIRS in placeholders(own):
        for name, value in pairs:
            yield {**values, PAIRS: name, "value": value}
    else:
        yield values


def _value(found: re.Match[str], values: Values) -> Any:
    value = values.get(found[1])
    if value is None or found[2] is None:
        return value
    return [_number(item) for item in value] if isinstance(value, list | tuple) else _number(value)


def _number(value: Any) -> Any:
    try:
        number = Decimal(str(value))
        if not number.is_finite():
            raise NoSuchNumber(f"{value!r} is not a number")
        return int(number) if number == number.to_integral_value() and abs(number) < 10**18 else number
    except InvalidOperation:
        raise NoSuchNumber(f"{value!r} is not a number") from None
