"""Templates as rows: how often each is used, and those that are kept in the table."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from erpflow.store import templates, tenants
from erpflow.store.database import Database

LIST = (
    "SELECT name, level, description, usage_count, last_used_at IS NOT NULL, definition, updated_at = created_at "
    "FROM erpflow.erp_transform_templates ORDER BY name"
)
KEEP = (
    "INSERT INTO erpflow.erp_transform_templates (tenant_id, name, level, definition) VALUES "
    "('00000000-0000-0000-0000-000000000001', 'kept', 'field', %s)"
)


@dataclass(frozen=True)
class Used:
    name: str
    level: str = "field"
    description: str = "Tidies"
    definition: Mapping[str, Any] = field(default_factory=lambda: {"transform": ["trim"]})
    file: str | None = "tidy.yaml"


def rows_of(database: Database) -> list[tuple[Any, ...]]:
    with database.session() as connection:
        return connection.execute(LIST).fetchall()


def count(database: Database, *used: Used, rows: int) -> None:
    with database.transaction() as connection:
        templates.count_usage(connection, used, rows=rows)


def test_the_first_use_of_a_file_makes_its_row_and_each_use_adds_its_rows(fresh_database: Database) -> None:
    count(fresh_database, Used("tidy"), Used("names", level="record"), rows=200)
    count(fresh_database, Used("tidy"), rows=50)
    count(fresh_database, rows=9)
    assert [row[:5] for row in rows_of(fresh_database)] == [
        ("names", "record", "Tidies", 200, True),
        ("tidy", "field", "Tidies", 250, True),
    ]


def test_the_row_of_a_file_follows_the_file(fresh_database: Database) -> None:
    count(fresh_database, Used("tidy"), rows=1)
    count(fresh_database, Used("tidy"), rows=1)
    assert rows_of(fresh_database)[0][6]
    count(fresh_database, Used("tidy", description="New", definition={"transform": ["lower"]}), rows=1)
    (row,) = rows_of(fresh_database)
    assert row[2:] == ("New", 3, True, {"transform": ["lower"], "file": True}, False)


def test_a_template_of_the_table_is_counted_and_stays_what_it_is(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        connection.execute(KEEP, ['{"transform": ["trim"]}'])
    count(fresh_database, Used("kept", level="batch", description="Else", definition={}, file=None), rows=7)
    count(fresh_database, Used("kept", level="batch", description="Else", definition={}, file="kept.yaml"), rows=1)
    assert [row[:6] for row in rows_of(fresh_database)] == [("kept", "field", "", 8, True, {"transform": ["trim"]})]


def test_a_template_that_was_deleted_while_it_was_used_is_not_made_again(fresh_database: Database) -> None:
    count(fresh_database, Used("deleted", file=None), rows=7)
    assert rows_of(fresh_database) == []


def test_the_table_gives_the_templates_kept_in_it_with_exact_numbers_and_none_of_the_files(
    fresh_database: Database,
) -> None:
    count(fresh_database, Used("tidy"), rows=1)
    with fresh_database.transaction() as connection:
        connection.execute(KEEP, ['{"transform": [{"multiply": 0.10}]}'])
        found = templates.kept_templates(connection)
    assert found == {"kept": {"level": "field", "description": "", "transform": [{"multiply": Decimal("0.10")}]}}
    assert str(found["kept"]["transform"][0]["multiply"]) == "0.10"


def test_tenants_count_apart(fresh_database: Database) -> None:
    with fresh_database.transaction() as connection:
        other = tenants.add_tenant(connection, "other", name="Other").id
        templates.count_usage(connection, [Used("tidy")], rows=1)
        templates.count_usage(connection, [Used("tidy")], rows=2, tenant_id=other)
        assert templates.kept_templates(connection, tenant_id=other) == {}
    assert sorted(row[3] for row in rows_of(fresh_database)) == [1, 2]


def test_many_who_count_at_once_lose_nothing_and_do_not_block_each_other(fresh_database: Database) -> None:
    both = (Used("a"), Used("b"))
    work = [threading.Thread(target=count, args=(fresh_database, *order), kwargs={"rows": 1})
            for _ in range(10) for order in (both, both[::-1])]  # fmt: skip
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert [row[3] for row in rows_of(fresh_database)] == [20, 20]
