"""The DAG folder as Airflow reads it: everything imports, nothing is done at parse time, each DAG has its shape."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from tests.airflow.conftest import PROJECT

ENTITIES = {
    "erpnext": ("customer", "product", "order"),
    "kontor": ("customer", "product", "order"),
    "metakocka": ("contact", "product", "inventory", "document"),
    "odoo_demo": ("customer", "product", "order"),
    "quickbooks": ("customer", "product", "invoice", "payment", "order", "estimate"),
    "sap_b1": ("customer", "contact", "product", "order", "invoice", "payment"),
    "tally": ("customer", "product", "order", "invoice", "payment"),
    "veekaart": ("product", "inventory", "price"),
    "zoho_crm": ("customer", "contact", "lead", "product", "deal", "order", "invoice"),
}
DAG_IDS = tuple(f"{system}__{entity}" for system, entities in ENTITIES.items() for entity in entities)
IN_ORDER = {
    "veekaart__full": ["product", "inventory", "price"],
    "metakocka__documents": ["contact", "product", "document"],
}
RECONCILE_IDS = tuple(f"{dag_id}__reconcile" for dag_id in DAG_IDS)
SERVICE_IDS = (
    "erpflow__watch", "erpflow__outgoing", "erpflow__retention", "erpflow__webhooks", "erpflow__webhook_renewal",
)  # fmt: skip

HEAVY = (
    "pandas",
    "phonenumbers",
    "openlineage",
    "airflow.providers.openlineage",
    "erpflow.airflow.lineage",
    "erpflow.mapping",
    "erpflow.services",
    "erpflow.store",
    "erpflow.sync",
    "sqlalchemy.orm",
)


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(PROJECT / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_there_are_two_dags_for_each_connector_and_entity_and_one_for_each_service(dags: dict[str, DAG]) -> None:
    assert set(dags) == {*DAG_IDS, *RECONCILE_IDS, *IN_ORDER, *SERVICE_IDS}


def test_steps_that_ask_a_vendor_run_where_it_can_be_reached() -> None:
    from erpflow.airflow.dags import sync_dag

    dag = sync_dag(
        system="tally", title="Tally", entity="payment", table="app.payments", cron="*/5 * * * *", queue="mill"
    )
    there = {task for task in dag.task_ids if dag.get_task(task).queue == "mill"}
    assert there == {"sync.extract", "sync.push_load"}


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_sync_dag_plans_then_pulls_then_pushes_if_its_mapping_does_then_finishes(
    dags: dict[str, DAG], dag_id: str
) -> None:
    dag = dags[dag_id]
    system, entity = dag_id.split("__")
    mapping = (PROJECT / f"include/mappings/{system}/{entity}.yaml").read_text()
    both_ways = "direction: bidirectional" in mapping or "direction: push" in mapping
    chain = ["sync.extract", "sync.transform", "sync.load"]
    chain += ["sync.push_extract", "sync.push_transform", "sync.push_load"] if both_ways else []
    expected = {task: [following] for task, following in zip(chain, [*chain[1:], "finish"], strict=True)}
    assert {task: sorted(dag.get_task(task).downstream_task_ids) for task in dag.task_ids} == {
        **expected,
        "plan": sorted(["finish", *chain]),
        "finish": [],
    }
    assert dag.get_task("finish").trigger_rule == "all_done"
    if both_ways:
        assert dag.get_task("sync.push_extract").trigger_rule == "all_done"


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_dag_explains_itself_and_is_tagged(dags: dict[str, DAG], dag_id: str) -> None:
    system, entity = dag_id.split("__")
    dag = dags[dag_id]
    assert {"erpflow", system, entity} <= set(dag.tags)
    assert dag.doc_md is not None
    assert f"include/mappings/{system}/{entity}.yaml" in dag.doc_md
    assert set(dag.params) == {
        "connection",
        "config",
        "full",
        "since",
        "until",
        "dry_run",
        "direction",
        "records",
        "rejects",
        "replay",
        "allow_deletes",
    }
    assert dag.catchup is False


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_only_what_asks_the_vendor_waits_in_its_pool(dags: dict[str, DAG], dag_id: str) -> None:
    pools = {task.task_id: task.pool for task in dags[dag_id].tasks}
    own = f"erpflow_{dag_id.split('__')[0]}"
    assert pools.pop("sync.extract") == pools.pop("sync.push_load", own) == own
    assert set(pools.values()) == {"default_pool"}


@pytest.mark.parametrize("dag_id", RECONCILE_IDS)
def test_a_reconciliation_reads_compares_and_repairs_for_each_config_then_finishes_whatever_happened(
    dags: dict[str, DAG], dag_id: str
) -> None:
    dag = dags[dag_id]
    system, entity, _ = dag_id.split("__")
    chain = ["reconcile.extract", "reconcile.compare", "reconcile.repair"]
    expected = {task: [following] for task, following in zip(chain, [*chain[1:], "finish"], strict=True)}
    assert {task: sorted(dag.get_task(task).downstream_task_ids) for task in dag.task_ids} == {
        **expected,
        "plan": sorted(["finish", *chain]),
        "finish": [],
    }
    assert dag.get_task("finish").trigger_rule == "all_done"
    assert {task.task_id: task.pool for task in dag.tasks if task.pool != "default_pool"} == {
        "reconcile.extract": f"erpflow_{system}",
        "reconcile.repair": f"erpflow_{system}",
    }
    assert dag.doc_md is not None
    assert f"include/mappings/{system}/{entity}.yaml" in dag.doc_md
    assert {"erpflow", system, entity, "reconcile"} == set(dag.tags)
    assert set(dag.params) == {"connection", "config", "repair", "kinds", "allow_deletes"}
    assert (dag.max_active_runs, dag.catchup) == (1, False)


@pytest.mark.parametrize("dag_id", RECONCILE_IDS)
def test_a_reconciliation_of_everything_comes_once_a_week_and_repairs_nothing_by_itself(
    dags: dict[str, DAG], dag_id: str
) -> None:
    dag = dags[dag_id]
    assert "0 3 * * 0" in repr(dag.timetable)
    assert dag.params["repair"] is False
    assert dag.params["kinds"] is None


def test_only_kinds_that_can_be_repaired_can_be_asked_for(dags: dict[str, DAG]) -> None:
    param = dags[RECONCILE_IDS[0]].params.get_param("kinds")
    assert param.resolve(["different", "missing_here"]) == ["different", "missing_here"]
    with pytest.raises(Exception, match="'frozen' is not one of"):
        param.resolve(["frozen"])


def test_a_scheduled_run_covers_the_interval_before_it(dags: dict[str, DAG]) -> None:
    timetable = dags["erpnext__customer"].timetable
    assert type(timetable).__name__ == "CronDataIntervalTimetable"


@pytest.mark.parametrize("dag_id", SERVICE_IDS)
def test_a_service_runs_once_at_a_time_and_misses_nothing_by_pausing(dags: dict[str, DAG], dag_id: str) -> None:
    dag = dags[dag_id]
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert "erpflow" in dag.tags
    assert dag.doc_md is not None


@pytest.mark.parametrize("dag_id", IN_ORDER)
def test_a_full_sync_waits_for_each_entity_before_the_next(dags: dict[str, DAG], dag_id: str) -> None:
    dag = dags[dag_id]
    order = [task.task_id for task in dag.topological_sort()]
    assert order == IN_ORDER[dag_id]
    system = dag_id.partition("__")[0]
    for task, following in zip(order, [*order[1:], None], strict=True):
        step = dag.get_task(task)
        assert step.downstream_task_ids == ({following} if following else set())
        assert (step.trigger_dag_id, step.wait_for_completion) == (f"{system}__{task}", True)
        assert step.trigger_dag_id in dags
    assert dag.schedule is None


SERVICE_FILES = sorted(path.name for path in (PROJECT / "dags").glob("erpflow_*.py"))


@pytest.mark.parametrize("file", [*(f"{system}.py" for system in ENTITIES), *SERVICE_FILES])
def test_parsing_imports_nothing_heavy(file: str) -> None:
    """A task parses its DAG file again: what is imported there is paid by every task."""
    program = (
        "import sys, runpy; import airflow.sdk; before = set(sys.modules);"
        f"runpy.run_path({str(PROJECT / 'dags' / file)!r});"
        f"print([name for name in {HEAVY!r} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_retries_follow_the_kind_of_error(dags: dict[str, DAG]) -> None:
    from airflow.sdk.definitions.retry_policy import RetryAction

    from erpflow import errors

    policy = dags["erpnext__customer"].get_task("sync.extract").retry_policy

    def decide(error: Exception) -> tuple[RetryAction, timedelta | None]:
        decision = policy.evaluate(error, try_number=3, max_tries=5)
        return decision.action, decision.retry_delay

    for final in (
        errors.ConfigError,
        errors.AuthFailed,
        errors.PermissionDenied,
        errors.ProtocolError,
        errors.SyncsFailed,
    ):
        assert decide(final("no")) == (RetryAction.FAIL, None)
    assert decide(errors.RateLimited("slow down", retry_after=77)) == (RetryAction.RETRY, timedelta(seconds=77))
    for passing in (errors.VendorUnavailable, errors.DatabaseUnavailable):
        action, delay = decide(passing("away"))
        assert action is RetryAction.RETRY
        assert delay is not None
        assert timedelta(seconds=10) <= delay <= timedelta(seconds=20)
    assert decide(errors.AlreadyRunning("busy"))[0] is RetryAction.RETRY
    assert decide(ZeroDivisionError())[0] is RetryAction.DEFAULT
