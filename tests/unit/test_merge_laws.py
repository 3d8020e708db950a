"""Laws of the three-way merge, whatever both sides did: it is a pure function, so they can be stated and searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from erpflow.sync.merge import LOCAL, REMOTE, Decision, FieldRule, Sides, is_newer, merge, numbers_of, plain
from erpflow.vocabulary import FieldConflict

Texts = dict[str, str | None]

NAMES = ("a", "b", "c", "d")
EMPTY: tuple[str | None, ...] = (None, "", "[]", "{}")
START = datetime(2026, 1, 1, tzinfo=UTC)

values = st.sampled_from([None, "", "x", "y", "z"])
moments = st.none() | st.integers(0, 2).map(lambda n: START + timedelta(seconds=n))
numbers = st.integers(-500, 500).map(lambda n: plain(Decimal(n) / 100))
policies = st.sampled_from(
    [FieldConflict.LOCAL_WINS, FieldConflict.REMOTE_WINS, FieldConflict.NEWEST_WINS, FieldConflict.MANUAL]
)


def both_ways(strategy: FieldConflict) -> FieldRule:
    return FieldRule(pulls=True, pushes=True, strategy=strategy)


def rules_for(strategy: FieldConflict) -> dict[str, FieldRule]:
    return {name: both_ways(strategy) for name in NAMES}


@st.composite
def mixed_rules(draw: st.DrawFn, *, strategies: st.SearchStrategy[FieldConflict] = policies) -> dict[str, FieldRule]:
    """Fields that go both ways or one way, each with a strategy of its own."""
    ways = st.sampled_from([(True, True), (True, True), (True, False), (False, True)])
    return {name: FieldRule(*draw(ways), draw(strategies)) for name in NAMES}


@st.composite
def texts(draw: st.DrawFn, of: st.SearchStrategy[str | None] = values) -> Texts:
    return {name: draw(of) for name in NAMES}


@st.composite
def records(draw: st.DrawFn, *, agreed: bool | None = None, of: st.SearchStrategy[Any] = values) -> Sides:
    """One record on both sides. `agreed`: both had agreed on the same values (None: perhaps nothing ever)."""
    knows = draw(st.booleans()) if agreed is None else agreed
    base = draw(texts(of)) if knows else None
    ours = draw(texts(of))
    return Sides(
        agreed_local=base,
        agreed_remote=base,
        pushed=ours,
        pulled=ours,
        remote=draw(texts(of)),
        local_at=draw(moments),
        remote_at=draw(moments),
    )


@st.composite
def own_words(draw: st.DrawFn) -> Sides:
    """A record whose sides agreed each in its own words: a vendor trims, rounds and re-cases."""
    sides = draw(records(agreed=True))
    return replace(sides, agreed_remote=draw(texts()))


@dataclass(frozen=True)
class Synced:
    """Both sides once a decision was written here and what it left to be pushed was sent."""

    row: Texts
    record: Texts
    sides: Sides


def pulled_side(sides: Sides, rules: Mapping[str, FieldRule]) -> Sides:
    """As a pull sees it: it neither reads nor compares fields that only go the other way."""
    remote = {name: value for name, value in sides.remote.items() if rules[name].pulls}
    agreed = sides.agreed_remote
    known = None if agreed is None else {name: value for name, value in agreed.items() if rules[name].pulls}
    local = sides.agreed_local
    ours = None if local is None else {name: value for name, value in local.items() if rules[name].pushes}
    return replace(
        sides,
        agreed_local=ours,
        agreed_remote=known,
        pushed={name: value for name, value in sides.pushed.items() if rules[name].pushes},
        pulled={name: value for name, value in sides.pulled.items() if rules[name].pulls},
        remote=remote,
    )


def sync(sides: Sides, rules: Mapping[str, FieldRule], decision: Decision) -> Synced:
    """Do what the engine does with a decision: write the row, agree on it, send what is still to be pushed."""
    if decision.frozen:
        return Synced(dict(sides.pulled), dict(sides.remote), sides)
    row: Texts = dict(sides.pushed) | dict(sides.pulled)
    for name in decision.take:
        row[name] = sides.remote[name]
    for name, grown in decision.delta.items():
        row[name] = plain(Decimal(row[name] or "0") + Decimal(grown))
    agreed_local: Texts = {name: row[name] for name, rule in rules.items() if rule.pushes} | decision.pending
    agreed_remote, record = dict(sides.remote), dict(sides.remote)
    for name, base in agreed_local.items():
        if row[name] == base:
            continue
        sent = row[name]
        numbers = numbers_of(record.get(name), sent, base) if rules[name].strategy is FieldConflict.DELTA else None
        if numbers is not None:
            sent = plain(numbers[0] + numbers[1] - numbers[2])
        record[name] = sent
        agreed_local[name] = row[name]
        if rules[name].pulls:
            agreed_remote[name] = sent
    after = replace(
        sides,
        agreed_local=agreed_local,
        agreed_remote=agreed_remote,
        pushed={name: row[name] for name, rule in rules.items() if rule.pushes},
        pulled={name: row[name] for name, rule in rules.items() if rule.pulls},
        remote=agreed_remote,
    )
    return Synced(row, record, after)


def mirrored(sides: Sides) -> Sides:
    """The same record seen from the other side."""
    return Sides(
        agreed_local=sides.agreed_remote,
        agreed_remote=sides.agreed_local,
        pushed=sides.remote,
        pulled=sides.remote,
        remote=sides.pulled,
        local_at=sides.remote_at,
        remote_at=sides.local_at,
    )


def is_empty(value: str | None) -> bool:
    return value in EMPTY


# Who wins


@given(records() | own_words())
def test_local_wins_mirrors_remote_wins(sides: Sides) -> None:
    assume(not any(is_empty(sides.pulled[name]) and is_empty(sides.remote[name]) for name in NAMES))
    ours = merge(sides, rules_for(FieldConflict.LOCAL_WINS))
    theirs = merge(mirrored(sides), rules_for(FieldConflict.REMOTE_WINS))
    assert set(ours.take) == set(theirs.pending)
    assert set(ours.pending) == set(theirs.take)
    assert [c.field for c in ours.contested] == [c.field for c in theirs.contested]
    assert {c.winner for c in ours.contested} <= {LOCAL}
    assert {c.winner for c in theirs.contested} <= {REMOTE}
    assert [(c.local, c.remote) for c in ours.contested] == [(c.remote, c.local) for c in theirs.contested]


@given(records())
def test_the_newest_wins_whichever_side_it_is_seen_from(sides: Sides) -> None:
    assume(sides.local_at != sides.remote_at)
    rules = rules_for(FieldConflict.NEWEST_WINS)
    winners = [c.winner for c in merge(sides, rules).contested]
    from_there = [c.winner for c in merge(mirrored(sides), rules).contested]
    swapped = {LOCAL: REMOTE, REMOTE: LOCAL}
    assert winners == [swapped[str(winner)] for winner in from_there]
    newer = LOCAL if is_newer(sides.local_at, sides.remote_at) else REMOTE
    assert set(winners) <= {newer}


@given(records(), st.sampled_from([LOCAL, REMOTE]))
def test_a_persons_choice_overrules_every_strategy(sides: Sides, winner: str) -> None:
    decision = merge(sides, rules_for(FieldConflict.MANUAL), choices=dict.fromkeys(NAMES, winner))
    assert not decision.frozen
    assert {c.winner for c in decision.contested} <= {winner}


# What survives


@given(records(agreed=True), policies, st.sets(st.sampled_from(NAMES)))
def test_changes_of_different_fields_all_survive(sides: Sides, strategy: FieldConflict, here: set[str]) -> None:
    """The fields of `here` change here only, the others there only."""
    base = sides.agreed_local or {}
    ours = {name: sides.pulled[name] if name in here else base[name] for name in NAMES}
    theirs = {name: sides.remote[name] if name not in here else base[name] for name in NAMES}
    sides = replace(sides, pushed=ours, pulled=ours, remote=theirs)
    decision = merge(sides, rules_for(strategy))
    after = sync(sides, rules_for(strategy), decision)
    expected = {name: sides.pulled[name] if name in here else sides.remote[name] for name in NAMES}
    assert decision.contested == ()
    assert after.row == after.record == expected


@given(records(), st.sampled_from(list(FieldConflict)))
def test_the_same_change_on_both_sides_is_no_conflict(sides: Sides, strategy: FieldConflict) -> None:
    same = replace(sides, remote=sides.pulled)
    decision = merge(same, rules_for(strategy))
    assert not decision.contested
    assert not decision.frozen
    assert not decision.take


@given(own_words(), mixed_rules(strategies=st.sampled_from(list(FieldConflict))))
def test_where_nothing_changed_nothing_is_decided(sides: Sides, rules: dict[str, FieldRule]) -> None:
    """Whatever words each side has for what was agreed on."""
    base = sides.agreed_local or {}
    still = replace(sides, pushed=base, pulled=base, remote=sides.agreed_remote or {})
    assert merge(pulled_side(still, rules), rules) == Decision()


@given(records(agreed=False), policies)
def test_where_nothing_was_agreed_on_an_empty_field_yields(sides: Sides, strategy: FieldConflict) -> None:
    decision = merge(sides, rules_for(strategy))
    for name in NAMES:
        ours, theirs = sides.pulled[name], sides.remote[name]
        if is_empty(ours) or is_empty(theirs):
            assert name not in {c.field for c in decision.contested}
    if decision.frozen:
        return
    after = sync(sides, rules_for(strategy), decision)
    for name in NAMES:
        ours, theirs = sides.pulled[name], sides.remote[name]
        if is_empty(ours) != is_empty(theirs):
            assert after.row[name] == after.record[name] == (theirs if is_empty(ours) else ours)


@given(records() | own_words(), mixed_rules())
def test_a_field_that_goes_one_way_is_never_in_conflict(sides: Sides, rules: dict[str, FieldRule]) -> None:
    decision = merge(pulled_side(sides, rules), rules)
    for contest in decision.contested:
        assert rules[contest.field].pulls and rules[contest.field].pushes
    assert all(rules[name].pulls for name in decision.take)
    assert all(rules[name].pushes for name in decision.pending)


# What is written


@given(records() | own_words(), mixed_rules(strategies=st.sampled_from(list(FieldConflict))))
def test_a_record_that_waits_for_a_person_writes_nothing(sides: Sides, rules: dict[str, FieldRule]) -> None:
    decision = merge(pulled_side(sides, rules), rules)
    waits = any(c.winner is None for c in decision.contested)
    assert decision.frozen is waits
    if decision.frozen:
        assert (decision.take, decision.delta, decision.pending, decision.winner) == ((), {}, {}, None)


@given(records() | own_words(), mixed_rules(strategies=st.sampled_from(list(FieldConflict))))
def test_a_merge_after_the_decision_was_written_and_pushed_decides_nothing(
    sides: Sides, rules: dict[str, FieldRule]
) -> None:
    seen = pulled_side(sides, rules)
    decision = merge(seen, rules)
    assume(not decision.frozen)
    after = sync(seen, rules, decision)
    assert merge(after.sides, rules) == Decision()


@given(records() | own_words(), mixed_rules())
def test_a_merge_before_the_push_decides_the_same_again(sides: Sides, rules: dict[str, FieldRule]) -> None:
    """A second pull between the two: what is still to be pushed stays so, and nothing else is decided."""
    seen = pulled_side(sides, rules)
    decision = merge(seen, rules)
    assume(not decision.frozen)
    row = dict(seen.pushed) | dict(seen.pulled) | {name: seen.remote[name] for name in decision.take}
    agreed = {name: row[name] for name, rule in rules.items() if rule.pushes} | decision.pending
    again = merge(
        replace(
            seen,
            agreed_local=agreed,
            agreed_remote=seen.remote,
            pushed={name: row[name] for name, rule in rules.items() if rule.pushes},
            pulled={name: row[name] for name, rule in rules.items() if rule.pulls},
        ),
        rules,
    )
    assert (again.take, again.contested) == ((), ())
    assert {name: base for name, base in again.pending.items() if base != row[name]} == {
        name: base for name, base in decision.pending.items() if base != row[name]
    }


@given(records(), mixed_rules())
def test_both_sides_are_equal_once_the_decision_is_pushed(sides: Sides, rules: dict[str, FieldRule]) -> None:
    seen = pulled_side(sides, rules)
    decision = merge(seen, rules)
    assume(not decision.frozen)
    after = sync(seen, rules, decision)
    for name, rule in rules.items():
        if rule.pulls and rule.pushes:
            assert after.row[name] == after.record[name]


@given(own_words(), policies)
def test_own_words_stay_where_nobody_changed_them_and_all_else_becomes_equal(
    sides: Sides, strategy: FieldConflict
) -> None:
    rules = rules_for(strategy)
    decision = merge(sides, rules)
    assume(not decision.frozen)
    after = sync(sides, rules, decision)
    base_here, base_there = sides.agreed_local or {}, sides.agreed_remote or {}
    for name in NAMES:
        untouched = sides.pulled[name] == base_here[name] and sides.remote[name] == base_there[name]
        if untouched:
            assert (after.row[name], after.record[name]) == (base_here[name], base_there[name])
        else:
            assert after.row[name] == after.record[name]


# Counters


@given(numbers, st.lists(st.tuples(st.sampled_from(["here", "there", "merge"]), st.integers(-300, 300)), max_size=12))
@example("1", [("here", -5), ("there", -5)])  # both sold the same number: that is two sales
@example("1", [("here", 5), ("merge", 0), ("there", -5)])
def test_every_change_of_a_counter_counts_once_whenever_it_is_synced(start: str, deeds: list[tuple[str, int]]) -> None:
    rules = {"n": both_ways(FieldConflict.DELTA)}
    one: Texts = {"n": start}
    sides = Sides(one, one, one, one, one, None, None)
    expected = Decimal(start)
    for deed, cents in [*deeds, ("merge", 0)]:
        change = Decimal(cents) / 100
        expected += change if deed != "merge" else 0
        if deed == "here":
            row: Texts = {"n": plain(Decimal(str(sides.pushed["n"])) + change)}
            sides = replace(sides, pushed=row, pulled=row)
        elif deed == "there":
            sides = replace(sides, remote={"n": plain(Decimal(str(sides.remote["n"])) + change)})
        else:
            decision = merge(sides, rules)
            assert decision.contested == ()
            sides = sync(sides, rules, decision).sides
    assert sides.pulled["n"] == sides.remote["n"] == plain(expected)


@given(numbers, numbers, numbers)
def test_the_changes_of_a_counter_add_up_in_either_order(base: str, ours: str, theirs: str) -> None:
    rules = {"n": both_ways(FieldConflict.DELTA)}
    sides = Sides({"n": base}, {"n": base}, {"n": ours}, {"n": ours}, {"n": theirs}, None, None)
    there = mirrored(sides)
    totals = {sync(seen, rules, merge(seen, rules)).row["n"] for seen in (sides, there)}
    assert totals == {plain(Decimal(ours) + Decimal(theirs) - Decimal(base))}


@given(st.sampled_from([None, "", "many", "NaN", "Infinity"]), numbers, st.integers(0, 3))
def test_a_counter_that_is_no_number_somewhere_is_merged_as_any_field(odd: str | None, number: str, place: int) -> None:
    rules = {"n": both_ways(FieldConflict.DELTA)}
    found: list[str | None] = [number, plain(Decimal(number) + 1), plain(Decimal(number) + 2), number]
    found[place] = odd
    base_here, ours, theirs, base_there = ({"n": value} for value in found)
    sides = Sides(base_here, base_there, ours, ours, theirs, None, None)
    decision = merge(sides, rules)
    assert decision.delta == {}
    after = sync(sides, rules, decision)
    assert after.row["n"] == after.record["n"]
