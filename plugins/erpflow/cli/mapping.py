"""`erpflow mapping`: check mapping files, and try them on records without writing anything."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import printable, quiet_logs
from erpflow.errors import ConfigError, ErpflowError
from erpflow.services.installation import connector_for, database, home, mappings_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from erpflow.mapping.model import Mapping
    from erpflow.store.database import Database
    from erpflow.sync.preview import Previewed

MOST_RECORDS = 100
REJECTS = 2


@click.group()
def mapping() -> None:
    """Check mapping files, and try them without writing anything."""


@mapping.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--no-database", is_flag=True, help="Do not compare with the tables of the database.")
def check(paths: tuple[Path, ...], *, no_database: bool) -> None:
    """Check mapping files, or all in a folder: the whole of include/mappings without PATHS.

    Their tables and columns are compared with the database, when one is set.
    """
    from erpflow.store.database import URL_VARIABLE, setting

    files = list(_files(paths or (mappings_folder(),)))
    db = database() if not no_database and setting(URL_VARIABLE, home=home()) else None
    wrong = 0
    for path in files:
        try:
            click.echo(f"{path}: {_check(path, db)}")
        except ConfigError as error:
            wrong += 1
            click.secho(str(error), err=True, fg="red")
    if db is None:
        click.echo(
            f"The tables were not looked at: {'as you wished' if no_database else f'{URL_VARIABLE} is not set'}."
        )
    if wrong:
        click.secho(f"{wrong} of {len(files)} mappings cannot be used.", err=True, fg="red")
        sys.exit(1)


@mapping.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--connection", help="Ask this connection for records.")
@click.option(
    "--file", "source", type=click.Path(path_type=Path), help="Take them from a file: a page, JSON, JSON lines."
)
@click.option("--limit", type=click.IntRange(1, MOST_RECORDS), default=10, show_default=True, help="Records at most.")
@click.pass_obj
def preview(debug: bool, path: Path, *, connection: str | None, source: Path | None, limit: int) -> None:  # noqa: FBT001
    """Show what the mapping PATH makes of some records, remote → local, side by side. Nothing is written."""
    from erpflow.mapping.compile import compile_pull
    from erpflow.mapping.load import load_mapping
    from erpflow.sync.preview import preview_records

    quiet_logs(debug=debug)
    if (connection is None) == (source is None):
        raise ConfigError("Say where the records come from: --connection NAME or --file PATH, one of them.")
    loaded = load_mapping(path)
    zone, raws = _live(connection, loaded, limit) if connection else _from_file(source or path, loaded, limit)
    shown = preview_records(compile_pull(loaded, zone=zone), raws)
    _show(loaded, shown)
    if any(one.problems for one in shown):
        sys.exit(REJECTS)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    from erpflow.mapping.load import find_mappings

    for path in paths:
        if path.is_dir():
            found = find_mappings(path)
            if not found:
                raise ConfigError(f"There is no mapping in the folder {path}.")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"There is no file or folder {path}.")


def _check(path: Path, db: Database | None) -> str:
    """What the mapping does, in a sentence. Raises ConfigError when it cannot be used."""
    from erpflow.mapping.load import load_mapping
    from erpflow.sync.mapping_check import check_programs, check_tables

    found = load_mapping(path)
    check_programs(found)
    _check_conflicts(found, where=str(path))
    if db is not None:
        with db.session() as store:
            wrong = check_tables(store, found)
        if wrong:
            raise ConfigError("\n".join(f"{path}: {complaint.message}" for complaint in wrong))
    lines = "".join(f", lines in {child.local}" for child in found.children)
    return f"{found.entity} of {found.system} ↔ {found.local.table}, {len(found.fields)} fields{lines}. Correct."


def _check_conflicts(found: Mapping, *, where: str) -> None:
    """Raise ConfigError for a strategy that the system cannot be judged by; one without a connector may be anything."""
    from erpflow.connectors.registry import connector_class, systems
    from erpflow.sync.counted import unjudgeable

    spec = connector_class(found.system).spec.entities.get(found.entity) if found.system in systems() else None
    if spec is not None and (problem := unjudgeable(found, spec)):
        raise ConfigError(f"{where}: {problem}")


def _live(name: str, loaded: Mapping, limit: int) -> tuple[str, list[msgspec.Raw]]:
    """The zone and up to `limit` records as the vendor sends them now."""
    from erpflow.store import connections
    from erpflow.sync.preview import first_records

    db = database()
    with db.session() as store:
        row = connections.get_connection(store, name)
    if row.system != loaded.system:
        raise ConfigError(f'The connection "{name}" is to {row.system}, and the mapping is for {loaded.system}.')
    with connector_for(row, db) as vendor:
        return first_records(vendor, loaded.entity, limit=limit)


def _from_file(path: Path, loaded: Mapping, limit: int) -> tuple[str, list[msgspec.Raw]]:
    """Up to `limit` records of a file: a page as the vendor sends it, a JSON list, or a record a line."""
    import msgspec

    from erpflow.connectors.registry import connector_class

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read: {error.strerror}.") from None
    try:
        return "UTC", connector_class(loaded.system).split(loaded.entity, data)[:limit]
    except ErpflowError:
        pass  # not one of the vendor's pages
    try:
        return "UTC", msgspec.json.decode(data, type=list[msgspec.Raw])[:limit]
    except msgspec.DecodeError:
        lines = (line for line in data.splitlines() if line.strip())
        return "UTC", [msgspec.Raw(line) for line in islice(lines, limit)]


def _show(loaded: Mapping, shown: list[Previewed]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for number, one in enumerate(shown, start=1):
        state = Text("rejected", style="red") if one.problems else Text("mapped", style="green")
        if one.dropped is not None:
            state = Text(one.dropped, style="yellow")
        console.print(Text(f"\n{number}. {printable(one.key or 'without a key')}: ").append_text(state))
        table = Table(box=None, pad_edge=False)
        for title in ("remote", "value", f"→ {loaded.local.table}", "value"):
            table.add_column(title, overflow="fold")
        for row in one.rows:
            table.add_row(*(Text(printable(text)) for text in row))
        console.print(table)
        for problem in one.problems:
            console.print(Text(f"   {printable(problem, width=300)}", style="red"))
    rejected = sum(bool(one.problems) for one in shown)
    dropped = sum(one.dropped is not None for one in shown)
    mapped = len(shown) - rejected - dropped
    left_out = f"{dropped} dropped, " if dropped else ""
    console.print(f"\n{len(shown)} records: {mapped} mapped, {left_out}{rejected} rejected. Nothing was written.")
