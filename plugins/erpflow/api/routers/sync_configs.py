"""What is synced: sync configs, made from mapping files and changed for one connection alone."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AliasChoices, BeforeValidator, Field

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Caller, Configuring, Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import known_config, refused
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.load import examine_mapping
from erpflow.mapping.model import Mapping
from erpflow.mapping.templates import Kept
from erpflow.services.sync_configs import check_mapping
from erpflow.store import config_report, connections, listing, templates
from erpflow.vocabulary import ConflictStrategy, ConnectionId, Direction, SyncStatus

router = APIRouter(tags=["sync configs"], route_class=IdempotentRoute)

_SHORT = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _every(value: Any) -> Any:
    """`30m` as mapping files write it; anything else is read as ISO 8601."""
    found = _SHORT.fullmatch(value) if isinstance(value, str) else None
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else value


Every = Annotated[
    timedelta,
    BeforeValidator(_every, json_schema_input_type=str),
    Field(ge=timedelta(seconds=1), le=timedelta(days=366)),
]
EVERY = partial(
    Field,
    validation_alias=AliasChoices("every", "frequency"),
    description="ISO 8601 (PT30M), or as mapping files write it (30m)",
)
CONFLICT = partial(Field, validation_alias=AliasChoices("conflict", "conflict_strategy", "conflictStrategy"))


class NewSyncConfig(Body):
    """An entity that a connection is to sync; what is not given is as in the mapping file."""

    connection_id: UUID
    entity: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    direction: Direction | None = None
    conflict: ConflictStrategy | None = CONFLICT(default=None)
    every: Every | None = EVERY(default=None)
    enabled: bool = True


class SyncConfigChange(Body):
    """What is to be another; the rest stays."""

    direction: Direction | None = None
    conflict: ConflictStrategy | None = CONFLICT(default=None)
    every: Every | None = EVERY(default=None)
    enabled: bool | None = None


class LastRun(Answer):
    """The last run of one direction."""

    id: str
    direction: Direction
    kind: str
    status: SyncStatus
    dry_run: bool
    error: str | None
    started_at: datetime
    finished_at: datetime | None


class SyncConfig(Answer):
    """Connection × entity: what is synced with which table, which way, how often, and who wins.

    `cursor_at`: how far its pulls have read, by the vendor's clock; `local_cursor_at`: its pushes, by ours.
    `overridden`: what is not as in the mapping file. `mapping_error`: why its mapping cannot be used.
    """

    id: str
    connection_id: str
    connection: str
    connection_status: str
    system: str
    entity: str
    local_table: str | None
    remote_object: str | None
    direction: Direction
    conflict: ConflictStrategy
    every: timedelta
    enabled: bool
    mapping_path: str
    overridden: list[str]
    mapping_error: str | None
    cursor_at: datetime | None
    local_cursor_at: datetime | None
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_runs: list[LastRun]
    created_at: datetime
    updated_at: datetime


@router.get("/sync-configs")
def list_sync_configs(
    request: Request,
    caller: Looking,
    limit: Limit = 50,
    after: After = None,
    connection_id: UUID | None = None,
    system: Annotated[str | None, Query(max_length=200)] = None,
    entity: Annotated[str | None, Query(max_length=200)] = None,
    *,
    enabled: bool | None = None,
) -> Page[SyncConfig]:
    """What the tenant's connections sync, the newest first."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        rows, onward = listing.page(
            connection, config_report.LISTING, limit=limit, after=after, connection_id=connection_id, system=system,
            entity=entity, enabled=enabled,
        )  # fmt: skip
    return Page[SyncConfig].model_validate(page_of((_told(around, caller, rows), onward)))


@router.post("/sync-configs", status_code=HTTPStatus.CREATED)
def create_sync_config(request: Request, caller: Configuring, body: NewSyncConfig) -> SyncConfig:
    """Let a connection sync an entity, by the mapping file of its system and entity."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        try:
            row = connections.connection_of(connection, ConnectionId(str(body.connection_id)))
        except ConfigError:
            raise not_found("connection", body.connection_id) from None
    path = _mapping_path(around, row.system, body.entity)
    overrides = {key: value for key in ("direction", "conflict") if (value := getattr(body, key)) is not None}
    mapping = _checked(around, caller, path, overrides, connection_id=row.id)
    with around.database.session(caller.tenant_id) as connection:
        config_id = config_report.insert(
            connection, row.id, body.entity, direction=mapping.direction, conflict=mapping.conflict,
            every=body.every or mapping.every, enabled=body.enabled, path=path, overrides=overrides,
        )  # fmt: skip
    if config_id is None:
        raise ApiError(
            HTTPStatus.CONFLICT, "exists", f'"{row.name}" syncs {body.entity} already: change that one.', field="entity"
        )
    return SyncConfig.model_validate(_told(around, caller, [known_config(around, caller, config_id)])[0])


@router.get("/sync-configs/{config_id}")
def get_sync_config(request: Request, caller: Looking, config_id: UUID) -> SyncConfig:
    """One sync config, how far it has come, and its last runs."""
    around = surroundings_of(request)
    return SyncConfig.model_validate(_told(around, caller, [known_config(around, caller, config_id)])[0])


@router.put("/sync-configs/{config_id}")
def change_sync_config(request: Request, caller: Configuring, config_id: UUID, body: SyncConfigChange) -> SyncConfig:
    """Change direction, conflict strategy, frequency, or switch it on or off. The cursor stays."""
    around = surroundings_of(request)
    row = known_config(around, caller, config_id)
    overrides = dict(row["mapping_overrides"])
    overrides |= {key: value for key in ("direction", "conflict") if (value := getattr(body, key)) is not None}
    direction, conflict = row["direction"], row["conflict"]
    if overrides != row["mapping_overrides"]:
        mapping = _checked(around, caller, row["mapping_path"], overrides, connection_id=row["connection_id"])
        direction, conflict = mapping.direction, mapping.conflict
    with around.database.session(caller.tenant_id) as connection:
        config_report.update(
            connection, str(config_id), direction=direction, conflict=conflict, every=body.every or row["every"],
            enabled=row["enabled"] if body.enabled is None else body.enabled, overrides=overrides,
        )  # fmt: skip
    return SyncConfig.model_validate(_told(around, caller, [known_config(around, caller, config_id)])[0])


@router.delete("/sync-configs/{config_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_sync_config(request: Request, caller: Configuring, config_id: UUID) -> None:
    """Stop syncing an entity, and forget its logs, ties, conflicts and rejects. The business table stays as it is."""
    with surroundings_of(request).database.session(caller.tenant_id) as connection:
        if not config_report.delete(connection, str(config_id)):
            raise not_found("sync config", config_id)


def _checked(
    around: Surroundings, caller: Caller, path: str, overrides: dict[str, Any], *, connection_id: ConnectionId
) -> Mapping:
    checked = check_mapping(
        around.database.database, around.mappings, path, overrides,
        connection_id=ConnectionId(connection_id), tenant_id=caller.tenant_id,
    )  # fmt: skip
    if checked.mapping is None or checked.wrong:
        raise refused(checked)
    return checked.mapping


def _mapping_path(around: Surroundings, system: str, entity: str) -> str:
    path = f"{system}/{entity}.yaml"
    if not (around.mappings / path).is_file():
        known = [found.stem for found in (around.mappings / system).glob("*.yaml")]
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid",
            f'There is no mapping of the entity "{entity}" for {system}{suggestion(entity, known)}.',
            field="entity",
        )
    return path


def _told(around: Surroundings, caller: Caller, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what their mapping files say of them; what several rows have in common is read once."""
    with around.database.session(caller.tenant_id) as connection:
        kept = templates.kept_templates(connection, tenant_id=caller.tenant_id)
    read: dict[tuple[str, str], dict[str, str | None]] = {}
    told = []
    for row in rows:
        key = row["mapping_path"], json.dumps(row["mapping_overrides"], sort_keys=True)
        if key not in read:
            read[key] = _of_file(around, row["mapping_path"], row["mapping_overrides"], kept)
        told.append({**row, **read[key], "overridden": sorted(row["mapping_overrides"])})
    return told


def _of_file(around: Surroundings, path: str, overrides: dict[str, Any], kept: Kept) -> dict[str, str | None]:
    """What a mapping file says; one that cannot be used is told, not raised."""
    told: dict[str, str | None] = {"local_table": None, "remote_object": None}
    try:
        found = examine_mapping(around.mappings / path, overrides=overrides, kept=kept)
    except ConfigError as error:
        return {**told, "mapping_error": str(error)}
    if found.mapping is not None:
        told |= {"local_table": found.mapping.local.table, "remote_object": found.mapping.remote.object}
    return {**told, "mapping_error": "; ".join(one.told(path) for one in found.wrong) or None}
