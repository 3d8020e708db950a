"""Removes the demo's data and the caches of the tools; refuses while a demo is running in this folder."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", "build", "dist")


def main() -> int:
    """Clean the folder of the project; a status for the shell."""
    home = Path(os.environ.get("ERPFLOW_HOME", str(ROOT / ".erpflow")))
    busy = _running_process(home)
    if busy:
        sys.stderr.write(
            f"A demo is running on {home} (process {busy}). Stop it with Ctrl-C or: kill {busy}\n"
            "Then run make clean again. Nothing was removed.\n"
        )
        return 1
    _stop_leftovers(home)
    targets = [*_postgres_elsewhere(home), home, *(ROOT / name for name in CACHES)]
    targets += [path for path in ROOT.rglob("__pycache__") if not path.relative_to(ROOT).parts[0].startswith(".venv")]
    for path in targets:
        if path.is_dir():
            shutil.rmtree(str(path))
    sys.stdout.write("Removed the demo's data and the caches. The virtual environment is still in .venv.\n")
    return 0


def _postgres_elsewhere(home: Path) -> "list[Path]":
    """Where the Postgres data lies when its user could not enter the state folder (see stack/postgres_place.py)."""
    try:
        place = Path((home / "postgres" / "place").read_text(encoding="utf-8").strip())
    except OSError:
        return []
    return [place] if place.name.startswith("erpflow-postgres-") else []


def _running_process(home: Path) -> int:
    """The process that holds the demo's lock on the state folder, 0 when nobody does."""
    try:
        with (home / "demo.pid").open() as note:
            try:
                fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(note.read().split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _stop_leftovers(home: Path) -> None:
    """Stop the database server of a demo that was killed; without an environment there cannot be one."""
    python = ROOT / ".venv" / "bin" / "python"
    if home.is_dir() and python.exists():
        environment = {**os.environ, "ERPFLOW_HOME": str(home)}
        subprocess.call([str(python), "-m", "stack", "stop"], cwd=str(ROOT), env=environment)


if __name__ == "__main__":
    sys.exit(main())
