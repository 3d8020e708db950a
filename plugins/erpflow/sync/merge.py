"""The three-way merge of one record: what each side changed since they last agreed, and who wins where both did.

Pure: texts in, a decision out. A field that only one side changed is taken from that side. A field that both changed
to the same value is agreed on. A field that both changed differently is a conflict; its strategy decides:

- `remote_wins`, `local_wins`: that side.
- `newest_wins`: the side whose record is newer, by the sides' own clocks. A side without a clock loses; so does ours
  when both say the same.
- `manual`: nobody. The whole record is frozen, both ways, until a person decides.
- `delta` (counters): both changes are added up, and nothing is in conflict; the same change twice counts twice.

Where nothing was ever agreed on (both sides created the record, or the mapping has a new field), an empty field yields
to one that holds something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation

from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.store.conflicts import ContestedField
from erpflow.vocabulary import FieldConflict

Texts = Mapping[str, str | None]

LOCAL, REMOTE = "local", "remote"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field is merged: the directions it takes part in, and its strategy. `lines`: it is a child table."""

    pulls: bool
    pushes: bool
    strategy: FieldConflict
    lines: bool = False

    @property
    def counts_on_its_own(self) -> bool:
        """Whether our change has to be sent although both sides read the same: a sale here is not the sale there, and
        lines may hold columns that are only pushed."""
        return self.lines or self.strategy is FieldConflict.DELTA


Rules = Mapping[str, FieldRule]


@dataclass(frozen=True, slots=True)
class Sides:
    """One record on both sides, and what they last agreed on (None: nothing yet).

    `pushed` is ours as a push reads it and `pulled` as a pull writes it; they differ only for lines. Times are those
    of the sides' own clocks.
    """

    agreed_local: Texts | None
    agreed_remote: Texts | None
    pushed: Texts
    pulled: Texts
    remote: Texts
    local_at: datetime | None
    remote_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """`take`: fields that get the vendor's value. `delta`: what counters grow by. `pending`: fields still to be pushed,
    with the value last agreed on. `contested`: fields that both changed. `frozen`: nothing is written."""

    take: tuple[str, ...] = ()
    delta: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str | None] = field(default_factory=dict)
    contested: tuple[ContestedField, ...] = ()
    frozen: bool = False

    @property
    def winner(self) -> str | None:
        """Who won the conflict: local, remote, merged when each won a field; None while nobody has."""
        winners = {contest.winner for contest in self.contested}
        if None in winners or not winners:
            return None
        return winners.pop() if len(winners) == 1 else "merged"


def rules_of(mapping: EntityMapping, strategy: FieldConflict) -> dict[str, FieldRule]:
    """The rules of a mapping's fields and child tables; `strategy` where a field has none of its own."""
    rules = {
        spec.local: FieldRule(spec.pulls(), spec.pushes(), spec.conflict or strategy)
        for spec in mapping.fields
        if spec.local is not None
    }
    for child in mapping.children:
        pulls = any(spec.pulls() for spec in child.fields)
        pushes = any(spec.pushes() and spec.local is not None for spec in child.fields)
        rules[child.local] = FieldRule(pulls, pushes, strategy, lines=True)
    return rules


def merge(sides: Sides, rules: Rules, *, choices: Mapping[str, str] | None = None) -> Decision:
    """The decision for one record. `choices`: who wins a field, where a person has said so."""
    merged = _Merge(sides, choices or {})
    for name, rule in rules.items():
        merged.field(name, rule)
    return merged.decision()


class _Merge:
    """The fields of one record, one after the other."""

    def __init__(self, sides: Sides, choices: Mapping[str, str]) -> None:
        self._sides = sides
        self._choices = choices
        self._take: list[str] = []
        self._delta: dict[str, str] = {}
        self._pending: dict[str, str | None] = {}
        self._contested: list[ContestedField] = []
        self._frozen = False

    def decision(self) -> Decision:
        if self._frozen:
            return Decision(contested=tuple(self._contested), frozen=True)
        return Decision(tuple(self._take), self._delta, self._pending, tuple(self._contested))

    def field(self, name: str, rule: FieldRule) -> None:
        sides = self._sides
        base_local = (sides.agreed_local or {}).get(name)
        base_remote = (sides.agreed_remote or {}).get(name)
        was_agreed = sides.agreed_local is not None and name in sides.agreed_local
        if not rule.pulls:
            self._ours(name, base_local)
            return
        ours, theirs = sides.pulled.get(name), sides.remote.get(name)
        if sides.agreed_remote is None or name not in sides.agreed_remote or (rule.pushes and not was_agreed):
            self._never_agreed(name, rule, ours, theirs)
            return
        they_changed = theirs != base_remote
        we_changed = rule.pushes and sides.pushed.get(name) != base_local
        if they_changed and we_changed:
            self._both(name, rule, base_local, base_remote)
        elif they_changed:
            self._theirs(name, ours, theirs)
        elif we_changed and (ours != theirs or rule.counts_on_its_own):
            self._ours(name, base_local)

    def _ours(self, name: str, base: str | None) -> None:
        """Only we can have changed it: it is still to be pushed, if so."""
        if self._sides.pushed.get(name) != base:
            self._pending[name] = base

    def _theirs(self, name: str, ours: str | None, theirs: str | None) -> None:
        if ours != theirs:
            self._take.append(name)

    def _never_agreed(self, name: str, rule: FieldRule, ours: str | None, theirs: str | None) -> None:
        if ours == theirs:
            return
        if not rule.pushes or _is_empty(ours):
            self._take.append(name)
        elif _is_empty(theirs):
            self._pending[name] = None
        else:
            self._both(name, rule, None, None)

    def _both(self, name: str, rule: FieldRule, base_local: str | None, base_remote: str | None) -> None:
        if rule.strategy is FieldConflict.DELTA and self._add_up(name, base_local, base_remote):
            return
        ours, theirs = self._sides.pulled.get(name), self._sides.remote.get(name)
        if ours == theirs:
            return
        winner = self._choices.get(name) or self._winner(rule.strategy)
        self._contested.append(ContestedField(name, base_local, ours, theirs, rule.strategy.value, winner))
        if winner is None:
            self._frozen = True
        elif winner == REMOTE:
            self._take.append(name)
        else:
            self._pending[name] = base_local if rule.lines else theirs

    def _add_up(self, name: str, base_local: str | None, base_remote: str | None) -> bool:
        """Add the vendor's change to ours; False where one of the four values is no number."""
        numbers = numbers_of(self._sides.pushed.get(name), self._sides.remote.get(name), base_local, base_remote)
        if numbers is None:
            return False
        ours, theirs, was_local, was_remote = numbers
        grown = theirs - was_remote
        if grown:
            self._delta[name] = f"{grown:f}"
        if ours != was_local:
            self._pending[name] = plain(was_local + grown)
        return True

    def _winner(self, strategy: FieldConflict) -> str | None:
        if strategy is FieldConflict.MANUAL:
            return None
        if strategy is FieldConflict.LOCAL_WINS:
            return LOCAL
        if strategy is FieldConflict.NEWEST_WINS:
            return LOCAL if is_newer(self._sides.local_at, self._sides.remote_at) else REMOTE
        return REMOTE


def is_newer(ours: datetime | None, theirs: datetime | None) -> bool:
    """Whether our side is the newer one; without a time of its own a side is the older, and a tie is theirs."""
    return ours is not None and (theirs is None or ours > theirs)


def numbers_of(*texts: str | None) -> list[Decimal] | None:
    """All texts as numbers; None when one of them is none, or one that nothing can be added to (NaN, infinity)."""
    try:
        numbers = [Decimal(text) for text in texts if text is not None]
    except InvalidOperation:
        return None
    return numbers if len(numbers) == len(texts) and all(map(Decimal.is_finite, numbers)) else None


def plain(value: Decimal) -> str:
    """A number as the store writes it: no exponent, no zeros behind the last digit."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_empty(value: str | None) -> bool:
    return value is None or value in ("", "[]", "{}")
