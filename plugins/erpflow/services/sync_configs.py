"""Sync configs made and changed by a person: every change is checked like a file before it is in force."""

from __future__ import annotations

from collections.abc import Mapping as Values
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erpflow.connectors.registry import connector_class
from erpflow.mapping.load import Examined, examine_mapping
from erpflow.mapping.model import Mapping
from erpflow.store import templates
from erpflow.store.database import Database
from erpflow.sync.mapping_check import check_runs
from erpflow.vocabulary import ConnectionId, TenantId
from erpflow.yaml_files.complaints import Complaint


@dataclass(frozen=True, slots=True)
class Checked:
    """A mapping as it would be in force, and everything that a run of it would fail at."""

    mapping: Mapping | None
    data: Any
    wrong: list[Complaint]


def check_mapping(
    database: Database,
    mappings: Path,
    path: str,
    overrides: Values[str, Any],
    *,
    connection_id: ConnectionId,
    tenant_id: TenantId,
) -> Checked:
    """The mapping of a config with these overrides, held against tables, connection and vendor.

    It may name the templates that its tenant keeps, besides those of files.

    Raises ConfigError for a file that cannot be read at all.
    """
    with database.session() as connection:
        kept = templates.kept_templates(connection, tenant_id=tenant_id)
    found: Examined = examine_mapping(mappings / path, overrides=overrides, kept=kept)
    wrong = found.wrong
    if found.mapping is not None and not wrong:
        connector = connector_class(found.mapping.system)
        with database.session() as connection:
            wrong = check_runs(connection, found.mapping, connector, connection_id=connection_id)
    return Checked(found.mapping, found.data, wrong)
