"""`erpflow reject`, `replay`, `history` and `sync list`: what an operator does at nine in the morning."""

from __future__ import annotations

import re

import pytest

from tests.integration.conftest import Installation

OPEN = "SELECT count(*) FROM erpflow.erp_rejects WHERE status = 'open'"


@pytest.fixture
def synced(connected: Installation) -> Installation:
    assert connected.run("sync", "run", "demo", "customer").status == 2
    return connected


def number(installation: Installation, statement: str) -> int:
    (row,) = installation.rows(statement)
    return int(str(row[0]))


def test_rejects_are_listed_with_every_problem_and_shown_whole(synced: Installation) -> None:
    listed = synced.run("reject", "list").out
    assert len(re.findall(r"demo customer pull  HOSTILE-.*  open, refused", listed)) == number(synced, OPEN)
    found = re.search(r"^([0-9a-f-]{36})  demo customer pull  (HOSTILE-\S+)", listed, re.MULTILINE)
    assert found
    shown = synced.run("reject", "show", found[1]).out
    assert f'"name": "{found[2]}"' in shown
    assert "There are no such rejects." in synced.run("reject", "list", "--rule", "lookup").out
    assert "There are no such rejects." in synced.run("reject", "list", "--entity", "order").out


def test_rejects_are_tried_again_by_id_and_by_filter(synced: Installation) -> None:
    before = number(synced, OPEN)
    (one,) = synced.rows("SELECT id::text FROM erpflow.erp_rejects WHERE status = 'open' LIMIT 1")
    ended = synced.run("reject", "retry", str(one[0]))
    assert (ended.status, ended.err) == (2, "")
    assert "demo customer pull: partial. 1 read" in ended.out
    ended = synced.run("reject", "retry", "--connection", "demo", "--entity", "customer")
    assert f"{before} read" in ended.out
    assert number(synced, OPEN) == before
    assert "Say which" in synced.run("reject", "retry").err


def test_rejects_are_discarded_for_good_and_all_of_them_or_none(synced: Installation) -> None:
    (one,) = synced.rows("SELECT id::text FROM erpflow.erp_rejects WHERE status = 'open' LIMIT 1")
    before = number(synced, OPEN)
    refused = synced.run("reject", "discard", str(one[0]), "nonsense")
    assert (refused.status, number(synced, OPEN)) == (1, before)
    assert "There is no open reject nonsense. Nothing was discarded." in refused.err
    assert "Discarded 1." in synced.run("reject", "discard", str(one[0])).out
    assert number(synced, OPEN) == before - 1
    assert f"There is no open reject {one[0]}" in synced.run("reject", "retry", str(one[0])).err


def test_a_sync_log_is_found_in_the_list_and_replayed(synced: Installation) -> None:
    listed = synced.run("sync", "list", "--connection", "demo").out
    assert re.search(r"^STARTED +SYNC +KIND +STATUS +READ", listed)
    found = re.search(r"demo customer pull  +full  +partial .* ([0-9a-f-]{36})$", listed, re.MULTILINE)
    assert found
    path = synced.mappings / "erpnext" / "customer.yaml"
    before = path.read_text()
    path.write_text(before.replace("transform: trim}", "transform: [trim, upper]}"))
    assert path.read_text() != before
    planned, done = synced.run("replay", found[1], "--dry-run"), synced.run("replay", found[1])
    assert (planned.err, done.err) == ("", "")
    counts = re.search(r"[\d,]+ read: .* updated", done.out)
    assert counts
    assert counts[0] in planned.out
    assert " 0 updated" not in done.out
    assert number(synced, "SELECT count(*) FROM app.customers WHERE name <> upper(name)") == 0
    assert "There is no sync log nonsense" in synced.run("replay", "nonsense").err


def test_the_history_of_a_record_names_the_runs_and_the_fields(synced: Installation) -> None:
    (row,) = synced.rows(
        "SELECT r.remote_id, r.local_id FROM erpflow.erp_entity_sync_records r"
        " JOIN app.customers c ON c.id::text = r.local_id WHERE r.status = 'synced' LIMIT 1"
    )
    remote_id, local_id = map(str, row)
    first = synced.run("history", "demo", "customer", remote_id).out
    assert re.search(r"created from there  sync log [0-9a-f-]{36}$", first.strip())
    with synced.database.transaction() as connection:
        connection.execute(
            "UPDATE app.customers SET tax_number = '29AAAAA0000A1Z5', updated_at = now() WHERE id::text = %s",
            (local_id,),
        )
    synced.run("sync", "run", "demo", "customer")
    changed = synced.run("history", "demo", "customer", local_id, "--local").out
    assert "updated to there" in changed
    assert "→ 29AAAAA0000A1Z5" in changed
    assert "Nothing is kept of nobody." in synced.run("history", "demo", "customer", "nobody").out
