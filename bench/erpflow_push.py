"""erpflow's side of the push and rate jobs: local rows, and the real engine from table to sink.

Everything a production run does is in the time: the scan, landing files, attempts recorded before they are sent, sync
records, history, the limiter that all workers share, one transaction before a call and one after it.

Options of the job: `workers` (how many calls at once), `per_second` (requests that the sink allows; null: any number)
and `full` (compare every row with what was agreed on, and not only those modified since).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, Final

import msgspec
import psycopg
import requests
import structlog

from bench import records
from bench.erpflow_pull import MAPPINGS
from bench.floor import line
from bench.job import Job, answer
from bench.sink_connector import ENTITY, SYSTEM, Sink, sink_connector
from erpflow.connectors.base import Connector
from erpflow.connectors.transport import Transport
from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.engine import Engine
from erpflow.sync.plan import RunRequest, plan
from erpflow.vocabulary import DEFAULT_TENANT, Direction

TABLE: Final = """
CREATE SCHEMA bench;
CREATE TABLE bench.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text NOT NULL UNIQUE,
    name text NOT NULL, company_name text, email text, phones jsonb, tags jsonb,
    street text, street2 text, city text, state text, postcode text, country text,
    tax_id text, credit_limit numeric, balance numeric, currency text, language text, status text,
    is_active boolean, notes text, created_at timestamptz, updated_at timestamptz NOT NULL
);
CREATE INDEX ON bench.customers (email);
CREATE INDEX ON bench.customers (updated_at)
"""
COLUMNS: Final = (
    "number", "name", "company_name", "email", "phones", "tags", "street", "street2", "city", "state", "postcode",
    "country", "tax_id", "credit_limit", "balance", "currency", "language", "status", "is_active", "notes",
    "created_at", "updated_at",
)  # fmt: skip
"""The table's columns, `number` being the record's id in the source, in the order of `floor.line`."""
CONFIGURE: Final = """
WITH account AS (
    INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, status)
    VALUES (%(tenant)s, 'bench', %(system)s, 'bench', 'active') RETURNING id
)
INSERT INTO erpflow.erp_sync_configs (tenant_id, connection_id, entity, mapping_path, direction)
SELECT %(tenant)s, id, %(entity)s, %(mapping)s, 'bidirectional' FROM account
"""


def prepare(database_url: str) -> None:
    """The state schema, the table, one connection and one sync config in an empty database; not measured."""
    database = Database(database_url)
    upgrade(database)
    with database.session() as connection:
        connection.execute(TABLE)
        connection.execute(
            CONFIGURE,
            {"tenant": DEFAULT_TENANT, "system": SYSTEM, "entity": ENTITY, "mapping": f"{SYSTEM}/{ENTITY}.yaml"},
        )


def fill(database_url: str, folder: Path, *, count: int) -> None:
    """The first `count` customers of the source as rows; not measured."""
    pages = records.open_pages(folder, state="initial").pages(-(-count // records.PAGE_SIZE))
    made = (record for page in pages for record in msgspec.json.decode(b"[" + page + b"]"))
    statement = f"COPY bench.customers ({', '.join(COLUMNS)}) FROM STDIN"
    with psycopg.connect(database_url) as connection, connection.cursor().copy(statement) as copy:
        for record, _ in zip(made, range(count), strict=False):
            copy.write(line(record))


def edit(database_url: str, *, revision: int, every: int) -> int:
    """Change one row in `every` as a user would; how many. Not measured."""
    statement = """
        UPDATE bench.customers
        SET balance = balance + %(revision)s, updated_at = now(),
            notes = 'Revision ' || %(revision)s || ' of ' || number
        WHERE right(number, 8)::int %% %(every)s = %(at)s
    """
    with psycopg.connect(database_url) as connection:
        cursor = connection.execute(statement, {"revision": revision, "every": every, "at": every // 2})
        return cursor.rowcount


def load(job: Job) -> dict[str, Any]:
    """One push, as `erpflow sync run --direction push` does it."""
    database = Database(job.database_url)
    connector = sink_connector(per_second=job.options["per_second"], workers=job.options["workers"])
    engine = Engine(
        database=database,
        connector_class=lambda _: connector,
        connect=lambda run: _connected(run, connector, database, job.url),
        landing_root=Path(job.folder) / "landing",
        mappings=MAPPINGS,
    )
    began = process_time()
    request = RunRequest(kind="manual", direction=Direction.PUSH, full=job.options["full"])
    with database.session() as connection:
        planned = plan(connection, request, system=SYSTEM, entity=ENTITY, now=datetime.now(UTC))
    summary = engine.run(planned[0].log_id)
    counts = summary.counts
    if counts.created + counts.updated != job.records or summary.status != "completed":
        raise RuntimeError(f"The run ended {summary.status} and sent {counts}: {summary.error}")
    return {"cpu_seconds": process_time() - began, "counts": str(counts)}


@contextmanager
def _connected(run: SyncRun, connector: type[Sink], database: Database, base_url: str) -> Iterator[Connector]:
    """A session with the sink, as a command or a task has one."""
    limiter = PostgresLimiter(database, run.connection_id, connector.spec.limits)
    with requests.Session() as session, closing(limiter):
        yield connector(Transport(session, base_url=base_url, limiter=limiter))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))  # as a task does
    answer(load)
