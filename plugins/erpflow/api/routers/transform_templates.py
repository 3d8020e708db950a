"""Templates: named groups of transforms that mappings share. Those of files are shown; those kept here are changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from pydantic import Field

from erpflow.api.bodies import Answer, Body, Limit
from erpflow.api.bodies import Page as PageOf
from erpflow.api.callers import Caller, Configuring, Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.errors import ConfigError
from erpflow.mapping.kinds import Level
from erpflow.mapping.templates import Template, Templates, find_templates, parse_template, problems_of
from erpflow.services.template_use import uses_of_templates
from erpflow.store import config_report, templates
from erpflow.yaml_files.complaints import dotted

router = APIRouter(tags=["templates"], route_class=IdempotentRoute)

FOLDER: Final = "templates"
Called = Annotated[str, InPath(min_length=1, max_length=100, description="The template's name")]


class TemplateContent(Body):
    """What a template does.

    `definition` as a template file has it: of a field `{"transform": ["trim", "lower"]}`, of a record `{"function":
    …, "reads": […], "gives": […]}`, of a batch `{"function": …}`. Functions are those of `include/transforms`.
    """

    level: Annotated[str, Field(max_length=20)]
    description: Annotated[str, Field(max_length=2000)] = ""
    definition: dict[str, Any]


class NewTemplate(TemplateContent):
    """A template to be kept, under a name that no file and no other template has: small letters, digits and _."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class TransformTemplate(Answer):
    """A template. `source`: a file, which only whoever writes files changes, or kept by this API.

    `usage_count`: rows that went through it. `used_by`: the mapping files that name it, and sync configs. `problem`:
    why it cannot be used, if that is so; `level` is null when a broken file does not say it.
    """

    name: str
    level: Level | None
    description: str
    definition: dict[str, Any]
    source: Literal["file", "kept"]
    usage_count: int
    last_used_at: datetime | None
    used_by: list[str]
    problem: str | None
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Known:
    """The templates of a tenant: files and kept ones, their rows, and the mappings that may name them."""

    found: Templates
    rows: dict[str, dict[str, Any]]
    mappings: Path
    overridden: list[tuple[str, str, dict[str, Any]]]

    def used_by(self) -> dict[str, list[str]]:
        """The mapping files and sync configs that name each template."""
        return uses_of_templates(self.mappings, kept=self.found.kept, overridden=self.overridden)[0]

    def shown(self) -> list[TransformTemplate]:
        """All of them by name."""
        used_by = self.used_by()
        return [self._one(name, used_by.get(name, [])) for name in self.found.names()]

    def _one(self, name: str, used_by: list[str]) -> TransformTemplate:
        is_file = name in self.found.files
        row = self.rows.get(name, {})
        row = row if row.get("of_file", is_file) == is_file else {}
        problem, template = None, None
        try:
            template = self.found.get(name)
        except ConfigError as error:
            problem = str(error).replace(f"{self.mappings}/", "")
        level = template.level if template else row.get("level")
        return TransformTemplate(
            name=name,
            level=level and Level(level),
            description=template.description if template else row.get("description", ""),
            definition=dict(template.definition if template else row.get("definition", {})),
            source="file" if is_file else "kept",
            usage_count=row.get("usage_count", 0),
            last_used_at=row.get("last_used_at"),
            used_by=used_by,
            problem=problem,
            created_at=row.get("created_at"),
            updated_at=row.get("updated_at"),
        )


@router.get("/transform-templates")
def list_transform_templates(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=100, description="`next` of the page before")] = None,
    level: Level | None = None,
    source: Literal["file", "kept"] | None = None,
) -> PageOf[TransformTemplate]:
    """The templates by name: those of files and those kept here, with how often and where they are used."""
    wanted = [
        one
        for one in _known(surroundings_of(request), caller).shown()
        if level in (None, one.level) and source in (None, one.source) and (after is None or one.name > after)
    ]
    return PageOf(items=wanted[:limit], next=wanted[limit - 1].name if len(wanted) > limit else None)


@router.get("/transform-templates/{name}")
def get_transform_template(request: Request, caller: Looking, name: Called) -> TransformTemplate:
    """One template."""
    return _shown(surroundings_of(request), caller, name)


@router.post("/transform-templates", status_code=HTTPStatus.CREATED)
def create_transform_template(request: Request, caller: Configuring, body: NewTemplate) -> TransformTemplate:
    """Keep a template. Everything that is wrong with it is named, key by key."""
    around = surroundings_of(request)
    known = _known(around, caller)
    _check_not_a_file(known, body.name)
    template = _checked(body.name, body, known.found)
    with around.database.session(caller.tenant_id) as store:
        if not templates.add(store, caller.tenant_id, template):
            raise ApiError(HTTPStatus.CONFLICT, "conflict", f'There is a template "{body.name}" already.', field="name")
    return _shown(around, caller, body.name)


@router.put("/transform-templates/{name}")
def change_transform_template(
    request: Request, caller: Configuring, name: Called, body: TemplateContent
) -> TransformTemplate:
    """Put another content in the place of a kept template's; its counts stay. One of a file is not changed: 409."""
    around = surroundings_of(request)
    known = _known(around, caller)
    _check_not_a_file(known, name)
    if name not in known.found.kept:
        raise not_found("template", name)
    template = _checked(name, body, known.found)
    with around.database.session(caller.tenant_id) as store:
        if not templates.change(store, caller.tenant_id, template):
            raise not_found("template", name)
    return _shown(around, caller, name)


@router.delete("/transform-templates/{name}", status_code=HTTPStatus.NO_CONTENT)
def delete_transform_template(request: Request, caller: Configuring, name: Called) -> None:
    """Delete a kept template that nothing uses. One of a file, or one in use, is not deleted: 409."""
    around = surroundings_of(request)
    known = _known(around, caller)
    _check_not_a_file(known, name)
    if name not in known.found.kept:
        raise not_found("template", name)
    users = [other for other in sorted(known.found.kept) if other != name and name in _named(known.found, other)]
    users += known.used_by().get(name, [])
    if users:
        raise ApiError(HTTPStatus.CONFLICT, "conflict", f'"{name}" is used by {", ".join(dict.fromkeys(users))}.')
    with around.database.session(caller.tenant_id) as store:
        if not templates.delete(store, caller.tenant_id, name):
            raise not_found("template", name)


def _known(around: Surroundings, caller: Caller) -> _Known:
    with around.database.session(caller.tenant_id) as store:
        kept = templates.kept_templates(store, tenant_id=caller.tenant_id)
        rows = templates.rows(store, caller.tenant_id)
        overridden = config_report.overridden(store)
    found = find_templates(around.mappings / FOLDER, kept=kept)
    return _Known(found, {row["name"]: row for row in rows}, around.mappings, overridden)


def _shown(around: Surroundings, caller: Caller, name: str) -> TransformTemplate:
    for one in _known(around, caller).shown():
        if one.name == name:
            return one
    raise not_found("template", name)


def _check_not_a_file(known: _Known, name: str) -> None:
    if name in known.found.files:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "conflict",
            f'"{name}" is a template of the file {FOLDER}/{known.found.files[name].name}: change it there, or choose '
            "another name.",
            field="name",
        )


def _checked(name: str, body: TemplateContent, among: Templates) -> Template:
    """Raises 422 with everything that is wrong, by key."""
    data = {**body.definition, "level": body.level, "description": body.description}
    problems = problems_of(data, name=name, templates=among)
    if problems:
        listed = [{"field": _field(one.where), "code": "invalid", "detail": one.message} for one in problems]
        said = "; ".join(f"{one['field']}: {one['detail']}" for one in listed)
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", said, field=listed[0]["field"], errors=list(listed))
    return parse_template(data, name=name, templates=among)


def _field(where: tuple[str | int, ...]) -> str:
    """The key as the body has it."""
    if not where:
        return "name"
    return dotted(where) if where[0] in ("level", "description", "name") else dotted(("definition", *where))


def _named(found: Templates, name: str) -> set[str]:
    """The templates that a template names itself."""
    try:
        template = found.get(name)
    except ConfigError:
        return set()
    steps = getattr(template.parts, "transform", ())
    return {inner.name for use in steps if use.origin is not None for inner in use.origin.templates}
