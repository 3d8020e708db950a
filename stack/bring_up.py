"""Starts everything of one machine, as much of it at once as depends on nothing, and stops it again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from erpflow.errors import DatabaseUnavailable, ErpflowError
from erpflow.store.database import Database
from stack import airflow
from stack.airflow import API_SERVER, DAG_PROCESSOR, MIGRATE, SCHEDULER, TRIGGERER, Machine
from stack.airflow_api import AirflowApi
from stack.keys import USERS_VARIABLE, Keys, load_or_make, roles_of
from stack.postgres import ExistingPostgres, postgres_for
from stack.processes import Processes
from stack.progress import Progress, step
from stack.sandbox_process import Sandbox

POLL_S: Final = 0.1
HEALTHY_WITHIN_S: Final = 180.0

EMBEDDED_DATABASES: Final = ("airflow", "erpflow")
OTHERS_DATABASES: Final = ("erpflow_demo_airflow", "erpflow_demo")
"""Metadata and application. On somebody else's server the plain names may belong to an Airflow that is in use."""

POSTGRES_STEP: Final = "Postgres"
TABLES_STEP: Final = "Application tables"
METADATA_STEP: Final = "Airflow's metadata"
SANDBOX_STEP: Final = "Sandbox"
AIRFLOW_STEP: Final = "Airflow"


class NotReady(ErpflowError):
    """Something did not become ready in time."""


class Stack:
    """Postgres, the sandbox and Airflow on this machine. Use it from the main thread, and always `stop` it."""

    def __init__(self, *, project: Path, home: Path, port: int, progress: Progress, dags: Path | None = None) -> None:
        """`home` is the state folder; `dags` another folder of DAGs than the project's."""
        self._project = project
        self._home = home
        self._port = port
        self._dags = dags
        self.progress = progress
        self._postgres = postgres_for(home, tell=progress.note)
        self._users = roles_of(os.environ.get(USERS_VARIABLE, ""))
        self._keys: Keys = load_or_make(home / "keys", users=self._users)
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="bring-up")
        self.processes = Processes(cwd=project, secrets=self._keys.values())
        self.machine: Machine
        self.variables: dict[str, str]
        self.database: Database
        self.sandbox: Sandbox
        self.api: AirflowApi

    @property
    def password(self) -> str:
        """The administrator's, for the login of the UI."""
        return self._keys.admin_password

    def start(self) -> None:
        """Start everything and wait until it is ready for work; raises an error of the family that says what is not."""
        with step(self.progress, POSTGRES_STEP):
            self._start_postgres()
        airflow.prepare_folders(self.machine)
        commands = airflow.commands(self.machine, self.variables)
        self.progress.begin(AIRFLOW_STEP)
        self.processes.start(commands[API_SERVER])  # the slowest starter goes first; it waits at its gate
        self.progress.begin(SANDBOX_STEP)
        self.sandbox = Sandbox(self._home / "sandbox.url")
        self.processes.start(self.sandbox.command(logs=self.machine.logs, environment=self.variables))
        migrating = airflow.needs_migration(self.machine)
        if migrating:
            self.progress.begin(METADATA_STEP)
            self.processes.start(commands[MIGRATE])
        tables = self._pool.submit(self._upgrade_tables)
        if migrating:
            self._wait(lambda: self.processes.finished(MIGRATE), what=METADATA_STEP)
            airflow.note_migration(self.machine)
            self.progress.done(METADATA_STEP)
        self.processes.open_gate(API_SERVER)
        for name in (SCHEDULER, DAG_PROCESSOR, TRIGGERER):
            self.processes.start(commands[name])
        self._wait_for_work(tables)

    def stop(self) -> None:
        """Stop all of it; what is down already does not matter."""
        try:
            self.processes.stop()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._postgres.stop()
            self.processes.reap()

    def _start_postgres(self) -> None:
        server = self._postgres.start()
        names = OTHERS_DATABASES if isinstance(self._postgres, ExistingPostgres) else EMBEDDED_DATABASES
        for name in names:
            self._postgres.ensure_database(name)
        metadata, application = (server.url_for(name) for name in names)
        self.machine = Machine(
            project=self._project,
            home=self._home,
            port=self._port,
            metadata_url=metadata,
            application_url=application,
            dags=self._dags,
            users=self._users,
        )
        self.variables = airflow.environment(self.machine, self._keys)
        self.database = Database(self.machine.application_url, application_name="erpflow demo")
        self.api = AirflowApi(self.machine.url, password=self._keys.admin_password)

    def _upgrade_tables(self) -> None:
        from erpflow.store.migrate import upgrade

        with step(self.progress, TABLES_STEP):
            upgrade(self.database, demo_tables=True)

    def _wait_for_work(self, tables: Future[None]) -> None:
        """The rest becomes ready side by side: the tables, the sandbox, and Airflow's four processes."""
        sandbox = self._pool.submit(self._wait_for_sandbox)
        self._wait(lambda: "api_server" not in self._unhealthy(), what=AIRFLOW_STEP)
        warm = self._pool.submit(self.api.warm_up)
        # A warming API server answers nobody, so its health is asked for afterwards.
        for future in (warm, tables, sandbox):
            self._wait(future.done, what="Its start")
            future.result()
        self._wait(lambda: not self._unhealthy(), what=AIRFLOW_STEP)
        self.api.log_in()
        self.progress.done(AIRFLOW_STEP, self.machine.url)

    def _unhealthy(self) -> tuple[str, ...]:
        waiting = self.api.waiting_for()
        self.progress.tell(AIRFLOW_STEP, f"waiting for {', '.join(name.replace('_', ' ') for name in waiting)}")
        return waiting

    def _wait_for_sandbox(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while time.monotonic() < deadline:
            if self.sandbox.is_ready():
                self.progress.done(SANDBOX_STEP, self.sandbox.url)
                return
            time.sleep(POLL_S)

    def _wait(self, ready: Callable[[], bool], *, what: str) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while not ready():
            self.processes.check()
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{what} was not ready within {HEALTHY_WITHIN_S:.0f} seconds. The logs in {self.machine.logs} say "
                    "what it was doing. Try again; make clean starts from nothing."
                )
            time.sleep(POLL_S)


def stop_leftovers(home: Path) -> None:
    """Stop the Postgres server that a killed demo left behind."""
    if (home / "postgres").is_dir():
        with suppress(DatabaseUnavailable):
            postgres_for(home).stop()
