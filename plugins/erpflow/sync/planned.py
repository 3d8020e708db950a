"""What a dry run would have done, change by change: read back from the history it wrote, before that is rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from erpflow.store import conflicts, history
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import SyncRun

Texts = Mapping[str, str | None]

MOST_PLANNED = 1_000
"""Changes that a plan shows; the counts are always of all."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change that would be made: which way, to which record, and the fields before and after.

    `change`: created, updated, deleted or conflict; of a conflict, `before` is ours and `after` the vendor's.
    """

    direction: str
    change: str
    remote_id: str | None
    local_id: str | None
    before: Texts | None
    after: Texts | None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return asdict(self)


def planned_changes(connection: Connection, run: SyncRun, *, most: int) -> list[PlannedChange]:
    """What the transaction at hand has changed for a run so far, `most` changes at most."""
    if most <= 0:
        return []
    found = [
        PlannedChange(run.direction.value, "conflict", c.remote_id, c.local_id, c.local, c.remote, c.reason)
        for c in conflicts.of_log(connection, run.config_id, run.log_id, limit=most)
    ]
    found += [
        PlannedChange(entry.direction, entry.change, entry.remote_id, entry.local_id, entry.before, entry.after)
        for entry in history.of_log(connection, run.config_id, run.log_id, limit=most)
    ]
    return found[:most]
