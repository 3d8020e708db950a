"""One value of a vendor, written as Postgres reads it: the meaning of each field type, in its slow and careful form.

Every function takes what JSON or a transform may hold and gives text in Postgres input format, or raises `Refused`
with the sentence that becomes a reject. The compiled programs have short cuts for the common forms and end here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from typing import Any

import msgspec

from erpflow.mapping.paths import Misfit
from erpflow.yaml_files.complaints import excerpt

MAX_DIGITS = 1000
"""Digits a number may have, before and after the point together: far beyond money, far within Postgres' numeric."""

EXACT = Context(prec=2 * MAX_DIGITS, rounding=ROUND_HALF_UP)
NUL = "\x00"

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
json_text = msgspec.json.Encoder(decimal_format="number").encode

TRUE_WORDS = ("true", "t", "yes", "y", "on", "1")
FALSE_WORDS = ("false", "f", "no", "n", "off", "0")
_BOOLEANS = {**dict.fromkeys(TRUE_WORDS, "t"), **dict.fromkeys(FALSE_WORDS, "f")}


class Refused(Exception):
    """A value breaks `rule`; the sentence says which value and what would be right. Caught where the record is."""

    def __init__(self, rule: str, message: str, *, value: object = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.value = value


def decimal_text(value: Decimal) -> str:
    """A finite Decimal in plain notation: `1E+3` is `1000`. Raises Refused for NaN, infinity or absurd size."""
    if not value.is_finite():
        raise Refused("type", f"{value} is not a number that can be stored", value=value)
    if abs(value.adjusted()) <= MAX_DIGITS and len(text := f"{value:f}") <= MAX_DIGITS:
        return text
    if abs(value.adjusted()) > MAX_DIGITS or len(value.as_tuple().digits) > MAX_DIGITS or _decimals(value) > MAX_DIGITS:
        raise Refused("type", f"{excerpt(value)} has more than {MAX_DIGITS} digits", value=value)
    return f"{value:f}"


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def scalar_text(value: Any) -> str:
    """A scalar as text: text as it is, numbers in plain notation, booleans as `true` and `false`.

    Raises Refused for objects and lists.
    """
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is Decimal or kind is float:
        return decimal_text(_decimal_of(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise Refused("type", f"{excerpt(value)} is not text", value=value)


def storable(text: str) -> str:
    """The text, when Postgres can hold it. Raises Refused for the NUL character and half surrogate pairs."""
    if NUL in text:
        raise Refused(
            "characters", f"{excerpt(text)} holds the character U+0000, which Postgres cannot store", value=text
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            reason = f"{excerpt(text)} holds half of a surrogate pair, which is not a character"
            raise Refused("characters", reason, value=text) from error
    return text


def to_text(value: Any) -> str:
    """Field type `text`."""
    return storable(value if type(value) is str else scalar_text(value))


def to_key(value: Any) -> str:
    """Field type `lookup`, and a record's own key: text or a number, nothing else, not empty."""
    if type(value) is bool or (type(value) is not str and not isinstance(value, int | Decimal)):
        raise Refused("type", f"{excerpt(value)} cannot identify a record: expected text or a number", value=value)
    return storable(scalar_text(value))


def to_decimal(value: Any) -> Decimal:
    """A number from a JSON number or its plain text form. Raises Refused for anything else, `1,234.50` included."""
    kind = type(value)
    if kind is int or kind is Decimal or kind is float:
        return _decimal_of(value)
    if kind is str:
        if _NUMBER.fullmatch(value):
            return Decimal(value)
        raise Refused(
            "type",
            f"{excerpt(value)} is not a number (plain form such as 1234.50); "
            'a transform such as {replace: [",", ""]} can make it one',
            value=value,
        )
    raise Refused("type", f"{excerpt(value)} is not a number", value=value)


def _decimal_of(value: Any) -> Decimal:
    """Exact for int and Decimal; a float (only transforms make them) counts as the digits it prints."""
    if isinstance(value, int) and value.bit_length() > 4 * MAX_DIGITS:
        raise Refused("type", f"{excerpt(value)} has more than {MAX_DIGITS} digits", value=value)
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def rounded(value: Decimal, scale: int) -> Decimal:
    """`value` with exactly `scale` decimals, halves away from zero, as Postgres' numeric rounds."""
    decimal_text(value)
    try:
        return value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, EXACT)
    except DecimalException as error:
        raise Refused("type", f"{excerpt(value)} has too many digits", value=value) from error


def to_date(value: Any, *, zone: tzinfo) -> date:
    """A day from `YYYY-MM-DD`, or from a time: its day in `zone`."""
    moment = value
    if type(value) is str:
        with suppress(ValueError):
            moment = datetime.fromisoformat(value)
    if isinstance(moment, datetime):
        with suppress(OverflowError, ValueError):
            return (moment.astimezone(zone) if moment.tzinfo is not None else moment).date()
    elif isinstance(moment, date):
        return moment
    raise Refused(
        "type",
        f"{excerpt(value)} is not a date (YYYY-MM-DD); the transform date_format reads other forms",
        value=value,
    )


def to_instant(value: Any, *, zone: tzinfo) -> datetime:
    """A moment in UTC from an ISO time; one without an offset is a time in `zone` (the earlier one, if it is twice)."""
    moment = value
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    elif isinstance(value, date) and not isinstance(value, datetime):
        moment = datetime(value.year, value.month, value.day, tzinfo=zone)
    if not isinstance(moment, datetime):
        raise Refused(
            "type",
            f"{excerpt(value)} is not a time (YYYY-MM-DD HH:MM:SS, with or without an offset); the transforms "
            "datetime_format and epoch_to_datetime read other forms",
            value=value,
        )
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise Refused("type", f"{excerpt(value)} is outside the years 1 to 9999 in UTC", value=value) from error


def to_boolean(value: Any) -> str:
    """`t` or `f` from true/false, 1/0, or the words yes, no, true, false, on, off, y, n, t, f in any case."""
    word = value.lower() if type(value) is str else None
    if type(value) is bool or type(value) is int or type(value) is Decimal:
        word = "1" if value == 1 else "0" if value == 0 else None
    found = _BOOLEANS.get(word) if word is not None else None
    if found is None:
        raise Refused("type", f"{excerpt(value)} is neither true nor false (nor 1/0, yes/no)", value=value)
    return found


def canonical(value: Any) -> str:
    """How a picklist compares values: text as it is, 1.0 and 1 alike, booleans as `true` and `false`."""
    if type(value) is Decimal and value.is_finite() and abs(value.adjusted()) < MAX_DIGITS and value == int(value):
        return str(int(value))
    return scalar_text(value)


def to_json(value: Any) -> str:
    """Compact JSON text for a jsonb column, numbers with the digits they came with."""
    try:
        encoded = json_text(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused("type", f"{excerpt(value)} cannot be written as JSON: {error}", value=value) from error
    _check_json(value)
    return storable(encoded.decode())


def json_doubt(name: str) -> str:
    """Source of a test whether the JSON bytes in the variable `name` may hold what jsonb refuses.

    U+0000 is written as an escape, and a number of absurd size is long or, as Decimals are printed, has `E+` or `E-`.
    Cheap; errs towards yes.
    """
    return f'len({name}) > {MAX_DIGITS} or b"\\\\" in {name} or b"E+" in {name} or b"E-" in {name}'


def _check_json(value: Any) -> None:
    """Walks the value without recursion, for it may be as deep as the decoder allows."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            storable(item)
        elif isinstance(item, Mapping):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, Decimal | int | float) and not isinstance(item, bool):
            decimal_text(_decimal_of(item))
        elif item is not None and not isinstance(item, bool | date):
            raise Refused("type", f"{excerpt(item)} cannot be written as JSON", value=value)


def refuse_misfit(value: object) -> None:
    """Raises Refused when the record had another shape than the path."""
    if type(value) is Misfit:
        expected = "a list" if isinstance(value.key, int) else "an object"
        raise Refused(
            "shape", f'expected {expected} with "{value.key}" inside, found {excerpt(value.found)}', value=value.found
        )
