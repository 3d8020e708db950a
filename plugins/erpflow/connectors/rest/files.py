"""Where declarations are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "ERPFLOW_CONNECTORS"


def connectors_folder() -> Path:
    """The folder of declarations: ERPFLOW_CONNECTORS, or include/connectors here, or beside the plugins folder."""
    configured = os.environ.get(VARIABLE)
    if configured:
        return Path(configured)
    here = Path("include") / "connectors"
    return here if here.is_dir() else Path(__file__).parents[4] / "include" / "connectors"


def find_declarations(folder: Path | None = None) -> dict[str, Path]:
    """The declarations by the name of their file, which is that of their system."""
    found = folder or connectors_folder()
    return {path.stem: path for path in sorted(found.glob("*.yaml")) if path.is_file()}
