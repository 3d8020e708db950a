"""Customer companies: every row of state belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import TenantId

_LIST: Final = "SELECT id::text, slug, name, created_at FROM erpflow.erp_tenants ORDER BY slug"
_SLUG: Final = "SELECT slug FROM erpflow.erp_tenants WHERE id = %s"
_INSERT: Final = """
INSERT INTO erpflow.erp_tenants (slug, name) VALUES (%s, %s) RETURNING id::text, slug, name, created_at
"""

_ACTING_FOR: Final = """
SELECT t.id::text FROM erpflow.erp_tenants t
LEFT JOIN erpflow.erp_tenant_members m ON m.tenant_id = t.id AND m.user_name = %(user)s
WHERE (%(slug)s::text IS NULL OR t.slug = %(slug)s)
  AND (%(any)s OR m.user_name IS NOT NULL
       OR t.slug = 'default' AND NOT EXISTS (SELECT FROM erpflow.erp_tenant_members o WHERE o.tenant_id = t.id))
ORDER BY m.user_name IS NULL, t.slug <> 'default', t.slug LIMIT 1
"""
_ADD_MEMBER: Final = """
INSERT INTO erpflow.erp_tenant_members (tenant_id, user_name) VALUES (%s, %s) ON CONFLICT DO NOTHING
"""
_MEMBERS: Final = "SELECT user_name FROM erpflow.erp_tenant_members WHERE tenant_id = %s ORDER BY user_name"
_REMOVE_MEMBER: Final = """
DELETE FROM erpflow.erp_tenant_members WHERE tenant_id = %s AND user_name = %s RETURNING user_name
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One customer company; `slug` is its short name in commands and addresses."""

    id: TenantId
    slug: str
    name: str
    created_at: datetime


def list_tenants(connection: psycopg.Connection[Any]) -> list[Tenant]:
    """All tenants by slug."""
    return [Tenant(*row) for row in connection.execute(_LIST)]


def get_tenant(connection: psycopg.Connection[Any], slug: str) -> Tenant:
    """The tenant called `slug`. Raises ConfigError with the nearest name when there is none."""
    tenants = {tenant.slug: tenant for tenant in list_tenants(connection)}
    try:
        return tenants[slug]
    except KeyError:
        raise ConfigError(f'There is no tenant "{slug}"{suggestion(slug, tenants)}') from None


def slug_of(connection: psycopg.Connection[Any], tenant_id: TenantId) -> str:
    """The short name of a tenant that is there."""
    row = connection.execute(_SLUG, (tenant_id,)).fetchone()
    if row is None:
        raise ConfigError(f"There is no tenant {tenant_id} any more.")
    return str(row[0])


def add_tenant(connection: psycopg.Connection[Any], slug: str, *, name: str) -> Tenant:
    """A new tenant. Raises ConfigError when the slug is taken, or is not of small letters, digits and hyphens."""
    try:
        row = connection.execute(_INSERT, (slug, name)).fetchone()
    except psycopg.errors.UniqueViolation:
        raise ConfigError(f'There is a tenant "{slug}" already. Choose another slug.') from None
    except psycopg.errors.CheckViolation:
        raise ConfigError(
            f'"{slug}" cannot be the slug of a tenant: use small letters, digits and hyphens, such as acme-gmbh.'
        ) from None
    assert row is not None  # noqa: S101  (INSERT … RETURNING gives a row or raises)
    return Tenant(*row)


def acting_for(
    connection: psycopg.Connection[Any], user_name: str, *, slug: str | None, any_tenant: bool
) -> TenantId | None:
    """The tenant that one of Airflow's users acts for; None when there is no such tenant, or it is not theirs.

    Without `slug`: the default tenant, or the only one the user belongs to. The default tenant is everybody's as long
    as it has no members. `any_tenant`: the user may act for all of them.
    """
    values = {"user": user_name, "slug": slug, "any": any_tenant}
    row = connection.execute(_ACTING_FOR, values).fetchone()
    return TenantId(row[0]) if row else None


def members(connection: psycopg.Connection[Any], tenant_id: TenantId) -> list[str]:
    """Those of Airflow's users who were let act for a tenant, by name."""
    return [str(row[0]) for row in connection.execute(_MEMBERS, (tenant_id,))]


def add_member(connection: psycopg.Connection[Any], tenant_id: TenantId, user_name: str) -> None:
    """Let one of Airflow's users act for a tenant."""
    connection.execute(_ADD_MEMBER, (tenant_id, user_name))


def remove_member(connection: psycopg.Connection[Any], tenant_id: TenantId, user_name: str) -> bool:
    """Take that back; whether it was so."""
    return connection.execute(_REMOVE_MEMBER, (tenant_id, user_name)).fetchone() is not None
