"""`erpflow template`, and what the commands about mappings say where templates are used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from erpflow.cli import main

INCLUDE = Path(__file__).parents[2] / "include"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped mappings, templates and functions in the folder of a user, who stands in it."""
    shutil.copytree(INCLUDE, tmp_path / "include")
    monkeypatch.delenv("ERPFLOW_MAPPINGS", raising=False)
    monkeypatch.delenv("ERPFLOW_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "include" / "mappings"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_the_list_names_level_use_and_meaning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "templates" / "broken.yaml").write_text("level: feld\n")
    assert run("template", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "LEVEL", "USED", "BY", "DESCRIPTION"]
    found = {line.split()[0]: line.split()[1:4] for line in lines[1:]}
    assert found["clean_email"][0] == "field"
    assert "erpnext/customer.yaml" in next(line for line in lines if line.startswith("clean_email"))
    assert found["full_name"][:2] == ["record", "-"]
    assert found["fill_currency"][:2] == ["batch", "-"]
    assert "?  " in next(line for line in lines if line.startswith("broken"))
    assert "cannot be used; why: erpflow template check" in "\n".join(lines)


def test_a_mapping_that_cannot_be_read_is_not_passed_over_in_silence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "erpnext" / "order.yaml").write_text("system: 5\n")
    assert run("template", "list") == 0
    assert "What erpnext/order.yaml may use is not known; why: erpflow mapping check" in capsys.readouterr().err


def test_a_folder_without_templates_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(folder / "templates")
    assert run("template", "list") == 0
    assert "There are no templates in include/mappings/templates." in capsys.readouterr().out
    assert run("template", "check") == 1
    assert "There is no file or folder include/mappings/templates." in capsys.readouterr().err


def test_the_check_says_what_each_does_or_why_it_cannot_be_used(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("template", "check") == 0
    out = capsys.readouterr().out
    for said in (
        "clean_email.yaml: field template, trim, lower, empty_to_null. Correct.",
        "full_name.yaml: record template, full_name → first_name, last_name, both ways. Correct.",
        "→ address, only for a pull. Correct.",
        "fill_currency.yaml: batch template, currency_of_country. Correct.",
    ):
        assert said in out
    broken = folder / "templates" / "broken.yaml"
    broken.write_text("level: field\ntransform: [trimm]\n")
    assert run("template", "check", str(broken), str(folder / "templates" / "clean_email.yaml")) == 1
    captured = capsys.readouterr()
    assert f'{broken}:2: transform[0]: found "trimm", allowed ' in captured.err
    assert "1 of 2 templates cannot be used." in captured.err
    assert "Correct." in captured.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.yaml",), "There is no file or folder nowhere.yaml."),
        (("include/mappings/erpnext",), "level: found null, allowed batch, field, record"),
        (("include",), "There is no template in the folder include."),
        (("include/transforms/names.py",), 'There is no template "names". Known: none'),
    ],
)
def test_what_is_no_template_is_said_without_a_traceback(
    folder: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("template", "check", *words) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


MAPPING = """\
system: erpnext
entity: customer
remote: {object: Customer, key: name, modified: modified}
local: {table: app.customers}
record:
  - full_name: {reads: {full_name: customer_name}}
batch: [drop_test_customers]
fields:
  - {local: first_name, remote: first_name, required: true}
  - {local: last_name, remote: [last_name, name]}
  - {local: email, remote: email_id}
  - {local: limit, remote: limit, type: number}
"""
RECORDS = [
    {"name": "C-1", "customer_name": "Huda Al-Qahtani", "email": "h@alnoor.sa", "limit": 1.5},
    {"name": "C-2", "customer_name": "Test", "email_id": "t@example.com"},
    {"name": "C-3", "customer_name": ["x"]},
]


def test_a_preview_shows_what_templates_give_drop_and_reject(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "erpnext" / "named.yaml"
    path.write_text(MAPPING)
    (tmp_path / "records.json").write_text(json.dumps(RECORDS))
    assert run("mapping", "preview", str(path), "--file", "records.json") == 2
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["first_name", "(given)", "Huda", "first_name", "Huda"] in lines
    assert ["last_name", "(given)", "or", "name", "Al-Qahtani", "last_name", "Al-Qahtani"] in lines
    assert ["limit", "1.5", "limit", "1.5"] in lines
    assert "1. C-1: mapped" in out
    assert "2. C-2: dropped by drop_test_customers" in out
    assert "3. C-3: rejected" in out
    assert "the template full_name failed: a name is a text" in out
    assert "3 records: 1 mapped, 1 dropped, 1 rejected. Nothing was written." in out
