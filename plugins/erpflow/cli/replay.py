"""`erpflow replay`: what a pull has read, once more through today's mapping."""

from __future__ import annotations

import sys

import click

from erpflow.cli.sync import REJECTS, report_all, run_syncs
from erpflow.cli.terminal import quiet_logs
from erpflow.services.installation import database


@click.command()
@click.argument("log_id", metavar="SYNC-LOG")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and write nothing.")
@click.pass_obj
def replay(debug: bool, log_id: str, *, dry_run: bool) -> None:  # noqa: FBT001
    """Run the pages that the pull SYNC-LOG landed through today's mapping, without asking the vendor.

    What is newer here than a landed record stays. Status 0: all applied, 2: some were rejected, 1: it failed.
    """
    from erpflow.store import sync_logs
    from erpflow.vocabulary import SyncLogId

    quiet_logs(debug=debug)
    db = database()
    with db.session() as store:
        sync_logs.config_of(store, SyncLogId(log_id))
        log = sync_logs.summary(store, SyncLogId(log_id))
    if report_all(db, run_syncs(db, log.connection, log.entity, replay=log_id, dry_run=dry_run)):
        sys.exit(REJECTS)
