"""A task finds the tokens that a person's consent left, renews them for all, and shares limits with every worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from cryptography.fernet import Fernet

from erpflow.airflow import environment, hooks
from erpflow.airflow.hooks import VendorHook
from erpflow.connectors import registry
from erpflow.connectors.oauth import Grant
from erpflow.store.connections import add_connection
from erpflow.store.database import Database
from erpflow.store.sync_logs import SyncRun
from erpflow.store.tokens import save_grant
from tests.oauth import CLIENT_ID, CLIENT_SECRET, Ledger


class LedgerHook(VendorHook):
    conn_type = "ledger"
    hook_name = "Ledger"
    FORM: ClassVar[dict[str, Any]] = {}


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setitem(registry._BUILT_IN, "ledger", "tests.oauth:LedgerConnector")
    monkeypatch.setitem(hooks.HOOKS, "ledger", LedgerHook)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    registry.connector_class.cache_clear()
    with Ledger() as ledger:
        secret = {"conn_type": "ledger", "host": ledger.url, "login": CLIENT_ID, "password": CLIENT_SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_BOOKS", json.dumps(secret))
        yield ledger
    registry.connector_class.cache_clear()


@pytest.fixture
def run(fresh_database: Database, vendor: Ledger) -> SyncRun:
    with fresh_database.transaction() as connection:
        id_ = add_connection(connection, "books", system="ledger").id
    return cast("SyncRun", SimpleNamespace(system="ledger", airflow_conn_id="books", connection_id=id_))


def consent(database: Database, run: SyncRun, vendor: Ledger) -> None:
    expired = datetime.now(UTC) - timedelta(hours=1)
    with database.transaction() as connection:
        grant = Grant("at-old", vendor.consented(), expires_at=expired)
        save_grant(connection, run.connection_id, grant, cipher=environment.cipher())


def test_a_task_renews_for_all_and_its_log_masks_what_it_got(
    fresh_database: Database, run: SyncRun, vendor: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(environment, "mask_secret", masked.append)
    consent(fresh_database, run, vendor)
    for _ in range(2):
        with environment.connector_for(run, fresh_database) as connector:
            assert connector.check().account == "Ledger Ltd"
    assert vendor.refreshes == 1
    sent = [asked.headers["Authorization"] for asked in vendor.asked if asked.path == "/me"]
    assert {header.removeprefix("Bearer ") for header in sent} <= set(masked)
    assert any(secret.startswith("rt-") for secret in masked)


def test_a_token_that_the_vendor_forgot_is_renewed_while_the_task_goes_on(
    fresh_database: Database, run: SyncRun, vendor: Ledger
) -> None:
    consent(fresh_database, run, vendor)
    with environment.connector_for(run, fresh_database) as connector:
        assert connector.check().success
        vendor.forget_access_tokens()
        assert connector.check().success
    assert vendor.refreshes == 2


def test_a_task_of_a_connection_that_nobody_connected_fails_with_what_to_do(
    fresh_database: Database, run: SyncRun, vendor: Ledger
) -> None:
    with environment.connector_for(run, fresh_database) as connector:
        result = connector.check()
    assert not result.success
    assert "erpflow connect books" in result.message
    assert vendor.asked == []


def test_a_task_keeps_to_the_limits_of_the_account(fresh_database: Database, run: SyncRun, vendor: Ledger) -> None:
    consent(fresh_database, run, vendor)
    with environment.connector_for(run, fresh_database) as connector:
        connector.check()
    with fresh_database.transaction() as connection:
        rows = connection.execute("SELECT granted FROM erpflow.erp_rate_accounts").fetchall()
    assert rows == [(1,)]
