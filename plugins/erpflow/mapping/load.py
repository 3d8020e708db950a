"""Reads mapping files, all or nothing: a file with a mistake never loads half, and the message names every mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.checks import Problem, Where, check_mapping
from erpflow.mapping.model import (
    COLUMN_PATTERN,
    NAME_PATTERN,
    TABLE_PATTERN,
    Children,
    DeletesEachWay,
    FieldSpec,
    Local,
    Lookup,
    Mapping,
    Part,
    Remote,
    RemoteFlag,
)
from erpflow.mapping.paths import dotted
from erpflow.mapping.transforms import known_transforms, load_transforms
from erpflow.mapping.values import excerpt
from erpflow.mapping.yamlfile import YamlFile, read_yaml

_STAND_INS: dict[str, Any] = {
    "system": "x",
    "entity": "x",
    "remote": {"object": "x", "key": "x"},
    "local": {"table": "x.x"},
}
"""What takes the place of a broken part while the other parts are checked."""

_PLURALS = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "too_short": "one at least",
}
_NAMES = {
    NAME_PATTERN: "a name in small letters, digits and _",
    COLUMN_PATTERN: "a name in letters, digits and _",
    TABLE_PATTERN: "schema.table, in letters, digits and _",
}


def find_mappings(folder: Path) -> list[Path]:
    """The mapping files below `folder`, `<system>/<entity>.yaml`, in order; templates are none."""
    found = (path for pattern in ("*.yaml", "*.yml") for path in folder.rglob(pattern))
    return sorted(path for path in found if path.is_file() and "templates" not in path.relative_to(folder).parts)


def load_mapping(path: Path, *, transforms: Path | None = None) -> Mapping:
    """The checked mapping of a file.

    `transforms` is the folder of the user's transforms; by default `transforms` beside the `mappings` folder the
    file is in. Raises ConfigError with a line `file:line: key: found X, allowed Y` for every mistake.
    """
    folder = transforms or path.resolve().parent.parent.parent / "transforms"
    if folder.is_dir():
        load_transforms(folder)
    file = read_yaml(path)
    mapping, problems = _checked(file.data)
    lines = [(line, key, message) for line, key, message in file.problems]
    lines += [(file.line_of(problem.where), dotted(problem.where), problem.message) for problem in problems]
    if mapping is None or lines:
        raise ConfigError(_report(file, lines))
    return mapping


def parse_mapping(data: Any, *, name: str) -> Mapping:
    """The checked mapping of plain data (an API body); `name` stands where the file would in messages."""
    mapping, problems = _checked(data)
    if mapping is None or problems:
        found = (f"{name}: {dotted(problem.where)}: {problem.message}" for problem in problems)
        raise ConfigError("\n".join(found))
    return mapping


def _report(file: YamlFile, lines: Iterable[tuple[int, str, str]]) -> str:
    return "\n".join(
        f"{file.path}:{line}: {f'{key}: ' if key else ''}{message}" for line, key, message in sorted(lines)
    )


def _checked(data: Any) -> tuple[Mapping | None, list[Problem]]:
    if not isinstance(data, dict):
        return None, [Problem((), f"found {excerpt(data)}, allowed a table of keys: {', '.join(Mapping.model_fields)}")]
    try:
        mapping = Mapping.model_validate(data)
        return mapping, check_mapping(mapping)
    except ValidationError as error:
        problems = [problem for detail in error.errors() for problem in _explain(data, detail)]
        return None, problems + _check_rest(data, error)


def _check_rest(data: dict[str, Any], error: ValidationError) -> list[Problem]:
    """The checks across fields, with stand-ins for what is broken, so that one round of mending is enough."""
    wheres = {tuple(detail["loc"]) for detail in error.errors() if detail["type"] != "too_short"}
    broken = {_field_of(where) for where in wheres}
    whole = {key: value for key, value in data.items() if (key,) not in broken}
    for key, stand_in in _STAND_INS.items():
        if isinstance(stand_in, dict) and isinstance(data.get(key), dict):
            whole[key] = stand_in | {name: part for name, part in data[key].items() if (key, name) not in wheres}
        else:
            whole.setdefault(key, stand_in)
    try:
        return check_mapping(Mapping.model_validate(_mended(whole, (), {where for where in broken if len(where) > 1})))
    except ValidationError:
        return []


def _field_of(where: Where) -> Where:
    """The whole field a problem is in, or the top-level key."""
    for length in (4, 2):
        if len(where) >= length and where[length - 2] == "fields" and isinstance(where[length - 1], int):
            return where[:length]
    return where[:1]


def _mended(data: Any, where: Where, broken: set[Where]) -> Any:
    """The data with each broken field replaced by a plain one of the same column."""
    if where in broken:
        number = "_".join(map(str, where))
        local = data.get("local") if isinstance(data, dict) else None
        named = isinstance(local, str) and re.match(COLUMN_PATTERN, local)
        if not named:
            return {"remote": f"stand_in_{number}", "value": "x"}
        return {"local": local, "remote": f"stand_in_{number}"}
    if isinstance(data, dict):
        return {key: _mended(value, (*where, key), broken) for key, value in data.items()}
    if isinstance(data, list):
        return [_mended(item, (*where, position), broken) for position, item in enumerate(data)]
    return data


def _at(data: Any, where: Where) -> Any:
    for step in where:
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _part_at(where: Where) -> type[Part]:
    """The model that knows the keys at a place."""
    names: dict[str, type[Part]] = {
        "remote": Remote,
        "local": Local,
        "deletes": DeletesEachWay,
        "deleted": RemoteFlag,
        "lookup": Lookup,
    }
    words = [step for step in where if isinstance(step, str)]
    if not words:
        return Mapping
    if words[-1] in ("fields", "children"):
        return FieldSpec if words[-1] == "fields" else Children
    return names.get(words[-1], FieldSpec)


def _explain(data: Any, detail: Any) -> Iterator[Problem]:
    """A complaint of pydantic's as `found X, allowed Y`."""
    where: Where = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    found = excerpt(_at(data, where))
    if kind == "checks":
        yield from (Problem((*where, *problem.where), problem.message) for problem in context["problems"])
    elif kind == "extra_forbidden":
        known = _part_at(where[:-1]).model_fields
        yield Problem(where, f'found the unknown key "{where[-1]}"{_allowed(str(where[-1]), known)}')
    elif kind == "missing":
        yield Problem(where, "found nothing, allowed: this key is required")
    elif kind == "transform":
        yield Problem(where, f'found "{context["name"]}"{_allowed(context["name"], known_transforms())}')
    elif kind == "arguments":
        yield Problem(where, f"found arguments that do not fit, allowed: {context['usage']}")
    elif kind == "too_short" and _at(data, where):
        return  # its items are wrong, and each of them has its own line
    elif kind == "enum":
        words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        yield Problem(where, f"found {found}{_allowed(str(_at(data, where)), words)}")
    else:
        yield Problem(where, f"found {found}, allowed {_expected(kind, context, detail['msg'])}")


def _allowed(found: str, known: Iterable[str]) -> str:
    """`, allowed a, b, c (did you mean "b"?)`"""
    hint, _, names = suggestion(found, known).partition(". Known: ")
    return f", allowed {names}{hint}"


def _expected(kind: str, context: dict[str, Any], message: str) -> str:
    if "allowed" in context:
        return str(context["allowed"])
    if kind == "string_pattern_mismatch":
        return _NAMES[context["pattern"]]
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "a table of keys"
    return _PLURALS.get(kind) or message.removeprefix("Input should be ").removeprefix("Value should ")
