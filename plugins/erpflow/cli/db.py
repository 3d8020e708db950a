"""`erpflow db`: the schema of the application's database."""

from __future__ import annotations

import click

from erpflow.services.installation import database


@click.group()
def db() -> None:
    """The schema of the application's database."""


@db.command()
@click.option("--with-demo-tables", is_flag=True, help="Also make the demo's business tables (schema app).")
def upgrade(*, with_demo_tables: bool) -> None:
    """Bring the schema up to this version. Safe to repeat, and when two do it at once."""
    from erpflow.store import migrate

    target = database()
    done = migrate.upgrade(target, demo_tables=with_demo_tables)
    if done.applied:
        click.echo(f"{target.place}: applied {', '.join(done.applied)}.")
    else:
        click.echo(f"{target.place}: nothing to do, the schema is current ({', '.join(done.revisions)}).")
