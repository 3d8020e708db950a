"""A process that runs one step of a sync and is killed with SIGKILL at a chosen instruction: no clean-up, no warning.

    python -m tests.crash DATABASE_URL FOLDER LOG_ID STEP [POINT NUMBER]

`POINT` is a name of `POINTS`; the process dies when it is reached for the `NUMBER`th time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from erpflow.store import pull, rejects, sync_logs
from erpflow.store.database import Database
from erpflow.sync import landing, transform
from erpflow.vocabulary import SyncLogId
from tests.engine import Shop, ShopConnector, customer

RECORDS = 20_000
CHUNK = 2_000
PAGE = 500


def records() -> list[dict[str, Any]]:
    """Twenty thousand customers, of which one in a thousand has no name."""
    return [customer(n, name=None if n % 1000 == 500 else f"Customer {n}") for n in range(RECORDS)]


def die() -> None:
    """End at once, as the kernel ends a process that runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def _torn_write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data[: len(data) // 2])
    die()


def _before(_call: Callable[..., Any], *_arguments: Any, **_options: Any) -> None:
    die()


def _after(call: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    call(*arguments, **options)
    die()


def _half(_call: Callable[..., Any], path: Path, data: bytes) -> None:
    _torn_write(path, data)


# step, owner of the function, its name, what happens when it is called for the last time
POINTS: dict[str, tuple[str, Any, str, Callable[..., None]]] = {
    "before a page lands": ("extract", landing.Landing, "land", _before),
    "in the middle of writing a page or its note": ("extract", Path, "write_bytes", _half),
    "after a page has landed": ("extract", landing.Landing, "land", _after),
    "before the extract is finished": ("extract", landing.Landing, "finish", _before),
    "after the extract is finished": ("extract", landing.Landing, "finish", _after),
    "before a chunk is written": ("transform", landing.Landing, "put_chunk", _before),
    "in the middle of writing a chunk": ("transform", Path, "write_bytes", _half),
    "after a chunk is written": ("transform", landing.Landing, "put_chunk", _after),
    "before the chunks are counted": ("transform", sync_logs, "note_total", _before),
    "before a chunk is staged": ("load", pull.ChunkWriter, "apply", _before),
    "after a chunk is applied": ("load", pull.ChunkWriter, "apply", _after),
    "before its rejects are kept": ("load", rejects, "record", _before),
    "before its counts are added": ("load", sync_logs, "add_counts", _before),
    "before the cursor moves": ("load", sync_logs, "advance_cursor", _before),
    "after the cursor has moved, before the commit": ("load", sync_logs, "advance_cursor", _after),
    "between two chunks": ("load", sync_logs, "claim_chunk", _before),
}


def arm(point: str, number: int) -> None:
    """Make the process die at `point`, the `number`th time it is reached."""
    _, owner, name, act = POINTS[point]
    original = getattr(owner, name)
    calls = 0

    def guarded(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            act(original, *arguments, **options)
        return original(*arguments, **options)

    setattr(owner, name, guarded)


def run_step(shop: Shop, log_id: SyncLogId, step: str) -> None:
    """Run `extract`, `transform` or `load` of a log, as a task does."""
    transform.CHUNK_RECORDS = CHUNK
    job = shop.job(log_id)
    if step == "extract":
        job.extract(ShopConnector(records(), page_size=PAGE))
    elif step == "transform":
        job.transform()
    else:
        job.load()


def main() -> None:
    """See the module."""
    url, folder, log_id, step, *crash = sys.argv[1:]
    shop = Shop.existing(Database(url), Path(folder))
    if crash:
        arm(crash[0], int(crash[1]))
    run_step(shop, SyncLogId(log_id), step)


if __name__ == "__main__":
    main()
