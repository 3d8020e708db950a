"""Field types and rules: which remote value becomes which text for Postgres, and what is said about the others."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from erpflow.errors import ConfigError, FieldProblem, RecordRejected
from erpflow.mapping.compile import PullProgram, compile_pull
from erpflow.mapping.load import parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.problems import MAX_PROBLEMS


def mapping_of(*fields: dict[str, Any], **more: Any) -> Mapping:
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "id", "modified": "at"},
        "local": {"table": "app.things"},
        "fields": list(fields),
    }
    return parse_mapping(data | more, name="test")


def program_of(spec: dict[str, Any], *, zone: str = "UTC") -> PullProgram:
    return compile_pull(mapping_of({"local": "col", "remote": "a", **spec}), zone=zone)


def pulled(spec: dict[str, Any], json: str, *, zone: str = "UTC") -> str | None:
    """What the JSON text of a value becomes."""
    return program_of(spec, zone=zone).map_record(f'{{"a": {json}}}'.encode()).values[0]


def refused(spec: dict[str, Any], json: str, *, zone: str = "UTC") -> FieldProblem:
    with pytest.raises(RecordRejected) as caught:
        pulled(spec, json, zone=zone)
    (problem,) = caught.value.problems
    return problem


LOOKUP = {"type": "lookup", "lookup": {"entity": "customer"}}
PICK = {"type": "picklist", "values": {"on": "Active", "off": 0, "odd": True, "half": "1.0"}}

ACCEPTED: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, '" as it is "', " as it is "),
    ({}, '""', ""),
    ({}, "null", None),
    ({}, "12", "12"),
    ({}, "12.50", "12.50"),
    ({}, "1e3", "1000"),
    ({}, "true", "true"),
    ({}, '"\\\\u0000"', "\\u0000"),
    ({"type": "number"}, "0", "0"),
    ({"type": "number"}, "-12.50", "-12.50"),
    ({"type": "number"}, "0.1", "0.1"),
    ({"type": "number"}, "1E+5", "100000"),
    ({"type": "number"}, "1e-8", "0.00000001"),
    ({"type": "number"}, "12345678901234567890.123456789012345678901", "12345678901234567890.123456789012345678901"),
    ({"type": "number"}, "9" * 200, "9" * 200),
    ({"type": "number"}, '"0012.50"', "12.50"),
    ({"type": "number"}, '"+.5"', "0.5"),
    ({"type": "number"}, '""', None),
    ({"type": "number", "scale": 2}, "12.345", "12.35"),
    ({"type": "number", "scale": 2}, "-12.345", "-12.35"),
    ({"type": "number", "scale": 2}, "12", "12.00"),
    ({"type": "number", "scale": 2}, '"12.3"', "12.30"),
    ({"type": "number", "scale": 0}, "1.0", "1"),
    ({"type": "number", "scale": 0}, "2.5", "3"),
    ({"type": "number", "min": 0}, '"0.00"', "0.00"),
    ({"type": "number", "min": 0, "max": 5}, "5", "5"),
    ({"type": "date"}, '"2024-02-29"', "2024-02-29"),
    ({"type": "date"}, '"1970-01-01"', "1970-01-01"),
    ({"type": "date"}, '"9999-12-31"', "9999-12-31"),
    ({"type": "date"}, '"2024-02-29 23:30:00"', "2024-02-29"),
    ({"type": "date"}, '""', None),
    ({"type": "date", "min": "2000-01-01"}, '"2000-01-01"', "2000-01-01"),
    ({"type": "datetime"}, '"2024-02-29T10:11:12Z"', "2024-02-29T10:11:12+00:00"),
    ({"type": "datetime"}, '"2024-02-29 10:11:12.5+05:30"', "2024-02-29T04:41:12.500000+00:00"),
    ({"type": "datetime"}, '"2024-02-29"', "2024-02-29T00:00:00+00:00"),
    ({"type": "boolean"}, "true", "t"),
    ({"type": "boolean"}, "0", "f"),
    ({"type": "boolean"}, "1.0", "t"),
    ({"type": "boolean"}, '"YES"', "t"),
    ({"type": "boolean"}, '"oFF"', "f"),
    ({"type": "boolean"}, '""', None),
    (LOOKUP, '"CUST-1"', "CUST-1"),
    (LOOKUP, "42", "42"),
    (LOOKUP, '""', None),
    (PICK, '"Active"', "on"),
    (PICK, "0", "off"),
    (PICK, '"0"', "off"),
    (PICK, "0.0", "off"),
    (PICK, "true", "odd"),
    (PICK, '"1.0"', "half"),
    (PICK, '""', None),
    ({"type": "json"}, '{"a": [1, 2.50, "é", null, true]}', '{"a":[1,2.50,"é",null,true]}'),
    ({"type": "json"}, "[]", "[]"),
    ({"type": "json"}, '"word"', '"word"'),
    ({"type": "json"}, '["\\\\u0000"]', '["\\\\u0000"]'),
    ({"type": "json"}, '[1E+3, "E+"]', '[1E+3,"E+"]'),
    ({"type": "json"}, "null", None),
    ({"max_length": 3}, '"äöü"', "äöü"),
    ({"pattern": "[0-9]+"}, '"123"', "123"),
    ({"one_of": ["a", 7]}, '"7"', "7"),
    ({"default": "none"}, "null", "none"),
    ({"default": "none"}, '""', "none"),
    ({"default": "none", "required": True}, "null", "none"),
    ({"type": "number", "default": 0, "scale": 2}, "null", "0.00"),
    ({"type": "boolean", "default": True}, "null", "t"),
    ({**PICK, "default": "off"}, "null", "off"),
    ({"transform": ["trim", "empty_to_null"], "default": "none"}, '"  "', "none"),
]


@pytest.mark.parametrize(("spec", "json", "expected"), ACCEPTED, ids=lambda part: str(part)[:60])
def test_a_value_becomes_text_that_postgres_reads(spec: dict[str, Any], json: str, expected: str | None) -> None:
    assert pulled(spec, json) == expected


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, '{"x": 1}', "type", "an object with 1 keys is not text"),
    ({}, "[1, 2]", "type", "a list of 2 is not text"),
    ({}, '"a\\u0000b"', "characters", '"a\\u0000b" holds the character U+0000, which Postgres cannot store'),
    ({"type": "number"}, '"1,234.50"', "type", '"1,234.50" is not a number (plain form such as 1234.50)'),
    ({"type": "number"}, '"NaN"', "type", '"NaN" is not a number'),
    ({"type": "number"}, '"Infinity"', "type", '"Infinity" is not a number'),
    ({"type": "number"}, '" 12"', "type", '" 12" is not a number'),
    ({"type": "number"}, '"1_000"', "type", '"1_000" is not a number'),
    ({"type": "number"}, '"١٢"', "type", '"١٢" is not a number'),
    ({"type": "number"}, "true", "type", "true is not a number"),
    ({"type": "number"}, "[1]", "type", "a list of 1 is not a number"),
    ({"type": "number"}, "1e5000", "type", "1E+5000 has more than 1000 digits"),
    ({"type": "number"}, "1e-5000", "type", "1E-5000 has more than 1000 digits"),
    ({"type": "number"}, "9" * 1500, "type", "has more than 1000 digits"),
    ({"type": "number", "scale": 2}, "1e999999", "type", "1E+999999 has more than 1000 digits"),
    ({"type": "number", "min": 0}, "-0.01", "min", '"-0.01" is less than 0'),
    ({"type": "number", "min": 0}, '"-3"', "min", '"-3" is less than 0'),
    ({"type": "number", "max": 5}, "6", "max", '"6" is more than 5'),
    ({"type": "number", "max": 5, "scale": 0}, '"5.5"', "max", '"6" is more than 5'),
    ({"type": "date"}, '"29/02/2024"', "type", '"29/02/2024" is not a date (YYYY-MM-DD)'),
    ({"type": "date"}, '"2023-02-29"', "type", '"2023-02-29" is not a date'),
    ({"type": "date"}, '"0000-00-00"', "type", '"0000-00-00" is not a date'),
    ({"type": "date"}, "20240229", "type", "20240229 is not a date"),
    ({"type": "date", "min": "2000-01-01"}, '"1999-12-31"', "min", '"1999-12-31" is less than 2000-01-01'),
    ({"type": "datetime"}, '"yesterday"', "type", '"yesterday" is not a time (YYYY-MM-DD HH:MM:SS'),
    ({"type": "datetime"}, "1700000000", "type", "1700000000 is not a time"),
    ({"type": "datetime"}, '"9999-12-31T23:59:59-05:00"', "type", "is outside the years 1 to 9999 in UTC"),
    ({"type": "datetime", "max": "2030-01-01"}, '"2031-01-01"', "max", "is more than 2030-01-01"),
    ({"type": "boolean"}, '"maybe"', "type", '"maybe" is neither true nor false (nor 1/0, yes/no)'),
    ({"type": "boolean"}, "2", "type", "2 is neither true nor false"),
    ({"type": "boolean"}, "[]", "type", "a list of 0 is neither true nor false"),
    (LOOKUP, "true", "type", "true cannot identify a record: expected text or a number"),
    (LOOKUP, '{"id": 1}', "type", "an object with 1 keys cannot identify a record"),
    (LOOKUP | {"max_length": 2}, '"abc"', "max_length", '"abc" has 3 characters, at most 2 fit'),
    (PICK, '"Activ"', "picklist", '"Activ" has no local value (did you mean "Active"?). Known: 0, 1.0, Active, true'),
    (PICK, "{}", "type", "an object with 0 keys is not text"),
    ({"type": "json"}, '{"a": "\\u0000"}', "characters", "holds the character U+0000"),
    ({"type": "json"}, '{"\\u0000": 1}', "characters", "holds the character U+0000"),
    ({"type": "json"}, "[1e5000]", "type", "1E+5000 has more than 1000 digits"),
    ({"max_length": 3}, '"abcd"', "max_length", '"abcd" has 4 characters, at most 3 fit'),
    ({"pattern": "[0-9]+"}, '"12a"', "pattern", '"12a" does not match [0-9]+'),
    ({"pattern": "[0-9]+"}, '""', "pattern", '"" does not match [0-9]+'),
    (
        {"one_of": ["red", "green"]},
        '"gren"',
        "one_of",
        '"gren" is not allowed (did you mean "green"?). Known: green, red',
    ),
    ({"required": True}, "null", "required", "a value is required, found null"),
    ({"required": True}, '""', "required", 'a value is required, found ""'),
    ({"required": True, "transform": ["trim"]}, '"  "', "required", 'a value is required, found ""'),
    ({"remote": "a.b"}, "5", "shape", 'expected an object with "b" inside, found 5'),
    ({"remote": "a.0"}, "5", "shape", 'expected a list with "0" inside, found 5'),
    ({"transform": "phone_e164"}, '"call me"', "transform", '"call me" is not a phone number'),
]


@pytest.mark.parametrize(("spec", "json", "rule", "message"), REFUSED, ids=lambda part: str(part)[:60])
def test_any_other_value_is_a_problem_that_says_what_and_why(
    spec: dict[str, Any], json: str, rule: str, message: str
) -> None:
    problem = refused(spec, json)
    assert problem.rule == rule
    assert message in problem.message
    assert problem.field == "col"
    assert problem.message.startswith(f"col (from {spec.get('remote', 'a')}): ")


def test_a_time_without_an_offset_is_in_the_zone_of_the_page() -> None:
    spec = {"type": "datetime"}
    assert pulled(spec, '"2026-11-21 07:16:54.133529"', zone="Asia/Kolkata") == "2026-11-21T01:46:54.133529+00:00"
    assert pulled(spec, '"2026-11-21 07:16:54"', zone="Asia/Kathmandu") == "2026-11-21T01:31:54+00:00"
    assert pulled(spec, '"2026-11-21 07:16:54Z"', zone="Asia/Kolkata") == "2026-11-21T07:16:54+00:00"
    assert refused(spec, '"0001-01-01 00:00:00"', zone="Asia/Kolkata").rule == "type"


def test_a_time_that_happens_twice_is_the_earlier_one_and_one_that_never_happens_is_moved() -> None:
    spec = {"type": "datetime"}
    assert pulled(spec, '"2024-11-03 01:30:00"', zone="America/New_York") == "2024-11-03T05:30:00+00:00"
    assert pulled(spec, '"2024-03-10 02:30:00"', zone="America/New_York") == "2024-03-10T07:30:00+00:00"
    assert pulled(spec, '"2024-03-10 03:00:00"', zone="America/New_York") == "2024-03-10T07:00:00+00:00"


def test_a_time_with_an_offset_has_its_day_in_the_zone_of_the_page() -> None:
    assert pulled({"type": "date"}, '"2024-02-29T20:00:00Z"', zone="Asia/Kolkata") == "2024-03-01"


def test_another_zone_is_another_program_of_the_same_mapping() -> None:
    utc = program_of({"type": "datetime"})
    india = utc.with_zone("Asia/Kolkata")
    record = b'{"a": "2024-02-29 05:30:00"}'
    assert utc.map_record(record).values == ("2024-02-29T05:30:00+00:00",)
    assert india.map_record(record).values == ("2024-02-29T00:00:00+00:00",)
    assert india.with_zone("Asia/Kolkata") is india
    assert india.seed == utc.seed
    with pytest.raises(ConfigError, match='"Mars/Olympus" is not a time zone; expected a name such as Asia/Kolkata'):
        utc.with_zone("Mars/Olympus")


def test_a_record_is_rejected_with_all_its_problems() -> None:
    fields = [
        {"local": "name", "remote": "name", "required": True},
        {"local": "limit", "remote": "limit", "type": "number"},
        {"local": "since", "remote": "since", "type": "date"},
        {"local": "fine", "remote": "fine"},
    ]
    with pytest.raises(RecordRejected) as caught:
        compile_pull(mapping_of(*fields)).map_record(b'{"limit": "much", "since": "soon", "fine": "x"}')
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == [
        ("name", "required"),
        ("limit", "type"),
        ("since", "type"),
    ]
    assert str(caught.value).count("; ") >= 2


def test_a_message_shows_a_long_value_only_in_part() -> None:
    problem = refused({"max_length": 10}, '"' + "x" * 10_000 + '"')
    assert len(problem.message) < 200
    assert problem.value is not None
    assert len(problem.value) < 100
    assert "has 10000 characters" in problem.message


def test_the_first_path_that_has_a_value_wins() -> None:
    spec = {"remote": ["a", "b", "c.0.d"], "default": "none"}
    program = program_of(spec)

    def value(record: str) -> str | None:
        return program.map_record(record.encode()).values[0]

    assert value('{"a": "1", "b": "2"}') == "1"
    assert value('{"a": null, "b": "2"}') == "2"
    assert value('{"a": "", "b": null, "c": [{"d": "3"}, {"d": "4"}]}') == "3"
    assert value('{"a": "", "c": {"d": "3"}}') == "3"
    assert value('{"a": "", "b": "", "c": 5}') == "none"
    assert value("{}") == "none"
    assert program_of({**spec, "type": "number", "default": 9}).map_record(b'{"a": 0, "b": 7}').values == ("0",)


def test_paths_go_into_objects_and_lists_and_quoted_keys() -> None:
    fields = [
        {"local": "deep", "remote": "a.b.c"},
        {"local": "second", "remote": "list.1"},
        {"local": "dotted", "remote": '"x.y".z'},
        {"local": "escaped", "remote": r"x\.y.z"},
        {"local": "digits", "remote": '"0"."1"'},
        {"local": "quote", "remote": r'"say \"hi\""'},
    ]
    program = compile_pull(mapping_of(*fields))
    record = {"a": {"b": {"c": "1"}}, "list": ["x", "2"], "x.y": {"z": "3"}, "0": {"1": "4"}, 'say "hi"': "5"}
    assert program.map_record(msgspec.json.encode(record)).values == ("1", "2", "3", "3", "4", "5")
    assert program.map_record(b'{"a": {"b": null}, "list": [null], "x.y": "", "0": []}').values == (None,) * 6
    assert program.map_record(b"{}").values == (None,) * 6


def test_a_place_may_be_read_whole_and_in_part() -> None:
    fields = [{"local": "whole", "remote": "a", "type": "json"}, {"local": "part", "remote": "a.b.0"}]
    program = compile_pull(mapping_of(*fields))
    assert program.map_record(b'{"a": {"b": ["x"]}}').values == ('{"b":["x"]}', "x")
    with pytest.raises(RecordRejected, match=r"part \(from a\.b\.0\): expected an object"):
        program.map_record(b'{"a": 5}')


def test_the_last_of_a_repeated_key_counts_in_every_variant() -> None:
    fields = [{"local": "x", "remote": "a.x"}, {"local": "n", "remote": "n", "type": "number"}]
    program = compile_pull(mapping_of(*fields))
    assert program.map_record(b'{"a": 5, "n": 1, "a": {"x": "1"}, "n": 2}').values == ("1", "2")
    assert program.map_record(b'{"n": 1, "a": {"x": "1"}, "n": 2}').values == ("1", "2")


def test_constants_need_no_remote_value() -> None:
    fields = [
        {"local": "source", "value": "rest"},
        {"local": "since", "value": "2024-01-31", "type": "date"},
        {"local": "rate", "value": 1.5, "type": "number", "scale": 2},
        {"local": "state", **PICK, "value": "off"},
        {"remote": "kind", "value": "Company"},
    ]
    program = compile_pull(mapping_of(*fields))
    assert program.columns == ("source", "since", "rate", "state")
    assert program.map_record(b"{}").values == ("rest", "2024-01-31", "1.50", "off")


def test_fields_that_only_push_are_not_pulled() -> None:
    program = compile_pull(mapping_of({"local": "a", "remote": "a"}, {"local": "b", "remote": "b", "only": "push"}))
    assert program.columns == ("a",)
    with pytest.raises(ConfigError, match="rest/thing only pushes: set direction to pull or bidirectional"):
        compile_pull(mapping_of({"local": "a", "remote": "a"}, direction="push"))


def test_lookup_columns_carry_the_remote_value_and_say_where_to_look() -> None:
    fields = [
        {"local": "name", "remote": "name"},
        {"local": "country_id", "remote": "country", "type": "lookup", "required": True,
         "lookup": {"table": "app.countries", "match": "name", "take": "id"}},
        {"local": "owner_id", "remote": "owner", "type": "lookup",
         "lookup": {"entity": "contact", "on_missing": "null"}},
    ]  # fmt: skip
    program = compile_pull(mapping_of(*fields))
    assert program.map_record(b'{"country": "India", "owner": 7}').values == (None, "India", "7")
    country, owner = program.lookups
    assert (country.column, country.position, country.required, country.lookup.table) == (
        "country_id",
        1,
        True,
        "app.countries",
    )
    assert (owner.column, owner.position, owner.required, owner.lookup.on_missing) == ("owner_id", 2, False, "null")


LINES = {
    "children": [
        {
            "local": "app.order_items",
            "remote": "items",
            "key": "line_no",
            "parent": "order_id",
            "fields": [
                {"local": "line_no", "remote": "idx", "type": "number", "scale": 0},
                {"local": "sku", "remote": "item.code", "required": True},
                {"local": "product_id", "remote": "item.code", "type": "lookup", "lookup": {"entity": "product"}},
            ],
        }
    ]
}


def lines_of(record: str) -> list[Any]:
    return compile_pull(mapping_of({"local": "a", "remote": "a"}, **LINES)).map_record(record.encode()).children[0]


def test_lines_become_rows_of_the_child_table() -> None:
    program = compile_pull(mapping_of({"local": "a", "remote": "a"}, **LINES))
    (child,) = program.children
    assert (child.table, child.parent, child.key) == ("app.order_items", "order_id", "line_no")
    assert child.columns == ("line_no", "sku", "product_id")
    assert [(lookup.column, lookup.position) for lookup in child.lookups] == [("product_id", 2)]
    rows = lines_of('{"items": [{"idx": 1, "item": {"code": "A"}}, {"idx": 2.0, "item": {"code": "B"}}]}')
    assert rows == [("1", "A", "A"), ("2", "B", "B")]


@pytest.mark.parametrize("record", ["{}", '{"items": null}', '{"items": []}', '{"items": ""}'])
def test_no_list_is_an_empty_list(record: str) -> None:
    assert lines_of(record) == []


def test_a_single_line_without_its_list_is_a_list_of_one() -> None:
    assert lines_of('{"items": {"idx": 1, "item": {"code": "A"}}}') == [("1", "A", "A")]


A, B = '{"idx": 1, "item": {"code": "A"}}', '{"idx": "1", "item": {"code": "B"}}'


@pytest.mark.parametrize(
    ("items", "problems"),
    [
        (f'[{A}, {{"idx": 2}}]', [("order_items[1].sku", "required")]),
        ('[{"item": {"code": "A"}}]', [("order_items[0].line_no", "required")]),
        (f"[{A}, {B}]", [("order_items.line_no", "unique")]),
        (f"[{A}, 5, null]", [("order_items[1]", "shape"), ("order_items[2]", "shape")]),
        ("5", [("order_items", "shape")]),
        ('[{"idx": 1, "item": 7}]', [("order_items[0].sku", "shape"), ("order_items[0].product_id", "shape")]),
    ],
)
def test_a_bad_line_rejects_the_record_and_is_named(items: str, problems: list[tuple[str, str]]) -> None:
    with pytest.raises(RecordRejected) as caught:
        lines_of(f'{{"items": {items}}}')
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == problems


def test_the_problems_of_ten_thousand_bad_lines_are_counted_only_so_far() -> None:
    with pytest.raises(RecordRejected) as caught:
        lines_of('{"items": [' + ",".join(["{}"] * 10_000) + "]}")
    assert len(caught.value.problems) == MAX_PROBLEMS


def test_a_record_says_who_it_is_and_when_it_changed() -> None:
    program = program_of({})
    assert program.identify(b'{"id": "A/1", "at": "2024-01-31 10:00:00", "a": [1]}') == ("A/1", "2024-01-31 10:00:00")
    assert program.identify(b'{"id": 42, "at": 1700000000}') == ("42", "1700000000")
    assert program.identify(b'{"id": "x", "at": null}') == ("x", None)
    assert program.identify(b'{"id": "x", "at": ""}') == ("x", None)
    assert program.identify(msgspec.Raw(b'{"id": "x"}')) == ("x", None)


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        ("{}", "required"),
        ('{"id": null}', "required"),
        ('{"id": ""}', "required"),
        ('{"id": {}}', "type"),
        ('{"id": [1]}', "type"),
        ('{"id": true}', "type"),
        ('{"id": "a\\u0000"}', "characters"),
        ('{"id": "a", "at": {}}', "type"),
        ("[]", "shape"),
        ("5", "shape"),
        ("nothing", "json"),
        ("", "json"),
    ],
)
def test_a_record_without_a_usable_key_is_rejected(record: str, rule: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        program_of({}).identify(record.encode())
    assert [problem.rule for problem in caught.value.problems] == [rule]


def test_a_key_may_sit_deeper_in_the_record() -> None:
    deep = mapping_of({"local": "a", "remote": "a"}, remote={"object": "x", "key": "meta.id", "modified": "meta.at"})
    program = compile_pull(deep)
    assert program.identify(b'{"meta": {"id": "7", "at": "now"}}') == ("7", "now")
    for record in (b'{"meta": 5}', b'{"meta": null}', b"{}"):
        with pytest.raises(RecordRejected):
            program.identify(record)


def test_what_is_no_json_is_rejected_with_its_beginning() -> None:
    with pytest.raises(RecordRejected, match="the record is not readable JSON") as caught:
        program_of({}).map_record(b'{"a": ')
    assert 'it begins "{"a": "' in str(caught.value)
    with pytest.raises(RecordRejected, match="nested too deeply"):
        program_of({}).map_record(b'{"a": ' + b"[" * 100_000)
    with pytest.raises(RecordRejected, match="the record is not an object: found a list of 0"):
        program_of({}).map_record(b"[]")


def test_the_seed_is_the_version_of_the_mapping() -> None:
    program = program_of({})
    assert program.seed == int(program.mapping.version, 16)
    assert program_of({"max_length": 5}).seed != program.seed
