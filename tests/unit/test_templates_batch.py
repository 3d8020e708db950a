"""Batch templates: the rows of a chunk as a frame, and whatever a function makes of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.mapping.batch import Refined
from erpflow.mapping.compile import PullProgram, compile_pull
from erpflow.mapping.load import parse_mapping
from erpflow.mapping.templates import find_templates

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "templates"
FIELDS: list[dict[str, Any]] = [
    {"local": "text", "remote": "text", "max_length": 5},
    {"local": "number", "remote": "number", "type": "number", "min": 0, "scale": 2},
    {"local": "day", "remote": "day", "type": "date"},
    {"local": "moment", "remote": "moment", "type": "datetime"},
    {"local": "flag", "remote": "flag", "type": "boolean"},
    {"local": "pick", "remote": "pick", "type": "picklist", "values": {"on": "Active", "off": 0}},
    {"local": "ref", "remote": "ref", "type": "lookup", "lookup": {"entity": "customer", "on_missing": None}},
    {"local": "tags", "remote": "tags", "type": "json"},
    {"local": "fixed", "value": "us"},
]
FULL = {
    "text": "abc",
    "number": 1.5,
    "day": "2024-02-29",
    "moment": "2024-02-29 10:00:00",
    "flag": 1,
    "pick": "Active",
    "ref": 7,
    "tags": ["x", 1.50],
}
ROW = ("abc", "1.50", "2024-02-29", "2024-02-29T04:30:00+00:00", "t", "on", "7", '["x",1.5]', "us")
EMPTY = (None,) * 8 + ("us",)


def program_of(
    *batch: str, fields: list[dict[str, Any]] = FIELDS, functions: Path = FIXTURES, direction: str = "pull"
) -> PullProgram:
    """A program with batch templates that are called like their functions."""
    data = {
        "system": "rest",
        "entity": "thing",
        "remote": {"object": "things", "key": "id"},
        "local": {"table": "app.things"},
        "fields": fields,
        "batch": list(batch),
        "direction": direction,
    }
    kept = {name: {"level": "batch", "function": name} for name in batch}
    among = find_templates(functions / "none", transforms=functions, kept=kept)
    return compile_pull(parse_mapping(data, name="test", templates=among), zone="Asia/Kolkata")


def refined(program: PullProgram, rows: list[Any]) -> Refined:
    assert program.refine is not None
    return program.refine(rows)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Refined]:
    """Applies a function, given as the body of its source, to rows."""

    def apply(body: str, rows: list[Any], *, fields: list[dict[str, Any]] = FIELDS) -> Refined:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        (tmp_path / "made.py").write_text(
            "import datetime\nfrom decimal import Decimal\n\nimport numpy as np\nimport pandas as pd\n\n"
            "from erpflow.mapping.transforms import batch_transform\n\n\n"
            f"@batch_transform\ndef made(frame):\n{lines}\n    return frame\n"
        )
        return refined(program_of("made", fields=fields, functions=tmp_path), rows)

    return apply


Apply = Callable[..., Refined]


def column(found: Refined, number: int) -> list[str | None]:
    return [row[number] for row in found.rows.values()]


def test_a_program_without_batch_templates_has_nothing_to_refine_and_pandas_stays_away() -> None:
    assert program_of().refine is None
    code = (
        "import sys\nfrom pathlib import Path\nfrom erpflow.mapping.load import load_mapping\n"
        "from erpflow.mapping.compile import compile_pull\n"
        "program = compile_pull(load_mapping(Path('include/mappings/erpnext/customer.yaml')))\n"
        "program.map_record(b'{\"name\": \"x\"}')\nprint('pandas' in sys.modules, program.refine)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False None\n"


def test_a_frame_has_python_values_of_the_types_the_reference_names() -> None:
    program = program_of("kinds")
    assert program.map_record(msgspec.json.encode(FULL)).values == ROW
    found = refined(program, [ROW, EMPTY])
    assert found == Refined({0: ROW, 1: EMPTY}, {}, {})


def test_no_rows_need_no_function() -> None:
    assert refined(program_of("kinds"), []) == Refined({}, {}, {})


def test_what_a_function_leaves_alone_keeps_its_text(written: Apply) -> None:
    rows = [("x", "1.50", *EMPTY[2:]), ("y", "2.00", *EMPTY[2:])]
    found = written("frame = frame.iloc[::-1]", rows)
    assert list(found.rows.items()) == list(enumerate(rows))
    assert found.rows[0] is rows[0]


def test_a_row_that_is_left_out_is_dropped_with_the_reason(written: Apply) -> None:
    rows = [("a", *EMPTY[1:]), ("b", *EMPTY[1:]), ("c", *EMPTY[1:])]
    found = written('frame = frame[frame["text"] != "b"]', rows)
    assert found == Refined({0: rows[0], 2: rows[2]}, {1: "dropped by made"}, {})
    assert written("frame = frame.iloc[:0]", rows).dropped == dict.fromkeys(range(3), "dropped by made")


GIVEN: list[tuple[str, str, str | None]] = [
    ('frame["text"] = frame["text"].str.upper()', "text", "ABC"),
    ('frame["text"] = np.nan', "text", None),
    ('frame["text"] = pd.NA', "text", None),
    ('frame["text"] = None', "text", None),
    ('frame["text"] = ""', "text", ""),
    ('frame["text"] = 12', "text", "12"),
    ('frame["text"] = frame["text"].astype("category")', "text", "abc"),
    ('frame["text"] = frame["text"].astype("string")', "text", "abc"),
    ('frame["number"] = frame["number"] * 2', "number", "3.00"),
    ('frame["number"] = frame["number"].astype(float) / 3', "number", "0.50"),
    ('frame["number"] = np.int64(7)', "number", "7.00"),
    ('frame["number"] = np.float32(0.5)', "number", "0.50"),
    ('frame["number"] = "8"', "number", "8.00"),
    ('frame["number"] = pd.to_numeric(frame["number"].astype(str))', "number", "1.50"),
    ('frame["day"] = pd.to_datetime(frame["day"]) + pd.Timedelta(days=1)', "day", "2024-03-01"),
    ('frame["day"] = datetime.date(2020, 1, 2)', "day", "2020-01-02"),
    ('frame["day"] = np.datetime64("2020-01-02")', "day", "2020-01-02"),
    ('frame["day"] = pd.NaT', "day", None),
    ('frame["day"] = np.datetime64("NaT")', "day", None),
    ('frame["moment"] = pd.to_datetime(frame["moment"]).dt.floor("D")', "moment", "2024-02-29T00:00:00+00:00"),
    ('frame["moment"] = datetime.datetime(2024, 1, 1, 5, 30)', "moment", "2024-01-01T00:00:00+00:00"),
    ('frame["moment"] = pd.Timestamp("2024-01-01T00:00:00.000000001Z")', "moment", "2024-01-01T00:00:00+00:00"),
    ('frame["flag"] = ~frame["flag"].astype(bool)', "flag", "f"),
    ('frame["flag"] = np.bool_(False)', "flag", "f"),
    ('frame["pick"] = "off"', "pick", "off"),
    ('frame["ref"] = 8', "ref", "8"),
    ('frame["tags"] = [{"a": Decimal("1.50")}]', "tags", '{"a":1.50}'),
    ('frame.loc[1, "tags"].append(2)', "tags", '["x",1.5,2]'),
    ('frame["fixed"] = "them"', "fixed", "them"),
]


@pytest.mark.parametrize(("body", "name", "expected"), GIVEN, ids=[body[6:50] for body, _, _ in GIVEN])
def test_values_come_back_from_whatever_pandas_made_of_them(
    written: Apply, body: str, name: str, expected: str | None
) -> None:
    found = written(body, [ROW])
    assert found.rejected == {}
    number = [str(spec["local"]) for spec in FIELDS].index(name)
    assert found.rows[0][number] == expected
    assert found.rows[0][:number] + found.rows[0][number + 1 :] == ROW[:number] + ROW[number + 1 :]


REFUSED: list[tuple[str, str, str]] = [
    ('frame["text"] = "too long"', "text", "max_length"),
    ('frame["text"] = "a\\x00"', "text", "characters"),
    ('frame["text"] = [{1: 2}]', "text", "type"),
    ('frame["number"] = -1', "number", "min"),
    ('frame["number"] = "many"', "number", "type"),
    ('frame["number"] = np.inf', "number", "type"),
    ('frame["number"] = Decimal("NaN")', "number", "type"),
    ('frame["number"] = True', "number", "type"),
    ('frame["day"] = "soon"', "day", "type"),
    ('frame["moment"] = np.timedelta64(1, "D")', "moment", "type"),
    ('frame["flag"] = 2', "flag", "type"),
    ('frame["pick"] = "Active"', "pick", "picklist"),
    ('frame["ref"] = True', "ref", "type"),
    ('frame["tags"] = [object()]', "tags", "type"),
    ('frame["tags"] = [np.int64(1)] * len(frame)\nframe["text"] = [np.array([1, 2])]', "text", "type"),
]


@pytest.mark.parametrize(("body", "name", "rule"), REFUSED, ids=[body[6:50] for body, _, _ in REFUSED])
def test_a_value_that_does_not_fit_its_field_is_a_reject_of_that_record_alone(
    written: Apply, body: str, name: str, rule: str
) -> None:
    first_row_only = f"whole, frame = frame, frame.loc[[1]].copy()\n{body}\nframe = pd.concat([frame, whole.loc[[2]]])"
    found = written(first_row_only, [ROW, ROW])
    assert found.rows == {1: ROW}
    assert [(problem.field, problem.rule) for problem in found.rejected[0]] == [(name, rule)]
    assert found.rejected[0][0].message.startswith(f"{name} (from the template made): ")


def test_required_and_default_hold_for_what_comes_back(written: Apply) -> None:
    fields = [
        {"local": "a", "remote": "a", "required": True},
        {"local": "b", "remote": "b", "default": "x"},
    ]
    found = written('frame["b"] = None\nframe.loc[1, "a"] = None', [("1", "2"), ("1", "2")], fields=fields)
    assert found.rows == {1: ("1", "x")}
    assert [(problem.field, problem.rule) for problem in found.rejected[0]] == [("a", "required")]


BROKEN = {
    "return None": "gave None, expected the DataFrame of what stays",
    "return frame['text']": "gave a value of type Series, expected the DataFrame",
    "return frame.values": "gave a value of type ndarray, expected the DataFrame",
    "raise ValueError('last year is missing')": "failed: last year is missing",
    "frame['txt']": "failed: KeyError: 'txt'",
    "raise RecursionError": "failed: RecursionError",
    "raise MemoryError": "failed: MemoryError",
    "frame = frame.drop(columns='text')": 'gave no column "text", expected exactly the columns it was given',
    "frame['txt'] = 1": 'gave a column "txt", allowed day, fixed, flag, moment, number, pick, ref, tags, text (did you',
    "frame[5] = 1": 'gave a column "5", allowed day',
    "frame = pd.concat([frame, frame[['text']]], axis=1)": 'gave twice the column "text"',
    "frame.columns = pd.MultiIndex.from_product([['a'], frame.columns])": 'gave no column "text"',
    "frame = frame.reset_index(drop=True)": "gave a row numbered 0, which it was not given: keep the index of the fra",
    "frame = frame.iloc[1:].reset_index(drop=True)": "gave a row numbered 0, which it was not given",
    "frame = frame.merge(frame[['text']].assign(more=1).drop(columns='more'), on='text')": "gave a row numbered 0",
    "frame = pd.concat([frame, frame], ignore_index=True)": "gave a row numbered 0",
    "frame = pd.concat([frame, frame])": "gave row 1 twice, expected each row once at most",
    "frame.index = [1, 3]": "gave a row numbered 3, which it was not given",
    "frame.index = ['1', '2']": 'gave a row numbered "1", which it was not given',
    "frame.index = [None, 2]": "gave a row numbered ",
    "frame.index = pd.MultiIndex.from_tuples([(1, 1), (2, 2)])": "gave a row numbered a list of 2, which",
    "class Odd(Exception):\n    def __str__(self): raise KeyError\nraise Odd": "failed: Odd",
}


@pytest.mark.parametrize("body", BROKEN)
def test_a_function_that_misbehaves_rejects_every_record_it_was_given_and_no_page(written: Apply, body: str) -> None:
    rows = [("a", *EMPTY[1:]), ("b", *EMPTY[1:])]
    found = written(body, rows)
    assert (found.rows, found.dropped, set(found.rejected)) == ({}, {}, {0, 1})
    (problem,) = found.rejected[0]
    assert (problem.field, problem.rule) == ("", "template")
    assert problem.message.startswith(f"the template made {BROKEN[body]}")
    assert problem.message.endswith("(all 2 records it was given are rejected)")


def test_templates_work_one_after_the_other_on_the_rows_that_are_left(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(
        "from erpflow.mapping.transforms import batch_transform\n\n\n"
        "@batch_transform\ndef first(frame):\n"
        '    frame.loc[frame["text"] == "b", "number"] = -1\n    return frame[frame["text"] != "a"]\n\n\n'
        "@batch_transform\ndef second(frame):\n"
        '    assert list(frame.index) == [3, 4], frame.index\n    frame["text"] = frame["text"] + "!"\n'
        '    return frame[frame["text"] != "d!"]\n'
    )
    rows = [(text, "1.00", *EMPTY[2:]) for text in "abcd"]
    found = refined(program_of("first", "second", functions=tmp_path), rows)
    assert found.rows == {2: ("c!", "1.00", *EMPTY[2:])}
    assert found.dropped == {0: "dropped by first", 3: "dropped by second"}
    assert [(problem.rule, problem.message) for problem in found.rejected[1]] == [
        ("min", 'number (from the template first): "-1.00" is less than 0')
    ]


def test_a_template_sees_only_the_columns_that_are_pulled_into_the_parents_table(written: Apply) -> None:
    fields = [{"local": "a", "remote": "a"}, {"local": "b", "remote": "b", "only": "push"}]
    assert written('assert list(frame.columns) == ["a"]', [("x",)], fields=fields).rows == {0: ("x",)}


def test_ten_thousand_rows_are_refined_within_seconds(written: Apply) -> None:
    rows = [(f"{n % 99}", f"{n}.00", *EMPTY[2:]) for n in range(10_000)]
    found = written('frame["number"] = frame.groupby("text")["number"].transform("sum")', rows)
    assert len(found.rows) == 10_000
    assert sum(Decimal(row[1] or 0) for row in found.rows.values()) > 0


def test_a_column_that_also_pushes_may_not_be_changed_and_others_may() -> None:
    fields = [
        {"local": "text", "remote": "text"},
        {"local": "number", "remote": "number", "type": "number", "only": "pull"},
    ]
    program = program_of("doubled", fields=fields, direction="bidirectional")
    found = refined(program, [("a", "1"), ("aa", "2")])
    assert found.rows == {1: ("aa", "4")}
    assert [problem.message for problem in found.rejected[0]] == [
        "text (from the template doubled): changed, and a batch template has no way back for a push; use only: pull"
    ]
