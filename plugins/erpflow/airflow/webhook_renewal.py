"""The DAG that renews webhooks before their vendors forget them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG, BaseOperator

from erpflow.airflow.own_dag import own_dag

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

log = structlog.get_logger(__name__)

DAG_ID = "erpflow__webhook_renewal"
LONGEST_RUN = timedelta(minutes=30)

DOC = """
### Webhooks that run out

A channel of Zoho's lives for a week at most and says nothing when it ends. Whatever runs out within a day is renewed;
whatever cannot be is named in the failed task, and the next run tries again. Until then a sync brings what no webhook
tells.

The vendors are told the address of Airflow's own configuration (`base_url` in `[api]`).
"""


class RenewOperator(BaseOperator):
    """Renew every webhook that runs out within a day."""

    def execute(self, context: Context) -> dict[str, Any]:
        """How many were due and how many were renewed. Raises SyncsFailed when one was not."""
        from erpflow.airflow.environment import cipher, connect, database
        from erpflow.airflow.notify import base_url
        from erpflow.webhooks.vendor_side import renew_expiring

        done = renew_expiring(
            database(), connect=connect, cipher=cipher(), public_url=base_url(), now=datetime.now(UTC)
        )
        log.info("webhooks_renewed", **done)
        return done


def renewal_dag(*, cron: str) -> DAG:
    """The DAG `erpflow__webhook_renewal`. `cron` a few times a day, so that one that fails is tried again in time."""
    with own_dag(
        DAG_ID,
        cron=cron,
        doc=DOC,
        retries=2,
        retry_delay=timedelta(minutes=5),
        is_paused_upon_creation=False,  # what was registered is waited for; without that it finds nothing to do
        dagrun_timeout=LONGEST_RUN,
    ) as dag:
        RenewOperator(task_id="renew", execution_timeout=LONGEST_RUN)
    return dag
