"""A vendor does what it was told, and its answer is lost: as many records as rows, each once (invariant 5)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog

from erpflow.cli.terminal import quiet_logs
from erpflow.connectors.erpnext import ENTITIES
from erpflow.services.installation import engine
from erpflow.sync import plan as planning
from erpflow.sync import push_settle
from erpflow.sync.plan import RunRequest
from erpflow.vocabulary import Direction
from tests.chaos.conftest import Site
from tests.chaos.scale import SCALE
from tests.integration.conftest import Installation

AT_ONCE = 10
"""Creates in a request: few, so that one in twenty lost answers is one in twenty creates nobody knows of."""

MAKE = """
INSERT INTO app.customers (name, tax_number) SELECT 'Customer ' || n, 'T' || n FROM generate_series(1, {}) n
"""
STATES = "SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state"


@pytest.mark.timeout(SCALE.timeout_s)
def test_one_in_twenty_answers_is_lost_and_every_row_becomes_one_record(
    both_ways: Installation, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    monkeypatch.setitem(ENTITIES, "customer", replace(ENTITIES["customer"], bulk_size=AT_ONCE))  # type: ignore[arg-type]
    quiet_logs(debug=False)
    try:
        with both_ways.database.session() as connection:
            connection.execute(MAKE.format(SCALE.creates).encode())
            request = RunRequest(kind="manual", connection="demo", direction=Direction.PUSH)
            (planned,) = planning.plan(connection, request, system="erpnext", entity="customer", now=datetime.now(UTC))
        site.heal(seed=SCALE.seed)
        for kind in ("after_commit", "reset_after_commit"):
            site.fault(kind, method="POST", path="insert_many", probability=0.025)
        summary = engine(both_ways.database).run(planned.log_id)
        lost = site.heal(seed=SCALE.seed)
    finally:
        structlog.reset_defaults()

    assert (summary.counts.read, summary.counts.created) == (SCALE.creates, SCALE.creates)
    there = Counter(row["tax_id"] for row in site.rows("Customer", "tax_id"))
    assert there == Counter({f"T{n}": 1 for n in range(1, SCALE.creates + 1)})
    assert dict(both_ways.rows(STATES))["succeeded"] == SCALE.creates
    assert lost >= SCALE.creates / AT_ONCE / 50
    SCALE.tell(f"{lost} answers to {AT_ONCE} creates each were lost: {there.total():,} records, each once")
