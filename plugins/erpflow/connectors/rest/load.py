"""Reads declarations, all or nothing: the message names every mistake with file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from erpflow.connectors.rest.checks import check_declaration
from erpflow.connectors.rest.model import (
    Auth,
    Check,
    Declaration,
    DeletedListing,
    Entity,
    Finding,
    Form,
    Getting,
    GettingMany,
    Limits,
    Listing,
    Paging,
    Request,
    Rule,
    Session,
    Setting,
    Times,
    Write,
)
from erpflow.errors import ConfigError
from erpflow.yaml_files.complaints import Problem, Where, excerpt
from erpflow.yaml_files.explain import explained, report
from erpflow.yaml_files.part import Part
from erpflow.yaml_files.reading import read_yaml

PAGE: Final = "docs/how-to-declare-a-connector.md"

_PARTS: Final[dict[str, type[Part]]] = {
    "auth": Auth, "form": Form, "limits": Limits, "times": Times, "check": Check, "errors": Rule, "list": Listing,
    "paging": Paging, "get": Getting, "many": GettingMany, "find": Finding, "deleted": DeletedListing, "create": Write,
    "update": Write, "delete": Write, "login": Request, "send": Session,
}  # fmt: skip


def load_declaration(path: Path) -> Declaration:
    """The checked declaration of a file.

    Raises ConfigError with a line `file:line: key: found X, allowed Y` for every mistake.
    """
    file = read_yaml(path, page=PAGE)
    declaration, problems = _checked(file.data)
    if declaration is not None and declaration.system != path.stem:
        problems.append(
            Problem(("system",), f"found {excerpt(declaration.system)}, allowed {path.stem}: the file's name")
        )
    lines = report(file, problems)
    if declaration is None or lines:
        raise ConfigError("\n".join(lines))
    return declaration


def _checked(data: Any) -> tuple[Declaration | None, list[Problem]]:
    if not isinstance(data, dict):
        known = ", ".join(Declaration.model_fields)
        return None, [Problem((), f"found {excerpt(data)}, allowed a table of keys: {known}")]
    try:
        declaration = Declaration.model_validate(data)
    except ValidationError as error:
        return None, explained(data, error, _part_at)
    return declaration, check_declaration(declaration)


def _part_at(where: Where) -> type[Part]:
    """The model that knows the keys at a place."""
    words = [step for step in where if isinstance(step, str)]
    if not words:
        return Declaration
    if len(words) == 2 and words[0] in ("entities", "settings"):
        return Entity if words[0] == "entities" else Setting
    return _PARTS.get(words[-1], Declaration)
