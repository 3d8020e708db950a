"""A new connector to start from: it reads customers from a sandbox of its own, and keeps the contract at once."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from erpflow.errors import ConfigError

_HERE: Final = Path(__file__).parent
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME: Final = 24
_TITLE: Final = re.compile(r"[A-Z0-9][\w .+-]{0,29}")

FILES: Final = {
    "connector.py.tmpl": "plugins/erpflow/connectors/{system}.py",
    "sandbox.py.tmpl": "sandbox/{system}/__init__.py",
    "sandbox_api.py.tmpl": "sandbox/{system}/api.py",
    "vendor.py.tmpl": "tests/contract/{system}_vendor.py",
    "contract.py.tmpl": "tests/contract/test_{system}_connector.py",
    "mapping.yaml.tmpl": "include/mappings/{system}/customer.yaml",
    "dag.py.tmpl": "dags/{system}.py",
    "page.md.tmpl": "docs/systems/{system}.md",
}
"""What is made, by template."""

LISTS: Final = {
    "plugins/erpflow/connectors/registry.py": (
        r"_BUILT_IN: Final = \{\n",
        '    "$system": "erpflow.connectors.$system:$cls",\n',
    ),
    "plugins/erpflow/airflow/hooks.py": (
        r"(?=HOOKS: dict\[)",
        '''class ${cls}Hook(VendorHook):
    """$title: the password is the API key. ADAPT: the fields a person fills in."""

    conn_type = "$system"
    conn_name_attr = "http_conn_id"
    default_conn_name = "${system}_default"
    hook_name = "$title"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "login", "extra"],
        "relabeling": {"host": "Address", "password": "API key"},
        "placeholders": {"host": "https://api.example.com"},
    }


''',
    ),
    "tests/airflow/test_dags.py": (r"\nENTITIES = \{\n", '    "$system": ("customer",),\n'),
}
"""The files that list every system: behind what the new one is put, and how it looks there."""


def scaffold(project: Path, system: str, *, title: str) -> list[Path]:
    """Make the files of a new system and put it on the lists; what was made and changed, relative to `project`.

    Raises ConfigError, before anything is written, for a name that is none or is taken, and for a folder that is not
    this project.
    """
    words = _words(system, title)
    made = {Path(path.format(system=system)): _filled(name, words) for name, path in FILES.items()}
    for path in made:
        if (project / path).exists():
            raise ConfigError(f"{project / path} exists already. Choose another name, or go on with what is there.")
    listed = {Path(path): _listed(project, path, words) for path in LISTS}
    for path, text in (made | listed).items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, encoding="utf-8")
    return [*made, *listed]


def _words(system: str, title: str) -> dict[str, str]:
    if not _NAME.fullmatch(system) or len(system) > _LONGEST_NAME:
        raise ConfigError(
            f'"{system}" cannot be the name of a system: small letters and digits, words joined by "_" (acme_books), '
            f"at most {_LONGEST_NAME} characters."
        )
    if not _TITLE.fullmatch(title):
        raise ConfigError(f'"{title}" cannot be a title: letters, digits, spaces and . + -, at most 30 (Acme Books).')
    return {"system": system, "title": title, "cls": "".join(part.capitalize() for part in system.split("_"))}


def _filled(name: str, words: dict[str, str]) -> str:
    return Template((_HERE / name).read_text(encoding="utf-8")).substitute(words)


def _listed(project: Path, path: str, words: dict[str, str]) -> str:
    """The file of a list with the new system on it."""
    try:
        text = (project / path).read_text(encoding="utf-8")
    except OSError:
        raise ConfigError(
            f"{project} has no {path}: run this in a clone of erpflow, or name one with --project."
        ) from None
    if f'"{words["system"]}"' in text:
        raise ConfigError(f'{project / path} knows a "{words["system"]}" already. Choose another name.')
    pattern, added = LISTS[path]
    found = re.search(pattern, text)
    if found is None:
        raise ConfigError(f"{project / path} is not as expected: there is no place for a new system in it.")
    return text[: found.end()] + Template(added).substitute(words) + text[found.end() :]
