"""The way from a local row to what the vendor takes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from erpflow.errors import ConfigError, RecordRejected
from erpflow.mapping.compile import PushProgram, compile_push
from erpflow.mapping.load import parse_mapping


def program_of(*fields: dict[str, Any], zone: str = "UTC", **more: Any) -> PushProgram:
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "id"},
        "local": {"table": "app.things"},
        "direction": "bidirectional",
        "fields": list(fields),
    }
    return compile_push(parse_mapping(data | more, name="test"), zone=zone)


def pushed(spec: dict[str, Any], value: Any, *, zone: str = "UTC") -> Any:
    return program_of({"local": "col", "remote": "a", **spec}, zone=zone).map_row({"col": value})["a"]


PICK = {"type": "picklist", "values": {"on": "Active", "off": 0}}

GIVEN: list[tuple[dict[str, Any], Any, Any]] = [
    ({}, "text", "text"),
    ({}, None, None),
    ({}, "", ""),
    ({"type": "number"}, Decimal("12.50"), Decimal("12.50")),
    ({"type": "number"}, "12.50", Decimal("12.50")),
    ({"type": "number", "scale": 2}, 12, Decimal("12.00")),
    ({"type": "number"}, "", None),
    ({"type": "date"}, date(2024, 2, 29), "2024-02-29"),
    ({"type": "date"}, "2024-02-29", "2024-02-29"),
    ({"type": "datetime"}, datetime(2024, 2, 29, 10, tzinfo=UTC), "2024-02-29T10:00:00+00:00"),
    ({"type": "boolean"}, True, True),
    ({"type": "boolean"}, "f", False),
    ({"type": "boolean", "transform": "one_zero"}, True, 1),
    ({"type": "boolean", "transform": ["one_zero", "negate"]}, True, 0),
    (PICK, "on", "Active"),
    (PICK, "off", 0),
    ({"type": "json"}, {"a": [1]}, {"a": [1]}),
    ({"type": "json", "transform": {"split": ","}}, ["a", "b"], "a,b"),
    ({"type": "lookup", "lookup": {"entity": "customer"}}, "CUST-1", "CUST-1"),
    ({"default": "none"}, None, "none"),
    ({**PICK, "default": "off"}, None, 0),
    ({"transform": {"prefix": "X-"}}, "X-1", "1"),
    ({"transform": {"suffix": "!"}}, "1!", "1"),
    ({"transform": {"replace": ["/", "-"]}}, "a-b", "a/b"),
    ({"transform": ["trim", "lower"]}, "a", "a"),
    ({"type": "number", "transform": {"multiply": Decimal("0.01")}}, Decimal("12.50"), Decimal(1250)),
    ({"type": "date", "transform": {"date_format": "%d/%m/%Y"}}, date(2024, 2, 29), "29/02/2024"),
    ({"type": "date", "transform": {"date_format": "%%Y %Y%m"}}, date(7, 2, 1), "%Y 000702"),
    ({"type": "datetime", "transform": "epoch_to_datetime"}, datetime(1970, 1, 2, tzinfo=UTC), 86_400),
    (
        {"type": "datetime", "transform": {"epoch_to_datetime": "milliseconds"}},
        datetime(1970, 1, 2, tzinfo=UTC),
        86_400_000,
    ),
]


@pytest.mark.parametrize(("spec", "value", "expected"), GIVEN, ids=lambda part: str(part)[:60])
def test_a_local_value_becomes_what_the_vendor_takes(spec: dict[str, Any], value: Any, expected: Any) -> None:
    found = pushed(spec, value)
    assert (found, type(found)) == (expected, type(expected))


def test_times_go_out_in_the_zone_of_the_vendor() -> None:
    moment = datetime(2026, 11, 21, 1, 46, 54, tzinfo=UTC)
    assert pushed({"type": "datetime"}, moment, zone="Asia/Kolkata") == "2026-11-21T07:16:54+05:30"
    form = {"type": "datetime", "transform": {"datetime_format": "%Y-%m-%d %H:%M:%S"}}
    assert pushed(form, moment, zone="Asia/Kolkata") == "2026-11-21 07:16:54"


def test_numbers_are_sent_with_exactly_their_digits() -> None:
    record = program_of({"local": "col", "remote": "a", "type": "number"}).map_row({"col": Decimal("1234567890123.10")})
    assert msgspec.json.Encoder(decimal_format="number").encode(record) == b'{"a":1234567890123.10}'


REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({"required": True}, None, "required"),
    ({"type": "number"}, "many", "type"),
    ({"type": "number"}, Decimal("NaN"), "type"),
    ({"type": "number", "min": 0}, Decimal(-1), "min"),
    ({"max_length": 2}, "abc", "max_length"),
    (PICK, "half", "picklist"),
    ({"type": "json"}, {"a": ...}, "type"),
    ({"type": "json"}, {"a": float("nan")}, "type"),
    ({}, "a\x00", "characters"),
    ({}, "\ud800", "characters"),
    ({"type": "date"}, "soon", "type"),
]


@pytest.mark.parametrize(("spec", "value", "rule"), REFUSED, ids=lambda part: str(part)[:40])
def test_a_row_the_mapping_does_not_allow_is_rejected(spec: dict[str, Any], value: Any, rule: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        pushed(spec, value)
    (problem,) = caught.value.problems
    assert (problem.field, problem.rule) == ("col", rule)


def test_dotted_paths_become_objects_and_position_0_a_list() -> None:
    program = program_of(
        {"local": "a", "remote": "x.y.z"},
        {"local": "b", "remote": ["x.w", "other"]},
        {"local": "c", "remote": "list.0.v"},
        {"local": "d", "remote": "list.0.u"},
        {"local": "e", "remote": '"k.l"'},
    )
    row = {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}
    assert program.map_row(row) == {"x": {"y": {"z": "1"}, "w": "2"}, "list": [{"v": "3", "u": "4"}], "k.l": "5"}


def test_what_the_row_does_not_hold_is_not_sent_and_a_null_is() -> None:
    program = program_of({"local": "a", "remote": "a"}, {"local": "b", "remote": "b"})
    assert program.map_row({"b": None}) == {"b": None}


def test_fields_that_only_pull_are_not_sent_and_constants_are() -> None:
    program = program_of(
        {"local": "a", "remote": "a", "only": "pull"},
        {"local": "source", "value": "us"},
        {"remote": "kind", "value": "Company"},
        {"remote": "count", "value": 3, "type": "number"},
    )
    assert program.map_row({"a": "1", "source": "x"}) == {"kind": "Company", "count": 3}


@pytest.mark.parametrize("rule", [{"type": "number"}, {"max_length": 3}])
def test_a_constant_that_its_own_field_does_not_allow_is_an_error_in_the_file(rule: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match='value: found "Company", allowed what the field allows'):
        program_of({"remote": "kind", "value": "Company", **rule})


CHILD = {
    "local": "app.lines",
    "remote": "doc.items",
    "key": "line_no",
    "parent": "thing_id",
    "fields": [
        {"local": "line_no", "remote": "idx", "type": "number", "scale": 0},
        {"local": "qty", "remote": "qty", "type": "number", "required": True},
    ],
}


def test_lines_are_sent_as_a_list_and_left_out_when_the_row_has_none() -> None:
    program = program_of({"local": "a", "remote": "a"}, children=[CHILD])
    lines = [{"line_no": 1, "qty": Decimal("2.5")}, {"line_no": 2, "qty": 1, "extra": "x"}]
    assert program.map_row({"app.lines": lines})["doc"] == {
        "items": [{"idx": 1, "qty": Decimal("2.5")}, {"idx": 2, "qty": 1}]
    }
    assert program.map_row({"app.lines": []}) == {"doc": {"items": []}}
    assert program.map_row({}) == {}


def test_a_row_is_rejected_with_all_its_problems_lines_included() -> None:
    program = program_of({"local": "a", "remote": "a", "required": True}, children=[CHILD])
    with pytest.raises(RecordRejected) as caught:
        program.map_row({"a": "", "app.lines": [{"line_no": "x", "qty": None}]})
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == [
        ("a", "required"),
        ("lines[0].line_no", "type"),
        ("lines[0].qty", "required"),
    ]


def test_lookups_name_the_columns_the_engine_resolves_before() -> None:
    lookup = {"type": "lookup", "lookup": {"entity": "customer"}}
    program = program_of(
        {"local": "a", "remote": "a", **lookup}, {"local": "b", "remote": "b", **lookup, "only": "pull"}
    )
    assert program.lookups == ("a",)


def test_a_mapping_that_only_pulls_and_an_unknown_zone_are_refused() -> None:
    with pytest.raises(ConfigError, match="rest/thing only pulls: set direction to push or bidirectional"):
        program_of({"local": "a", "remote": "a"}, direction="pull")
    with pytest.raises(ConfigError, match='"Nowhere" is not a time zone'):
        program_of({"local": "a", "remote": "a"}, zone="Nowhere")
