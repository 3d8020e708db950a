"""Runs that a vendor's route starts: the DAG of one entity, for the caller's connection, in one direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from pydantic import Field

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Caller
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings
from erpflow.store.connections import ErpConnection
from erpflow.sync.configure import ensure_config
from erpflow.vocabulary import Direction, SyncConfigId

MOST_RECORDS = 1_000
"""Records that one call may name."""


class Wanted(Body):
    """What a run is about. Without anything: what changed since the last one. `company_id`: the caller's tenant."""

    full: bool = False
    records: list[str] = Field(default=[], max_length=MOST_RECORDS, description="Only these, by their ids")
    company_id: UUID | None = None


class StartedRun(Answer):
    """A run that was started, and where it can be followed: by its logs at `/api/erp/sync-logs?dag_run_id=`."""

    entity: str
    direction: Direction
    sync_config_id: str
    dag_id: str
    dag_run_id: str
    run_link: str | None = None


class Started(Answer):
    """What the caller is told of the runs that were started."""

    success: bool = True
    message: str
    data: list[StartedRun]


@dataclass(frozen=True, slots=True)
class Runs:
    """Starts runs of one connection for one caller."""

    around: Surroundings
    caller: Caller
    row: ErpConnection

    def check_company(self, wanted: Wanted | None) -> None:
        """Raises 404 when the company that a body names is not the caller's."""
        if wanted is not None and wanted.company_id not in (None, UUID(self.caller.tenant_id)):
            raise not_found("company", wanted.company_id)

    def start(
        self, entity: str, direction: Direction, *, full: bool = False, records: Sequence[str] = ()
    ) -> StartedRun:
        """Start the DAG of an entity. Raises 409 for a sync that is switched off or goes the other way only.

        Raises ConfigError when the connection does not sync the entity, 422 for `full` with named records.
        """
        if full and records:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "full and records exclude each other. Leave one out."
            )
        config_id = self._config(entity, direction)
        dag_id, run_id = f"{self.row.system}__{entity}", f"api__{direction}__{uuid4()}"
        conf: dict[str, Any] = {"config": config_id, "direction": direction.value}
        if full:
            conf["full"] = True
        if records:
            conf["records"] = list(dict.fromkeys(records))
        run_id = self.around.orchestrator.trigger(dag_id, conf=conf, run_id=run_id, by=self.caller.name)
        return StartedRun(
            entity=entity,
            direction=direction,
            sync_config_id=config_id,
            dag_id=dag_id,
            dag_run_id=run_id,
            run_link=self.around.orchestrator.run_link(dag_id, run_id),
        )

    def _config(self, entity: str, direction: Direction) -> SyncConfigId:
        with self.around.database.session(self.caller.tenant_id) as connection:
            config = ensure_config(
                connection, self.row.id, entity, system=self.row.system, mappings=self.around.mappings
            )
        if not config.enabled:
            raise ApiError(
                HTTPStatus.CONFLICT, "disabled", f'Syncing "{entity}" with "{self.row.name}" is switched off.'
            )
        if config.direction not in (direction, Direction.BIDIRECTIONAL):
            raise ApiError(
                HTTPStatus.CONFLICT,
                "direction",
                f'Syncing "{entity}" with "{self.row.name}" goes the other way: its direction is {config.direction}.',
            )
        return config.id
