"""`erpflow connector new`: what it makes is green at once, and it harms nothing that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from erpflow.cli.scaffold import FILES, LISTS, scaffold
from erpflow.errors import ConfigError

ROOT = Path(__file__).parents[2]
FOLDERS = ("plugins", "sandbox", "dags", "include")
TESTS = ("tests/__init__.py", "tests/contract", "tests/airflow")
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as far as a connector needs it, with a new system in it."""
    project = tmp_path_factory.mktemp("clone")
    for name in (*FOLDERS, *TESTS, "pyproject.toml", "requirements.in", "hatch_build.py"):
        source, target = ROOT / name, project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target)
    scaffold(project, "acme_books", title="Acme Books")
    return project


def run(project: Path, *words: str) -> str:
    """A tool in the copy, to its end: what it said. Its own modules come before those that are installed."""
    path = f"{project / 'plugins'}{os.pathsep}{project}"
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_new_connector_keeps_the_contract(clone: Path) -> None:
    test = "tests/contract/test_acme_books_connector.py"
    said = run(clone, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)
    passed = int(said.split(" passed")[0].split()[-1])
    assert passed >= 50 and "skipped" not in said and "failed" not in said


def test_the_new_files_are_in_the_projects_style_and_typed(clone: Path) -> None:
    made = [path.format(system="acme_books") for path in FILES.values() if path.endswith(".py")]
    run(clone, str(TOOLS / "ruff"), "check", "--no-cache", *made, *LISTS)
    run(clone, str(TOOLS / "ruff"), "format", "--no-cache", "--check", *made, *LISTS)
    typed = ["plugins/erpflow/connectors/acme_books.py", "sandbox/acme_books"]
    run(clone, str(TOOLS / "mypy"), "--no-incremental", "--follow-imports=silent", *typed)


def test_the_new_mapping_is_correct_and_the_dag_and_connection_type_are_there(clone: Path) -> None:
    said = run(
        clone, sys.executable, "-c", "from erpflow.cli import main; main()", "mapping", "check", "--no-database",
        "include/mappings/acme_books",
    )  # fmt: skip
    assert "customer of acme_books" in said
    assert 'dags_of("acme_books", "Acme Books", TABLES)' in (clone / "dags/acme_books.py").read_text()
    hooks = (clone / "plugins/erpflow/airflow/hooks.py").read_text()
    assert hooks.index("class AcmeBooksHook(VendorHook)") < hooks.index("HOOKS: dict[")


def test_the_style_holds_for_any_name(clone: Path) -> None:
    systems = ("a1", "zz_top", "abcdefghijklm_opqrstuvwx")
    made = {str(path) for name in systems for path in scaffold(clone, name, title="T" * 30) if path.suffix == ".py"}
    run(clone, str(TOOLS / "ruff"), "check", "--no-cache", *made)


@pytest.mark.parametrize(
    ("system", "title", "said"),
    [
        ("Acme", "Acme", "small letters"),
        ("../acme", "Acme", "small letters"),
        ("a" * 30, "Acme", "at most 24"),
        ("acme", 'Acme""" + evil', "title"),
        ("erpnext", "ERPNext", "already"),
    ],
)
def test_a_name_that_is_none_or_taken_is_refused_before_anything_is_written(
    tmp_path: Path, system: str, title: str, said: str
) -> None:
    for name in LISTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    before = sorted(path.read_bytes() for path in tmp_path.rglob("*.py"))
    with pytest.raises(ConfigError, match=said):
        scaffold(tmp_path, system, title=title)
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*.py")) == before


def test_a_folder_that_is_not_the_project_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clone of erpflow"):
        scaffold(tmp_path, "acme_books", title="Acme Books")
    assert list(tmp_path.iterdir()) == []
