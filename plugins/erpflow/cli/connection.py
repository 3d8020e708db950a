"""`erpflow connection`: accounts on vendors' systems."""

from __future__ import annotations

import sys
from dataclasses import replace
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING

import click

from erpflow.cli.limits import limits_command
from erpflow.cli.settings import read_settings
from erpflow.cli.terminal import echo_table, printable, quiet_logs
from erpflow.errors import ConfigError
from erpflow.services.installation import connector_for, database, home, mappings_folder

if TYPE_CHECKING:
    from erpflow.store.connections import ErpConnection
    from erpflow.store.database import Database


@click.group()
def connection() -> None:
    """Accounts on vendors' systems."""


@connection.command()
@click.argument("name")
@click.option("--system", required=True, help="The vendor's system, such as erpnext.")
@click.option("--url", help="The address of the site. Without it the Airflow connection must be there already.")
@click.option("--login", help="The login, or the API key.")
@click.option("--airflow-conn-id", help="The Airflow connection that holds the secret. Default: NAME.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the system; repeatable.")
@click.option("--no-password", is_flag=True, help="The system wants no password or API secret.")
@click.option("--password-stdin", is_flag=True, help="Read the password or API secret from standard input.")
def add(
    name: str,
    *,
    system: str,
    url: str | None,
    login: str | None,
    airflow_conn_id: str | None,
    settings: tuple[str, ...],
    no_password: bool,
    password_stdin: bool,
) -> None:
    """Add the account NAME, with a sync config for each mapping of its system.

    The secret goes, encrypted, into an Airflow connection; it is asked for here, never taken from the command line. A
    setting that is a secret is given as --set NAME and asked for too, or read as a line of standard input.
    """
    from erpflow.connectors.registry import connector_class
    from erpflow.services import connecting
    from erpflow.store import connections
    from erpflow.store.vault import Vault

    spec = connector_class(system).spec
    vault = Vault.from_environment(home())
    conn_id = airflow_conn_id or name
    db = database()
    with db.transaction() as store:
        row = connections.add_connection(store, name, system=system, airflow_conn_id=conn_id)
        entities = connecting.add_configs(store, row, mappings_folder())
        password = None if url is None or no_password else _password(from_stdin=password_stdin)
        extra = read_settings(settings, spec)
        if url is None:
            connecting.change_extra(vault, conn_id, extra)
        else:
            vault.write(connecting.credentials(conn_id, system, url, login=login, password=password, extra=extra))
    what = ", ".join(entities) if entities else f"nothing yet: there is no mapping in {mappings_folder() / system}"
    click.echo(f"Added {name}; it syncs {what}.")
    click.echo(f"Try it: erpflow connection test {name}")


@connection.command("set")
@click.argument("name")
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
def set_(name: str, *, settings: tuple[str, ...]) -> None:
    """Change settings of the account NAME; an empty value takes a setting away.

    A setting that is a secret is given as its name alone, and asked for, or read as a line of standard input.
    """
    from erpflow.connectors.registry import connector_class
    from erpflow.services import connecting
    from erpflow.store import connections, credentials
    from erpflow.store.vault import Vault

    vault, db = Vault.from_environment(home()), database()
    with db.session() as store:
        row = connections.get_connection(store, name)
    spec = connector_class(row.system).spec
    changed = read_settings(settings, spec)
    known = vault.read(row.airflow_conn_id)
    known = replace(known, extra=connecting.merged(known.extra, changed))
    with db.session() as store:
        credentials.write_secret(store, vault, row.id, known, secret_settings=spec.secret_settings)
    click.echo(f"Changed {name}: {', '.join(changed)}.")
    click.echo(f"Try it: erpflow connection test {name}")


@connection.command()
@click.argument("name")
@click.option("--login", help="The new login, or API key, if that changes too.")
@click.option("--password-stdin", is_flag=True, help="Read the password or API secret from standard input.")
@click.option("--elsewhere", is_flag=True, help="It was changed in Airflow or its secrets backend: only note that.")
def rotate(name: str, *, login: str | None, password_stdin: bool, elsewhere: bool) -> None:
    """Put a new secret in place of the one of the account NAME, and count its age from now on."""
    from erpflow.store import connections, credentials
    from erpflow.store.vault import Secret, Vault

    vault, db = Vault.from_environment(home()), database()
    with db.session() as store:
        row = connections.get_connection(store, name)
    if elsewhere:
        if login is not None or password_stdin:
            raise ConfigError("With --elsewhere nothing is entered here: leave --login and --password-stdin out.")
        with db.session() as store:
            credentials.note_rotated(store, row.id)
        click.echo(f"Noted that the secret of {name} was changed.")
        return
    known = vault.read(row.airflow_conn_id)
    password = _password(from_stdin=password_stdin)
    if not password:
        raise ConfigError("No password or API secret came. Nothing was changed.")
    changed = replace(known, login=login or known.login, password=Secret(password))
    with db.session() as store:
        if not credentials.write_secret(store, vault, row.id, changed):
            raise ConfigError(f"This is the secret that {name} has already. Make a new one at the vendor first.")
    click.echo(f"Changed the secret of {name}.")
    click.echo(f"Try it: erpflow connection test {name}")


@connection.command("list")
@click.option("--system", help="Only the connections of one system.")
def list_(*, system: str | None) -> None:
    """List the accounts, with what their last check said."""
    from erpflow.store import configs, connections

    with database().session() as store:
        rows = connections.list_connections(store, system=system)
        entities = {row.id: [config.entity for config in configs.list_configs(store, row.id)] for row in rows}
    if not rows:
        click.echo("There are no connections. Add one: erpflow connection add")
        return
    lines = [("NAME", "SYSTEM", "STATUS", "CHECKED", "ACCOUNT", "SYNCS")]
    for row in rows:
        checked = f"{row.last_checked_at:%Y-%m-%d %H:%MZ}" if row.last_checked_at else "never"
        account = printable(row.account or "-", width=40)
        lines.append((row.name, row.system, row.status, checked, account, ", ".join(entities[row.id]) or "-"))
    echo_table(lines)


@connection.command()
@click.argument("name")
@click.pass_obj
def test(debug: bool, name: str) -> None:  # noqa: FBT001  (click hands its object over by position)
    """Ask the vendor who we are, and note the answer."""
    from erpflow.store import connections

    quiet_logs(debug=debug)
    db = database()
    with db.session() as store:
        row = connections.get_connection(store, name)
    try_out(row, db)


connection.add_command(limits_command)


def try_out(row: ErpConnection, db: Database) -> None:
    """Ask the vendor who we are, note the answer and print it. Raises ConfigError when it is a no."""
    from erpflow.services import connecting

    # A person at a terminal sees that it goes on, and may stop it: only the vendor's own time-outs end it.
    tried = connecting.try_account(lambda: connector_for(row, db), patience=TIMEOUT_MAX)
    with db.session() as store:
        connecting.note(store, row.id, tried)
    result = tried.result
    if tried.error is not None:
        raise tried.error
    if not result.success:
        raise ConfigError(f"{row.name}: {printable(result.message, width=500)} ({result.latency * 1000:.0f} ms)")
    account = printable(result.account or "an unnamed account", width=100)
    click.echo(f"{row.name}: connected to {row.system} as {account} in {result.latency * 1000:.0f} ms.")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password or API secret", hide_input=True))
