"""Attempts whose outcome nobody knows: looked up at the vendor before anything is sent again (invariant 5).

A create is found by the external id that it carried, or by its natural key. One that carried an external id and is not
found is sent the same again, with the same id in it: should the first request arrive after all, however late, the
vendor's unique field lets one of the two in. So is one whose vendor takes an idempotency key, without a look-up. Of an
update the record is read: it is done when the fields that were sent are what was sent, give or take what a vendor does
to values (trims, re-cases, rounds). A delete is done when the record is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog

from erpflow.connectors.base import Change, EntitySpec, Outcome, SupportsWrites, WriteResult
from erpflow.errors import FieldProblem
from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.mapping.paths import dig, parse_path
from erpflow.store import acknowledge, attempts
from erpflow.store.attempts import Attempt
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.allowed import allowed_writes
from erpflow.sync.echo import is_echo
from erpflow.sync.natural_key import NaturalKey
from erpflow.sync.push_map import decode
from erpflow.sync.push_record import DUPLICATE, PushRecorder, Settlement
from erpflow.vocabulary import Operation, RemoteId

log = structlog.get_logger(__name__)

AT_ONCE = 200
GRACE = timedelta(seconds=3)
"""How long attempts that were left open are let rest before they are looked up: a vendor may still be busy with a
request whose sender has died. It counts from when nobody sends any more, not from when an attempt was recorded: the
last request of a batch may leave long after that, and its sender may have died in that very moment."""

STALLS = 3
"""How often what is open may stay so, all of it, before the vendor counts as down."""


class Settler:
    """Settles what earlier pushes of a config left open. Only the push that holds the config's push lock may."""

    def __init__(
        self,
        run: SyncRun,
        mapping: EntityMapping,
        spec: EntitySpec,
        connection: Connection,
        vendor: SupportsWrites,
        recorder: PushRecorder,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._mapping = mapping
        self._key_of = NaturalKey(mapping)
        self._spec = spec
        self._connection = connection
        self._vendor = vendor
        self._recorder = recorder
        self._sleep = sleep

    def settle_all(self) -> Settlement:
        """Settle every open attempt. Raises what the vendor's connector raises; what is settled by then stays."""
        total, stalled, must_rest = Settlement(), 0, True  # whoever sent them is gone: we hold the push lock
        while open_ones := attempts.unsettled(self._connection, self._run.config_id, limit=AT_ONCE):
            if must_rest:
                self._sleep(GRACE.total_seconds())
            results = self._look_up(open_ones)
            settlement = self._recorder.settle(open_ones, results, self._vendor)
            self._recorder.record(settlement, token=None)
            for log_id, made in settlement.outcomes.items():
                total.count(made, log_id)
            total.reread += settlement.reread
            total.unknown = settlement.unknown
            log.info("attempts_settled", sync_log=self._run.log_id, attempts=len(open_ones))
            must_rest = bool(settlement.unknown)  # what was sent again has lost its answer again
            stalled = stalled + 1 if settlement.unknown == len(open_ones) else 0
            if stalled == STALLS:
                break
        return total

    def _look_up(self, open_ones: Sequence[Attempt]) -> list[WriteResult]:
        known = [attempt.remote_id for attempt in open_ones if attempt.remote_id is not None]
        records = self._recorder.read(known, self._vendor) if known else []
        raw = {self._recorder.identify(record)[0]: record for record, _ in records}
        states = self._recorder.states(records)
        made = self._made(open_ones)
        found = []
        for attempt in open_ones:
            if attempt.operation is Operation.CREATE:
                found.append(made.get(attempt.idempotency_key) or self._create(attempt, None))
            elif attempt.operation is Operation.DELETE:
                found.append(self._delete(attempt, raw.get(attempt.remote_id or "")))
            else:
                state = states.get(attempt.remote_id or "")
                found.append(self._update(attempt, state.values if state else None))
        return found

    def _made(self, open_ones: Sequence[Attempt]) -> dict[str, WriteResult]:
        """What became of creates, by idempotency key; those that cannot be looked for are left out."""
        creates = [each for each in open_ones if each.operation is Operation.CREATE and each.remote_id is None]
        if self._is_repeatable():
            return self._send_again(creates)
        results = self._looked_for(creates)
        lost = [each for each in creates if self._carries(each) and self._is_lost(results.get(each.idempotency_key))]
        if not lost or Operation.CREATE not in allowed_writes(self._mapping, self._spec):
            return results
        sent = self._send_again(lost)
        # What is refused now is not there, or is there since the look-up: then it was refused for its external id.
        refused = [each for each in lost if sent[each.idempotency_key].outcome is Outcome.REJECTED]
        return results | sent | self._looked_for(refused)

    def _looked_for(self, creates: Sequence[Attempt]) -> dict[str, WriteResult]:
        """What the vendor has of creates, all looked for at once."""
        sought = {each.idempotency_key: key for each in creates if (key := self._key(each))}
        if not sought:
            return {}
        found = dict(zip(sought, self._vendor.find(self._run.entity, list(sought.values())), strict=True))
        by_key = {each.idempotency_key: each for each in creates}
        return {name: self._create(by_key[name], names) for name, names in found.items()}

    def _send_again(self, creates: Sequence[Attempt]) -> dict[str, WriteResult]:
        """The same creates once more, under the same keys; what is not sent is as unknown as before."""
        results: dict[str, WriteResult] = {}
        for start in range(0, len(creates), self._spec.bulk_size):
            part = creates[start : start + self._spec.bulk_size]
            changes = [Change(Operation.CREATE, each.idempotency_key, None, each.sent) for each in part]
            for each, result in zip(part, self._vendor.write(self._run.entity, changes), strict=True):
                results[each.idempotency_key] = WriteResult(Outcome.UNKNOWN) if self._is_lost(result) else result
        return results

    @staticmethod
    def _is_lost(result: WriteResult | None) -> bool:
        return result is not None and result.outcome is Outcome.NOT_SENT

    def _is_repeatable(self) -> bool:
        return self._mapping.remote.external_id is None and self._spec.repeatable_create

    def _carries(self, attempt: Attempt) -> bool:
        """Whether its external id went along: the mapping may name one only since then, or another field for it."""
        external_id = self._mapping.remote.external_id
        return external_id is not None and dig(attempt.sent, parse_path(external_id)) == attempt.idempotency_key

    def _key(self, attempt: Attempt) -> dict[str, Any]:
        if self._carries(attempt):
            return {str(self._mapping.remote.external_id): attempt.idempotency_key}
        return self._key_of(attempt.sent)

    def _create(self, attempt: Attempt, found: list[RemoteId] | None) -> WriteResult:
        if attempt.remote_id is not None:  # the vendor had said so, and only its record is still to be read
            return WriteResult(Outcome.DONE, RemoteId(attempt.remote_id))
        if found is None:
            return _unclear(attempt, "it carries neither an external id nor a natural key")
        if not found:
            return WriteResult(Outcome.NOT_SENT)
        if len(found) > 1:
            return _unclear(attempt, f"more than one record fits: {', '.join(found)}")
        tied = acknowledge.tied_to(self._connection, found, self._run.config_id).get(found[0])
        if tied is not None and tied != attempt.local_id:
            return _unclear(attempt, f"the record {found[0]} that fits belongs to the row {tied}")
        return WriteResult(Outcome.DONE, found[0])

    def _update(self, attempt: Attempt, now: Mapping[str, str | None] | None) -> WriteResult:
        remote_id = RemoteId(attempt.remote_id or "")
        if now is None:
            return WriteResult(Outcome.NOT_SENT)
        ours, changed = attempt.ours, attempt.before or {}
        # What cannot be compared (a field that is only pushed) is sent again: an update sent twice does what once does.
        done = all(name in now and is_echo(ours.get(name), now[name]) for name in changed)
        return WriteResult(Outcome.DONE if done else Outcome.NOT_SENT, remote_id)

    def _delete(self, attempt: Attempt, record: bytes | None) -> WriteResult:
        if record is None:
            return WriteResult(Outcome.DONE, RemoteId(attempt.remote_id or ""))
        flag = self._mapping.remote.deleted
        if attempt.sent and flag is not None:
            found: Any = decode(record)
            if str(dig(found, parse_path(flag.path))) == str(flag.value):
                return WriteResult(Outcome.DONE, RemoteId(attempt.remote_id or ""))
        return WriteResult(Outcome.NOT_SENT)


def _unclear(attempt: Attempt, why: str) -> WriteResult:
    """An outcome that only a person can tell: it becomes a conflict, and the row is not sent again before that."""
    return WriteResult(
        Outcome.REJECTED,
        problems=(
            FieldProblem(
                field=",".join(sorted(attempt.sent)),
                rule=DUPLICATE,
                message=f"It is not known whether row {attempt.local_id} was created at the vendor: {why}.",
            ),
        ),
    )


def cannot_settle(mapping: EntityMapping, spec: EntitySpec) -> str | None:
    """Why a create of this mapping could not be told from one that never arrived; None when it can."""
    pushed = {spec.local for spec in mapping.fields if spec.pushes()}
    if mapping.remote.external_id or spec.repeatable_create or set(mapping.local.match_on) & pushed:
        return None
    return (
        f"{mapping.system}/{mapping.entity} creates records at the vendor and could not tell, after a broken "
        "connection, whether one was made: name a field of yours in remote.external_id, or give local.match_on columns "
        "that are pushed."
    )
