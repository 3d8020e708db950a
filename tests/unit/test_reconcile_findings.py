"""What a finding says, what would repair it, and how the report shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.store.comparing import Found
from erpflow.sync import findings
from erpflow.sync.findings import Difference, Finding, FindingsLanding, Part, Policy, Remedy, finding
from erpflow.sync.landing import Landing
from erpflow.sync.report import COLUMNS, table_of
from erpflow.vocabulary import Deletes, FindingKind

BOTH = Policy(
    pulls=True,
    pushes=True,
    named=True,
    creates=True,
    updates=True,
    deletes=True,
    here=Deletes.HARD,
    there=Deletes.HARD,
    natural_key="email",
)
PULL = replace(BOTH, pushes=False)
PUSH = replace(BOTH, pulls=False)


def found(kind: str, **more: object) -> Found:
    facts = {"remote_id": "R", "local_id": "1", "tie": "agreed", "changed": None, "fields": {}, "twin": None}
    facts["crowded"] = False
    return Found(FindingKind(kind), **{**facts, "problems": None, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "policy", "remedy", "obstacle"),
    [
        (found("missing_here", tie="none"), BOTH, Remedy.PULL, None),
        (found("missing_here", tie="deleted"), BOTH, Remedy.PULL, None),
        (found("missing_here"), BOTH, Remedy.DELETE_THERE, None),
        (found("missing_here", tie="live"), BOTH, Remedy.PULL, None),
        (found("missing_here"), replace(BOTH, there=Deletes.IGNORE), Remedy.PULL, None),
        (found("missing_here"), replace(BOTH, deletes=False), Remedy.PULL, None),
        (found("missing_here"), PULL, Remedy.PULL, None),
        (found("missing_here", tie="live", twin="9"), BOTH, Remedy.PULL, None),
        (
            found("missing_here", tie="live", twin="9", crowded=True),
            BOTH,
            Remedy.NONE,
            "more than one row here has",
        ),
        (found("missing_here"), PUSH, Remedy.DELETE_THERE, None),
        (found("missing_here"), replace(PUSH, deletes=False), Remedy.NONE, "only pushes, and does not delete"),
        (found("missing_here"), replace(PULL, named=False), Remedy.NONE, "run a full sync"),
        (found("missing_there"), BOTH, Remedy.DELETE_HERE, None),
        (found("missing_there"), replace(BOTH, here=Deletes.IGNORE), Remedy.NONE, "deletes.pull of the mapping is"),
        (found("missing_there"), replace(BOTH, has_strangers=True), Remedy.NONE, "without a key was read"),
        (found("missing_there"), PUSH, Remedy.REMAKE, None),
        (found("missing_there"), replace(PUSH, creates=False), Remedy.NONE, "has no create"),
        (found("missing_there", remote_id=None), BOTH, Remedy.SEND, None),
        (found("missing_there", remote_id=None), replace(BOTH, has_strangers=True), Remedy.SEND, None),
        (found("missing_there", remote_id=None, problems="no"), BOTH, Remedy.NONE, "a push was refused: no"),
        (found("missing_there", remote_id=None, twin="S"), BOTH, Remedy.SEND, None),
        (found("missing_there", remote_id=None, twin="S", crowded=True), BOTH, Remedy.NONE, "S has its email there"),
        (found("missing_there", twin="S", crowded=True), PUSH, Remedy.NONE, "S has its email there"),
        (found("different"), BOTH, Remedy.MERGE, None),
        (found("different", tie="none", crowded=True), BOTH, Remedy.MERGE, None),
        (found("different", tie="none", crowded=True), PUSH, Remedy.NONE, "more than one record there has its"),
        (found("different"), PULL, Remedy.MERGE, None),
        (found("different"), PUSH, Remedy.SEND, None),
        (found("different"), replace(PUSH, updates=False), Remedy.NONE, "has no update"),
        (found("duplicate_here", twin="2"), BOTH, Remedy.DROP, None),
        (found("duplicate_here", twin="2"), replace(PULL, named=False), Remedy.DROP, None),
        (found("duplicate_here", remote_id=None, twin="2"), BOTH, Remedy.NONE, "which one is the copy cannot be told"),
        (found("duplicate_there", twin="S"), BOTH, Remedy.NONE, "for a person at the vendor"),
        (found("rejected"), BOTH, Remedy.NONE, "has to be corrected"),
        (found("frozen"), BOTH, Remedy.NONE, "erpflow conflict list"),
    ],
)
def test_what_repairs_a_finding(what: Found, policy: Policy, remedy: Remedy, obstacle: str | None) -> None:
    made = finding(1, what, policy)
    assert made.remedy is remedy
    assert obstacle in (made.obstacle or "") if obstacle else made.obstacle is None


def test_only_what_deletes_is_asked_about() -> None:
    assert {remedy for remedy in Remedy if remedy.deletes} == {Remedy.DROP, Remedy.DELETE_HERE, Remedy.DELETE_THERE}


def part(*names: str) -> Part:
    made = [
        Finding(n, FindingKind.DIFFERENT, f"R{n}", None, {name: Difference("a", None)}, "r", Remedy.MERGE, None, None)
        for n, name in enumerate(names, start=1)
    ]
    return Part(FindingKind.DIFFERENT, Remedy.MERGE, made)


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_looks_like_a_formula_is_a_text(text: str) -> None:
    made = Finding(1, FindingKind.REJECTED, text, text, {text: Difference(text, text)}, text, Remedy.NONE, None, None)
    (row,) = table_of(Part(FindingKind.REJECTED, Remedy.NONE, [made])).itertuples(index=False)
    assert list(row) == ["rejected", *[f"'{text}"] * 6]


def test_the_table_says_what_became_of_a_repair() -> None:
    table = table_of(part("phone", "city"), [None, "the vendor is away"])
    assert list(table.columns) == COLUMNS
    assert list(table["reason"]) == ["r; repaired", "r; not repaired: the vendor is away"]
    assert list(table["there"]) == ["∅", "∅"]


def test_findings_come_back_in_parts_of_one_kind_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "PART", 2)
    landing = FindingsLanding(Landing(tmp_path).open())
    made = [
        finding(1, found("missing_here"), BOTH),
        finding(2, found("missing_here", tie="none"), BOTH),
        finding(3, found("missing_here"), BOTH),
        finding(4, found("different"), BOTH),
        finding(5, found("missing_here"), BOTH),
    ]
    assert list(landing.keep(made)) == made
    kept = [(part.kind, part.remedy, [each.number for each in part.findings]) for _, part in landing.parts()]
    assert kept == [
        (FindingKind.MISSING_HERE, Remedy.DELETE_THERE, [1, 3]),
        (FindingKind.MISSING_HERE, Remedy.PULL, [2]),
        (FindingKind.DIFFERENT, Remedy.MERGE, [4]),
        (FindingKind.MISSING_HERE, Remedy.DELETE_THERE, [5]),
    ]


def test_what_became_of_findings_is_forgotten_with_them(tmp_path: Path) -> None:
    landing = FindingsLanding(Landing(tmp_path).open())
    list(landing.keep([finding(1, found("different"), BOTH)]))
    landing.put_outcomes(1, [None])
    assert landing.outcomes(1) == [None]
    list(landing.keep([finding(1, found("different"), BOTH)]))
    assert landing.outcomes(1) is None


def test_findings_that_were_cleaned_up_say_so(tmp_path: Path) -> None:
    landing = FindingsLanding(Landing(tmp_path).open())
    with pytest.raises(ConfigError, match="Run it again"):
        list(landing.parts())
    list(landing.keep([finding(1, found("different"), BOTH)]))
    (tmp_path / "findings" / "000001.msgpack").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="Run it again"):
        list(landing.parts())
