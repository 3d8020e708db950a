"""`erpflow plan`: what a sync would do on both sides, field by field, without doing it."""

from __future__ import annotations

import json
from typing import Any

import click

from erpflow.cli.sync import run_syncs
from erpflow.cli.terminal import printable, quiet_logs, shown
from erpflow.services.installation import database

SHOWN = 50
SIGNS = {"created": ("+", "green"), "updated": ("~", "yellow"), "deleted": ("-", "red"), "conflict": ("!", "magenta")}
SIDES = {"pull": "here", "push": "there"}


@click.command()
@click.argument("connection")
@click.argument("entity")
@click.option("--full", is_flag=True, help="Look at everything, not only what changed.")
@click.option("--limit", type=click.IntRange(1), default=SHOWN, show_default=True, help="Changes to show at most.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for a program.")
@click.pass_obj
def plan(debug: bool, connection: str, entity: str, *, full: bool, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Show what a sync of ENTITY of CONNECTION would create, update, delete, and which conflicts it would meet.

    Nothing is written on either side. The vendor is asked as a sync asks it.
    """
    from erpflow.sync.dry_run import would_change

    quiet_logs(debug=debug)
    db = database()
    found = would_change(db, run_syncs(db, connection, entity, full=full, dry_run=True))
    changes = found.changes
    if as_json:
        click.echo(json.dumps(changes, ensure_ascii=False, indent=2))
        return
    for change in changes[:limit]:
        _show(change)
    if len(changes) > limit:
        click.echo(f"… and {len(changes) - limit:,} more; --limit shows them")
    for summary in found.summaries:
        counts = summary.counts
        click.echo(
            f"{SIDES[summary.direction]}: {counts.created:,} to create, {counts.updated:,} to update, "
            f"{counts.deleted:,} to delete, {counts.conflict:,} conflicts, {counts.rejected:,} rejects, "
            f"{counts.unchanged:,} unchanged"
        )
    click.echo("Nothing was written.")


def _show(change: dict[str, Any]) -> None:
    sign, colour = SIGNS[change["change"]]
    side = SIDES[change["direction"]]
    who = " / ".join(printable(part) for part in (change["remote_id"], change["local_id"]) if part)
    click.secho(f"{sign} {change['change']} {side}: {who}", fg=colour)
    if change["reason"]:
        click.echo(f"    {printable(change['reason'], width=200)}")
    before, after = change["before"] or {}, change["after"] or {}
    for name in dict.fromkeys((*before, *after)):
        click.echo(f"    {name}: {shown(before.get(name))} → {shown(after.get(name))}")
