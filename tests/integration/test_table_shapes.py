"""The tables that users have: keys, types and columns of every kind."""

from __future__ import annotations

import random
import string
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from erpflow.errors import ConfigError
from erpflow.store import pull
from erpflow.store.database import Database
from erpflow.vocabulary import Counts
from tests.engine import CUSTOMER, START, Shop, customer

LATER = (START + timedelta(hours=1)).isoformat()
TAGS = """
children:
  - local: app.tags
    remote: tags
    parent: customer_id
    key: tag
    fields:
      - {local: tag, remote: tag, type: text}
"""


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> Shop:
    return Shop(fresh_database, tmp_path)


def noise(length: int) -> str:
    """Text that does not compress."""
    return "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=length))


def add_column(shop: Shop, kind: str, *, mapped_as: str) -> None:
    shop.do(f"ALTER TABLE app.customers ADD COLUMN odd {kind}")
    shop.write_mapping("customer", CUSTOMER + f"  - {{local: odd, remote: odd, type: {mapped_as}}}\n")


def make_things(shop: Shop, key: str, *, match_on: str = "") -> None:
    """A table with a mixed-case name and a key of its own kind."""
    shop.do(
        f'CREATE TABLE app."Things" (key {key}, name text, email text, phone text, city text,'
        " credit_limit numeric, updated_at timestamptz)"
    )
    local = f"app.Things, key: key{match_on}"
    shop.write_mapping("customer", CUSTOMER.replace("app.customers, key: id", local).replace(", match_on: [email]", ""))


@pytest.mark.parametrize(
    ("kind", "mapped_as", "value", "other"),
    [
        ("json", "json", {"a": 1}, {"a": 2}),
        ("jsonb", "json", {"a": 1}, {"a": 2}),
        ("app.document", "json", {"a": 1}, {"a": 2}),
        ("point", "text", "(1,1)", "(2,2)"),
        ("box", "text", "(1,1),(0,0)", "(6,6),(5,5)"),
        ("app.caseless", "text", "Acme", "ACME"),
        ("text COLLATE app.ignore_case", "text", "Acme", "ACME"),
    ],
)
def test_a_changed_value_of_any_type_is_written_and_an_unchanged_one_is_not(
    shop: Shop, kind: str, mapped_as: str, value: Any, other: Any
) -> None:
    shop.do("CREATE EXTENSION IF NOT EXISTS citext; CREATE DOMAIN app.caseless AS citext")
    shop.do("CREATE DOMAIN app.document AS json")
    if "COLLATE" in kind:
        try:
            shop.do(
                "CREATE COLLATION app.ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this server was built without ICU")
    add_column(shop, kind, mapped_as=mapped_as)
    assert shop.sync([customer(1, odd=value)]).counts == Counts(read=1, created=1)
    touched = customer(1, odd=value, unmapped=1, modified=LATER)
    assert shop.sync([touched], full=True).counts == Counts(read=1, unchanged=1)
    assert shop.sync([customer(1, odd=other, modified=LATER)], full=True).counts == Counts(read=1, updated=1)


@pytest.mark.parametrize(
    "key",
    [
        "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "bigserial PRIMARY KEY",
        "uuid PRIMARY KEY DEFAULT gen_random_uuid()",
        "text PRIMARY KEY DEFAULT md5(random()::text)",
        "text PRIMARY KEY DEFAULT 'T%' || md5(random()::text)",
    ],
)
def test_a_key_of_any_kind_is_made_by_its_default(shop: Shop, key: str) -> None:
    make_things(shop, key)
    assert shop.sync([customer(1), customer(2)]).counts == Counts(read=2, created=2)
    renamed = customer(1, name="Renamed", modified=LATER)
    assert shop.sync([renamed, customer(2)], full=True).counts == Counts(read=2, updated=1, unchanged=1)


def test_a_key_that_nothing_can_make_is_named_before_anything_is_read(shop: Shop) -> None:
    make_things(shop, "text PRIMARY KEY")
    with pytest.raises(ConfigError, match=r'the key "key" of app\.Things has no default and is not mapped'):
        shop.sync([customer(1)])


def test_a_generated_column_is_named_before_anything_is_read(shop: Shop) -> None:
    add_column(shop, "text GENERATED ALWAYS AS (upper(name)) STORED", mapped_as="text")
    with pytest.raises(ConfigError, match=r'"odd" of app\.customers is a generated column'):
        shop.sync([customer(1)])


def test_a_view_that_cannot_be_written_is_a_matter_for_a_person(shop: Shop) -> None:
    make_things(shop, "bigserial PRIMARY KEY")
    shop.do('CREATE VIEW app.few AS SELECT DISTINCT * FROM app."Things"')
    shop.do("ALTER VIEW app.few ALTER key SET DEFAULT 5")
    shop.write_mapping("customer", CUSTOMER.replace("app.customers, key: id", "app.few, key: key"))
    with pytest.raises(ConfigError, match='cannot insert into view "few"'):
        shop.sync([customer(1)])


def test_a_misspelt_view_is_told_the_nearest_one(shop: Shop) -> None:
    shop.do("CREATE VIEW app.newcomers AS SELECT * FROM app.customers")
    shop.write_mapping("customer", CUSTOMER.replace("app.customers,", "app.newcommers,"))
    with pytest.raises(ConfigError, match=r'no table "app\.newcommers" \(did you mean "app\.newcomers"\?\)'):
        shop.sync([customer(1)])


def test_a_value_too_long_for_an_index_rejects_that_record_only(shop: Shop) -> None:
    shop.do("CREATE INDEX ON app.customers (phone)")
    assert shop.sync([customer(1), customer(2, phone=noise(10_000))]).counts == Counts(read=2, created=1, rejected=1)
    assert shop.rows("SELECT remote_id FROM erpflow.erp_rejects") == [("C000002",)]


def test_a_key_too_long_for_any_index_rejects_that_record_only(shop: Shop) -> None:
    for _ in range(2):
        summary = shop.sync([customer(1), customer(2, id=noise(10_000))], full=True)
        assert (summary.counts.read, summary.counts.rejected) == (2, 1)
    assert shop.rows("SELECT remote_id, length(payload) > 10000 FROM erpflow.erp_rejects") == [(None, True)]


def test_a_server_that_does_not_speak_english_has_its_refused_records_found_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "COPY_CONTEXT", pull.re.compile("Zeile (\\d+)(?:, Spalte v_([^:]+))?"))
    shop.do("ALTER TABLE app.customers ALTER COLUMN city TYPE varchar(10)")
    records = [customer(n) for n in range(1200)]
    for number in (0, 700, 701, 1199):
        records[number]["address"] = {"city": "a city with a long name"}
    assert shop.sync(records).counts == Counts(read=1200, created=1196, rejected=4)
    found = shop.rows("SELECT remote_id FROM erpflow.erp_rejects ORDER BY 1")
    assert found == [("C000000",), ("C000700",), ("C000701",), ("C001199",)]


def tag_table(shop: Shop, mapping: str) -> None:
    [(kind,)] = shop.rows(
        "SELECT format_type(atttypid, -1) FROM pg_attribute"
        " WHERE attrelid = 'app.customers'::regclass AND attname = 'id'"
    )
    shop.do(
        f"CREATE TABLE app.tags (id bigserial PRIMARY KEY, customer_id {kind}, tag text, UNIQUE (customer_id, tag))"
    )
    shop.write_mapping("customer", mapping + TAGS)


def tags(shop: Shop) -> list[str]:
    return [tag for (tag,) in shop.rows("SELECT tag FROM app.tags ORDER BY tag")]


def test_lines_that_are_nothing_but_a_key_follow_their_record(shop: Shop) -> None:
    tag_table(shop, CUSTOMER)

    def sync(*names: str) -> Counts:
        lines = [{"tag": name} for name in names]
        return shop.sync([customer(1, tags=lines, modified=LATER)], full=True).counts

    assert sync("a", "b") == Counts(read=1, created=1)
    assert sync("a", "c") == Counts(read=1, updated=1)
    assert tags(shop) == ["a", "c"]
    assert sync("c", "a") == Counts(read=1, unchanged=1)
    assert sync() == Counts(read=1, updated=1)
    assert tags(shop) == []


def test_a_table_of_which_only_the_key_is_filled_gets_its_lines_too(shop: Shop) -> None:
    shop.do("CREATE TABLE app.codes (code text PRIMARY KEY)")
    head = CUSTOMER.split("fields:", maxsplit=1)[0]
    mapping = head.replace("app.customers, key: id, modified: updated_at, match_on: [email]", "app.codes, key: code")
    shop.do("CREATE TABLE app.tags (code text, tag text)")
    fields = "fields:\n  - {local: code, remote: id, type: text}\n"
    shop.write_mapping("customer", mapping + fields + TAGS.replace("customer_id", "code"))
    shop.sync([customer(1, tags=[{"tag": "a"}])])
    assert shop.sync([customer(1, tags=[{"tag": "b"}], modified=LATER)], full=True).counts.updated == 1
    assert tags(shop) == ["b"]


PLACES = """
  - local: place
    remote: place
    type: lookup
    lookup: {table: app.places, match: code, take: pid}
"""


def make_places(shop: Shop, *rows: tuple[str, str], code: str = "text", pid: str = "bigint", place: str) -> None:
    shop.do(f"CREATE TABLE app.places (pid {pid}, code {code})")
    for row in rows:
        shop.rows("INSERT INTO app.places VALUES (%s, %s) RETURNING pid", *row)
    shop.do(f"ALTER TABLE app.customers ADD COLUMN place {place}")
    shop.write_mapping("customer", CUSTOMER + PLACES)


@pytest.mark.parametrize(
    ("code", "stored", "sent"),
    [
        ("int", "7", 7),
        ("numeric(10,2)", "7", "7"),
        ("numeric(10,2)", "7.5", 7.5),
        ("char(5)", "ab", "ab"),
        ("uuid", "9e0b37d4-0d7f-4b0f-9e65-0d7b6b3c4c11", "9E0B37D4-0D7F-4B0F-9E65-0D7B6B3C4C11"),
    ],
)
def test_a_look_up_finds_a_key_of_any_type(shop: Shop, code: str, stored: str, sent: Any) -> None:
    make_places(shop, ("1", stored), code=code, place="bigint")
    assert shop.sync([customer(1, place=sent)]).counts == Counts(read=1, created=1)


def test_a_looked_up_value_that_the_column_does_not_take_rejects_that_record_only(shop: Shop) -> None:
    make_places(shop, ("much too long", "a"), ("ok", "b"), pid="text", place="varchar(4)")
    records = [customer(n, place="a" if n == 2 else "b") for n in range(4)]
    assert shop.sync(records).counts == Counts(read=4, created=3, rejected=1)


def test_a_look_up_into_a_column_of_another_type_is_a_matter_for_a_person(shop: Shop) -> None:
    make_places(shop, ("x", "a"), pid="text", place="bigint")
    with pytest.raises(ConfigError, match="is of type bigint but expression is of type text"):
        shop.sync([customer(1, place="a")])


def test_a_deferred_constraint_rejects_the_record_and_not_the_commit(shop: Shop) -> None:
    shop.do("CREATE TABLE app.cities (city text PRIMARY KEY); INSERT INTO app.cities VALUES ('Ljubljana')")
    shop.do("ALTER TABLE app.customers ADD FOREIGN KEY (city) REFERENCES app.cities DEFERRABLE INITIALLY DEFERRED")
    nowhere = customer(2, address={"city": "Nowhere"})
    assert shop.sync([customer(1), nowhere, customer(3)]).counts == Counts(read=3, created=2, rejected=1)


def test_a_unique_value_may_go_from_one_record_to_another(shop: Shop) -> None:
    shop.do("ALTER TABLE app.customers ADD UNIQUE (phone)")
    shop.sync([customer(n, phone=str(n)) for n in range(1, 6)])
    moved = [customer(n, phone=str(n + 1), modified=LATER) for n in range(1, 6)]
    assert shop.sync(moved, full=True).counts == Counts(read=5, updated=5)
