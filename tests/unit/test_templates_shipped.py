"""The templates that ship: each does what its description says, in a mapping of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erpflow.errors import RecordRejected
from erpflow.mapping.compile import PullProgram, compile_pull, compile_push
from erpflow.mapping.load import find_mappings, load_mapping, parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import find_templates, templates_used

INCLUDE = Path(__file__).parents[2] / "include"
FOLDER = INCLUDE / "mappings" / "templates"
NAMES = find_templates(FOLDER).names()


def mapping_of(*fields: dict[str, Any], **more: Any) -> Mapping:
    data = {
        "system": "rest",
        "entity": "customer",
        "remote": {"object": "customers", "key": "id"},
        "local": {"table": "app.customers"},
        "fields": list(fields),
    }
    return parse_mapping(data | more, name="test", templates=find_templates(FOLDER))


def pulled(program: PullProgram, record: Any) -> tuple[str | None, ...]:
    return program.map_record(msgspec.json.encode(record)).values


def through(template: str, value: Any) -> str | None:
    """A value after a field template."""
    program = compile_pull(mapping_of({"local": "a", "remote": "a", "transform": {"template": template}}))
    return pulled(program, {"a": value})[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_template_that_ships_can_be_used_and_says_what_it_does(name: str) -> None:
    found = find_templates(FOLDER).get(name)
    assert found.description.endswith(".")


def test_the_templates_in_use_are_files_that_ship() -> None:
    used = {one.name for path in find_mappings(INCLUDE / "mappings") for one in templates_used(load_mapping(path))}
    assert "clean_email" in used <= set(NAMES)
    assert {"clean_phone", "full_name", "address_block", "fill_currency", "drop_test_customers"} <= set(NAMES)


@pytest.mark.parametrize(("value", "expected"), [(" A@B.Example ", "a@b.example"), ("  ", None), (None, None)])
def test_clean_email(value: Any, expected: str | None) -> None:
    assert through("clean_email", value) == expected


@pytest.mark.parametrize(("value", "expected"), [("050 123 4567", "+966501234567"), ("+49 30 123456", "+4930123456"),
                                                 (" ", None)])  # fmt: skip
def test_clean_phone(value: Any, expected: str | None) -> None:
    assert through("clean_phone", value) == expected


def names_mapping() -> Mapping:
    return mapping_of(
        {"local": "first_name", "remote": "first_name"},
        {"local": "last_name", "remote": "last_name"},
        record=[{"full_name": {"reads": {"full_name": "contact.name"}}}],
        direction="bidirectional",
    )


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Huda Al-Qahtani", "Huda", "Al-Qahtani"),
        ("  Mary  Ann   Smith ", "Mary Ann", "Smith"),
        ("Cher", "Cher", None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_full_name_is_cut_at_the_last_space_and_joined_again(
    name: str | None, first: str | None, last: str | None
) -> None:
    mapping = names_mapping()
    row = pulled(compile_pull(mapping), {"contact": {"name": name}})
    assert row == (first, last)
    back = compile_push(mapping).map_row({"first_name": first, "last_name": last})
    assert back == {"contact": {"name": " ".join((name or "").split()) or None}}


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00")))
def test_a_full_name_that_was_split_joined_and_split_is_the_same(name: str) -> None:
    mapping = names_mapping()
    pull, push = compile_pull(mapping), compile_push(mapping)
    row = pulled(pull, {"contact": {"name": name}})
    again = pulled(pull, push.map_row({"first_name": row[0], "last_name": row[1]}))
    assert again == row


def test_a_full_name_that_is_no_text_is_a_reject() -> None:
    with pytest.raises(RecordRejected, match="the template full_name failed: a name is a text"):
        pulled(compile_pull(names_mapping()), {"contact": {"name": ["x"]}})


def test_address_block_leaves_empty_lines_out() -> None:
    program = compile_pull(mapping_of({"local": "address", "remote": "address"}, record=["address_block"]))
    record = {"address_line1": " 7 King Fahd Rd ", "address_line2": "", "city": "Riyadh", "pincode": 12211}
    assert pulled(program, record) == ("7 King Fahd Rd\nRiyadh\n12211",)
    assert pulled(program, {}) == (None,)
    with pytest.raises(RecordRejected, match="the template address_block failed: city is no text"):
        pulled(program, {"city": ["Riyadh"]})


CUSTOMER = [{"local": name, "remote": name} for name in ("email", "country", "currency")]


def test_fill_currency_fills_what_is_missing_and_nothing_else() -> None:
    refine = compile_pull(mapping_of(*CUSTOMER, batch="fill_currency")).refine
    assert refine is not None
    rows = [("a", "India", None), ("b", "India", "USD"), ("c", "Mars", None), ("d", None, None)]
    assert [row[2] for row in refine(rows).rows.values()] == ["INR", "USD", None, None]
    assert refine([("a", None, None)]).rows == {0: ("a", None, None)}


def test_drop_test_customers_drops_reserved_addresses_and_nobody_else() -> None:
    refine = compile_pull(mapping_of(*CUSTOMER, batch=["drop_test_customers"])).refine
    assert refine is not None
    addresses = ["a@example.com", "a@mail.example.org", "a@b.test", "a@example.com.sa", "a@latest", None, "a@invalid"]
    found = refine([(address, None, None) for address in addresses])
    assert list(found.rows) == [3, 4, 5]
    assert set(found.dropped.values()) == {"dropped by drop_test_customers"}
    assert refine([(None, None, None)]).rows == {0: (None, None, None)}
