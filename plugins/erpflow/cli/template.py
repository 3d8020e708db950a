"""`erpflow template`: the named groups of transforms that mappings share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import echo_table, printable
from erpflow.errors import ConfigError
from erpflow.services.installation import mappings_folder

if TYPE_CHECKING:
    from erpflow.mapping.templates import Template

FOLDER = "templates"


@click.group()
def template() -> None:
    """The named groups of transforms that mappings share."""


@template.command("list")
def list_() -> None:
    """List the templates of include/mappings/templates, and which mappings use them."""
    from erpflow.mapping.templates import find_templates
    from erpflow.services.template_use import uses_of_templates

    templates = find_templates(mappings_folder() / FOLDER)
    if not templates.names():
        click.echo(f"There are no templates in {mappings_folder() / FOLDER}. docs/reference-mapping.md shows one.")
        return
    used_by, unreadable = uses_of_templates(mappings_folder())
    lines = [("NAME", "LEVEL", "USED BY", "DESCRIPTION")]
    for name in templates.names():
        try:
            found = templates.get(name)
            level, description = str(found.level), printable(found.description or "-", width=100)
        except ConfigError:
            level, description = "?", "cannot be used; why: erpflow template check"
        lines.append((name, level, ", ".join(used_by.get(name, [])) or "-", description))
    echo_table(lines)
    if unreadable:
        click.secho(
            f"What {', '.join(unreadable)} may use is not known; why: erpflow mapping check", err=True, fg="red"
        )


@template.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check template files: all of include/mappings/templates without PATHS."""
    from erpflow.mapping.templates import find_templates

    files = _files(paths)
    wrong = 0
    for path in files:
        try:
            found = find_templates(path.parent).get(path.stem)
            click.echo(f"{path}: {_told(found)}. Correct.")
        except ConfigError as error:
            wrong += 1
            click.secho(str(error), err=True, fg="red")
    if wrong:
        click.secho(f"{wrong} of {len(files)} templates cannot be used.", err=True, fg="red")
        sys.exit(1)


def _files(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths or (mappings_folder() / FOLDER,):
        if path.is_dir():
            inside = sorted(file for pattern in ("*.yaml", "*.yml") for file in path.glob(pattern))
            if not inside:
                raise ConfigError(f"There is no template in the folder {path}.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise ConfigError(f"There is no file or folder {path}.")
    return found


def _told(found: Template) -> str:
    """What a template does, in half a sentence."""
    from erpflow.mapping.templates import BatchTemplate, FieldTemplate

    parts = found.parts
    if isinstance(parts, FieldTemplate):
        return f"field template, {', '.join(use.transform.name for use in parts.transform)}"
    if isinstance(parts, BatchTemplate):
        return f"batch template, {parts.function.name}"
    way = "both ways" if parts.function.reverse else "only for a pull"
    return f"record template, {', '.join(parts.reads)} → {', '.join(parts.gives)}, {way}"
