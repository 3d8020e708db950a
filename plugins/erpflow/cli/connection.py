"""`erpflow connection`: accounts on vendors' systems."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from erpflow.cli.surroundings import connector_for, database, echo_table, home, mappings_folder, printable, quiet_logs
from erpflow.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

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
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the system; may be repeated."
)
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

    The secret goes, encrypted, into an Airflow connection; it is asked for here, never taken from the command line.
    """
    from erpflow.connectors.registry import connector_class
    from erpflow.connectors.session import base_url
    from erpflow.store import connections
    from erpflow.store.vault import Credentials, Secret, Vault

    extra = _settings(settings, known=connector_class(system).spec.settings)
    if extra and url is None:
        raise ConfigError("Settings go along with --url; those of a connection that is there already are in its extra.")
    vault = Vault.from_environment(home())
    conn_id = airflow_conn_id or name
    db = database()
    with db.transaction() as store:
        row = connections.add_connection(store, name, system=system, airflow_conn_id=conn_id)
        entities = _add_configs(store, row)
        if url is None:
            vault.read(conn_id)
        else:
            password = None if no_password else _password(from_stdin=password_stdin)
            secret = Secret(password) if password else None
            vault.write(
                Credentials(
                    conn_id=conn_id,
                    conn_type=system,
                    host=base_url(url),
                    login=login,
                    password=secret,
                    extra=extra,
                )
            )
    what = ", ".join(entities) if entities else f"nothing yet: there is no mapping in {mappings_folder() / system}"
    click.echo(f"Added {name}; it syncs {what}.")
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


def try_out(row: ErpConnection, db: Database) -> None:
    """Ask the vendor who we are, note the answer and print it. Raises ConfigError when it is a no."""
    from erpflow.errors import AuthFailed, ErpflowError
    from erpflow.store import connections
    from erpflow.store.connections import ConnectionStatus

    try:
        with connector_for(row, db) as vendor:
            result = vendor.check()
    except ErpflowError as error:
        # Without a consent nothing else helps; the word says so.
        status = ConnectionStatus.EXPIRED if isinstance(error, AuthFailed) else ConnectionStatus.ERROR
        with db.session() as store:
            connections.set_status(store, row.id, status, message=str(error))
        raise
    status = ConnectionStatus.ACTIVE if result.success else ConnectionStatus.ERROR
    with db.session() as store:
        connections.set_status(store, row.id, status, message=result.message, account=result.account)
    if not result.success:
        raise ConfigError(f"{row.name}: {printable(result.message, width=500)} ({result.latency * 1000:.0f} ms)")
    account = printable(result.account or "an unnamed account", width=100)
    click.echo(f"{row.name}: connected to {row.system} as {account} in {result.latency * 1000:.0f} ms.")


def _add_configs(store: Any, row: ErpConnection) -> list[str]:
    """A sync config for each mapping file of the connection's system."""
    from erpflow.mapping.load import find_mappings, load_mapping
    from erpflow.sync.configure import configure

    folder = mappings_folder()
    entities = []
    for path in find_mappings(folder / row.system) if (folder / row.system).is_dir() else []:
        found = load_mapping(path)
        configure(store, row.id, found, path=str(path.relative_to(folder)))
        entities.append(found.entity)
    return entities


def _settings(words: tuple[str, ...], *, known: Mapping[str, str]) -> dict[str, Any]:
    """What `--set` says, as a connection's extra holds it. Raises ConfigError for a setting there is not."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known:
            raise ConfigError(f"--set {name}: there is no such setting{suggestion(name, known)}. Write NAME=VALUE.")
        found[name] = {"true": True, "false": False}.get(value, value)
    return found


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password or API secret", hide_input=True))
