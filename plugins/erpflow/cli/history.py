"""`erpflow history`: what happened to one record, and in which run."""

from __future__ import annotations

import click

from erpflow.cli.terminal import printable, shown
from erpflow.services.installation import database

WAYS = {"pull": "from there", "push": "to there"}


@click.command()
@click.argument("connection")
@click.argument("entity")
@click.argument("record")
@click.option("--local", is_flag=True, help="RECORD is the key here, not the vendor's id.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def history(connection: str, entity: str, record: str, *, local: bool, limit: int) -> None:
    """Show every change of RECORD of an ENTITY of CONNECTION, field by field, the newest first."""
    from erpflow.store import configs, connections
    from erpflow.store import history as kept

    with database().session() as store:
        config = configs.get_config(store, connections.get_connection(store, connection).id, entity)
        remote_id, local_id = (None, record) if local else (record, None)
        changes = kept.of_record(store, config.id, remote_id=remote_id, local_id=local_id, limit=limit)
    if not changes:
        click.echo(f"Nothing is kept of {printable(record)}. Whose id it is: the vendor's, or with --local ours.")
    for change in changes:
        click.secho(
            f"{change.at:%Y-%m-%d %H:%M:%SZ}  {change.change} {WAYS[change.direction]}  sync log {change.log_id}",
            fg="yellow",
        )
        before, after = change.before or {}, change.after or {}
        for name in dict.fromkeys((*before, *after)):
            click.echo(f"    {name}: {shown(before.get(name))} → {shown(after.get(name))}")
