"""A shop whose two sides are compared whole, and what is said of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erpflow.store import reconciliations
from erpflow.store.database import Database
from erpflow.store.reconciliations import KeptFinding, Reconciliation
from erpflow.sync.engine import Engine
from erpflow.sync.plan import RunRequest
from erpflow.sync.reconcile import plan_reconciliations
from erpflow.vocabulary import FindingKind, SyncLogId
from tests.two_way import TwoWayConnector, TwoWayShop

ALL_KINDS = tuple(FindingKind)

COPY = (
    "INSERT INTO app.customers (name, email, phone, city, credit_limit)"
    " SELECT name, email, phone, city, credit_limit FROM app.customers WHERE email = '{}'"
)
"""A second row like the one with this email."""


@dataclass
class ReconciledShop(TwoWayShop):
    """A shop that syncs with one vendor, and reconciles."""

    @property
    def engine(self) -> Engine:
        return Engine(
            database=self.database,
            connector_class=lambda _: TwoWayConnector,
            connect=lambda _run: self.connected(),
            landing_root=self.folder / "landing",
            mappings=self.folder / "mappings",
        )

    def open_reconciliation(
        self, entity: str = "customer", *, repair: tuple[FindingKind, ...] = (), **request: Any
    ) -> SyncLogId:
        """Open the log of a reconciliation by hand."""
        with self.database.session() as connection:
            asked = RunRequest(kind="manual", connection=self.name, **request)
            (planned,) = plan_reconciliations(connection, asked, system="shop", entity=entity, repairs=repair)
        return planned.log_id

    def reconcile(self, entity: str = "customer", **request: Any) -> Reconciliation:
        """Compare both sides, and repair the kinds of `repair`."""
        return self.engine.reconcile(self.open_reconciliation(entity, **request))

    def found(self, reconciliation: Reconciliation) -> list[KeptFinding]:
        """The findings in the table."""
        with self.database.session() as connection:
            return reconciliations.first_findings(connection, reconciliation.log_id, limit=100)

    def log_of(self, reconciliation: Reconciliation) -> dict[str, Any]:
        """The sync log."""
        [(row,)] = self.rows("SELECT to_jsonb(l) FROM erpflow.erp_sync_logs l WHERE id = %s", reconciliation.log_id)
        return dict(row)


def report_of(reconciliation: Reconciliation) -> list[dict[str, str]]:
    """The report as a reader of CSV sees it."""
    assert reconciliation.report is not None
    with Path(reconciliation.report).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def named(findings: list[KeptFinding]) -> list[tuple[str, str | None, str | None]]:
    """Kind and both ids of each."""
    return [(each.kind.value, each.remote_id, each.local_id) for each in findings]


def with_reasons(shop: ReconciledShop, done: Reconciliation) -> list[tuple[Any, str]]:
    """The same, each with its reason."""
    found = shop.found(done)
    return [(one, each.reason) for one, each in zip(named(found), found, strict=True)]


def row_of(shop: ReconciledShop, email: str) -> str:
    """The key of the first row with this email."""
    [(found,)] = shop.rows("SELECT min(id)::text FROM app.customers WHERE email = %s", email)
    return str(found)


def both_ways(database: Database, folder: Path) -> ReconciledShop:
    """Five customers that both sides agree on, with the keys 1 to 5, in a config that goes both ways."""
    return _filled(ReconciledShop(database, folder))


def only_pulling(database: Database, folder: Path) -> ReconciledShop:
    """The same in a config that only pulls."""
    shop = ReconciledShop(database, folder)
    shop.configure(direction="pull")
    return _filled(shop)


def only_pushing(database: Database, folder: Path) -> ReconciledShop:
    """The same in a config that only pushes."""
    shop = ReconciledShop(database, folder)
    shop.configure(direction="push")
    shop.do(
        "INSERT INTO app.customers (name, email, phone, credit_limit)"
        " SELECT 'Customer ' || n, n || '@x.y', n, 10 FROM generate_series(1, 5) n"
    )
    shop.push()
    return shop


def _filled(shop: ReconciledShop) -> ReconciledShop:
    for number in range(1, 6):
        shop.vendor.put(name=f"Customer {number}", email=f"{number}@x.y", phone=str(number), limit="10.00")
    shop.pull()
    return shop
