"""Airflow reads this when it starts: the scheduler imports early what every task needs.

LocalExecutor forks its workers from the scheduler and each task from a worker, and a fork inherits what is imported: a
task then starts in a quarter of a second instead of two seconds. The other processes have no use for these modules.
"""

import importlib
import sys

__all__: list[str] = []  # nothing here is an Airflow setting

_FOR_TASKS = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.http.hooks.http",
    "airflow.providers.postgres.hooks.postgres",
    "erpflow.airflow.operators",
    "erpflow.airflow.environment",
    "erpflow.airflow.plugin",  # every task loads the plugins, for the links of its operator
    "erpflow.sync.plan",
    "erpflow.sync.pull",
    "phonenumbers",
)

if "scheduler" in sys.argv:
    for _name in _FOR_TASKS:
        importlib.import_module(_name)

    from erpflow.connectors import registry as _registry

    for _system in _registry.systems():
        _registry.connector_class(_system)
