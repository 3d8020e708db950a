"""Record templates: several values out of several, and the way back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.errors import FieldProblem, RecordRejected
from erpflow.mapping.compile import PullProgram, PushProgram, compile_pull, compile_push
from erpflow.mapping.load import parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import Templates, find_templates

FIXTURES = Path(__file__).parents[1] / "fixtures" / "templates"
KEPT = {
    "swap": {"level": "record", "function": "swap", "reads": ["left", "right"], "gives": ["left", "right"]},
    "pack": {"level": "record", "function": "pack", "reads": ["one", "two"], "gives": ["pair"]},
    "moments": {"level": "record", "function": "moments", "reads": ["x"], "gives": ["day", "moment", "share"]},
    "picky": {"level": "record", "function": "picky", "reads": ["value"], "gives": ["value"]},
    "odd": {"level": "record", "function": "odd", "reads": ["value"], "gives": ["value"]},
}


def among() -> Templates:
    return find_templates(FIXTURES / "none", transforms=FIXTURES, kept=KEPT)


def mapping_of(record: list[Any], *fields: dict[str, Any], **more: Any) -> Mapping:
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "id"},
        "local": {"table": "app.things"},
        "record": record,
        "fields": list(fields),
    }
    return parse_mapping(data | more, name="test", templates=among())


def program_of(record: list[Any], *fields: dict[str, Any], **more: Any) -> PullProgram:
    return compile_pull(mapping_of(record, *fields, **more))


def pushing(record: list[Any], *fields: dict[str, Any]) -> PushProgram:
    return compile_push(mapping_of(record, *fields, direction="bidirectional"))


def field(local: str, remote: Any, **more: Any) -> dict[str, Any]:
    return {"local": local, "remote": remote, **more}


def pulled(program: PullProgram, record: Any) -> tuple[str | None, ...]:
    """The row, which every variant of the program must agree on."""
    raw = msgspec.json.encode(record)
    found = program.map_record(raw)
    scope = program.map_record.__globals__  # type: ignore[attr-defined]
    assert scope["loose"](raw) == scope["careful"](raw) == found
    assert program.map_line(raw)[0].split("\x01") == ["\x00" if text is None else text for text in found.values]
    return found.values


def problems(program: PullProgram, record: Any) -> list[FieldProblem]:
    raw = msgspec.json.encode(record)
    found = []
    for work in (program.map_record, program.map_line, program.map_record.__globals__["careful"]):  # type: ignore[attr-defined]
        with pytest.raises(RecordRejected) as caught:
            work(raw)
        found.append(list(caught.value.problems))
    assert found[0] == found[1] == found[2]
    return found[0]


def test_fields_read_what_a_template_gives_under_its_names() -> None:
    program = program_of(["pack"], field("both", "pair"), field("first", "one"))
    assert pulled(program, {"one": "a", "two": "b"}) == ("a|b", "a")


def test_what_a_field_says_of_its_value_holds_for_a_given_one_too() -> None:
    program = program_of(
        ["pack"],
        field("word", "pair", transform=["upper", {"truncate": 3}]),
        field("length", "pair", max_length=3),
    )
    assert pulled(program, {"one": "a", "two": "b"}) == ("A|B", "a|b")
    (problem,) = problems(program, {"one": "abc", "two": "def"})
    assert (problem.field, problem.rule) == ("length", "max_length")
    assert problem.message == 'length (from pair): "abc|def" has 7 characters, at most 3 fit'


def test_a_template_reads_and_gives_where_the_mapping_says() -> None:
    use = {"pack": {"reads": {"one": "deep.er", "two": ["absent", "list.0"]}, "gives": {"pair": "joined"}}}
    program = program_of([use], field("a", "joined"), field("b", "pair"))
    assert pulled(program, {"deep": {"er": "x"}, "list": ["y"], "pair": "the record's own"}) == (
        "x|y",
        "the record's own",
    )


def test_templates_work_one_after_the_other_on_what_was_given_before() -> None:
    program = program_of(
        ["pack", {"swap": {"reads": {"left": "pair", "right": "id"}}}], field("a", "left"), field("b", "right")
    )
    assert pulled(program, {"id": "7", "one": "a", "two": "b"}) == ("7", "a|b")


def test_a_template_may_be_used_twice() -> None:
    twice = {"pack": {"reads": {"one": "two", "two": "one"}, "gives": {"pair": "reverse"}}}
    program = program_of(["pack", twice], field("a", "pair"), field("b", "reverse"))
    assert pulled(program, {"one": "x", "two": "y"}) == ("x|y", "y|x")


def test_a_given_value_hides_the_record_and_may_have_alternatives() -> None:
    program = program_of(["swap"], field("a", ["left", "spare.0"]), field("b", ["spare.0", "right"]))
    assert pulled(program, {"left": "l", "right": "r", "spare": ["s"]}) == ("r", "s")
    assert pulled(program, {"left": "l", "right": "", "spare": ["s"]}) == ("s", "s")
    assert pulled(program, {"left": "l"}) == (None, "l")


def test_nulls_reach_a_template_and_values_come_as_the_record_has_them() -> None:
    program = program_of(["swap"], field("a", "left", type="json"), field("b", "right", type="number"))
    assert pulled(program, {"left": 1.5, "right": {"x": [1.50]}}) == ('{"x":[1.5]}', "1.5")
    assert pulled(program, {}) == (None, None)


def test_a_template_may_give_dates_times_and_floats() -> None:
    program = program_of(
        ["moments"],
        field("day", "day", type="date"),
        field("at", "moment", type="datetime"),
        field("share", "share", type="number"),
    )
    assert pulled(program, {"x": 1}) == ("2024-02-29", "2024-02-29T10:00:00+00:00", "0.1")


@pytest.mark.parametrize(
    ("value", "said"),
    [("abc", "no text, please"), ("a", "KeyError: 'value'"), ("ab", "RuntimeError")],
)
def test_what_a_function_raises_is_a_problem_of_the_record_that_names_the_template(value: str, said: str) -> None:
    (problem,) = problems(program_of(["picky"], field("a", "value")), {"value": value})
    assert (problem.field, problem.rule, problem.value) == ("", "template", f'value="{value}"')
    assert problem.message == f"the template picky failed: {said}"


def test_a_record_has_every_problem_it_has_and_none_that_follows_from_another() -> None:
    swap = {"swap": {"reads": {"left": "value", "right": "other"}}}
    program = program_of(
        ["picky", swap],
        field("a", "value", required=True, type="number"),
        field("b", ["left", "right"], required=True),
        field("c", "plain", required=True),
        field("d", "number", type="number"),
    )
    found = problems(program, {"value": "abc", "number": "x"})
    assert [(problem.field, problem.rule) for problem in found] == [("", "template"), ("c", "required"), ("d", "type")]


def test_a_value_in_another_place_than_the_path_says_is_a_problem_of_its_own_rule() -> None:
    use = {"swap": {"reads": {"left": "deep.er"}}}
    (problem,) = problems(program_of([use], field("a", "left")), {"deep": 5})
    assert (problem.rule, problem.value) == ("shape", "5")
    assert problem.message == 'the template swap cannot read left: expected an object with "er" inside, found 5'


ODD = {
    "nothing": "gave None, expected a dict with value",
    "list": "gave a value of type list, expected a dict with value",
    "empty": 'gave no "value", expected exactly value',
    "extra": 'gave "valeu", allowed value (did you mean "value"?)',
    "number as key": 'gave "1", allowed value',
    "set": 'gave a value of type set as "value", expected text, a number, true',
    "object": 'gave a value of type object as "value"',
    "bytes": 'gave a value of type bytes as "value"',
    "recursion": "failed: RecursionError",
    "wordless": "failed: Wordless",
    "memory": "failed: MemoryError",
}
UNFIT = ["nan", "decimal nan", "infinity", "nul", "surrogate", "huge", "deep"]


@pytest.mark.parametrize("value", ODD)
def test_a_function_that_does_not_do_what_it_promised_is_a_problem_of_the_record(value: str) -> None:
    (problem,) = problems(program_of(["odd"], field("a", "value")), {"value": value})
    assert (problem.field, problem.rule) == ("", "template")
    assert problem.message.startswith(f"the template odd {ODD[value]}")


@pytest.mark.parametrize("value", UNFIT)
@pytest.mark.parametrize("kind", ["text", "number", "date", "datetime", "boolean", "json", "lookup", "picklist"])
def test_a_given_value_that_no_column_takes_is_a_problem_of_its_field(value: str, kind: str) -> None:
    more: dict[str, Any] = {"lookup": {"lookup": {"entity": "x"}}, "picklist": {"values": {"on": 1}}}.get(kind, {})
    bounds: dict[str, Any] = {"min": 0} if kind == "number" else {}
    program = program_of(["odd"], field("a", "value", type=kind, **more, **bounds))
    (problem,) = problems(program, {"value": value})
    assert problem.field == "a"


def test_lines_are_untouched_by_record_templates() -> None:
    child = {
        "local": "app.lines",
        "remote": "items",
        "key": "n",
        "parent": "thing_id",
        "fields": [field("n", "left", type="number")],
    }
    program = program_of(["swap"], field("a", "left"), children=[child])
    found = program.map_record(b'{"left": "l", "right": "r", "items": [{"left": 1}, {"left": 2}]}')
    assert found == (("r",), ([("1",), ("2",)],))


def test_a_push_writes_what_the_template_once_read() -> None:
    program = pushing(["pack"], field("both", "pair", transform="lower"), field("c", "c"))
    assert program.map_row({"both": "x|y", "c": "z"}) == {"c": "z", "one": "x", "two": "y"}


def test_a_push_goes_back_through_templates_of_templates_to_renamed_places() -> None:
    program = pushing(
        [
            {"pack": {"reads": {"one": "deep.er", "two": ["first", "second"]}}},
            {"swap": {"reads": {"left": "pair", "right": "more"}}},
        ],
        field("a", "left"),
        field("b", "right"),
    )
    assert program.map_row({"a": "m", "b": "x|y"}) == {"more": "m", "deep": {"er": "x"}, "first": "y"}


def test_a_row_holds_all_columns_of_a_template_or_none() -> None:
    program = pushing(["swap"], field("a", "left"), field("b", "right"), field("c", "c"))
    assert program.together == (frozenset({"a", "b"}),)
    assert program.map_row({"c": "z"}) == {"c": "z"}
    assert program.map_row({"a": None, "b": "r"}) == {"left": "r", "right": None}
    with pytest.raises(RecordRejected) as caught:
        program.map_row({"b": "r", "c": "z"})
    (problem,) = caught.value.problems
    assert problem.message == "the template swap needs a too, for the row holds b"
    assert (problem.field, problem.rule) == ("", "template")


def test_a_constant_goes_through_a_template_too() -> None:
    program = pushing(["swap"], field("a", "left"), {"remote": "right", "value": "fixed"}, field("c", "c"))
    assert program.map_row({"a": "x"}) == {"left": "fixed", "right": "x"}
    assert program.map_row({"c": "z"}) == {"c": "z"}
    fixed = pushing(["swap"], {"remote": "left", "value": "l"}, {"remote": "right", "value": "r"}, field("c", "c"))
    assert fixed.map_row({"c": "z"}) == {"c": "z", "left": "r", "right": "l"}


def test_dates_and_numbers_go_back_as_what_the_vendor_takes() -> None:
    program = pushing(["swap"], field("a", "left", type="date"), field("b", "right", type="number", scale=2))
    assert program.map_row({"a": date(2024, 2, 29), "b": Decimal("1.5")}) == {
        "right": "2024-02-29",
        "left": Decimal("1.50"),
    }


def test_what_fails_on_the_way_back_is_a_problem_of_the_row() -> None:
    program = pushing(["pack"], field("both", "pair"), field("c", "c", required=True))
    with pytest.raises(RecordRejected) as caught:
        program.map_row({"both": "x", "c": ""})
    assert [problem.message for problem in caught.value.problems] == [
        'c: a value is required, found ""',
        "the template pack failed: IndexError: list index out of range",
    ]
    with pytest.raises(RecordRejected) as caught:
        program.map_row({"both": "\x00", "c": "z"})
    assert [(problem.field, problem.rule) for problem in caught.value.problems] == [("both", "characters")]


@pytest.mark.parametrize("value", [*ODD, *UNFIT])
def test_whatever_a_reverse_does_is_a_value_or_a_problem(value: str) -> None:
    with pytest.raises(RecordRejected) as caught:
        pushing(["odd"], field("a", "value")).map_row({"a": value})
    assert "the template odd " in str(caught.value)
