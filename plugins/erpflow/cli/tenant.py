"""`erpflow tenant`: customer companies, and which of Airflow's users act for them."""

from __future__ import annotations

import click

from erpflow.cli.terminal import echo_table, printable
from erpflow.services.installation import database


@click.group()
def tenant() -> None:
    """Customer companies, each with its own connections, syncs and keys."""


@tenant.command()
@click.argument("slug")
@click.option("--name", help="What people call it. Default: SLUG.")
def add(slug: str, *, name: str | None) -> None:
    """Add a company; SLUG is its short name in commands and addresses."""
    from erpflow.store import tenants

    with database().transaction() as store:
        made = tenants.add_tenant(store, slug, name=name or slug)
    click.echo(f"Added {made.slug} ({made.id}). Make its first key: erpflow api-key add NAME --tenant {made.slug}")


@tenant.command("list")
def list_() -> None:
    """List the companies with those who act for them."""
    from erpflow.store import tenants

    with database().session() as store:
        lines = [("SLUG", "NAME", "SINCE", "MEMBERS")]
        for one in tenants.list_tenants(store):
            members = ", ".join(printable(user) for user in tenants.members(store, one.id))
            nobody = "everybody" if one.slug == "default" else "-"
            lines.append((one.slug, printable(one.name), f"{one.created_at:%Y-%m-%d}", members or nobody))
    echo_table(lines)


@tenant.group()
def member() -> None:
    """Which of Airflow's users act for a company. Those who may edit connections act for any."""


@member.command("add")
@click.argument("slug")
@click.argument("user")
def add_member(slug: str, user: str) -> None:
    """Let USER, as Airflow calls them, act for SLUG."""
    from erpflow.store import tenants

    with database().transaction() as store:
        tenants.add_member(store, tenants.get_tenant(store, slug).id, user)
    click.echo(f"{printable(user)} acts for {slug}.")


@member.command("remove")
@click.argument("slug")
@click.argument("user")
def remove_member(slug: str, user: str) -> None:
    """Take that back."""
    from erpflow.errors import ConfigError
    from erpflow.store import tenants

    with database().transaction() as store:
        if not tenants.remove_member(store, tenants.get_tenant(store, slug).id, user):
            raise ConfigError(f"{printable(user)} does not act for {slug}. Who does: erpflow tenant list")
    click.echo(f"{printable(user)} does not act for {slug} any more.")
