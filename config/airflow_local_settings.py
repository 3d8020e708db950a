"""Airflow reads this when it starts: the scheduler imports early what every task needs.

LocalExecutor forks the scheduler for each task, and the forks inherit what is imported: a task then starts in a
quarter of a second instead of seconds. The other processes have no use for these modules.
"""

import importlib
import sys
from importlib.util import find_spec

__all__: list[str] = []  # nothing here is an Airflow setting

_FOR_TASKS = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.common.io.xcom.backend",
    "airflow.providers.http.hooks.http",
    "airflow.providers.postgres.hooks.postgres",
    "msgspec",
    "psycopg",
    "requests",
    "xxhash",
)

if "scheduler" in sys.argv:
    for _name in _FOR_TASKS:
        if find_spec(_name.split(".")[0]) is not None:
            importlib.import_module(_name)
