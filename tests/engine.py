"""A small company to test the engine with: a vendor held in memory, its mappings, and one call that syncs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from erpflow.connectors.base import CheckResult, Connector, ConnectorSpec, EntitySpec, Page, PageToken, RawRecord
from erpflow.store.database import Database
from erpflow.store.sync_logs import RunSummary
from erpflow.sync import plan as planning
from erpflow.sync.plan import RunRequest
from erpflow.sync.pull import PullJob, finish
from erpflow.vocabulary import RemoteId, SyncLogId, VendorRecord, Window

START = datetime(2026, 1, 1, tzinfo=UTC)

CUSTOMER = """
system: shop
entity: customer
remote: {object: customers, key: id, modified: modified}
local: {table: app.customers, key: id, modified: updated_at, match_on: [email]}
direction: pull
every: 1h
fields:
  - {local: name, remote: name, type: text, required: true, max_length: 200}
  - {local: email, remote: email, type: text}
  - {local: phone, remote: phone, type: text}
  - {local: city, remote: address.city, type: text}
  - {local: credit_limit, remote: limit, type: number, scale: 2}
"""

ORDER = """
system: shop
entity: order
remote: {object: orders, key: id, modified: modified}
local: {table: app.orders, key: id, modified: updated_at}
direction: pull
every: 1h
fields:
  - {local: number, remote: id, type: text, required: true}
  - {local: customer_id, remote: customer, type: lookup, lookup: {entity: customer}, required: true}
  - {local: grand_total, remote: total, type: number, scale: 2}
children:
  - local: app.order_items
    remote: lines
    parent: order_id
    key: line_no
    fields:
      - {local: line_no, remote: line, type: number, required: true}
      - {local: sku, remote: sku, type: text}
      - {local: quantity, remote: qty, type: number}
"""


class ShopConnector(Connector):
    """A vendor that keeps its records in a list; pages come in order of `modified`, then `id`."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="shop",
        title="Shop",
        auth=("none",),
        entities={
            "customer": EntitySpec(remote="customers", key="id", modified="modified", page_size=100, ordered=True),
            "order": EntitySpec(remote="orders", key="id", modified="modified", page_size=100, ordered=True),
        },
    )

    def __init__(self, records: Iterable[Mapping[str, Any]], *, page_size: int = 100) -> None:
        self._records = sorted(records, key=lambda record: (record["modified"], str(record.get("id"))))
        self._page_size = page_size
        self.pages_served = 0

    def check(self) -> CheckResult:
        return CheckResult(success=True, message="ok", account="shop")

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        since = window.since.isoformat() if window.since else ""
        until = window.until.isoformat() if window.until else "~"
        found = [record for record in self._records if since <= record["modified"] < until]
        start = int(resume or 0)
        while start < len(found) or start == 0:
            page = found[start : start + self._page_size]
            start += self._page_size
            self.pages_served += 1
            raw = json.dumps({"data": page}).encode()
            yield Page(raw, len(page), PageToken(str(start)) if start < len(found) else None)

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        return next((record for record in self._records if record["id"] == remote_id), None)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return msgspec.json.decode(raw, type=dict[str, list[msgspec.Raw]])["data"]

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None


def customer(number: int, **changes: Any) -> dict[str, Any]:
    """Customer `number`, modified `number` seconds after START."""
    record = {
        "id": f"C{number:06d}",
        "modified": (START + timedelta(seconds=number)).isoformat(),
        "name": f"Customer {number}",
        "email": f"customer{number}@example.com",
        "phone": None,
        "address": {"city": "Ljubljana"},
        "limit": f"{number}.50",
    }
    return record | changes


def order(number: int, *, buyer: int, lines: int = 2, **changes: Any) -> dict[str, Any]:
    """Order `number` of customer `buyer`, modified `number` seconds after START."""
    record = {
        "id": f"O{number:06d}",
        "modified": (START + timedelta(seconds=number)).isoformat(),
        "customer": f"C{buyer:06d}",
        "total": "10.00",
        "lines": [{"line": line, "sku": f"SKU-{line}", "qty": line} for line in range(1, lines + 1)],
    }
    return record | changes


@dataclass
class Shop:
    """A connection to the shop with a sync config for each entity, in a database and folders of its own."""

    database: Database
    folder: Path
    mappings: dict[str, str] = field(default_factory=lambda: {"customer": CUSTOMER, "order": ORDER})
    name: str = "shop"
    is_new: bool = True

    @classmethod
    def existing(cls, database: Database, folder: Path) -> Shop:
        """The shop that another process set up."""
        return cls(database, folder, is_new=False)

    def __post_init__(self) -> None:
        if not self.is_new:
            return
        for entity, text in self.mappings.items():
            self.write_mapping(entity, text)
        with self.database.session() as connection:
            row = connection.execute(
                "INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, status)"
                " VALUES ('00000000-0000-0000-0000-000000000001', %(name)s, 'shop', %(name)s, 'active') RETURNING id",
                {"name": self.name},
            ).fetchone()
            assert row is not None
            for entity in self.mappings:
                connection.execute(
                    "INSERT INTO erpflow.erp_sync_configs"
                    " (tenant_id, connection_id, entity, direction, every, mapping_path)"
                    " VALUES ('00000000-0000-0000-0000-000000000001', %s, %s, 'pull', '1 hour', %s)",
                    (row[0], entity, f"shop/{entity}.yaml"),
                )

    def write_mapping(self, entity: str, text: str) -> None:
        """Put a mapping file where the config looks for it."""
        path = self.folder / "mappings" / "shop" / f"{entity}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def plan(self, entity: str = "customer", *, now: datetime | None = None, **request: Any) -> SyncLogId:
        """Open the log of a run by hand."""
        with self.database.session() as connection:
            planned = planning.plan(
                connection,
                RunRequest(**({"kind": "manual", "connection": self.name} | request)),
                system="shop",
                entity=entity,
                now=now or datetime.now(UTC),
            )
        assert len(planned) == 1
        return planned[0].log_id

    def job(self, log_id: SyncLogId) -> PullJob:
        """The job of a log, as a task would open it."""
        return PullJob.open(
            self.database,
            log_id,
            connector_class=lambda _: ShopConnector,
            landing_root=self.folder / "landing",
            mappings=self.folder / "mappings",
        )

    def sync(self, records: Iterable[Mapping[str, Any]], entity: str = "customer", **request: Any) -> RunSummary:
        """One whole run in this process."""
        log_id = self.plan(entity, **request)
        self.job(log_id).run_whole(ShopConnector(records))
        return finish(self.database, log_id)

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self.database.session() as connection:
            return connection.execute(statement, parameters or None).fetchall()

    def rows_of(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What the database answers, with named values."""
        with self.database.session() as connection:
            return connection.execute(statement, values).fetchall()

    def do(self, statement: str) -> None:
        """Change the database behind the engine's back."""
        with self.database.session() as connection:
            connection.execute(statement)
