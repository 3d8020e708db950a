"""Builds the DAG that syncs several entities of one system one after the other, each by its own DAG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, chain

DOC = """
### {title}: {name}

Syncs {entities} of every {title} connection, in this order: what comes later refers to what came before. Each is a run
of its own DAG; when one fails, the following ones wait for the next time.

**Trigger** it, for one connection or all; with *full* everything is looked at again, and not only what changed. The
API names the sync config and the records of each entity instead.
"""


def in_order_dag(*, system: str, title: str, entities: Sequence[str], name: str = "full") -> DAG:
    """The DAG `<system>__<name>`, which is only triggered. `entities` have a DAG `<system>__<entity>` each."""
    with DAG(
        dag_id=f"{system}__{name}",
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
            "direction": Param(
                None,
                type=["null", "string"],
                enum=[None, "pull", "push"],
                title="Direction",
                description="Only this one; empty: as configured",
            ),
            "configs": Param(
                default={},
                type="object",
                additionalProperties={"type": "string"},
                title="Sync configs",
                description="Of each entity only this one, by its id; empty: all",
            ),
            "records": Param(
                default={},
                type="object",
                additionalProperties={"type": "array", "items": {"type": "string", "minLength": 1}},
                title="Records",
                description="Of each entity only these, by the vendor's ids (with direction push: by the keys here)",
            ),
        },
        tags=["erpflow", system],
        doc_md=DOC.format(title=title, name=name, entities=", ".join(f"**{entity}**" for entity in entities)),
        render_template_as_native_obj=True,
    ) as dag:
        chain(
            *(
                TriggerDagRunOperator(
                    task_id=entity,
                    trigger_dag_id=f"{system}__{entity}",
                    conf={
                        "connection": "{{ params.connection }}",
                        "full": "{{ params.full }}",
                        "direction": "{{ params.direction }}",
                        "config": f"{{{{ params.configs.get('{entity}') }}}}",
                        "records": f"{{{{ params.records.get('{entity}') }}}}",
                    },
                    wait_for_completion=True,
                    deferrable=True,
                    poke_interval=5,
                    fail_when_dag_is_paused=False,
                )
                for entity in entities
            )
        )
    return dag
