"""Rejects as people read them: which records of a run were refused, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import psycopg

from erpflow.vocabulary import SyncLogId

_NEWEST: Final = """
SELECT r.remote_id, r.stage,
       (SELECT string_agg(p ->> 'message', '; ' ORDER BY n)
        FROM jsonb_array_elements(r.problems) WITH ORDINALITY AS e (p, n))
FROM erpflow.erp_rejects r WHERE r.log_id = %s ORDER BY r.last_seen_at DESC, r.remote_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A refused record: its id if it has one, the stage that refused it, and every reason in one text."""

    remote_id: str | None
    stage: str
    why: str


def newest_rejects(connection: psycopg.Connection[Any], log_id: SyncLogId, *, limit: int) -> list[RejectedRecord]:
    """The records a run refused, the newest first, at most `limit`."""
    rows = connection.execute(_NEWEST, (log_id, limit))
    return [RejectedRecord(remote_id, stage, why or "no reason was kept") for remote_id, stage, why in rows]
