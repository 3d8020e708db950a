"""`erpflow reconcile`: both sides compared whole, every difference named, and repaired where that is asked for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from erpflow.cli.sync import progress_bar, stoppable
from erpflow.cli.terminal import echo_table, printable, quiet_logs
from erpflow.errors import DeletesNeedApproval
from erpflow.services.installation import database, engine, landing_root, mappings_folder
from erpflow.vocabulary import REPAIRABLE, FindingKind

if TYPE_CHECKING:
    from erpflow.store.database import Database
    from erpflow.store.reconciliations import KeptFinding, Reconciliation
    from erpflow.vocabulary import SyncLogId

FINDINGS = 2
SHOWN = 20


@click.command()
@click.argument("connection")
@click.argument("entity")
@click.argument("kinds", nargs=-1, type=click.Choice([kind.value for kind in REPAIRABLE]), metavar="[KIND]...")
@click.option("--repair", is_flag=True, help="Repair what can be; with KINDs behind it only those.")
@click.option("--allow-deletes", is_flag=True, help="Let a repair delete without asking, however much it is.")
@click.option(
    "--csv", "csv_path", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write all findings here."
)
@click.option("--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="Findings to show at most.")
@click.pass_obj
def reconcile(
    debug: bool,  # noqa: FBT001  (click hands its object over by position)
    connection: str,
    entity: str,
    kinds: tuple[str, ...],
    *,
    repair: bool,
    allow_deletes: bool,
    csv_path: Path | None,
    limit: int,
) -> None:
    """Compare ENTITY of CONNECTION on both sides, and name what is missing, extra, different or there twice.

    The vendor is read whole. Without --repair nothing is written on either side. Status 0: both sides are alike (by
    now), 2: something was found and is left, 1: it failed.
    """
    quiet_logs(debug=debug)
    if kinds and not repair:
        raise click.UsageError("Kinds say what to repair: write --repair before them.")
    repairs = [FindingKind(kind) for kind in kinds] or list(FindingKind) if repair else []
    db = database()
    system, log_id = _open(db, connection, entity, repairs, allow_deletes=allow_deletes)
    unanswered: DeletesNeedApproval | None = None
    try:
        with stoppable(), progress_bar(f"{connection} {entity}") as on_progress:
            engine(db).reconcile(log_id, on_progress=on_progress)
    except DeletesNeedApproval as question:
        unanswered = question
    done = _show(db, log_id, limit=limit)
    if csv_path is not None:
        _copy_report(system, entity, log_id, csv_path)
        click.echo(f"All of them: {csv_path}")
    if unanswered is not None:
        raise unanswered
    if done.left:
        sys.exit(FINDINGS)


def _open(
    db: Database, connection: str, entity: str, repairs: list[FindingKind], *, allow_deletes: bool
) -> tuple[str, SyncLogId]:
    """The system of a connection, and the sync log of a new reconciliation."""
    from erpflow.store import connections
    from erpflow.sync.configure import ensure_config
    from erpflow.sync.plan import RunRequest
    from erpflow.sync.reconcile import plan_reconciliations

    with db.session() as store:
        row = connections.get_connection(store, connection)
        ensure_config(store, row.id, entity, system=row.system, mappings=mappings_folder())
        asked = RunRequest(kind="manual", connection=connection, triggered_by="cli", allow_deletes=allow_deletes)
        (planned,) = plan_reconciliations(store, asked, system=row.system, entity=entity, repairs=repairs)
    return row.system, planned.log_id


def _show(db: Database, log_id: SyncLogId, *, limit: int) -> Reconciliation:
    """Print what was compared and found: the numbers of each kind, and the first findings."""
    from erpflow.store import reconciliations, sync_logs

    with db.session() as store:
        done = reconciliations.get(store, log_id)
        log = sync_logs.summary(store, log_id)
        first = reconciliations.first_findings(store, log_id, limit=limit)
    total = sum(done.found.values())
    said = f"{total:,} findings" if total else "both sides are alike"
    click.echo(
        f"{log.connection} {log.entity}: {log.counts.read:,} records compared, {said}. "
        f"{log.seconds:.1f} s, sync log {log_id}"
    )
    if total:
        _show_counts(done)
    for each in first:
        _show_finding(each)
    if total > len(first):
        click.echo(f"… and {total - len(first):,} more; --limit shows them, --csv writes all")
    return done


def _show_counts(done: Reconciliation) -> None:
    lines = [("KIND", "FOUND", "REPAIRED", "LEFT")]
    for kind, found in done.found.items():
        repaired = done.repaired.get(kind, 0)
        lines.append((kind.value, f"{found:,}", f"{repaired:,}", f"{found - repaired:,}"))
    echo_table(lines)


def _show_finding(each: KeptFinding) -> None:
    who = " / ".join(printable(part) for part in (each.remote_id, each.local_id) if part) or "a record without a key"
    outcome = {None: "", True: "; repaired", False: f"; not repaired: {each.outcome}"}[each.repaired]
    colour = "green" if each.repaired else "yellow"
    click.secho(f"{each.kind.value}: {who}", fg=colour, nl=False)
    click.echo(f"  {printable(each.reason + outcome, width=200)}")
    for name, value in each.fields.items():
        click.echo(f"    {name}: here {_value(value['here'])}, there {_value(value['there'])}")


def _value(text: str | None) -> str:
    return "∅" if text is None else printable(text)


def _copy_report(system: str, entity: str, log_id: SyncLogId, path: Path) -> None:
    from erpflow.sync.findings import REPORT

    report = landing_root() / system / entity / log_id / REPORT
    with report.open("rb") as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
