"""Builds the DAG that syncs several entities of one system one after the other, each by its own DAG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, chain

DOC = """
### {title}: full

Syncs {entities} of every {title} connection, in this order: what comes later refers to what came before. Each is a run
of its own DAG; when one fails, the following ones wait for the next time.

**Trigger** it, for one connection or all; with *full* everything is looked at again, and not only what changed.
"""


def in_order_dag(*, system: str, title: str, entities: Sequence[str]) -> DAG:
    """The DAG `<system>__full`, which is only triggered. `entities` have a DAG `<system>__<entity>` each."""
    with DAG(
        dag_id=f"{system}__full",
        schedule=None,
        start_date=datetime(2020, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        params={
            "connection": Param(
                None, type=["null", "string"], title="Connection", description="Only this one; empty: all"
            ),
            "full": Param(
                default=True, type="boolean", title="Full", description="Look at everything, not only what changed"
            ),
        },
        tags=["erpflow", system],
        doc_md=DOC.format(title=title, entities=", ".join(f"**{entity}**" for entity in entities)),
        render_template_as_native_obj=True,
    ) as dag:
        chain(
            *(
                TriggerDagRunOperator(
                    task_id=entity,
                    trigger_dag_id=f"{system}__{entity}",
                    conf={"connection": "{{ params.connection }}", "full": "{{ params.full }}"},
                    wait_for_completion=True,
                    deferrable=True,
                    poke_interval=5,
                    fail_when_dag_is_paused=False,
                )
                for entity in entities
            )
        )
    return dag
