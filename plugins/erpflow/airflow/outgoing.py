"""The DAG that brings messages to the programs that subscribed: every minute, whatever is due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG, BaseOperator

from erpflow.airflow.own_dag import own_dag

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

log = structlog.get_logger(__name__)

DAG_ID = "erpflow__outgoing"
LONGEST_SWEEP = timedelta(minutes=5)

DOC = """
### Tell other programs

Sends every message that is due to the programs that subscribed (`erpflow subscription list`): a sync **completed**, was
**partial** or **failed**, **conflicts** or **rejects** were opened, a **connection** failed. Each is signed, and sent
again for three days until it is taken.

A receiver that is down does not fail the run: its messages are due again later, or dead in the end
(`erpflow delivery list --dead`). The task's XCom counts them.
"""


class DeliverOperator(BaseOperator):
    """Send what is due, and settle it."""

    def execute(self, context: Context) -> dict[str, Any]:
        """How many messages were delivered, failed and dead, and how many subscriptions were disabled."""
        from airflow.sdk.log import mask_secret

        from erpflow.airflow.environment import cipher, database
        from erpflow.services.outgoing.delivering import deliver_due

        sweep = deliver_due(database(), cipher(), on_secret=mask_secret)
        log.info("outbox_swept", **sweep.counts)
        return sweep.counts


def outgoing_dag(*, cron: str) -> DAG:
    """The DAG `erpflow__outgoing`."""
    with own_dag(
        DAG_ID,
        cron=cron,
        doc=DOC,
        is_paused_upon_creation=False,  # what was registered is waited for; without that it finds nothing to do
        dagrun_timeout=LONGEST_SWEEP,
    ) as dag:
        DeliverOperator(task_id="deliver", execution_timeout=LONGEST_SWEEP)
    return dag
