"""`erpflow conflict`: what both sides did to one record, and a person's decision on it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from erpflow.cli.terminal import printable, quiet_logs, shown
from erpflow.errors import ConfigError
from erpflow.services.installation import database, mappings_folder

if TYPE_CHECKING:
    from erpflow.store.conflicts import Conflict
    from erpflow.sync.resolve import Choice, Value

LOCAL, REMOTE = "local", "remote"


@click.group()
def conflict() -> None:
    """Look at conflicts, and decide those that wait for a person."""


@conflict.command(name="list")
@click.option("--all", "closed_too", is_flag=True, help="Those that are resolved, too.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.pass_obj
def list_(debug: bool, *, closed_too: bool, limit: int) -> None:  # noqa: FBT001
    """List conflicts, the newest first."""
    from erpflow.store import conflicts
    from erpflow.vocabulary import DEFAULT_TENANT

    quiet_logs(debug=debug)
    with database().session() as store:
        status = None if closed_too else "open"
        found = conflicts.find(store, tenant_id=DEFAULT_TENANT, status=status, limit=limit)
    for each in found:
        _show(each)
    if not found:
        click.echo("No conflict waits for a decision." if not closed_too else "There has been no conflict.")


@conflict.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--keep", type=click.Choice([LOCAL, REMOTE]), help="This side wins every field.")
@click.option("--field", "fields", multiple=True, metavar="NAME=local|remote|:VALUE", help="Who wins this field.")
@click.option("--by", default="cli", show_default=True, help="Who decides.")
@click.pass_obj
def resolve(debug: bool, ids: tuple[str, ...], *, keep: str | None, fields: tuple[str, ...], by: str) -> None:  # noqa: FBT001
    """Decide the conflicts IDS: --keep local or remote, or --field for each contested field.

    A field's own value is written behind a colon: --field phone=:+4912345.
    """
    from erpflow.sync.resolve import Resolver

    quiet_logs(debug=debug)
    if (keep is None) == (not fields):
        raise click.UsageError("Say --keep local or --keep remote, or --field for each contested field.")
    choice: Choice = keep if keep is not None else dict(map(_chosen, fields))
    failed = False
    for outcome, conflict_id in zip(
        Resolver(database(), mappings_folder()).resolve_all(ids, choice, by=by), ids, strict=True
    ):
        if isinstance(outcome, ConfigError):
            failed = True
            click.secho(f"{conflict_id}: {outcome}", err=True, fg="red")
        else:
            click.echo(f"{conflict_id}: {outcome.message}")
    if failed:
        sys.exit(1)


def _chosen(text: str) -> tuple[str, str | Value]:
    from erpflow.sync.resolve import Value

    name, separator, chosen = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not NAME=local, NAME=remote or NAME=:VALUE")
    return name, Value(chosen[1:] or None) if chosen.startswith(":") else chosen


def _show(each: Conflict) -> None:
    status = "waits" if each.status == "open" else f"{each.winner} won"
    click.secho(
        f"{each.id}  {each.connection} {each.entity}  {each.kind}  {status}  "
        f"{printable(each.remote_id or '-')} / {printable(each.local_id or '-')}",
        fg="yellow" if each.status == "open" else None,
    )
    for contest in each.fields:
        base, ours, theirs = (shown(value) for value in (contest.base, contest.local, contest.remote))
        click.echo(f"    {contest.field}: was {base}, here {ours}, there {theirs}")
    if each.reason:
        click.echo(f"    {printable(each.reason, width=200)}")
