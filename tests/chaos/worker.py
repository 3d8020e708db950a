"""A worker: a process that runs one sync log to its end, or until somebody kills it.

It is forked from a server that has everything imported, so that a kill hits the work and not the start.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from erpflow.cli.terminal import quiet_logs
from erpflow.connectors import erpnext
from erpflow.errors import ErpflowError
from erpflow.services.installation import database, engine
from erpflow.store.sync_logs import load_run
from erpflow.sync.pull import finish
from erpflow.vocabulary import Direction, SyncLogId

PAGE = 20
AT_ONCE = 5
"""Small pages, chunks and calls: a kill shall meet many moments."""

SURVIVED = 3
"""The status of a worker whose run failed as the family of errors has it, so that it is tried again."""


def context() -> ForkServerContext:
    """Where workers come from."""
    found = get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


def start(
    workers: ForkServerContext, log_id: SyncLogId, environment: Mapping[str, str], *, steps: bool, said: Path
) -> ForkServerProcess:
    """A worker at a log: all at once, or step by step as Airflow's tasks are. `said`: where an error goes."""
    process = workers.Process(target=work, args=(log_id, dict(environment), steps, str(said)), daemon=True)
    process.start()
    return process


def work(log_id: SyncLogId, environment: dict[str, str], steps: bool, said: str) -> None:
    """Run a log, and end with the status that says how it went."""
    os.environ.clear()
    os.environ.update(environment)
    quiet_logs(debug=False)
    _make_small()
    try:
        if steps:
            _run_steps(log_id)
        else:
            engine(database()).run(log_id)
    except ErpflowError:
        sys.exit(SURVIVED)
    except BaseException:
        with Path(said).open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        raise


def _make_small() -> None:
    from dataclasses import replace

    from erpflow.sync import push_settle, transform

    transform.CHUNK_RECORDS = PAGE
    push_settle.GRACE *= 0  # a dead sender's request may arrive at any time: the external id has to bear that alone
    entities = erpnext.ErpNext.spec.entities
    entities["customer"] = replace(entities["customer"], page_size=PAGE, bulk_size=AT_ONCE)  # type: ignore[index]


def _run_steps(log_id: SyncLogId) -> None:
    made = engine(database())
    with made.database.session() as connection:
        direction = load_run(connection, log_id).direction
    if direction is Direction.PUSH:
        push = made.push_job(log_id)
        push.check()
        push.extract()
        push.transform()
        push.load()
    else:
        pull = made.pull_job(log_id)
        pull.check()
        made.push_job(log_id).settle_open()
        with made.connect(pull.run) as vendor:
            pull.extract(vendor)
        pull.transform()
        made.push_job(log_id).settle_open()
        pull.load()
    finish(made.database, log_id)
