"""One demo per state folder: a lock that ends with the process that holds it, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from erpflow.errors import ConfigError


@contextmanager
def only_demo(home: Path) -> Iterator[Path]:
    """Hold the state folder `home`; answers the file that says who does. ConfigError when another demo holds it."""
    note = home / "demo.pid"
    with note.open("a+", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            pid, _, url = handle.read().strip().partition(" ")
            where = f" and its UI is {url}" if url else ""
            raise ConfigError(
                f"A demo is already running on {home}: it is process {pid or '(starting)'}{where}. Use that one, or "
                f"stop it with Ctrl-C in its terminal{f' or: kill {pid}' if pid else ''}. A second one beside it needs "
                "a state folder of its own: ERPFLOW_HOME=.erpflow-2 make demo"
            ) from None
        announce(note)
        try:
            yield note
        finally:
            handle.truncate(0)


def announce(note: Path, *, url: str = "") -> None:
    """Write who holds the folder, and where the UI is."""
    note.write_text(f"{os.getpid()} {url}\n", encoding="ascii")
