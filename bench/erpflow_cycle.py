"""erpflow's side of the cycle job: a pull, and behind it a push that has nothing to send, in one process.

The two-way config differs from the pull job's in nothing but that it pushes too. It may delete and create at the
source as it likes; nothing asks it to, and the source has no way to write, so that a write would end the job.

Options of the job: `both_ways` (else the pull alone, of a config that only pulls) and `full` (else what has changed).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, ClassVar, Final

import requests
import structlog

from bench.erpflow_pull import ENTITY, MAPPINGS, SYSTEM, StaticSource, prepare
from bench.job import Job, answer
from erpflow.connectors.base import Change, Connector, ConnectorSpec, Page, WriteResult
from erpflow.connectors.transport import Transport
from erpflow.store.database import Database
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.engine import Engine
from erpflow.sync.plan import RunRequest, plan
from erpflow.vocabulary import Operation, RemoteId, VendorRecord

BOTH_WAYS: Final = """
UPDATE erpflow.erp_sync_configs
SET direction = 'bidirectional', mapping_path = replace(mapping_path, '.', '_both_ways.')
"""


class WritableSource(StaticSource):
    """The static source for a config that goes both ways: nobody is to find out that it cannot be written to."""

    spec: ClassVar[ConnectorSpec] = replace(
        StaticSource.spec,
        entities={
            name: replace(entity, writes=frozenset(Operation), checks_version=True)
            for name, entity in StaticSource.spec.entities.items()
        },
    )

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        raise RuntimeError(f"{len(changes)} records were to be written, and none had changed.")

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        raise RuntimeError(f"{len(keys)} records were looked for, and none had changed.")

    def read_many(self, entity: str, remote_ids: Sequence[RemoteId]) -> Page:
        raise RuntimeError(f"{len(remote_ids)} records were read again, and none had changed.")


def prepare_both_ways(database_url: str) -> None:
    """As `prepare`, for a config that goes both ways."""
    prepare(database_url)
    with Database(database_url).session() as connection:
        connection.execute(BOTH_WAYS)


def load(job: Job) -> dict[str, Any]:
    """Every sync that is due, as `erpflow sync run` does them: the pull, and the push if there is one."""
    database = Database(job.database_url)
    base_url = job.url.removesuffix("/customers")
    engine = Engine(
        database=database,
        connector_class=lambda _: WritableSource,
        connect=lambda run: _connected(run, database, base_url),
        landing_root=Path(job.folder) / "landing",
        mappings=MAPPINGS,
    )
    began = process_time()
    request = RunRequest(kind="manual", full=job.options["full"])
    with database.session() as connection:
        planned = plan(connection, request, system=SYSTEM, entity=ENTITY, now=datetime.now(UTC))
    summaries = {run.direction: engine.run(run.log_id) for run in planned}
    if list(summaries) != (["pull", "push"] if job.options["both_ways"] else ["pull"]):
        raise RuntimeError(f"Other syncs were due: {', '.join(summaries)}")
    return {
        "cpu_seconds": process_time() - began,
        **{direction: str(summary.counts) for direction, summary in summaries.items()},
        "changes": sum(each.counts.read - each.counts.unchanged for each in summaries.values()),
        "status": sorted({summary.status for summary in summaries.values()}),
    }


@contextmanager
def _connected(run: SyncRun, database: Database, base_url: str) -> Iterator[Connector]:
    limiter = PostgresLimiter(database, run.connection_id, WritableSource.spec.limits)
    with requests.Session() as session, closing(limiter):
        yield WritableSource(Transport(session, base_url=base_url, limiter=limiter))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))  # as a task does
    answer(load)
