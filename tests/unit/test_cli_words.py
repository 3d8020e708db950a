"""The command `erpflow` without a database: it starts light, explains itself, and answers mistakes in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from erpflow.cli import erpflow, main
from erpflow.cli.terminal import printable

PROJECT = Path(__file__).parents[2]
CUSTOMER = PROJECT / "include" / "mappings" / "erpnext" / "customer.yaml"
HEAVY = (
    "airflow",
    "alembic",
    "msgspec",
    "pandas",
    "psycopg",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "structlog",
)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No database, no state folder, an empty working folder."""
    for name in list(os.environ):
        if name.startswith(("ERPFLOW", "AIRFLOW")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_the_command_starts_without_anything_heavy() -> None:
    program = f"import sys, erpflow.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(erpflow.commands) == {
        "api-key", "conflict", "connect", "connection", "connector", "db", "delivery", "history", "mapping", "plan",
        "reconcile", "reject", "replay", "sandbox", "serve", "subscription", "sync", "template", "tenant", "version",
    }  # fmt: skip
    for group in (
        "api-key",
        "conflict",
        "connection",
        "connector",
        "db",
        "mapping",
        "reject",
        "sync",
        "template",
        "tenant",
    ):
        for name, command in erpflow.commands[group].commands.items():  # type: ignore[attr-defined]
            assert command.help, name
            assert run(group, name, "--help") == 0
            assert "Usage: erpflow" in capsys.readouterr().out


def test_the_version_names_everything_that_matters(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert capsys.readouterr().out.startswith("erpflow 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("conection",), "No such command"),
        (("db", "upgrade", "--with-demo-table"), "--with-demo-tables"),
        (("sync", "run", "only-one"), "Missing argument 'ENTITY'"),
        (("db", "upgrade"), "No database is set. Set ERPFLOW_DATABASE_URL="),
        (("mapping", "check", "nowhere"), "There is no file or folder nowhere."),
        (("mapping", "preview", str(CUSTOMER)), "Say where the records come from"),
        (("mapping", "preview", str(CUSTOMER), "--file", "nowhere"), "The file nowhere cannot be read"),
        (("mapping", "preview", str(CUSTOMER), "--file", "x", "--limit", "101"), "1<=x<=100"),
    ],
)
def test_a_mistake_ends_with_status_1_and_no_traceback(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_an_empty_folder_of_mappings_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mapping", "check", str(tmp_path)) == 1
    assert f"There is no mapping in the folder {tmp_path}." in capsys.readouterr().err


def test_good_mappings_are_said_to_be_correct(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mapping", "check", str(CUSTOMER.parent)) == 0
    out = capsys.readouterr().out
    assert "customer of erpnext ↔ app.customers, 12 fields. Correct." in out
    assert "The tables were not looked at: ERPFLOW_DATABASE_URL is not set." in out


def test_a_bad_mapping_names_file_line_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "customer.yaml"
    bad.write_text(CUSTOMER.read_text().replace("direction: bidirectional", "direction: pul"))
    line = bad.read_text().splitlines().index("direction: pul") + 1
    assert run("mapping", "check", str(bad), str(CUSTOMER)) == 1
    captured = capsys.readouterr()
    assert f'{bad}:{line}: direction: found "pul"' in captured.err
    assert 'did you mean "pull"' in captured.err
    assert "1 of 2 mappings cannot be used." in captured.err
    assert "Correct." in captured.out


RECORDS = [
    {"name": "C-1", "customer_name": "  Ünïcode & Söhne ", "modified": "2026-01-01 00:00:00", "email_id": "A@B.C"},
    {"name": "C-2", "customer_name": "Bad limit", "modified": "2026-01-01 00:00:00", "credit_limit": "a lot"},
]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"data": RECORDS}),
        json.dumps(RECORDS),
        "\n".join(map(json.dumps, RECORDS)),
    ],
    ids=["page", "list", "lines"],
)
def test_a_preview_of_a_file_shows_both_sides_and_why_a_record_is_refused(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "records.json"
    source.write_text(content)
    assert run("mapping", "preview", str(CUSTOMER), "--file", str(source)) == 2
    out = capsys.readouterr().out
    assert "1. C-1: mapped" in out
    email = next(line for line in out.splitlines() if line.startswith("email_id"))
    assert email.split() == ["email_id", "A@B.C", "email", "a@b.c"]
    assert "2. C-2: rejected" in out
    assert 'credit_limit (from credit_limit or credit_limits.0.credit_limit): "a lot"' in out
    assert "2 records: 1 mapped, 1 rejected. Nothing was written." in out


def test_a_preview_takes_as_many_as_it_was_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "records.json"
    source.write_text(json.dumps(RECORDS))
    assert run("mapping", "preview", str(CUSTOMER), "--file", str(source), "--limit", "1") == 0
    assert "1 records: 1 mapped" in capsys.readouterr().out


def test_a_vendors_text_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "records.json"
    hostile = "\x1b]0;owned\x07\x1b[2J [red]markup[/red] \u202egnp"
    source.write_text(json.dumps([{**RECORDS[0], "customer_name": hostile, "name": hostile}]))
    assert run("mapping", "preview", str(CUSTOMER), "--file", str(source)) == 0
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)
    assert "[red]markup[/red]" in out


def test_a_long_value_is_cut_and_a_line_break_is_a_space() -> None:
    assert printable("a\nb\tc") == "a b c"
    assert printable("x" * 100, width=10) == "x" * 9 + "…"
    assert printable(None) == "None"
