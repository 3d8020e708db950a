"""`python -m bench.limits`: how many requests a second the shared limiter lets through when no limit is reached.

Processes ask for one account as fast as they may; each request is one statement, and a second one gives its place back
where requests under way are limited. Prints a line for each number of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.database import fresh_database
from erpflow.store.connections import add_connection
from erpflow.store.database import Database
from erpflow.store.migrate import upgrade
from stack.postgres import postgres_for

WIDE: Final = {"per_second": 1e6, "per_minute": 1e8, "per_hour": 1e9, "per_day": 1e10}


def rate(database: Database, connection_id: str, *, workers: int, seconds: float, limits: dict[str, float]) -> float:
    """Requests let through each second, by all processes together."""
    words = [database.url, connection_id, str(workers), str(seconds), json.dumps(limits), "--count"]
    done = subprocess.run([sys.executable, "-m", "tests.limiting", *words], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 16], help="numbers of processes")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # the unprivileged user that runs the server for root must get in
        postgres = postgres_for(Path(folder), tell=lambda _: None)
        try:
            with fresh_database(postgres.start(), "erpflow_bench_limits") as url:
                database = Database(url)
                upgrade(database)
                with database.transaction() as connection:
                    id_ = add_connection(connection, "bench", system="erpnext").id
                for workers in options.workers:
                    for limits in (WIDE, {**WIDE, "concurrent": 50}):
                        found = rate(database, id_, workers=workers, seconds=options.seconds, limits=limits)
                        what = "with places to give back" if "concurrent" in limits else ""
                        print(f"{workers:3} processes: {found:6.0f} a second {what}  (load {os.getloadavg()[0]:.1f})")
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
