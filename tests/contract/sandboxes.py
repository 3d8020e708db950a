"""Vendors' sandboxes as processes of their own, for the contract."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def sandbox(vendor: str, *arguments: str, folder: Path) -> Iterator[str]:
    """The sandbox of one vendor on a free port: its URL, below which the vendor and the side door are."""
    ready = folder / "ready"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", str(ready), "--vendor", vendor]
    process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not ready.exists():
            assert process.poll() is None, "the sandbox ended before it was ready"
            assert time.monotonic() < until, "the sandbox was not ready within a minute"
            time.sleep(0.05)
        yield ready.read_text().strip()
    finally:
        process.terminate()
        process.wait(timeout=15)
