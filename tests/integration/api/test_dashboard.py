"""How everything is doing, for people and for Prometheus: the same numbers, of one tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from erpflow.api.rights import Right
from erpflow.vocabulary import TenantId
from tests.calling import Api

NUMBERS = count()
SCENE = """
WITH account AS (
    INSERT INTO erpflow.erp_connections (tenant_id, name, system, airflow_conn_id, status)
    VALUES (%(tenant)s, 'shop', 'erpnext', %(account)s, 'active') RETURNING id, tenant_id
), config AS (
    INSERT INTO erpflow.erp_sync_configs (tenant_id, connection_id, entity, mapping_path, direction, every)
    SELECT tenant_id, id, 'customer', 'erpnext/customer.yaml', 'bidirectional', '1 hour' FROM account
    RETURNING id, tenant_id
), runs AS (
    INSERT INTO erpflow.erp_sync_logs
        (tenant_id, sync_config_id, direction, kind, status, dry_run, started_at, finished_at, read_count,
         created_count, rejected_count)
    SELECT tenant_id, id, r.direction, r.kind, r.status, r.dry_run, now() - r.ago * interval '1 hour',
           CASE WHEN r.status <> 'running' THEN now() - r.ago * interval '1 hour' + interval '10 s' END,
           r.read, r.read - r.rejected, r.rejected
    FROM config, (VALUES
        ('pull', 'incremental', 'failed', false, 1.0, 0, 0), ('push', 'incremental', 'completed', false, 2.0, 50, 0),
        ('pull', 'backfill', 'completed', false, 2.5, 7, 0), ('pull', 'incremental', 'partial', false, 3.0, 100, 2),
        ('pull', 'full', 'completed', true, 0.5, 999, 0), ('pull', 'incremental', 'running', false, 0.1, 0, 0),
        ('pull', 'incremental', 'failed', false, 48.0, 0, 0), ('pull', 'full', 'completed', false, 240.0, 1000, 0)
    ) AS r (direction, kind, status, dry_run, ago, read, rejected)
), refused AS (
    INSERT INTO erpflow.erp_rejects
        (tenant_id, sync_config_id, remote_id, payload, problems, stage, status, resolved_at)
    SELECT tenant_id, id, 'R' || n, '', '[]', 'load', CASE WHEN n > 3 THEN 'resolved' ELSE 'open' END,
           CASE WHEN n > 3 THEN now() END
    FROM config, generate_series(1, 5) n
), disputed AS (
    INSERT INTO erpflow.erp_conflicts (tenant_id, sync_config_id, remote_id, kind, strategy)
    SELECT tenant_id, id, 'R' || n, 'both_updated', 'manual' FROM config, generate_series(1, 2) n
), hook AS (
    INSERT INTO erpflow.erp_webhooks (tenant_id, connection_id, name, active)
    SELECT tenant_id, id, 'hook ' || n, n = 1 FROM account, generate_series(1, 2) n RETURNING id, tenant_id, active
), arrived AS (
    INSERT INTO erpflow.erp_webhook_events (tenant_id, webhook_id, dedupe_key, body, state, received_at)
    SELECT tenant_id, id, 'e' || n, '', CASE WHEN n = 1 THEN 'applied' ELSE 'received' END, now() - n * interval '60 s'
    FROM hook, generate_series(1, 3) n WHERE active
), budget AS (
    INSERT INTO erpflow.erp_rate_accounts (account, paused_until, last_at, granted)
    VALUES (%(account)s, now() + interval '1 hour', now() + interval '5 s', 42)
)
INSERT INTO erpflow.erp_rate_limits (tenant_id, connection_id) SELECT tenant_id, id FROM account RETURNING connection_id
"""


@dataclass
class Company:
    """A tenant, and what it is told."""

    api: Api
    tenant_id: TenantId

    def set_scene(self, *, account: str | None = None) -> None:
        """A two-way sync with a past, what waits for people, webhooks, and a vendor who asked for a pause."""
        with self.api.database.transaction() as connection:
            given = {"tenant": self.tenant_id, "account": account or self.tenant_id}
            row = connection.execute(SCENE, given).fetchone()
            assert row is not None
            connection.execute(
                "UPDATE erpflow.erp_rate_limits SET account = %s WHERE connection_id = %s",
                (given["account"], row[0]),
            )

    def get(self, path: str) -> Any:
        """An answer of the API, with a key that may look."""
        answer = self.api.as_key(self.api.key(Right.LOOK, tenant_id=self.tenant_id)).get(f"/api/erp/{path}")
        assert answer.status_code == 200, answer.text
        return answer

    def numbers(self) -> Mapping[tuple[str, str], float]:
        """Every sample that a scrape gives, by its name and its labels besides system, connection and entity."""
        answer = self.get("metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = {}
        for family in text_string_to_metric_families(answer.text):
            assert family.documentation
            assert family.type in ("gauge", "counter")
            for sample in family.samples:
                labels = dict(sample.labels)
                assert (labels.pop("system"), labels.pop("connection")) == ("erpnext", "shop")
                assert labels.pop("entity", "customer") == "customer"
                found[sample.name, "".join(labels.values())] = sample.value
        return found


@pytest.fixture
def company(shared_api: Api) -> Company:
    return Company(shared_api, shared_api.tenant(f"company-{next(NUMBERS)}"))


def test_the_dashboard_says_how_every_sync_is_doing(company: Company) -> None:
    company.set_scene()
    found = company.get("dashboard").json()
    assert found["connections"] == [{"system": "erpnext", "status": "active", "connections": 1}]
    assert found["totals"] == {
        "connections": 1, "sync_configs": 1, "sync_configs_active": 1, "running": 1, "open_rejects": 3,
        "open_conflicts": 2, "active_webhooks": 1, "waiting_webhook_events": 2, "records_read_24h": 157,
        "records_changed_24h": 155,
    }  # fmt: skip
    assert found["runs_24h"] == {
        "completed": 2, "partial": 1, "failed": 1, "running": 1, "success_ratio": 0.75,
    }  # fmt: skip
    assert found["runs_7d"] == {"completed": 2, "partial": 1, "failed": 2, "running": 1, "success_ratio": 0.6}
    assert [log["status"] for log in found["recent"]][:2] == ["running", "completed"]
    assert len(found["recent"]) == 8
    [pause] = found["pauses"]
    assert (pause["connection"], pause["system"]) == ("shop", "erpnext")


def test_a_sync_is_as_fresh_as_its_last_whole_read_that_did_not_fail(company: Company) -> None:
    company.set_scene()
    [fresh] = company.get("dashboard").json()["freshness"]
    assert fresh["lag_s"] == pytest.approx(3 * 3600, abs=60)  # neither the push, the backfill nor the dry run count
    assert (fresh["every_s"], fresh["active"], fresh["last_status"]) == (3600, True, "failed")
    assert (fresh["open_rejects"], fresh["open_conflicts"]) == (3, 2)


def test_an_installation_that_has_nothing_has_a_dashboard_and_metrics(company: Company) -> None:
    found = company.get("dashboard").json()
    assert found["totals"]["connections"] == 0
    assert found["runs_24h"]["success_ratio"] is None
    assert (found["freshness"], found["recent"], found["pauses"]) == ([], [], [])
    assert company.numbers() == {}


def test_the_metrics_are_what_prometheus_reads(company: Company) -> None:
    company.set_scene()
    found = dict(company.numbers())
    lag = found.pop(("erpflow_sync_freshness_lag_seconds", ""))
    assert lag == pytest.approx(3 * 3600, abs=60)
    assert found.pop(("erpflow_webhook_lag_seconds", "")) == pytest.approx(180, abs=60)
    assert found.pop(("erpflow_limiter_pause_seconds", "")) == pytest.approx(3600, abs=60)
    assert 0 <= found.pop(("erpflow_limiter_wait_seconds", "")) <= 5
    assert found.pop(("erpflow_sync_last_run_timestamp_seconds", "")) > 1_700_000_000
    assert found == {
        ("erpflow_sync_every_seconds", ""): 3600,
        ("erpflow_sync_active", ""): 1,
        ("erpflow_sync_runs", "completed"): 2,
        ("erpflow_sync_runs", "partial"): 1,
        ("erpflow_sync_runs", "failed"): 1,
        ("erpflow_sync_runs", "running"): 1,
        ("erpflow_sync_success_ratio", "24h"): 0.75,
        ("erpflow_sync_success_ratio", "7d"): 0.6,
        ("erpflow_sync_last_run_rows_per_second", ""): 0,
        ("erpflow_rejects_open", ""): 3,
        ("erpflow_conflicts_open", ""): 2,
        ("erpflow_webhook_events_waiting", ""): 2,
        ("erpflow_webhooks_active", ""): 1,
        ("erpflow_limiter_requests_total", ""): 42,
    }


def test_what_tenants_use_of_a_shared_account_is_not_told(company: Company) -> None:
    company.set_scene()
    with company.api.database.session() as connection:
        connection.execute(
            "UPDATE erpflow.erp_rate_accounts SET is_shared = true WHERE account = %s", (company.tenant_id,)
        )
    found = company.numbers()
    assert ("erpflow_limiter_requests_total", "") not in found
    assert ("erpflow_limiter_pause_seconds", "") in found


def test_a_tenant_sees_its_own_numbers_and_no_others(company: Company, shared_api: Api) -> None:
    other = Company(shared_api, shared_api.tenant(f"company-{next(NUMBERS)}"))
    company.set_scene()
    assert other.numbers() == {}
    other.set_scene()
    assert company.numbers()["erpflow_rejects_open", ""] == other.numbers()["erpflow_rejects_open", ""] == 3
    assert company.get("dashboard").json()["totals"]["connections"] == 1


@pytest.mark.parametrize("path", ["dashboard", "metrics"])
def test_whoever_may_not_look_gets_nothing(shared_api: Api, path: str) -> None:
    assert shared_api.nobody().get(f"/api/erp/{path}").status_code == 401
    assert shared_api.as_key(shared_api.key(Right.CONFIGURE)).get(f"/api/erp/{path}").status_code == 403
