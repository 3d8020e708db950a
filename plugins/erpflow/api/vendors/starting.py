"""Runs that a vendor's route starts: the DAG of one entity, for the caller's connection, in one direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

from pydantic import Field

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Caller
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings
from erpflow.store.configs import SyncConfig
from erpflow.store.connections import ErpConnection
from erpflow.sync.configure import ensure_config
from erpflow.vocabulary import Direction

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
        self,
        entity: str,
        direction: Direction | None,
        *,
        full: bool = False,
        records: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        dry_run: bool = False,
    ) -> StartedRun:
        """Start the DAG of an entity; without a direction it goes as its sync config says.

        Raises 409 for a sync that is switched off or goes the other way only, 422 for options that exclude each other,
        ConfigError when the connection does not sync the entity.
        """
        asked = {"full": full, "records": bool(records), "since and until": since is not None or until is not None}
        if sum(asked.values()) > 1:
            names = " and ".join(name for name, is_asked in asked.items() if is_asked)
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{names} exclude each other. Leave all but one out."
            )
        config = self.config(entity, direction)
        dag_id, run_id = f"{self.row.system}__{entity}", f"api__{uuid4()}"
        options = {
            "direction": direction.value if direction else None,
            "full": full or None,
            "records": list(dict.fromkeys(records)) or None,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "dry_run": dry_run or None,
        }
        conf: dict[str, Any] = {"config": config.id, **{name: value for name, value in options.items() if value}}
        run_id = self.around.orchestrator.trigger(dag_id, conf=conf, run_id=run_id, by=self.caller.name)
        return StartedRun(
            entity=entity,
            direction=direction or config.direction,
            sync_config_id=config.id,
            dag_id=dag_id,
            dag_run_id=run_id,
            run_link=self.around.orchestrator.run_link(dag_id, run_id),
        )

    def config(self, entity: str, direction: Direction | None) -> SyncConfig:
        """The sync config of an entity. Raises 409 when it is switched off or goes the other way only, ConfigError."""
        with self.around.database.session(self.caller.tenant_id) as connection:
            config = ensure_config(
                connection, self.row.id, entity, system=self.row.system, mappings=self.around.mappings
            )
        if not config.enabled:
            raise ApiError(
                HTTPStatus.CONFLICT, "disabled", f'Syncing "{entity}" with "{self.row.name}" is switched off.'
            )
        if direction is not None and config.direction not in (direction, Direction.BIDIRECTIONAL):
            raise ApiError(
                HTTPStatus.CONFLICT,
                "direction",
                f'Syncing "{entity}" with "{self.row.name}" goes the other way: its direction is {config.direction}.',
            )
        return config
