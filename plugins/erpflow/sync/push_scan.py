"""The first step of a push: which rows are new, changed or gone since both sides agreed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import structlog

from erpflow.store import push as store
from erpflow.store.database import Database
from erpflow.store.push import LocalRow
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tracked import Tracked
from erpflow.sync.push_landing import ChangeBatch, LocalChange, PushLanding, Scanned
from erpflow.vocabulary import Operation

log = structlog.get_logger(__name__)

BATCH_ROWS = 5_000
"""Rows in one file of a scan."""


def scan(
    run: SyncRun,
    tracked: Tracked,
    database: Database,
    landing: PushLanding,
    *,
    version: str,
    writes: frozenset[Operation],
    counters: bool,
    ids: Sequence[str] | None = None,
) -> Scanned:
    """Find the changed rows and land them, in one snapshot of the database; the same run scans once.

    `version` of the mapping: rows that it could not send are left out until it changes. `writes`: what may be done at
    the vendor; nothing else is found. `counters`: the mapping has some, which are sent as what they grew by. `ids`:
    look at these only.
    """
    done = landing.scanned()
    if done is not None:
        return done
    ids = ids if ids is not None else run.record_ids or None
    counted: Counter[Operation] = Counter()
    batches = 0
    with database.session() as connection:
        horizon = store.horizon(connection)
        with store.snapshot(connection):
            changed = store.changed_rows(
                connection,
                tracked,
                run.config_id,
                since=run.window.since,
                ids=ids,
                version=version,
                whole=counters,
            )
            gone = store.gone_rows(connection, tracked, run.config_id, ids=ids, version=version)
            for rows in (changed, gone if Operation.DELETE in writes else iter(())):
                for batch in _batched(rows):
                    batches += 1
                    changes = [change for row in batch if (change := _change(row)).operation in writes]
                    counted.update([change.operation for change in changes])
                    landing.put_changes(batches, ChangeBatch(changes))
    scanned = Scanned(
        batches=batches,
        creates=counted[Operation.CREATE],
        updates=counted[Operation.UPDATE],
        deletes=counted[Operation.DELETE],
        horizon=horizon,
    )
    landing.finish_scan(scanned)
    log.info("push_scanned", sync_log=run.log_id, **{operation.value: number for operation, number in counted.items()})
    return scanned


def _batched(rows: Iterator[LocalRow]) -> Iterator[Sequence[LocalRow]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _change(row: LocalRow) -> LocalChange:
    operation = Operation.UPDATE if row.remote_id is not None else Operation.CREATE
    if row.values is None:
        operation = Operation.DELETE
    return LocalChange(
        operation,
        row.local_id,
        row.remote_id,
        row.version,
        row.agreed_local,
        row.agreed,
        row.agreed_remote,
        row.hash,
        row.values,
    )
