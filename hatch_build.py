"""Build hook: the package depends on what requirements.in lists under its run-time headings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class DependenciesFromRequirements(MetadataHookInterface):
    """Reads requirements.in up to the heading of the checks, which a user of the package does not need."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill `dependencies`; the pins of requirements.txt are for deployments, not for the package."""
        text = (Path(self.root) / "requirements.in").read_text(encoding="utf-8")
        runtime = text.split("# Checks:")[0]
        lines = (line.split("#")[0].strip() for line in runtime.splitlines())
        metadata["dependencies"] = [line for line in lines if line]
