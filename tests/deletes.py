"""What tests of deletes share: other policies, another way to find deletes, and a run that asks a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from erpflow.errors import DeletesNeedApproval
from erpflow.store.sync_logs import RunSummary
from erpflow.sync.pull import finish
from erpflow.vocabulary import SyncLogId
from tests.two_way import TwoWayConnector, TwoWayShop

ROWS = "SELECT name FROM app.customers ORDER BY name"
TIES = "SELECT remote_id, status, last_direction FROM erpflow.erp_entity_sync_records ORDER BY remote_id"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def policy(shop: TwoWayShop, deletes: str, *, mark: str | None = None, flag: str | None = None) -> None:
    """Another policy: `deletes` as the mapping writes it; `mark` a column here, `flag` a field there."""
    text = shop.mappings["customer"].replace("deletes: {pull: hard, push: hard}", f"deletes: {deletes}")
    if mark:
        kind = "boolean" if mark.startswith("is_") else "timestamptz"
        shop.do(f"ALTER TABLE app.customers ADD COLUMN IF NOT EXISTS {mark} {kind}")
        text = text.replace("modified: updated_at,", f"modified: updated_at, deleted: {mark},")
    if flag:
        text = text.replace("external_id: origin", f"external_id: origin, deleted: {{path: {flag}, value: 1}}")
    shop.use(text)


def sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor has no list of what it deleted."""
    entities = {name: replace(spec, deleted_feed=False) for name, spec in TwoWayConnector.spec.entities.items()}
    monkeypatch.setattr(TwoWayConnector, "spec", replace(TwoWayConnector.spec, entities=entities))


def fill(shop: TwoWayShop, count: int) -> list[str]:
    """Records on both sides, agreed on."""
    made = [shop.vendor.put(name=f"Customer {n:03}", email=f"{n}@x.y", phone="1") for n in range(count)]
    shop.cycle(full=True)
    return made


def read_changes(shop: TwoWayShop, *, full: bool = True) -> RunSummary:
    return shop.pull(full=full)


def ask(shop: TwoWayShop) -> SyncLogId:
    """A full pull that asks before it deletes; its log."""
    log_id = shop.logs("customer", direction="pull", full=True)["pull"]
    with pytest.raises(DeletesNeedApproval):
        shop.pull_job(log_id).run_whole(TwoWayConnector(shop.vendor))
    return log_id


def answer(shop: TwoWayShop, log_id: SyncLogId, *, delete: bool) -> RunSummary:
    shop.pull_job(log_id).answered(delete).run_whole(TwoWayConnector(shop.vendor))
    return finish(shop.database, log_id)
