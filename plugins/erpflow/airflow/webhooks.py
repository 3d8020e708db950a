"""The DAG that applies what vendors' webhooks have told: every minute what is due, or for as long as more comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG, BaseOperator, Param

from erpflow.airflow.own_dag import own_dag

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

log = structlog.get_logger(__name__)

DAG_ID = "erpflow__webhooks"
LONGEST_STAY_S = 600
LONGEST_RUN = timedelta(minutes=30)
"""A drain hands over after a quarter of an hour; a vendor may keep its last pull waiting."""

DOC = """
### Apply what webhooks have told

Takes the events that are due out of the inbox, reads the records that they name again at the vendor, and applies them:
one pull for all events of an entity. What the vendor cannot answer now is tried again, ten times, then **parked** with
the reason; other connections go on.

A run each minute sweeps. A webhook that comes in while no run listens starts one of its own, which stays for *stay_s*
seconds after the last event, so that those behind it are applied at once. Killing a run loses nothing.
"""


class DrainOperator(BaseOperator):
    """Apply the events of the inbox that are due, and those that come while the run stays."""

    def execute(self, context: Context) -> dict[str, Any]:
        """How many events were applied, ignored, put off and parked, in how many pulls."""
        from erpflow.airflow.environment import engine
        from erpflow.webhooks.drain import Drain

        run = context["dag_run"]
        drain = Drain(engine(), dag_id=run.dag_id, dag_run_id=run.run_id)
        drained = drain.run(stay_s=float(context["params"]["stay_s"]))
        told = {"events": drained.events, "runs": drained.runs} | {
            state.value: number for state, number in drained.states.items()
        }
        log.info("inbox_drained", **told)
        return told


def webhooks_dag(*, cron: str) -> DAG:
    """The DAG `erpflow__webhooks`."""
    stay = Param(
        0, type="number", minimum=0, maximum=LONGEST_STAY_S, title="Stay", description="Seconds after the last event"
    )
    with own_dag(
        DAG_ID,
        cron=cron,
        doc=DOC,
        retries=3,
        retry_delay=timedelta(seconds=10),
        is_paused_upon_creation=False,  # what was registered is waited for; without that it finds nothing to do
        dagrun_timeout=LONGEST_RUN,
        params={"stay_s": stay},
    ) as dag:
        DrainOperator(task_id="drain", execution_timeout=LONGEST_RUN)
    return dag
