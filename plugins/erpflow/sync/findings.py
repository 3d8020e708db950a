"""Findings of a reconciliation: what they say to a person, what would repair them, and where all of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from erpflow.errors import ConfigError
from erpflow.store.comparing import Found
from erpflow.store.reconciliations import KeptFinding
from erpflow.sync.landing import Landing
from erpflow.vocabulary import Deletes, FindingKind

PART: Final = 1_000
"""Findings in one file: as many are repaired at once."""

REPORT: Final = "findings.csv"

_FINDINGS, _OUTCOMES, _END = "findings", "outcomes", "end.msgpack"


class Remedy(StrEnum):
    """What repairs a finding.

    `pull`: the record is pulled, and made here (again). `pull_last`: so it is, once it is settled what becomes of a row
    with its natural key whose own record is gone. `merge`: it is pulled and merged, what remains is pushed. `send`: the
    row is pushed. `remake`: so it is, as a new record. `delete_here`, `delete_there`: the delete on the other side is
    carried over. `drop`: the row is a copy, and goes. `none`: nothing but a person.
    """

    NONE = "none"
    PULL = "pull"
    PULL_LAST = "pull_last"
    MERGE = "merge"
    SEND = "send"
    REMAKE = "remake"
    DROP = "drop"
    DELETE_HERE = "delete_here"
    DELETE_THERE = "delete_there"

    @property
    def deletes(self) -> bool:
        """Whether something is deleted, so that the guard asks."""
        return self in (Remedy.DROP, Remedy.DELETE_HERE, Remedy.DELETE_THERE)


class Difference(msgspec.Struct, frozen=True):
    """The values of one field on both sides, as texts."""

    here: str | None
    there: str | None


class Finding(msgspec.Struct, frozen=True):
    """One finding, numbered from 1. `obstacle`: why nothing repairs it, or why its row is not made there if it stays.

    `twin`: what it is a duplicate of; of a record that is missing here, a row that it may be tied to; of a row that is
    missing there, a record with its natural key.
    """

    number: int
    kind: FindingKind
    remote_id: str | None
    local_id: str | None
    fields: dict[str, Difference]
    reason: str
    remedy: Remedy
    obstacle: str | None
    twin: str | None

    def kept(self) -> KeptFinding:
        """As the table keeps it."""
        fields = {name: {"here": value.here, "there": value.there} for name, value in self.fields.items()}
        return KeptFinding(self.number, self.kind, self.remote_id, self.local_id, fields, self.reason)


class Part(msgspec.Struct, frozen=True):
    """Findings of one kind that have one remedy."""

    kind: FindingKind
    remedy: Remedy
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a config allows to be done about a finding.

    `named`: the vendor can be asked for single records. `creates`, `updates`, `deletes`: a push may do so there.
    `here`: what a delete there does here; `there`: what a delete here does there. `has_strangers`: a record without a
    key was read, so what is missing there cannot be told for sure.
    """

    pulls: bool
    pushes: bool
    named: bool
    creates: bool
    updates: bool
    deletes: bool
    here: Deletes
    there: Deletes
    natural_key: str
    has_strangers: bool = False

    @property
    def carries_deletes(self) -> bool:
        """Whether a row that is deleted here is deleted at the vendor too."""
        return self.pushes and self.deletes and self.there is not Deletes.IGNORE


def finding(number: int, found: Found, policy: Policy) -> Finding:
    """A finding as people and the repair read it."""
    remedy, obstacle = _REMEDIES[found.kind](found, policy)
    return Finding(
        number=number,
        kind=found.kind,
        remote_id=found.remote_id,
        local_id=found.local_id,
        fields={name: Difference(value["here"], value["there"]) for name, value in found.fields.items()},
        reason=_REASONS[found.kind](found, policy),
        remedy=remedy,
        obstacle=obstacle,
        twin=found.twin,
    )


# -- what it says ----------------------------------------------------------------------------------------------------


def _missing_here(found: Found, policy: Policy) -> str:
    if found.tie == "deleted":
        return "it was deleted, and the vendor lists it again"
    if found.tie == "agreed" and policy.carries_deletes:
        return "its row was deleted here, and the next push deletes it there"
    if found.twin is not None and found.tie == "none":
        return f"nothing here is tied to it; row {found.twin}, whose own record is gone, has its {policy.natural_key}"
    if found.twin is not None:
        return f"its row was deleted here, and row {found.twin} has its {policy.natural_key}"
    return "nothing here is tied to it" if found.tie == "none" else "its row was deleted here"


def _missing_there(found: Found, _policy: Policy) -> str:
    reason = "the vendor no longer has it" if found.remote_id else "never sent"
    return f"{reason}; the last push was refused: {found.problems}" if found.problems else reason


def _different(found: Found, policy: Policy) -> str:
    if found.tie == "none":
        return f"the same by its {policy.natural_key}, and not tied yet"
    reason = {
        "here": "changed here",
        "there": "changed there",
        "both": "changed on both sides",
        "kept": "sent, and the vendor kept its own value",
        None: "both sides never agreed on it",
    }[found.changed]
    return f"{reason}; the last push was refused: {found.problems}" if found.problems else reason


def _duplicate_here(found: Found, policy: Policy) -> str:
    of = f"the same {policy.natural_key} as row {found.twin}"
    return f"{of}, which is {found.remote_id} there" if found.remote_id else f"{of}; neither is tied to a record"


def _duplicate_there(found: Found, policy: Policy) -> str:
    of = f"the same {policy.natural_key} as {found.twin}"
    return of if found.local_id else f"{of}, and no row here"


def _rejected(found: Found, _policy: Policy) -> str:
    return found.problems or "it cannot become a row"


def _frozen(found: Found, _policy: Policy) -> str:
    return found.problems or "in conflict: waits for a person"


_REASONS: Final[Mapping[FindingKind, Callable[[Found, Policy], str]]] = {
    FindingKind.MISSING_HERE: _missing_here,
    FindingKind.MISSING_THERE: _missing_there,
    FindingKind.DIFFERENT: _different,
    FindingKind.DUPLICATE_HERE: _duplicate_here,
    FindingKind.DUPLICATE_THERE: _duplicate_there,
    FindingKind.REJECTED: _rejected,
    FindingKind.FROZEN: _frozen,
}


# -- what repairs it -------------------------------------------------------------------------------------------------

_NOT_NAMED = "the vendor cannot be asked for single records: run a full sync"
_Decision = tuple[Remedy, str | None]


def _no(obstacle: str) -> _Decision:
    return Remedy.NONE, obstacle


def _named(remedy: Remedy, policy: Policy) -> _Decision:
    """A remedy for which the vendor is asked for the record."""
    return (remedy, None) if policy.named else _no(_NOT_NAMED)


def _fill_in(found: Found, policy: Policy) -> _Decision:
    if found.tie == "agreed" and policy.carries_deletes:
        return _named(Remedy.DELETE_THERE, policy)
    if not policy.pulls:
        return _no("the config only pushes, and does not delete at the vendor")
    if found.twin is not None and found.tie == "none":
        return _named(Remedy.PULL_LAST, policy)
    if found.twin is not None and found.crowded:
        return _no(f"more than one row here has its {policy.natural_key}: which one it is cannot be told")
    return _named(Remedy.PULL, policy)


def _remove_or_send(found: Found, policy: Policy) -> _Decision:
    if found.remote_id is None:
        return _send(found, policy, Remedy.SEND)
    if policy.has_strangers:
        return _no("a record without a key was read, which may be this one")
    if not policy.pulls:
        return _send(found, policy, Remedy.REMAKE)
    if policy.here is Deletes.IGNORE:
        return _no("deletes.pull of the mapping is ignore: the row stays")
    if not policy.named:
        return _no(_NOT_NAMED)
    return Remedy.DELETE_HERE, _is_taken(found, policy) if found.twin is not None else None


def _is_taken(found: Found, policy: Policy) -> str:
    return f"{found.twin} has its {policy.natural_key} there already"


def _send(found: Found, policy: Policy, remedy: Remedy) -> _Decision:
    """Make a record of a row, unless that would only make a duplicate."""
    if found.problems:
        return _no(f"a push was refused: {found.problems}")
    if not policy.creates:
        return _no("writes of the mapping has no create")
    if found.crowded:
        return _no(_is_taken(found, policy))
    return _named(remedy, policy)


def _settle(found: Found, policy: Policy) -> _Decision:
    if found.changed == "kept":
        return _no("the vendor accepts what is sent and does not take it: change it there, or map it with only: pull")
    if policy.pulls:
        return _named(Remedy.MERGE, policy)
    if found.tie == "none" and found.crowded:
        return _no(f"more than one record there has its {policy.natural_key}: which one it is cannot be told")
    return _named(Remedy.SEND, policy) if policy.updates else _no("writes of the mapping has no update")


def _drop(found: Found, _policy: Policy) -> _Decision:
    if found.remote_id is None:
        return _no("neither is tied to a record, so which one is the copy cannot be told")
    return Remedy.DROP, None


_REMEDIES: Final[Mapping[FindingKind, Callable[[Found, Policy], _Decision]]] = {
    FindingKind.MISSING_HERE: _fill_in,
    FindingKind.MISSING_THERE: _remove_or_send,
    FindingKind.DIFFERENT: _settle,
    FindingKind.DUPLICATE_HERE: _drop,
    FindingKind.DUPLICATE_THERE: lambda _found, _policy: _no("which one is right is for a person at the vendor to say"),
    FindingKind.REJECTED: lambda _found, _policy: _no("the record or the mapping has to be corrected"),
    FindingKind.FROZEN: lambda _found, _policy: _no("it waits for a decision: erpflow conflict list"),
}


# -- where they are kept ---------------------------------------------------------------------------------------------


class _End(msgspec.Struct, frozen=True):
    """How many parts there are."""

    parts: int


class FindingsLanding:
    """The findings of one reconciliation in its landing folder, in parts, and what became of the repair of each."""

    def __init__(self, landing: Landing) -> None:
        self._landing = landing

    def keep(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """Hand findings on, and keep all of them in parts; none is kept before the last one."""
        self._forget_outcomes()
        open_parts: dict[tuple[FindingKind, Remedy], list[Finding]] = {}
        number = 0
        for each in findings:
            part = open_parts.setdefault((each.kind, each.remedy), [])
            part.append(each)
            yield each
            if len(part) == PART:
                number += 1
                self._put(number, Part(each.kind, each.remedy, open_parts.pop((each.kind, each.remedy))))
        for (kind, remedy), part in open_parts.items():
            number += 1
            self._put(number, Part(kind, remedy, part))
        self._landing.put(_FINDINGS, _END, msgspec.msgpack.encode(_End(number)))

    def parts(self) -> Iterator[tuple[int, Part]]:
        """Every part with its number. Raises ConfigError when they were cleaned up."""
        total = self._total()
        for number in range(1, (total or 0) + 1):
            yield number, self._part(number)
        if total is None:
            raise self._gone()

    def put_outcomes(self, number: int, outcomes: list[str | None]) -> None:
        """Keep what became of part `number`: for each finding why it is not repaired, None when it is."""
        self._landing.put(_OUTCOMES, f"{number:06d}.msgpack", msgspec.msgpack.encode(outcomes))

    def outcomes(self, number: int) -> list[str | None] | None:
        """What became of part `number`; None while nobody has tried."""
        data = self._landing.get(_OUTCOMES, f"{number:06d}.msgpack")
        return msgspec.msgpack.decode(data, type=list[str | None]) if data else None

    def _forget_outcomes(self) -> None:
        """What became of findings before these says nothing of them."""
        for number in range(1, (self._total() or 0) + 1):
            if self.outcomes(number) is not None:
                self._landing.put(_OUTCOMES, f"{number:06d}.msgpack", b"")

    def _total(self) -> int | None:
        end = self._landing.get(_FINDINGS, _END)
        return msgspec.msgpack.decode(end, type=_End).parts if end is not None else None

    def _put(self, number: int, part: Part) -> None:
        self._landing.put(_FINDINGS, f"{number:06d}.msgpack", msgspec.msgpack.encode(part))

    def _part(self, number: int) -> Part:
        data = self._landing.get(_FINDINGS, f"{number:06d}.msgpack")
        if data is None:
            raise self._gone()
        return msgspec.msgpack.decode(data, type=Part)

    def _gone(self) -> ConfigError:
        return ConfigError(
            f"The findings of this reconciliation are not all in {self._landing.location}: they were cleaned up. "
            "Run it again."
        )
