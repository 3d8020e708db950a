"""Reading mapping files: what loads, and what is said about what does not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.mapping.load import find_mappings, load_mapping, parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Deletes, FindDeletes

HEAD = """\
system: rest
entity: customer
remote: {object: customers, key: id}
local: {table: app.customers}
"""
FIELDS = "fields:\n  - {local: name, remote: name}\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "mappings" / "rest" / "customer.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder: Path, text: str | bytes) -> Mapping:
    return load_mapping(written(folder, text))


def complaints(folder: Path, text: str | bytes) -> list[str]:
    """The lines of the message, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [line.replace(f"{folder}/mappings/rest/", "") for line in str(caught.value).splitlines()]


def complaint(folder: Path, text: str | bytes) -> str:
    found = complaints(folder, text)
    assert len(found) == 1, found
    return found[0]


def test_what_a_file_leaves_out_has_a_careful_default(tmp_path: Path) -> None:
    mapping = load(tmp_path, HEAD + FIELDS)
    assert (mapping.direction, mapping.conflict, mapping.every) == ("pull", "newest_wins", timedelta(minutes=30))
    assert (mapping.deletes.pull, mapping.deletes.push) == (Deletes.IGNORE, Deletes.IGNORE)
    assert (mapping.local.key, mapping.local.match_on, mapping.remote.modified) == ("id", (), None)


def test_deletes_are_one_word_for_both_ways_or_one_each(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD + FIELDS + "deletes: hard\n").deletes.push is Deletes.HARD
    each = load(tmp_path, HEAD + FIELDS + "deletes: {pull: hard}\n").deletes
    assert (each.pull, each.push) == (Deletes.HARD, Deletes.IGNORE)
    asking = load(tmp_path, HEAD + FIELDS + "deletes: {pull: hard, find: sweep, at_most: 25%}\n").deletes
    assert (asking.find, asking.at_most) == (FindDeletes.SWEEP, Decimal("0.25"))


def test_a_soft_delete_needs_a_column_or_a_field_that_it_sets(tmp_path: Path) -> None:
    assert "local.deleted: found nothing" in complaint(tmp_path, HEAD + FIELDS + "deletes: {pull: soft}\n")
    pushing = HEAD.replace("key: id}", "key: id}", 1) + FIELDS + "direction: push\ndeletes: {push: soft}\n"
    assert "remote.deleted: found nothing, allowed {path, value}" in complaint(tmp_path, pushing)


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("{local: a, remote: a, only: pull, conflict: manual}", "found on a field of one direction"),
        ("{local: a, remote: a, conflict: delta}", "found delta, allowed on a field of type number"),
        ("{local: a, remote: a, conflict: mine}", "allowed delta, local_wins, manual, newest_wins, remote_wins"),
    ],
)
def test_a_fields_own_conflict_rule_must_make_sense(tmp_path: Path, field: str, why: str) -> None:
    assert why in complaint(tmp_path, HEAD + f"fields:\n  - {field}\ndirection: bidirectional\n")


def test_policies_do_not_change_what_a_record_becomes(tmp_path: Path) -> None:
    field = "fields:\n  - {local: a, remote: a, type: number%s}\ndirection: bidirectional\n"
    plain, summed = (load(tmp_path, HEAD + field % rule) for rule in ("", ", conflict: delta"))
    narrowed = load(tmp_path, HEAD + field % "" + "writes: [update]\n")
    assert plain.version == summed.version == narrowed.version


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("1h", 3600), ("2d", 172_800), ("1w", 604_800)]
)
def test_every_is_a_duration(tmp_path: Path, text: str, seconds: int) -> None:
    assert load(tmp_path, HEAD + FIELDS + f"every: {text}\n").every == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["30", "0m", "1.5h", "m", "1h30m", "-5m", "1y", "[1h]"])
def test_any_other_duration_is_refused(tmp_path: Path, text: str) -> None:
    assert "every: found" in complaint(tmp_path, HEAD + FIELDS + f"every: {text}\n")


def test_every_mistake_is_named_with_its_line_and_the_nearest_match(tmp_path: Path) -> None:
    text = """\
system: rest
entity: customer
remote: {object: customers, key: id, modifed: at}
local:
  table: customers
  match_on: [email, tel]
direction: bidirectionl
fields:
  - local: name
    remote: name
    typ: text
  - {local: email, remote: email, type: txt}
  - {local: note, remote: note, transform: [trimm, {truncate: x}]}
  - {local: note, remote: a..b}
  - {local: limit, remote: limit, type: number, max_length: 3}
owner: me
"""
    found = complaints(tmp_path, text)
    assert [line.split(": found")[0] for line in found] == [
        "customer.yaml:3: remote.modifed",
        "customer.yaml:5: local.table",
        "customer.yaml:6: local.match_on[1]",
        "customer.yaml:7: direction",
        "customer.yaml:11: fields[0].typ",
        "customer.yaml:12: fields[1].type",
        "customer.yaml:13: fields[2].transform[0]",
        "customer.yaml:13: fields[2].transform[1]",
        "customer.yaml:14: fields[3].local",
        "customer.yaml:14: fields[3].remote[0]",
        "customer.yaml:15: fields[4].max_length",
        "customer.yaml:16: owner",
    ]
    said = "\n".join(found)
    for part in (
        'found the unknown key "modifed", allowed deleted, external_id, key, modified, object'
        ' (did you mean "modified"?)',
        'found "customers", allowed schema.table, in letters, digits and _',
        'found "bidirectionl", allowed bidirectional, pull, push (did you mean "bidirectional"?)',
        '(did you mean "type"?)',
        'found "txt", allowed boolean, date, datetime, json, lookup, number, picklist, text (did you mean "text"?)',
        '(did you mean "trim"?)',
        'truncate takes length: int, found "x" for length',
        "found on a field of type number, allowed on type lookup, text",
    ):
        assert part in said


FIELD_MISTAKES = {
    "{remote: a}": "fields[0].local: found nothing, allowed a name",
    "{local: a}": "fields[0].remote: found nothing, allowed a name",
    "{local: a, remote: b, value: c}": "fields[0].value: found a constant, allowed together with exactly one of",
    "{value: c}": "fields[0].value: found a constant, allowed together with exactly one of",
    "{local: a, value: c, default: d}": "fields[0].value: found a constant with default or transform",
    "{local: a, remote: b, type: picklist}": "fields[0].values: found nothing, allowed a table",
    "{local: a, remote: b, values: {x: y}}": "found on a field of type text, allowed on type picklist",
    "{local: a, remote: b, type: picklist, values: [x]}": "fields[0].values: found a list of 1, allowed a table",
    "{local: a, remote: b, type: picklist, values: {x: 1, y: '1'}}": 'fields[0].values.y: found "1" for x and for y',
    "{local: a, remote: b, type: picklist, values: {x: y}, default: y}": 'fields[0].default: found "y", allowed',
    "{local: a, remote: b, type: lookup}": "fields[0].lookup: found nothing, allowed {table, match, take} or {entity}",
    "{local: a, remote: b, type: lookup, lookup: {}}": "fields[0].lookup: found neither or both",
    "{local: a, remote: b, type: lookup, lookup: {table: a.b, entity: x}}": "fields[0].lookup: found neither or both",
    "{local: a, remote: b, type: lookup, lookup: {table: a.b, match: c}}": "fields[0].lookup: found a part of it",
    "{local: a, remote: b, type: lookup, lookup: {entity: x, on_missing: no}}": 'on_missing: found "no", allowed',
    "{local: a, remote: b, required: true, type: lookup, lookup: {entity: x, on_missing: null}}": "found null on",
    "{local: a, remote: b, pattern: '[a'}": 'found "[a", allowed a regular expression: unterminated',
    "{local: a, remote: b, type: number, min: x}": 'fields[0].min: found "x", allowed a number',
    "{local: a, remote: b, type: number, min: 5, max: 3}": "fields[0].min: found 5, allowed at most max, which is 3",
    "{local: a, remote: b, type: date, max: 2024-13-01}": 'fields[0].max: found "2024-13-01", allowed a date',
    "{local: a, remote: b, type: number, default: abc}": 'default: found "abc", allowed what the field allows',
    "{local: a, remote: b, max_length: 2, default: abc}": "has 3 characters, at most 2 fit",
    "{local: a, value: abc, type: date}": 'fields[0].value: found "abc", allowed what the field allows',
    "{local: a, remote: b, max_length: 0}": "fields[0].max_length: found 0, allowed greater than or equal to 1",
    "{local: a, remote: b, type: number, scale: -1}": "fields[0].scale: found -1, allowed greater than or equal to 0",
    "{local: a, remote: b, required: maybe}": 'fields[0].required: found "maybe", allowed',
    "{local: 'a b', remote: b}": 'fields[0].local: found "a b", allowed a name in letters, digits and _',
    "{local: a, remote: 0.b}": "the first step is a key, not a position",
    "{local: a, remote: '\"b'}": "is not a path: expected a key at character 1",
    "{local: a, remote: []}": "fields[0].remote: found a list of 0, allowed one at least",
    "{local: a, remote: b, one_of: []}": "fields[0].one_of: found a list of 0, allowed one at least",
    "{local: a, remote: b, transform: {trim: 3}}": "trim takes no arguments",
    "{local: a, remote: b, transform: {trim: 3, lower: 4}}": "allowed a transform's name, or {name: arguments}",
    "{local: a, remote: b, transform: {truncate: 0}}": "truncate takes a length of 1 or more",
    "{local: a, remote: b, transform: {replace: a}}": "replace takes old: str, new: str",
    "{local: a, remote: b, transform: {phone_e164: XX}}": "a two-letter country code",
    "{local: a, remote: b, transform: {multiply: 0}}": "a factor other than 0",
    "{local: a, remote: b, transform: {date_format: day}}": "a form such as %d/%m/%Y",
    "{local: a, remote: b, transform: {epoch_to_datetime: days}}": "seconds or milliseconds",
    "a": 'fields[0]: found "a", allowed a table of keys',
    "{local: a, remote: b, only: both}": 'fields[0].only: found "both", allowed pull, push',
}


@pytest.mark.parametrize("field", FIELD_MISTAKES)
def test_a_mistake_in_a_field_is_a_sentence(tmp_path: Path, field: str) -> None:
    found = complaint(tmp_path, f"{HEAD}fields:\n  - {field}\n  - {{local: other, remote: other}}\n")
    assert found.startswith("customer.yaml:6: fields[0]")
    assert FIELD_MISTAKES[field] in found


def test_a_column_is_written_by_one_field(tmp_path: Path) -> None:
    found = complaint(tmp_path, HEAD + FIELDS + "  - {local: name, remote: title}\n")
    assert found.startswith('customer.yaml:7: fields[1].local: found "name" a second time')


def test_the_same_column_may_have_a_field_for_each_direction(tmp_path: Path) -> None:
    fields = "fields:\n  - {local: a, remote: b, only: pull}\n  - {local: a, remote: b, only: push}\n"
    assert len(load(tmp_path, HEAD + fields + "direction: bidirectional\n").fields) == 2


CHILD = (
    "children:\n  - {local: app.lines, remote: items, key: %s, parent: %s, fields: [{local: line_no, remote: idx}]}\n"
)


def test_lines_need_a_key_that_is_pulled_and_a_parent_that_is_not(tmp_path: Path) -> None:
    assert load(tmp_path, HEAD + FIELDS + CHILD % ("line_no", "customer_id")).children[0].key == "line_no"
    assert 'children[0].key: found "no"' in complaint(tmp_path, HEAD + FIELDS + CHILD % ("no", "customer_id"))
    assert 'children[0].parent: found "line_no" among' in complaint(
        tmp_path, HEAD + FIELDS + CHILD % ("line_no", "line_no")
    )
    same = (CHILD % ("line_no", "customer_id")).replace("app.lines", "app.customers")
    assert 'children[0].local: found "app.customers" a second time' in complaint(tmp_path, HEAD + FIELDS + same)


@pytest.mark.parametrize("direction", ["push", "bidirectional"])
def test_a_transform_without_a_way_back_is_refused_where_a_push_needs_one(tmp_path: Path, direction: str) -> None:
    field = "fields:\n  - {local: a, remote: b, transform: [trim, strip_html]}\n"
    found = complaint(tmp_path, f"{HEAD}{field}direction: {direction}\n")
    assert (
        'fields[0].transform[1]: found "strip_html", which has no way back for a push; allowed with only: pull' in found
    )
    assert load(tmp_path, HEAD + field)
    only = field.replace("b,", "b, only: pull,") + "  - {local: c, remote: d}\n"
    assert load(tmp_path, f"{HEAD}{only}direction: bidirectional\n")


@pytest.mark.parametrize(
    "use", ["{multiply: 3}", "{replace: [a, '']}", "{replace: [a, ab]}", "digits", "{truncate: 4}"]
)
def test_whether_there_is_a_way_back_may_depend_on_the_arguments(tmp_path: Path, use: str) -> None:
    found = complaint(tmp_path, f"{HEAD}direction: push\nfields:\n  - {{local: a, remote: b, transform: {use}}}\n")
    assert "has no way back" in found


def test_two_fields_do_not_push_to_one_place(tmp_path: Path) -> None:
    fields = "fields:\n  - {local: a, remote: x.y}\n  - {local: b, remote: x}\n"
    assert 'fields[1].remote: found "x" and elsewhere "x.y"' in complaint(tmp_path, HEAD + fields + "direction: push\n")
    position = "fields:\n  - {local: a, remote: x.1}\n"
    assert "found a list position above 0" in complaint(tmp_path, HEAD + position + "direction: push\n")


def test_a_direction_needs_a_field_that_takes_part(tmp_path: Path) -> None:
    assert "found no field that pushes" in complaint(
        tmp_path, HEAD + "fields:\n  - {local: a, remote: x, only: pull}\ndirection: push\n"
    )
    assert "found no field that pulls" in complaint(tmp_path, HEAD + "fields:\n  - {local: a, remote: x, only: push}\n")


def test_yaml_words_and_dates_stay_what_was_written(tmp_path: Path) -> None:
    text = (
        HEAD
        + """fields:
  - {local: on, remote: off, default: no}
  - {local: since, remote: since, type: date, default: 2024-01-31}
  - {local: code, remote: code, default: 007}
  - {local: at, remote: at, default: 12:30:45}
  - {local: hexa, remote: hexa, default: 0x1F}
  - {local: country, remote: country, type: picklist, values: {NO: Norway, yes: on}}
  - {local: ratio, remote: ratio, type: number, default: 0.10}
  - {local: flag, remote: flag, type: boolean, default: true, required: yes}
"""
    )
    fields = load(tmp_path, text).fields
    assert [spec.default for spec in fields[:5]] == ["no", "2024-01-31", "007", "12:30:45", "0x1F"]
    assert fields[0].local == "on"
    assert fields[5].values == {"NO": "Norway", "yes": "on"}
    assert str(fields[6].default) == "0.10"
    assert fields[7].default is True
    assert fields[7].required is True


HOSTILE = {
    "empty": (b"", "customer.yaml:1: the file is empty"),
    "only a comment": (b"# nothing\n", "customer.yaml:1: the file is empty"),
    "a list": (b"- a\n", "customer.yaml:1: found a list of 1, allowed a table of keys: system, entity"),
    "a word": (b"hello", 'customer.yaml:1: found "hello", allowed a table of keys'),
    "two documents": (b"a: 1\n---\nb: 2\n", "customer.yaml:2: not valid YAML: expected a single document"),
    "a tab": (b"remote:\n\tkey: a\n", "customer.yaml:2: not valid YAML: found a tab where YAML wants spaces"),
    "not closed": (b"remote: {object: x\n", "not valid YAML: while parsing a flow mapping expected ',' or '}'"),
    "not UTF-8": (b"system: rest\nentity: caf\xe9\n", "customer.yaml:2: not UTF-8 text (byte 0xe9)"),
    "UTF-16": ("system: rest".encode("utf-16"), "customer.yaml:1: not UTF-8 text (byte 0xff)"),
    "a control character": (b"system: rest\nentity: a\x07b\n", "customer.yaml:2: found the character U+0007"),
    "NUL": (b"system: rest\n\x00", "customer.yaml:2: found the character U+0000"),
    "too deep": (b"a: " + b"[" * 200 + b"]" * 200, "nested deeper than 50 levels"),
    "far too deep": (b"[" * 1_000, "nested deeper than 50 levels"),
    "too large": (b"# " + b"x" * 1_000_001, "larger than 1,000,000 bytes"),
    "an alias bomb": (
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        b"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "aliases and values come to more than 50000",
    ),
    "an alias of itself": (b"a: &a [*a]\n", "nested deeper than 50 levels"),
    "an unknown alias": (b"a: *b\n", "customer.yaml:1: not valid YAML: found undefined alias 'b'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_mapping_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    content, expected = HOSTILE[name]
    assert expected in complaint(tmp_path, content)


def test_tags_merge_keys_and_repeated_keys_are_mistakes(tmp_path: Path) -> None:
    tagged = complaints(tmp_path, HEAD.replace("rest", "!!python/object/apply:os.getcwd []", 1) + FIELDS)
    assert any(line.startswith("customer.yaml:1: system: found the tag") for line in tagged)
    twice = complaint(tmp_path, HEAD + FIELDS + "system: other\n")
    assert twice == 'customer.yaml:7: system: found "system" a second time, allowed once (first on line 1)'
    inner = complaint(tmp_path, HEAD + "fields:\n  - {local: a, remote: b, local: c}\n")
    assert inner.startswith('customer.yaml:6: fields[0].local: found "local" a second time')
    merged = complaint(tmp_path, HEAD + "fields:\n  - {<<: {type: text}, local: a, remote: b}\n")
    assert 'found the unknown key "<<"' in merged


def test_aliases_repeat_a_part(tmp_path: Path) -> None:
    text = (
        HEAD
        + "fields:\n  - {local: a, remote: b, transform: &t [trim, lower]}\n  - {local: c, remote: d, transform: *t}\n"
    )
    fields = load(tmp_path, text).fields
    assert fields[0].transform == fields[1].transform


def test_a_file_that_is_absent_or_a_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        load_mapping(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_mapping(tmp_path)


def test_plain_data_is_checked_alike(tmp_path: Path) -> None:
    data = {"system": "rest", "entity": "x", "remote": {"object": "x", "key": "id"}, "local": {"table": "app.x"}}
    assert parse_mapping({**data, "fields": [{"local": "a", "value": 1.5}]}, name="body").fields[0].value is not None
    with pytest.raises(ConfigError, match=r'body: fields\[0\]\.typ: found the unknown key "typ"'):
        parse_mapping({**data, "fields": [{"local": "a", "value": "b", "typ": "c"}]}, name="body")
    with pytest.raises(ConfigError, match="body: fields: found nothing, allowed: this key is required"):
        parse_mapping(data, name="body")


def test_find_mappings_lists_the_files_in_order_and_leaves_templates_out(tmp_path: Path) -> None:
    for name in (
        "zoho/deal.yaml",
        "erpnext/customer.yaml",
        "erpnext/item.yml",
        "templates/tidy.yaml",
        "erpnext/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a: 1")
    found = [path.relative_to(tmp_path).as_posix() for path in find_mappings(tmp_path)]
    assert found == ["erpnext/customer.yaml", "erpnext/item.yml", "zoho/deal.yaml"]


BASE = HEAD + "fields:\n  - {local: a, remote: b, type: picklist, values: {x: 1, y: 2}}\n"


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n" + BASE,
        BASE.replace("{object: customers, key: id}", "\n  key: id\n  object: customers"),
        BASE.replace("a, remote: b", "a, required: false, remote: [b]"),
        BASE + "every: 1d\n",
        BASE + "conflict: manual\n",
        BASE + "deletes: hard\n",
    ],
)
def test_what_changes_no_result_changes_no_version(tmp_path: Path, same: str) -> None:
    assert load(tmp_path, same).version == load(tmp_path, BASE).version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x: 1", "x: '1'"),
        ("x: 1", "z: 1"),
        ("remote: b", "remote: c"),
        ("remote: b", "remote: [b, c]"),
        ("local: a", "local: c"),
        ("remote: b", "remote: b, transform: trim"),
        ("remote: b", "remote: b, default: x"),
        ("remote: b", "remote: b, required: true"),
        ("key: id}", "key: name}"),
        ("app.customers", "app.clients"),
        ("system: rest", "system: zoho"),
    ],
)
def test_what_changes_results_changes_the_version(tmp_path: Path, old: str, new: str) -> None:
    base = load(tmp_path, BASE).version
    assert len(base) == 16
    assert int(base, 16) < 2**64
    assert load(tmp_path, BASE.replace(old, new)).version != base


def test_the_version_is_the_same_in_every_process(tmp_path: Path) -> None:
    """A changed compiler must raise COMPILER_VERSION, and this number with it; nothing else may move it."""
    assert load(tmp_path, BASE).version == "a3c585472cbdc9d6"
