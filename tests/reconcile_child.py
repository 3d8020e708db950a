"""A process that compares what one reconciliation has landed: to be measured, or killed in the middle.

    python -m tests.reconcile_child DATABASE_URL FOLDER LOG_ID [CHUNK]

It prints the most memory it had, in bytes, and ends. With `CHUNK` it dies with SIGKILL, without warning, when it is
about to compare that chunk.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import structlog

from erpflow.store.comparing import Comparer
from erpflow.store.database import Database
from erpflow.sync import report, transform
from erpflow.vocabulary import SyncLogId
from tests.reconciling import ReconciledShop

CHUNK = 2_000
"""Little, so that what grows with the records stands out against what a chunk needs."""

LOADED = report
"""pandas is in memory from the start: loading it would be the peak of a small comparison."""


def die_at(chunk: int) -> None:
    """End as the kernel ends a process that runs out of memory."""
    original, calls = Comparer.compare, 0

    def compare(comparer: Comparer, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == chunk:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(comparer, *arguments)

    Comparer.compare = compare  # type: ignore[method-assign]


def peak_memory() -> int:
    """The most memory this program had. Not `ru_maxrss`: that begins with what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """See the module."""
    url, folder, log_id, *chunk = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if chunk:
        die_at(int(chunk[0]))
    transform.CHUNK_RECORDS = CHUNK
    shop = ReconciledShop(Database(url), Path(folder), is_new=False)
    shop.engine.reconcile_job(SyncLogId(log_id)).compare()
    sys.stdout.write(str(peak_memory()))


if __name__ == "__main__":
    main()
