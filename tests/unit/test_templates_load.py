"""Templates in files: what a mapping gets by naming one, and what is said about those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.mapping.kinds import Level
from erpflow.mapping.load import load_mapping, parse_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import find_templates, parse_template, templates_used
from erpflow.mapping.transforms import load_transforms

FUNCTIONS = """\
from erpflow.mapping.transforms import batch_transform, record_transform


def join_name(values):
    return {"full": f"{values['first']} {values['last']}"}


@record_transform(reverse=join_name)
def split_name(values):
    first, _, last = values["full"].partition(" ")
    return {"first": first, "last": last}


@record_transform
def shout(values):
    return {"loud": values["quiet"].upper()}


@batch_transform
def keep_all(frame):
    return frame
"""
TEMPLATES = {
    "tidy": "level: field\ndescription: Small letters\ntransform: [trim, lower]\n",
    "plain": "level: field\ntransform:\n  - trim\n  - strip_html\n",
    "outer": "level: field\ntransform: [{template: plain}, lower]\n",
    "name": "level: record\nfunction: split_name\nreads: [full]\ngives: [first, last]\n",
    "loud": "level: record\nfunction: shout\nreads: quiet\ngives: loud\n",
    "everything": "level: batch\nfunction: keep_all\n",
}
HEAD = """\
system: rest
entity: customer
remote: {object: customers, key: id, modified: at}
local: {table: app.customers}
"""
NAMES = "fields:\n  - {local: a, remote: first}\n  - {local: b, remote: last}\n"
BOTH_WAYS = "direction: bidirectional\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An `include` folder with the templates above."""
    (tmp_path / "transforms").mkdir()
    (tmp_path / "transforms" / "names.py").write_text(FUNCTIONS)
    (tmp_path / "mappings" / "templates").mkdir(parents=True)
    (tmp_path / "mappings" / "rest").mkdir()
    for name, text in TEMPLATES.items():
        add(tmp_path, name, text)
    return tmp_path


def add(folder: Path, name: str, text: str, *, suffix: str = ".yaml") -> None:
    (folder / "mappings" / "templates" / f"{name}{suffix}").write_text(text)


def load(folder: Path, body: str) -> Mapping:
    path = folder / "mappings" / "rest" / "customer.yaml"
    path.write_text(HEAD + body)
    return load_mapping(path)


def complaints(folder: Path, body: str) -> list[str]:
    """The lines of the message, without the folder."""
    with pytest.raises(ConfigError) as caught:
        load(folder, body)
    return str(caught.value).replace(f"{folder}/mappings/", "").splitlines()


def complaint(folder: Path, body: str) -> str:
    found = complaints(folder, body)
    assert len(found) == 1, found
    return found[0]


def chain(use: str, more: str = "") -> str:
    return f"fields:\n  - {{local: a, remote: b, transform: {use}}}\n{more}"


@pytest.mark.parametrize(
    ("use", "written_out"),
    [
        ("{template: tidy}", "[trim, lower]"),
        ("[{template: tidy}, empty_to_null]", "[trim, lower, empty_to_null]"),
        ("[{truncate: 5}, {template: tidy}, {template: tidy}]", "[{truncate: 5}, trim, lower, trim, lower]"),
        ("{template: outer}", "[trim, strip_html, lower]"),
    ],
)
def test_a_field_template_is_its_chain_written_out_down_to_the_version(
    folder: Path, use: str, written_out: str
) -> None:
    named, plain = load(folder, chain(use)), load(folder, chain(written_out))
    assert named == plain
    assert named.version == plain.version


def test_a_field_of_a_list_of_lines_may_use_one_too(folder: Path) -> None:
    lines = "  - {local: n, remote: n}\n"
    child = f"children:\n  - local: app.lines\n    remote: items\n    key: n\n    parent: p\n    fields:\n    {lines}"
    found = load(folder, chain("trim", child.replace("remote: n}", "remote: n, transform: {template: tidy}}")))
    assert [use.transform.name for use in found.children[0].fields[0].transform] == ["trim", "lower"]
    assert [one.name for one in templates_used(found)] == ["tidy"]


MISTAKES = {
    "{template: tdy}": 'found "tdy", allowed outer, plain, tidy (did you mean "tidy"?)',
    "{template: 5}": "found 5, allowed outer, plain, tidy",
    "{template: name}": 'found "name", a template of level record, allowed one of level field: outer, plain, tidy',
    "{template: everything}": "a template of level batch, allowed one of level field: outer, plain, tidy",
}


@pytest.mark.parametrize("use", MISTAKES)
def test_a_name_that_is_no_field_template_is_answered_with_those_that_are(folder: Path, use: str) -> None:
    found = complaint(folder, chain(f"[trim, {use}]"))
    assert found.startswith("rest/customer.yaml:6: fields[0].transform[1]: found ")
    assert MISTAKES[use] in found


def test_a_mistake_behind_a_template_is_counted_as_it_is_written(folder: Path) -> None:
    found = complaint(folder, chain("[{template: outer}, lowr]"))
    assert found.startswith('rest/customer.yaml:6: fields[0].transform[1]: found "lowr"')


def test_what_is_wrong_inside_a_template_names_both_places(folder: Path) -> None:
    add(folder, "broken", "level: field\ntransform:\n  - trim\n  - trimm\n  - {truncate: x}\n")
    found = complaint(folder, chain("{template: broken}"))
    assert found.startswith(
        'rest/customer.yaml:6: fields[0].transform[0]: found the template "broken", which cannot be used: '
        'templates/broken.yaml:4: transform[1]: found "trimm", allowed '
    )
    assert found.endswith('(did you mean "trim"?) (and 1 more)')


def test_a_step_without_a_way_back_names_both_places_too(folder: Path) -> None:
    assert complaint(folder, chain("[lower, {template: outer}]", "direction: push\n")) == (
        'rest/customer.yaml:6: fields[0].transform[1]: found "strip_html" (in the template plain, '
        "templates/plain.yaml:4), which has no way back for a push; allowed with only: pull"
    )


def test_a_broken_template_harms_only_those_who_name_it(folder: Path) -> None:
    add(folder, "broken", "level: [\n")
    assert load(folder, chain("{template: tidy}"))
    assert "templates/broken.yaml:2: not valid YAML" in complaint(folder, chain("{template: broken}"))


def test_templates_may_not_lead_back_to_themselves(folder: Path) -> None:
    add(folder, "a", "level: field\ntransform: {template: b}\n")
    add(folder, "b", "level: field\ntransform: [trim, {template: c}]\n")
    add(folder, "c", "level: field\ntransform: [{template: a}]\n")
    add(folder, "itself", "level: field\ntransform: {template: itself}\n")
    assert 'found "a", which leads back to itself (a → b → c → a), allowed a chain that ends' in complaint(
        folder, chain("{template: a}")
    )
    assert "(itself → itself)" in complaint(folder, chain("{template: itself}"))


def test_templates_of_templates_do_not_multiply_without_end(folder: Path) -> None:
    add(folder, "t0", f"level: field\ntransform: [{', '.join(['trim'] * 10)}]\n")
    for number in range(1, 9):
        add(folder, f"t{number}", f"level: field\ntransform: [{', '.join([f'{{template: t{number - 1}}}'] * 10)}]\n")
    assert load(folder, chain("{template: t1}"))
    assert "found a chain that comes to 1000 transforms, allowed 100 at most" in complaint(
        folder, chain("{template: t8}")
    )


TEMPLATE_MISTAKES = {
    "level: feld\ntransform: trim\n": ':1: level: found "feld", allowed batch, field, record (did you mean "field"?)',
    "transform: trim\n": ":1: level: found null, allowed batch, field, record",
    "- trim\n": ":1: found a list of 1, allowed a table of keys: level, description, …",
    "level: field\ntransform: []\n": ":2: transform: found a list of 0, allowed one at least",
    "level: field\n": ":1: transform: found nothing, allowed: this key is required",
    "level: field\ntransform: trim\nreads: [a]\n": ':3: reads: found the unknown key "reads", allowed description',
    "level: field\nlevel: field\ntransform: trim\n": ':2: level: found "level" a second time',
    "level: field\ndescription: 5\ntransform: trim\n": ":2: description: found 5, allowed a text",
    "level: record\nfunction: splitname\nreads: [a]\ngives: [b]\n": ':2: function: found "splitname", allowed shout, '
    'split_name (did you mean "split_name"?)',
    "level: record\nfunction: keep_all\nreads: [a]\ngives: [b]\n": ':2: function: found "keep_all", allowed shout',
    "level: record\nfunction: shout\nreads: []\ngives: [b]\n": ":3: reads: found a list of 0, allowed one at least",
    "level: record\nfunction: shout\nreads: [a..b]\ngives: [b]\n": ':3: reads[0]: found "a..b", allowed a path',
    "level: record\nfunction: shout\nreads: [a]\ngives: [b.c]\n": ':4: gives[0]: found "b.c", allowed a name in',
    "level: record\nfunction: shout\nreads: [a, b, a]\ngives: [c]\n": ':3: reads: found "a" a second time',
    "level: batch\nfunction: split_name\n": ':2: function: found "split_name", allowed keep_all',
    "level: batch\n": ":1: function: found nothing, allowed: this key is required",
}


@pytest.mark.parametrize("text", TEMPLATE_MISTAKES)
def test_a_mistake_in_a_template_is_a_sentence(folder: Path, text: str) -> None:
    add(folder, "odd", text)
    with pytest.raises(ConfigError) as caught:
        find_templates(folder / "mappings" / "templates").get("odd")
    (line,) = str(caught.value).splitlines()
    assert f"templates/odd.yaml{TEMPLATE_MISTAKES[text]}" in line


def test_a_template_has_a_name_that_mappings_can_write_and_one_file(folder: Path) -> None:
    add(folder, "Clean Mail", TEMPLATES["tidy"])
    add(folder, "tidy", TEMPLATES["tidy"], suffix=".yml")
    templates = find_templates(folder / "mappings" / "templates")
    with pytest.raises(ConfigError, match='found the name "Clean Mail", allowed small letters, digits and _'):
        templates.get("Clean Mail")
    with pytest.raises(ConfigError, match=r"tidy\.yml: tidy\.yaml is a template of this name too, allowed one"):
        templates.get("tidy")
    with pytest.raises(ConfigError, match=r'There is no template "nam" \(did you mean "name"\?\)'):
        templates.get("nam")


USE_MISTAKES = {
    "record: nme": ':8: record[0]: found "nme", allowed loud, name (did you mean "name"?)',
    "record: [name, tidy]": ':8: record[1]: found "tidy", a template of level field, allowed one of level record: loud',
    "record: [5]": ":8: record[0]: found 5, allowed loud, name",
    "record: [{name: {}, loud: {}}]": ":8: record[0]: found an object with 2 keys, allowed a template's name, or",
    "record: [{name: 5}]": ":8: record[0].name: found 5, allowed {reads: {…}, gives: {…}}",
    "record: [{name: {read: {full: x}}}]": ':8: record[0].name.read: found the unknown key "read", allowed gives',
    "record: [{name: {reads: [full]}}]": ":8: record[0].name.reads: found a list of 1, allowed a table of keys: full",
    "record: [{name: {reads: {ful: x}}}]": ':8: record[0].name.reads.ful: found "ful", allowed full (did you mean',
    "record: [{name: {reads: {full: 5}}}]": ":8: record[0].name.reads.full: found 5, allowed a path",
    "record: [{name: {reads: {full: [x, a..b]}}}]": 'found "a..b", allowed a path such as Owner.email: "a..b" is not a',
    "record: [{name: {gives: {first: a.b}}}]": ':8: record[0].name.gives.first: found "a.b", allowed a name in letters',
    "record: [{name: {gives: {first: last}}}]": 'record[0].name.gives.last: found "last", given by the template name',
    "batch: [everything, evrything]": ':8: batch[1]: found "evrything", allowed everything (did you mean',
    "batch: name": ':8: batch[0]: found "name", a template of level record, allowed one of level batch: everything',
}


@pytest.mark.parametrize("use", USE_MISTAKES)
def test_a_mistake_where_a_template_is_used_is_a_sentence(folder: Path, use: str) -> None:
    assert USE_MISTAKES[use] in complaint(folder, f"{NAMES}{use}\n")


def test_a_name_is_given_once(folder: Path) -> None:
    found = complaint(folder, NAMES + "record: [name, {loud: {gives: {loud: last}}}]\n")
    assert found == (
        'rest/customer.yaml:8: record[1].loud.gives.loud: found "last", given by the template name already; '
        "allowed another name: {gives: {loud: …}}"
    )
    twice = "record:\n  - name\n  - name: {reads: {full: contact}, gives: {first: c_first, last: c_last}}\n"
    assert load(folder, NAMES + twice).record[1].names == ("c_first", "c_last")


def test_a_given_name_hides_what_is_read_of_the_record_only_if_the_mapping_says_so(folder: Path) -> None:
    for name in ("id", "at"):
        add(folder, f"gives_{name}", f"level: record\nfunction: shout\nreads: [quiet]\ngives: [{name}]\n")
    assert "hide what remote.key reads of the record" in complaint(folder, NAMES + "record: gives_id\n")
    assert "hide what remote.modified reads of the record" in complaint(folder, NAMES + "record: gives_at\n")
    found = complaint(folder, NAMES + "record: [{name: {reads: {full: loud}}}, loud]\n")
    assert found == (
        'rest/customer.yaml:8: record[1].loud.gives.loud: found "loud", which would hide what the template name '
        "reads of the record; allowed another name: {gives: {loud: …}}, or {gives: {loud: loud}} if that is meant"
    )
    meant = "record: [{name: {reads: {full: loud}}}, {loud: {gives: {loud: loud}}}]\n"
    assert load(folder, NAMES + meant).record[1].names == ("loud",)


def test_a_template_may_give_what_it_reads_under_the_same_name(folder: Path) -> None:
    add(folder, "same", "level: record\nfunction: shout\nreads: [quiet]\ngives: [quiet]\n")
    assert load(folder, "fields:\n  - {local: a, remote: quiet}\nrecord: same\n")


def test_a_given_value_is_taken_whole_and_lines_come_out_of_the_record(folder: Path) -> None:
    child = "children:\n  - {local: app.l, remote: last, key: n, parent: p, fields: [{local: n, remote: n}]}\n"
    assert complaints(folder, NAMES + "  - {local: c, remote: first.x}\nrecord: name\n" + child) == [
        'rest/customer.yaml:8: fields[2].remote: found "first.x", which goes into what a template gives; '
        'allowed "first" alone',
        'rest/customer.yaml:11: children[0].remote: found "last", which a template gives; allowed a list of the record',
    ]
    inside = "record: [name, {loud: {reads: {quiet: first.x}}}]\n"
    assert 'record[1].loud.reads.quiet: found "first.x", which goes into' in complaint(folder, NAMES + inside)


def test_without_a_reverse_what_a_template_gives_is_only_pulled(folder: Path) -> None:
    loud = "fields:\n  - {local: a, remote: loud%s}\n  - {local: b, remote: b}\nrecord: loud\n"
    assert complaint(folder, BOTH_WAYS + loud % "") == (
        "rest/customer.yaml:7: fields[0].remote: found a value of the template loud, which has no way back for a push "
        "(shout has no reverse); allowed with only: pull"
    )
    assert load(folder, BOTH_WAYS + loud % ", only: pull")
    assert load(folder, loud % "")


def test_a_template_goes_back_with_all_of_its_names_or_none(folder: Path) -> None:
    fields = "fields:\n  - {local: a, remote: first}\n  - {local: b, remote: last%s}\n  - {local: c, remote: c}\n"
    assert load(folder, f"{BOTH_WAYS}{fields % ''}record: name\n")
    found = complaint(folder, f"{BOTH_WAYS}{fields % ', only: pull'}record: name\n")
    assert "fields[0].remote: found a value of the template name, which cannot go back without last" in found
    none = fields.replace("first}", "first, only: pull}") % ", only: pull"
    assert load(folder, f"{BOTH_WAYS}{none}record: name\n")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("  - {local: c, remote: full}\n", 'fields[2].remote: found "full" and elsewhere "full"'),
        ("  - {local: c, remote: full.x}\n", 'fields[2].remote: found "full.x" and elsewhere "full"'),
        ("  - {local: c, remote: first}\n", 'fields[2].remote: found "first" and elsewhere "first"'),
    ],
)
def test_a_template_and_a_field_do_not_push_to_one_place(folder: Path, more: str, said: str) -> None:
    assert said in complaint(folder, f"{BOTH_WAYS}{NAMES}{more}record: name\n")
    position = "record: [{name: {reads: {full: names.1}}}]\n"
    assert "record[0].name.reads.full: found a list position above 0" in complaint(folder, BOTH_WAYS + NAMES + position)


def test_a_broken_field_is_not_taken_for_a_missing_one(folder: Path) -> None:
    found = complaints(folder, BOTH_WAYS + NAMES.replace("last}", "last, typ: x}") + "record: name\n")
    assert [line.partition(" found")[0] for line in found] == ["rest/customer.yaml:8: fields[1].typ:"]


def test_a_mapping_that_only_pushes_has_no_rows_for_a_batch_template(folder: Path) -> None:
    found = complaint(folder, "direction: push\n" + NAMES + "batch: everything\n")
    assert found.startswith("rest/customer.yaml:9: batch: found templates in a mapping that only pushes")


def test_functions_are_known_beside_their_mappings_and_nowhere_else(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "transforms").mkdir(parents=True)
    (other / "mappings" / "templates").mkdir(parents=True)
    (other / "mappings" / "rest").mkdir()
    add(other, "name", TEMPLATES["name"])
    load_transforms(folder / "transforms")
    assert 'found "split_name", allowed none' in complaint(other, NAMES + "record: name\n").replace("other/", "")
    (other / "transforms" / "same.py").write_text(FUNCTIONS.replace("first, _, last =", "last, _, first ="))
    here, there = (load(one, NAMES + "record: name\n").record[0].function for one in (folder, other))
    assert here.apply({"full": "a b"}) == {"first": "a", "last": "b"}
    assert there.apply({"full": "a b"}) == {"first": "b", "last": "a"}


FUNCTION_MISTAKES = {
    "@record_transform\ndef nothing():\n    return {}\n": "record function nothing must take one value, the dict of",
    "@record_transform(reverse=lambda: {})\ndef back(values):\n    return {}\n": "record function <lambda> must take",
    "@record_transform\ndef two(a, b):\n    return {}\n": "record function two must take one value",
    "@batch_transform\ndef rows():\n    return 1\n": "batch function rows must take one value, the DataFrame of",
    "@transform\ndef template(value):\n    return value\n": 'A transform cannot be called "template"',
    "@batch_transform\ndef keep_all(frame):\n    return frame\n": 'The batch function "keep_all" exists already (in ',
}


@pytest.mark.parametrize("body", FUNCTION_MISTAKES)
def test_a_function_that_cannot_be_called_is_refused_when_its_file_is_read(folder: Path, body: str) -> None:
    words = "from erpflow.mapping.transforms import batch_transform, record_transform, transform\n\n\n"
    (folder / "transforms" / "wrong.py").write_text(words + body)
    with pytest.raises(ConfigError) as caught:
        load(folder, NAMES)
    assert FUNCTION_MISTAKES[body] in str(caught.value)
    assert "wrong.py" in str(caught.value)


def test_one_name_may_be_a_transform_a_record_function_and_a_batch_function(folder: Path) -> None:
    words = "from erpflow.mapping.transforms import batch_transform, record_transform, transform\n"
    uses = "".join(f"\n\n@{kind}\ndef trio(value):\n    return value\n"
                   for kind in ("transform", "record_transform", "batch_transform"))  # fmt: skip
    (folder / "transforms" / "trio.py").write_text(words + uses)
    add(folder, "trio", "level: batch\nfunction: trio\n")
    assert load(folder, chain("trio", "batch: trio\n"))


def test_templates_kept_elsewhere_count_like_files_and_a_file_comes_first(folder: Path) -> None:
    path = folder / "mappings" / "rest" / "customer.yaml"
    path.write_text(HEAD + chain("[{template: tidy}, {template: kept}]"))
    kept = {
        "kept": {"level": "field", "description": "", "transform": [{"template": "plain"}, {"multiply": 0.5}]},
        "tidy": {"level": "field", "transform": ["upper"]},
    }
    uses = load_mapping(path, kept=kept).fields[0].transform
    assert [use.transform.name for use in uses] == ["trim", "lower", "trim", "strip_html", "multiply"]
    broken = {"kept": {"level": "field", "transform": ["trimm"]}}
    with pytest.raises(ConfigError, match='which cannot be used: template kept: transform\\[0\\]: found "trimm"'):
        load_mapping(path, kept=broken)


def test_plain_data_is_checked_as_a_template(folder: Path) -> None:
    among = find_templates(folder / "mappings" / "templates")
    made = parse_template({"level": "field", "transform": {"template": "tidy"}}, name="new", templates=among)
    assert (made.name, made.level, made.file) == ("new", Level.FIELD, None)
    assert made.definition == {"transform": {"template": "tidy"}}
    with pytest.raises(ConfigError, match="template new: found null, allowed a table of keys"):
        parse_template(None, name="new", templates=among)
    with pytest.raises(ConfigError, match=r"template tidy: transform.*leads back to itself \(tidy → tidy\)"):
        parse_template({"level": "field", "transform": {"template": "tidy"}}, name="tidy", templates=among)
    with pytest.raises(ConfigError, match=r'template new: level: found "x"'):
        parse_template({"level": "x"}, name="new")
    assert "new" not in among.names()


def test_a_mapping_of_plain_data_names_the_templates_it_is_given(folder: Path) -> None:
    data = {
        "system": "rest",
        "entity": "x",
        "remote": {"object": "x", "key": "id"},
        "local": {"table": "app.x"},
        "fields": [{"local": "a", "remote": "b", "transform": {"template": "tidy"}}],
    }
    among = find_templates(folder / "mappings" / "templates")
    assert len(parse_mapping(data, name="body", templates=among).fields[0].transform) == 2
    with pytest.raises(ConfigError, match=r'body: fields\[0\]\.transform\[0\]: found "tidy", allowed none'):
        parse_mapping(data, name="body")


def test_the_templates_a_mapping_uses_are_told_with_those_inside_them(folder: Path) -> None:
    found = templates_used(
        load(folder, chain("[{template: outer}, {template: tidy}]", "record: [name]\nbatch: [everything]\n"))
    )
    assert [(one.name, one.level) for one in found] == [
        ("outer", "field"),
        ("plain", "field"),
        ("tidy", "field"),
        ("name", "record"),
        ("everything", "batch"),
    ]
    assert found[2].description == "Small letters"
    assert found[3].definition == {"function": "split_name", "reads": ["full"], "gives": ["first", "last"]}
    assert templates_used(load(folder, chain("trim"))) == []


def version(folder: Path, body: str) -> str:
    return load(folder, body).version


USES = chain("{template: tidy}", "record: name\nbatch: everything\n")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tidy", "lower", "upper"),
        ("tidy", "[trim, lower]", "[lower, trim]"),
        ("name", "reads: [full]", "reads: [other]"),
        ("name", "[first, last]", "[last, first]"),
        ("name", "split_name", "shout"),
    ],
)
def test_a_changed_template_changes_the_version_of_the_mappings_that_use_it(
    folder: Path, name: str, old: str, new: str
) -> None:
    before, without = version(folder, USES), version(folder, chain("trim"))
    add(folder, name, TEMPLATES[name].replace(old, new))
    assert version(folder, USES) != before
    assert version(folder, chain("trim")) == without


@pytest.mark.parametrize("use", ["record: name\n", "batch: everything\n", "record: loud\n"])
def test_a_changed_function_changes_the_version_of_the_mappings_that_use_it(folder: Path, use: str) -> None:
    before, without = version(folder, chain("trim", use)), version(folder, chain("trim"))
    (folder / "transforms" / "names.py").write_text(FUNCTIONS + "\n# changed\n")
    assert version(folder, chain("trim", use)) != before
    assert version(folder, chain("trim")) == without
    assert len({version(folder, chain("trim", use)), before, without}) == 3


@pytest.mark.parametrize(
    "same",
    [
        "record: [name]\nbatch: [everything]\n",
        "record: [{name: {reads: {full: full}, gives: {first: first}}}]\nbatch: everything\n",
        "batch: everything\nrecord: renamed\n",
    ],
)
def test_what_changes_no_result_changes_no_version(folder: Path, same: str) -> None:
    add(folder, "renamed", "# Names\ndescription: Names\n" + TEMPLATES["name"])
    assert version(folder, chain("{template: tidy}", same)) == version(folder, USES)


@pytest.mark.parametrize(
    "other",
    [
        "record: [{name: {reads: {full: x}}}]\nbatch: everything\n",
        "record: [{name: {gives: {first: x}}}]\nbatch: everything\n",
        "record: name\n",
        "record: name\nbatch: [everything, everything]\n",
        "record: [loud, name]\nbatch: everything\n",
    ],
)
def test_another_use_is_another_version(folder: Path, other: str) -> None:
    assert version(folder, chain("{template: tidy}", other)) != version(folder, USES)
