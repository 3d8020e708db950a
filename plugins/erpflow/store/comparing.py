"""Compares records with ties and rows over one connection, set by set. Nothing of the user's is written.

What came of each record stays in temporary tables of the session; only findings leave the database. A session that is
lost takes them along, and the comparison begins anew from the landed pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from erpflow.errors import FieldProblem
from erpflow.store import compare_sql, pull_sql
from erpflow.store.pull import Applied, Batch, ChunkWriter, Connection, Refused
from erpflow.store.pull_sql import PullTarget
from erpflow.store.rejects import LONGEST_ID
from erpflow.store.tracked import Tracked
from erpflow.vocabulary import FindingKind, SyncConfigId

FETCH: Final = 2_000
"""Findings fetched at once from the server's cursor."""

AMBIGUOUS: Final = "*"

Fields = Mapping[str, Mapping[str, str | None]]
"""What differs: by column, the value `here` and the value `there`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a config is compared.

    `pulls`, `pushes`: the ways it goes. `creates`: what is new here is made at the vendor, so a row without a record is
    missing there. `keeps_deleted`: a record whose row was deleted here stays at the vendor, and that is agreed on.
    `carries_deletes`: a push deletes such a record.
    """

    pulls: bool
    pushes: bool
    creates: bool
    keeps_deleted: bool
    carries_deletes: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as the tables tell it; see `compare_sql` for `tie` and `changed`.

    `twin`: what it is a duplicate of; of a row that is missing there a record with its natural key, of a record that is
    missing here a row with its natural key. `crowded`: which one it would be is not clear. `fields`: what differs.
    `problems`: why it was rejected, or is frozen, or was refused by a push.
    """

    kind: FindingKind
    remote_id: str | None
    local_id: str | None
    tie: str
    changed: str | None
    fields: Fields
    twin: str | None
    crowded: bool
    problems: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one record; see `compare_sql` for the words."""

    outcome: str
    fields: Fields
    problems: str | None


class Comparer(ChunkWriter):
    """Compares the chunks of one config. One for a session: its tables outlive each transaction."""

    def __init__(
        self,
        connection: Connection,
        target: PullTarget,
        tracked: Tracked,
        *,
        rules: Rules,
        siblings: Sequence[SyncConfigId] = (),
        parameters: Mapping[str, Any],
    ) -> None:
        """`parameters`: config, and `started`: what was synced since is not compared, for what was read of it is old.

        `siblings`: other configs of the same table.
        """
        self._rules = rules
        self._siblings = list(siblings)
        super().__init__(connection, target, tracked, parameters=parameters)

    def _prepare(self) -> None:
        connection, target, tracked = self._connection, self._target, self._tracked
        connection.execute(pull_sql.create_stages(target))
        connection.execute(compare_sql.create(target))
        self._compare = compare_sql.compare(tracked, target, pushes=self._rules.pushes).as_bytes(connection)
        self._parameters = {
            **self._parameters,
            "pulls": self._rules.pulls,
            "pushes": self._rules.pushes,
            "creates": self._rules.creates,
            "keeps_deleted": self._rules.keeps_deleted,
            "carries_deletes": self._rules.carries_deletes,
            "siblings": self._siblings,
            "kinds": [kind.value for kind in FindingKind],
        }

    def compare(self, batch: Batch) -> list[Refused]:
        """Compare a batch, in the transaction at hand; the records that the columns do not take, each with why."""
        applied = Applied()
        if batch.count:
            self._connection.execute(pull_sql.PLANNER)
            self._apply_staged(batch, applied)
        return applied.refused

    def _write(self, low: int, high: int, applied: Applied) -> None:
        self._connection.execute(self._compare, {**self._parameters, "lo": low, "hi": high})

    def leave_out(self, remote_ids: Sequence[str]) -> None:
        """Note those of these records that are not in the batch at hand; in its transaction, before its rejects."""
        ids = [name for name in remote_ids if _indexable(name) is not None]
        self._connection.execute(compare_sql.LEAVE_OUT, {"ids": ids})

    def reject(self, rejected: Sequence[tuple[str | None, str]]) -> None:
        """Note records that cannot become rows: id (None: it has none) and reason each."""
        if rejected:
            ids = [_indexable(entry[0]) for entry in rejected]
            reasons = [entry[1] for entry in rejected]
            self._connection.execute(compare_sql.REJECT, {"ids": ids, "reasons": reasons})

    def find_duplicates(self) -> None:
        """Find what has one natural key several times, once every record is compared."""
        self._connection.execute(compare_sql.ANALYZE)
        if self._target.match_on:
            self._connection.execute(compare_sql.index_keys(self._target))
            self._connection.execute(compare_sql.twins(self._target))
            self._connection.execute(compare_sql.heirs(self._tracked, self._target), self._parameters)
            self._connection.execute(compare_sql.copies(self._tracked, self._target), self._parameters)

    def counts(self) -> Counter[str]:
        """How many records came out how; one that was read twice counts once."""
        return Counter(dict(self._connection.execute(compare_sql.OUTCOMES).fetchall()))

    def findings(self) -> Iterator[Found]:
        """All findings, in the order of their kinds. Within a transaction; streams."""
        statement = compare_sql.found(self._tracked, self._target)
        with self._connection.cursor(name="erpflow_findings") as cursor:
            cursor.itersize = FETCH
            cursor.execute(statement, self._parameters)
            for kind, remote_id, local_id, tie, changed, fields, missing, twin, crowded, problems in cursor:
                yield Found(
                    kind=FindingKind(kind),
                    remote_id=remote_id,
                    local_id=local_id,
                    tie=tie,
                    changed=changed,
                    fields=fields or {},
                    twin=twin,
                    crowded=crowded,
                    problems=problems or self._why(missing),
                )

    def outcomes(self) -> dict[str, Outcome]:
        """What came of each record, by id. Everything at once: for a few thousand records."""
        return {
            remote_id: Outcome(outcome, fields or {}, problems or self._why(missing))
            for remote_id, outcome, fields, missing, problems in self._connection.execute(compare_sql.SEEN_AGAIN)
        }

    def _why(self, missing: Sequence[str] | None) -> str | None:
        """Why a record cannot be told where to go, or what it refers to is not there."""
        if not missing:
            return None
        outcome = "ambiguous" if list(missing) == [AMBIGUOUS] else "lookup"
        return why(self._explain(outcome, missing))


def _indexable(remote_id: str | None) -> str | None:
    return remote_id if remote_id is not None and len(remote_id.encode()) <= LONGEST_ID else None


def why(problems: Sequence[FieldProblem]) -> str:
    """Problems as one sentence."""
    return "; ".join(problem.message for problem in problems)
