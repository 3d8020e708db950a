"""Reads mapping files, all or nothing: a file with a mistake never loads half, and the message names every mistake."""

from __future__ import annotations

import re
from collections.abc import Mapping as Values
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from erpflow.errors import ConfigError
from erpflow.mapping.checks import check_mapping
from erpflow.mapping.model import (
    Children,
    DeletesEachWay,
    FieldSpec,
    Local,
    Lookup,
    Mapping,
    Remote,
    RemoteFlag,
)
from erpflow.mapping.overrides import check_overrides, is_overridden, key_of, merged
from erpflow.mapping.templates import PAGE, Kept, Templates, find_templates
from erpflow.yaml_files.complaints import Complaint, Problem, Where, dotted, excerpt
from erpflow.yaml_files.explain import complaints_of, explained, plain_report
from erpflow.yaml_files.part import COLUMN_PATTERN, Part
from erpflow.yaml_files.reading import read_yaml

_STAND_INS: dict[str, Any] = {
    "system": "x",
    "entity": "x",
    "remote": {"object": "x", "key": "x"},
    "local": {"table": "x.x"},
}
"""What takes the place of a broken part while the other parts are checked."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A file with its overrides: the mapping (None when it cannot be made), its data, and everything that is wrong.

    Complaints about overrides have no line.
    """

    mapping: Mapping | None
    data: Any
    wrong: list[Complaint]


def find_mappings(folder: Path) -> list[Path]:
    """The mapping files below `folder`, `<system>/<entity>.yaml`, in order; templates are none."""
    found = (path for pattern in ("*.yaml", "*.yml") for path in folder.rglob(pattern))
    return sorted(path for path in found if path.is_file() and "templates" not in path.relative_to(folder).parts)


def load_mapping(
    path: Path,
    *,
    overrides: Values[str, Any] | None = None,
    transforms: Path | None = None,
    kept: Kept | None = None,
) -> Mapping:
    """The checked mapping of a file.

    `overrides`: what a sync config says in place of it (`mapping/overrides.py`). `transforms` is the folder of the
    user's functions; by default `transforms` beside the `mappings` folder the file is in. Templates are those of
    `templates` in the `mappings` folder, and those `kept` elsewhere, name to content; a file comes before a kept one.
    Raises ConfigError with a line `file:line: key: found X, allowed Y` for every mistake.
    """
    found = examine_mapping(path, overrides=overrides, transforms=transforms, kept=kept)
    if found.mapping is None or found.wrong:
        raise ConfigError("\n".join(complaint.told(_place(path, complaint)) for complaint in found.wrong))
    return found.mapping


def examine_mapping(
    path: Path,
    *,
    overrides: Values[str, Any] | None = None,
    transforms: Path | None = None,
    kept: Kept | None = None,
) -> Examined:
    """The same without raising for what is wrong in it. Raises ConfigError for a file that cannot be read at all."""
    instead = overrides or {}
    folder = path.resolve().parent.parent
    templates = find_templates(folder / "templates", transforms=transforms, kept=kept)
    file = read_yaml(path, page=PAGE)
    data = merged(file.data, instead)
    mapping, problems = _checked(data, templates)
    ours = [problem for problem in problems if is_overridden(problem.where, instead)]
    of_file = complaints_of(file, (problem for problem in problems if problem not in ours))
    ours += check_overrides(file.data, instead)
    wrong = [Complaint(dotted(key_of(problem.where)), problem.message) for problem in ours]
    return Examined(mapping, data, wrong + of_file)


def _place(path: Path, complaint: Complaint) -> str:
    return str(path) if complaint.line is not None else f"{path}, overrides of the sync config"


def parse_mapping(data: Any, *, name: str, templates: Templates | None = None) -> Mapping:
    """The checked mapping of plain data (an API body); `name` stands where the file would in messages.

    Without `templates` it may name none, and of transforms all that were ever read.
    """
    mapping, problems = _checked(data, templates)
    if mapping is None or problems:
        raise ConfigError("\n".join(plain_report(name, problems)))
    return mapping


def _checked(data: Any, templates: Templates | None) -> tuple[Mapping | None, list[Problem]]:
    if not isinstance(data, dict):
        return None, [Problem((), f"found {excerpt(data)}, allowed a table of keys: {', '.join(Mapping.model_fields)}")]
    try:
        mapping = Mapping.model_validate(data, context=templates)
        return mapping, check_mapping(mapping)
    except ValidationError as error:
        return None, explained(data, error, _part_at) + _check_rest(data, error, templates)


def _check_rest(data: dict[str, Any], error: ValidationError, templates: Templates | None) -> list[Problem]:
    """The checks across fields, with stand-ins for what is broken, so that one round of mending is enough."""
    wheres = {tuple(detail["loc"]) for detail in error.errors() if detail["type"] != "too_short"}
    broken = {_field_of(where) for where in wheres}
    whole = {key: value for key, value in data.items() if (key,) not in broken}
    for key, stand_in in _STAND_INS.items():
        if isinstance(stand_in, dict) and isinstance(data.get(key), dict):
            whole[key] = stand_in | {name: part for name, part in data[key].items() if (key, name) not in wheres}
        else:
            whole.setdefault(key, stand_in)
    fields = {where for where in broken if len(where) > 1}
    if any(where[0] == "fields" for where in fields):
        whole.pop("record", None)  # what its templates lack on the way back may be what is broken
    try:
        return check_mapping(Mapping.model_validate(_mended(whole, (), fields), context=templates))
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
