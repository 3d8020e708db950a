"""Things of the caller's tenant that several endpoints begin with; 404 for what is not there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from erpflow.api.callers import Caller
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import Surroundings
from erpflow.services.sync_configs import Checked
from erpflow.store import config_report
from erpflow.yaml_files.complaints import Complaint


def known_config(around: Surroundings, caller: Caller, config_id: UUID | str) -> dict[str, Any]:
    """A sync config of the tenant's, as `config_report` reads it."""
    with around.database.session(caller.tenant_id) as connection:
        row = config_report.get(connection, str(config_id))
    if row is None:
        raise not_found("sync config", config_id)
    return row


def refused(checked: Checked) -> ApiError:
    """The answer to a mapping that cannot be in force: every mistake, by the key that makes it."""
    first = checked.wrong[0]
    where = f"{first.key}: " if first.key else ""
    return ApiError(
        422, "mapping_invalid", f"{where}{first.message}", field=first.key or None, errors=as_errors(checked.wrong)
    )


def as_errors(wrong: list[Complaint]) -> list[dict[str, Any]]:
    """Complaints as problem details carry them; `line` only where a file has one."""
    return [
        {
            "field": one.key,
            "code": "invalid",
            "detail": one.message,
            **({} if one.line is None else {"line": one.line}),
        }
        for one in wrong
    ]
