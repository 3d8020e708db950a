"""Which remote field is which local column, for one sync config."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Caller, Configuring, Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.known import as_errors, known_config, refused
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import Surroundings, surroundings_of
from erpflow.services.sync_configs import Checked, check_mapping
from erpflow.store import config_report
from erpflow.vocabulary import ConflictStrategy, Direction

router = APIRouter(tags=["sync configs"], route_class=IdempotentRoute)

Fields = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class MappingOverrides(Body):
    """What this sync config says in place of its mapping file.

    What is given is replaced, null is as in the file again, and what is left out stays as it is.
    `fields`: the whole list, each as in a mapping file (docs/reference-mapping.md).
    """

    fields: Fields | None = None
    direction: Direction | None = None
    conflict: ConflictStrategy | None = None
    deletes: str | dict[str, str] | None = None
    match_on: list[str] | None = Field(default=None, max_length=20)

    def over(self, before: dict[str, Any]) -> dict[str, Any]:
        """The overrides after this change of those `before`."""
        given = {key: getattr(self, key) for key in self.model_fields_set}
        return {key: value for key, value in {**before, **given}.items() if value is not None}


class MappingError(Answer):
    """One thing that is wrong; `line` of the mapping file, null for what this config says itself."""

    field: str
    code: str
    detail: str
    line: int | None = None


class AcceptedVersion(Answer):
    """A mapping that was accepted for this config."""

    version: str
    accepted_at: datetime
    fields: int


class FieldMappings(Answer):
    """The mapping in force. `overridden`: what is not as in the file. `version`: what records are mapped with; a new
    one lets rejects be tried again. `errors`: why it cannot be used; empty for one that can.
    """

    sync_config_id: str
    mapping_path: str
    version: str | None
    local_table: str | None
    remote_object: str | None
    direction: Direction
    conflict: ConflictStrategy
    deletes: dict[str, Any] | str | None
    match_on: list[str]
    fields: list[dict[str, Any]]
    children: list[dict[str, Any]]
    overridden: list[str]
    errors: list[MappingError]
    versions: list[AcceptedVersion]


@router.get("/sync-configs/{config_id}/field-mappings")
def get_field_mappings(request: Request, caller: Looking, config_id: UUID) -> FieldMappings:
    """The mapping in force, checked against tables, connection and vendor."""
    around = surroundings_of(request)
    row = known_config(around, caller, config_id)
    return _told(around, caller, row, _check(around, caller, row, row["mapping_overrides"]))


@router.put("/sync-configs/{config_id}/field-mappings")
def change_field_mappings(
    request: Request, caller: Configuring, config_id: UUID, body: MappingOverrides
) -> FieldMappings:
    """Change the mapping of this config alone. The next sync uses it; a mapping with a mistake changes nothing."""
    if not body.model_fields_set:
        raise ApiError(422, "invalid", "Give fields, or what else is to be another.", field="fields")
    around = surroundings_of(request)
    row = known_config(around, caller, config_id)
    overrides = body.over(row["mapping_overrides"])
    checked = _check(around, caller, row, overrides)
    mapping = checked.mapping
    if mapping is None or checked.wrong:
        raise refused(checked)
    with around.database.session(caller.tenant_id) as connection:
        config_report.update(
            connection, row["id"], direction=mapping.direction, conflict=mapping.conflict, every=row["every"],
            enabled=row["enabled"], overrides=overrides,
        )  # fmt: skip
        config_report.keep_version(connection, row["id"], as_json(checked.data["fields"]), version=mapping.version)
    return _told(around, caller, known_config(around, caller, config_id), checked)


def _check(around: Surroundings, caller: Caller, row: dict[str, Any], overrides: dict[str, Any]) -> Checked:
    return check_mapping(
        around.database.database, around.mappings, row["mapping_path"], overrides,
        connection_id=row["connection_id"], tenant_id=caller.tenant_id,
    )  # fmt: skip


def _told(around: Surroundings, caller: Caller, row: dict[str, Any], checked: Checked) -> FieldMappings:
    mapping, data = checked.mapping, checked.data if isinstance(checked.data, dict) else {}
    with around.database.session(caller.tenant_id) as connection:
        versions = config_report.versions(connection, row["id"])
    return FieldMappings.model_validate({
        **{key: row[key] for key in ("mapping_path", "direction", "conflict")},
        "sync_config_id": row["id"],
        "version": mapping.version if mapping is not None else None,
        "local_table": mapping.local.table if mapping is not None else None,
        "remote_object": mapping.remote.object if mapping is not None else None,
        "deletes": as_json(data.get("deletes")),
        "match_on": list(mapping.local.match_on) if mapping is not None else [],
        "fields": as_json(data.get("fields") or []),
        "children": as_json(data.get("children") or []),
        "overridden": sorted(row["mapping_overrides"]),
        "errors": as_errors(checked.wrong),
        "versions": versions,
    })  # fmt: skip


def as_json(value: Any) -> Any:
    """The data of a mapping file as JSON carries it: a number stays a number where JSON can hold it exactly."""
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return value
