"""Complaints about a file's data as sentences: `found X, allowed Y`, where in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from erpflow.errors import suggestion
from erpflow.yaml_files.complaints import Complaint, Problem, Where, dotted, excerpt
from erpflow.yaml_files.part import NAMES, Part
from erpflow.yaml_files.reading import YamlFile

Parts = Callable[[Where], type[Part]]

_PLURALS = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "too_short": "one at least",
}


def explained(data: Any, error: ValidationError, parts: Parts) -> list[Problem]:
    """Each complaint of pydantic about `data`; `parts(where)` is the model that knows the keys at a place."""
    return [problem for detail in error.errors() for problem in _explain(data, detail, parts)]


def complaints_of(file: YamlFile, problems: Iterable[Problem]) -> list[Complaint]:
    """Everything that is wrong with the form or the data of a file, in its order."""
    lines = [(line, key, message) for line, key, message in file.problems]
    lines += [(file.line_of(problem.where), dotted(problem.where), problem.message) for problem in problems]
    return [Complaint(key, message, line) for line, key, message in sorted(lines)]


def report(file: YamlFile, problems: Iterable[Problem]) -> list[str]:
    """`file:line: key: message` for everything that is wrong with the form or the data of a file, in its order."""
    return [complaint.told(str(file.path)) for complaint in complaints_of(file, problems)]


def plain_report(name: str, problems: Iterable[Problem]) -> list[str]:
    """`name: key: message` for everything that is wrong with plain data."""
    shown = ((f"{dotted(problem.where)}: " if problem.where else "", problem.message) for problem in problems)
    return [f"{name}: {key}{message}" for key, message in shown]


def _at(data: Any, where: Where) -> Any:
    for step in where:
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _explain(data: Any, detail: Any, parts: Parts) -> Iterator[Problem]:
    """A complaint of pydantic's as `found X, allowed Y`."""
    where: Where = tuple(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    found = excerpt(_at(data, where))
    if kind == "checks":
        yield from (Problem((*where, *problem.where), problem.message) for problem in context["problems"])
    elif kind == "extra_forbidden":
        known = parts(where[:-1]).model_fields
        yield Problem(where, f'found the unknown key "{where[-1]}"{allowed(str(where[-1]), known)}')
    elif kind == "missing":
        yield Problem(where, "found nothing, allowed: this key is required")
    elif kind == "unknown":
        name = context["name"]
        yield Problem(where, f"found {excerpt(name)}{allowed(str(name), context['known'])}")
    elif kind == "sentence":
        yield Problem(where, context["sentence"])
    elif kind == "arguments":
        yield Problem(where, f"found arguments that do not fit, allowed: {context['usage']}")
    elif kind == "too_short" and _at(data, where):
        return  # its items are wrong, and each of them has its own line
    elif kind == "enum":
        words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        yield Problem(where, f"found {found}{allowed(str(_at(data, where)), words)}")
    else:
        yield Problem(where, f"found {found}, allowed {_expected(kind, context, detail['msg'])}")


def allowed(found: str, known: Iterable[str]) -> str:
    """`, allowed a, b, c (did you mean "b"?)`"""
    hint, _, names = suggestion(found, known).partition(". Known: ")
    return f", allowed {names}{hint}"


def _expected(kind: str, context: dict[str, Any], message: str) -> str:
    if "allowed" in context:
        return str(context["allowed"])
    if kind == "string_pattern_mismatch":
        return NAMES[context["pattern"]]
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "a table of keys"
    return _PLURALS.get(kind) or message.removeprefix("Input should be ").removeprefix("Value should ")
