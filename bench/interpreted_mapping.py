"""The plain way to apply a mapping: walk its fields for every record. The baseline of `mapping_speed.py`, and the
oracle the tests compare compiled programs with; it shares no code with them but the paths and the transforms.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from erpflow.mapping.model import Children, FieldSpec, Mapping
from erpflow.mapping.paths import Path
from erpflow.mapping.template_use import RecordUse
from erpflow.mapping.values import Refused

Found = tuple[list[str | None], list[list[list[str | None]]], list[tuple[str, str]]]


class Broken(Exception):
    """A value breaks the rule of this name."""


class Odd(Exception):
    """The record has another shape than the path."""


class Missing(Exception):
    """A record template could not give this value, and said so."""


LOST = object()
"""In place of a value that a record template could not give."""


class Interpreter:
    """Applies one mapping to records, looking everything up in it again for each of them."""

    def __init__(self, mapping: Mapping, *, zone: str = "UTC") -> None:
        self.mapping = mapping
        self.zone: tzinfo = UTC if zone == "UTC" else ZoneInfo(zone)
        specs = [*mapping.fields, *(spec for child in mapping.children for spec in child.fields)]
        self.steps = {id(spec): [use.forward() for use in spec.transform] for spec in specs}
        self.paths = {id(spec): spec.paths for spec in specs}
        self.decode = msgspec.json.Decoder(float_hook=Decimal).decode

    def __call__(self, raw: bytes) -> Found:
        """Values, the rows of each child table, and every problem as (field, rule); raises ValueError for bad JSON."""
        record = self.decode(raw)
        if not isinstance(record, dict):
            return [], [], [("", "shape")]
        problems: list[tuple[str, str]] = []
        values = self._row(self.mapping, self._given(record, problems), "", problems)
        children = [self._lines(child, record, problems) for child in self.mapping.children]
        return values, children, problems

    def _given(self, record: Any, problems: list[tuple[str, str]]) -> Any:
        """The record with what the record templates give, under its names."""
        seen = dict(record)
        for use in self.mapping.record:
            seen |= dict.fromkeys(use.names, LOST) | self._give(use, seen, problems)
        return seen

    def _give(self, use: RecordUse, seen: Any, problems: list[tuple[str, str]]) -> dict[str, Any]:
        reads, wrong = {}, set()
        for (key, _), paths in zip(use.reads, use.paths, strict=True):
            try:
                reads[key] = _value(seen, paths)
            except (Missing, Odd) as error:
                wrong.add(type(error))
        if Missing in wrong:
            return {}
        if wrong:
            problems.append(("", "shape"))
            return {}
        try:
            found = use.function.apply(reads)
            if found.keys() != dict(use.gives).keys():
                raise Broken("template")
        except Exception:  # noqa: BLE001 - whatever a user's function raises
            problems.append(("", "template"))
            return {}
        return {name: found[key] for key, name in use.gives}

    def _lines(self, child: Children, record: Any, problems: list[tuple[str, str]]) -> list[list[str | None]]:
        table = child.local.split(".")[1]
        try:
            items = _value(record, child.paths)
        except Odd:
            items = 0
        if items is None or items == "":
            return []
        if isinstance(items, dict):
            items = [items]
        if not isinstance(items, list):
            problems.append((table, "shape"))
            return []
        rows = []
        for number, item in enumerate(items):
            if isinstance(item, dict):
                rows.append(self._row(child, item, f"{table}[{number}].", problems))
            else:
                problems.append((f"{table}[{number}]", "shape"))
        key = [spec.local for spec in child.fields if spec.pulls()].index(child.key)
        if not problems and len({row[key] for row in rows}) < len(rows):
            problems.append((f"{table}.{child.key}", "unique"))
        return rows

    def _row(
        self, part: Mapping | Children, record: Any, prefix: str, problems: list[tuple[str, str]]
    ) -> list[str | None]:
        row: list[str | None] = []
        for spec in part.fields:
            if not spec.pulls():
                continue
            try:
                row.append(self._field(spec, record, isinstance(part, Children) and spec.local == part.key))
                continue
            except (Broken, Refused) as broken:
                rule = broken.rule if isinstance(broken, Refused) else str(broken)
            except Odd:
                rule = "shape"
            except Missing:
                row.append(None)
                continue
            problems.append((f"{prefix}{spec.local}", rule))
            row.append(None)
        return row

    def _field(self, spec: FieldSpec, record: Any, is_key: bool) -> str | None:  # noqa: FBT001
        if spec.value is not None:
            return _plain(spec.value)
        value = _value(record, self.paths[id(spec)])
        for step in self.steps[id(spec)]:
            value = step(value)
        if value is None or value == "":
            if spec.default is not None:
                return str(spec.default) if spec.type == "picklist" else _typed(spec, spec.default, self.zone)
            if spec.required or is_key:
                raise Broken("required")
            if value is None or spec.type != "text":
                return None
        return _typed(spec, value, self.zone)


def _value(record: Any, paths: tuple[Path, ...]) -> Any:
    if len(paths) == 1:
        return _walk(record, paths[0])
    value = None
    for path in paths:
        try:
            value = _walk(record, path)
        except Odd:
            value = None
        if value is not None and value != "":
            break
    return value


def _walk(value: Any, path: Path) -> Any:
    if value.get(path[0]) is LOST:
        raise Missing
    for step in path:
        if value is None or value == "":
            return None
        if isinstance(step, str):
            if value == []:
                return None
            if not isinstance(value, dict):
                raise Odd
            value = value.get(step)
        elif isinstance(value, list):
            value = value[step] if len(value) > step else None
        elif isinstance(value, dict):
            value = value if step == 0 else None
        else:
            raise Odd
    return value


def _typed(spec: FieldSpec, value: Any, zone: tzinfo) -> str:
    kind = spec.type
    if kind == "text" or kind == "lookup":
        return _checked_text(spec, value)
    if kind == "number":
        return _number(spec, value)
    if kind == "date" or kind == "datetime":
        return _time(spec, value, zone)
    if kind == "boolean":
        return _boolean(value)
    if kind == "picklist":
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        for local, remote in (spec.values or {}).items():
            if _plain(remote) == _plain(value):
                return local
        raise Broken("picklist")
    _check_characters(value)
    return msgspec.json.Encoder(decimal_format="number").encode(value).decode()


def _boolean(value: Any) -> str:
    word = str(value).lower() if isinstance(value, str | bool | int | Decimal) else None
    word = str(int(value)) if isinstance(value, Decimal) and value in (0, 1) else word
    if word in ("true", "t", "yes", "y", "on", "1"):
        return "t"
    if word in ("false", "f", "no", "n", "off", "0"):
        return "f"
    raise Broken("type")


def _checked_text(spec: FieldSpec, value: Any) -> str:
    if spec.type == "lookup" and isinstance(value, bool | date):
        raise Broken("type")
    text = _plain(value)
    _check_characters(text)
    if spec.max_length is not None and len(text) > spec.max_length:
        raise Broken("max_length")
    if spec.pattern is not None and not re.fullmatch(spec.pattern, text):
        raise Broken("pattern")
    if spec.one_of is not None and text not in [_plain(item) for item in spec.one_of]:
        raise Broken("one_of")
    return text


def _check_characters(value: Any) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise Broken("characters")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_characters(key)
            _check_characters(item)
    elif isinstance(value, list):
        for item in value:
            _check_characters(item)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    raise Broken("type")


def _number(spec: FieldSpec, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", value):
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Broken("type")
    number = Decimal(value)
    if spec.scale is not None:
        with localcontext() as context:
            context.prec = 3000
            number = number.quantize(Decimal(1).scaleb(-spec.scale), ROUND_HALF_UP)
    if spec.min is not None and number < Decimal(spec.min):
        raise Broken("min")
    if spec.max is not None and number > Decimal(spec.max):
        raise Broken("max")
    return format(number, "f")


def _time(spec: FieldSpec, value: Any, zone: tzinfo) -> str:
    if not isinstance(value, str | date):
        raise Broken("type")
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
        if spec.type == "date":
            found: Any = (moment.astimezone(zone) if moment.tzinfo else moment).date()
            low, high = (datetime.fromisoformat(str(b)).date() if b is not None else None for b in (spec.min, spec.max))
        else:
            found = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            low, high = (_instant(b, zone) if b is not None else None for b in (spec.min, spec.max))
    except (ValueError, OverflowError) as error:
        raise Broken("type") from error
    if low is not None and found < low:
        raise Broken("min")
    if high is not None and found > high:
        raise Broken("max")
    return str(found.isoformat())


def _instant(bound: Any, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(str(bound))
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
