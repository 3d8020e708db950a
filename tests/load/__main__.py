"""`make load`: webhooks of several vendors at a steady rate, while Airflow runs, and two kills in between.

A demo is started; its ERPNext, QuickBooks and Zoho connections each get a webhook. A third of the way in, the server
that receives is killed with kill -9 and started again; two thirds in, the process that applies is. In the end every
event that was acknowledged must be in the inbox, and none may wait. Status 0: nothing was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

from stack.ports import free_port
from tests.load.sender import Address, Sent, send
from tests.load.vendors import VENDORS, Probe

PROJECT = Path(__file__).parents[2]
SYSTEMS = ("erpnext", "quickbooks", "zoho_crm")
UP_WITHIN_S = 600
SETTLED_WITHIN_S = 300
SERVE_WITHIN_S = 60


def options() -> argparse.Namespace:
    """How much for how long."""
    parser = argparse.ArgumentParser(prog="make load ARGS=…", description=__doc__)
    parser.add_argument("--per-minute", type=int, default=10_000, help="requests (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=3.0, help="(default: %(default)s)")
    parser.add_argument("--system", dest="systems", action="append", choices=SYSTEMS, help="(default: all three)")
    parser.add_argument("--no-kills", action="store_true", help="only the load")
    parser.add_argument("--in-airflow", action="store_true", help="send to Airflow's own API server; it is not killed")
    return parser.parse_args()


class Stack:
    """A demo in the background, with what is needed to call it."""

    def __init__(self, home: Path, systems: Sequence[str]) -> None:
        self.home = home
        self.port = free_port()
        self.output = home / "demo.txt"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("ERPFLOW_", "AIRFLOW"))}
        words = [word for system in systems for word in ("--system", system)]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack", "demo", *words, "--port", str(self.port)],
                cwd=PROJECT, env={**own, "ERPFLOW_HOME": str(home)}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        until(lambda: "Ctrl-C stops everything" in self.output.read_text(), within_s=UP_WITHIN_S, what=self._ended)
        self.variables = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines() if "=" in line)

    def _ended(self) -> str | None:
        return self.output.read_text() if self.process.poll() is not None else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        return (self.home / "sandbox.url").read_text().strip()

    @property
    def password(self) -> str:
        return str(json.loads((self.home / "keys" / "passwords.json").read_text())["admin"])

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement finds in the application's database."""
        with psycopg.connect(self.variables["ERPFLOW_DATABASE_URL"], autocommit=True) as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def login(self) -> dict[str, str]:
        """The header of somebody who may do everything."""
        who = {"username": "admin", "password": self.password}
        token = requests.post(f"{self.url}/auth/token", json=who, timeout=60).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def stop(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


class Server:
    """`erpflow serve` beside Airflow, to be killed and started again."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {
            **os.environ, **self.stack.variables, "ERPFLOW_HOME": str(self.stack.home),
            "ERPFLOW_AIRFLOW_URL": self.stack.url, "ERPFLOW_AIRFLOW_USER": "admin",
            "ERPFLOW_AIRFLOW_PASSWORD": self.stack.password,
        }  # fmt: skip
        command = [sys.executable, "-c", "from erpflow.cli import main; main()", "serve", "--port", str(self.port)]
        with (self.stack.home / "serve.txt").open("ab") as out:
            self.process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=out, stderr=out)
        until(self._answers, within_s=SERVE_WITHIN_S)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/erp/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


def until(look: Any, *, within_s: float, what: Any = lambda: None) -> Any:
    """Look until something is found. Ends the program when it takes too long, or `what` says why it never will."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        if (why := what()) or time.monotonic() > deadline:
            raise SystemExit(why or f"It did not happen within {within_s:.0f} seconds.")
        time.sleep(0.2)
    return found


def draining(stack: Stack) -> int | None:
    """The process of the task that applies events now."""
    path = "/api/v2/dags/erpflow__webhooks/dagRuns/~/taskInstances"
    found = requests.get(f"{stack.url}{path}", params={"state": "running"}, headers=stack.login(), timeout=60).json()
    return next((task["pid"] for task in found.get("task_instances", []) if task["pid"]), None)


@contextmanager
def killing(stack: Stack, server: Server | None, seconds: float, sent: Sent, told: list[str]) -> Iterator[None]:
    """Kill the server a third of the way in, and the drain at two thirds."""

    def kill() -> None:
        time.sleep(seconds / 3)
        if server is not None:
            down = time.monotonic()
            server.kill()
            server.start()
            sent.outages.append((down, time.monotonic()))
            told.append(f"the server was killed with kill -9, and back {time.monotonic() - down:.0f} s later")
        time.sleep(seconds / 3)
        if (pid := draining(stack)) is not None:
            os.kill(pid, signal.SIGKILL)
            told.append("the task that drains was killed with kill -9")

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    yield
    thread.join()


def register(stack: Stack, at: str) -> dict[str, Address]:
    """A webhook for the connection of each system, and what makes its requests."""
    login = stack.login()
    listed = requests.get(f"{stack.url}/api/erp/connections", headers=login, timeout=60).json()["items"]
    addresses = {}
    for connection in listed:
        vendor = VENDORS[connection["system"]]
        body = {"connection_id": connection["id"], "name": f"load {time.time():.0f}", **vendor.registration}
        made = requests.post(f"{stack.url}/api/erp/webhooks", json=body, headers=login, timeout=60)
        made.raise_for_status()
        ids = stack.rows(
            "SELECT r.remote_id FROM erpflow.erp_entity_sync_records r JOIN erpflow.erp_sync_configs c"
            " ON c.id = r.sync_config_id WHERE c.connection_id = %s AND c.entity = 'customer' ORDER BY 1",
            connection["id"],
        )
        secret = made.json()["verification_token"]
        url = f"{at}/api/erp/webhooks/{made.json()['id']}/receive"
        addresses[connection["system"]] = Address(url, vendor.maker([row[0] for row in ids], secret))
    return addresses


def main() -> int:
    """Run it and say what came of it."""
    given = options()
    seconds = given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="erpflow-load-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "home"
        home.mkdir()
        stack = Stack(home, given.systems or SYSTEMS)
        server = None if given.in_airflow else Server(stack)
        try:
            return _run(given, stack, server, seconds)
        finally:
            if server is not None:
                server.kill()
            stack.stop()


def _run(given: argparse.Namespace, stack: Stack, server: Server | None, seconds: float) -> int:
    at = register(stack, server.url if server else stack.url)
    addresses = list(at.values())
    sent, told = Sent(), [f"{given.per_minute:,} a minute for {given.minutes:g} minutes"]
    before = stack.rows("SELECT count(*) FROM erpflow.erp_webhook_events")[0][0]
    probe = Probe(stack.sandbox, at["erpnext"], stack.variables["ERPFLOW_DATABASE_URL"])
    with probe.running():
        if given.no_kills:
            asyncio.run(send(addresses, per_second=given.per_minute / 60, seconds=seconds, sent=sent))
        else:
            with killing(stack, server, seconds, sent, told):
                asyncio.run(send(addresses, per_second=given.per_minute / 60, seconds=seconds, sent=sent))
    waiting = "SELECT count(*) FROM erpflow.erp_webhook_events WHERE state = 'received'"
    began = time.monotonic()
    until(lambda: stack.rows(waiting) == [(0,)], within_s=SETTLED_WITHIN_S)
    settled = time.monotonic() - began
    states = dict(stack.rows("SELECT state, count(*) FROM erpflow.erp_webhook_events GROUP BY 1"))
    missing = set(sent.acknowledged) - {row[0] for row in stack.rows("SELECT id::text FROM erpflow.erp_webhook_events")}
    told += [
        f"{len(sent.answers):,} answers, {sent.repeated:,} requests sent again, refused: {sent.refused or 'none'}",
        f"answer: p50 {sent.percentile(0.5) * 1000:.0f} ms, p99 {sent.percentile(0.99) * 1000:.0f} ms, "
        f"longest {sent.percentile(1) * 1000:.0f} ms, but for the time that the server was down",
        f"receipt to row: p50 {probe.percentile(0.5):.2f} s, p95 {probe.percentile(0.95):.2f} s, "
        f"{len(probe.seconds)} times",
        f"inbox: {sum(states.values()) - before:,} events, {states}; empty {settled:.0f} s after the last one",
        f"acknowledged and not in the inbox: {len(missing)}",
    ]
    sys.stdout.write("\n".join(f"  {line}" for line in told) + "\n")
    return 1 if missing or sent.refused or states.get("parked") else 0


if __name__ == "__main__":
    sys.exit(main())
