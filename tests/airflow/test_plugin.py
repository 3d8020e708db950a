"""The plugin as each of Airflow's processes loads it: only the API server pays for the API."""

from __future__ import annotations

import ast
import subprocess
import sys

from erpflow.api.app import VENDOR_ROUTERS


def loaded_after(statement: str) -> set[str]:
    """The modules of FastAPI and of the API that a process of Airflow's has after it."""
    program = (
        "import sys; import airflow.sdk; from airflow import plugins_manager;"
        "from airflow.plugins_manager import AirflowPlugin;"
        "from erpflow.airflow.plugin import ErpflowPlugin;"
        "before = set(sys.modules);"
        "plugins_manager._get_plugins.cache_clear();"
        "plugins_manager._get_plugins = lambda: ([ErpflowPlugin()], {});"
        f"{statement};"
        "print([name for name in sys.modules if name.startswith(('fastapi', 'erpflow.api'))])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.strip().splitlines()[-1]))


def test_a_task_and_the_scheduler_load_the_plugin_without_the_api() -> None:
    looked_at = (
        "plugins_manager.get_operator_extra_links(), plugins_manager.get_timetables_plugins(),"
        " plugins_manager.integrate_macros_plugins(), plugins_manager.get_priority_weight_strategy_plugins()"
    )
    assert not {name for name in loaded_after(looked_at) if name.startswith("erpflow.api")}


def test_the_api_server_gets_the_api_when_it_looks_for_apps() -> None:
    looked_at = f"apps, _ = plugins_manager.get_fastapi_plugins(); assert len(apps) == {1 + len(VENDOR_ROUTERS)}"
    assert "erpflow.api.app" in loaded_after(looked_at)
