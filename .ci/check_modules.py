"""Fails when a module is longer than 600 lines or carries a name that says nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".ci", "bench", "dags", "include", "plugins", "sandbox", "stack", "tests")
LONGEST_LINES = 600
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


def complaints(root: Path) -> Iterator[str]:
    """One sentence for each module that breaks a rule of the house."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            shown = path.relative_to(root)
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LONGEST_LINES:
                yield f"{shown} has {lines} lines; a module ends at {LONGEST_LINES}. Split it by what it is about."
            if path.stem in EMPTY_NAMES or path.parent.name in EMPTY_NAMES:
                yield f"{shown} has a name that says nothing. Name the module after what it holds."


def main() -> int:
    """Print the complaints; a status for the shell."""
    found = list(complaints(ROOT))
    for line in found:
        sys.stderr.write(line + "\n")
    if not found:
        sys.stdout.write("Module sizes and names: fine.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
