"""Applies one chunk of pulled records to the user's tables, set by set; a record that the table refuses stays alone.

The caller owns the transaction: it claims the chunk, applies it here, counts, moves the cursor and commits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from erpflow.errors import FieldProblem
from erpflow.store import history, pull_sql
from erpflow.store.pull_direct import DirectCopy
from erpflow.store.pull_sql import PullTarget, Staged
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import SyncConfigId

Connection = psycopg.Connection[Any]

SEPARATOR = "\x1f"
"""The character between two keys; a key that holds it is never taken for unchanged, see `changed_positions`."""

COPY_PIECE = 500
"""Lines sent again at once while the one that Postgres refused is looked for."""

REFUSALS = (
    psycopg.errors.DataError,
    psycopg.errors.IntegrityError,
    psycopg.errors.RaiseException,
    psycopg.errors.ProgramLimitExceeded,  # a value too long for an index
)
"""What a table says to a value it will not take: a matter of that record, not of the run."""

WRITTEN_OUTCOMES = frozenset({"created", "updated", "same"})
REFUSED_OUTCOMES = frozenset({"lookup", "ambiguous"})

COPY_CONTEXT = re.compile(r"line (\d+)(?:, column v_([^:]+))?")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to apply, numbered from 1, as COPY text: a head (`pull_sql.HEAD`) and a row each, and child lines.

    `fresh`: none of them was known when the run began, so that all of them are likely to be new.
    """

    count: int
    heads: bytes
    rows: bytes
    children: Sequence[bytes] = ()
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that the table refuses: its number in the batch, and why."""

    number: int
    problems: tuple[FieldProblem, ...]


@dataclass(slots=True)
class Applied:
    """What a chunk did: records by outcome (created, updated, same, unchanged, stale) and those refused."""

    outcomes: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)


class ChunkWriter:
    """Writes chunks for one sync log over one connection. Temporary tables are made once and emptied by each commit.

    `is_careful`: what a column refuses while it is staged is left out alone; otherwise the transaction is lost.
    """

    is_careful = True

    def __init__(
        self, connection: Connection, target: PullTarget, tracked: Tracked, *, parameters: Mapping[str, Any]
    ) -> None:
        """`parameters` of the statements: tenant, config, log, and `started`, when the run began (UTC).

        `plan` among them: everything will be rolled back, and first creations go into the history too.
        """
        self._connection = connection
        self._target = target
        self._tracked = tracked
        self._parameters = parameters
        self._count = 0
        self._unique: set[str] = set()  # names of the unique constraints that were met
        stages: dict[int | None, Staged] = {None: target.staged}
        stages |= {number: child.staged for number, child in enumerate(target.children)}
        self._copies = {n: pull_sql.copy_stage(staged, child=n).as_bytes(connection) for n, staged in stages.items()}
        self._prepare()

    def _prepare(self) -> None:
        """Make the temporary tables, and write the statements once."""
        connection, target = self._connection, self._target
        connection.execute(pull_sql.create_stages(target))
        self._direct = DirectCopy(connection, target, parameters=self._parameters)
        self._is_plan = bool(self._parameters.get("plan"))
        which = history.EVERYTHING if self._is_plan else history.CHANGES
        self._decide, self._history = self._render(
            [pull_sql.decide(target), history.pulled(self._tracked, target, which=which)]
        )
        self._marks = self._render(
            pull_sql.mark_changed_children(child, number) for number, child in enumerate(target.children)
        )
        self._rows = {
            outcome: statement.as_bytes(connection)
            for outcome, statement in (
                ("created", pull_sql.insert_created(target)),
                ("updated", pull_sql.update_changed(target)),
            )
            if statement is not None
        }
        self._lines = self._render(
            statement
            for number, child in enumerate(target.children)
            for statement in pull_sql.write_children(child, number)
        )

    def _render(self, statements: Iterable[sql.Composable]) -> list[bytes]:
        return [statement.as_bytes(self._connection) for statement in statements]

    def close(self) -> None:
        """Take the temporary tables away, so that another target can be written over the same connection."""
        self._connection.execute(pull_sql.drop_stages(self._target))

    def apply(self, batch: Batch) -> Applied:
        """Write the records of a batch; those that the table refuses are left out, each with the reason."""
        applied = Applied()
        if batch.count == 0:
            return applied
        self._connection.execute(pull_sql.PLANNER)
        if self._direct.apply(batch):
            applied.outcomes["created"] = batch.count
        else:
            self._apply_staged(batch, applied)
        return applied

    def _apply_staged(self, batch: Batch, applied: Applied) -> None:
        self._count = batch.count
        self._stage(batch, applied)
        late = []
        ranges = [(1, batch.count)]
        while ranges:
            low, high = ranges.pop()
            problem = self._attempt(low, high, applied)
            if problem is None:
                continue
            if low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            elif problem.rule in self._unique:
                late.append(low)
            else:
                applied.refused.extend(self._refuse([low], problem))
        for number in reversed(late):  # what another record of the chunk gave up is free by now
            problem = self._attempt(number, number, applied)
            if problem is not None:
                applied.refused.extend(self._refuse([number], problem))

    def _attempt(self, low: int, high: int, applied: Applied) -> FieldProblem | None:
        """Write one range of the staged records; what a table says when it refuses, and then nothing is written."""
        try:
            with self._connection.transaction():
                self._write(low, high, applied)
        except REFUSALS as error:
            problem = problem_of(error, self._target.staged.table.name)
            if isinstance(error, psycopg.errors.UniqueViolation):
                self._unique.add(problem.rule)
            return problem
        return None

    def _stage(self, batch: Batch, applied: Applied) -> None:
        numbered = zip(range(1, batch.count + 1), batch.heads.split(b"\n"), batch.rows.split(b"\n"), strict=False)
        rows = b"".join([b"%d\t%b\t%b\n" % line for line in numbered])
        for line, problem in self._copy(self._target.staged, rows, child=None):
            applied.refused.append(Refused(int(line.split(b"\t", 1)[0]), (problem,)))
        for number, (child, payload) in enumerate(zip(self._target.children, batch.children, strict=True)):
            for line, problem in self._copy(child.staged, payload, child=number):
                n = int(line.split(b"\t", 1)[0])
                applied.refused.extend(self._refuse([n], problem))
        for staged, index in [
            (self._target.staged, None),
            *((c.staged, i) for i, c in enumerate(self._target.children)),
        ]:
            statement = pull_sql.resolve(staged, child=index)
            if statement is not None:
                self._resolve(statement, staged, applied)

    def _resolve(self, statement: sql.Composed, staged: Staged, applied: Applied) -> None:
        """Look up what a stage refers to; a record whose column does not take what was found is refused alone."""
        ranges = [(1, self._count)]
        while ranges:
            low, high = ranges.pop()
            try:
                with self._connection.transaction():
                    self._connection.execute(statement, {"lo": low, "hi": high})
            except REFUSALS as error:
                if low == high:
                    applied.refused.extend(self._refuse([low], problem_of(error, staged.table.name)))
                else:
                    middle = (low + high) // 2
                    ranges += [(middle + 1, high), (low, middle)]

    def _copy(self, staged: Staged, payload: bytes, *, child: int | None) -> list[tuple[bytes, FieldProblem]]:
        """COPY a payload; the lines that Postgres refuses are left out and returned, each with the reason.

        The reason and not the exception: that would hold this frame, and with it the payload, until a collection.
        """
        statement = self._copies[child]
        if not self.is_careful:
            self._copy_at_once(statement, payload)
            return []
        try:
            self._copy_once(statement, payload)
            return []
        except REFUSALS:
            pass
        refused: list[tuple[bytes, FieldProblem]] = []
        lines = payload.split(b"\n")[:-1]
        start, size = 0, COPY_PIECE
        while start < len(lines):
            piece = lines[start : start + size]
            try:
                self._copy_once(statement, b"\n".join(piece) + b"\n")
                start += len(piece)
            except REFUSALS as error:
                context = COPY_CONTEXT.search(error.diag.context or "")
                if context is None and len(piece) > 1:  # a server that does not speak English: find the line by halving
                    size = len(piece) // 2
                    continue
                bad = int(context.group(1)) - 1 if context else 0
                if bad:
                    self._copy_once(statement, b"\n".join(piece[:bad]) + b"\n")
                refused.append((piece[bad], problem_of(error, staged.table.name)))
                start, size = start + bad + 1, COPY_PIECE
        return refused

    def _copy_once(self, statement: bytes, payload: bytes) -> None:
        with self._connection.transaction():
            self._copy_at_once(statement, payload)

    def _copy_at_once(self, statement: bytes, payload: bytes) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(payload)

    def _write(self, low: int, high: int, applied: Applied) -> None:
        """Decide and write one range of the staged records. All of it, or (refused) nothing."""
        run = self._connection.execute
        run(self._decide, {**self._parameters, "lo": low, "hi": high})
        outcomes, ties = self._outcomes()
        if outcomes["same"] and self._marks:
            for statement in self._marks:
                run(statement)
            outcomes, ties = self._outcomes()
        refused = self._refused_in(outcomes)
        if outcomes["updated"] or True in ties or self._is_plan:
            run(self._history, self._parameters)
        for outcome, statement in self._rows.items():
            if outcomes[outcome]:
                run(statement)
        if outcomes["created"] or outcomes["updated"]:
            for statement in self._lines:
                run(statement)
        if False in ties:
            run(pull_sql.INSERT_RECORDS, self._parameters)
        if True in ties:
            run(pull_sql.UPDATE_RECORDS, self._parameters)
        run("SET CONSTRAINTS ALL IMMEDIATE")  # a deferred one would refuse the commit, and not a record
        self._leave_range(low, high)
        applied.refused += refused
        applied.outcomes += Counter({name: outcomes[name] for name in outcomes if name not in REFUSED_OUTCOMES})

    def _refused_in(self, outcomes: Counter[str]) -> list[Refused]:
        """The records of the range that cannot be told where to go."""
        if not (outcomes["lookup"] or outcomes["ambiguous"]):
            return []
        rows = self._connection.execute(pull_sql.REFUSED)
        return [Refused(n, self._explain(outcome, why)) for n, outcome, why in rows]

    def _leave_range(self, low: int, high: int) -> None:
        if (low, high) != (1, self._count):
            # The next range starts anew; after the whole batch the commit empties it.
            self._connection.execute("DELETE FROM erpflow_decided")

    def _outcomes(self) -> tuple[Counter[str], set[bool]]:
        """Records by outcome, and whether those to be written have a sync record (True), have none (False), or both."""
        outcomes: Counter[str] = Counter()
        ties = set()
        for outcome, known, count in self._connection.execute(pull_sql.OUTCOMES):
            outcomes[outcome] += count
            if outcome in WRITTEN_OUTCOMES:
                ties.add(known)
        return outcomes, ties

    def _refuse(self, numbers: list[int], problem: FieldProblem) -> list[Refused]:
        """Take staged records out; one that is out already was refused before."""
        rows = self._connection.execute("DELETE FROM erpflow_stage WHERE n = ANY (%s) RETURNING n", (numbers,))
        return [Refused(n, (problem,)) for (n,) in rows]

    def _explain(self, outcome: str, missing: Sequence[str]) -> tuple[FieldProblem, ...]:
        if outcome == "ambiguous":
            columns = ", ".join(self._target.match_on)
            return (
                FieldProblem(
                    field=columns,
                    rule="match_on",
                    message=f"More than one row of {self._target.staged.table.name} has this {columns}: "
                    "which one it is cannot be told. Merge the rows, or give the mapping a narrower match_on.",
                ),
            )
        return tuple(self._not_found(*entry.partition("=")[::2]) for entry in missing)

    def _not_found(self, column: str, value: str) -> FieldProblem:
        stages = [self._target.staged, *(child.staged for child in self._target.children)]
        lookup = next(lookup for staged in stages for lookup in staged.lookups if lookup.column == column)
        place = f"{lookup.table}.{lookup.match}" if lookup.table else "the records that were synced before"
        return FieldProblem(
            field=column,
            rule="lookup",
            value=value[:200],
            message=f'{column}: "{value[:80]}" is not among {place}. '
            "Sync what it refers to first, or set `on_missing: null` in the mapping.",
        )


def problem_of(error: psycopg.Error, table: str) -> FieldProblem:
    """What Postgres said of a value, as the problem of a field."""
    diagnosis = error.diag
    context = COPY_CONTEXT.search(diagnosis.context or "")
    column = diagnosis.column_name or (context.group(2) if context else None)
    named = f"{table}.{column}" if column else table
    detail = f" ({diagnosis.message_detail})" if diagnosis.message_detail else ""
    return FieldProblem(
        field=column or table,
        rule=diagnosis.constraint_name or "column",
        message=f"{named} refuses the value: {diagnosis.message_primary}{detail}",
    )


def changed_positions(
    connection: Connection,
    config_id: SyncConfigId,
    *,
    keys: Sequence[str],
    hashes: Sequence[int],
    rejected: Sequence[str],
    two_way: bool = False,
) -> list[int]:
    """Which of these records (by position, from 0) are new or have other bytes than the version that was applied.

    Keys and hashes travel as two long strings: the server splits them many times faster than the driver builds arrays.
    `rejected`: ids with an open reject, which are looked at again whatever their bytes. `two_way`: so are those of
    which it is not known what both sides agreed on, since their config used to pull only.
    """
    joined = SEPARATOR.join(keys)
    if joined.count(SEPARATOR) >= len(keys):
        joined = SEPARATOR.join("" if SEPARATOR in key else key for key in keys)
    parameters = {
        "config": config_id,
        "keys": joined,
        "hashes": ",".join(map(str, hashes)),
        "rejected": rejected,
        "two_way": two_way,
    }
    rows = connection.execute(pull_sql.CHANGED, parameters, binary=True)
    return [row[0] - 1 for row in rows]


def knows_any_record(connection: Connection, config_id: SyncConfigId) -> bool:
    """Whether anything was ever synced by this config; if not, there is nothing to compare with."""
    statement = "SELECT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records WHERE sync_config_id = %s)"
    return bool(connection.execute(statement, (config_id,)).fetchone()[0])  # type: ignore[index]  # EXISTS has a row
