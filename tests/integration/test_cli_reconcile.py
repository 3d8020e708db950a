"""`erpflow reconcile` against the ERPNext sandbox: what it prints, its status for the shell, and what it leaves."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.integration.conftest import Installation

ROWS = "SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM app.products p"

PRODUCT = """
system: erpnext
entity: product
remote: {object: Item, key: name, modified: modified}
local: {table: app.products, key: id, modified: updated_at, match_on: [sku]}
direction: pull
deletes: {pull: hard, at_most: 0%}
every: 1h
fields:
  - {local: sku, remote: name, required: true}
  - {local: name, remote: item_code, required: true}
"""
"""Little enough that even the hostile records of the sandbox have a place."""


def do(installation: Installation, statement: str) -> None:
    with installation.database.transaction() as connection:
        connection.execute(statement.encode())


@pytest.fixture
def synced(connected: Installation) -> Installation:
    """All products of the sandbox, synced."""
    (connected.mappings / "erpnext" / "product.yaml").write_text(PRODUCT)
    assert connected.run("sync", "run", "demo", "product").status == 0
    return connected


def test_sides_that_are_alike_end_with_status_0(synced: Installation) -> None:
    ended = synced.run("reconcile", "demo", "product")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("demo product: 20 records compared, both sides are alike. ")


def test_findings_are_counted_and_named_and_end_with_status_2(synced: Installation) -> None:
    do(synced, "UPDATE app.products SET name = 'Ours' WHERE id = 1; DELETE FROM app.products WHERE id IN (2, 3)")
    before = synced.rows(ROWS)

    ended = synced.run("reconcile", "demo", "product", "--limit", "2")

    assert (ended.status, ended.err) == (2, "")
    first, *lines = ended.out.splitlines()
    assert first.startswith("demo product: 20 records compared, 3 findings. ")
    assert [line.split() for line in lines[:3]] == [
        ["KIND", "FOUND", "REPAIRED", "LEFT"],
        ["missing_here", "2", "0", "2"],
        ["different", "1", "0", "1"],
    ]
    assert lines[3].startswith("missing_here: ")
    assert lines[3].endswith(" its row was deleted here")
    assert lines[-1] == "… and 1 more; --limit shows them, --csv writes all"
    assert synced.rows(ROWS) == before


def test_a_repair_makes_both_sides_alike(synced: Installation, tmp_path: Path) -> None:
    do(synced, "UPDATE app.products SET name = 'Ours' WHERE id = 1; DELETE FROM app.products WHERE id = 2")
    report = tmp_path / "report.csv"

    ended = synced.run("reconcile", "demo", "product", "--csv", str(report), "--repair")

    assert (ended.status, ended.err) == (0, "")
    assert "name: here Ours, there " in ended.out
    assert ended.out.count("; repaired\n") == 2
    with report.open(newline="") as file:
        assert [(row["kind"], row["field"], row["here"]) for row in csv.DictReader(file)] == [
            ("missing_here", "", ""),
            ("different", "name", "Ours"),
        ]
    assert synced.run("reconcile", "demo", "product").status == 0


def test_only_the_kinds_behind_repair_are_repaired(synced: Installation) -> None:
    do(synced, "UPDATE app.products SET name = 'Ours' WHERE id = 1; DELETE FROM app.products WHERE id = 2")
    ended = synced.run("reconcile", "demo", "product", "--repair", "missing_here", "missing_there")
    assert ended.status == 2
    assert synced.rows("SELECT count(*), count(*) FILTER (WHERE name = 'Ours') FROM app.products") == [(20, 1)]


def test_hostile_records_are_named_with_their_reasons_and_rows_of_others_are_not(connected: Installation) -> None:
    assert connected.run("sync", "run", "demo", "customer").status == 2
    do(connected, "INSERT INTO app.customers SELECT 900, 'Mine', NULL, NULL, 'mine@example.org'")
    ended = connected.run("reconcile", "demo", "customer", "--limit", "500")
    assert ended.status == 2
    assert "rejected: HOSTILE-" in ended.out
    assert "mine@example.org" not in ended.out  # new rows do not go to ERPNext by this mapping
    assert "missing_there" not in ended.out


def test_a_question_about_deletes_is_asked_after_everything_was_shown(synced: Installation) -> None:
    do(
        synced,
        "INSERT INTO app.products (sku, name) VALUES ('GONE-1', 'x'), ('GONE-2', 'y');"
        "INSERT INTO erpflow.erp_entity_sync_records (sync_config_id, tenant_id, remote_id, local_id, raw_hash)"
        " SELECT c.id, c.tenant_id, p.sku, p.id::text, 1 FROM erpflow.erp_sync_configs c, app.products p"
        " WHERE c.entity = 'product' AND p.sku LIKE 'GONE-%'",
    )
    asked = synced.run("reconcile", "demo", "product", "--repair")
    assert asked.status == 1
    assert "missing_there: GONE-1 / " in asked.out
    assert "the repair would delete 2 of 22" in asked.err
    assert "--allow-deletes" in asked.err
    assert synced.rows("SELECT count(*) FROM app.products") == [(22,)]

    assert synced.run("reconcile", "demo", "product", "--repair", "--allow-deletes").status == 0
    assert synced.rows("SELECT count(*) FROM app.products") == [(20,)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demoo", "product"), 'did you mean "demo"'),
        (("demo", "prodct"), 'did you mean "product"'),
        (("demo", "product", "different"), "write --repair before them"),
        (("demo", "product", "--repair", "diferent"), "is not one of"),
    ],
)
def test_a_mistake_is_said_and_nothing_runs(words: tuple[str, ...], message: str, connected: Installation) -> None:
    ended = connected.run("reconcile", *words)
    assert ended.status == 1
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(0,)]


def test_a_reconciliation_is_listed_among_the_syncs(synced: Installation) -> None:
    synced.run("reconcile", "demo", "product")
    assert "reconcile" in synced.run("sync", "list").out
