"""Applies a chunk of pulled records where both sides may have changed: the merge decides, this module reads and writes.

Everything but the merge is that of a one-way pull: staging, look-ups, natural keys, refusals one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from erpflow.store import conflicts, history, merge_sql, pull_sql
from erpflow.store.conflicts import NewConflict
from erpflow.store.history import Entry
from erpflow.store.pull import Applied, Batch, ChunkWriter, Connection
from erpflow.store.pull_sql import PullTarget
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import RunRef

Texts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Compared:
    """One record on both sides. Values are texts by column; `agreed_*` None: nothing was ever agreed on.

    `outcome` as SQL saw it: updated, same, gone (the row was deleted here), tombstone or frozen. `pushed` is the row
    as a push reads it, `pulled` as a pull writes it; both None when there is no row.
    """

    number: int
    outcome: str
    remote_id: str
    local_id: str | None
    status: str | None
    last_direction: str | None
    synced_at: datetime | None
    agreed_local: Texts | None
    agreed_remote: Texts | None
    remote_modified_at: datetime | None
    remote_version: str | None
    raw_hash: int
    local_modified_at: datetime | None
    is_deleted: bool
    remote: Texts
    pushed: Texts | None
    pulled: Texts | None
    row_id: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge decided about one record.

    `write`: created, updated (the fields of `take` and `delta`), same (only the tie is brought up to date) or skip.
    `counted`: what it counts as. `pending`: last agreed values of fields that are still to be pushed. `status`: frozen
    (a person must decide) or gone (the row stays deleted here), else None. `before` and `after`: the fields that
    change here.
    """

    number: int
    write: str
    counted: str
    take: tuple[str, ...] = ()
    delta: Mapping[str, str] | None = None
    pending: Texts | None = None
    status: str | None = None
    conflict: NewConflict | None = None
    before: Texts | None = None
    after: Texts | None = None

    def stored(self) -> dict[str, Any]:
        """As the statement takes it."""
        return {
            "n": self.number,
            "outcome": self.write,
            "take": list(self.take),
            "delta": self.delta,
            "pending": self.pending or None,
            "status": self.status,
        }


Merge = Callable[[Compared], Merged]


@dataclass(slots=True)
class _Range:
    """What the merges of one range of records left to be noted, once its writes have gone through."""

    conflicts: list[NewConflict] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)


class TwoWayWriter(ChunkWriter):
    """Writes chunks for one sync log over one connection, merging with what changed here."""

    def __init__(
        self,
        connection: Connection,
        target: PullTarget,
        tracked: Tracked,
        *,
        merge: Merge,
        parameters: Mapping[str, Any],
    ) -> None:
        self._tracked = tracked
        self._merge = merge
        super().__init__(connection, target, tracked, parameters=parameters)
        self._lock_rows = merge_sql.lock_rows(tracked).as_bytes(connection)
        self._compare = merge_sql.compare(tracked, target).as_bytes(connection)
        self._acknowledge = merge_sql.acknowledge_remote(tracked, target).as_bytes(connection)
        self._freeze = merge_sql.FREEZE.as_bytes(connection)

    def apply(self, batch: Batch) -> Applied:
        """Write the records of a batch; those that the table refuses are left out, each with the reason."""
        applied = Applied()
        if batch.count:
            self._connection.execute(pull_sql.PLANNER)
            self._apply_staged(batch, applied)
        return applied

    def _prepare(self) -> None:
        target, tracked = self._target, self._tracked
        self._is_plan = bool(self._parameters.get("plan"))
        self._history = self._render([history.pulled(tracked, target, which=history.FIRSTS)])[0]
        self._connection.execute(pull_sql.create_stages(target, besides=merge_sql.TWO_WAY_COLUMNS))
        self._decide = self._render([pull_sql.decide(target, cases=pull_sql.TWO_WAY)])[0]
        self._rows = {
            "created": self._render([pull_sql.insert_created(target)])[0],
            "updated": self._render([merge_sql.update_merged(target)])[0],
        }
        self._lines = self._render(
            statement
            for number, child in enumerate(target.children)
            for statement in pull_sql.write_children(child, number, written=merge_sql.taken_lines(child))
        )
        self._insert_records, self._update_records = self._render(
            [merge_sql.insert_agreed(tracked, target), merge_sql.update_agreed(tracked, target)]
        )

    def _write(self, low: int, high: int, applied: Applied) -> None:
        run = self._connection.execute
        run(self._decide, {**self._parameters, "lo": low, "hi": high})
        noted = self._merge_range()
        outcomes, ties = self._outcomes()
        refused = self._refused_in(outcomes)
        if outcomes["created"] and self._is_plan:
            run(self._history, self._parameters)
        for outcome, statement in self._rows.items():
            if outcomes[outcome]:
                run(statement)
        if outcomes["created"] or outcomes["updated"]:
            for statement in self._lines:
                run(statement)
        if False in ties:
            run(self._insert_records, self._parameters)
        if True in ties:
            run(self._update_records, self._parameters)
        if outcomes["skip"]:
            run(self._acknowledge, self._parameters)
            run(self._freeze, self._parameters)
        self._note(noted)
        run("SET CONSTRAINTS ALL IMMEDIATE")
        self._leave_range(low, high)
        applied.refused += refused
        applied.outcomes += self._countable(outcomes, noted.counted)

    def _merge_range(self) -> _Range:
        """Lock the rows at hand, compare both sides and let the merge decide."""
        run, noted = self._connection.execute, _Range()
        run(self._lock_rows)
        decisions = []
        for row in run(self._compare, self._parameters).fetchall():
            compared = _compared(row)
            merged = self._merge(compared)
            decisions.append(merged)
            noted.counted[merged.write] -= 1
            noted.counted[merged.counted] += 1
            if merged.conflict is not None:
                noted.conflicts.append(merged.conflict)
            if merged.write in ("created", "updated"):
                noted.entries.append(_entry(compared, merged))
        if decisions:
            run(merge_sql.APPLY_DECISIONS, (json.dumps([merged.stored() for merged in decisions]),))
        return noted

    def _note(self, noted: _Range) -> None:
        run = RunRef(*(self._parameters[name] for name in ("tenant", "config", "log")))
        conflicts.record(self._connection, noted.conflicts, run)
        history.record(self._connection, noted.entries, run)

    @staticmethod
    def _countable(outcomes: Counter[str], counted: Counter[str]) -> Counter[str]:
        """Outcomes as they count: what the merge wrote is taken back, and what it counts as is added."""
        total = Counter(outcomes)
        for name, number in counted.items():
            total[name] += number
        return Counter(
            {name: number for name, number in total.items() if number > 0 and name not in ("lookup", "ambiguous")}
        )


def _compared(row: Sequence[Any]) -> Compared:
    (number, outcome, remote_id, local_id, status, direction, synced_at, agreed_local, agreed_remote, *rest) = row
    remote_at, version, raw_hash, local_at, exists, is_deleted, remote, pushed, pulled, row_id = rest
    return Compared(
        number=number,
        outcome=outcome,
        remote_id=remote_id,
        local_id=local_id,
        status=status,
        last_direction=direction,
        synced_at=synced_at,
        agreed_local=agreed_local,
        agreed_remote=agreed_remote,
        remote_modified_at=remote_at,
        remote_version=version,
        raw_hash=raw_hash,
        local_modified_at=local_at,
        is_deleted=is_deleted,
        remote=remote,
        pushed=pushed if exists else None,
        pulled=pulled if exists else None,
        row_id=row_id,
    )


def _entry(compared: Compared, merged: Merged) -> Entry:
    created = merged.write == "created"
    return Entry(
        remote_id=compared.remote_id,
        local_id=compared.row_id,
        direction="pull",
        change="created" if created else "updated",
        before=None if created else merged.before,
        after=merged.after,
    )
