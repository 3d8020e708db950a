"""A vendor held in memory that can be read and written, and a shop that syncs with it both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any, ClassVar

from erpflow.connectors.base import (
    Change,
    CheckResult,
    Connector,
    ConnectorSpec,
    Deletion,
    EntitySpec,
    Limits,
    Outcome,
    Page,
    PageToken,
    RawRecord,
    WriteResult,
)
from erpflow.errors import FieldProblem, VendorUnavailable
from erpflow.store.sync_logs import RunSummary, load_run
from erpflow.sync import plan as planning
from erpflow.sync.plan import RunRequest
from erpflow.sync.pull import PullJob, finish
from erpflow.sync.push import PushJob
from erpflow.vocabulary import Operation, RemoteId, SyncLogId, VendorRecord, Window
from tests.engine import START, Shop, ShopConnector

ALL = frozenset(Operation)

CUSTOMER = """
system: shop
entity: customer
remote: {object: customers, key: id, modified: modified, external_id: origin}
local: {table: app.customers, key: id, modified: updated_at, match_on: [email]}
direction: bidirectional
conflict: newest_wins
deletes: {pull: hard, push: hard}
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
remote: {object: orders, key: id, modified: modified, external_id: origin}
local: {table: app.orders, key: id, modified: updated_at}
direction: bidirectional
conflict: remote_wins
deletes: {pull: hard, push: hard}
every: 1h
fields:
  - {local: number, remote: number, type: text, required: true}
  - {local: customer_id, remote: customer, type: lookup, lookup: {entity: customer}, required: true}
  - {local: grand_total, remote: total, type: number, scale: 2}
children:
  - local: app.order_items
    remote: lines
    parent: order_id
    key: line_no
    fields:
      - {local: line_no, remote: line, type: number, scale: 0, required: true}
      - {local: sku, remote: sku, type: text}
      - {local: quantity, remote: qty, type: number}
"""


@dataclass
class Vendor:
    """The vendor's side: its records, what it deleted, its clock, and how it treats what it is sent.

    `normalise` is what it does to a record that is written. `before_write` and `after_write` may raise, or change the
    vendor behind our back. `writes` counts what was done, by operation.
    """

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[tuple[str, datetime]] = field(default_factory=list)
    normalise: Callable[[dict[str, Any]], dict[str, Any]] = lambda record: record
    before_write: Callable[[Change], None] = lambda change: None
    after_write: Callable[[Change], None] = lambda change: None
    clock: datetime = START
    made: int = 0
    writes: list[tuple[str, str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    answers_with_record: bool = True

    def tick(self) -> datetime:
        """A later moment than any before."""
        self.clock += timedelta(seconds=1)
        return self.clock

    def put(self, remote_id: str | None = None, **values: Any) -> str:
        """Make or change a record as a person at the vendor would."""
        if remote_id is None:
            self.made += 1
            remote_id = f"R{self.made:06d}"
        record = self.records.setdefault(remote_id, {"id": remote_id})
        record |= values
        record["modified"] = self.tick().isoformat()
        return remote_id

    def drop(self, remote_id: str) -> None:
        """Delete a record as a person at the vendor would."""
        del self.records[remote_id]
        self.deleted.append((remote_id, self.tick()))


class TwoWayConnector(ShopConnector):
    """Reads and writes a `Vendor`."""

    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="shop",
        title="Shop",
        auth=("none",),
        entities={
            name: EntitySpec(
                remote=f"{name}s",
                key="id",
                modified="modified",
                page_size=100,
                bulk_size=50,
                ordered=True,
                writes=ALL,
                checks_version=True,
                deleted_feed=True,
            )
            for name in ("customer", "order")
        },
        limits=Limits(concurrent=3),
    )

    def __init__(self, vendor: Vendor) -> None:
        super().__init__([])
        self.vendor = vendor

    def check(self) -> CheckResult:
        return CheckResult(success=True, message="ok", account="shop")

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        with self.vendor.lock:
            records = [dict(record) for record in self.vendor.records.values()]
        yield from ShopConnector(records).read(entity, window, resume=resume)

    def read_many(self, entity: str, remote_ids: Sequence[str]) -> Page:
        with self.vendor.lock:
            found = [self.vendor.records[name] for name in remote_ids if name in self.vendor.records]
            return Page(json.dumps({"data": found}, default=str).encode(), len(found), None)

    def find(self, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        with self.vendor.lock:
            found = [
                [
                    RemoteId(name)
                    for name, record in self.vendor.records.items()
                    if all(str(record.get(path)) == str(value) for path, value in key.items())
                ]
                for key in keys
            ]
        return [names[:2] for names in found]

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        found = [
            {"id": name, "at": at.isoformat()}
            for name, at in self.vendor.deleted
            if (window.since is None or at >= window.since) and (window.until is None or at < window.until)
        ]
        yield Page(json.dumps({"data": found}).encode(), len(found), None)

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        return [Deletion(RemoteId(row["id"]), datetime.fromisoformat(row["at"])) for row in json.loads(raw)["data"]]

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return ShopConnector.split(entity, raw)

    def write(self, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
        results: list[WriteResult] = []
        for change in changes:
            try:
                self.vendor.before_write(change)
                result = self.write_one(change)
                self.vendor.after_write(change)
            except VendorUnavailable as error:
                if not error.maybe_done and not results:
                    raise
                results.append(WriteResult(Outcome.UNKNOWN if error.maybe_done else Outcome.NOT_SENT))
                results += [WriteResult(Outcome.NOT_SENT)] * (len(changes) - len(results))
                break
            results.append(result)
        return results

    def write_one(self, change: Change) -> WriteResult:
        """What the vendor makes of one request."""
        vendor = self.vendor
        with vendor.lock:
            known = vendor.records.get(change.remote_id or "")
            if change.operation is not Operation.CREATE:
                if known is None:
                    return WriteResult(Outcome.MISSING, change.remote_id)
                if change.version is not None and known["modified"] != change.version:
                    return WriteResult(Outcome.STALE, change.remote_id)
            refusal = refused(vendor, change)
            if refusal is not None:
                return WriteResult(Outcome.REJECTED, change.remote_id, problems=(refusal,))
            remote_id = change.remote_id
            if change.operation is Operation.DELETE:
                vendor.drop(remote_id or "")
            else:
                values = vendor.normalise(merged(known or {}, plain(change.values)))
                remote_id = RemoteId(vendor.put(change.remote_id, **{k: v for k, v in values.items() if k != "id"}))
            vendor.writes.append((change.operation.value, remote_id or ""))
            record = vendor.records.get(remote_id or "")
            raw = json.dumps(record, default=str).encode() if record and vendor.answers_with_record else None
            return WriteResult(Outcome.DONE, remote_id, raw)


def refused(vendor: Vendor, change: Change) -> FieldProblem | None:
    """The vendor's own rules: no negative limit; an origin, and the phone "unique", belong to one record."""
    limit = change.values.get("limit")
    if limit is not None and Decimal(str(limit)) < 0:
        return FieldProblem("limit", "negative", "limit must not be negative", str(limit))
    for name, value in (("origin", change.values.get("origin")), ("phone", change.values.get("phone"))):
        is_unique = value is not None and (name == "origin" or value == "unique")
        others = (record for remote_id, record in vendor.records.items() if remote_id != change.remote_id)
        if is_unique and any(record.get(name) == value for record in others):
            return FieldProblem(name, "duplicate", f"another customer has this {name}", str(value))
    return None


def merged(known: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A record with some fields written, objects inside it field by field."""
    out = dict(known)
    for key, value in values.items():
        inner = out.get(key)
        out[key] = merged(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return out


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON carries it, numbers as texts like the shop's own."""
    return json.loads(json.dumps(dict(values), default=str))  # type: ignore[no-any-return]


@dataclass
class TwoWayShop(Shop):
    """A shop whose configs go both ways with one vendor."""

    mappings: dict[str, str] = field(default_factory=lambda: {"customer": CUSTOMER, "order": ORDER})
    vendor: Vendor = field(default_factory=Vendor)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_new:
            self.do("UPDATE erpflow.erp_sync_configs SET direction = 'bidirectional'")

    def configure(self, *, conflict: str | None = None, direction: str | None = None, entity: str = "customer") -> None:
        """Change a config, and its mapping with it."""
        text = self.mappings[entity]
        if conflict is not None:
            text = text.replace("conflict: newest_wins", f"conflict: {conflict}", 1)
        if direction is not None:
            text = text.replace("direction: bidirectional", f"direction: {direction}", 1)
        self.use(text, entity=entity)
        self.do(
            f"UPDATE erpflow.erp_sync_configs SET conflict = coalesce({quoted(conflict)}, conflict),"
            f" direction = coalesce({quoted(direction)}, direction) WHERE entity = {quoted(entity)}"
        )

    def use(self, text: str, *, entity: str = "customer") -> None:
        """Use another mapping."""
        self.mappings[entity] = text
        self.write_mapping(entity, text)

    def logs(self, entity: str, **request: Any) -> dict[str, SyncLogId]:
        """Open the logs of a run by hand, by direction."""
        with self.database.session() as connection:
            planned = planning.plan(
                connection,
                RunRequest(**({"kind": "manual", "connection": self.name} | request)),
                system="shop",
                entity=entity,
                now=datetime.now(START.tzinfo),
            )
        return {run.direction: run.log_id for run in planned}

    def pull(self, entity: str = "customer", **request: Any) -> RunSummary:
        """One whole pull."""
        return self.pull_log(self.logs(entity, **({"direction": "pull"} | request))["pull"])

    def pull_log(self, log_id: SyncLogId) -> RunSummary:
        """The whole pull of a log."""
        self.pull_job(log_id).run_whole(TwoWayConnector(self.vendor))
        return finish(self.database, log_id)

    def pull_job(self, log_id: SyncLogId) -> PullJob:
        """The pull of a log, as a task would open it."""
        return PullJob.open(
            self.database,
            log_id,
            connector_class=lambda _: TwoWayConnector,
            landing_root=self.folder / "landing",
            mappings=self.folder / "mappings",
        )

    def push(self, entity: str = "customer", **request: Any) -> RunSummary:
        """One whole push."""
        log_id = self.logs(entity, **({"direction": "push"} | request))["push"]
        self.push_job(log_id).run_whole()
        return finish(self.database, log_id)

    def push_job(self, log_id: SyncLogId) -> PushJob:
        """The push of a log, as a task would open it."""
        job = PushJob.open(
            self.database,
            log_id,
            connector_class=lambda _: TwoWayConnector,
            connect=lambda _run: self.connected(),
            landing_root=self.folder / "landing",
            mappings=self.folder / "mappings",
        )
        job.check()
        return job

    @contextmanager
    def connected(self) -> Iterator[Connector]:
        """A vendor session."""
        yield TwoWayConnector(self.vendor)

    def cycle(self, entity: str = "customer", *, push_first: bool = False, **request: Any) -> None:
        """Pull and push, or the other way round."""
        for step in (self.push, self.pull) if push_first else (self.pull, self.push):
            step(entity, **request)

    def row(self, **where: Any) -> dict[str, Any] | None:
        """The customer with these values."""
        condition = " AND ".join(f"{name} = {quoted(value)}" for name, value in where.items())
        found = self.rows(f"SELECT to_jsonb(c) FROM app.customers c WHERE {condition}")
        return found[0][0] if found else None

    def conflicts(self, status: str | None = None) -> list[tuple[Any, ...]]:
        """The kind, winner and status of every conflict, the oldest first."""
        condition = f"WHERE status = {quoted(status)}" if status else ""
        return self.rows(f"SELECT kind, winner, status FROM erpflow.erp_conflicts {condition} ORDER BY detected_at")

    def run_of(self, log_id: SyncLogId) -> Any:
        """The run of a log."""
        with self.database.session() as connection:
            return load_run(connection, log_id)


def quoted(value: Any) -> str:
    """A literal for a test's own statement."""
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
