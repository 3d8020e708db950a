"""Airflow on one machine: its settings as environment variables, its four processes, its metadata database.

The settings are those that made a run start in a tenth of a second on two cores; each odd one says why.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import psycopg

from stack.keys import Keys, roles_of
from stack.ports import HOST
from stack.processes import GRACE_S, Command

API_SERVER: Final = "api-server"
DAG_PROCESSOR: Final = "dag-processor"
MIGRATE: Final = "airflow-migrate"
SCHEDULER: Final = "scheduler"
TRIGGERER: Final = "triggerer"

STATELESS_S: Final = 2.0
"""The API server stops serving at once and then waits for its threads; it has nothing to lose."""

APPLICATION_CONNECTION: Final = "erpflow_db"

OWN_CONFIGURATION: Final = ("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONFIG")
"""Variables of the caller that would mix another Airflow's settings into this one."""

NOT_OURS: Final = ("GitWildMatchPattern", "Using `httpx` with `starlette.testclient`")
"""Beginnings of warnings about Airflow's own use of libraries: each task would open its log with them."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where one machine's Airflow keeps its files, and the two databases it knows.

    `home` is the state folder, `project` the folder with dags/, plugins/, config/ and include/; `users` the role of
    each by name.
    """

    project: Path
    home: Path
    port: int
    metadata_url: str = field(repr=False)
    application_url: str = field(repr=False)
    dags: Path | None = None
    users: Mapping[str, str] = field(default_factory=lambda: roles_of(""))

    @property
    def url(self) -> str:
        """Where the UI and the API are."""
        return f"http://{HOST}:{self.port}"

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    @property
    def logs(self) -> Path:
        """The folder with one log per process; the logs of tasks are in `airflow/logs`."""
        return self.home / "logs"


def environment(machine: Machine, keys: Keys, *, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every process of this Airflow."""
    inherited = os.environ if inherited is None else inherited
    kept = {name: value for name, value in inherited.items() if not name.startswith(OWN_CONFIGURATION)}
    return {**kept, **_erpflow_settings(machine), **_airflow_settings(machine, keys)}


def _erpflow_settings(machine: Machine) -> dict[str, str]:
    return {
        "ERPFLOW_HOME": str(machine.home),
        "ERPFLOW_DATABASE_URL": machine.application_url,
        "ERPFLOW_LANDING_URI": os.environ.get("ERPFLOW_LANDING_URI", (machine.home / "landing").as_uri()),
        "ERPFLOW_MAPPINGS": os.environ.get("ERPFLOW_MAPPINGS", str(machine.project / "include" / "mappings")),
        f"AIRFLOW_CONN_{APPLICATION_CONNECTION.upper()}": machine.application_url,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(f"ignore:{text}" for text in NOT_OURS),
        # Airflow and its dependencies ask nobody and tell nobody.
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
    }


def _airflow_settings(machine: Machine, keys: Keys) -> dict[str, str]:
    settings = {
        "CORE__DAGS_FOLDER": str(machine.dags or machine.project / "dags"),
        # .airflowignore in there keeps the package itself from being imported file by file as plugins.
        "CORE__PLUGINS_FOLDER": str(machine.project / "plugins"),
        "CORE__LOAD_EXAMPLES": "false",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "8",  # LocalExecutor forks that many workers ahead of the first task
        "CORE__FERNET_KEY": keys.fernet,
        "CORE__EXECUTION_API_SERVER_URL": f"{machine.url}/execution/",
        # getfqdn, the default, asks the name server, which may take seconds where there is none.
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in machine.users.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(keys.passwords_file),
        "API__HOST": HOST,
        "API__PORT": str(machine.port),
        "API__BASE_URL": machine.url,
        "API__WORKERS": "1",  # each worker pays the first call of the task API by itself
        "API__SECRET_KEY": keys.api,
        "API__INSTANCE_NAME": "erpflow",
        "API_AUTH__JWT_SECRET": keys.jwt,
        "DATABASE__SQL_ALCHEMY_CONN": sqlalchemy_url(machine.metadata_url),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",  # 0.1 costs a fifth of a core while nothing happens
        # A worker notices the end of its task only when this interval is over (the task's pipes close before it ends),
        # and is not free for the next one until then. The default of 5 s leaves 8 workers 1.5 tasks per second.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "WORKERS__MAX_FAILED_HEARTBEATS": "15",  # the same 15 s of patience as 3 heartbeats of 5 s
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "LOGGING__BASE_LOG_FOLDER": str(machine.airflow_home / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(machine.airflow_home / "logs" / "dag_processor"),
        "LOGGING__COLORED_CONSOLE_LOG": "false",
    }
    return {"AIRFLOW_HOME": str(machine.airflow_home)} | {f"AIRFLOW__{key}": value for key, value in settings.items()}


def sqlalchemy_url(url: str) -> str:
    """A Postgres URL as Airflow's database layer wants it. `$` is spelt out: Airflow expands shell variables."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg2")).replace("$", "%24")


def prepare_folders(machine: Machine) -> None:
    """Make Airflow's home. Its four processes would otherwise write the same first configuration file at once."""
    machine.airflow_home.mkdir(parents=True, exist_ok=True)
    note = machine.airflow_home / "airflow.cfg"
    if not note.exists():
        note.write_text("# Every setting comes from the environment: see stack/airflow.py\n", encoding="utf-8")
    settings = machine.airflow_home / "config"
    if not settings.is_symlink() and not settings.exists():
        settings.symlink_to(machine.project / "config")


def commands(machine: Machine, variables: Mapping[str, str]) -> dict[str, Command]:
    """Every process by name. The API server is gated: it builds itself, then waits for the metadata database."""

    def airflow(name: str, *arguments: str, preload: tuple[str, ...] = ()) -> Command:
        return Command(
            name=name,
            module="airflow",
            arguments=arguments,
            log=machine.logs / f"{name}.log",
            environment=variables,
            preload=preload,
            gated=bool(preload),
            one_job=name == MIGRATE,
            patience_s=STATELESS_S if name == API_SERVER else GRACE_S,
        )

    all_commands = (
        airflow(MIGRATE, "db", "migrate"),
        airflow(API_SERVER, API_SERVER, preload=("airflow.api_fastapi.main",)),
        # Task logs are read from the disk they are on; serving them would open two ports on every address.
        airflow(SCHEDULER, SCHEDULER, "--skip-serve-logs"),
        airflow(DAG_PROCESSOR, DAG_PROCESSOR),
        airflow(TRIGGERER, TRIGGERER, "--skip-serve-logs"),
    )
    return {command.name: command for command in all_commands}


def needs_migration(machine: Machine) -> bool:
    """Whether the metadata database is not at the schema of the installed Airflow, without importing Airflow."""
    try:
        noted = json.loads(_note(machine).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return bool(noted != {"airflow": version("apache-airflow"), "revision": _revision(machine)})


def note_migration(machine: Machine) -> None:
    """Remember which schema this version of Airflow made."""
    note = {"airflow": version("apache-airflow"), "revision": _revision(machine)}
    _note(machine).write_text(json.dumps(note), encoding="utf-8")


def _note(machine: Machine) -> Path:
    return machine.airflow_home / "migrated.json"


def _revision(machine: Machine) -> str | None:
    with psycopg.connect(machine.metadata_url, connect_timeout=10) as connection:
        row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return None
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None
