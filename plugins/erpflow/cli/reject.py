"""`erpflow reject`: records that could not be applied, why, and another try."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from erpflow.cli.sync import REJECTS, report_all, run_syncs
from erpflow.cli.terminal import printable, quiet_logs
from erpflow.errors import ConfigError
from erpflow.services.installation import database

if TYPE_CHECKING:
    from collections.abc import Callable

    from erpflow.store.reject_report import KeptReject

MOST = 10_000
"""Rejects that one command tries again."""


@click.group()
def reject() -> None:
    """Records that could not be applied: they are kept whole until they are mended or given up."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose among rejects."""
    for option in (
        click.option("--field", help="Only with a problem of this column."),
        click.option("--rule", help="Only with a problem of this rule, such as required or lookup."),
        click.option("--entity", help="Only of this entity."),
        click.option("--connection", help="Only of this connection."),
    ):
        command = option(command)
    return command


@reject.command("list")
@_filters
@click.option("--all", "closed_too", is_flag=True, help="Those that are resolved or discarded, too.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def list_(*, closed_too: bool, limit: int, **wanted: Any) -> None:
    """List rejects with every problem, the latest first."""
    from erpflow.store import reject_report
    from erpflow.store.reject_report import RejectFilter
    from erpflow.vocabulary import DEFAULT_TENANT

    chosen = RejectFilter(**wanted, status=None if closed_too else "open")
    with database().session() as store:
        found = reject_report.find(store, chosen, tenant_id=DEFAULT_TENANT, limit=limit + 1)
    for each in found[:limit]:
        _show(each)
    if len(found) > limit:
        click.echo("… and more; --limit shows them")
    if not found:
        click.echo("There are no such rejects.")


@reject.command()
@click.argument("reject_id", metavar="ID")
def show(reject_id: str) -> None:
    """Show the record of a reject as the vendor sent it, and how it was before if it changed since."""
    from erpflow.store import reject_report
    from erpflow.store.reject_report import RejectFilter
    from erpflow.vocabulary import DEFAULT_TENANT

    chosen = RejectFilter(ids=(reject_id,), status=None)
    with database().session() as store:
        found = reject_report.find(store, chosen, tenant_id=DEFAULT_TENANT, limit=1)
        versions = reject_report.versions(store, reject_id, tenant_id=DEFAULT_TENANT)
    if not found:
        raise ConfigError(f"There is no reject {reject_id}. Those that wait: erpflow reject list")
    _show(found[0])
    for version in versions:
        if version.until is not None:
            click.secho(f"until {version.until:%Y-%m-%d %H:%M:%SZ}", fg="yellow")
            _problems(version.problems)
        click.echo(_pretty(version.payload))


@reject.command()
@click.argument("ids", nargs=-1)
@_filters
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.pass_obj
def retry(debug: bool, /, ids: tuple[str, ...], *, everything: bool, **wanted: Any) -> None:  # noqa: FBT001
    """Try rejects again: IDS, or those that the options choose. The vendor is not asked for the records of a pull.

    Status 0: none was rejected again, 2: some were, 1: it failed.
    """
    from erpflow.store import reject_report
    from erpflow.store.reject_report import RejectFilter
    from erpflow.vocabulary import DEFAULT_TENANT

    quiet_logs(debug=debug)
    if not (ids or everything or any(wanted.values())):
        raise click.UsageError("Say which: IDS, --connection, --entity, --rule, --field or --all.")
    db = database()
    with db.session() as store:
        chosen = RejectFilter(**wanted, ids=ids or None)
        found = reject_report.find(store, chosen, tenant_id=DEFAULT_TENANT, limit=MOST)
    missing = sorted(set(ids) - {each.id for each in found})
    if missing:
        raise ConfigError(f"There is no open reject {', '.join(missing)}. Those that wait: erpflow reject list")
    if not found:
        click.echo("There are no such rejects.")
        return
    again = False
    for connection, entity in sorted({(each.connection, each.entity) for each in found}):
        of_both = tuple(each.id for each in found if (each.connection, each.entity) == (connection, entity))
        again |= report_all(db, run_syncs(db, connection, entity, reject_ids=of_both))
    if again:
        sys.exit(REJECTS)


@reject.command()
@click.argument("ids", nargs=-1, required=True)
def discard(ids: tuple[str, ...]) -> None:
    """Give the rejects IDS up: they are kept, and not tried again."""
    from erpflow.store import reject_retries
    from erpflow.vocabulary import DEFAULT_TENANT

    with database().session() as store, store.transaction():
        done = reject_retries.discard(store, DEFAULT_TENANT, ids)
        missing = sorted(set(ids) - set(done))
        if missing:
            raise ConfigError(f"There is no open reject {', '.join(missing)}. Nothing was discarded.")
    click.echo(f"Discarded {len(done):,}.")


def _show(each: KeptReject) -> None:
    who = " / ".join(printable(name) for name in (each.remote_id, each.local_id) if name) or "a record without a key"
    tries = f"refused {each.attempts} times since" if each.attempts > 1 else "refused"
    click.secho(
        f"{each.id}  {each.connection} {each.entity} {each.direction}  {who}  {each.status}, "
        f"{tries} {each.first_seen_at:%Y-%m-%d %H:%MZ}",
        fg="yellow" if each.status == "open" else None,
    )
    _problems(each.problems)


def _problems(problems: list[dict[str, Any]]) -> None:
    for problem in problems:
        click.echo(f"    {printable(problem['message'], width=300)}")


def _pretty(payload: bytes) -> str:
    """A record for people; as it is when it is no JSON. A terminal gets no control characters of a vendor's."""
    try:
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        text = payload.decode(errors="replace")
    return "\n".join(printable(line, width=1_000_000) for line in text.splitlines())
