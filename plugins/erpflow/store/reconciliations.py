"""Reconciliations: a row for each comparison of both sides of a sync config, and the first of its findings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError
from erpflow.vocabulary import FindingKind, SyncLogId

Connection = psycopg.Connection[Any]

KEPT: Final = 10_000
"""Findings kept in the table; the report has all."""

OPEN: Final = """
INSERT INTO erpflow.erp_reconciliations (tenant_id, sync_config_id, log_id, repairs, started_at)
SELECT l.tenant_id, l.sync_config_id, l.id, %(repairs)s, l.started_at FROM erpflow.erp_sync_logs l WHERE l.id = %(log)s
ON CONFLICT (log_id) DO NOTHING
"""

SELECT: Final = """
SELECT r.id::text, r.log_id::text, r.status, r.repairs, r.found, r.repaired, r.report, r.compared_at, r.repaired_at
FROM erpflow.erp_reconciliations r WHERE r.log_id = %s
"""

FORGET: Final = """
DELETE FROM erpflow.erp_reconciliation_findings f USING erpflow.erp_reconciliations r
WHERE r.log_id = %s AND f.reconciliation_id = r.id
"""

KEEP: Final = """
INSERT INTO erpflow.erp_reconciliation_findings
    (reconciliation_id, number, tenant_id, kind, remote_id, local_id, fields, reason)
SELECT r.id, f.number, r.tenant_id, f.kind, f.remote_id, f.local_id, f.fields, f.reason
FROM erpflow.erp_reconciliations r
CROSS JOIN jsonb_to_recordset(%(findings)s::jsonb)
    AS f (number int, kind text, remote_id text, local_id text, fields jsonb, reason text)
WHERE r.log_id = %(log)s
"""

COMPARED: Final = """
UPDATE erpflow.erp_reconciliations
SET found = %(found)s::jsonb, repaired = '{}', compared_at = now(), repaired_at = NULL WHERE log_id = %(log)s
"""

TRIED: Final = """
UPDATE erpflow.erp_reconciliation_findings f SET repaired = o.outcome IS NULL, outcome = o.outcome
FROM erpflow.erp_reconciliations r, jsonb_to_recordset(%(outcomes)s::jsonb) AS o (number int, outcome text)
WHERE r.log_id = %(log)s AND f.reconciliation_id = r.id AND f.number = o.number
"""

REPAIRED: Final = """
UPDATE erpflow.erp_reconciliations SET repaired = %(repaired)s::jsonb, repaired_at = now() WHERE log_id = %(log)s
"""

REPORT: Final = "UPDATE erpflow.erp_reconciliations SET report = %s WHERE log_id = %s"

FINISH: Final = """
UPDATE erpflow.erp_reconciliations r
SET finished_at = now(),
    status = CASE WHEN l.status = 'failed' OR r.compared_at IS NULL THEN 'failed'
                  WHEN (SELECT coalesce(sum(value::bigint), 0) FROM jsonb_each_text(r.found))
                       > (SELECT coalesce(sum(value::bigint), 0) FROM jsonb_each_text(r.repaired)) THEN 'findings'
                  ELSE 'clean' END
FROM erpflow.erp_sync_logs l WHERE r.log_id = %(log)s AND l.id = r.log_id
"""

FIRST: Final = """
SELECT f.number, f.kind, f.remote_id, f.local_id, f.fields, f.reason, f.repaired, f.outcome
FROM erpflow.erp_reconciliation_findings f JOIN erpflow.erp_reconciliations r ON r.id = f.reconciliation_id
WHERE r.log_id = %s ORDER BY f.number LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison. `found` and `repaired`: findings by kind. `repairs`: the kinds that it is to repair."""

    id: str
    log_id: SyncLogId
    status: str
    repairs: tuple[FindingKind, ...]
    found: Mapping[FindingKind, int]
    repaired: Mapping[FindingKind, int]
    report: str | None
    compared_at: datetime | None
    repaired_at: datetime | None

    @property
    def left(self) -> int:
        """Findings that are not repaired."""
        return sum(self.found.values()) - sum(self.repaired.values())


@dataclass(frozen=True, slots=True)
class KeptFinding:
    """A finding as people see it. `repaired` None: nobody tried; False: `outcome` says why not."""

    number: int
    kind: FindingKind
    remote_id: str | None
    local_id: str | None
    fields: Mapping[str, Mapping[str, str | None]]
    reason: str
    repaired: bool | None = None
    outcome: str | None = None


def open_reconciliation(connection: Connection, log_id: SyncLogId, repairs: Sequence[FindingKind]) -> None:
    """The row of a log; one that is there already stays as it is: whoever plans late may meet one that has ended."""
    connection.execute(OPEN, {"log": log_id, "repairs": [kind.value for kind in repairs]})


def get(connection: Connection, log_id: SyncLogId) -> Reconciliation:
    """The reconciliation of a log. Raises ConfigError when there is none."""
    row = connection.execute(SELECT, (log_id,)).fetchone()
    if row is None:
        raise ConfigError(f"The sync log {log_id} is no reconciliation, or its connection was deleted.")
    id_, log, status, repairs, found, repaired, *rest = row
    return Reconciliation(
        id_, log, status, tuple(map(FindingKind, repairs)), _by_kind(found), _by_kind(repaired), *rest
    )


def forget_findings(connection: Connection, log_id: SyncLogId) -> None:
    """Whatever an earlier try found counts no more."""
    connection.execute(FORGET, (log_id,))


def keep_findings(connection: Connection, log_id: SyncLogId, findings: Sequence[KeptFinding]) -> None:
    """Keep findings, of which nobody has tried to repair one yet."""
    rows = [
        {
            "number": each.number,
            "kind": each.kind,
            "remote_id": each.remote_id,
            "local_id": each.local_id,
            "fields": each.fields,
            "reason": each.reason,
        }
        for each in findings
    ]
    if rows:
        connection.execute(KEEP, {"log": log_id, "findings": json.dumps(rows)})


def note_compared(connection: Connection, log_id: SyncLogId, found: Mapping[FindingKind, int]) -> None:
    """The comparison is done; in the transaction that keeps its findings."""
    connection.execute(COMPARED, {"log": log_id, "found": json.dumps(found)})


def note_outcomes(connection: Connection, log_id: SyncLogId, outcomes: Sequence[tuple[int, str | None]]) -> None:
    """What became of the attempt to repair findings: number, and why not (None: it is repaired)."""
    rows = [{"number": number, "outcome": outcome} for number, outcome in outcomes if number <= KEPT]
    if rows:
        connection.execute(TRIED, {"log": log_id, "outcomes": json.dumps(rows)})


def note_repaired(connection: Connection, log_id: SyncLogId, repaired: Mapping[FindingKind, int]) -> None:
    """The repair is done: how many findings of each kind are no more."""
    connection.execute(REPAIRED, {"log": log_id, "repaired": json.dumps(repaired)})


def note_report(connection: Connection, log_id: SyncLogId, location: str) -> None:
    """Where the table of all findings is."""
    connection.execute(REPORT, (location, log_id))


def finish(connection: Connection, log_id: SyncLogId) -> Reconciliation:
    """Close a reconciliation behind its log: failed, clean, or with findings that are left."""
    connection.execute(FINISH, {"log": log_id})
    return get(connection, log_id)


def first_findings(connection: Connection, log_id: SyncLogId, *, limit: int) -> list[KeptFinding]:
    """The first findings, in the order of their kinds."""
    return [
        KeptFinding(number, FindingKind(kind), *rest)
        for number, kind, *rest in connection.execute(FIRST, (log_id, limit))
    ]


def _by_kind(counts: Mapping[str, int]) -> dict[FindingKind, int]:
    return {kind: counts[kind.value] for kind in FindingKind if counts.get(kind.value)}
