"""Writes the source of the way from a local row to what the vendor takes: straight-line code, the common case inline.

Values come from Postgres as texts, so the common case of every type is a text that stays as it is or is looked up.
Whatever is not the common case goes the long way of the field (`PushField.give`), and so does every field whose
transforms have a way back. Both must agree; the tests compare them value by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from erpflow.errors import FieldProblem
from erpflow.mapping.emit import Writer
from erpflow.mapping.kinds import FieldType
from erpflow.mapping.numbers import PLAIN, limit_test
from erpflow.mapping.pipeline import bounds
from erpflow.mapping.values import FALSE_WORDS, MAX_DIGITS, NUL, TRUE_WORDS, Refused, canonical, json_text
from erpflow.yaml_files.complaints import excerpt

if TYPE_CHECKING:
    from erpflow.mapping.model import FieldSpec
    from erpflow.mapping.push import PushField

ABSENT: Final = object()
"""Stands for a column that a row does not hold, and for a value that was refused: nothing of it is sent."""

Write = Callable[[Mapping[str, Any], str, list[FieldProblem], dict[str, Any]], dict[str, Any]]
"""Gives the fields of a row in the vendor's shape. Notes the problems of columns, each behind a prefix; what is named
by a record template goes to the last argument."""

Shortcut = Callable[[Writer], tuple[str, str]]
"""The common case as source: a test of the value `v`, and what is given then."""


def compile_write(fields: Sequence[PushField], *, what: str) -> Write:
    """One function that does for a row what the fields say, in their order. `what`: the name of the mapping."""
    writer = Writer({"ABSENT": ABSENT, "Decimal": Decimal, "NUL": NUL, "clean": is_clean, "plain": PLAIN})
    places = _Places(writer, fields)
    writer.put("def write(row, prefix, problems, given):")
    writer.indent()
    writer.put("get = row.get", "r = {}", *(f"{name} = None" for name in places.objects.values()))
    for field in fields:
        if field.column is None:
            writer.put(*places.put(field, writer.name("fixed", field.give(None))))
        else:
            _write_column(writer, field, places)
    writer.put("return r")
    exec(compile(writer.source(), f"<push of {what}>", "exec"), writer.names)  # noqa: S102 - our own source; a mapping gives only constants
    written: Write = writer.names["write"]
    return written


def _write_column(writer: Writer, field: PushField, places: _Places) -> None:
    """The code of one column: the common case, a null, and the long way of everything else that a row holds."""
    branches = [field.shortcut(writer)] if field.shortcut is not None else []
    if field.nulls:
        branches.append(("v is None", "None"))
    writer.put(f"v = get({field.column!r}, ABSENT)")
    word = "if"
    for test, given in branches:
        writer.put(f"{word} {test}:", *(f"    {line}" for line in places.put(field, given)))
        word = "elif"
    writer.put(f"{word} v is not ABSENT:")
    writer.put(f"    x = {writer.name('rescue', _rescue(field))}(v, prefix, problems)")
    writer.put("    if x is not ABSENT:", *(f"        {line}" for line in places.put(field, "x")))


class _Places:
    """Where fields go: a mapping has one field for each place.

    `objects`: the variables of objects inside the record into which all fields put something one step further down.
    """

    def __init__(self, writer: Writer, fields: Sequence[PushField]) -> None:
        self._writer = writer
        paths = [field.path for field in fields if not field.named]
        flat = {path[0]: True for path in paths}
        for path in paths:
            flat[path[0]] &= len(path) == 2 and isinstance(path[1], str)
        self.objects = {name: f"o{number}" for number, name in enumerate(flat) if flat[name]}

    def put(self, field: PushField, value: str) -> list[str]:
        """The lines that put a value where the field goes."""
        path = field.path
        if field.named or (len(path) > 1 and path[0] not in self.objects):
            return [f"{self._writer.name('put', field.put)}({'given' if field.named else 'r'}, {value})"]
        if len(path) == 1:
            return [f"r[{path[0]!r}] = {value}"]
        inner = self.objects[path[0]]
        return [f"if {inner} is None:", f"    {inner} = r[{path[0]!r}] = {{}}", f"{inner}[{path[1]!r}] = {value}"]


def _rescue(field: PushField) -> Callable[[Any, str, list[FieldProblem]], Any]:
    """The long way of one field: what is given of any value; `ABSENT`, with a problem noted, when it is refused."""
    give, column = field.give, field.column

    def rescue(value: Any, prefix: str, problems: list[FieldProblem]) -> Any:
        try:
            return give(value)
        except Refused as refused:
            name = f"{prefix}{column}"
            problems.append(FieldProblem(name, refused.rule, f"{name}: {refused.message}", excerpt(refused.value)))
            return ABSENT

    return rescue


def is_clean(text: str) -> bool:
    """Whether Postgres could have held a text: no NUL, no half of a surrogate pair."""
    if NUL in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- the common case of each type --------------------------------------------------------------------------------


def shortcut_of(spec: FieldSpec, *, zone: tzinfo, names: Mapping[str, Any]) -> Shortcut | None:
    """The short cut of a field without transforms; None when its rules need the long way.

    `names`: what the vendor calls the values of a picklist.
    """
    if spec.type in (FieldType.TEXT, FieldType.LOOKUP):
        return _words(spec)
    if spec.type is FieldType.NUMBER:
        return _number(spec, zone) if spec.scale is None else None
    if spec.type is FieldType.BOOLEAN:
        return _table(dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False))
    if spec.type is FieldType.PICKLIST:
        return _table(names)
    if bounds(spec, zone=zone) != (None, None):
        return None
    return {FieldType.DATE: _date, FieldType.DATETIME: _moment(zone), FieldType.JSON: _json}[spec.type]


def _words(spec: FieldSpec) -> Shortcut:
    pattern = re.compile(spec.pattern).fullmatch if spec.pattern is not None else None
    allowed = frozenset(map(canonical, spec.one_of)) if spec.one_of is not None else None

    def write(writer: Writer) -> tuple[str, str]:
        tests = ["type(v) is str and v"]
        if spec.max_length is not None:
            tests.append(f"len(v) <= {spec.max_length}")
        if pattern is not None:
            tests.append(f"{writer.name('match', pattern)}(v)")
        if allowed is not None:
            tests.append(f"v in {writer.name('allowed', allowed)}")
        tests.append("(v.isascii() and NUL not in v or clean(v))")
        return " and ".join(tests), "v"

    return write


def _number(spec: FieldSpec, zone: tzinfo) -> Shortcut:
    low, high = bounds(spec, zone=zone)

    def write(writer: Writer) -> tuple[str, str]:
        limits = limit_test(writer, low, high, "(x := Decimal(v))")
        test = "type(v) is str and plain(v)"
        return (f"{test} and {limits}", "x") if limits else (test, "Decimal(v)")

    return write


def _table(table: Mapping[str, Any]) -> Shortcut:
    def write(writer: Writer) -> tuple[str, str]:
        name = writer.name("table", table)
        return f"type(v) is str and v in {name}", f"{name}[v]"

    return write


def _date(writer: Writer) -> tuple[str, str]:
    writer.names["is_date"] = _is_date
    return 'type(v) is str and len(v) == 10 and v[4] == v[7] == "-" and is_date(v)', "v"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _moment(zone: tzinfo) -> Shortcut:
    def write(writer: Writer) -> tuple[str, str]:
        shown = writer.name("shown", _shown(zone))
        return f"type(v) is str and (x := {shown}(v)) is not None", "x"

    return write


def _shown(zone: tzinfo) -> Callable[[str], str | None]:
    """A time with an offset, as it is written in a zone; None for everything that is not one."""
    parse = datetime.fromisoformat

    def shown(text: str) -> str | None:
        try:
            moment = parse(text)
            if moment.tzinfo is None:
                return None
            if moment.tzinfo is not zone:
                moment = moment.astimezone(UTC).astimezone(zone)
        except (ValueError, OverflowError):
            return None
        return moment.isoformat()

    return shown


def _json(writer: Writer) -> tuple[str, str]:
    # Encoded, a number that JSON cannot hold is a null, like those that are meant: the long way tells them apart.
    writer.names["is_plain"] = _is_plain_json
    return "(type(v) is list or type(v) is dict) and is_plain(v)", "v"


def _is_plain_json(value: Any) -> bool:
    try:
        text = json_text(value)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False
    return not (len(text) > MAX_DIGITS or b"\\" in text or b"E+" in text or b"E-" in text or b"null" in text)
