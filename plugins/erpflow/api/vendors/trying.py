"""Trying a connection out: one cheap question to the vendor, bounded in time, whose answer becomes its status."""

from __future__ import annotations

import threading
import time

from erpflow.api.callers import Caller
from erpflow.api.surroundings import Surroundings
from erpflow.connectors.base import CheckResult
from erpflow.errors import AuthFailed, ErpflowError
from erpflow.store import connections
from erpflow.store.connections import ConnectionStatus, ErpConnection

PATIENCE_S = 30.0
"""How long somebody who waits for the answer waits."""


def tried(around: Surroundings, caller: Caller, row: ErpConnection) -> CheckResult:
    """What the vendor says to a connection's credentials. Never raises for a vendor that refuses or is away."""
    found: list[tuple[ConnectionStatus, CheckResult]] = []
    thread = threading.Thread(target=lambda: found.append(_asked(around, row)), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if not found:
        late = f"{row.name} did not answer within {PATIENCE_S:.0f} s. Look at its address, and whether it is up."
        found.append((ConnectionStatus.ERROR, CheckResult(success=False, message=late, latency=PATIENCE_S)))
    status, result = found[0]
    with around.database.session(caller.tenant_id) as connection:
        connections.set_status(connection, row.id, status, message=result.message, account=result.account)
    return result


def _asked(around: Surroundings, row: ErpConnection) -> tuple[ConnectionStatus, CheckResult]:
    began = time.monotonic()
    try:
        with around.connect(row) as vendor:
            result = vendor.check()
    except ErpflowError as error:
        status = ConnectionStatus.EXPIRED if isinstance(error, AuthFailed) else ConnectionStatus.ERROR
        return status, CheckResult(success=False, message=str(error), latency=time.monotonic() - began)
    return (ConnectionStatus.ACTIVE if result.success else ConnectionStatus.ERROR), result
