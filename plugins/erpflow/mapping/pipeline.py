"""What happens to one value on its way in: transforms, default, required, type, rules, in this order.

This is the meaning of a field. The compiled program inlines the common case and calls here for everything else, so
both must agree; the tests compare them with an independent interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from erpflow.errors import suggestion
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.values import (
    Refused,
    canonical,
    decimal_text,
    refuse_misfit,
    rounded,
    to_boolean,
    to_date,
    to_decimal,
    to_instant,
    to_json,
    to_key,
    to_text,
)
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import FieldSpec

Convert = Callable[[Any], str]
Judge = Callable[[Any], tuple[Any, str]]


def bound(spec: FieldSpec, rule: str, *, zone: tzinfo) -> Any:
    """`min` or `max` as a value that compares: a Decimal, a date or a moment. Raises Refused when it is none."""
    limit = getattr(spec, rule)
    if limit is None:
        return None
    if spec.type is FieldType.NUMBER:
        return to_decimal(limit)
    return to_date(limit, zone=zone) if spec.type is FieldType.DATE else to_instant(limit, zone=zone)


def bounds(spec: FieldSpec, *, zone: tzinfo) -> tuple[Any, Any]:
    """`min` and `max` as values that compare."""
    return bound(spec, "min", zone=zone), bound(spec, "max", zone=zone)


def converter(spec: FieldSpec, *, zone: tzinfo) -> Convert:
    """The function that types a present value and applies the rules of `spec`; it raises Refused."""
    if spec.type in _ORDERED:
        judge = ordered(spec, zone=zone)
        return lambda value: judge(value)[1]
    if spec.type is FieldType.PICKLIST:
        return _picklist(spec)
    if spec.type is FieldType.BOOLEAN:
        return to_boolean
    if spec.type is FieldType.JSON:
        return to_json
    return _words(spec, to_key if spec.type is FieldType.LOOKUP else to_text)


def local_converter(spec: FieldSpec, *, zone: tzinfo) -> Convert:
    """Like `converter`, of a value that is a local one already: a picklist's is one of the local names."""
    if spec.type is FieldType.PICKLIST:
        return lambda value: _local_name(spec, value)
    return converter(spec, zone=zone)


def default_text(spec: FieldSpec, *, zone: tzinfo) -> str | None:
    """The default of `spec`, a local value, as Postgres reads it."""
    return None if spec.default is None else local_converter(spec, zone=zone)(spec.default)


def constant_text(spec: FieldSpec, *, zone: tzinfo) -> str:
    """The constant `value` of `spec` as Postgres reads it."""
    return local_converter(spec, zone=zone)(spec.value)


def _local_name(spec: FieldSpec, value: Any) -> str:
    name, known = canonical(value), spec.values or {}
    if name not in known:
        raise Refused("picklist", f"{excerpt(value)} is not a local value{suggestion(name, known)}", value=value)
    return name


Read = Callable[[Any], str | None]


def field_reader(spec: FieldSpec, *, zone: tzinfo, required: bool | None = None) -> Read:
    """The whole way of one remote value into one local column. The function raises Refused, and nothing else."""
    steps = [use.forward() for use in spec.transform]
    return _reader(spec, steps, converter(spec, zone=zone), zone=zone, required=required)


def local_reader(spec: FieldSpec, *, zone: tzinfo) -> Read:
    """The same of a value that is a local one already: default, required, type and rules. Raises Refused."""
    return _reader(spec, [], local_converter(spec, zone=zone), zone=zone)


def _reader(
    spec: FieldSpec, steps: list[Convert], convert: Convert, *, zone: tzinfo, required: bool | None = None
) -> Read:
    default = default_text(spec, zone=zone)
    needed = spec.required if required is None else required
    keeps_empty = spec.type is FieldType.TEXT

    def read(value: Any) -> str | None:
        refuse_misfit(value)
        for step in steps:
            value = step(value)
        if value is None or value == "":
            if default is not None:
                return default
            if needed:
                raise Refused("required", f"a value is required, found {excerpt(value)}", value=value)
            if value is None or not keeps_empty:
                return None
        return convert(value)

    return read


def _words(spec: FieldSpec, convert: Convert) -> Convert:
    longest = spec.max_length
    pattern = re.compile(spec.pattern) if spec.pattern is not None else None
    allowed = frozenset(canonical(item) for item in spec.one_of) if spec.one_of is not None else None

    def words(value: Any) -> str:
        text = convert(value)
        if longest is not None and len(text) > longest:
            raise Refused(
                "max_length", f"{excerpt(text)} has {len(text)} characters, at most {longest} fit", value=text
            )
        if pattern is not None and pattern.fullmatch(text) is None:
            raise Refused("pattern", f"{excerpt(text)} does not match {pattern.pattern}", value=text)
        if allowed is not None and text not in allowed:
            raise Refused("one_of", f"{excerpt(text)} is not allowed{suggestion(text, allowed)}", value=text)
        return text

    return words


def _within(value: Any, shown: str, low: Any, high: Any) -> None:
    if low is not None and value < low:
        raise Refused("min", f"{excerpt(shown)} is less than {low}", value=shown)
    if high is not None and value > high:
        raise Refused("max", f"{excerpt(shown)} is more than {high}", value=shown)


def _number(spec: FieldSpec, zone: tzinfo) -> Judge:
    low, high = bounds(spec, zone=zone)
    scale = spec.scale

    def number(value: Any) -> tuple[Decimal, str]:
        found: Decimal = to_decimal(value)
        if scale is not None:
            found = rounded(found, scale)
        text = decimal_text(found)
        _within(found, text, low, high)
        return found, text

    return number


def _date(spec: FieldSpec, zone: tzinfo) -> Judge:
    low, high = bounds(spec, zone=zone)

    def day(value: Any) -> tuple[date, str]:
        found: date = to_date(value, zone=zone)
        text = found.isoformat()
        _within(found, text, low, high)
        return found, text

    return day


def _datetime(spec: FieldSpec, zone: tzinfo) -> Judge:
    low, high = bounds(spec, zone=zone)

    def moment(value: Any) -> tuple[datetime, str]:
        found = to_instant(value, zone=zone)
        text = found.isoformat()
        _within(found, text, low, high)
        return found, text

    return moment


_ORDERED: dict[FieldType, Callable[[FieldSpec, tzinfo], Judge]] = {
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
    FieldType.DATETIME: _datetime,
}


def ordered(spec: FieldSpec, *, zone: tzinfo) -> Judge:
    """Like `converter`, for a type with an order, `min` and `max`: the value itself (a moment in UTC), and its text."""
    return _ORDERED[spec.type](spec, zone)


def remote_names(spec: FieldSpec) -> dict[str, str]:
    """A picklist's remote values, in canonical text, to the local ones."""
    return {canonical(remote): local for local, remote in (spec.values or {}).items()}


def _picklist(spec: FieldSpec) -> Convert:
    names = remote_names(spec)

    def pick(value: Any) -> str:
        name = canonical(value)
        if name not in names:
            raise Refused("picklist", f"{excerpt(value)} has no local value{suggestion(name, names)}", value=value)
        return names[name]

    return pick


def zone_of(name: str) -> tzinfo:
    """The time zone of that name; UTC as a fixed offset, for it is the faster one. Raises KeyError or ValueError."""
    return UTC if name == "UTC" else ZoneInfo(name)
