"""`erpflow api-key`: keys of programs, and the first one before there is anybody to ask for it by the API."""

from __future__ import annotations

import click

from erpflow.api.rights import Right
from erpflow.cli.terminal import echo_table, printable
from erpflow.services.installation import database

DEFAULT = "default"
_tenant = click.option("--tenant", default=DEFAULT, show_default=True, help="The company, by its slug.")


@click.group("api-key")
def api_key() -> None:
    """Keys that programs call the REST API with."""


@api_key.command()
@click.argument("name")
@_tenant
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([right.value for right in Right]),
    default=(Right.LOOK.value, Right.RUN.value),
    show_default=True,
    help="What it may do; repeatable.",
)
def add(name: str, *, tenant: str, scopes: tuple[str, ...]) -> None:
    """Make the key NAME. It is printed, alone on standard output, and never again."""
    from erpflow.store import api_keys, tenants

    with database().transaction() as store:
        of = tenants.get_tenant(store, tenant)
        key, _ = api_keys.make(store, of.id, name=name, scopes=sorted(set(scopes)), by="cli")
    click.echo(key)
    click.echo(f"Keep it: it is not shown again. It may {', '.join(sorted(set(scopes)))} for {of.slug}.", err=True)


@api_key.command("list")
@_tenant
def list_(*, tenant: str) -> None:
    """List a company's keys, by what they begin with."""
    from erpflow.store import api_keys, tenants

    with database().session() as store:
        rows = api_keys.of_tenant(store, tenants.get_tenant(store, tenant).id)
    lines = [("KEY", "NAME", "SCOPES", "MADE", "LAST USED", "STATE")]
    for row in rows:
        used = f"{row['last_used_at']:%Y-%m-%d %H:%MZ}" if row["last_used_at"] else "never"
        state = "revoked" if row["revoked_at"] else "ended" if row["ended"] else "counts"
        made = f"{row['created_at']:%Y-%m-%d}"
        lines.append((f"{row['prefix']}…", printable(row["name"]), ", ".join(row["scopes"]), made, used, state))
    echo_table(lines)


@api_key.command()
@click.argument("beginning")
@_tenant
def revoke(beginning: str, *, tenant: str) -> None:
    """End a key at once; BEGINNING as `list` shows it."""
    from erpflow.errors import ConfigError
    from erpflow.store import api_keys, tenants

    prefix = beginning.rstrip("…")
    with database().transaction() as store:
        if not api_keys.revoke_by_prefix(store, tenants.get_tenant(store, tenant).id, prefix):
            raise ConfigError(
                f"{tenant} has no key that begins with {printable(prefix)} and still counts. Which it has: "
                f"erpflow api-key list --tenant {tenant}"
            )
    click.echo(f"{printable(prefix)}… opens nothing any more.")
