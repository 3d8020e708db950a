"""Which mappings use which templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from erpflow.errors import ConfigError
from erpflow.mapping.load import find_mappings, load_mapping
from erpflow.mapping.templates import Kept, templates_used

Overridden = Iterable[tuple[str, str, Mapping[str, Any]]]
"""Sync configs that say something in place of their files: name, path of the file, overrides."""


def uses_of_templates(
    folder: Path, *, kept: Kept | None = None, overridden: Overridden = ()
) -> tuple[dict[str, list[str]], list[str]]:
    """The mappings (`erpnext/customer.yaml`) and sync configs (`shop customer`) that use each template.

    Also those that cannot be read. `folder`: that of the mapping files.
    """
    used_by: dict[str, list[str]] = {}
    unreadable = []
    files = [path.relative_to(folder).as_posix() for path in find_mappings(folder)]
    for name, path, overrides in chain(((path, path, {}) for path in files), overridden):
        try:
            for found in templates_used(load_mapping(folder / path, kept=kept, overrides=overrides)):
                used_by.setdefault(found.name, []).append(name)
        except ConfigError:
            unreadable.append(name)
    return used_by, unreadable
