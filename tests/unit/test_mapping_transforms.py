"""Transforms: what each does, which way it goes, and how users add their own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import ConfigError, RecordRejected
from erpflow.mapping.compile import compile_pull
from erpflow.mapping.load import load_mapping
from erpflow.mapping.transforms import TransformUse, known_transforms, load_transforms
from erpflow.mapping.values import Refused

GIVEN: list[tuple[Any, Any, Any]] = [
    ("trim", " \u00a0a b\n", "a b"),
    ("trim", 12, "12"),
    ("trim", Decimal("1E+2"), "100"),
    ("upper", "straße", "STRASSE"),
    ("lower", "ÄB", "äb"),
    ("title", "o'neil-smith LTD 3rd", "O'neil-Smith Ltd 3Rd"),
    ("collapse_spaces", " a \n\t b ", "a b"),
    ("empty_to_null", "", None),
    ("empty_to_null", [], None),
    ("empty_to_null", 0, 0),
    ({"null_if": ["-", "0000-00-00"]}, "0000-00-00", None),
    ({"null_if": "x"}, "y", "y"),
    ("digits", "+966 (50) 12-34", "966501234"),
    ("digits", "١٢3", "3"),
    ({"truncate": 3}, "äbcd", "äbc"),
    ({"replace": [",", ""]}, "1,234,567", "1234567"),
    ({"prefix": "SA"}, "1", "SA1"),
    ({"suffix": "!"}, "1", "1!"),
    ({"split": ";"}, "a;b", ["a", "b"]),
    ({"split": ";"}, "", []),
    ({"split": ";"}, 12, ["12"]),
    ({"join": ", "}, ["a", 1], "a, 1"),
    ({"join": ", "}, "a", "a"),
    ("one_zero", 1, True),
    ("one_zero", "no", False),
    ("negate", 0, True),
    ("negate", "yes", False),
    ("negate", "", ""),
    ({"multiply": Decimal("0.01")}, 1250, Decimal("12.50")),
    ({"multiply": -1}, "3.5", Decimal("-3.5")),
    ("epoch_to_datetime", 1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ("epoch_to_datetime", "-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("epoch_to_datetime", Decimal("0.25"), datetime(1970, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
    ({"epoch_to_datetime": "milliseconds"}, 1500, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
    ({"date_format": "%d/%m/%Y"}, "29/02/2024", date(2024, 2, 29)),
    ({"datetime_format": "%d.%m.%Y %H:%M"}, "29.02.2024 10:11", datetime(2024, 2, 29, 10, 11)),  # noqa: DTZ001
    ("phone_e164", "+966 50 123 4567", "+966501234567"),
    ({"phone_e164": "SA"}, "050 123 4567", "+966501234567"),
    ({"phone_e164": {"region": "IN"}}, "098765 43210", "+919876543210"),
    ({"phone_e164": "SA"}, "  ", None),
    ("strip_html", "plain", "plain"),
    ("strip_html", "5 < 6 &amp; 7 > 2", "5 < 6 & 7 > 2"),
    ("strip_html", "a<br>b<BR/>c<br class='x'>d", "a\nb\nc\nd"),
    ("strip_html", "<div><p>12&nbsp;King St</p><p>Riyadh</p></div>", "12 King St\nRiyadh"),
    ("strip_html", "a<script>alert('<b>')</script>b<style>p{}</style>c<!-- <p>no</p> -->d", "abcd"),
    ("strip_html", "<script>never closed", ""),
    ("strip_html", "<b>bold</b>, <a href='x>y'>link</a>", "bold, y'>link"),
    ("strip_html", "&lt;b&gt; stays text", "<b> stays text"),
    ("strip_html", "&#0;&#xD800;x", "\ufffd\ufffdx"),
    ("strip_html", "<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
]


@pytest.mark.parametrize(("use", "value", "expected"), GIVEN, ids=lambda part: str(part)[:40])
def test_a_transform_does_what_its_line_in_the_reference_says(use: Any, value: Any, expected: Any) -> None:
    found = TransformUse.read(use).forward()(value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("name", sorted(known_transforms()))
def test_a_null_passes_every_transform_untouched(name: str) -> None:
    given: dict[str, Any] = {
        "truncate": 3,
        "replace": ["a", "b"],
        "multiply": 2,
        "date_format": "%Y",
        "datetime_format": "%Y",
    }
    given |= {"prefix": "x", "suffix": "x", "split": ",", "join": ","}
    use = TransformUse.read({name: given[name]} if name in given else name)
    assert use.forward()(None) is None
    back = use.backward()
    assert back is None or back(None) is None


REFUSED: list[tuple[Any, Any, str]] = [
    ("trim", {"a": 1}, "an object with 1 keys is not text"),
    ("upper", [1], "a list of 1 is not text"),
    ({"join": ","}, [{}], "a list of 1 holds more than texts and numbers"),
    ({"split": ","}, ["a"], "a list of 1 is not text"),
    ("negate", "maybe", '"maybe" is neither true nor false'),
    ({"multiply": 2}, "x", '"x" is not a number'),
    ("epoch_to_datetime", "soon", '"soon" is not a number'),
    ("epoch_to_datetime", 10**15, "is outside the years 1 to 9999"),
    ("epoch_to_datetime", 10**11 * 4, "is outside the years 1 to 9999"),
    ({"date_format": "%d/%m/%Y"}, "2024-02-29", '"2024-02-29" does not have the form %d/%m/%Y'),
    ("phone_e164", "050 123 4567", '"050 123 4567" is not a phone number'),
    ({"phone_e164": "SA"}, "12", '"12" is not a possible phone number'),
]


@pytest.mark.parametrize(("use", "value", "message"), REFUSED, ids=lambda part: str(part)[:40])
def test_a_value_a_transform_cannot_work_on_is_refused_in_a_sentence(use: Any, value: Any, message: str) -> None:
    with pytest.raises(Refused) as caught:
        TransformUse.read(use).forward()(value)
    assert message in caught.value.message


@pytest.mark.parametrize("size", [200_000])
@pytest.mark.parametrize("part", ["<", "<a", "<!--", "<script", "<p>", "&", "&#", "a < b "])
def test_hostile_html_is_cleaned_in_linear_time(part: str, size: int) -> None:
    """The test's own time limit is the assertion: a quadratic pattern would take minutes."""
    assert isinstance(TransformUse.read("strip_html").forward()(part * (size // len(part))), str)


USER = '''\
from erpflow.mapping.transforms import transform


def with_country(value: str, country: str = "SA") -> str:
    return country + value


@transform(reverse=with_country)
def {name}(value: str, country: str = "SA") -> str:
    """VAT numbers without their country."""
    return value.removeprefix(country)
'''
MAPPING = """\
system: rest
entity: customer
remote: {{object: customers, key: id}}
local: {{table: app.customers}}
direction: bidirectional
fields:
  - {{local: tax, remote: tax, transform: [trim, {use}]}}
"""


def user_file(folder: Path, text: str, *, name: str = "vat.py") -> Path:
    path = folder / "transforms" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def mapping_file(folder: Path, use: str) -> Path:
    path = folder / "mappings" / "rest" / "customer.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MAPPING.format(use=use))
    return path


def test_a_mapping_uses_the_transforms_beside_it(tmp_path: Path) -> None:
    user_file(tmp_path, USER.format(name="vat_plain"))
    mapping = load_mapping(mapping_file(tmp_path, "vat_plain"))
    assert compile_pull(mapping).map_record(b'{"tax": " SA300 "}').values == ("300",)
    assert mapping.fields[0].transform[1].backward() is not None
    other = load_mapping(mapping_file(tmp_path, "{vat_plain: {country: AE}}"))
    assert compile_pull(other).map_record(b'{"tax": "AE7"}').values == ("7",)


def test_the_arguments_of_a_users_transform_are_checked(tmp_path: Path) -> None:
    user_file(tmp_path, USER.format(name="vat_checked"))
    with pytest.raises(ConfigError, match=r"vat_checked takes country: str = SA, found 5 for country"):
        load_mapping(mapping_file(tmp_path, "{vat_checked: 5}"))


def test_a_changed_file_of_transforms_changes_the_version_of_the_mappings_that_use_it(tmp_path: Path) -> None:
    text = USER.format(name="vat_changing")
    user_file(tmp_path, text)
    path = mapping_file(tmp_path, "vat_changing")
    before = load_mapping(path)
    assert load_mapping(path).version == before.version
    user_file(tmp_path, text.replace("value.removeprefix(country)", "value.removesuffix(country)"))
    after = load_mapping(path)
    assert after.version != before.version
    assert compile_pull(after).map_record(b'{"tax": "7SA"}').values == ("7",)
    assert compile_pull(before).map_record(b'{"tax": "SA7"}').values == ("7",)


def test_a_transform_that_leaves_its_file_is_unknown_from_then_on(tmp_path: Path) -> None:
    user_file(tmp_path, USER.format(name="vat_gone"))
    path = mapping_file(tmp_path, "vat_gone")
    assert load_mapping(path)
    user_file(tmp_path, "x = 1\n")
    with pytest.raises(ConfigError, match='found "vat_gone", allowed'):
        load_mapping(path)
    user_file(tmp_path, USER.format(name="vat_gone"))
    assert load_mapping(path)
    (tmp_path / "transforms" / "vat.py").unlink()
    with pytest.raises(ConfigError, match='found "vat_gone", allowed'):
        load_mapping(path)


def test_what_a_users_transform_raises_is_a_problem_of_the_record(tmp_path: Path) -> None:
    body = "from erpflow.mapping.transforms import transform\n@transform\ndef fails_on_x(value):\n    return 1 / 0\n"
    user_file(tmp_path, body, name="fails.py")
    path = mapping_file(tmp_path, "fails_on_x")
    path.write_text(path.read_text().replace("bidirectional", "pull"))
    with pytest.raises(RecordRejected, match=r'tax \(from tax\): fails_on_x failed on "x": division by zero') as caught:
        compile_pull(load_mapping(path)).map_record(b'{"tax": "x"}')
    assert caught.value.problems[0].rule == "transform"


@pytest.mark.parametrize(
    "made", ["object()", "{1, 2}", "float('nan')", "'a\\x00'", "'\\ud800'", "[object()]", "b'x'", "10 ** 5000"]
)
@pytest.mark.parametrize("kind", ["text", "number", "date", "boolean", "json"])
def test_whatever_a_users_transform_returns_is_a_value_or_a_problem(tmp_path: Path, made: str, kind: str) -> None:
    body = (
        f"from erpflow.mapping.transforms import transform\n\n\n@transform\ndef odd_value(value):\n    return {made}\n"
    )
    user_file(tmp_path, body, name="odd.py")
    path = mapping_file(tmp_path, "odd_value")
    path.write_text(
        path.read_text().replace("bidirectional", "pull").replace("tax, transform", f"tax, type: {kind}, transform")
    )
    try:
        with pytest.raises(RecordRejected):
            compile_pull(load_mapping(path)).map_record(b'{"tax": "x"}')
    finally:
        user_file(tmp_path, "", name="odd.py")
        load_transforms(tmp_path / "transforms")


BROKEN = {
    "a syntax error": ("x = 1\ndef :\n", r"broken\.py:2: this file of transforms cannot be run: SyntaxError"),
    "an error while it runs": (
        "x = 1\ny = x / 0\n",
        r"broken\.py:2: this file of transforms cannot be run: ZeroDivisionError",
    ),
    "the name of a built-in": (
        USER.format(name="trim"),
        r'"trim" exists already \(built in\): give this one another name',
    ),
    "no value": (
        "from erpflow.mapping.transforms import transform\n\n\n@transform\ndef nothing():\n    return 1\n",
        "The transform nothing takes no value",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_of_transforms_that_cannot_be_read_names_file_and_line(tmp_path: Path, case: str) -> None:
    text, message = BROKEN[case]
    user_file(tmp_path, text, name="broken.py")
    for _ in range(2):  # the second reading must not take the broken file for a known one
        with pytest.raises(ConfigError, match=message):
            load_transforms(tmp_path / "transforms")


def test_two_files_may_not_give_one_name(tmp_path: Path) -> None:
    user_file(tmp_path, USER.format(name="vat_twice"), name="a.py")
    user_file(tmp_path, USER.format(name="vat_twice"), name="b.py")
    with pytest.raises(ConfigError, match=r'b\.py: The transform "vat_twice" exists already \(in .*a\.py\)'):
        load_transforms(tmp_path / "transforms")


def test_files_that_start_with_an_underscore_are_left_alone(tmp_path: Path) -> None:
    user_file(tmp_path, "raise SystemError", name="_draft.py")
    assert load_transforms(tmp_path / "transforms") == []
