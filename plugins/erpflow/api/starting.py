"""Runs started over REST: the DAG run is triggered, and its sync logs are opened at once.

Whoever plans first, the API or the DAG's own plan task, opens the logs; the other finds them by the attempt's key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from fastapi import Request

from erpflow.api.callers import Caller
from erpflow.api.idempotency import HEADER
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import Surroundings
from erpflow.sync.plan import PlannedRun, RunRequest, check_request, plan
from erpflow.sync.reconcile import plan_reconciliations
from erpflow.vocabulary import Direction, FindingKind, SyncConfigId, SyncLogId


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A DAG run, and the sync logs that it fills."""

    dag_id: str
    dag_run_id: str
    runs: tuple[PlannedRun, ...]

    @property
    def log_ids(self) -> dict[str, str]:
        """The sync logs by direction."""
        return {run.direction: run.log_id for run in self.runs}


def run_id_of(request: Request, caller: Caller, *, part: str = "") -> str:
    """The id of the DAG run that a request starts; the same when it is repeated with its Idempotency-Key.

    `part` tells the runs of one request apart.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return f"api__{uuid4()}"
    return f"api__{uuid5(NAMESPACE_URL, '/'.join((caller.tenant_id, request.url.path, part, key)))}"


def attempt_key(dag_id: str, run_id: str) -> str:
    """What the plan task of a run that was never cleared calls its attempt (airflow/operators.py, run_request)."""
    return f"{dag_id}/{run_id}/0"


def check_active(row: dict[str, Any]) -> None:
    """Raises 409 for a config that is switched off, or whose connection is."""
    off = "connection" if row["connection_status"] == "disabled" else None if row["enabled"] else "sync config"
    if off is not None:
        raise ApiError(
            HTTPStatus.CONFLICT, "disabled", f"The {off} is switched off: nothing runs before it is on again."
        )


def start_sync(around: Surroundings, row: dict[str, Any], asked: RunRequest, *, run_id: str, by: str) -> StartedRun:
    """Trigger the sync of a config (`row` of `config_report`) and open its logs. `asked` names the config.

    Raises 409 when the config is off, ConfigError when the request contradicts itself; nothing is started then.
    """
    check_active(row)
    check_request(asked)
    dag_id = f"{row['system']}__{row['entity']}"
    around.orchestrator.trigger(dag_id, conf=conf_of(asked), run_id=run_id, by=by)
    request = replace(asked, dag_id=dag_id, dag_run_id=run_id, attempt_key=attempt_key(dag_id, run_id), triggered_by=by)
    with around.database.database.session() as connection:
        runs = plan(connection, request, system=row["system"], entity=row["entity"], now=datetime.now(UTC))
    return StartedRun(dag_id, run_id, tuple(runs))


def start_reconciliation(
    around: Surroundings,
    row: dict[str, Any],
    *,
    repair: bool,
    kinds: Sequence[FindingKind] | None,
    allow_deletes: bool,
    run_id: str,
    by: str,
) -> SyncLogId:
    """Trigger the comparison of a config and open its log. `kinds` None: whatever can be repaired.

    Raises 409 when the config is off; nothing is started then.
    """
    check_active(row)
    dag_id = f"{row['system']}__{row['entity']}__reconcile"
    conf = {
        "config": row["id"],
        **({"repair": True} if repair else {}),
        **({"kinds": [kind.value for kind in kinds]} if kinds else {}),
        **({"allow_deletes": True} if allow_deletes else {}),
    }
    around.orchestrator.trigger(dag_id, conf=conf, run_id=run_id, by=by)
    request = RunRequest(
        kind="manual", config_id=SyncConfigId(row["id"]), dag_id=dag_id, dag_run_id=run_id,
        attempt_key=attempt_key(dag_id, run_id), triggered_by=by, allow_deletes=allow_deletes,
    )  # fmt: skip
    with around.database.database.session() as connection:
        [planned] = plan_reconciliations(
            connection, request, system=row["system"], entity=row["entity"],
            repairs=(kinds or tuple(FindingKind)) if repair else (),
        )  # fmt: skip
    return planned.log_id


def conf_of(asked: RunRequest) -> dict[str, Any]:
    """A request as the params of a sync DAG (airflow/dags.py) have it; what is not asked for is left out."""
    found: dict[str, Any] = {
        "config": asked.config_id,
        "full": asked.full,
        "since": asked.since.isoformat() if asked.since else None,
        "until": asked.until.isoformat() if asked.until else None,
        "dry_run": asked.dry_run,
        "direction": asked.direction.value if asked.direction else None,
        "records": list(asked.record_ids),
        "rejects": list(asked.reject_ids),
        "allow_deletes": asked.allow_deletes,
    }
    return {name: value for name, value in found.items() if value}


def check_directions(row: dict[str, Any], asked: RunRequest, *, field: str) -> None:
    """Raises 422 when a config does not go the way that is asked for."""
    if not asked.directions(Direction(row["direction"])):
        only = "a span of time is only pulled" if asked.since or asked.until else f"this config's is {row['direction']}"
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            f"It cannot be synced in the direction {asked.direction}: {only}.",
            field=field,
        )
