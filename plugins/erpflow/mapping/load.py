"""Reads mapping files, all or nothing: a file with a mistake never loads half, and the message names every mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.checks import Problem, Where, check_mapping
from erpflow.mapping.model import Children, DeletesEachWay, FieldSpec, Local, Lookup, Mapping, Part, Remote
from erpflow.mapping.transforms import load_transforms
from erpflow.mapping.values import excerpt
from erpflow.mapping.yamlfile import YamlFile, dotted, read_yaml

_PLURALS = {"string_type": "a text", "bool_type": "true or false", "int_type": "a whole number", "tuple_type": "a list"}


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
    """The checks across fields for what could be read, so that one round of mending is enough."""
    broken = {_field_of(tuple(detail["loc"])) for detail in error.errors()}
    rest, positions = _without(data, broken)
    try:
        mapping = Mapping.model_validate(rest)
    except ValidationError:
        return []
    unread = frozenset(str(_at(data, (*where, "local"))) for where in broken)
    return [
        Problem(_moved(problem.where, positions), problem.message) for problem in check_mapping(mapping, unread=unread)
    ]


def _field_of(where: Where) -> Where:
    """The whole field or child a problem is in, or the top-level key."""
    for length in (4, 2):
        if len(where) >= length and where[length - 2] == "fields" and isinstance(where[length - 1], int):
            return where[:length]
    return where[:1]


def _without(data: dict[str, Any], broken: set[Where]) -> tuple[dict[str, Any], dict[Where, list[int]]]:
    """The data without its broken fields, and the old positions of the fields that stay."""
    positions: dict[Where, list[int]] = {}

    def kept(fields: Any, where: Where) -> Any:
        if not isinstance(fields, list):
            return fields
        positions[where] = [position for position in range(len(fields)) if (*where, position) not in broken]
        return [fields[position] for position in positions[where]]

    rest = {key: value for key, value in data.items() if (key,) not in broken}
    if "fields" in rest:
        rest["fields"] = kept(rest["fields"], ("fields",))
    if isinstance(rest.get("children"), list):
        rest["children"] = [
            {**child, "fields": kept(child.get("fields"), ("children", number, "fields"))}
            if isinstance(child, dict)
            else child
            for number, child in enumerate(rest["children"])
        ]
    return rest, positions


def _moved(where: Where, positions: dict[Where, list[int]]) -> Where:
    for length in (3, 1):
        olds = positions.get(where[:length])
        if olds is not None and len(where) > length and isinstance(where[length], int):
            return (*where[:length], olds[int(where[length])], *where[length + 1 :])
    return where


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
    names: dict[str, type[Part]] = {"remote": Remote, "local": Local, "deletes": DeletesEachWay, "lookup": Lookup}
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
        yield Problem(where, f"found {context['text'].replace('. Known:', ', allowed:', 1)}")
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
        dot = r"\." in context["pattern"]
        return "schema.table, in letters, digits and _" if dot else "a name in letters, digits and _"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "a table of keys"
    return _PLURALS.get(kind) or message.removeprefix("Input should be ").removeprefix("Value should ")
