"""The documentation names what there is: commands, environment variables, pages, decisions."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from erpflow.cli import erpflow

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


def commands(group: click.Group, name: str) -> list[str]:
    """The full names of a group's commands, subgroups included."""
    found = []
    for word, command in group.commands.items():
        found += commands(command, f"{name} {word}") if isinstance(command, click.Group) else [f"{name} {word}"]
    return found


@pytest.mark.parametrize("command", commands(erpflow, "erpflow"))
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in (ROOT / "docs" / "reference-cli.md").read_text(encoding="utf-8")


def test_every_environment_variable_is_documented() -> None:
    sources = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "stack").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"\bERPFLOW_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    documented = (ROOT / "docs" / "reference-cli.md").read_text(encoding="utf-8")
    assert {name for name in used if f"`{name}`" not in documented} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in sorted((ROOT / "docs" / "adr").glob("0*.md")) if f"({page.name})" not in listed] == []


def test_every_kind_of_error_is_in_the_architecture() -> None:
    from erpflow import errors

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    family = [
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.ErpflowError)
    ]
    assert [name for name in family if name != "ErpflowError" and f"`{name}" not in text] == []
