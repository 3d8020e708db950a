"""Returns as they are kept: one worker at a time, one filing a period, and sessions that nobody can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from erpflow.errors import AlreadyRunning, ConfigError
from erpflow.store import connections, gst_returns, gst_sessions, tenants
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.gst_returns import GstReturn
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import DEFAULT_TENANT, GstReturnState, TenantId

NOW = datetime(2026, 2, 5, 12, tzinfo=UTC)


@pytest.fixture
def tenanted(fresh_database: Database) -> Iterator[TenantDatabase]:
    found = TenantDatabase(lambda: fresh_database)
    yield found
    found.close()


def add(database: TenantDatabase, *, tenant_id: TenantId = DEFAULT_TENANT, **more: Any) -> GstReturn:
    given: dict[str, Any] = {
        "gstin": "29AABCV1234M1Z5", "period": "012026", "payload": b'{ "b":1.50,"a":2 }', "digest": "d", "totals": {},
        "problems": [], "is_blocked": False, "by": "test", "connection_id": None,
    }  # fmt: skip
    with database.session(tenant_id) as store:
        return gst_returns.add(store, tenant_id, **given | more)


def claimed(database: TenantDatabase, row: GstReturn) -> GstReturn:
    with database.session(row.tenant_id) as store:
        return gst_returns.claim(store, row.id)


def written(database: TenantDatabase, row: GstReturn, **changes: Any) -> GstReturn:
    with database.session(row.tenant_id) as store:
        return gst_returns.write(store, replace(row, **changes))


def lapse(database: TenantDatabase, row: GstReturn) -> None:
    with database.session(row.tenant_id) as store:
        store.execute(
            "UPDATE erpflow.erp_gst_returns SET claimed_until = now() - interval '1 s' WHERE id = %s", (row.id,)
        )


def test_a_payload_comes_back_byte_for_byte(tenanted: TenantDatabase) -> None:
    assert add(tenanted).payload == '{ "b":1.50,"a":2 }'


def test_a_return_is_one_workers_at_a_time(tenanted: TenantDatabase) -> None:
    row = claimed(tenanted, add(tenanted))
    with pytest.raises(AlreadyRunning):
        claimed(tenanted, row)
    with tenanted.session(DEFAULT_TENANT) as store:
        gst_returns.release(store, row)
    assert claimed(tenanted, row).fence == row.fence + 1


def test_what_a_worker_writes_that_was_succeeded_counts_for_nothing(tenanted: TenantDatabase) -> None:
    first = claimed(tenanted, add(tenanted))
    lapse(tenanted, first)
    second = claimed(tenanted, first)
    with pytest.raises(AlreadyRunning):
        written(tenanted, first, state=GstReturnState.SAVED)
    with tenanted.session(DEFAULT_TENANT) as store:
        gst_returns.release(store, first)  # nor does it let go of what is another's
    with pytest.raises(AlreadyRunning):
        claimed(tenanted, second)
    assert written(tenanted, second, state=GstReturnState.SAVING).state is GstReturnState.SAVING


def test_one_return_of_a_period_can_be_sent_to_be_filed(tenanted: TenantDatabase) -> None:
    ours, other = (claimed(tenanted, add(tenanted)) for _ in range(2))
    sent = written(tenanted, ours, state=GstReturnState.UNKNOWN, filing_by="me", filing_at=NOW)
    with pytest.raises(AlreadyRunning, match="is being filed, or was"):
        written(tenanted, other, state=GstReturnState.UNKNOWN, filing_by="you", filing_at=NOW)
    with tenanted.session(DEFAULT_TENANT) as store:
        assert gst_returns.other_filing(store, other) == ours.id
        assert gst_returns.other_filing(store, ours) is None
    written(tenanted, sent, state=GstReturnState.FILED, arn="AA", filed_at=NOW)
    february = claimed(tenanted, add(tenanted, period="022026"))
    written(tenanted, february, state=GstReturnState.UNKNOWN, filing_by="you", filing_at=NOW)


def test_another_company_neither_sees_nor_blocks_a_return(tenanted: TenantDatabase, fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        acme = tenants.add_tenant(connection, "acme", name="Acme").id
    ours, theirs = claimed(tenanted, add(tenanted)), claimed(tenanted, add(tenanted, tenant_id=acme))
    written(tenanted, ours, state=GstReturnState.UNKNOWN, filing_at=NOW)
    with tenanted.session(acme) as store:
        assert gst_returns.get(store, ours.id) is None
        assert gst_returns.other_filing(store, theirs) is None
        with pytest.raises(AlreadyRunning):
            gst_returns.write(store, ours)
    written(tenanted, theirs, state=GstReturnState.UNKNOWN, filing_at=NOW)


def test_a_session_is_kept_encrypted_and_ends_with_a_new_otp(
    tenanted: TenantDatabase, fresh_database: Database
) -> None:
    cipher = Cipher(Fernet.generate_key().decode())
    with fresh_database.transaction() as connection:
        account = connections.add_connection(connection, "portal", system="gst_portal").id
    with tenanted.session(DEFAULT_TENANT) as store:
        assert gst_sessions.get(store, account, cipher=cipher).session is None
        gst_sessions.asked(store, account, "pending-key", at=NOW, cipher=cipher)
        assert gst_sessions.get(store, account, cipher=cipher).pending == "pending-key"
        gst_sessions.opened(store, account, "secret-session", expires_at=NOW + timedelta(hours=6), cipher=cipher)
        kept = gst_sessions.get(store, account, cipher=cipher)
        assert (kept.session, kept.pending, kept.asked_at) == ("secret-session", None, None)
        assert "secret" not in repr(kept)
        row = str(store.execute("SELECT s::text FROM erpflow.erp_gst_sessions s").fetchone())
        assert "secret-session" not in row and "pending-key" not in row
        with pytest.raises(ConfigError, match="ask for a new OTP"):
            gst_sessions.get(store, account, cipher=Cipher(Fernet.generate_key().decode()))
        gst_sessions.asked(store, account, "again", at=NOW, cipher=cipher)
        assert gst_sessions.get(store, account, cipher=cipher).session is None
