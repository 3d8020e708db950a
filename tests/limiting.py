"""Processes that ask one limiter as fast as they may, for a while.

    python -m tests.limiting DATABASE_URL CONNECTION_ID WORKERS SECONDS LIMITS

`LIMITS` is JSON. Prints a line for each request: when it began and when it ended, in seconds by one clock of this
machine. Ends early when there is nothing to be had any more. With `--count` the requests are over at once, and only how
many there were each second is printed. With `--send URL` they are sent there, as connectors send theirs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from types import SimpleNamespace

import requests
import structlog

from erpflow.connectors.transport import Transport
from erpflow.errors import RateLimited
from erpflow.store.database import Database
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.vocabulary import ConnectionId

LIMITS = ("per_second", "per_minute", "per_hour", "per_day", "concurrent")
LONGEST_WAIT_S = 5.0


def ask(limiter: PostgresLimiter, end: float, *, count: bool) -> str:
    """Ask until the end. What is printed of it."""
    asked, lines = 0, []
    while time.monotonic() < end:
        wait = limiter.acquire()
        if wait > LONGEST_WAIT_S:
            break
        asked += 1
        if not count:
            while wait:
                time.sleep(wait)
                wait = limiter.leave()
            began = time.monotonic()
            time.sleep(0.03)
            lines.append(f"{began} {time.monotonic()}\n")
        limiter.done()
    return f"{asked}\n" if count else "".join(lines)


def send(limiter: PostgresLimiter, end: float, *, url: str) -> str:
    """Send requests until the end; a line for each refusal that no patience was enough for."""
    lines = []
    with requests.Session() as session:
        transport = Transport(session, base_url=url, limiter=limiter)
        while time.monotonic() < end:
            try:
                transport.request("GET", "/customers")
            except RateLimited as error:
                lines.append(f"{error}\n")
    return "".join(lines)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    url, connection_id, workers, seconds, limits = sys.argv[1:6]
    allowed = SimpleNamespace(**{**dict.fromkeys(LIMITS), **json.loads(limits)})
    ready, go = os.pipe()
    url_of_vendor = sys.argv[sys.argv.index("--send") + 1] if "--send" in sys.argv else None
    pipes = []
    for _ in range(int(workers)):
        from_worker, to_parent = os.pipe()
        if os.fork() == 0:
            os.close(go)
            limiter = PostgresLimiter(Database(url), ConnectionId(connection_id), allowed)
            os.read(ready, 1)  # until the parent lets go
            end = time.monotonic() + float(seconds)
            if url_of_vendor:
                said = send(limiter, end, url=url_of_vendor)
            else:
                said = ask(limiter, end, count="--count" in sys.argv)
            with os.fdopen(to_parent, "w") as parent:
                parent.write(said)
            os._exit(0)
        os.close(to_parent)
        pipes.append(from_worker)
    os.close(go)
    said = [os.fdopen(pipe).read() for pipe in pipes]
    if "--count" in sys.argv:
        said = [f"{sum(map(int, said)) / float(seconds):.0f}\n"]
    sys.stdout.write("".join(said))


if __name__ == "__main__":
    main()
