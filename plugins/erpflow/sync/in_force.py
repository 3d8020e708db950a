"""The mapping that is in force for a sync config: its file, and what the config says in place of it."""

from __future__ import annotations

from collections.abc import Mapping as Values
from pathlib import Path
from typing import Any

from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import Kept


def mapping_in_force(mappings: Path, path: str, overrides: Values[str, Any], *, kept: Kept) -> Mapping:
    """The mapping of a run or a decision; its version covers the overrides and the templates it names.

    `path` is relative to `mappings`. `kept`: the templates that the config's tenant keeps (`store/templates.py`).
    Raises ConfigError naming file, line and key.
    """
    return load_mapping(mappings / path, overrides=overrides, kept=kept)
