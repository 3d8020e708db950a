"""`erpflow connector`: systems that a YAML file declares, and the beginning of one in Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from erpflow.cli.terminal import printable, quiet_logs
from erpflow.errors import ConfigError, suggestion
from erpflow.services.installation import connector_for, database

if TYPE_CHECKING:
    from erpflow.connectors.rest.model import Declaration
    from erpflow.connectors.rest.reading import Reader

MOST_CHARACTERS = 400


@click.group()
def connector() -> None:
    """Systems that a YAML file declares, and new ones in Python."""


@connector.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check declarations: PATHS, or all in include/connectors. Nobody is asked."""
    from erpflow.connectors.rest.files import connectors_folder, find_declarations

    files = list(paths) or list(find_declarations().values())
    if not files:
        raise ConfigError(f"There is no declaration in the folder {connectors_folder()}.")
    wrong = 0
    for path in files:
        try:
            click.echo(f"{path}: {_told(_declaration(path))}")
        except ConfigError as error:
            wrong += 1
            click.secho(str(error), err=True, fg="red")
    if wrong:
        click.secho(f"{wrong} of {len(files)} declarations cannot be used.", err=True, fg="red")
        sys.exit(1)


@connector.command("try")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--connection", "name", required=True, help="The connection to ask with.")
@click.option("--entity", help="The entity to read. Default: the first one of the file.")
@click.pass_obj
def try_(debug: bool, path: Path, *, name: str, entity: str | None) -> None:  # noqa: FBT001
    """Fetch one page as the declaration PATH says, and show what it is. Nothing is written."""
    from erpflow.connectors.rest.connector import RestConnector, connector_of
    from erpflow.store import connections

    quiet_logs(debug=debug)
    declaration = _declaration(path)
    entity = entity or next(iter(declaration.entities))
    if entity not in declaration.entities:
        raise ConfigError(f'{path} declares no entity "{entity}"{suggestion(entity, declaration.entities)}')
    db = database()
    with db.session() as store:
        row = connections.get_connection(store, name)
    if row.system != declaration.system:
        raise ConfigError(f'The connection "{name}" is to {row.system}, and {path} declares {declaration.system}.')
    with connector_for(row, db, connector=connector_of(declaration)) as vendor:
        _show(cast(RestConnector, vendor).reader(entity), entity)


@connector.command()
@click.argument("system")
@click.option("--title", help="What people call it. Default: made of its name.")
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The clone of erpflow to put it in. Default: here.",
)
def new(system: str, *, title: str | None, project: Path) -> None:
    """Begin a connector in Python for SYSTEM: module, sandbox, contract test, mapping, DAG and page."""
    from erpflow.cli.scaffold import scaffold

    made = scaffold(project, system, title=title or " ".join(word.capitalize() for word in system.split("_")))
    for path in made:
        click.echo(path)
    click.echo(
        f"It keeps the contract from here on: python -m pytest tests/contract/test_{system}_connector.py\n"
        "Replace what is marked ADAPT by what the vendor's documentation says; docs/how-to-write-a-connector.md walks "
        "through it."
    )


def _declaration(path: Path) -> Declaration:
    """The declaration of a file. Raises ConfigError with all that is wrong, and for a name that is taken."""
    from erpflow.connectors.registry import written_systems
    from erpflow.connectors.rest.load import load_declaration

    found = load_declaration(path)
    if found.system in written_systems():
        raise ConfigError(
            f"{path}:1: system: found {found.system}, which has a connector in Python. Choose another name for the "
            "system and the file."
        )
    return found


def _told(declaration: Declaration) -> str:
    """What a declaration says, in a line."""
    entities = []
    for name, entity in declaration.entities.items():
        writes = ", ".join(operation.value for operation in entity.writes())
        entities.append(f"{name} ({entity.list.paging.kind.value}{f'; {writes}' if writes else ''})")
    return f"{declaration.title}, auth {declaration.auth.kind.value}, {', '.join(entities)}. Correct."


def _show(reader: Reader, entity: str) -> None:
    """One page: the answer's status, what was in it, its first record, and where the next page would be."""
    tried = reader.tried()
    answer, records = tried.answer, tried.rows
    click.echo(f"{answer.method} {answer.path}: HTTP {answer.status} in {answer.latency * 1000:.0f} ms")
    click.echo(f"{len(records)} records of {entity}, {tried.asked} asked for")
    if records:
        first = records[0]
        changed = f", changed {first.modified} ({first.at:%Y-%m-%d %H:%M:%S}Z)" if first.at else ""
        click.echo(f"First: {printable(first.id)}{changed}")
        for name, value in tried.first.items():
            click.echo(f"  {printable(name)}: {printable(_compact(value), width=MOST_CHARACTERS)}")
    click.echo(f"Next page: {printable(tried.following or 'none, this is the last one', width=MOST_CHARACTERS)}")


def _compact(value: Any) -> str:
    from erpflow.connectors.rest.expressions import encode

    return encode(value).decode()
