"""The mapping that is in force for a sync config: its file, and what the config says in place of it."""

from __future__ import annotations

from collections.abc import Mapping as Values
from pathlib import Path
from typing import Any

from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping


def mapping_in_force(mappings: Path, path: str, overrides: Values[str, Any]) -> Mapping:
    """The mapping of a run or a decision; its version covers the overrides. `path` is relative to `mappings`.

    Raises ConfigError naming file, line and key.
    """
    return load_mapping(mappings / path, overrides=overrides) if overrides else load_mapping(mappings / path)
