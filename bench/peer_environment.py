"""The peers' own virtual environment, so that neither their pins nor ours bend to the other's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = ROOT / ".venv-bench"
PINS: Final = Path(__file__).with_name("requirements.txt")
_PYTHON: Final = ENVIRONMENT / "bin" / "python"


def peer_python() -> Path:
    """The interpreter of `.venv-bench`, made with the pins of bench/requirements.txt on first use or when they change.

    Raises SystemExit with a sentence when that fails (it needs the network).
    """
    stamp = ENVIRONMENT / "pins.sha256"
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if _PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return _PYTHON
    print("Installing the peers into .venv-bench (once) …", flush=True)
    for command in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT],
        ["pip", "install", "--quiet", "--python", _PYTHON, "-r", PINS],
    ):
        done = subprocess.run([_uv(), *map(str, command)], cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(
                f"The peers could not be installed: {done.stderr.strip()[-600:]}\n"
                "They come from PyPI. Without the network, run: make bench ARGS='--peers-at none'"
            )
    stamp.write_text(wanted)
    return _PYTHON


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"
