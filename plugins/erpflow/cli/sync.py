"""`erpflow sync`: the engine of the DAGs, without Airflow."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from erpflow.cli.terminal import echo_table, printable, quiet_logs
from erpflow.services.installation import database, engine, mappings_folder

if TYPE_CHECKING:
    from erpflow.store.database import Database
    from erpflow.store.sync_logs import RunSummary
    from erpflow.sync.pull import Progress
    from erpflow.vocabulary import Direction

REJECTS = 2
SHOWN_REJECTS = 5
LET_GO_AFTER_S = 2.0


@click.group()
def sync() -> None:
    """Sync without Airflow."""


def _moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """A time as ISO 8601 writes it; without an offset it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a time. Write 2026-01-31 or 2026-01-31T13:00:00+01:00.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _direction(_context: click.Context, _option: click.Parameter, text: str | None) -> Direction | None:
    """A direction by its word."""
    from erpflow.vocabulary import Direction

    return Direction(text) if text else None


@sync.command()
@click.argument("connection")
@click.argument("entity")
@click.option("--full", is_flag=True, help="Look at everything, not only what changed.")
@click.option("--since", callback=_moment, help="Read what changed since then (ISO 8601; UTC without an offset).")
@click.option("--until", callback=_moment, help="Read what changed before then.")
@click.option(
    "--direction", type=click.Choice(["pull", "push"]), callback=_direction, help="Only this one; else as configured."
)
@click.option("--record", "records", multiple=True, help="Only this record, by the vendor's id; may be repeated.")
@click.option("--allow-deletes", is_flag=True, help="Delete without asking, however many there are.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and write nothing to either side.")
@click.pass_obj
def run(
    debug: bool,  # noqa: FBT001  (click hands its object over by position)
    connection: str,
    entity: str,
    *,
    full: bool,
    since: datetime | None,
    until: datetime | None,
    direction: Direction | None,
    records: tuple[str, ...],
    allow_deletes: bool,
    dry_run: bool,
) -> None:
    """Sync ENTITY of CONNECTION now. Status 0: all applied, 2: some were rejected, 1: it failed."""
    quiet_logs(debug=debug)
    db = database()
    summaries = run_syncs(
        db,
        connection,
        entity,
        full=full,
        since=since,
        until=until,
        direction=direction,
        record_ids=records,
        allow_deletes=allow_deletes,
        dry_run=dry_run,
    )
    if report_all(db, summaries):
        sys.exit(REJECTS)


@sync.command("list")
@click.option("--connection", help="Only of this connection.")
@click.option("--entity", help="Only of this entity.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def list_(*, connection: str | None, entity: str | None, limit: int) -> None:
    """List the last syncs, the newest first."""
    from erpflow.store import sync_logs

    with database().session() as store:
        found = sync_logs.recent(store, connection_name=connection, entity=entity, limit=limit)
    if not found:
        click.echo("There has been no sync of that.")
        return
    lines = [("STARTED", "SYNC", "KIND", "STATUS", "READ", "CHANGED", "CONFLICTS", "REJECTED", "SYNC LOG")]
    for moment, each in found:
        counts = each.counts
        lines.append((
            f"{moment:%Y-%m-%d %H:%M:%SZ}", f"{each.connection} {each.entity} {each.direction}",
            f"{each.kind}, dry run" if each.dry_run else each.kind, each.status, f"{counts.read:,}",
            f"{counts.created + counts.updated + counts.deleted:,}", f"{counts.conflict:,}", f"{counts.rejected:,}",
            each.log_id,
        ))  # fmt: skip
    echo_table(lines)


def report_all(db: Database, summaries: Iterable[RunSummary]) -> bool:
    """Say how each sync ended; whether some records were rejected. Ends the command when one failed."""
    rejected = False
    for summary in summaries:
        report(summary)
        if summary.counts.rejected:
            _explain_rejects(db, summary)
            rejected = True
        if summary.status == "failed":
            sys.exit(1)
    return rejected


def run_syncs(db: Database, connection: str, entity: str, **request: Any) -> Iterator[RunSummary]:
    """Run an entity of a connection in each direction it goes, the second only if the first came to its end."""
    from erpflow.store import connections
    from erpflow.sync.configure import ensure_config
    from erpflow.sync.dry_run import in_turn
    from erpflow.sync.plan import RunRequest

    with db.session() as store:
        row = connections.get_connection(store, connection)
        config = ensure_config(store, row.id, entity, system=row.system, mappings=mappings_folder())
    asked = RunRequest(kind="manual", connection=connection, triggered_by="cli", **request)
    for planned in in_turn(db, asked, system=row.system, entity=entity, direction=config.direction):
        if not planned and not asked.reject_ids:
            click.echo(f"{connection} {entity}: nothing to read in that window.")
        for one in planned:
            with stoppable(), progress_bar(f"{one.label} {one.direction}") as on_progress:
                summary = engine(db).run(one.log_id, on_progress=on_progress)
            yield summary


def _explain_rejects(db: Database, summary: RunSummary) -> None:
    """The first few reasons; the records themselves are kept whole."""
    from erpflow.store.reject_report import newest_rejects

    with db.session() as store:
        rejects = newest_rejects(store, summary.log_id, limit=SHOWN_REJECTS)
    for reject in rejects:
        click.echo(
            f"  rejected {printable(reject.remote_id or 'a record without a key')}: {printable(reject.why, width=200)}"
        )
    if summary.counts.rejected > len(rejects):
        click.echo(f"  … and {summary.counts.rejected - len(rejects):,} more; all of them: erpflow reject list")


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop a run: the transaction at hand is rolled back, and the log says why.

    A thread that waits for the vendor is waited for a moment only; whatever it would bring is read again next time.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGALRM:
            signal.setitimer(signal.ITIMER_REAL, LET_GO_AFTER_S)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, silence elsewhere. How many records there are is not known before the last page."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None, said="asking")

        def on_progress(progress: Progress) -> None:
            done = progress.counts.accounted
            said = f"{progress.records:,} read, {done:,} applied"
            bar.update(task, said=said, total=progress.records or None, completed=done)

        yield on_progress


def report(summary: RunSummary) -> None:
    """One line on how a sync ended."""
    counts = summary.counts
    outcomes = [(name, getattr(counts, name)) for name in ("created", "updated", "unchanged", "deleted")]
    outcomes += [(name, getattr(counts, name)) for name in ("conflict", "rejected", "ignored") if getattr(counts, name)]
    said = ", ".join(f"{number:,} {name}" for name, number in outcomes if number or name != "deleted")
    dry = " (dry run: nothing was written)" if summary.dry_run else ""
    click.echo(
        f"{summary.connection} {summary.entity} {summary.direction}: {summary.status}{dry}. "
        f"{counts.read:,} read: {said}. {summary.seconds:.1f} s, sync log {summary.log_id}"
    )
    if summary.error:
        click.echo(summary.error, err=True)
