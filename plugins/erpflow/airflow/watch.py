"""The DAG that looks every few minutes what people should know, and the same look right after a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import DAG, BaseOperator

from erpflow.airflow.freshness import freshness_deadline
from erpflow.airflow.own_dag import own_dag
from erpflow.errors import NotificationFailed
from erpflow.vocabulary import SyncLogId

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from erpflow.services.notifications.tell import Telling

log = structlog.get_logger(__name__)

DAG_ID = "erpflow__watch"
LONGEST_LOOK = timedelta(minutes=10)
LATE_AFTER = timedelta(minutes=15)

DOC = """
### What people should know

Looks at the state of every sync: **failed**, **partial** (records are refused), **stale** (nothing has been synced for
too long), refused records that **grow**, open **conflicts**, **deletes** that wait for approval; at how old secrets
are (**rotation**); and at what is **waiting** for a person: messages, payments and filings of which nobody knows what
became, webhook events that were parked, outgoing messages that were given up.

Each cause is told once, again when it still lasts after a day, and once more when it is over.

Who is told: the Airflow Variable `erpflow_notifications`. How: the Connections `erpflow_smtp` and
`erpflow_notify_webhook`. A run fails when a channel did not take a message; the next run sends it again. A run that no
worker takes within a quarter of an hour is told by Airflow's triggerer.
"""


class WatchOperator(BaseOperator):
    """Find what is wrong, and tell whoever has not been told."""

    def execute(self, context: Context) -> dict[str, Any]:
        """How many causes are open, how many messages were sent. Raises NotificationFailed when one was not taken."""
        told = look(dag_id=context["dag_run"].dag_id)
        log.info("looked", open=told.open, sent=told.sent, unheard=told.unheard)
        if told.unheard:
            log.warning(
                "nobody_is_told", causes=told.unheard, hint="Name recipients in the Variable erpflow_notifications"
            )
        if told.failed:
            raise NotificationFailed("\n".join(dict.fromkeys(told.failed)))
        return asdict(told)


def watch_dag(*, cron: str) -> DAG:
    """The DAG `erpflow__watch`."""
    with own_dag(
        DAG_ID, cron=cron, doc=DOC, dagrun_timeout=LONGEST_LOOK, deadline=freshness_deadline(within=LATE_AFTER)
    ) as dag:
        WatchOperator(task_id="tell", execution_timeout=LONGEST_LOOK)
    return dag


def look(logs: Iterable[SyncLogId] | None = None, *, dag_id: str | None = None) -> Telling:
    """Look at every sync, or at those whose logs these are, and tell what is due. `dag_id` is the DAG that looks."""
    from erpflow.airflow import notify
    from erpflow.airflow.environment import database
    from erpflow.services.notifications.tell import look_and_tell
    from erpflow.store.health import configs_of

    db, only = database(), None
    if logs is not None:
        with db.session() as connection:
            only = configs_of(connection, list(logs))
    settings = notify.notification_settings()
    return look_and_tell(
        db,
        settings=settings,
        channels=partial(notify.channels_of, settings),
        base_url=notify.base_url(),
        only=only,
        looking=dag_id,
    )


def tell_after_run(runs: Iterable[Mapping[str, str]] | None) -> None:
    """Tell at once what came of the runs that `plan` handed on (each with a `log_id`); `finish` calls it.

    It never fails: a run is not worse for a mail server that is down, and the watch tells what was not told.
    """
    logs = [SyncLogId(run["log_id"]) for run in runs or ()]
    if not logs:
        return
    try:
        told = look(logs)
    except Exception as error:  # noqa: BLE001  (whatever it is, the outcome of the run comes first)
        log.warning("not_told_yet", why=f"{type(error).__name__}: {error}", next=f"{DAG_ID} tells it")
        return
    log.info("told_after_run", open=told.open, sent=told.sent, failed=len(told.failed))
