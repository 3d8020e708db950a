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

    `change`: created, updated, deleted or conflict; of a conflict, `before` is ours, `after` the vendor's, and
    `winners` says who wins each contested field (null: nobody yet).
    """

    direction: str
    change: str
    remote_id: str | None
    local_id: str | None
    before: Texts | None
    after: Texts | None
    reason: str | None = None
    winners: Texts | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return asdict(self)


def planned_changes(connection: Connection, run: SyncRun, *, most: int) -> list[PlannedChange]:
    """What the transaction at hand has changed for a run so far, `most` changes at most."""
    if most <= 0:
        return []
    found = [
        PlannedChange(
            direction=run.direction.value,
            change="conflict",
            remote_id=c.remote_id,
            local_id=c.local_id,
            before=c.local,
            after=c.remote,
            reason=c.reason,
            winners={contest.field: contest.winner for contest in c.fields},
        )
        for c in conflicts.of_log(connection, run.config_id, run.log_id, limit=most)
    ]
    found += [
        PlannedChange(entry.direction, entry.change, entry.remote_id, entry.local_id, entry.before, entry.after)
        for entry in history.of_log(connection, run.config_id, run.log_id, limit=most)
    ]
    return found[:most]


def without_overruled(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The plans of a pull and the push behind it as one: a push sends nothing that the pull would settle otherwise.

    Both were made from the rows as they are; the push of a real run comes after the pull.
    """
    settled: dict[str, dict[str, str | None]] = {}
    for change in changes:
        if change["direction"] == "pull" and change["change"] == "conflict":
            settled[change["local_id"]] = change["winners"] or {"": None}
    kept = []
    for change in changes:
        winners = settled.get(change["local_id"]) if change["direction"] == "push" else None
        if winners is None:
            kept.append(change)
        elif None not in winners.values():
            lost = {name for name, winner in winners.items() if winner == "remote"}
            after = {name: value for name, value in (change["after"] or {}).items() if name not in lost}
            if after:
                before = {name: value for name, value in (change["before"] or {}).items() if name not in lost}
                kept.append({**change, "before": before, "after": after})
    return kept
