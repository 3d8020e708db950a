"""Which mappings use which templates."""

from __future__ import annotations

from pathlib import Path

from erpflow.errors import ConfigError
from erpflow.mapping.load import find_mappings, load_mapping
from erpflow.mapping.templates import Kept, templates_used


def uses_of_templates(folder: Path, *, kept: Kept | None = None) -> tuple[dict[str, list[str]], list[str]]:
    """The mappings (`erpnext/customer.yaml`) of a folder that use each template, and those that cannot be read."""
    used_by: dict[str, list[str]] = {}
    unreadable = []
    for path in find_mappings(folder):
        name = path.relative_to(folder).as_posix()
        try:
            for found in templates_used(load_mapping(path, kept=kept)):
                used_by.setdefault(found.name, []).append(name)
        except ConfigError:
            unreadable.append(name)
    return used_by, unreadable
