"""Who did what to one record, under which strategy, and what both sides hold in the end: the whole table.

The table is the specification, and docs/conflicts.md prints it. `ours` is what happened to the row here, `theirs` what
happened to the record at the vendor since both sides agreed; every case runs with the pull first and with the push
first, and both ends, the tie and the kept conflict are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from erpflow.store.database import Database
from tests.two_way import TwoWayShop

STRATEGIES = ("local_wins", "remote_wins", "newest_wins, ours newer", "newest_wins, theirs newer", "manual")

# ours: create, same (phone = L), other (city = LC), delete, nothing
# theirs: create, same (phone = R), other (limit = 7), delete, nothing
TABLE: dict[tuple[str, str], tuple[str, str, str, str, str]] = {
    ("nothing", "nothing"): ("as it was",) * 5,
    ("nothing", "same"): ("theirs on both sides",) * 5,
    ("nothing", "other"): ("theirs on both sides",) * 5,
    ("nothing", "delete"): ("gone on both sides",) * 5,
    ("nothing", "create"): ("made here",) * 5,
    ("same", "nothing"): ("ours on both sides",) * 5,
    ("same", "same"): ("conflict: ours", "conflict: theirs", "conflict: ours", "conflict: theirs", "waits"),
    ("same", "other"): ("both changes on both sides",) * 5,
    ("same", "delete"): (
        "conflict: made there again",
        "conflict: gone on both sides",
        "conflict: made there again",
        "conflict: gone on both sides",
        "waits, only here",
    ),
    ("other", "nothing"): ("ours on both sides",) * 5,
    ("other", "same"): ("both changes on both sides",) * 5,
    ("other", "other"): ("both changes on both sides",) * 5,
    ("other", "delete"): (
        "conflict: made there again",
        "conflict: gone on both sides",
        "conflict: made there again",
        "conflict: gone on both sides",
        "waits, only here",
    ),
    ("delete", "nothing"): ("gone on both sides",) * 5,
    ("delete", "same"): (
        "conflict: gone on both sides",
        "conflict: made here again",
        "conflict: made here again",
        "conflict: made here again",
        "waits, only there",
    ),
    ("delete", "other"): (
        "conflict: gone on both sides",
        "conflict: made here again",
        "conflict: made here again",
        "conflict: made here again",
        "waits, only there",
    ),
    ("delete", "delete"): ("gone on both sides",) * 5,
    ("create", "nothing"): ("made there",) * 5,
    ("create", "create"): ("conflict: ours", "conflict: theirs", "conflict: ours", "conflict: theirs", "waits"),
}

ROWS = sorted(TABLE)
OLD = "2025-01-01"  # older than anything at the vendor


@dataclass(frozen=True)
class Ends:
    """Both ends of one case in the end."""

    row: dict[str, Any] | None
    record: dict[str, Any] | None
    records: int
    tie: tuple[Any, ...] | None
    conflicts: list[tuple[Any, ...]]


def email_of(ours: str, theirs: str) -> str:
    return f"{ours}.{theirs}@x.y"


@pytest.fixture(scope="module", params=[(strategy, first) for strategy in STRATEGIES for first in ("pull", "push")])
def outcome(
    request: pytest.FixtureRequest, make_database: Callable[[], Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[tuple[str, str], Ends]]]:
    """Every case under one strategy and in one order, all in one database."""
    strategy, first = request.param
    shop = TwoWayShop(make_database(), tmp_path_factory.mktemp("truth"))
    shop.configure(conflict=strategy.split(",", maxsplit=1)[0])
    ids = play(shop, ours_newer="theirs" not in strategy)
    for _ in range(4):
        shop.cycle(push_first=first == "push", allow_deletes=True)
    settled = len(shop.vendor.writes)
    shop.cycle(push_first=first == "push", allow_deletes=True)
    assert len(shop.vendor.writes) == settled, "it does not come to rest"
    yield strategy, {case: ends(shop, case, ids.get(case)) for case in ROWS}


def play(shop: TwoWayShop, *, ours_newer: bool) -> dict[tuple[str, str], str]:
    """Agree on a record for each case, then let both sides do their part."""
    ids = {
        case: shop.vendor.put(name="N", email=email_of(*case), phone="B", address={"city": "C"}, limit="1.00")
        for case in ROWS
        if "create" not in case
    }
    shop.cycle(allow_deletes=True)
    # Our times lie before or after all of the vendor's.
    shop.do("ALTER TABLE app.customers DISABLE TRIGGER touch")
    stamp = "now()" if ours_newer else f"'{OLD}'"
    for case in ROWS:
        act_there(shop, case, ids)
        act_here(shop, case, stamp)
    shop.do("ALTER TABLE app.customers ENABLE TRIGGER touch")
    if not ours_newer:  # an older time is not found by time: everything is looked at
        shop.do("UPDATE erpflow.erp_sync_configs SET local_cursor_at = NULL")
    return ids


def act_here(shop: TwoWayShop, case: tuple[str, str], stamp: str) -> None:
    email = email_of(*case)
    statements = {
        "create": "INSERT INTO app.customers (name, email, phone, city, updated_at)"
        f" VALUES ('N', '{email}', 'L', 'LC', {stamp})",
        "same": f"UPDATE app.customers SET phone = 'L', updated_at = {stamp} WHERE email = '{email}'",
        "other": f"UPDATE app.customers SET city = 'LC', updated_at = {stamp} WHERE email = '{email}'",
        "delete": f"DELETE FROM app.customers WHERE email = '{email}'",
        "nothing": "SELECT 1",
    }
    shop.do(statements[case[0]])


def act_there(shop: TwoWayShop, case: tuple[str, str], ids: dict[tuple[str, str], str]) -> None:
    theirs = case[1]
    if theirs == "create":
        ids[case] = shop.vendor.put(name="N", email=email_of(*case), phone="R", limit="7.00")
    elif theirs == "same":
        shop.vendor.put(ids[case], phone="R")
    elif theirs == "other":
        shop.vendor.put(ids[case], limit="7.00")
    elif theirs == "delete":
        shop.vendor.drop(ids[case])


def ends(shop: TwoWayShop, case: tuple[str, str], remote_id: str | None) -> Ends:
    email = email_of(*case)
    records = [record for record in shop.vendor.records.values() if record.get("email") == email]
    row = shop.row(email=email)
    ties = shop.rows(
        "SELECT r.status, r.local_id, r.remote_id FROM erpflow.erp_entity_sync_records r"
        " WHERE r.remote_id = ANY (%s) OR r.local_id = %s ORDER BY r.status = 'deleted', r.synced_at DESC",
        [*(str(record["id"]) for record in records), remote_id or ""],
        str(row["id"]) if row else "",
    )
    conflicts = shop.rows(
        "SELECT kind, winner, status FROM erpflow.erp_conflicts WHERE remote_id = %s", remote_id or ""
    )
    return Ends(row, records[0] if records else None, len(records), ties[0] if ties else None, conflicts)


def state(of: dict[str, Any] | None, *, here: bool) -> tuple[Any, Any, Any] | None:
    """Phone, city and limit of an end; None when it is not there."""
    if of is None:
        return None
    if here:
        return of["phone"], of["city"], float(of["credit_limit"]) if of["credit_limit"] is not None else None
    limit = of.get("limit")
    return of.get("phone"), (of.get("address") or {}).get("city"), float(limit) if limit is not None else None


def after(ours: str, theirs: str, *, phone: str) -> tuple[Any, Any, Any]:
    """Phone, city and limit once both sides' changes are in, `phone` being the one that stands."""
    if "create" in (ours, theirs):
        return phone, "LC" if ours == "create" else None, 7.0 if theirs == "create" else None
    return phone, "LC" if ours == "other" else "C", 7.0 if theirs == "other" else 1.0


@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"ours {case[0]}, theirs {case[1]}")
def test_both_ends_are_as_the_table_says(
    outcome: tuple[str, dict[tuple[str, str], Ends]], case: tuple[str, str]
) -> None:
    strategy, found = outcome
    word = TABLE[case][STRATEGIES.index(strategy)]
    ours, theirs = case
    end = found[case]
    here, there = state(end.row, here=True), state(end.record, here=False)
    conflict = word.startswith(("conflict", "waits"))
    assert bool(end.conflicts) is conflict, end.conflicts
    assert end.records <= 1, "it is there twice"

    if word == "waits":
        assert (here, there) == (alone(ours, "ours"), alone(theirs, "theirs"))
        assert end.tie is not None and end.tie[0] == "frozen"
        assert end.conflicts[0][1:] == (None, "open")
    elif word == "waits, only here":
        assert (here, there) == (alone(ours, "ours"), None)
        assert end.conflicts == [("local_updated_remote_deleted", None, "open")]
    elif word == "waits, only there":
        assert (here, there) == (None, alone(theirs, "theirs"))
        assert end.conflicts == [("local_deleted_remote_updated", None, "open")]
    elif "gone" in word:
        assert (here, there) == (None, None)
        assert end.tie is None or end.tie[0] == "deleted"
    else:
        phone = {"same": "L", "create": "L"}.get(ours, "B")
        if theirs in ("same", "create") and (phone in ("B", "") or word in ("conflict: theirs", "made here")):
            phone = "R"
        if word == "made here":
            expected = ("R", None, 7.0)
        elif word == "conflict: made there again":
            expected = alone(ours, "ours")
        elif word == "conflict: made here again":
            expected = alone(theirs, "theirs")
        else:
            expected = after(ours, theirs, phone=phone)
        assert here == there == expected
        assert end.tie is not None and end.tie[0] == "synced"
        if conflict:
            winner = {"conflict: ours": "local", "conflict: theirs": "remote"}.get(word)
            assert winner is None or end.conflicts[0][1:] == (winner, "resolved")


def markdown() -> str:
    """The table as the documentation prints it."""
    deeds = {
        "create": "created",
        "same": "changed a field",
        "other": "changed another field",
        "delete": "deleted",
        "nothing": "nothing",
    }
    lines = [f"| here | there | {' | '.join(f'`{s}`' if ',' not in s else s for s in STRATEGIES)} |"]
    lines.append("|" + "---|" * (2 + len(STRATEGIES)))
    lines += [f"| {deeds[ours]} | {deeds[theirs]} | {' | '.join(TABLE[ours, theirs])} |" for ours, theirs in ROWS]
    return "\n".join(lines)


def test_the_documentation_prints_this_table() -> None:
    assert markdown() in (Path(__file__).parents[2] / "docs" / "conflicts.md").read_text(encoding="utf-8")


def alone(deed: str, side: str) -> tuple[Any, Any, Any]:
    """Phone, city and limit of one side that heard nothing of the other."""
    mark = "L" if side == "ours" else "R"
    if deed == "create":
        return (mark, "LC", None) if side == "ours" else (mark, None, 7.0)
    phone = mark if deed == "same" else "B"
    return (
        phone,
        "LC" if deed == "other" and side == "ours" else "C",
        7.0 if deed == "other" and side == "theirs" else 1.0,
    )
