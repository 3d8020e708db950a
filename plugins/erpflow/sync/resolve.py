"""A person decides a conflict: keep ours, keep theirs, or a value for each field. The record is free again then.

Deciding writes our side and what is agreed on; what the vendor lacks is sent by the next push. The record is merged
with everything that has changed since, by the same rules; only the contested fields follow the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.store import conflicts, history, locks, resolutions, sync_logs, templates
from erpflow.store.conflicts import Conflict
from erpflow.store.database import Database
from erpflow.store.history import Entry
from erpflow.store.pull import REFUSALS, Connection, problem_of
from erpflow.store.resolutions import FrozenRecord
from erpflow.store.tracked import Tracked
from erpflow.sync.in_force import mapping_in_force
from erpflow.sync.merge import LOCAL, REMOTE, Decision, Sides, merge, rules_of
from erpflow.sync.target import tracked
from erpflow.vocabulary import ConflictKind, Deletes, FieldConflict, RunRef, SyncLogId

Texts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a person's own for a contested field, as text; None empties it."""

    text: str | None


Choice = str | Mapping[str, str | Value]
"""`local`, `remote`, or one of them or a `Value` for each contested field."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a decision did: who won, and the sentence for the person who took it."""

    conflict_id: str
    winner: str
    message: str


class Resolver:
    """Resolves conflicts of one database. `mappings` is the folder that mapping paths are relative to."""

    def __init__(self, database: Database, mappings: Path) -> None:
        self._database = database
        self._mappings = mappings

    def resolve(self, conflict_id: str, choice: Choice, *, by: str) -> Resolution:
        """Decide one conflict. `by` names the person.

        Raises ConfigError when there is no such open conflict, a field is not contested, or the table refuses a value.
        """
        with self._database.session() as connection, connection.transaction():
            conflict = self._open_conflict(connection, conflict_id)
            locks.hold(connection, conflict.config_id)
            mapping, table = self._mapping(connection, conflict)
            self._check_choice(conflict, choice)
            try:
                with connection.transaction():
                    done = _Case(connection, conflict, mapping, table, choice, by=by).decide()
            except REFUSALS as error:
                raise ConfigError(
                    f"{problem_of(error, table.table.name).message} The conflict stays open: choose another value."
                ) from error
            if not conflicts.settle(
                connection, conflict.id, winner=done.winner, by=by, resolution=_kept(choice), reason=done.message
            ):
                raise ConfigError(f"The conflict {conflict_id} has just been resolved by somebody else.")
        return done

    def resolve_all(self, conflict_ids: Sequence[str], choice: Choice, *, by: str) -> list[Resolution | ConfigError]:
        """Decide several alike, each in a transaction of its own; what went wrong stands in its place."""
        results: list[Resolution | ConfigError] = []
        for conflict_id in conflict_ids:
            try:
                results.append(self.resolve(conflict_id, choice, by=by))
            except ConfigError as error:
                results.append(error)
        return results

    def _open_conflict(self, connection: Connection, conflict_id: str) -> Conflict:
        conflict = conflicts.get(connection, conflict_id)
        if conflict is None:
            raise ConfigError(f"There is no conflict {conflict_id}.")
        if conflict.status != "open":
            raise ConfigError(
                f"The conflict {conflict_id} is resolved already, by {conflict.resolved_by}: {conflict.reason}"
            )
        return conflict

    def _mapping(self, connection: Connection, conflict: Conflict) -> tuple[EntityMapping, Tracked]:
        path, overrides, direction = sync_logs.config_facts(connection, conflict.config_id)
        kept = templates.kept_templates(connection, tenant_id=conflict.tenant_id)
        mapping = mapping_in_force(self._mappings, path, overrides, kept=kept)
        return mapping, tracked(connection, mapping, direction, where=str(self._mappings / path))

    @staticmethod
    def _check_choice(conflict: Conflict, choice: Choice) -> None:
        if isinstance(choice, str):
            if choice not in (LOCAL, REMOTE):
                raise ConfigError(f'"{choice}" is no decision{suggestion(choice, (LOCAL, REMOTE))}')
            return
        known = [contest.field for contest in conflict.fields]
        for name, chosen in choice.items():
            if name not in known:
                raise ConfigError(f'"{name}" is not in conflict{suggestion(name, known)}')
            if isinstance(chosen, str) and chosen not in (LOCAL, REMOTE):
                raise ConfigError(f'"{chosen}" is no decision for {name}{suggestion(chosen, (LOCAL, REMOTE))}')
        missing = [name for name in known if name not in choice]
        if missing:
            raise ConfigError(f"Say who wins {', '.join(missing)} too.")


class _Case:
    """One conflict in the hands of a person, within a transaction."""

    def __init__(
        self,
        connection: Connection,
        conflict: Conflict,
        mapping: EntityMapping,
        table: Tracked,
        choice: Choice,
        *,
        by: str,
    ) -> None:
        self._connection = connection
        self._conflict = conflict
        self._mapping = mapping
        self._table = table
        self._choice = choice
        self._by = by
        self._rules = rules_of(mapping, FieldConflict.MANUAL)

    def decide(self) -> Resolution:
        """Do what was decided."""
        record = resolutions.read(
            self._connection,
            self._table,
            self._conflict.config_id,
            remote_id=self._conflict.remote_id,
            local_id=self._conflict.local_id,
        )
        if self._conflict.kind is ConflictKind.UNIQUE_COLLISION:
            return self._collision()
        if record is None:
            return self._done("local", "The record is not tied any more; nothing was changed.")
        if self._conflict.kind is ConflictKind.LOCAL_UPDATED_REMOTE_DELETED:
            return self._deleted_there(record)
        if record.pushed is None or record.pulled is None:
            return self._deleted_here(record)
        return self._both_there(record, record.pushed, record.pulled)

    # -- the cases -----------------------------------------------------------------------------------------------

    def _both_there(self, record: FrozenRecord, pushed: Texts, pulled: Texts) -> Resolution:
        theirs = self._conflict.remote_record or {}
        sides = Sides(
            agreed_local=record.agreed_local,
            agreed_remote=record.agreed_remote,
            pushed=pushed,
            pulled=pulled,
            remote=theirs,
            local_at=record.local_modified_at,
            remote_at=self._conflict.remote_modified_at,
        )
        wanted = self._winners()
        decision = merge(sides, self._rules, choices={name: _side(chosen) for name, chosen in wanted.items()})
        if decision.frozen:
            decision = merge(sides, self._rules, choices=dict.fromkeys(self._rules, _side(self._default())))
        written = {name: theirs.get(name) for name in decision.take}
        written |= {name: chosen.text for name, chosen in wanted.items() if isinstance(chosen, Value)}
        changed = {name: value for name, value in written.items() if pulled.get(name) != value}
        resolutions.write_row(self._connection, self._table, record.local_id, changed)
        self._tie(record, decision, theirs, {**pushed, **written}, set(written))
        self._note(record, before={name: pulled.get(name) for name in changed}, after=changed)
        winner = self._winner(wanted)
        return self._done(winner, f"{self._words(wanted)} The record is synced again.")

    def _tie(self, record: FrozenRecord, decision: Decision, theirs: Texts, now: Texts, written: set[str]) -> None:
        """What is agreed on: the vendor's values; ours where they differ are still to be pushed."""
        agreed_local: dict[str, str | None] = {}
        for name, rule in self._rules.items():
            if not rule.pushes:
                continue
            if name in decision.pending and name not in written:
                agreed_local[name] = decision.pending[name]
            elif rule.pulls and not rule.lines and now.get(name) != theirs.get(name):
                agreed_local[name] = theirs.get(name)
            else:
                agreed_local[name] = now.get(name)
        resolutions.tie(
            self._connection,
            self._conflict.config_id,
            record.remote_id,
            local_id=record.local_id,
            status="pending",
            agreed_local=agreed_local,
            agreed_remote=theirs,
            raw_hash=self._conflict.raw_hash,
            version=self._conflict.remote_version,
            modified_at=self._conflict.remote_modified_at,
        )

    def _deleted_here(self, record: FrozenRecord) -> Resolution:
        """Our row is gone; theirs was changed (or was in conflict when our row was deleted)."""
        theirs = self._conflict.remote_record or {}
        gone = (
            ""
            if self._conflict.kind is ConflictKind.LOCAL_DELETED_REMOTE_UPDATED
            else "Meanwhile our row was deleted. "
        )
        if self._default() == LOCAL:
            resolutions.tie(
                self._connection,
                self._conflict.config_id,
                record.remote_id,
                local_id=record.local_id,
                status="pending",
                agreed_local=record.agreed_local or {},
                agreed_remote=theirs,
                version=self._conflict.remote_version,
                modified_at=self._conflict.remote_modified_at,
            )
            return self._done(LOCAL, f"{gone}The next push deletes the record at the vendor too.")
        local_id = resolutions.insert_row(
            self._connection, self._table, {name: theirs.get(name) for name in self._pulled()}
        )
        pushed = {name: theirs.get(name) for name, rule in self._rules.items() if rule.pushes}
        resolutions.tie(
            self._connection,
            self._conflict.config_id,
            record.remote_id,
            local_id=local_id,
            status="pending",
            agreed_local=pushed,
            agreed_remote=theirs,
            raw_hash=self._conflict.raw_hash,
            version=self._conflict.remote_version,
            modified_at=self._conflict.remote_modified_at,
        )
        self._note(record, before=None, after={name: theirs.get(name) for name in self._pulled()}, local_id=local_id)
        return self._done(REMOTE, f"{gone}The row is here again, as {self._table.table.name} {local_id}.")

    def _deleted_there(self, record: FrozenRecord) -> Resolution:
        """The vendor deleted what was changed here."""
        config_id = self._conflict.config_id
        resolutions.bury(self._connection, config_id, record.remote_id, direction="pull")
        if record.pulled is None:
            return self._done("remote", "Meanwhile our row was deleted too: the record is gone on both sides.")
        if self._default() == LOCAL:
            resolutions.touch_row(self._connection, self._table, record.local_id)
            return self._done(LOCAL, "The next push makes the record at the vendor again.")
        if self._mapping.deletes.pull is Deletes.SOFT:
            resolutions.mark_row(self._connection, self._table, record.local_id)
        else:
            resolutions.delete_row(self._connection, self._table, record.local_id)
        self._note(record, before=record.pulled, after=None, change="deleted")
        return self._done(REMOTE, "The row is deleted here too.")

    def _collision(self) -> Resolution:
        """The vendor has another record with a value of ours that must be unique."""
        remote_id, local_id = self._conflict.remote_id, self._conflict.local_id
        if self._default() == LOCAL:
            if local_id is not None:
                resolutions.touch_row(self._connection, self._table, local_id)
            return self._done(LOCAL, "The row is sent again by the next push.")
        if remote_id is None or local_id is None:
            raise ConfigError(
                "Which record of the vendor's has the same value is not known. Change the value here, then keep ours."
            )
        resolutions.link(self._connection, self._conflict.config_id, remote_id=remote_id, local_id=local_id)
        return self._done(REMOTE, f"The row is tied to {remote_id}; the next push merges the two.")

    # -- words ---------------------------------------------------------------------------------------------------

    def _winners(self) -> dict[str, str | Value]:
        """Who wins each contested field."""
        if isinstance(self._choice, str):
            return {contest.field: self._choice for contest in self._conflict.fields}
        return dict(self._choice)

    def _default(self) -> str:
        """The side that wins what cannot be told field by field."""
        if isinstance(self._choice, str):
            return self._choice
        return REMOTE if all(chosen == REMOTE for chosen in self._choice.values()) else LOCAL

    @staticmethod
    def _winner(wanted: Mapping[str, str | Value]) -> str:
        sides = {chosen if isinstance(chosen, str) else "merged" for chosen in wanted.values()}
        return sides.pop() if len(sides) == 1 else "merged"

    @staticmethod
    def _words(wanted: Mapping[str, str | Value]) -> str:
        names = {LOCAL: "ours", REMOTE: "theirs"}
        told = [f"{n}: {names[c] if isinstance(c, str) else 'a value of its own'}" for n, c in wanted.items()]
        return f"Kept {', '.join(told)}." if told else "Nothing was in conflict any more."

    def _pulled(self) -> list[str]:
        return [name for name, rule in self._rules.items() if rule.pulls]

    def _done(self, winner: str, message: str) -> Resolution:
        return Resolution(self._conflict.id, winner, message)

    def _note(
        self,
        record: FrozenRecord,
        *,
        before: Texts | None,
        after: Texts | None,
        change: history.What = "resolved",
        local_id: str | None = None,
    ) -> None:
        if before or after:
            entry = Entry(record.remote_id, local_id or record.local_id, "pull", change, before, after)
            run = RunRef(
                self._conflict.tenant_id,
                self._conflict.config_id,
                SyncLogId(self._conflict.log_id) if self._conflict.log_id else None,
            )
            history.record(self._connection, [entry], run)


def _side(chosen: str | Value) -> str:
    """Who wins a field in the merge; a value of a person's own is written over whatever is there."""
    return chosen if isinstance(chosen, str) else LOCAL


def _kept(choice: Choice) -> dict[str, object]:
    """A decision as it is kept."""
    if isinstance(choice, str):
        return {"keep": choice}
    return {
        "fields": {
            name: chosen if isinstance(chosen, str) else {"value": chosen.text} for name, chosen in choice.items()
        }
    }
