"""Repairs what a reconciliation found, part by part: ties are made to be looked at again, and the engine does the rest.

Every part ends with another look at the same records: repaired is what was compared again and found to be so. A part
that was killed is repaired again; its runs are the same ones, and go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from erpflow.connectors.base import Connector, SupportsWrites
from erpflow.errors import DeletesNeedApproval
from erpflow.store import history, locks, push, reconciliations, rejects, repairs, sync_logs
from erpflow.store.comparing import Outcome
from erpflow.store.deletes import DeleteWriter
from erpflow.store.history import Entry
from erpflow.store.pull import Connection
from erpflow.store.repairs import Copy, Facts, TieReset
from erpflow.store.sync_logs import OpenRequest
from erpflow.sync.compare import Comparison, Subject
from erpflow.sync.findings import Finding, FindingsLanding, Part, Remedy
from erpflow.sync.landing import LandedPage
from erpflow.vocabulary import Deletes, Direction, FindingKind, RemoteId, Window

if TYPE_CHECKING:
    from erpflow.sync.engine import Engine

log = structlog.get_logger(__name__)

KEPT = "a person kept what it would have deleted"
SAMPLE = 10
"""Of what would be deleted, shown to whoever is asked."""

STILL = "it is still so: it changed meanwhile, or what is written is altered on its way"

Outcomes = list[str | None]
"""For each finding of a part why it is not repaired; None where it is."""

EQUAL = frozenset({"equal", "deleted_here"})


@dataclass(frozen=True, slots=True)
class Repairer:
    """Repairs the findings of one reconciliation. `kinds`: which of them."""

    engine: Engine
    subject: Subject
    findings: FindingsLanding
    kinds: frozenset[FindingKind]

    def repair(self) -> Counter[FindingKind]:
        """Repair everything that can be; how many of each kind are.

        Raises DeletesNeedApproval when all is repaired but what deletes too much to do it unasked.
        """
        self._repair_all(self._wanted(deletes=False))
        if self.subject.run.deletes_allowed is not False:
            self._guard()
        for number, part in self._wanted(deletes=True):
            is_kept = self.subject.run.deletes_allowed is False
            self._settle(number, part, [KEPT] * len(part.findings) if is_kept else self._repaired(number, part))
        self._repair_all(self._wanted(deletes=False, last=True))
        repaired: Counter[FindingKind] = Counter()
        for number, part in self.findings.parts():
            repaired[part.kind] += (self.findings.outcomes(number) or []).count(None)
        return repaired

    def _repair_all(self, parts: Iterable[tuple[int, Part]]) -> None:
        for number, part in parts:
            self._settle(number, part, self._repaired(number, part))

    def _wanted(self, *, deletes: bool, last: bool = False) -> Iterator[tuple[int, Part]]:
        """Parts of the wanted kinds that nobody has settled yet. `last`: those that are repaired after the deletes."""
        for number, part in self.findings.parts():
            is_meant = part.remedy.deletes is deletes and (part.remedy is Remedy.PULL_LAST) is last
            if part.kind in self.kinds and is_meant and self.findings.outcomes(number) is None:
                yield number, part

    def _guard(self) -> None:
        """Ask before much is deleted, counted over all parts. Raises DeletesNeedApproval."""
        run, count = self.subject.run, 0
        sample: list[str] = []
        for _, part in self._wanted(deletes=True):
            count += len(part.findings)
            sample += [each.local_id or each.remote_id or "" for each in part.findings[: SAMPLE - len(sample)]]
        with self.engine.database.session() as connection:
            total = push.tied_count(connection, run.config_id)
            share = self.subject.mapping.deletes.at_most
            if run.deletes_allowed or count <= 1 or count <= share * total:
                return
            sync_logs.ask_deletes(connection, run.log_id, count=count, total=total, sample=sample)
        raise DeletesNeedApproval(
            f"{run.connection} {run.entity}: the repair would delete {count:,} of {total:,} rows or records "
            f"({count / max(total, 1):.0%}, more than the {share:.0%} of deletes.at_most), such as "
            f"{', '.join(sample[:3])}. Nothing was deleted; all else is repaired. If that is right, approve it in "
            "Airflow, or run: erpflow reconcile … --repair --allow-deletes",
            count=count,
            total=total,
            sample=sample,
        )

    def _settle(self, number: int, part: Part, outcomes: Outcomes) -> None:
        """Keep what became of a part; with that it is done."""
        with self.engine.database.session() as connection:
            noted = [(each.number, outcome) for each, outcome in zip(part.findings, outcomes, strict=True)]
            reconciliations.note_outcomes(connection, self.subject.run.log_id, noted)
        self.findings.put_outcomes(number, outcomes)
        log.info(
            "part_repaired",
            sync_log=self.subject.run.log_id,
            kind=part.kind.value,
            remedy=part.remedy.value,
            repaired=outcomes.count(None),
            of=len(outcomes),
        )

    def _repaired(self, number: int, part: Part) -> Outcomes:
        if part.remedy is Remedy.NONE:
            return [each.obstacle or STILL for each in part.findings]
        if part.remedy is Remedy.DROP:
            return self._drop(part)
        self._reset(part)
        deletes = part.remedy.deletes
        if part.remedy in (Remedy.PULL, Remedy.PULL_LAST, Remedy.MERGE, Remedy.DELETE_HERE):
            self._run(Direction.PULL, _ids(part, "remote_id"), key=f"{number}/pull", deletes=deletes)
        if part.remedy is Remedy.DELETE_HERE:
            self._run(Direction.PULL, [each.twin or "" for each in self._untied(part)], key=f"{number}/twins")
        if self.subject.policy.pushes:
            self._run(Direction.PUSH, self._rows(part), key=f"{number}/push", deletes=deletes)
        return self._look_again(part)

    # -- by the engine -------------------------------------------------------------------------------------------

    def _reset(self, part: Part) -> None:
        """Make the ties of a part be looked at again by the runs that follow."""
        run, ids = self.subject.run, _ids(part, "remote_id")
        with self.engine.database.session() as connection, connection.transaction():
            locks.hold(connection, run.config_id)
            ties = TieReset(connection, run.config_id, run.started_at)
            if part.remedy is Remedy.PULL:
                adopted = [each.remote_id for each in part.findings if each.remote_id and each.twin]
                ties.forget(adopted)
                ties.restore([name for name in ids if name not in set(adopted)])
            elif part.remedy is Remedy.MERGE:
                pulled_only = set(self.subject.tracked.pulled) - set(self.subject.tracked.pushed)
                ties.look_again(ids, pulled_only=sorted(pulled_only))
            elif part.remedy is Remedy.REMAKE:
                ties.untie(ids)
            elif part.remedy is Remedy.SEND:
                ties.send_again(
                    {
                        each.remote_id: {name: value.there for name, value in each.fields.items()}
                        for each in part.findings
                        if each.remote_id is not None
                    }
                )

    def _rows(self, part: Part) -> list[str]:
        """The rows to push, as they are tied now: a pull may have made them.

        Of records that were only pulled, those that were there before. None that would be one more at the vendor.
        """
        ids, rows = _ids(part, "remote_id"), _ids(part, "local_id")
        left = {each.local_id for each in self._untied(part)} if part.remedy is Remedy.DELETE_HERE else set()
        if part.remedy in (Remedy.PULL, Remedy.PULL_LAST):
            ids, rows = [each.remote_id for each in part.findings if each.remote_id and each.twin], []
        with self.engine.database.session() as connection:
            tied = self._facts(connection, ids, rows).ties
        found = dict.fromkeys([*rows, *(tied[name][0] for name in ids if name in tied)])
        return [name for name in found if name not in left]

    def _untied(self, part: Part) -> list[Finding]:
        """Rows that won over the delete of their record, and whose natural key another record has already.

        A pull of that one ties it to the row; one that it does not tie belongs to another row, or to one of several.
        """
        ids, rows = _ids(part, "remote_id"), _ids(part, "local_id")
        with self.engine.database.session() as connection:
            facts = self._facts(connection, ids, rows)
        untied = facts.rows - facts.records.keys()
        return [each for each in part.findings if each.twin is not None and each.local_id in untied]

    def _run(self, direction: Direction, ids: Sequence[str], *, key: str, deletes: bool = False) -> None:
        """One run of the engine for named records, or rows. Raises what the engine raises.

        Without `deletes` it deletes nothing: a vendor in trouble that answers with nothing must not empty a table.
        """
        run = self.subject.run
        if not ids:
            return
        request = OpenRequest(
            kind="records",
            window=Window(),
            direction=direction,
            record_ids=tuple(ids),
            attempt_key=f"reconcile/{run.log_id}/{key}",
            triggered_by=f"reconcile:{run.log_id}",
        )
        with self.engine.database.session() as connection:
            log_id = sync_logs.open_log(connection, run.config_id, request)
            sync_logs.answer_deletes(connection, log_id, allowed=deletes)  # the guard has asked for all parts together
        self.engine.run(log_id)

    def _facts(self, connection: Connection, remote_ids: Sequence[str], local_ids: Sequence[str]) -> Facts:
        config_id = self.subject.run.config_id
        return repairs.facts(connection, self.subject.tracked, config_id, remote_ids=remote_ids, local_ids=local_ids)

    # -- copies --------------------------------------------------------------------------------------------------

    def _drop(self, part: Part) -> Outcomes:
        """Take rows away that are copies in all that is mapped, and that nothing refers to."""
        subject, run = self.subject, self.subject.run
        pairs = {each.local_id: each.twin for each in part.findings if each.local_id and each.twin}
        with self.engine.database.session() as connection, connection.transaction():
            locks.hold(connection, run.config_id)
            found = {
                copy.local_id: copy
                for copy in repairs.copies(
                    connection, subject.tracked, pairs, config_id=run.config_id, siblings=subject.siblings
                )
            }
            dropped = [local_id for local_id, copy in found.items() if _obstacle(copy) is None]
            writer = DeleteWriter(connection, subject.tracked, parameters={"config": run.config_id})
            refused = writer.remove(dropped, mark=subject.mapping.deletes.pull is Deletes.SOFT)
            gone = [local_id for local_id in dropped if local_id not in refused]
            entries = [Entry(None, name, "pull", "deleted", before=found[name].values, after=None) for name in gone]
            history.record(connection, entries, run.ref)
            rejects.resolve_pushed(connection, run.config_id, gone)
            left = self._facts(connection, (), list(pairs)).rows
        return [
            _why_left(each.local_id or "", found, {name: problem.message for name, problem in refused.items()})
            if each.local_id in left
            else None
            for each in part.findings
        ]

    # -- another look --------------------------------------------------------------------------------------------

    def _look_again(self, part: Part) -> Outcomes:
        """Compare the records of a part once more, as both sides have them now."""
        remote_ids, local_ids = _ids(part, "remote_id"), _ids(part, "local_id")
        with self.engine.database.session() as connection:
            facts = self._facts(connection, remote_ids, local_ids)
            outcomes: dict[str, Outcome] = {}
            if part.kind is not FindingKind.MISSING_THERE:
                with self.engine.connect(self.subject.run) as vendor:
                    outcomes = self._compared(connection, vendor, remote_ids)
        judge = _is_there if part.kind is FindingKind.MISSING_THERE else _is_equal
        return [judge(each, facts, outcomes) for each in part.findings]

    def _compared(self, connection: Connection, vendor: Connector, remote_ids: Sequence[str]) -> dict[str, Outcome]:
        assert isinstance(vendor, SupportsWrites)  # noqa: S101  (a remedy that asks for records needs it)
        size = vendor.spec.entities[self.subject.run.entity].page_size
        pages: dict[int, LandedPage] = {}
        for number, start in enumerate(range(0, len(remote_ids), size), start=1):
            page = vendor.read_many(
                self.subject.run.entity, [RemoteId(name) for name in remote_ids[start : start + size]]
            )
            pages[number] = LandedPage(number, page.raw, page.zone, page.server_time)

        def raw_of(page: int, position: int) -> tuple[bytes, str]:
            landed = pages[page]
            return bytes(vendor.split(self.subject.run.entity, landed.raw)[position]), landed.zone

        comparer = self.subject.comparer(connection, started=datetime.max.replace(tzinfo=UTC))
        Comparison(self.subject, connection, comparer, raw_of).add(pages.values())
        return comparer.outcomes()


def _ids(part: Part, name: str) -> list[str]:
    """The remote or local ids of a part, each once."""
    return list(dict.fromkeys(found for each in part.findings if (found := getattr(each, name)) is not None))


def _obstacle(copy: Copy) -> str | None:
    """Why a row is no copy that can go."""
    if not copy.is_equal:
        return "it differs from that row in something that is mapped"
    return f"{', '.join(copy.referrers)} refers to it" if copy.referrers else None


def _why_left(local_id: str, found: Mapping[str, Copy], refused: Mapping[str, str]) -> str:
    copy = found.get(local_id)
    if copy is None:
        return "it, or the row that it is a copy of, is tied otherwise by now"
    return refused.get(local_id) or _obstacle(copy) or STILL


def _is_equal(finding: Finding, facts: Facts, outcomes: Mapping[str, Outcome]) -> str | None:
    """Why a record and its row are still not alike."""
    remote_id = finding.remote_id or ""
    outcome = outcomes.get(remote_id)
    if outcome is None:
        return "the vendor no longer has it" if facts.is_tied(remote_id) else None
    if outcome.outcome in EQUAL:
        return None
    return outcome.problems or facts.problems.get(remote_id) or facts.row_problems.get(finding.local_id or "") or STILL


def _is_there(finding: Finding, facts: Facts, _outcomes: Mapping[str, Outcome]) -> str | None:
    """Why a row still has no record, or one that does not take what was sent of it."""
    remote_id, local_id = finding.remote_id or "", finding.local_id or ""
    is_gone = local_id not in facts.rows
    if not facts.is_tied(remote_id) and (is_gone or local_id in facts.records):
        return None if is_gone else facts.row_problems.get(local_id)
    return facts.problems.get(remote_id) or facts.row_problems.get(local_id) or finding.obstacle or STILL
