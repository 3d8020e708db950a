"""What a two-way pull does with a record that is known or matched here: merge it, or settle who deleted what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from erpflow.store.conflicts import NewConflict
from erpflow.store.two_way import Compared, Merged
from erpflow.sync.merge import LOCAL, REMOTE, Decision, Rules, Sides, is_newer, merge, plain
from erpflow.vocabulary import ConflictKind, ConflictStrategy, Deletes

DELETED_HERE = "deleted here"
"""Why a record is ignored: the row was deleted here, and the vendor's record stays as it is."""


@dataclass(frozen=True, slots=True)
class PullMerge:
    """Decides one record. `strategy` is the config's, `push_deletes` what a row deleted here does at the vendor."""

    rules: Rules
    strategy: ConflictStrategy
    push_deletes: Deletes

    def __call__(self, record: Compared) -> Merged:
        """The decision for one record."""
        if record.outcome == "tombstone":
            return self._tombstone(record)
        if record.pushed is None or record.pulled is None:
            return self._gone(record)
        if record.is_deleted and record.status is None:  # a row that was deleted here meets a record of its key
            return self._restored(record, counted=None)
        if record.is_deleted and record.outcome != "frozen":
            return self._gone(record)
        return self._both(record)

    def _both(self, record: Compared) -> Merged:
        decision = merge(sides_of(record), self.rules)
        if record.outcome == "frozen" or decision.frozen:
            return Merged(record.number, "skip", "conflict", status="frozen", conflict=self._waiting(record, decision))
        write = "updated" if decision.take or decision.delta else "same"
        before, after = changed_here(record, decision)
        return Merged(
            number=record.number,
            write=write,
            counted="conflict" if decision.contested else write,
            take=decision.take,
            delta=decision.delta or None,
            pending=decision.pending,
            conflict=self._conflict(record, decision) if decision.contested else None,
            before=before,
            after=after,
        )

    def _waiting(self, record: Compared, decision: Decision) -> NewConflict:
        """What a person decides about: both sides as they are now, also where they agree again meanwhile."""
        waiting = tuple(replace(contest, winner=None) for contest in decision.contested)
        conflict = self._conflict(record, replace(decision, contested=waiting, frozen=True))
        if waiting:
            return conflict
        return replace(conflict, winner=None, reason="Nothing is in conflict any more; it still waits for a person.")

    def _conflict(self, record: Compared, decision: Decision) -> NewConflict:
        kind = ConflictKind.BOTH_CREATED if record.agreed_remote is None else ConflictKind.BOTH_UPDATED
        names = ", ".join(contest.field for contest in decision.contested)
        how = "waits for a person" if decision.frozen else f"{decision.winner} won by {self.strategy}"
        return self._new(record, kind, decision.winner, f"Both sides changed {names}: {how}.", decision)

    def _new(
        self, record: Compared, kind: ConflictKind, winner: str | None, reason: str, decision: Decision | None = None
    ) -> NewConflict:
        return NewConflict(
            kind=kind,
            strategy=self.strategy.value,
            remote_id=record.remote_id,
            local_id=record.local_id or record.row_id,
            fields=decision.contested if decision else (),
            winner=winner,
            reason=reason,
            remote_record=record.remote,
            remote_version=record.remote_version,
            remote_modified_at=record.remote_modified_at,
            raw_hash=record.raw_hash,
        )

    def _gone(self, record: Compared) -> Merged:
        """The row was deleted here. If the vendor changed the record since, both cannot stand."""
        if record.outcome == "frozen":
            return Merged(record.number, "skip", "conflict", status="frozen")
        if self.push_deletes is Deletes.IGNORE:
            return Merged(record.number, "skip", DELETED_HERE, status="gone")
        agreed = record.agreed_remote or {}
        changed = [
            name for name, rule in self.rules.items() if rule.pulls and record.remote.get(name) != agreed.get(name)
        ]
        if not changed:
            return Merged(record.number, "skip", "same", status="gone")
        kind, what = ConflictKind.LOCAL_DELETED_REMOTE_UPDATED, f"Deleted here, {', '.join(changed)} changed there"
        if self.strategy is ConflictStrategy.MANUAL:
            conflict = self._new(record, kind, None, f"{what}: waits for a person.")
            return Merged(record.number, "skip", "conflict", status="frozen", conflict=conflict)
        if self._our_delete_wins(record):
            conflict = self._new(record, kind, LOCAL, f"{what}: local won by {self.strategy}, it is deleted there too.")
            return Merged(record.number, "skip", "conflict", status="gone", conflict=conflict)
        conflict = self._new(record, kind, REMOTE, f"{what}: remote won by {self.strategy}, it is here again.")
        return self._restored(record, counted="conflict", conflict=conflict)

    def _our_delete_wins(self, record: Compared) -> bool:
        if self.strategy is ConflictStrategy.NEWEST_WINS:  # a row that is gone has no clock; one that is marked has
            return record.is_deleted and is_newer(record.local_modified_at, record.remote_modified_at)
        return self.strategy is ConflictStrategy.LOCAL_WINS

    def _tombstone(self, record: Compared) -> Merged:
        """A record that was deleted is listed by the vendor by a run that began later: it was restored there."""
        if record.last_direction == "push" and self.push_deletes is not Deletes.HARD:
            return Merged(record.number, "skip", DELETED_HERE)
        return self._restored(record, counted=None)

    def _restored(self, record: Compared, *, counted: str | None, conflict: NewConflict | None = None) -> Merged:
        pulled = tuple(name for name, rule in self.rules.items() if rule.pulls)
        write = "created" if record.pulled is None else "updated"
        ours = record.pulled or {}
        differing = [name for name in pulled if ours.get(name) != record.remote.get(name)]
        return Merged(
            number=record.number,
            write=write,
            counted=counted or write,
            take=pulled,
            conflict=conflict,
            before={name: ours.get(name) for name in differing},
            after={name: record.remote.get(name) for name in differing},
        )


def sides_of(record: Compared) -> Sides:
    """Both sides of a record whose row is there."""
    return Sides(
        agreed_local=record.agreed_local,
        agreed_remote=record.agreed_remote,
        pushed=record.pushed or {},
        pulled=record.pulled or {},
        remote=record.remote,
        local_at=record.local_modified_at,
        remote_at=record.remote_modified_at,
    )


def changed_here(record: Compared, decision: Decision) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """The fields that a decision changes in the row, before and after."""
    ours = record.pulled or {}
    before = {name: ours.get(name) for name in (*decision.take, *decision.delta)}
    after = {name: record.remote.get(name) for name in decision.take}
    for name, delta in decision.delta.items():
        after[name] = plain(Decimal(ours.get(name) or "0") + Decimal(delta))
    return before, after
