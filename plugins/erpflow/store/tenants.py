"""Customer companies: every row of state belongs to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from erpflow.errors import ConfigError, suggestion
from erpflow.vocabulary import TenantId

_LIST: Final = "SELECT id::text, slug, name, created_at FROM erpflow.erp_tenants ORDER BY slug"
_INSERT: Final = """
INSERT INTO erpflow.erp_tenants (slug, name) VALUES (%s, %s) RETURNING id::text, slug, name, created_at
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
