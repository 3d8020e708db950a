"""erpflow's side: a connector for the static source, and the real engine from page to table.

Everything a production run does is in the time: landing files, sync records, rejects, one transaction per chunk, the
sync log and the cursor. The pages come through erpflow's own transport.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import requests
import structlog

from bench import records
from bench.job import Job, answer
from erpflow.connectors.base import (
    CheckResult,
    Connector,
    ConnectorSpec,
    EntitySpec,
    Limits,
    Page,
    PageToken,
    RawRecord,
    reported,
)
from erpflow.connectors.transport import Transport
from erpflow.errors import ProtocolError
from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from erpflow.sync.plan import RunRequest, plan
from erpflow.sync.pull import PullJob, finish
from erpflow.vocabulary import DEFAULT_TENANT, RemoteId, VendorRecord, Window

SYSTEM: Final = "bench_static"
ENTITY: Final = "customer"
MAPPINGS: Final = Path(__file__).with_name("mappings")

TABLE: Final = """
CREATE SCHEMA bench;
CREATE TABLE bench.customers (
    id text PRIMARY KEY, name text NOT NULL, company_name text, email text, phones jsonb, tags jsonb,
    street text, street2 text, city text, state text, postcode text, country text,
    tax_id text, credit_limit numeric, balance numeric, currency text, language text, status text,
    is_active boolean, notes text, created_at timestamptz, updated_at timestamptz NOT NULL
)
"""
CONFIGURE: Final = """
WITH account AS (
    INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, status)
    VALUES (%(tenant)s, 'bench', %(system)s, 'bench', 'active') RETURNING id
)
INSERT INTO erpflow.erp_sync_configs (tenant_id, connection_id, entity, mapping_path)
SELECT %(tenant)s, id, %(entity)s, %(mapping)s FROM account
"""


class _Listing(msgspec.Struct):
    data: list[msgspec.Raw]
    next: str | None = None


_DECODE: Final = msgspec.json.Decoder(_Listing).decode


class StaticSource(Connector):
    """The benchmark's source: pages by number, in ascending order of `updated_at`.

    Asked for what changed since some moment, it begins with the page that holds it.
    """

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system=SYSTEM,
        title="Static benchmark source",
        auth=(),
        entities={
            ENTITY: EntitySpec(remote="customers", key="id", modified="updated_at", page_size=1_000, ordered=True)
        },
        limits=Limits(per_second=None),
    )

    @reported
    def check(self) -> CheckResult:
        self._transport.request("GET", "/customers")
        return CheckResult(success=True, message="The source answers")

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        number = int(resume or records.page_since(window.since))
        while True:
            raw = self._transport.request("GET", "/customers", query={"page": str(number)}).body
            listing = _DECODE(raw)
            number += 1
            following = PageToken(str(number)) if listing.next else None
            yield Page(raw, len(listing.data), following)
            if following is None:
                return

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        return None

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        try:
            return _DECODE(raw).data
        except msgspec.DecodeError as error:
            raise ProtocolError(f"The landed page of {entity} is not a page of the source: {error}") from None

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        try:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        except ValueError:
            return None


def prepare(database_url: str) -> None:
    """The state schema, the target table, one connection and one sync config in an empty database; not measured."""
    database = Database(database_url)
    upgrade(database)
    with database.session() as connection:
        connection.execute(TABLE)
        connection.execute(
            CONFIGURE,
            {"tenant": DEFAULT_TENANT, "system": SYSTEM, "entity": ENTITY, "mapping": f"{SYSTEM}/{ENTITY}.yaml"},
        )


def load(job: Job) -> dict[str, Any]:
    """One full run, as `erpflow sync run --full` does it."""
    database = Database(job.database_url)
    request = RunRequest(kind="manual", full=True)
    with database.session() as connection:
        planned = plan(connection, request, system=SYSTEM, entity=ENTITY, now=datetime.now(UTC))
    log_id = planned[0].log_id
    run = PullJob.open(
        database,
        log_id,
        connector_class=lambda _: StaticSource,
        landing_root=Path(job.folder) / "landing",
        mappings=MAPPINGS,
    )
    base_url = job.url.removesuffix("/customers")
    run.run_whole(StaticSource(Transport(requests.Session(), base_url=base_url)))
    summary = finish(database, log_id)
    if summary.counts.read != job.records or summary.status != "completed":
        raise RuntimeError(f"The run ended {summary.status} and read {summary.counts}: {summary.error}")
    return {"status": summary.status, "counts": str(summary.counts), "pages": summary.pages}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))  # as a task does
    answer(load)
