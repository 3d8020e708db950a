"""The inline code of the common case of each field type. Each must agree with `pipeline.field_reader`.

A short cut writes `if`/`elif` branches that assign the target, and an `else` that calls the field's reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from erpflow.mapping.emit import Writer
from erpflow.mapping.instants import instant_text
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.numbers import PLAIN, WIDE, NumberCode, limit_test
from erpflow.mapping.pipeline import bounds, default_text, remote_names
from erpflow.mapping.values import EXACT, FALSE_WORDS, TRUE_WORDS, canonical, json_doubt, json_text

if TYPE_CHECKING:
    from erpflow.mapping.model import FieldSpec

Shortcut = Callable[[Writer, str, str, str], None]

_INLINE = {
    "trim": "w = {text}.strip()",
    "upper": "w = {text}.upper()",
    "lower": "w = {text}.lower()",
    "truncate": "w = {text}[:{0}]",
    "strip_html": 'w = {apply}({text}) if "<" in {text} or "&" in {text} else {text}',
    "collapse_spaces": "w = {apply}({text})",
    "title": "w = {apply}({text})",
    "digits": "w = {apply}({text})",
}
"""Built-in transforms of text into text that can neither fail nor bring in characters Postgres cannot store."""


def shortcut_of(spec: FieldSpec, *, zone: tzinfo, required: bool) -> Shortcut | None:
    """The short cut of a field, None when its transforms or rules need the long way."""
    steps = list(spec.transform)
    empties = bool(steps) and steps[-1].transform.name == "empty_to_null" and steps[-1].transform.source is None
    if empties:
        steps.pop()
    if any(use.transform.source is not None or use.transform.name not in _INLINE for use in steps):
        return None
    if spec.type is FieldType.DATETIME and bounds(spec, zone=zone) != (None, None):
        return None
    if spec.type is FieldType.JSON and empties:
        return None  # an empty list or object is to become null, too
    default = default_text(spec, zone=zone)
    fills = empties or default is not None or required or spec.type is not FieldType.TEXT
    make = _MAKERS[spec.type](spec, zone, fills)
    chain = [(_INLINE[use.transform.name], use) for use in steps]

    def write(writer: Writer, branch: str, target: str, rescued: str) -> None:
        if not chain:
            make(writer, branch, "v", target, rescued)
            return
        writer.put(f"{branch} type(v) is str:")
        writer.indent()
        for position, (code, use) in enumerate(chain):
            apply = writer.name("transform", use.transform.apply) if "{apply}" in code else ""
            given = [*use.args, *(value for _, value in use.kwargs)]
            writer.put(code.format(*given, text="w" if position else "v", apply=apply))
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


def _number(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    low, high = bounds(spec, zone=zone)
    return NumberCode(low, high, spec.scale).write


def _date(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    low, high = bounds(spec, zone=zone)

    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        kind = f"type({value}) is str and " if value == "v" else ""
        writer.put(f'{branch} {kind}len({value}) == 10 and {value}[7] == "-":', "    try:")
        limits = limit_test(writer, low, high, f"date_of({value})")
        if limits:
            writer.put(f"        if {limits}:", f"            {target} = {value}", "        else:")
            writer.put(f"            {rescued}")
        else:
            writer.put(f"        date_of({value})", f"        {target} = {value}")
        writer.put("    except ValueError:", f"        {rescued}", "else:", f"    {rescued}")

    return make


def _datetime(spec: FieldSpec, zone: tzinfo, fills: bool) -> Make:  # noqa: FBT001 - one signature for all makers
    def make(writer: Writer, branch: str, value: str, target: str, rescued: str) -> None:
        kind = f"type({value}) is str" if value == "v" else value
        writer.put(f"{branch} {kind}:", "    try:", f"        {target} = instant_text({value})")
        writer.put("    except (ValueError, OverflowError):", f"        {rescued}", "else:", f"    {rescued}")

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
        kind = "type(v) is list or type(v) is dict" if value == "v" else "False"
        writer.put(f"{branch} {kind}:", "    try:", "        s = json_text(v)")
        writer.put(
            f"        if {json_doubt('s')}:",
            f"            {rescued}",
            "        else:",
            f"            {target} = s.decode()",
        )
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
        "Decimal": Decimal,
        "EXACT": EXACT,
        "HALF_UP": ROUND_HALF_UP,
        "WIDE": WIDE,
        "WORDS_AND_BITS": frozenset({str, bool, int}),
        "WORDS_AND_NUMBERS": frozenset({str, int}),
        "date_of": date.fromisoformat,
        "instant_text": instant_text(zone=zone),
        "json_text": json_text,
        "plain": PLAIN,
    }
