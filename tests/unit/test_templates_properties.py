"""Laws that templates keep, whatever a vendor sends and whatever a function does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from erpflow.errors import ConfigError, RecordRejected
from erpflow.mapping.compile import PullProgram, compile_pull, compile_push
from erpflow.mapping.lines import line_of
from erpflow.mapping.load import parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import Templates, find_templates, parse_template
from tests.unit.test_mapping_properties import (
    TRANSFORMS,
    field_specs,
    json_like,
    line_outcome,
    mapping_of,
    oracle,
    outcome,
    records,
    scalars,
    values,
    variant,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "templates"
encode = msgspec.json.Encoder(decimal_format="number").encode
quiet = settings(deadline=None, suppress_health_check=list(HealthCheck))
decode = msgspec.json.Decoder(float_hook=Decimal).decode

RECORDS = {
    "swap": {"level": "record", "function": "swap", "reads": ["left", "right"], "gives": ["left", "right"]},
    "pack": {"level": "record", "function": "pack", "reads": ["one", "two"], "gives": ["pair"]},
    "picky": {"level": "record", "function": "picky", "reads": ["value"], "gives": ["value"]},
    "odd": {"level": "record", "function": "odd", "reads": ["value"], "gives": ["value"]},
    "moments": {"level": "record", "function": "moments", "reads": ["x"], "gives": ["day", "moment", "share"]},
    "keep": {"level": "batch", "function": "keep"},
}
PATHS = ["a", "b", "c", "a.b", "a.0", "b.c", '"d.e"', "items.0.a"]


def among(**kept: Any) -> Templates:
    return find_templates(FIXTURES / "none", transforms=FIXTURES, kept={**RECORDS, **kept})


chains = st.lists(st.sampled_from(TRANSFORMS), min_size=1, max_size=4)


@settings(quiet, max_examples=150)
@given(field_specs("col"), chains, st.integers(0, 4), st.integers(0, 4), st.lists(scalars | values, max_size=6))
def test_a_field_template_is_its_chain_written_out(
    spec: dict[str, Any], chain: list[Any], first: int, second: int, found: list[Any]
) -> None:
    """Any part of any chain may be a template, and a part of that one too."""
    first, second = sorted((first, second))
    inner, outer = chain[first:second], chain[:second]
    kept: dict[str, Any] = {}
    named: list[Any] = list(chain)
    if inner:
        kept["inner"] = {"level": "field", "transform": inner}
        outer = [*chain[:first], {"template": "inner"}]
    if outer:
        kept["outer"] = {"level": "field", "transform": outer}
        named = [{"template": "outer"}, *chain[second:]]
    templates = among(**kept)
    try:
        written = mapping_of([{**spec, "remote": "a", "transform": chain}], [])
    except ConfigError:
        assume(False)
        raise
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a", "modified": "b.c"},
            "local": {"table": "app.things"}, "fields": [{**spec, "remote": "a", "transform": named}]}  # fmt: skip
    mapping = parse_mapping(data, name="test", templates=templates)
    assert mapping == written
    assert mapping.version == written.version
    one, other = compile_pull(mapping), compile_pull(written)
    assert one.source == other.source
    for value in found:
        raw = encode({"a": value})
        assert outcome(one.map_record, raw) == outcome(other.map_record, raw)


def use_of(name: str, draw: st.DrawFn, number: int, given_before: list[str]) -> dict[str, Any]:
    """A use of a record template that reads anything there is so far, and gives names of its own."""
    template = RECORDS[name]
    places = st.sampled_from([*PATHS, *given_before])
    reads = {key: draw(places | st.lists(places, min_size=1, max_size=2)) for key in template["reads"]}
    gives = {key: f"given_{number}_{key}" for key in template["gives"]}
    return {name: {"reads": reads, "gives": gives}}


@st.composite
def mappings(draw: st.DrawFn, names: tuple[str, ...] = ("swap", "pack", "picky")) -> Mapping:
    """A mapping with up to three record templates, and fields that read given names and paths."""
    record: list[Any] = []
    known: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(names))
        record.append(use_of(name, draw, number, known))
        known += record[-1][name]["gives"].values()
    fields = []
    for number in range(draw(st.integers(1, 4))):
        places = st.sampled_from([*known, *known, *PATHS])
        spec = {**draw(field_specs(f"col_{number}")), "remote": draw(st.lists(places, min_size=1, max_size=2))}
        fields.append(spec)
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a", "modified": "b.c"},
            "local": {"table": "app.things"}, "record": record, "fields": fields}  # fmt: skip
    try:
        return parse_mapping(data, name="test", templates=among())
    except ConfigError:
        assume(False)
        raise


@settings(quiet, max_examples=200)
@given(mappings(), records, st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_a_compiled_mapping_with_record_templates_does_what_an_interpreter_of_it_does(
    mapping: Mapping, record: Any, zone: str
) -> None:
    raw = encode(record)
    assert outcome(compile_pull(mapping, zone=zone).map_record, raw) == oracle(mapping, raw, zone)


ALL = ("swap", "pack", "picky", "odd", "moments")


def agree(line: tuple[Any, ...], whole: tuple[Any, ...]) -> bool:
    """Whether a line says what a whole row says."""
    return line == (("mapped", line_of(whole[1]), whole[2]) if whole[0] == "mapped" else whole)


@settings(quiet, max_examples=150)
@given(mappings(ALL), json_like)
def test_any_bytes_become_a_row_or_a_reject(mapping: Mapping, raw: bytes) -> None:
    program = compile_pull(mapping)
    assert agree(line_outcome(program, raw), outcome(program.map_record, raw))


@settings(quiet, max_examples=150)
@given(mappings(ALL), records)
def test_all_variants_of_a_program_agree(mapping: Mapping, record: Any) -> None:
    program, raw = compile_pull(mapping), encode(record)
    expected = outcome(program.map_record, raw)
    assert outcome(variant(program, "careful"), raw) == expected
    assert agree(line_outcome(program, raw), expected)
    if b"\\u0000" not in raw:
        assert outcome(variant(program, "loose"), raw) == expected


names = st.sampled_from(["one", "two"])
kinds = st.sampled_from(
    ["nothing", "list", "extra", "set", "object", "nan", "nul", "surrogate", "huge", "deep", "memory"]
)


@settings(quiet, max_examples=150)
@given(field_specs("col"), kinds | scalars)
def test_whatever_a_function_gives_is_a_row_or_a_reject_for_every_field(spec: dict[str, Any], value: Any) -> None:
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a"},
            "local": {"table": "app.things"}, "record": [{"odd": {"reads": {"value": "a"}}}],
            "fields": [{**spec, "remote": "value"}]}  # fmt: skip
    try:
        program = compile_pull(parse_mapping(data, name="test", templates=among()))
    except ConfigError:
        assume(False)
        raise
    for work in (program.map_record, program.map_line):
        try:
            work(encode({"a": value}))
        except RecordRejected as rejected:
            assert rejected.problems
            assert len(str(rejected)) < 1000


def pushing(*fields: dict[str, Any], record: list[Any]) -> Mapping:
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a"},
            "local": {"table": "app.things"}, "direction": "bidirectional", "record": record,
            "fields": list(fields)}  # fmt: skip
    return parse_mapping(data, name="test", templates=among())


USES: list[list[Any]] = [
    [{"swap": {"reads": {"left": "a", "right": "b.c"}}}],
    [{"swap": {"reads": {"left": "a.b", "right": "c.0.a"}}}],
    [{"swap": {"reads": {"left": "a", "right": "b"}, "gives": {"left": "x", "right": "y"}}},
     {"swap": {"reads": {"left": "y", "right": "x"}}}],
]  # fmt: skip


@settings(quiet, max_examples=200)
@given(st.sampled_from(USES), st.sampled_from(["text", "json", "number"]), records)
def test_what_is_pulled_through_a_template_pushed_and_pulled_again_is_the_same(
    record: list[Any], kind: str, found: Any
) -> None:
    mapping = pushing(
        {"local": "one", "remote": "left", "type": kind}, {"local": "two", "remote": "right"}, record=record
    )
    pull, push = compile_pull(mapping), compile_push(mapping)
    try:
        first = pull.map_record(encode(found)).values
    except RecordRejected:
        return
    one = decode(first[0]) if kind == "json" and first[0] else first[0]
    back = push.map_row({"one": one, "two": first[1]})
    again = pull.map_record(encode(back)).values
    assert [text or None for text in again] == [text or None for text in first]


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="|\x00"), max_size=8)


@settings(quiet, max_examples=100)
@given(texts, texts)
def test_what_a_reverse_takes_apart_is_put_together_again(one: str, two: str) -> None:
    mapping = pushing({"local": "both", "remote": "pair"}, record=[{"pack": {"reads": {"one": "a", "two": "b.c"}}}])
    found = compile_pull(mapping).map_record(encode({"a": one, "b": {"c": two}})).values
    assert compile_push(mapping).map_row({"both": found[0]}) == {"a": one, "b": {"c": two}}


PACKED: list[Any] = [{"pack": {"reads": {"one": "a", "two": "b.c"}, "gives": {"pair": "left"}}}, {"odd": {
    "reads": {"value": "c"}, "gives": {"value": "right"}}}]  # fmt: skip


@settings(quiet, max_examples=150)
@given(st.sampled_from([*USES, PACKED]), field_specs("one"), st.dictionaries(names, kinds | scalars | values))
def test_any_row_becomes_a_record_or_a_reject(record: list[Any], spec: dict[str, Any], row: dict[str, Any]) -> None:
    """Rows that hold only a part of the columns too, and values of any kind in every column."""
    try:
        mapping = pushing({**spec, "remote": "left"}, {"local": "two", "remote": "right"}, record=record)
    except ConfigError:
        assume(False)
        raise
    try:
        assert isinstance(compile_push(mapping).map_row(row), dict)
    except RecordRejected as rejected:
        assert rejected.problems
        assert len(str(rejected)) < 2000


@settings(quiet, max_examples=100)
@given(
    st.lists(field_specs("col"), min_size=1, max_size=3),
    st.lists(records, max_size=4),
    st.sampled_from(["UTC", "Asia/Kolkata"]),
)
def test_a_batch_function_that_changes_nothing_changes_nothing(
    specs: list[dict[str, Any]], found: list[Any], zone: str
) -> None:
    fields = [{**spec, "local": f"col_{number}"} for number, spec in enumerate(specs)]
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a"},
            "local": {"table": "app.things"}, "batch": ["keep", "keep"], "fields": fields}  # fmt: skip
    try:
        program: PullProgram = compile_pull(parse_mapping(data, name="test", templates=among()), zone=zone)
    except ConfigError:
        assume(False)
        raise
    rows = []
    for record in found:
        try:
            rows.append(program.map_record(encode(record)).values)
        except RecordRejected:
            continue
    assert program.refine is not None
    refined = program.refine(rows)
    assert list(refined.rows.values()) == rows
    assert (refined.dropped, refined.rejected) == ({}, {})


@st.composite
def template_data(draw: st.DrawFn) -> Any:
    """Something like a template, with anything in its places."""
    anything = scalars | values
    words = st.sampled_from(["trim", "swap", "keep", "left", {"template": "t"}, {"truncate": 3}, ["trim", "lower"]])
    found = {"level": draw(st.sampled_from(["field", "record", "batch"]) | anything)}
    for key in ("description", "transform", "function", "reads", "gives", "other"):
        if draw(st.booleans()):
            found[key] = draw(words | anything | st.lists(words | anything, max_size=3))
    return draw(st.just(found) | anything) if draw(st.integers(0, 5)) == 0 else found


@settings(quiet, max_examples=300)
@given(template_data())
def test_anything_is_a_template_or_refused_in_a_sentence(data: Any) -> None:
    try:
        found = parse_template(data, name="t", templates=among())
    except ConfigError as error:
        assert all(line.startswith("template t: ") for line in str(error).splitlines())
    else:
        assert found.name == "t"


@st.composite
def uses(draw: st.DrawFn) -> Any:
    """Something like the use of a template."""
    anything = scalars | values
    names = st.sampled_from(["swap", "keep", "pack"])
    renames = st.dictionaries(st.sampled_from(["left", "right", "x"]), anything | st.just("a.b"), max_size=2)
    options = st.dictionaries(st.sampled_from(["reads", "gives", "other"]), renames | anything, max_size=2)
    return draw(names | anything | st.dictionaries(names, options | anything, min_size=1, max_size=2))


@settings(quiet, max_examples=300)
@given(st.lists(uses(), max_size=3) | uses(), st.lists(uses(), max_size=2) | uses(), uses())
def test_anything_where_a_template_is_named_is_a_mapping_or_refused_in_a_sentence(
    record: Any, batch: Any, step: Any
) -> None:
    fields = [{"local": "a", "remote": "left", "transform": [{"template": step}]}, {"local": "b", "remote": "right"}]
    data = {"system": "rest", "entity": "thing", "remote": {"object": "things", "key": "a"},
            "local": {"table": "app.things"}, "direction": "bidirectional"}  # fmt: skip
    for more in ({"record": record}, {"batch": batch}, {"fields": fields}, {"record": record, "fields": fields}):
        try:
            parse_mapping({**data, "fields": fields[1:], **more}, name="test", templates=among())
        except ConfigError as error:
            assert all(line.startswith("test: ") for line in str(error).splitlines())
