"""A first load of many customers from the Zoho sandbox, by Bulk Read, into Postgres: seconds and peak memory.

`python -m bench.zoho_first_load [--records 200000]` starts Postgres and the sandbox, and runs the load as a process of
its own: consent, job, ZIP, CSV, landing files, mapping, rows. The sandbox's own time to write the CSV is in it.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import requests
import structlog

from bench import measure
from bench.database import fresh_database
from bench.erpflow_pull import CONFIGURE
from bench.job import Job, answer
from erpflow.connectors.account import Account
from erpflow.connectors.oauth import OAuthClient
from erpflow.connectors.registry import build
from erpflow.connectors.session import build_session
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from erpflow.sync.plan import RunRequest, plan
from erpflow.sync.pull import PullJob, finish
from erpflow.testing.tokens import LocalTokens
from erpflow.vocabulary import DEFAULT_TENANT
from sandbox.zoho_crm.accounts import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from stack.postgres import postgres_for

ROOT: Final = Path(__file__).parents[1]
SYSTEM, ENTITY = "zoho_crm", "customer"
REJECTED: Final = 1  # the sandbox's one customer with a NUL character
PATIENCE_S: Final = 120.0


def load(job: Job) -> dict[str, Any]:
    """One first load, as `erpflow sync run` does it."""
    database = Database(job.database_url)
    with database.session() as connection:
        planned = plan(connection, RunRequest(kind="manual"), system=SYSTEM, entity=ENTITY, now=datetime.now(UTC))
    log_id = planned[0].log_id
    run = PullJob.open(
        database,
        log_id,
        connector_class=lambda _: ZohoCrm,
        landing_root=Path(job.folder) / "landing",
        mappings=ROOT / "include" / "mappings",
    )
    account = Account(job.url, CLIENT_ID, CLIENT_SECRET)
    tokens = LocalTokens(OAuthClient(ZohoCrm.oauth, account), REFRESH_TOKEN)
    account = Account(job.url, CLIENT_ID, CLIENT_SECRET, tokens=tokens)
    with build_session(ZohoCrm, account) as session:
        run.run_whole(build(SYSTEM, session, base_url=ZohoCrm.address(account)))
    summary = finish(database, log_id)
    if summary.counts.created != job.records - REJECTED or summary.counts.rejected != REJECTED:
        raise RuntimeError(f"The run ended {summary.status} with {summary.counts}: {summary.error}")
    return {"counts": str(summary.counts), "pages": summary.pages}


def main() -> int:
    """Measures one load and prints it."""
    parser = argparse.ArgumentParser(prog="python -m bench.zoho_first_load", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="customers in the sandbox (default: %(default)s)")
    records = parser.parse_args().records
    home = Path(os.environ.get("ERPFLOW_HOME") or ".erpflow").absolute() / "bench"
    postgres = postgres_for(home, tell=lambda sentence: print(sentence, file=sys.stderr))
    server = postgres.start()
    try:
        with (
            TemporaryDirectory() as folder,
            fresh_database(server, "bench_zoho") as database_url,
            _sandbox(records, Path(folder)) as url,
        ):
            _prepare(database_url)
            job = Job(f"{url}/zoho_crm", database_url, "app", folder, records)
            found = measure.run([sys.executable, "-m", "bench.zoho_first_load"], job, cwd=ROOT, env={})
    finally:
        postgres.stop()
    print(
        f"{records:,} customers in {found.seconds:.1f} s, peak {found.peak_mib:.0f} MiB "
        f"({records / found.seconds:,.0f} a second). {found.notes['counts']}"
    )
    return 0


def _prepare(database_url: str) -> None:
    database = Database(database_url)
    upgrade(database, demo_tables=True)
    with database.session() as connection:
        names = {"tenant": DEFAULT_TENANT, "system": SYSTEM, "entity": ENTITY, "mapping": f"{SYSTEM}/{ENTITY}.yaml"}
        connection.execute(CONFIGURE, names)


@contextmanager
def _sandbox(records: int, folder: Path) -> Iterator[str]:
    """The sandbox with so many customers, and little else."""
    ready = folder / "ready"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", str(ready), "--vendor", SYSTEM]
    sizes = ["--customers", str(records), "--items", "10", "--orders", "0"]
    process = subprocess.Popen([*command, *sizes], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("The sandbox did not come up.")
            time.sleep(0.1)
        url = ready.read_text().strip()
        requests.post(f"{url}/_sandbox/zoho_crm/switches", json={"bulk_polls": 1}, timeout=10).raise_for_status()
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("{"):
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))  # as a task does
        answer(load)
    else:
        sys.exit(main())
