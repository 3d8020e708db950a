"""The inline code of the common case of each field type. Each must agree with `pipeline.field_reader`.

A short cut writes `if`/`elif` branches that assign the target, and an `else` that calls the field's reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from erpflow.mapping.emit import Writer
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.pipeline import bounds, default_text, remote_names
from erpflow.mapping.values import EXACT, FALSE_WORDS, TRUE_WORDS, canonical, json_is_doubtful, json_text

if TYPE_CHECKING:
    from erpflow.mapping.model import FieldSpec

Shortcut = Callable[[Writer, str, str, str], None]

_INLINE = {
    "trim": "w = w.strip()",
    "upper": "w = w.upper()",
    "lower": "w = w.lower()",
    "truncate": "w = w[:{0}]",
    "strip_html": 'if "<" in w or "&" in w: w = {apply}(w)',
    "collapse_spaces": "w = {apply}(w)",
    "title": "w = {apply}(w)",
    "digits": "w = {apply}(w)",
}
"""Built-in transforms of text into text that can neither fail nor bring in characters Postgres cannot store."""

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,59})(?:\.[0-9]{1,60})?").fullmatch
_WIDE = 10**60


def shortcut_of(spec: FieldSpec, *, zone: tzinfo, required: bool) -> Shortcut | None:
    """The short cut of a field, None when its transforms need the long way."""
    steps = list(spec.transform)
    empties = bool(steps) and steps[-1].transform.name == "empty_to_null" and steps[-1].transform.source is None
    if empties:
        steps.pop()
    if any(use.transform.source is not None or use.transform.name not in _INLINE for use in steps):
        return None
    default = default_text(spec, zone=zone)
    fills = empties or default is not None or required or spec.type is not FieldType.TEXT
    make = _MAKERS[spec.type](spec, zone, fills)
    chain = [(_INLINE[use.transform.name], use) for use in steps]

    def write(writer: Writer, branch: str, target: str, rescued: str) -> None:
        if not chain:
            make(writer, branch, "v", target, rescued)
            return
        writer.put(f"{branch} type(v) is str:", "    w = v")
        writer.indent()
        for code, use in chain:
            apply = writer.name("transform", use.transform.apply) if "{apply}" in code else ""
            writer.put(code.format(*use.args, *(value for _, value in use.kwargs), apply=apply))
        make(writer, "if", "w", target, rescued)
        writer.dedent()
        writer.put("else:", f"    {rescued}")

    return write


Make = Callable[[Writer, str, str, str, str], None]


def _words(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    pattern = re.compile(spec.pattern).fullmatch if spec.pattern is not None else None
    allowed = frozenset(map(canonical, spec.one_of)) if spec.one_of is not None else None

    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        tests = [f"type({value}) is str"] if value == "v" else []
        if fills:
            tests.append(value)
        if spec.max_length is not None:
            tests.append(f"len({value}) <= {spec.max_length}")
        if pattern is not None:
            tests.append(f"{writer.name('match', pattern)}({value})")
        if allowed is not None:
            tests.append(f"{value} in {writer.name('allowed', allowed)}")
        if not tests:
            writer.put(f"{target} = {value}")
            return
        writer.put(f"{branch} {' and '.join(tests)}:", f"    {target} = {value}", "else:", f"    {rescued}")

    return make


def _limits(writer: Writer, low: Any, high: Any, value: str) -> str:
    below = f"{writer.name('low', low)} <= " if low is not None else ""
    above = f" <= {writer.name('high', high)}" if high is not None else ""
    return f" and {below}{value}{above}" if below or above else ""


def _number(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    low, high = bounds(spec, zone=zone)
    scale = spec.scale
    tail = f" + {'.' + '0' * scale!r}" if scale else ""
    unit = Decimal(1).scaleb(-scale) if scale is not None else None

    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        limits = _limits(writer, low, high, value)
        if value == "v":
            writer.put(f"{branch} type(v) is Decimal:")
            writer.indent()
            _decimal(writer, target, rescued, limits)
            writer.dedent()
            writer.put(f"elif type(v) is int and -WIDE < v < WIDE{limits}:", f"    {target} = str(v){tail}")
            branch = "elif"
        kind = f"type({value}) is str and " if value == "v" else ""
        if unit is None:
            as_number = _limits(writer, low, high, f"Decimal({value})")
            writer.put(
                f"{branch} {kind}plain({value}){as_number}:", f"    {target} = {value}", "else:", f"    {rescued}"
            )
            return
        writer.put(f"{branch} {kind}plain({value}):", f"    d = {_quantized(writer, f'Decimal({value})')}")
        writer.indent()
        _finish(writer, target, rescued, _limits(writer, low, high, "d"))
        writer.dedent()
        writer.put("else:", f"    {rescued}")

    def _decimal(writer: Writer, target: str, rescued: str, limits: str) -> None:
        if unit is None:
            writer.put("s = str(v)", f'if len(s) < 60 and "E" not in s{limits}:', f"    {target} = s")
            writer.put("else:", f"    {rescued}")
            return
        writer.put("s = str(v)")
        dot = f's[-{scale + 1 if scale else 0}:-{scale}] == "." and ' if scale else '"." not in s and '
        writer.put(
            f'if len(s) < 60 and {dot}"E" not in s{limits}:', f"    {target} = s", 'elif len(s) < 60 and "E" not in s:'
        )
        writer.indent()
        writer.put(f"d = {_quantized(writer, 'v')}")
        _finish(writer, target, rescued, _limits(writer, low, high, "d"))
        writer.dedent()
        writer.put("else:", f"    {rescued}")

    def _quantized(writer: Writer, value: str) -> str:
        return f"{value}.quantize({writer.name('unit', unit)}, HALF_UP, EXACT)"

    def _finish(writer: Writer, target: str, rescued: str, limits: str) -> None:
        if limits:
            writer.put(f"if {limits.removeprefix(' and ')}:", f'    {target} = f"{{d:f}}"', "else:", f"    {rescued}")
        else:
            writer.put(f'{target} = f"{{d:f}}"')

    return make


def _date(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    low, high = bounds(spec, zone=zone)

    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        kind = f"type({value}) is str and " if value == "v" else ""
        writer.put(f"{branch} {kind}len({value}) == 10:", "    try:", f"        d = date_of({value})")
        limits = _limits(writer, low, high, "d").removeprefix(" and ")
        if limits:
            writer.put(f"        if {limits}:", f"            {target} = d.isoformat()", "        else:")
            writer.put(f"            {rescued}")
        else:
            writer.put(f"        {target} = d.isoformat()")
        writer.put("    except ValueError:", f"        {rescued}", "else:", f"    {rescued}")

    return make


def _datetime(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    low, high = bounds(spec, zone=zone)

    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        kind = f"type({value}) is str" if value == "v" else value
        writer.put(f"{branch} {kind}:")
        writer.indent()
        writer.put(
            "try:", f"    d = time_of({value})", "    if d.tzinfo is None:", "        d = d.replace(tzinfo=ZONE)"
        )
        limits = _limits(writer, low, high, "d").removeprefix(" and ")
        if limits:
            writer.put(f"    if {limits}:", f"        {target} = d.astimezone(UTC).isoformat()", "    else:")
            writer.put(f"        {rescued}")
        else:
            writer.put(f"    {target} = d.astimezone(UTC).isoformat()")
        writer.put("except (ValueError, OverflowError):", f"    {rescued}")
        writer.dedent()
        writer.put("else:", f"    {rescued}")

    return make


def _table(table: dict[Any, str], classes: str) -> Make:
    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        known = f"{value} in {writer.name('table', table)}"
        test = f"{value}.__class__ in {classes} and {known}" if value == "v" else known
        writer.put(
            f"{branch} {test}:", f"    {target} = {writer.name('table', table)}[{value}]", "else:", f"    {rescued}"
        )

    return make


def _boolean(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    forms: dict[Any, str] = {True: "t", False: "f"}  # 1 and 0 are the same keys
    for words, text in ((TRUE_WORDS, "t"), (FALSE_WORDS, "f")):
        for word in words:
            forms |= dict.fromkeys((word, word.title(), word.upper()), text)
    return _table(forms, "WORDS_AND_BITS")


def _picklist(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    names = remote_names(spec)
    numbers = {
        int(name): local
        for name, local in names.items()
        if name.isascii() and name.isdigit() and name == str(int(name))
    }
    return _table({**names, **numbers}, "WORDS_AND_NUMBERS")


def _json(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        kind = "v.__class__ in CONTAINERS" if value == "v" else "False"
        writer.put(f"{branch} {kind}:", "    try:", "        s = json_text(v)")
        writer.put(f"        if doubtful(s): {rescued}", f"        else: {target} = s.decode()")
        writer.put(
            "    except (ValueError, TypeError, RecursionError):", f"        {rescued}", "else:", f"    {rescued}"
        )

    return make


_MAKERS: dict[FieldType, Callable[[FieldSpec, tzinfo, bool], Make]] = {
    FieldType.TEXT: _words,
    FieldType.LOOKUP: _words,
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
    FieldType.DATETIME: _datetime,
    FieldType.BOOLEAN: _boolean,
    FieldType.PICKLIST: _picklist,
    FieldType.JSON: _json,
}


def names_used(zone: tzinfo) -> dict[str, Any]:
    """The objects that short cuts name in the generated code."""
    return {
        "CONTAINERS": frozenset({dict, list}),
        "Decimal": Decimal,
        "EXACT": EXACT,
        "HALF_UP": ROUND_HALF_UP,
        "UTC": UTC,
        "WIDE": _WIDE,
        "WORDS_AND_BITS": frozenset({str, bool, int}),
        "WORDS_AND_NUMBERS": frozenset({str, int}),
        "ZONE": zone,
        "date_of": date.fromisoformat,
        "doubtful": json_is_doubtful,
        "json_text": json_text,
        "plain": _PLAIN,
        "time_of": datetime.fromisoformat,
    }
