"""Laws that every mapping keeps, whatever it says and whatever a vendor sends."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bench.interpreted_mapping import Interpreter
from erpflow.errors import ConfigError, RecordRejected
from erpflow.mapping.compile import MappedRecord, PullProgram, compile_pull, compile_push
from erpflow.mapping.lines import line_of
from erpflow.mapping.load import load_mapping, parse_mapping
from erpflow.mapping.model import Mapping

ROOT = Path(__file__).parents[2]
KEYS = ["a", "b", "c", "d.e", "items"]
encode = msgspec.json.Encoder(decimal_format="number").encode
quiet = settings(deadline=None, suppress_health_check=list(HealthCheck))

paths = st.sampled_from(
    ["a", "b", "c", "a.b", "a.0", "a.0.b", "b.c", "b.1", "c.a.b", '"d.e"', '"d.e".a', "items", "items.0.a"]
)
names = st.sampled_from([f"col_{letter}" for letter in "abcdef"])

words = st.sampled_from(
    [
        "",
        " ",
        "x",
        " Ab ",
        "Active",
        "Yes",
        "no",
        "1",
        "0",
        "007",
        "-0",
        "12.50",
        "-3.1",
        "1,234.50",
        "1e5",
        "1E-9",
        ".5",
        "5.",
        "2024-02-29",
        "2023-02-29",
        "20240229",
        "2024-W01-1",
        "2024-02-29 10:11:12",
        "2024-02-29T10:11:12.123456Z",
        "2024-02-29T10:11:12.000000",
        "2024-02-29 10:11:12,123456",
        "0001-01-01 00:00:00",
        "9999-12-31T23:59:59.999999-05:00",
        "1890-01-01 00:00:05",
        "<p>a&amp;b</p>",
        "&lt;",
        "\x00",
        "a\x00b",
        "ß",
        "é" * 3,
        "١٢",
        "NaN",
        "Infinity",
        "a,b",
        "1_000",
    ]
)
numbers = st.one_of(
    st.integers(-(10**70), 10**70),
    st.integers(-3, 3),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
    st.sampled_from(
        [
            Decimal(text)
            for text in ("0.0", "-0.0", "1.0", "1E+5", "1E-8", "12.345", "2.50", "0E-10", "1E+30", "99999.995")
        ]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), words, st.text(max_size=12), numbers)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "x"]), inner, max_size=4),
    max_leaves=12,
)
records = st.dictionaries(st.sampled_from(KEYS), values, max_size=5)

TRANSFORMS = [
    "trim",
    "upper",
    "lower",
    "title",
    "collapse_spaces",
    "empty_to_null",
    "strip_html",
    "digits",
    "one_zero",
    "negate",
    "epoch_to_datetime",
    {"truncate": 3},
    {"replace": [",", ""]},
    {"prefix": "x"},
    {"suffix": "y"},
    {"split": ","},
    {"join": ","},
    {"multiply": 2},
    {"null_if": ["x", "0"]},
    {"date_format": "%Y%m%d"},
]
RULES: dict[str, dict[str, Any]] = {
    "text": {"max_length": 4, "pattern": "[A-Za-z0-9 ]*", "one_of": ["x", "Ab", "1"], "default": "x"},
    "lookup": {"max_length": 4, "default": "x"},
    "number": {"min": 0, "max": Decimal("99999.99"), "scale": 2, "default": 7},
    "date": {"min": "2000-01-01", "max": "2030-01-01", "default": "2024-01-01"},
    "datetime": {"min": "2000-01-01", "default": "2024-01-01 00:00:00"},
    "boolean": {"default": True},
    "picklist": {"default": "on"},
    "json": {"default": "x"},
}


@st.composite
def field_specs(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(RULES)))
    spec: dict[str, Any] = {"local": name, "remote": draw(st.lists(paths, min_size=1, max_size=2)), "type": kind}
    if kind == "lookup":
        spec["lookup"] = {"entity": "customer"}
    if kind == "picklist":
        spec["values"] = {"on": "Active", "off": 0, "both": True}
    for rule in draw(st.lists(st.sampled_from(sorted(RULES[kind])), max_size=2, unique=True)):
        spec[rule] = RULES[kind][rule]
    if draw(st.integers(0, 3)) == 0:
        spec["required"] = True
    if draw(st.booleans()):
        spec["transform"] = draw(st.lists(st.sampled_from(TRANSFORMS), min_size=1, max_size=2))
    return spec


def mapping_of(fields: list[dict[str, Any]], children: list[dict[str, Any]], **more: Any) -> Mapping:
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "a", "modified": "b.c"},
        "local": {"table": "app.things"},
        "fields": fields,
        "children": children,
    }
    return parse_mapping(data | more, name="test")


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    fields = [draw(field_specs(f"col_{n}")) for n in range(draw(st.integers(1, 5)))]
    lines = [draw(field_specs(f"line_{n}")) for n in range(draw(st.integers(1, 3)))]
    child = {
        "local": "app.lines",
        "remote": draw(st.sampled_from(["items", "b.items", ["items", "c"]])),
        "key": "line_0",
        "parent": "thing_id",
        "fields": lines,
    }
    try:
        return mapping_of(fields, draw(st.sampled_from([[], [child]])))
    except ConfigError:
        assume(False)
        raise


Outcome = tuple[Any, ...]


def outcome(work: Any, raw: bytes) -> Outcome:
    """What became of a record: its values and lines, or the problems it has."""
    try:
        mapped = work(raw)
    except RecordRejected as rejected:
        return ("rejected", sorted((problem.field, problem.rule) for problem in rejected.problems))
    assert isinstance(mapped, MappedRecord)
    return ("mapped", list(mapped.values), [[list(row) for row in rows] for rows in mapped.children])


def line_outcome(program: PullProgram, raw: bytes) -> Outcome:
    """The same of the variant whose row is a line."""
    try:
        line, children = program.map_line(raw)
    except RecordRejected as rejected:
        return ("rejected", sorted((problem.field, problem.rule) for problem in rejected.problems))
    return ("mapped", line, [[list(row) for row in rows] for rows in children])


def oracle(mapping: Mapping, raw: bytes, zone: str) -> Outcome:
    found, children, problems = Interpreter(mapping, zone=zone)(raw)
    return ("rejected", sorted(problems)) if problems else ("mapped", found, children)


def variant(program: PullProgram, name: str) -> Any:
    return program.map_record.__globals__[name]  # type: ignore[attr-defined]


@settings(quiet, max_examples=150)
@given(mappings(), records, st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu"]))
def test_a_compiled_mapping_does_what_an_interpreter_of_it_does(mapping: Mapping, record: Any, zone: str) -> None:
    raw = encode(record)
    assert outcome(compile_pull(mapping, zone=zone).map_record, raw) == oracle(mapping, raw, zone)


@settings(quiet, max_examples=300)
@given(
    field_specs("col"), st.lists(scalars | values, min_size=8, max_size=16), st.sampled_from(["UTC", "Asia/Kolkata"])
)
def test_a_compiled_field_does_what_an_interpreter_of_it_does(
    spec: dict[str, Any], found: list[Any], zone: str
) -> None:
    try:
        mapping = mapping_of([{**spec, "remote": "a"}], [])
    except ConfigError:
        assume(False)
        raise
    program = compile_pull(mapping, zone=zone)
    for value in found:
        raw = encode({"a": value})
        assert outcome(program.map_record, raw) == oracle(mapping, raw, zone)


line = st.fixed_dictionaries({"a": st.sampled_from([1, 2, 3, "1", None, Decimal("1.0")]), "b": scalars})


@settings(quiet, max_examples=150)
@given(field_specs("note"), st.one_of(st.lists(st.one_of(line, line, line, scalars), max_size=4), line, scalars))
def test_compiled_lines_do_what_an_interpreter_of_them_does(spec: dict[str, Any], items: Any) -> None:
    lines = [{"local": "line_no", "remote": "a", "type": "number", "scale": 0}, {**spec, "remote": "b"}]
    child = {"local": "app.lines", "remote": "items", "key": "line_no", "parent": "thing_id", "fields": lines}
    try:
        mapping = mapping_of([{"local": "col", "remote": "c"}], [child])
    except ConfigError:
        assume(False)
        raise
    raw = encode({"c": "x", "items": items})
    assert outcome(compile_pull(mapping).map_record, raw) == oracle(mapping, raw, "UTC")


@settings(quiet, max_examples=100)
@given(mappings(), records)
def test_all_variants_of_a_program_agree(mapping: Mapping, record: Any) -> None:
    raw = encode(record)
    program = compile_pull(mapping, zone="Asia/Kolkata")
    expected = outcome(variant(program, "careful"), raw)
    assert outcome(program.map_record, raw) == expected
    assert line_outcome(program, raw) == (
        ("mapped", line_of(expected[1]), expected[2]) if expected[0] == "mapped" else expected
    )
    if b"\\u0000" not in raw:
        assert outcome(variant(program, "loose"), raw) == expected


json_like = st.one_of(
    st.binary(max_size=80),
    records.map(encode),
    st.tuples(records.map(encode), st.integers(0, 60)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(records.map(encode), st.integers(0, 60), st.binary(min_size=1, max_size=2)).map(
        lambda edit: edit[0][: edit[1]] + edit[2] + edit[0][edit[1] :]
    ),
    values.map(encode),
)


@settings(quiet, max_examples=150)
@given(mappings(), json_like)
def test_any_bytes_become_a_row_or_a_reject(mapping: Mapping, raw: bytes) -> None:
    program = compile_pull(mapping)
    for work in (program.map_record, program.identify):
        try:
            found = work(raw)
        except RecordRejected as rejected:
            assert rejected.problems
            assert all(problem.message and problem.rule for problem in rejected.problems)
        else:
            texts = (
                [found[0]]
                if isinstance(found[0], str)
                else [*found[0], *(t for rows in found[1] for r in rows for t in r)]
            )
            assert all(
                text is None or (type(text) is str and "\x00" not in text and text.encode()) is not False
                for text in texts
            )
    expected = outcome(program.map_record, raw)
    assert line_outcome(program, raw)[:2] == (("mapped", line_of(expected[1])) if expected[0] == "mapped" else expected)


BOMBS = [
    b"",
    b"null",
    b"[]",
    b"5",
    b"{",
    b'{"a"',
    b'"x"',
    b"\xff\xfe",
    b'{"a": "\xff"}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\ud800x"}',
    b'{"a": NaN}',
    b'{"a": 1e999999999999999999999}',
    b'{"a": -1e-99999999999999999999}',
    b'{"a": 1e999999}',
    b'{"a": 1e-999999}',
    b'{"a": ' + b"9" * 4300 + b"}",
    b'{"a": ' + b"9" * 100_000 + b"}",
    b'{"a": 0.' + b"1" * 100_000 + b"}",
    b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"a": "' + b"x" * 1_000_000 + b'"}',
    b'{"a": "1' + b"0" * 5000 + b'"}',
    b'{"a": 1, "a": {"b": [1]}}',
    b'{"a": "\\u0000"}',
    b'{"a\\u0000": 1}',
    b'{"a": {"b": "\\\\u0000"}}',
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("raw", BOMBS, ids=lambda raw: repr(raw[:24]))
@pytest.mark.parametrize("kind", sorted(RULES))
def test_hostile_bytes_become_a_row_or_a_reject_for_every_type(raw: bytes, kind: str) -> None:
    spec: dict[str, Any] = {"local": "col", "remote": "a", "type": kind, "required": True}
    spec |= {"lookup": {"lookup": {"entity": "x"}}, "picklist": {"values": {"on": "Active"}}}.get(kind, {})
    program = compile_pull(mapping_of([spec, {"local": "deep", "remote": "a.b.0"}], []))
    for work in (program.map_record, program.map_line, program.identify):
        try:
            work(raw)
        except RecordRejected as rejected:
            assert rejected.problems
            assert len(str(rejected)) < 1000


reversible = st.sampled_from(
    [
        {"remote": "a"},
        {"remote": "a", "transform": ["trim", "empty_to_null"]},
        {"remote": "a", "transform": ["collapse_spaces", "lower"]},
        {"remote": "a.b", "transform": {"prefix": "X-"}},
        {"remote": "a", "transform": {"replace": ["-", "/"]}},
        {"remote": "a", "type": "number"},
        {"remote": "a", "type": "number", "scale": 2},
        {"remote": "a", "type": "number", "transform": {"multiply": Decimal("0.01")}},
        {"remote": "a", "type": "date"},
        {"remote": "a", "type": "date", "transform": {"date_format": "%Y%m%d"}},
        {"remote": "a", "type": "datetime"},
        {"remote": "a", "type": "datetime", "transform": {"datetime_format": "%Y-%m-%d %H:%M:%S"}},
        {"remote": "a", "type": "datetime", "transform": "epoch_to_datetime"},
        {"remote": "a", "type": "boolean"},
        {"remote": "a", "type": "boolean", "transform": ["one_zero", "negate"]},
        {"remote": "a", "type": "picklist", "values": {"on": "Active", "off": 0, "x": True}},
        {"remote": "a", "type": "json"},
        {"remote": "a", "type": "json", "transform": {"split": ","}},
        {"remote": "a", "type": "lookup", "lookup": {"entity": "customer"}},
        {"remote": "a.0.b", "default": "none"},
        {"remote": "a", "transform": {"null_if": ["x", "-"]}},
        {"remote": "a", "transform": "phone_e164"},
    ]
)


@settings(quiet, max_examples=400)
@given(reversible, scalars | values, st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_what_is_pulled_pushed_and_pulled_again_is_the_same(spec: dict[str, Any], value: Any, zone: str) -> None:
    mapping = mapping_of([{"local": "col", **spec}], [], direction="bidirectional")
    pull, push = compile_pull(mapping, zone=zone), compile_push(mapping, zone=zone)
    record: Any = {"a": value}
    if spec["remote"] == "a.b":
        record = {"a": {"b": value}}
    if spec["remote"] == "a.0.b":
        record = {"a": [{"b": value}]}
    try:
        first = pull.map_record(encode(record)).values
    except RecordRejected:
        return
    kind, text = spec.get("type"), first[0]
    local = msgspec.json.Decoder(float_hook=Decimal).decode(text) if kind == "json" and text else text
    again = pull.map_record(encode(push.map_row({"col": local}))).values
    assert (Decimal(again[0] or "0") == Decimal(text or "0")) if kind == "number" else (again == first)


@settings(quiet, max_examples=150)
@given(
    st.sampled_from(["customer", "product", "order"]),
    st.dictionaries(
        st.sampled_from(
            [
                "name",
                "customer_name",
                "email_id",
                "primary_address",
                "credit_limits",
                "item_code",
                "item_name",
                "disabled",
                "standard_rate",
                "transaction_date",
                "status",
                "items",
                "customer",
                "conversion_rate",
                "modified",
            ]
        ),
        values,
    ),
)
def test_the_shipped_mappings_agree_with_the_interpreter_on_anything(entity: str, record: Any) -> None:
    mapping = load_mapping(ROOT / "include" / "mappings" / "erpnext" / f"{entity}.yaml")
    raw = encode(record)
    assert outcome(compile_pull(mapping, zone="Asia/Kolkata").map_record, raw) == oracle(mapping, raw, "Asia/Kolkata")
