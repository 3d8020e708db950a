"""DAG runs started in the API server's own process, without a request to itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagNotFound, DagRunAlreadyExists
from airflow.models.dag import DagModel
from airflow.sdk.exceptions import ParamValidationError
from airflow.utils.types import DagRunTriggeredByType

from erpflow.errors import ConfigError, DagPaused


class InProcess:
    """Airflow's own trigger. It is half internal (3.3): this module is the only one that calls it."""

    def trigger(self, dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
        """Start a run; one of that id that was started before is not started again.

        Raises ConfigError when there is no such DAG or the conf does not fit it, DagPaused when the run would wait.
        """
        known = DagModel.get_dagmodel(dag_id)
        if known is not None and known.is_paused:
            raise DagPaused(f"The DAG {dag_id} is paused in Airflow: its runs wait. Unpause it on its page first.")
        try:
            trigger_dag(
                dag_id,
                triggered_by=DagRunTriggeredByType.REST_API,
                triggering_user_name=by,
                run_id=run_id,
                conf=conf,
            )
        except DagRunAlreadyExists:
            return run_id
        except DagNotFound:
            raise ConfigError(
                f"Airflow has no DAG {dag_id}. Is its file in the dags folder, and without an import error?"
            ) from None
        except (ParamValidationError, ValueError) as error:
            raise ConfigError(f"The DAG {dag_id} refuses this: {error}") from None
        return run_id

    def run_link(self, dag_id: str, run_id: str) -> str | None:
        """The page of a run in Airflow's UI."""
        return f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
