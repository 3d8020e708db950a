"""Transform templates as rows: those kept for the API, and how often each one is used, files included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec
import psycopg
from psycopg.rows import dict_row

from erpflow.store.listing import Row
from erpflow.vocabulary import DEFAULT_TENANT, TenantId

# The row of a template file has the key "file" in its definition: it is there for its counts, and its content follows
# the file. A row of the API's is its own master; it is only counted, and not made again once it is deleted.
_COUNT: Final = """
WITH used AS (
    SELECT u.name, u.level, u.description, u.definition::jsonb AS definition
    FROM unnest(%(names)s::text[], %(levels)s::text[], %(descriptions)s::text[], %(definitions)s::text[])
        AS u (name, level, description, definition)
)
INSERT INTO erpflow.erp_transform_templates AS t
    (tenant_id, name, level, description, definition, usage_count, last_used_at)
SELECT %(tenant)s, u.name, u.level, u.description, u.definition, %(rows)s, now()
FROM used u
WHERE u.definition ? 'file' OR EXISTS (
    SELECT FROM erpflow.erp_transform_templates k WHERE k.tenant_id = %(tenant)s AND k.name = u.name
)
ORDER BY u.name
ON CONFLICT (tenant_id, name) DO UPDATE SET
    usage_count = t.usage_count + excluded.usage_count,
    last_used_at = excluded.last_used_at,
    level = CASE WHEN t.definition ? 'file' THEN excluded.level ELSE t.level END,
    description = CASE WHEN t.definition ? 'file' THEN excluded.description ELSE t.description END,
    definition = CASE WHEN t.definition ? 'file' THEN excluded.definition ELSE t.definition END,
    updated_at = CASE
        WHEN t.definition ? 'file' AND (t.level, t.description, t.definition)
            IS DISTINCT FROM (excluded.level, excluded.description, excluded.definition) THEN now()
        ELSE t.updated_at
    END
"""
_KEPT: Final = """
SELECT name, level, description, definition::text FROM erpflow.erp_transform_templates
WHERE tenant_id = %s AND NOT definition ? 'file' ORDER BY name
"""
_COLUMNS: Final = """
name, level, description, definition - 'file' AS definition, definition ? 'file' AS of_file, usage_count, last_used_at,
created_at, updated_at
"""
_ROWS: Final = f"SELECT {_COLUMNS} FROM erpflow.erp_transform_templates WHERE tenant_id = %s ORDER BY name"  # noqa: S608
# The row of a file that is gone is nobody's any more; its count stays.
_ADD: Final = """
INSERT INTO erpflow.erp_transform_templates AS t (tenant_id, name, level, description, definition)
VALUES (%(tenant)s, %(name)s, %(level)s, %(description)s, %(definition)s::jsonb)
ON CONFLICT (tenant_id, name) DO UPDATE SET
    level = excluded.level, description = excluded.description, definition = excluded.definition, updated_at = now()
WHERE t.definition ? 'file'
RETURNING name
"""
_CHANGE: Final = """
UPDATE erpflow.erp_transform_templates
SET level = %(level)s, description = %(description)s, definition = %(definition)s::jsonb, updated_at = now()
WHERE tenant_id = %(tenant)s AND name = %(name)s AND NOT definition ? 'file' RETURNING name
"""
_DELETE: Final = """
DELETE FROM erpflow.erp_transform_templates
WHERE tenant_id = %s AND name = %s AND NOT definition ? 'file' RETURNING name
"""
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode


class FileOrKept(Protocol):
    """What is counted of a template; `file` is None for one that is kept in the table."""

    @property
    def name(self) -> str: ...

    @property
    def level(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def definition(self) -> Mapping[str, Any]: ...

    @property
    def file(self) -> object | None: ...


def count_usage(
    connection: psycopg.Connection[Any],
    templates: Iterable[FileOrKept],
    *,
    rows: int,
    tenant_id: TenantId = DEFAULT_TENANT,
) -> None:
    """Add the rows that went through these templates to their counts; a template file gets its row with the first.

    Count once a run, in a transaction of its own: whoever else uses one of them waits until it ends.
    """
    used = list({template.name: template for template in templates}.values())
    if not used:
        return
    connection.execute(
        _COUNT,
        {
            "tenant": tenant_id,
            "rows": rows,
            "names": [one.name for one in used],
            "levels": [str(one.level) for one in used],
            "descriptions": [one.description for one in used],
            "definitions": [_definition(one) for one in used],
        },
    )


def kept_templates(
    connection: psycopg.Connection[Any], *, tenant_id: TenantId = DEFAULT_TENANT
) -> dict[str, dict[str, Any]]:
    """The templates kept in the table, name to content as a file would have it. Rows of files are none of them."""
    return {
        name: {"level": level, "description": description, **_decode(definition)}
        for name, level, description, definition in connection.execute(_KEPT, (tenant_id,))
    }


def rows(connection: psycopg.Connection[Any], tenant_id: TenantId) -> list[Row]:
    """Every row of a tenant by name, those of files (`of_file`) too."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_ROWS, (tenant_id,)).fetchall()


def add(connection: psycopg.Connection[Any], tenant_id: TenantId, template: FileOrKept) -> bool:
    """Keep a template; whether its name was free."""
    return connection.execute(_ADD, _values(tenant_id, template)).fetchone() is not None


def change(connection: psycopg.Connection[Any], tenant_id: TenantId, template: FileOrKept) -> bool:
    """Put another content in the place of a kept template's; whether there is one of this name."""
    return connection.execute(_CHANGE, _values(tenant_id, template)).fetchone() is not None


def delete(connection: psycopg.Connection[Any], tenant_id: TenantId, name: str) -> bool:
    """Delete a kept template; whether there was one of this name."""
    return connection.execute(_DELETE, (tenant_id, name)).fetchone() is not None


def _values(tenant_id: TenantId, template: FileOrKept) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "name": template.name,
        "level": str(template.level),
        "description": template.description,
        "definition": _definition(template),
    }


def _definition(template: FileOrKept) -> str:
    mark = {} if template.file is None else {"file": True}
    return _encode({**template.definition, **mark}).decode()
